//! Clock domains and points in time.

use std::ops::Add;

/// A point in time: the number of edges of its clock domain since reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Cycle(pub u64);

impl Add<u64> for Cycle {
    type Output = Cycle;
    fn add(self, cycles: u64) -> Cycle {
        Cycle(self.0.checked_add(cycles).expect("a run of 2^64 cycles cannot be reached"))
    }
}

impl Cycle {
    /// Cycles from `earlier` to `self`; 0 if `earlier` is later.
    pub fn since(self, earlier: Cycle) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A named clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockDomain {
    /// Name used in reports.
    pub name: &'static str,
    /// Frequency [Hz], not 0.
    pub hz: u64,
}

impl ClockDomain {
    /// Seconds that `cycles` of this domain take.
    pub fn seconds(&self, cycles: u64) -> f64 {
        cycles as f64 / self.hz as f64
    }

    /// Edges of this domain up to and including the moment of edge `at` of `other`.
    ///
    /// Edge 0 of all domains coincides; the count is exact for any pair of frequencies.
    pub fn edges_at(&self, other: &ClockDomain, at: Cycle) -> Cycle {
        let edges = u128::from(at.0) * u128::from(self.hz) / u128::from(other.hz);
        Cycle(u64::try_from(edges).expect("a run of 2^64 cycles cannot be reached"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_convert_exactly() {
        let core = ClockDomain { name: "core", hz: 1_000_000_000 };
        let dram = ClockDomain { name: "dram", hz: 1_500_000_000 };
        assert_eq!(dram.edges_at(&core, Cycle(2)), Cycle(3));
        assert_eq!(dram.edges_at(&core, Cycle(3)), Cycle(4));
        assert_eq!(core.edges_at(&dram, Cycle(4)), Cycle(2));
        assert_eq!(core.seconds(1_000_000_000), 1.0);
    }
}
