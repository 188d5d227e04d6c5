//! What the drivers of the top-k engines share: elements worth selecting from, and their buffer.

use attelier_rtl::witness::{Frame, Pin, Pins};

use crate::cosim::Random;

/// State of the pivot generators after the reset.
pub const SEED: u16 = 0x5eed;

/// Random elements of a pass and the number to keep: uniform, few distinct, sorted, all equal.
pub fn elements(random: &mut Random, most: u32, width: u32) -> (Vec<u64>, usize) {
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
