//! Why a decoding cannot run on a machine, or a text is no program.

use attelier_dram::error::{IllegalCommand, TableError};
use thiserror::Error;

/// Why a decoding gives no result.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PimError {
    /// Weights, keys and values need more rows than there are.
    #[error(
        "the model needs {needed} rows of every bank ({weights} for weights, {cache} for keys and \
         values of {tokens} tokens), the machine has {rows}; help: fewer tokens \
         (`--set workload.tokens=N`), more channels (`--set memory.channels=N`) or more rows \
         (`--set memory.rows=N`)"
    )]
    Capacity {
        /// Rows of every bank that are needed.
        needed: u64,
        /// Of these for weights.
        weights: u64,
        /// Of these for keys and values.
        cache: u64,
        /// Tokens that are kept.
        tokens: u32,
        /// Rows of a bank.
        rows: u32,
    },
    /// A head that the vector buffer does not hold.
    #[error(
        "a head has {head_dim} numbers, the vector buffer holds {chunk}; help: \
         `--set memory.buffer_bytes={bytes}` or more"
    )]
    HeadTooWide {
        /// Numbers of a head.
        head_dim: u32,
        /// Numbers of the buffer.
        chunk: u32,
        /// Bytes that would do.
        bytes: u32,
    },
    /// More rows or columns than 32 bits count.
    #[error("the model is too large to be placed: its rows do not fit 32 bits")]
    TooLarge,
    /// Timings from which no memory can be built.
    #[error("no memory can be built from these timings: {0}")]
    Device(#[from] TableError),
    /// A defect of the compiler.
    #[error("the program is illegal: {0}")]
    Illegal(#[from] IllegalCommand),
}

/// A text that is no program.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IsaError {
    /// Where.
    #[error("line {number}: {source}")]
    Line {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        source: Box<IsaError>,
    },
    /// No such instruction.
    #[error(
        "`{found}` is no instruction: expected one of CHAN, WRVEC, REF, ACTAB, MACAB, RDACC, PREAB, \
         WRROW, WRELT, BEAT, ASIC"
    )]
    Mnemonic {
        /// The word.
        found: String,
    },
    /// An operand that is missing or no such.
    #[error("{mnemonic}: found {found}: expected {expected}")]
    Operand {
        /// The instruction.
        mnemonic: String,
        /// What stands there.
        found: String,
        /// What should stand there.
        expected: &'static str,
    },
}
