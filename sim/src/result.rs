//! What a run measures.

use attelier_dram::energy::Activity;

use crate::units::qkv_fetcher::StreamKind;

/// Result of one simulation.
#[derive(Debug, Clone, PartialEq)]
pub struct RunResult {
    /// Core-clock cycles from the first to the last.
    pub cycles: u64,
    /// Core clock [Hz].
    pub clock_hz: u64,
    /// Operations the arrays performed for kept keys and values (one multiply-accumulate = 2).
    pub ops_executed: u64,
    /// Operations of the same attention without any pruning or recomputation.
    pub ops_dense: u64,
    /// Bytes and transactions between machine and memory, as attention machines count them.
    pub traffic: Traffic,
    /// Bytes between machine and memory by name, of a machine with other streams; empty for those
    /// of [`Traffic`].
    pub streams: Vec<Stream>,
    /// Write transactions.
    pub writes: u64,
    /// What the DRAM did; `None` for a memory without rows.
    pub dram: Option<DramCounts>,
    /// Why the next job was not admitted; `None` for a machine without jobs that wait.
    pub admission: Option<Admission>,
    /// Time by operation, of a machine that does one after the other; else empty.
    pub phases: Vec<Phase>,
    /// One entry per unit, in design order.
    pub units: Vec<UnitReport>,
    /// Things the reader must know, such as values drawn from a seeded distribution.
    pub notes: Vec<String>,
}

/// Bytes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    /// Name.
    pub name: &'static str,
    /// Bytes.
    pub bytes: u64,
    /// Whether they go to the memory.
    pub write: bool,
}

/// Time of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// Name.
    pub name: &'static str,
    /// Core-clock cycles.
    pub cycles: u64,
}

/// What a DRAM did, over all channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DramCounts {
    /// Rows opened.
    pub activates: u64,
    /// Banks closed.
    pub precharges: u64,
    /// Refresh commands, of all banks or of one.
    pub refreshes: u64,
    /// Transactions that found their row open.
    pub row_hits: u64,
    /// Transactions.
    pub requests: u64,
    /// All of it, as the energy models take it.
    pub activity: Activity,
}

/// Bytes and transactions between machine and memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Query bytes read.
    pub query_bytes: u64,
    /// Key bytes read in the first pass.
    pub key_bytes: u64,
    /// Key LSB bytes read on a refetch.
    pub key_lsb_bytes: u64,
    /// Value bytes read.
    pub value_bytes: u64,
    /// Read transactions.
    pub reads: u64,
}

impl Traffic {
    /// Adds `n` times what was counted since `before`.
    pub fn repeat_since(&mut self, before: &Traffic, n: u64) {
        let grow = |count: &mut u64, before: u64| *count += n * (*count - before);
        grow(&mut self.query_bytes, before.query_bytes);
        grow(&mut self.key_bytes, before.key_bytes);
        grow(&mut self.key_lsb_bytes, before.key_lsb_bytes);
        grow(&mut self.value_bytes, before.value_bytes);
        grow(&mut self.reads, before.reads);
    }

    /// Counts `count` transactions of `bytes` each.
    pub fn add(&mut self, kind: StreamKind, count: u32, bytes: u32) {
        self.reads += u64::from(count);
        let stream = match kind {
            StreamKind::Query => &mut self.query_bytes,
            StreamKind::Key => &mut self.key_bytes,
            StreamKind::KeyLsb => &mut self.key_lsb_bytes,
            StreamKind::Value => &mut self.value_bytes,
        };
        *stream += u64::from(count) * u64::from(bytes);
    }
}

/// Cycles in which the next job stood before the machine, by what it waited for first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Admission {
    /// Token or head top-k, and the passes it depends on.
    pub selection_cycles: u64,
    /// A place among the undecided jobs.
    pub in_flight_cycles: u64,
    /// Lines of the key buffer.
    pub key_sram_cycles: u64,
    /// Lines of the value buffer.
    pub value_sram_cycles: u64,
}

/// Activity of one unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitReport {
    /// Name, the same in `hw`, `sim` and `rtl`.
    pub name: &'static str,
    /// Cycles in which it moved or computed a beat.
    pub busy_cycles: u64,
    /// Cycles in which it had work but waited for its input.
    pub starved_cycles: u64,
    /// Cycles in which it had a beat but nowhere to put it.
    pub blocked_cycles: u64,
    /// Beats it handled.
    pub beats: u64,
}
