//! What a channel counts while it runs.

use crate::command::{self, CommandId};
use crate::request::Op;

/// What a request found in its bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Hit,
    Miss,
    Conflict,
}

/// How a bank's row came to be open.
///
/// The first column command after an ACT is a conflict if the bank was closed by a PRE and not
/// refreshed since, and a miss otherwise: the bank had been closed at the start, by
/// auto-precharge or for a refresh. All further column commands of the row are hits. So the three
/// follow from the command trace alone.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RowHistory {
    closed_for_another_row: bool,
    /// Outcome of the next column command, if it is the first after its ACT.
    opened: Option<Outcome>,
}

impl RowHistory {
    pub fn row_command(&mut self, command: CommandId) {
        match command {
            command::ACT => {
                let conflict = self.closed_for_another_row;
                self.opened = Some(if conflict { Outcome::Conflict } else { Outcome::Miss });
            }
            command::PRE => self.closed_for_another_row = true,
            // PREA comes before a refresh of the whole rank only.
            _ => self.closed_for_another_row = false,
        }
    }

    pub fn column_command(&mut self, command: CommandId) -> Outcome {
        if command == command::RDA || command == command::WRA {
            self.closed_for_another_row = false;
        }
        self.opened.take().unwrap_or(Outcome::Hit)
    }
}

/// Latencies in buckets whose width grows with the value: exact below 64, then 32 per doubling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatencyHistogram {
    buckets: Vec<u64>,
    count: u64,
    sum: u64,
    max: u64,
}

const EXACT: u64 = 64;
const PER_DOUBLING: u64 = 32;

impl Default for LatencyHistogram {
    fn default() -> LatencyHistogram {
        // 64 exact buckets and 32 for each of the 58 doublings of a 64-bit value above them.
        let len = (EXACT + 58 * PER_DOUBLING) as usize;
        LatencyHistogram { buckets: vec![0; len], count: 0, sum: 0, max: 0 }
    }
}

impl LatencyHistogram {
    /// Adds one latency [cycles].
    #[inline]
    pub fn add(&mut self, latency: u64) {
        self.buckets[Self::bucket(latency)] += 1;
        self.count += 1;
        self.sum = self.sum.saturating_add(latency);
        self.max = self.max.max(latency);
    }

    /// Number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Arithmetic mean [cycles]; zero without values.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// Largest value [cycles].
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Non-empty buckets as `(smallest value, number of values)`, ascending.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        let filled = self.buckets.iter().enumerate().filter(|&(_, &count)| count > 0);
        filled.map(|(index, &count)| (Self::low(index as u64), count))
    }

    /// Lower end of the bucket in which the given share of all values is reached: the quantile, or up
    /// to 1/32 below it.
    #[must_use]
    pub fn quantile(&self, share: f64) -> u64 {
        let target = (share.clamp(0.0, 1.0) * self.count as f64).ceil() as u64;
        let mut seen = 0;
        self.buckets()
            .find(|&(_, count)| {
                seen += count;
                seen >= target
            })
            .map_or(0, |(low, _)| low)
    }

    /// Adds all values of another histogram.
    pub fn merge(&mut self, other: &LatencyHistogram) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    fn bucket(value: u64) -> usize {
        if value < EXACT {
            return value as usize;
        }
        let doubling = u64::from(value.ilog2()) - 6;
        let inside = (value >> (doubling + 1)) - PER_DOUBLING;
        (EXACT + doubling * PER_DOUBLING + inside) as usize
    }

    fn low(bucket: u64) -> u64 {
        if bucket < EXACT {
            return bucket;
        }
        let (doubling, inside) = ((bucket - EXACT) / PER_DOUBLING, (bucket - EXACT) % PER_DOUBLING);
        (inside + PER_DOUBLING) << (doubling + 1)
    }
}

/// Counters of one channel, or of several after [`Statistics::merge`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Reads whose column command was issued.
    pub reads: u64,
    /// Writes whose column command was issued.
    pub writes: u64,
    /// Column commands that were not the first after the ACT of their row.
    pub row_hits: u64,
    /// First column commands of rows opened in a bank that was closed from the start, by
    /// auto-precharge or for a refresh.
    pub row_misses: u64,
    /// First column commands of rows for which another row was closed.
    pub row_conflicts: u64,
    /// Acceptance to end of data, reads only.
    pub read_latency: LatencyHistogram,
    /// Ticks in which the controller looked for work; the rest was jumped over.
    pub active_ticks: u64,
}

impl Statistics {
    #[inline]
    pub(crate) fn served(&mut self, op: Op, outcome: Outcome) {
        match op {
            Op::Read => self.reads += 1,
            Op::Write => self.writes += 1,
        }
        match outcome {
            Outcome::Hit => self.row_hits += 1,
            Outcome::Miss => self.row_misses += 1,
            Outcome::Conflict => self.row_conflicts += 1,
        }
    }

    /// Share of requests that found their row open; zero without requests.
    #[must_use]
    pub fn row_hit_rate(&self) -> f64 {
        let total = self.reads + self.writes;
        if total == 0 { 0.0 } else { self.row_hits as f64 / total as f64 }
    }

    /// Mean data rate over `cycles` [B/s].
    #[must_use]
    pub fn bandwidth(&self, cycles: u64, tx_bytes: u32, clock_hz: f64) -> f64 {
        if cycles == 0 {
            return 0.0;
        }
        let bytes = (self.reads + self.writes) as f64 * f64::from(tx_bytes);
        bytes * clock_hz / cycles as f64
    }

    /// Adds the counters of another channel.
    pub fn merge(&mut self, other: &Statistics) {
        self.reads += other.reads;
        self.writes += other.writes;
        self.row_hits += other.row_hits;
        self.row_misses += other.row_misses;
        self.row_conflicts += other.row_conflicts;
        self.active_ticks += other.active_ticks;
        self.read_latency.merge(&other.read_latency);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lands_in_a_bucket_that_starts_at_or_below_it() {
        for value in (0..5000).chain([u64::MAX / 3, u64::MAX]) {
            let bucket = LatencyHistogram::bucket(value);
            let low = LatencyHistogram::low(bucket as u64);
            assert!(low <= value, "{value} in bucket from {low}");
            assert!(value - low <= low / 32, "bucket of {value} is too wide");
        }
        let mut histogram = LatencyHistogram::default();
        for value in [10, 20, 30, 1000] {
            histogram.add(value);
        }
        assert_eq!(histogram.quantile(0.5), 20);
        assert_eq!(histogram.max(), 1000);
        assert_eq!(histogram.buckets().map(|(_, count)| count).sum::<u64>(), 4);
    }
}
