//! Banks that wait for the same command, and how long the wait surely lasts.
//!
//! Earliest cycles only rise, so the result of a failed look stays a lower bound until a bank joins
//! the set: most looks then cost one comparison per rank.

use crate::command::CommandId;
use crate::engine::{Engine, Place};
use crate::policy::Core;

/// A command found ready.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pick {
    pub command: CommandId,
    /// The request it is for.
    pub slot: u32,
    pub seq: u64,
}

/// A set of banks with a lower bound per rank.
#[derive(Debug, Clone)]
pub(crate) struct BankSet {
    banks_per_rank: usize,
    words_per_rank: usize,
    bits: Vec<u64>,
    /// No bank of the rank can issue before this cycle; `u64::MAX` for an empty rank.
    wake: Vec<u64>,
    /// Smallest of `wake`, or less.
    first_wake: u64,
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
            first_wake: u64::MAX,
        }
    }

    /// Adds a bank that cannot issue before `earliest`.
    #[inline]
    pub fn insert(&mut self, place: Place, earliest: u64) {
        self.bits[place.word as usize] |= place.bit;
        let wake = &mut self.wake[place.rank as usize];
        *wake = earliest.min(*wake);
        self.first_wake = self.first_wake.min(earliest);
    }

    /// Removes a bank.
    #[inline]
    pub fn remove(&mut self, place: Place) {
        self.bits[place.word as usize] &= !place.bit;
    }

    /// Drops the lower bounds, so that the next look is complete.
    pub fn forget(&mut self) {
        self.wake.fill(0);
        self.first_wake = 0;
    }

    /// Keeps in `best` the oldest request, of one per member in `slots`, that could take `command`
    /// now; lowers `next` to the first cycle at which another could.
    #[inline]
    pub fn scan(
        &mut self,
        core: &Core,
        command: CommandId,
        slots: &[u32],
        held: Option<&BankSet>,
        now: u64,
        next: &mut u64,
        best: &mut Option<Pick>,
    ) {
        if self.first_wake <= now {
            self.look(core, command, slots, held, now, best);
        }
        *next = (*next).min(self.first_wake);
    }

    fn look(
        &mut self,
        core: &Core,
        command: CommandId,
        slots: &[u32],
        held: Option<&BankSet>,
        now: u64,
        best: &mut Option<Pick>,
    ) {
        let earliest = core.engine.earliest_of(command);
        let mut first_wake = u64::MAX;
        for rank in 0..self.wake.len() {
            let wake = self.wake[rank];
            if wake <= now {
                let outer = earliest.rank(rank);
                let mut soonest = u64::MAX;
                for word in 0..self.words_per_rank {
                    let place = rank * self.words_per_rank + word;
                    let mut bits = self.bits[place] & !held.map_or(0, |held| held.bits[place]);
                    if bits != 0 && outer > now {
                        soonest = outer;
                        break;
                    }
                    let first = rank * self.banks_per_rank + word * 64;
                    while bits != 0 {
                        let bank = first + bits.trailing_zeros() as usize;
                        bits &= bits - 1;
                        let slot = slots[bank];
                        let seq = core.pool.get(slot).seq;
                        if best.is_some_and(|best| best.seq < seq) {
                            // Ready or not, it would lose; something issues now anyway.
                            soonest = 0;
                            continue;
                        }
                        let at = earliest.inside(bank);
                        soonest = soonest.min(at);
                        if at <= now {
                            *best = Some(Pick { command, slot, seq });
                        }
                    }
                }
                self.wake[rank] = soonest;
            }
            first_wake = first_wake.min(self.wake[rank]);
        }
        self.first_wake = first_wake;
    }
}
