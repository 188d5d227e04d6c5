//! What must be computed: traces, importers and workload presets.
//!
//! * [`Request`]: the queries of one head of one layer against its keys and values, counts only.
//! * [`Workload`]: an ordered list of requests with its provenance; [`Workload::check`] holds the
//!   rules every source obeys.
//! * [`Decoding`]: tokens one by one through a whole model, with its operations layer by layer.
//! * [`AttentionModel`]: the attention of a model of which the sizes are known; [`ModelSizes`] reads them from a
//!   `config.json`, [`onnx`] from a graph.
//! * [`vision`]: one image through a vision transformer with mixture-of-experts layers.
//! * [`Task`]: any of them, behind one lookup by name.
//! * [`trace`]: our own format, JSON Lines with or without tensors, plain or gzip.
//! * [`spatten_csv`]: importer for the csv traces released with SpAtten.
//! * [`preset`]: named workloads generated from published facts.
//! * [`model`]: transformers from Hugging Face folders, with attention left to the caller.
//! * [`Summary`]: what a workload amounts to.
//! * [`reference`]: kernels in `f64` that say what a machine has to compute.
//! * [`pruning`]: what to prune of a model, and with how many bits to store.
//! * [`replay`]: recorded operands in place of a model.
//! * [`sparsity`]: policies that decide which keys a query attends to.
//! * [`synthetic`]: attention scores out of a seed, distributed as in a real model.
//! * [`draw`]: seeded draws, functions of their key alone.
//! * [`mod@file`]: the only module that touches the file system.
//!
//! Nothing here knows a machine. Every reader works in bounded memory and answers malformed input
//! with an error that names the place; see [`TraceError`].

pub mod attention_model;
mod check;
pub mod decoding;
pub mod draw;
pub mod error;
pub mod file;
mod lines;
pub mod model;
pub mod model_sizes;
pub mod onnx;
pub mod preset;
pub mod pruning;
pub mod reference;
pub mod replay;
pub mod request;
pub mod sample;
pub mod sparsity;
pub mod spatten_csv;
pub mod suggest;
pub mod summary;
pub mod synthetic;
pub mod task;
pub mod tensor;
pub mod trace;
pub mod vision;
pub mod workload;

pub use attention_model::AttentionModel;
pub use check::{Checker, Fault, limits};
pub use decoding::Decoding;
pub use error::{Problem, TraceError};
pub use file::open;
pub use model_sizes::ModelSizes;
pub use preset::{Knobs, PresetError, list, load, load_with};
pub use request::{Phase, Request, Widths};
pub use summary::{Summary, summarise};
pub use task::Task;
pub use tensor::Tensor;
pub use workload::{Workload, WorkloadError};
