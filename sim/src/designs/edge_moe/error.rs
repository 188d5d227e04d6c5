//! Why an image cannot be computed.

use thiserror::Error;

/// Why an image gives no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EdgeMoeError {
    /// A size that the loops do not divide.
    #[error("`{size}` is {found}: expected a multiple of {step}, {reason}")]
    Size {
        /// The size.
        size: &'static str,
        /// Its value.
        found: u32,
        /// What it should be a multiple of.
        step: u32,
        /// Where that comes from.
        reason: &'static str,
    },
    /// A matrix that does not fit a weight buffer.
    #[error(
        "a matrix of {inputs} x {outputs} weights does not fit a buffer of {holds}; help: \
         `--set linear.buffer_weights={needed}` or more"
    )]
    Buffer {
        /// Its inputs.
        inputs: u32,
        /// Its outputs.
        outputs: u32,
        /// Its weights.
        needed: u64,
        /// Weights of the buffer.
        holds: u32,
    },
}
