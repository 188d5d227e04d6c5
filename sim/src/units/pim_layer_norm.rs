//! Layer normalization of the PIM-GPT ASIC: mean and variance of a row, then the row again.
//!
//! Beats and passes are those of [`super::pim_softmax`]; numbers are those of
//! [`crate::designs::pim_gpt::functional::asic::Norm`].

use crate::datapath::bf16::Bf16;
use crate::designs::pim_gpt::functional::asic::{Lanes, Norm};

use super::pim_rows::{Beat, RowPasses, sum_cycles};

/// Mean, its square, variance, epsilon, and five operations of the inverse root \[cycles\].
const STATISTICS: u64 = 4 + 5;
/// From reading a beat to its results: memory, four operations, rounding \[cycles\].
const TO_RESULT: u64 = 1 + 4 + 1;

/// What shows in one cycle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// Weights and biases of this beat of the row are asked for; they come one cycle later.
    pub asks: Option<u64>,
    /// Results of a beat, and whether it is the last of its row.
    pub results: Option<Beat<Bf16>>,
}

/// The unit.
#[derive(Debug, Clone)]
pub struct PimLayerNorm {
    lanes: Lanes,
    passes: RowPasses<Bf16, Shown>,
}

impl PimLayerNorm {
    /// An empty unit of some lanes.
    pub fn new(lanes: usize) -> Self {
        Self { lanes: Lanes { count: lanes, divide_late: true }, passes: RowPasses::new() }
    }

    /// Whether a beat is taken in this cycle.
    pub fn is_ready(&self) -> bool {
        self.passes.is_ready()
    }

    /// One cycle: takes a beat if one is ready, returns what shows in this cycle. Weights, biases and
    /// epsilon of the row are looked up when its last beat comes.
    pub fn tick(&mut self, beat: Option<Beat<Bf16>>, norm: &Norm) -> Shown {
        let shown = self.passes.shown();
        if let Some(row) = self.passes.take(beat) {
            let results = norm.apply(&row, &self.lanes);
            // Numbers and squares, sums of the lanes, tree, statistics, and where they are kept.
            let reads = 3 + sum_cycles(self.lanes.count) + STATISTICS;
            let beats = results.chunks(self.lanes.count);
            let count = beats.len() as u64;
            for (at, numbers) in (0..).zip(beats) {
                let beat = Beat { numbers: numbers.to_vec(), last: at + 1 == count };
                self.passes.show(reads + at, |shown| shown.asks = Some(at));
                self.passes.show(reads + at + TO_RESULT, |shown| shown.results = Some(beat));
            }
            self.passes.close(reads + count);
        }
        self.passes.advance();
        shown
    }
}

#[cfg(test)]
mod tests {
    use crate::datapath::bf16::Fp32;

    use super::*;

    /// By hand: 1 and 3 on two lanes have mean 2 and variance 1; with an epsilon of 3, the inverse root
    /// of 4 is 0.5 but for its error of 0.17 %. Times 8, plus 1: -3 and 5 in BF16.
    #[test]
    fn a_row_comes_back_normalized() {
        let bf16 = |value: f32| Bf16::from_f32(value);
        let norm = Norm {
            weight: vec![bf16(8.0); 2],
            bias: vec![bf16(1.0); 2],
            epsilon: Fp32::from_f32(3.0),
        };
        let mut unit = PimLayerNorm::new(2);
        let beat = Beat { numbers: vec![bf16(1.0), bf16(3.0)], last: true };
        let (mut asked, mut results) = (Vec::new(), Vec::new());
        for (cycle, beat) in [Some(beat)].into_iter().chain(vec![None; 40]).enumerate() {
            let shown = unit.tick(beat, &norm);
            asked.extend(shown.asks.map(|at| (cycle, at)));
            results.extend(shown.results.map(|beat| (cycle, beat)));
        }
        // Numbers in 1, sums in 2, tree in 3, statistics in 12, kept in 13.
        assert_eq!(asked, [(13, 0)]);
        let expected = Beat { numbers: vec![bf16(-3.0), bf16(5.0)], last: true };
        assert_eq!(results, [(13 + 6, expected)]);
    }
}
