//! Leaps over whole jobs.
//!
//! When many jobs of one shape follow each other, the machine soon does the same for each of them,
//! or for each group of a few. If its state at one admission equals the state at an earlier one
//! ([`Snapshot`]), then everything between the two happens again and again until the shape of the
//! jobs changes: cycles and counters are added, jobs are skipped, and the state stays as it is.

use std::collections::VecDeque;

use super::snapshot::Snapshot;

/// Admissions that are remembered: the longest period in jobs that is found.
const REMEMBERED: usize = 16;

/// A recurrence: what lies between two equal states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period<C> {
    /// Jobs admitted.
    pub jobs: u32,
    /// Cycles.
    pub cycles: u64,
    /// Counters at the earlier state.
    pub before: C,
}

/// States at the latest admissions, with counters `C`.
#[derive(Debug, Clone)]
pub struct Recurrence<C> {
    remembered: VecDeque<(Snapshot, C)>,
    spare: Vec<Vec<u64>>,
}

impl<C> Default for Recurrence<C> {
    fn default() -> Self {
        Self { remembered: VecDeque::new(), spare: Vec::new() }
    }
}

impl<C: Copy> Recurrence<C> {
    /// Storage for a new snapshot.
    pub fn storage(&mut self) -> Vec<u64> {
        self.spare.pop().unwrap_or_default()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        let words = self.remembered.drain(..).map(|(snapshot, _)| snapshot.into_words());
        self.spare.extend(words);
    }

    /// Finds the latest earlier state equal to `snapshot`; remembers `snapshot`.
    pub fn find(&mut self, snapshot: Snapshot, counters: C) -> Option<Period<C>> {
        let found = self.remembered.iter().rev().find(|(earlier, _)| snapshot.recurs(earlier));
        let period = found.map(|(earlier, before)| Period {
            jobs: snapshot.next_job() - earlier.next_job(),
            cycles: snapshot.now().since(earlier.now()),
            before: *before,
        });
        if self.remembered.len() == REMEMBERED {
            let oldest = self.remembered.pop_front();
            self.spare.extend(oldest.map(|(snapshot, _)| snapshot.into_words()));
        }
        self.remembered.push_back((snapshot, counters));
        period
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::clock::Cycle;

    fn state(now: u64, next_job: u32, due: u64) -> Snapshot {
        let mut snapshot = Snapshot::new(Cycle(now), next_job, Vec::new());
        snapshot.cycle(Cycle(due));
        snapshot.job(next_job - 1);
        snapshot
    }

    #[test]
    fn the_latest_equal_state_gives_the_period() {
        let mut recurrence = Recurrence::default();
        assert_eq!(recurrence.find(state(100, 5, 107), 1), None);
        assert_eq!(recurrence.find(state(150, 6, 158), 2), None, "due in 8, not in 7");
        let found = recurrence.find(state(200, 7, 207), 3);
        assert_eq!(found, Some(Period { jobs: 2, cycles: 100, before: 1 }));
    }

    #[test]
    fn irregular_states_never_recur() {
        let mut recurrence = Recurrence::default();
        let irregular = |now| {
            let mut snapshot = state(now, 1, now);
            snapshot.irregular();
            snapshot
        };
        assert_eq!(recurrence.find(irregular(1), ()), None);
        assert_eq!(recurrence.find(irregular(2), ()), None);
    }
}
