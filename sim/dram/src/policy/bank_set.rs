//! Banks that wait for the same command, and how long the wait surely lasts.
//!
//! Earliest cycles only rise, so the result of a failed look stays a lower bound until a bank joins
//! the set: most looks then cost one comparison per rank.

use crate::command::{self, CommandId};
use crate::engine::{Engine, Place};
use crate::policy::Core;
use crate::request::NONE;

/// A command found ready; the oldest request wins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pick {
    pub command: CommandId,
    /// The request it is for.
    pub slot: u32,
    /// Its order of acceptance; `u64::MAX` while nothing is found.
    pub seq: u64,
}

impl Pick {
    pub const NOTHING: Pick = Pick { command: command::ACT, slot: NONE, seq: u64::MAX };

    pub fn found(&self) -> bool {
        self.seq != u64::MAX
    }
}

/// One look for ready commands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    pub core: &'a Core,
    /// Banks that are left out.
    pub held: &'a BankSet,
    pub now: u64,
}

/// Up to 64 banks of one rank.
#[derive(Debug, Clone)]
struct Segment {
    bits: u64,
    /// No bank of the segment can issue before this cycle; `u64::MAX` when it is empty.
    wake: u64,
    rank: usize,
    first_bank: usize,
}

/// A set of banks with lower bounds.
#[derive(Debug, Clone)]
pub(crate) struct BankSet {
    segments: Vec<Segment>,
    /// Smallest `wake` of all segments, or less.
    first_wake: u64,
}

impl BankSet {
    pub fn new(engine: &Engine) -> BankSet {
        let ranks = engine.organization().ranks as usize;
        let banks = engine.organization().banks_per_rank() as usize;
        let segment = |rank: usize, word: usize| Segment {
            bits: 0,
            wake: u64::MAX,
            rank,
            first_bank: rank * banks + word * 64,
        };
        let words = banks.div_ceil(64);
        let segments = (0..ranks).flat_map(|rank| (0..words).map(move |word| segment(rank, word)));
        BankSet { segments: segments.collect(), first_wake: u64::MAX }
    }

    /// Adds a bank that cannot issue before `earliest`.
    #[inline]
    pub fn insert(&mut self, place: Place, earliest: u64) {
        let segment = &mut self.segments[place.segment as usize];
        segment.bits |= place.bit;
        segment.wake = segment.wake.min(earliest);
        self.first_wake = self.first_wake.min(earliest);
    }

    /// Removes a bank.
    #[inline]
    pub fn remove(&mut self, place: Place) {
        self.segments[place.segment as usize].bits &= !place.bit;
    }

    pub fn contains(&self, place: Place) -> bool {
        self.segments[place.segment as usize].bits & place.bit != 0
    }

    /// Drops the lower bounds, so that the next look is complete.
    pub fn forget(&mut self) {
        self.segments.iter_mut().for_each(|segment| segment.wake = 0);
        self.first_wake = 0;
    }

    /// A cycle before which no member can issue.
    #[inline]
    pub fn first_wake(&self) -> u64 {
        self.first_wake
    }

    /// Keeps in `best` the oldest request, of one per member in `slots`, that could take `command`
    /// now; lowers `next` to the first cycle at which another could.
    #[inline]
    pub fn scan(
        &mut self,
        look: &Look<'_>,
        command: CommandId,
        slots: &[u32],
        next: &mut u64,
        best: &mut Pick,
    ) {
        if self.first_wake <= look.now {
            self.visit(look, command, slots, best);
        }
        *next = (*next).min(self.first_wake);
    }

    fn visit(&mut self, look: &Look<'_>, command: CommandId, slots: &[u32], best: &mut Pick) {
        let &Look { core, held, now } = look;
        let earliest = core.engine.earliest_of(command);
        let mut first_wake = u64::MAX;
        for (segment, held) in self.segments.iter_mut().zip(&held.segments) {
            if segment.wake <= now {
                let mut bits = segment.bits & !held.bits;
                let outer = earliest.rank(segment.rank);
                let mut soonest = if bits == 0 { u64::MAX } else { outer };
                if soonest <= now {
                    soonest = u64::MAX;
                    while bits != 0 {
                        let bank = segment.first_bank + bits.trailing_zeros() as usize;
                        bits &= bits - 1;
                        let slot = slots[bank];
                        let seq = core.pool.get(slot).seq;
                        if seq > best.seq {
                            // Ready or not, it would lose.
                            soonest = 0;
                            continue;
                        }
                        let at = earliest.inside(bank);
                        soonest = soonest.min(at);
                        if at <= now {
                            *best = Pick { command, slot, seq };
                        }
                    }
                }
                segment.wake = soonest;
            }
            first_wake = first_wake.min(segment.wake);
        }
        self.first_wake = first_wake;
    }
}
