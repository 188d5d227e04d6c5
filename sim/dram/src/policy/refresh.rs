//! When refreshes fall due, and which bank a per-bank refresh takes.

use crate::engine::Engine;
use crate::error::TableError;
use crate::organization::Organization;
use crate::timing::Timing;

/// Refresh scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// None.
    Off,
    /// Every rank once per interval, all its banks at once.
    AllBank {
        /// tREFI [cycles].
        interval: u64,
    },
    /// One bank of every rank once per interval.
    PerBank {
        /// tREFIpb [cycles].
        interval: u64,
        /// Which bank.
        order: PerBankOrder,
    },
}

/// Order of per-bank refreshes inside one round over all banks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerBankOrder {
    /// Bank by bank, whatever waits for it.
    InTurn,
    /// A bank without waiting requests first, postponing up to eight refreshes; in the spirit of
    /// the out-of-order per-bank refresh of Chang et al., HPCA 2014.
    IdleFirst,
}

/// Refreshes a rank may be behind schedule before a busy bank is taken; JESD79-4 allows eight.
const MAX_POSTPONED: u32 = 8;

impl Refresh {
    pub(crate) fn check(self) -> Result<(), TableError> {
        match self {
            Refresh::AllBank { interval: 0 } | Refresh::PerBank { interval: 0, .. } => {
                Err(TableError::Controller {
                    field: "refresh interval",
                    value: "0".to_owned(),
                    expected: "at least 1 cycle",
                })
            }
            _ => Ok(()),
        }
    }

    /// Checks that these timings know the refresh and leave time for something else.
    ///
    /// # Errors
    /// A timing of the refresh is absent, or the interval is too short for it.
    pub fn check_timing(
        self,
        timing: &Timing,
        organization: &Organization,
    ) -> Result<(), TableError> {
        let name = "refresh interval";
        match self {
            Refresh::Off => Ok(()),
            Refresh::AllBank { interval } => timing.check_all_bank_refresh(name, interval),
            Refresh::PerBank { interval, .. } => {
                timing.check_per_bank_refresh(name, interval, organization.banks_per_rank())
            }
        }
    }
}

/// Next multiple of an interval, starting with the first after zero.
#[derive(Debug, Clone)]
pub(crate) struct Timer {
    interval: u64,
    due: u64,
}

impl Timer {
    pub fn new(interval: u64) -> Timer {
        Timer { interval, due: interval }
    }

    /// Whether a due time has been reached; advances past it.
    pub fn fire(&mut self, now: u64) -> bool {
        let fired = self.due <= now;
        if fired {
            self.due = self.due.saturating_add(self.interval);
        }
        fired
    }

    pub fn due(&self) -> u64 {
        self.due
    }
}

/// Per-bank refresh with free choice of the bank.
#[derive(Debug, Clone)]
pub(crate) struct PerBank {
    timer: Timer,
    order: PerBankOrder,
    banks_per_rank: usize,
    /// Refreshes each rank owes.
    debt: Vec<u32>,
    /// Banks refreshed in the current round.
    done: Vec<bool>,
    /// The bank each rank is about to refresh.
    current: Vec<Option<usize>>,
}

impl PerBank {
    pub fn new(interval: u64, order: PerBankOrder, engine: &Engine) -> PerBank {
        let ranks = engine.organization().ranks as usize;
        PerBank {
            timer: Timer::new(interval),
            order,
            banks_per_rank: engine.organization().banks_per_rank() as usize,
            debt: vec![0; ranks],
            done: vec![false; engine.banks()],
            current: vec![None; ranks],
        }
    }

    pub fn due(&self) -> u64 {
        self.timer.due()
    }

    /// Whether any rank owes a refresh.
    pub fn in_debt(&self) -> bool {
        self.debt.iter().any(|&debt| debt > 0)
    }

    /// Notes due refreshes and picks banks; `busy` tells whether requests wait for a bank. The
    /// banks chosen now, if any.
    #[inline]
    pub fn advance(&mut self, now: u64, busy: impl Fn(usize) -> bool) -> Option<Vec<usize>> {
        while self.timer.fire(now) {
            for debt in &mut self.debt {
                *debt += 1;
            }
        }
        self.in_debt().then(|| self.choose(busy))
    }

    fn choose(&mut self, busy: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut chosen = Vec::new();
        for rank in 0..self.debt.len() {
            if self.debt[rank] == 0 || self.current[rank].is_some() {
                continue;
            }
            let first = rank * self.banks_per_rank;
            let mut waiting = (first..first + self.banks_per_rank).filter(|&bank| !self.done[bank]);
            let urgent = self.order == PerBankOrder::InTurn || self.debt[rank] > MAX_POSTPONED;
            self.current[rank] =
                if urgent { waiting.next() } else { waiting.find(|&bank| !busy(bank)) };
            chosen.extend(self.current[rank]);
        }
        chosen
    }

    /// The bank a rank is about to refresh.
    pub fn chosen(&self, rank: usize) -> Option<usize> {
        self.current[rank]
    }

    pub fn refreshed(&mut self, bank: usize) {
        let rank = bank / self.banks_per_rank;
        self.current[rank] = None;
        self.debt[rank] -= 1;
        self.done[bank] = true;
        let round = &mut self.done[rank * self.banks_per_rank..(rank + 1) * self.banks_per_rank];
        if round.iter().all(|&done| done) {
            round.fill(false);
        }
    }
}
