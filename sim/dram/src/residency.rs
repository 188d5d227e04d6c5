//! Time each rank spends in each state, for background energy.

/// Cycles per rank and state.
///
/// Bank-cycles are an integral over time of the number of open banks, so that partial background
/// current can be charged per open bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residency {
    ranks: Vec<RankResidency>,
    open: Vec<Open>,
}

/// Cycles of one rank.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RankResidency {
    /// At least one bank open [cycles].
    pub active: u64,
    /// No bank open [cycles].
    pub precharged: u64,
    /// Sum over banks of the time each was open [bank-cycles].
    pub bank_active: u64,
    /// Banks closed, one by one or all at once.
    pub closings: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Open {
    banks: u32,
    /// Last change of `banks`.
    since: u64,
}

impl Residency {
    pub(crate) fn new(ranks: usize) -> Residency {
        Residency {
            ranks: vec![RankResidency::default(); ranks],
            open: vec![Open::default(); ranks],
        }
    }

    pub(crate) fn bank_opened(&mut self, rank: usize, now_open: u32, cycle: u64) {
        self.settle(rank, cycle);
        self.open[rank].banks = now_open;
    }

    pub(crate) fn bank_closed(&mut self, rank: usize, now_open: u32, cycle: u64) {
        self.settle(rank, cycle);
        self.open[rank].banks = now_open;
        self.ranks[rank].closings += 1;
    }

    /// The same account closed at `cycle`.
    pub(crate) fn at(&self, cycle: u64) -> Residency {
        let mut closed = self.clone();
        for rank in 0..closed.ranks.len() {
            closed.settle(rank, cycle);
        }
        closed
    }

    /// One entry per rank; active plus precharged is the time observed.
    #[must_use]
    pub fn ranks(&self) -> &[RankResidency] {
        &self.ranks
    }

    fn settle(&mut self, rank: usize, cycle: u64) {
        let open = &mut self.open[rank];
        let span = cycle.saturating_sub(open.since);
        let account = &mut self.ranks[rank];
        if open.banks > 0 {
            account.active += span;
            account.bank_active += span * u64::from(open.banks);
        } else {
            account.precharged += span;
        }
        open.since = open.since.max(cycle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_add_up_to_the_time_observed() {
        let mut residency = Residency::new(2);
        residency.bank_opened(0, 1, 10);
        residency.bank_opened(0, 2, 15);
        residency.bank_closed(0, 1, 30);
        residency.bank_closed(0, 0, 50);
        let at = residency.at(100);
        let bank_active = 5 + 2 * 15 + 20;
        let expected = RankResidency { active: 40, precharged: 60, bank_active, closings: 2 };
        assert_eq!(at.ranks()[0], expected);
        assert_eq!(at.ranks()[1].precharged, 100);
    }
}
