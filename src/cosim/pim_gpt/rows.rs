//! Rows of numbers as an ASIC gets them, beat by beat.

use attelier_hw::pim_gpt::Asic;
use attelier_rtl::witness::{Frame, Pin, Pins};
use attelier_sim::datapath::bf16::Float;
use attelier_sim::units::pim_rows::Beat;

use crate::cosim::{Pace, Plan, Random};

/// Most beats of most rows.
const MOST_BEATS: u64 = 12;

/// Most beats of any row: what the memory of the ASIC holds of numbers of so many bytes, down to a power
/// of two, at most 4,096.
pub fn longest(asic: &Asic, number_bytes: u64) -> u64 {
    let beats = asic.sram_bytes / number_bytes / u64::from(asic.multipliers);
    beats.checked_ilog2().map_or(1, |bits| 1 << bits.min(12))
}

/// Lanes of the hardware units: those of one slice.
pub fn lanes(asic: &Asic) -> u32 {
    asic.multipliers.min(8)
}

/// Rows of random length, at random pace; a beat waits until it is taken.
pub struct Rows<const FRACTION: u32> {
    lanes: u32,
    longest: u64,
    random: Random,
    pace: Pace,
    pins: [Pin; 3],
    data: Vec<Pin>,
    /// Beats after which no row begins.
    most: u64,
    /// Numbers of the row that are still to come.
    left: u64,
    waiting: Option<Beat<Float<FRACTION>>>,
}

impl<const FRACTION: u32> Rows<FRACTION> {
    /// No row yet.
    pub fn new(pins: &Pins, lanes: u32, plan: Plan, longest: u64) -> Self {
        Self {
            lanes,
            longest,
            random: Random::new(plan.seed, 1),
            pace: Pace::new(plan.seed, 2),
            pins: ["s_axis_tvalid", "s_axis_tlast", "s_axis_tkeep"].map(|name| pins.input(name)),
            data: pins.input_lanes("s_axis_tdata", lanes),
            most: plan.beats,
            left: 0,
            waiting: None,
        }
    }

    /// Whether a row ended and none has begun.
    pub fn is_between(&self) -> bool {
        self.left == 0 && self.waiting.is_none()
    }

    /// Drives the stream for one cycle; returns the beat that is taken in it.
    pub fn offer(
        &mut self,
        frame: &mut Frame,
        ready: bool,
        number: impl Fn(&mut Random) -> Float<FRACTION>,
    ) -> Option<Beat<Float<FRACTION>>> {
        let begins = self.left > 0 || frame.beats() < self.most;
        if self.waiting.is_none() && self.pace.willing() && begins {
            if self.left == 0 {
                let lanes = u64::from(self.lanes);
                let short = MOST_BEATS.min(self.longest) * lanes;
                self.left = match self.random.below(64) {
                    0 => self.longest * lanes,
                    1 => 1 + self.random.below(self.longest * lanes),
                    _ => 1 + self.random.below(short),
                };
            }
            let count = self.left.min(self.lanes.into());
            self.left -= count;
            let numbers = (0..count).map(|_| number(&mut self.random)).collect();
            self.waiting = Some(Beat { numbers, last: self.left == 0 });
        }
        let [valid, last, keep] = self.pins;
        frame.drive(valid, u64::from(self.waiting.is_some()));
        let noise = self.random.bits(2);
        frame.drive(last, self.waiting.as_ref().map_or(noise & 1, |beat| beat.last.into()));
        let kept = self.waiting.as_ref().map_or(0, |beat| beat.numbers.len());
        frame.drive(keep, (1 << kept) - 1);
        for (lane, pin) in self.data.iter().enumerate() {
            let given = self.waiting.as_ref().and_then(|beat| beat.numbers.get(lane));
            let bits = given.copied().unwrap_or_else(|| number(&mut self.random)).to_bits();
            frame.drive(*pin, bits.into());
        }
        if ready && self.waiting.is_some() {
            frame.count_beat();
            return self.waiting.take();
        }
        None
    }
}
