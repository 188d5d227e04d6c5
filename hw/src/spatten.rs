//! SpAtten (Wang, Zhang, Han; HPCA 2021): checked parameter records, one per unit.
//!
//! Every field is a count unless its name or comment gives another unit.

/// The whole SpAtten machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Spatten {
    /// Name of the preset it started from.
    pub name: String,
    /// Core clock [Hz].
    pub clock_hz: u64,
    /// Head dimension D: elements of one query, key or value vector.
    pub head_dim: u32,
    /// On-chip operand width [bits].
    pub datapath_bits: u32,
    /// Admission and ordering of work.
    pub controller: Controller,
    /// Off-chip memory, ideal: fixed latency, fixed bytes per cycle.
    pub memory: Memory,
    /// Address generation, crossbars and their FIFOs.
    pub qkv_fetcher: QkvFetcher,
    /// From DRAM widths to the datapath width.
    pub bitwidth_converter: BitwidthConverter,
    /// Key buffer.
    pub key_sram: LineSram,
    /// Value buffer.
    pub value_sram: LineSram,
    /// Query times key.
    pub qk_array: QkArray,
    /// Softmax pipeline.
    pub softmax: Softmax,
    /// Progressive-quantization decision.
    pub quant_decision: QuantDecision,
    /// Local-value top-k engine.
    pub topk_value: TopK,
    /// Token and head top-k engine.
    pub topk_token: TopK,
    /// Probability times value.
    pub pv_array: PvArray,
}

/// Admission and ordering of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// Jobs (one head, or one fused pair of heads) admitted and not yet decided.
    pub jobs_in_flight: u32,
    /// Whether key fetches wait for the token top-k that selects their keys.
    pub cascade_dependency: bool,
    /// Whether decode keys wider than the 8 stored MSBs are computed twice, as the released harness
    /// does; otherwise both planes are fetched first and computed once.
    pub recompute_wide_keys: bool,
    /// Whether queries are read from DRAM (the paper) or arrive on a port (the released RTL).
    pub query_from_dram: bool,
}

/// Ideal memory: every channel takes one transaction per cycle and answers after a fixed latency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Channels; a power of two.
    pub channels: u32,
    /// Bytes of one transaction [B]; addresses interleave over channels at this grain.
    pub transaction_bytes: u32,
    /// Issue to data [core cycles].
    pub latency_cycles: u32,
}

/// Address generation, 32x16 address crossbar, 16x32 data crossbar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QkvFetcher {
    /// Lanes: addresses generated in one cycle.
    pub lanes: u32,
    /// Entries of one lane's address FIFO and of its data FIFO.
    pub fifo_depth: u32,
}

/// Realigns DRAM rows of 4, 6 or 8 bits into lines of datapath words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitwidthConverter {
    /// Lines written per cycle at most.
    pub lines_per_cycle: u32,
    /// Realign buffer [B].
    pub buffer_bytes: u32,
}

/// Key or value buffer, organised in lines of one datapath word per multiplier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineSram {
    /// Capacity [B].
    pub bytes: u64,
    /// Lines (derived: bytes / line_bytes).
    pub lines: u32,
    /// Bytes of one line (derived: multipliers x datapath bits / 8).
    pub line_bytes: u32,
}

/// Query times key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QkArray {
    /// Multipliers.
    pub multipliers: u32,
    /// Keys of one line = scores per cycle (derived: multipliers / head_dim).
    pub keys_per_line: u32,
    /// Read of a line to its scores [cycles] (derived: broadcast 1 + multiply 1 + log2(head_dim)).
    pub latency_cycles: u32,
}

/// Softmax pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Softmax {
    /// Scores per cycle (derived: keys_per_line).
    pub lanes: u32,
    /// Rows of exponentials that wait for their sum.
    pub fifo_depth: u32,
    /// Fixed to float with scale [cycles].
    pub scale_cycles: u32,
    /// Exponential [cycles].
    pub exp_cycles: u32,
    /// Accumulation of the sum [cycles].
    pub accumulate_cycles: u32,
    /// Division [cycles].
    pub divide_cycles: u32,
    /// Float to fixed [cycles].
    pub quantise_cycles: u32,
}

/// Progressive-quantization decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantDecision {
    /// Rows of probabilities that wait for the verdict.
    pub fifo_depth: u32,
    /// Last row to verdict [cycles] (derived: log2(lanes), a registered maximum tree).
    pub verdict_cycles: u32,
}

/// Quick-select top-k engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopK {
    /// Comparators of each array = elements partitioned per cycle.
    pub parallelism: u32,
    /// Elements per cycle on the input and filter side.
    pub lanes: u32,
    /// Elements that the input buffer and the quick-select FIFOs hold.
    pub capacity: u32,
    /// Fixed cycles of one quick-select round (compare, compact, write back).
    pub round_overhead_cycles: u32,
}

/// Probability times value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PvArray {
    /// Multipliers.
    pub multipliers: u32,
    /// Values of one line (derived: multipliers / head_dim).
    pub values_per_line: u32,
    /// Rows of probabilities that wait for their values.
    pub fifo_depth: u32,
    /// Read of a line to its accumulation [cycles]
    /// (derived: broadcast 1 + multiply 1 + log2(values_per_line)).
    pub latency_cycles: u32,
}
