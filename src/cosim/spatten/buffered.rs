//! What the drivers of the top-k engines share: elements worth selecting from, and their buffer.

use attelier_rtl::witness::{Frame, Pin, Pins};
use attelier_sim::units::{lfsr::Lfsr, quick_select::quick_select_observed};

use super::requests::Selection;
use crate::cosim::{Random, Source};

/// State of the pivot generators after the reset.
pub const SEED: u16 = 0x5eed;

/// Selections drawn one after the other.
pub fn drawn(mut random: Random, most: u32, width: u32) -> Source<Selection> {
    Box::new(std::iter::repeat_with(move || elements(&mut random, most, width)))
}

/// Random elements of a pass and the number to keep: uniform, few distinct, sorted, all equal.
pub fn elements(random: &mut Random, most: u32, width: u32) -> Selection {
    let most = match random.below(4) {
        0 => most.min(20),
        1 => most.min(100),
        _ => most,
    };
    let count = 1 + random.below(most.into());
    let kind = random.below(6);
    let same = random.bits(width);
    let element = |random: &mut Random| match kind {
        0 => same,
        1 => random.below(3),
        _ => random.bits(width),
    };
    let mut elements: Vec<u64> = (0..count).map(|_| element(random)).collect();
    match kind {
        2 => elements.sort_unstable(),
        3 => elements.sort_unstable_by_key(|element| std::cmp::Reverse(*element)),
        _ => {}
    }
    let keep = match random.below(8) {
        0 => 1,
        1 => count,
        _ => 1 + random.below(count),
    };
    (elements, keep as usize)
}

/// One round of a selection: its candidates and its pivot.
pub struct Round {
    /// What is compared.
    pub candidates: Vec<u64>,
    /// With what.
    pub pivot: u64,
}

/// All rounds of some selections by an engine of `lanes` lanes, one after the other.
pub fn rounds(selections: &[Selection], lanes: usize) -> Vec<Round> {
    let (mut rounds, mut lfsr) = (Vec::new(), Lfsr::new(SEED));
    for (values, keep) in selections {
        // Nothing here depends on the overhead of a round.
        quick_select_observed(values, *keep, lanes, 0, &mut lfsr, |candidates, pivot| {
            rounds.push(Round { candidates: candidates.to_vec(), pivot });
        });
    }
    rounds
}

/// The write port of a row buffer.
pub struct BufferPins {
    write: Pin,
    row: Pin,
    lanes: Vec<Pin>,
}

impl BufferPins {
    /// The ports `write`, `write_row`, `write_0`, ...
    pub fn of(pins: &Pins, lanes: u32) -> Self {
        Self {
            write: pins.input("write"),
            row: pins.input("write_row"),
            lanes: pins.input_lanes("write", lanes),
        }
    }

    /// Drives the row of that number, or no write beyond the end. Returns whether it writes.
    pub fn drive(&self, frame: &mut Frame, elements: &[u64], number: Option<usize>) -> bool {
        let row = number.and_then(|number| elements.chunks(self.lanes.len()).nth(number));
        frame.drive(self.write, row.is_some().into());
        frame.drive(self.row, number.unwrap_or(0) as u64);
        for (lane, pin) in self.lanes.iter().enumerate() {
            frame.drive(*pin, row.and_then(|row| row.get(lane)).copied().unwrap_or(0));
        }
        row.is_some()
    }
}
