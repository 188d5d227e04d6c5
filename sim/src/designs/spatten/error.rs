//! Why a workload cannot run on a machine.

use attelier_hw::spatten::formats::MAX_OPERAND_BITS;
use attelier_workloads::request::Widths;
use thiserror::Error;

/// A workload and a machine that do not go together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlanError {
    /// No requests.
    #[error("the workload has no requests")]
    Empty,
    /// A buffer is too small for a request.
    #[error(
        "request {request}: `{unit}` is too small: it needs {needs}, the machine has {has}; \
         help: `--set {parameter}={needs}` or larger, or a workload with a shorter context"
    )]
    TooSmall {
        /// Index of the request.
        request: usize,
        /// The unit.
        unit: &'static str,
        /// What the request needs, in the unit of the parameter.
        needs: u64,
        /// What the machine has.
        has: u64,
        /// Parameter to change.
        parameter: &'static str,
    },
    /// Head dimensions differ.
    #[error(
        "request {request}: head dimension {workload}, but the machine is built for {machine}; \
         help: `--set head_dim={workload}`"
    )]
    HeadDim {
        /// Index of the request.
        request: usize,
        /// Head dimension of the workload.
        workload: u32,
        /// Head dimension of the machine.
        machine: u32,
    },
    /// Counts contradict each other.
    #[error(
        "request {request}: expected queries, keys and values of at least 1, values <= keys and \
         keys <= sentence length"
    )]
    Counts {
        /// Index of the request.
        request: usize,
    },
    /// Counts or indices beyond what the simulator addresses.
    #[error(
        "request {request}: expected counts of at most 2^24, layers and heads below 4096 and \
         iterations below 2^24"
    )]
    Large {
        /// Index of the request.
        request: usize,
    },
    /// A width the datapath cannot hold.
    #[error(
        "request {request}: {operand} width of {bits} bits; expected 1 to {datapath} \
         (datapath_bits)"
    )]
    Width {
        /// Index of the request.
        request: usize,
        /// Key or value.
        operand: &'static str,
        /// Width [bits].
        bits: u32,
        /// On-chip width [bits].
        datapath: u32,
    },
    /// A mask that the machine does not have.
    #[error(
        "request {request}: {queries} causal queries at once; the machine has no causal mask: compute \
         the prompt elsewhere and give it one token per step"
    )]
    Causal {
        /// Index of the request.
        request: usize,
        /// Queries.
        queries: u32,
    },
    /// Progressive quantization outside decode.
    #[error(
        "request {request}: progressive quantization is defined for decode; a prefill request has \
         no requant threshold"
    )]
    ProgressivePrefill {
        /// Index of the request.
        request: usize,
    },
    /// The two arrays differ in shape.
    #[error(
        "qk_array gives {keys} scores per cycle, pv_array takes {values}; expected equal numbers; \
         help: set the same number of multipliers in both"
    )]
    UnequalArrays {
        /// Scores per cycle.
        keys: u32,
        /// Values per cycle.
        values: u32,
    },
}

/// Why a run gave no result.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SimError {
    /// The workload does not fit the machine.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Its operands do not.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The machine stopped moving: a defect of the model.
    #[error("deadlock at cycle {cycle}: {state}")]
    Deadlock {
        /// Last cycle in which something changed.
        cycle: u64,
        /// State of the units.
        state: String,
    },
}

/// Why a machine cannot compute with real operands.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ValueError {
    /// Widths that the storage format or the data path does not hold.
    #[error(
        "{operand} widths {widths:?} do not fit words of {word} bits (datapath_bits): expected keys \
         of 4, 6 or 8 bits with 4 LSBs below them or none, or whole keys of up to 12 bits; values \
         of 2 bits or more and queries of 2 to 16"
    )]
    Widths {
        /// Query, key or value.
        operand: &'static str,
        /// Widths of the workload.
        widths: Widths,
        /// On-chip width \[bits\].
        word: u32,
    },
    /// A data path whose sums would not fit the simulator's integers.
    #[error(
        "real operands need `datapath_bits` of at most {MAX_OPERAND_BITS}, this machine has {bits}"
    )]
    Datapath {
        /// On-chip width \[bits\].
        bits: u32,
    },
    /// Many causal queries at once.
    #[error(
        "layer {layer}: {queries} causal queries at once; the machine has no causal mask: compute \
         the prompt elsewhere and give it one token per step"
    )]
    CausalPrefill {
        /// Layer.
        layer: usize,
        /// Queries.
        queries: usize,
    },
    /// Operands that are no numbers.
    #[error(
        "layer {layer}: the {operand} hold infinity or NaN; expected finite numbers, so either the \
         weights are damaged or the model does not fit 32-bit floats"
    )]
    NotFinite {
        /// Layer.
        layer: usize,
        /// Queries, keys or values.
        operand: &'static str,
    },
    /// Operands that do not continue what came before.
    #[error("layer {layer}: {found}; expected {expected}")]
    Order {
        /// Layer.
        layer: usize,
        /// What came.
        found: String,
        /// What should have come.
        expected: String,
    },
}
