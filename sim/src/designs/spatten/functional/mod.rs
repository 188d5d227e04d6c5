//! SpAtten on real operands: the attention of a model, computed with the bits of the machine.
//!
//! [`Functional`] stands in for the attention of a model that is run layer by layer. It quantises
//! what it is given, computes every head with the arithmetic of [`crate::datapath`], decides about
//! LSBs, values, tokens and heads from the numbers that come out, and gives the outputs back, so
//! that the next layer sees what the machine would have produced. What it leaves behind, a
//! [`Recording`], is the workload of the machine and the answer it must find.
//!
//! Cascade state follows what the released traces do: within an input, or within one generated
//! token, tokens and heads that a layer drops stay away from later layers; importance is gathered
//! over all generated tokens; every generated token starts again from all keys and heads.

mod check;
mod decided;
mod engine;
mod head;
mod recording;
mod witness;

pub use check::LayerCheck;
pub use engine::Functional;
pub use head::{HeadWords, largest, output, probabilities};
pub use recording::{Cache, HeadRecord, Recording};
