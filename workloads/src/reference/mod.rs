//! Reference kernels: the mathematics of attention accelerators in `f64`, with no hardware in it.
//!
//! Everything that a machine computes is compared with what is computed here, so each kernel is
//! written as its definition reads, loop by loop, and none is made fast. One file per subject:
//!
//! * the transformer: [`linear`], [`layer_norm`], [`rms_norm`], [`gelu`], [`silu`], [`softmax`],
//!   [`attention`], [`multi_head_attention`], [`FeedForward`], [`patch_embedding`];
//! * decode: [`KeyValueCache`];
//! * SpAtten: [`top_k`], [`Cascade`] with [`token_importance`] and [`head_importance`],
//!   [`local_values`], [`Quantized`], [`progressive_probabilities`], [`RatioSchedule`];
//! * mixture of experts: [`gate`], [`mixture_of_experts`].
//!
//! Matrices are [`ndarray`] arrays; shapes are written (rows, columns) or (tokens, features).
//! Operands that do not fit together give an [`OperandError`] that names them, never a panic.
//! Values that are not finite are carried along as IEEE 754 prescribes.

mod activation;
mod attention;
mod cascade;
mod decode;
mod error;
mod feed_forward;
mod gate;
mod linear;
mod norm;
mod patch_embedding;
mod progressive;
mod quantization;
mod ratio_schedule;
mod softmax;
mod top_k;
mod value_pruning;

pub use activation::{gelu, gelu_tanh, silu};
pub use attention::{Attention, Mask, attention, inverse_sqrt_scale, multi_head_attention};
pub use cascade::{Cascade, head_importance, token_importance};
pub use decode::KeyValueCache;
pub use error::OperandError;
pub(crate) use error::{expect_shape, expect_value};
pub use feed_forward::FeedForward;
pub use gate::{Routing, expert_queues, gate, mixture_of_experts};
pub use linear::linear;
pub use norm::{layer_norm, rms_norm};
pub use patch_embedding::patch_embedding;
pub use progressive::{Progressive, progressive_probabilities};
pub use quantization::{Planes, Quantized};
pub use ratio_schedule::{RatioSchedule, kept_count};
pub use softmax::softmax;
pub use top_k::{top_k, top_k_ranked};
pub use value_pruning::{local_values, weighted_sum};
