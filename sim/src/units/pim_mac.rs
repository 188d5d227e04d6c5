//! Multiply-accumulate unit of a PIM-GPT bank: commands down one pipeline.
//!
//! A MAC command multiplies one burst of a row with as many numbers of the vector; a read-out shows
//! the accumulator with all MACs before it, rounded to BF16, and clears it. Stages: products, one per
//! level of the tree, and the accumulator for a MAC or the result for a read-out.

use std::collections::VecDeque;

use attelier_hw::pim_gpt::Mac;

use crate::datapath::bf16::{Bf16, Fp32};
use crate::datapath::bf16_mac::{read_out, step};

/// A command of one cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Adds the dot product of two vectors, as long as there are multipliers.
    Mac {
        /// Numbers of the row.
        weights: Vec<Bf16>,
        /// Numbers of the vector.
        inputs: Vec<Bf16>,
    },
    /// Shows and clears the accumulator.
    Read,
}

/// The unit.
#[derive(Debug, Clone)]
pub struct PimMac {
    /// The youngest command at the back; `None` for a cycle without one.
    stages: VecDeque<Option<Command>>,
    accumulator: Fp32,
}

impl PimMac {
    /// An empty unit.
    pub fn new(params: &Mac) -> Self {
        let stages = vec![None; Self::latency(params) as usize];
        Self { stages: stages.into(), accumulator: Fp32::ZERO }
    }

    /// From a read-out to its result \[cycles of the unit\].
    pub fn latency(params: &Mac) -> u32 {
        let levels = params.multipliers.max(1).ilog2();
        1 + levels + 1
    }

    /// One cycle: takes a command, returns the result that shows in this cycle.
    pub fn tick(&mut self, command: Option<Command>) -> Option<Bf16> {
        self.stages.push_back(command);
        match self.stages.pop_front().flatten()? {
            Command::Mac { weights, inputs } => {
                self.accumulator = step(self.accumulator, &weights, &inputs);
                None
            }
            Command::Read => {
                let result = read_out(self.accumulator);
                self.accumulator = Fp32::ZERO;
                Some(result)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit() -> PimMac {
        PimMac::new(&Mac { multipliers: 4, clock_hz: 1, columns: 1, interval: 1 })
    }

    fn mac(weight: f32, input: f32) -> Option<Command> {
        let (weights, inputs) = (vec![Bf16::from_f32(weight); 4], vec![Bf16::from_f32(input); 4]);
        Some(Command::Mac { weights, inputs })
    }

    /// By hand: 4 * 2 * 3 + 4 * 1 * 5 = 44, one product stage, two levels, result.
    #[test]
    fn a_read_out_shows_the_macs_before_it_after_four_cycles_and_clears() {
        let mut unit = unit();
        let commands = [mac(2.0, 3.0), mac(1.0, 5.0), Some(Command::Read), mac(1.0, 1.0)];
        let commands = commands.into_iter().chain([Some(Command::Read)]);
        let shown: Vec<Option<f32>> = commands
            .chain(vec![None; 6])
            .map(|command| unit.tick(command).map(Bf16::to_f32))
            .collect();
        let mut expected = vec![None; 11];
        (expected[6], expected[8]) = (Some(44.0), Some(4.0));
        assert_eq!(shown, expected);
    }
}
