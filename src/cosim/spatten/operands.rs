//! Words, vectors and rows that model drivers draw.

use attelier_rtl::bits::Bits;
use attelier_rtl::witness::{Frame, Pin, Pins};

use crate::cosim::Random;

/// Two's complement of `bits` bits; the extremes are frequent.
pub fn word(random: &mut Random, bits: u32) -> i32 {
    let limit = 1i64 << (bits - 1);
    let word = match random.below(8) {
        0 => -limit,
        1 => limit - 1,
        2 => 0,
        _ => random.bits(bits) as i64 - limit,
    };
    word as i32
}

/// Words that are random, or all at one extreme.
pub fn words(random: &mut Random, count: u32, bits: u32) -> Vec<i32> {
    let limit = 1i64 << (bits - 1);
    match random.below(16) {
        0 => vec![-limit as i32; count as usize],
        1 => vec![(limit - 1) as i32; count as usize],
        _ => (0..count).map(|_| word(random, bits)).collect(),
    }
}

/// Vectors that are read from a buffer in one cycle.
pub type Line = Vec<Vec<i32>>;

/// Vectors of `dim` words as lines of `width`, zeros where there is none.
pub fn lines(vectors: &[Vec<i32>], width: u32, dim: u32) -> Vec<Line> {
    let line = |vectors: &[Vec<i32>]| {
        let mut line = vectors.to_vec();
        line.resize(width as usize, vec![0; dim as usize]);
        line
    };
    vectors.chunks(width as usize).map(line).collect()
}

/// Words side by side, the first one lowest.
pub fn packed(words: &[i32], bits: u32) -> Bits {
    let mut value = Bits::zero(words.len() as u32 * bits);
    for (at, word) in (0..).zip(words) {
        value.place(at * bits, &Bits::from_signed(i64::from(*word), bits));
    }
    value
}

/// The lowest `count` bits set, at most 64.
pub fn lanes(count: u32) -> u64 {
    u64::MAX.checked_shr(64 - count.min(64)).unwrap_or(0)
}

/// One row of a pass.
#[derive(Debug, Clone)]
pub struct Row {
    /// One value per lane.
    pub data: Vec<i64>,
    /// A bit per lane that holds a key.
    pub keep: u64,
    /// Whether it is the last of its pass.
    pub last: bool,
}

impl Row {
    /// Row `at` of `all` values of a pass, of which the first `keys` count.
    pub fn of(all: &[i64], width: u32, at: u32, keys: u32) -> Self {
        let (first, behind) = (at * width, (at + 1) * width);
        Self {
            data: all[first as usize..behind as usize].to_vec(),
            keep: lanes((keys - first).min(width)),
            last: behind >= keys,
        }
    }
}

/// Ports of a stream of rows.
#[derive(Debug, Clone)]
pub struct RowPins {
    valid: Pin,
    ready: Pin,
    last: Pin,
    keep: Pin,
    data: Vec<Pin>,
}

impl RowPins {
    /// Stream into the unit.
    pub fn input(pins: &Pins, lanes: u32) -> Self {
        Self {
            valid: pins.input("s_axis_tvalid"),
            ready: pins.output("s_axis_tready"),
            last: pins.input("s_axis_tlast"),
            keep: pins.input("s_axis_tkeep"),
            data: pins.input_lanes("s_axis_tdata", lanes),
        }
    }

    /// Stream out of the unit.
    pub fn output(pins: &Pins, lanes: u32) -> Self {
        Self {
            valid: pins.output("m_axis_tvalid"),
            ready: pins.input("m_axis_tready"),
            last: pins.output("m_axis_tlast"),
            keep: pins.output("m_axis_tkeep"),
            data: pins.output_lanes("m_axis_tdata", lanes),
        }
    }

    /// Offers a row, or drives noise beside a valid bit that is 0.
    pub fn offer(&self, frame: &mut Frame, row: Option<&Row>, noise: &mut Random) {
        frame.drive(self.valid, u64::from(row.is_some()));
        let Some(row) = row else {
            for pin in self.data.iter().chain([&self.keep, &self.last]) {
                frame.drive(*pin, noise.bits(64));
            }
            return;
        };
        frame.drive(self.last, u64::from(row.last));
        frame.drive(self.keep, row.keep);
        for (pin, value) in self.data.iter().zip(&row.data) {
            frame.drive(*pin, value.cast_unsigned());
        }
    }

    /// Says whether the unit takes a row that is offered.
    pub fn expect_ready(&self, frame: &mut Frame, ready: bool) {
        frame.expect(self.ready, u64::from(ready));
    }

    /// Says whether this end takes a row.
    pub fn take(&self, frame: &mut Frame, ready: bool) {
        frame.drive(self.ready, u64::from(ready));
    }

    /// Says which row shows, if one does.
    pub fn expect(&self, frame: &mut Frame, row: Option<&Row>) {
        frame.expect(self.valid, u64::from(row.is_some()));
        let Some(row) = row else { return };
        frame.expect(self.last, u64::from(row.last));
        frame.expect(self.keep, row.keep);
        for (pin, value) in self.data.iter().zip(&row.data) {
            frame.expect(*pin, value.cast_unsigned());
        }
    }
}
