//! Banks that wait for the same command, and how long the wait surely lasts.
//!
//! Earliest cycles only rise, so the result of a failed look stays a lower bound until a bank joins
//! the set: most looks then cost one comparison per rank.

use crate::command::CommandId;
use crate::engine::Engine;

/// A set of banks with a lower bound per rank.
#[derive(Debug, Clone)]
pub(crate) struct BankSet {
    banks_per_rank: usize,
    words_per_rank: usize,
    bits: Vec<u64>,
    /// No bank of the rank can issue before this cycle; `u64::MAX` for an empty rank.
    wake: Vec<u64>,
}

impl BankSet {
    pub fn new(engine: &Engine) -> BankSet {
        let ranks = engine.organization().ranks as usize;
        let banks_per_rank = engine.organization().banks_per_rank() as usize;
        let words_per_rank = banks_per_rank.div_ceil(64);
        BankSet {
            banks_per_rank,
            words_per_rank,
            bits: vec![0; ranks * words_per_rank],
            wake: vec![u64::MAX; ranks],
        }
    }

    #[inline]
    fn place(&self, bank: usize) -> (usize, usize, u64) {
        let (rank, inside) = (bank / self.banks_per_rank, bank % self.banks_per_rank);
        (rank, rank * self.words_per_rank + inside / 64, 1 << (inside % 64))
    }

    /// Adds or removes a bank.
    #[inline]
    pub fn set(&mut self, bank: usize, member: bool) {
        let (rank, word, bit) = self.place(bank);
        let known = self.bits[word] & bit != 0;
        if member && !known {
            self.bits[word] |= bit;
            self.wake[rank] = 0;
        } else if !member && known {
            self.bits[word] &= !bit;
        }
    }


    /// Drops the lower bounds, so that the next look is complete.
    pub fn forget(&mut self) {
        self.wake.fill(0);
    }

    /// Calls `ready` for every member, outside `held`, that could take `command` now, and lowers
    /// `next` to the first cycle at which another could.
    #[inline]
    pub fn scan(
        &mut self,
        engine: &Engine,
        command: CommandId,
        held: Option<&BankSet>,
        now: u64,
        next: &mut u64,
        mut ready: impl FnMut(usize),
    ) {
        for rank in 0..self.wake.len() {
            let wake = self.wake[rank];
            if wake > now {
                *next = (*next).min(wake);
                continue;
            }
            let outer = engine.earliest_rank(command, rank);
            let mut soonest = u64::MAX;
            let mut found = false;
            for word in 0..self.words_per_rank {
                let index = rank * self.words_per_rank + word;
                let mut bits = self.bits[index] & !held.map_or(0, |held| held.bits[index]);
                if bits != 0 && outer > now {
                    soonest = outer;
                    break;
                }
                while bits != 0 {
                    let bank = rank * self.banks_per_rank + word * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    let at = engine.earliest_inside(command, bank);
                    if at <= now {
                        found = true;
                        ready(bank);
                    } else {
                        soonest = soonest.min(at);
                    }
                }
            }
            if !found {
                self.wake[rank] = soonest;
                *next = (*next).min(soonest);
            }
        }
    }
}
