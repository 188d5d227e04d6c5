//! Softmax of the PIM-GPT ASIC: scores of a head in, exponentials and the reciprocal of their sum out.
//!
//! A row comes in beats of all lanes, only the last may have fewer numbers. Then the input is closed
//! until the row is read back. Numbers are those of [`Lanes::softmax`] with late division; a register
//! stands behind every multiplication and addition.

use crate::datapath::bf16::{Bf16, Fp32};
use crate::designs::pim_gpt::functional::asic::Lanes;

use super::pim_rows::{Beat, RowPasses, sum_cycles};

/// Range reduction 3, rest 3, five more terms of two operations, scaling 2 \[cycles\].
const EXPONENTIAL: u64 = 3 + 3 + 5 * 2 + 2;
/// Seed 2, three steps of four operations, scaling 2 \[cycles\].
const RECIPROCAL: u64 = 2 + 3 * 4 + 2;
/// From reading a beat to its numbers: memory, distance, exponential, rounding \[cycles\].
const TO_NUMBER: u64 = 1 + 1 + EXPONENTIAL + 1;

/// What shows in one cycle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// Exponentials of a beat, and whether it is the last of its row.
    pub numbers: Option<Beat<Bf16>>,
    /// One over the sum of a row.
    pub factor: Option<Fp32>,
}

/// The unit.
#[derive(Debug, Clone)]
pub struct PimSoftmax {
    lanes: Lanes,
    passes: RowPasses<Fp32, Shown>,
}

impl PimSoftmax {
    /// An empty unit of some lanes.
    pub fn new(lanes: usize) -> Self {
        Self { lanes: Lanes { count: lanes, divide_late: true }, passes: RowPasses::new() }
    }

    /// Whether a beat is taken in this cycle.
    pub fn is_ready(&self) -> bool {
        self.passes.is_ready()
    }

    /// One cycle: takes a beat if one is ready, returns what shows in this cycle. The scale of the last
    /// beat is that of the row.
    pub fn tick(&mut self, beat: Option<Beat<Fp32>>, scale: Fp32) -> Shown {
        let shown = self.passes.shown();
        if let Some(row) = self.passes.take(beat) {
            let softmax = self.lanes.softmax(&row, scale);
            // The product, the largest of a lane, the tree, and where it is kept.
            let reads = 3 + sum_cycles(self.lanes.count);
            let beats = softmax.numbers.chunks(self.lanes.count);
            let count = beats.len();
            for (at, numbers) in (0..).zip(beats) {
                let last = at + 1 == count as u64;
                let beat = Beat { numbers: numbers.to_vec(), last };
                self.passes.show(reads + at + TO_NUMBER, |shown| shown.numbers = Some(beat));
            }
            let sum = reads + count as u64 + TO_NUMBER + sum_cycles(self.lanes.count);
            let factor = softmax.factor();
            self.passes.show(sum + RECIPROCAL, |shown| shown.factor = Some(factor));
            self.passes.close(reads + count as u64);
        }
        self.passes.advance();
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: scores 0, ln 2 and 0 times 1 on two lanes. Exponentials 1/2, 1, then 1/2; one over 2 is 1/2.
    #[test]
    fn a_row_of_two_beats_shows_its_numbers_and_then_one_over_their_sum() {
        let mut unit = PimSoftmax::new(2);
        let fp32 = Fp32::from_f64;
        let two = 2f64.ln();
        let beats = [vec![fp32(0.0), fp32(two)], vec![fp32(0.0)]];
        let beats = (0..).zip(beats).map(|(at, numbers)| Some(Beat { numbers, last: at == 1 }));
        let (mut numbers, mut factors) = (Vec::new(), Vec::new());
        for (cycle, beat) in beats.chain(vec![None; 80]).enumerate() {
            assert_eq!(unit.is_ready(), !(2..=6).contains(&cycle), "cycle {cycle}");
            let shown = unit.tick(beat, Fp32::ONE);
            if let Some(beat) = shown.numbers {
                let values: Vec<f64> = beat.numbers.iter().map(|number| number.to_f64()).collect();
                numbers.push((cycle, values, beat.last));
            }
            factors.extend(shown.factor.map(|factor| (cycle, factor.to_f64())));
        }
        // Last beat in cycle 1; largest of the lanes in 3, of both in 4, first read in 5.
        assert_eq!(numbers, [(5 + 21, vec![0.5, 1.0], false), (6 + 21, vec![0.5], true)]);
        // Sums of the lanes in 28, of both in 29.
        assert_eq!(factors, [(29 + 16, 0.5)]);
    }
}
