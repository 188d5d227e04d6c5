//! A unit under test: inputs by name, outputs compared by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use attelier_rtl::bits::Bits;
use attelier_rtl::ir::Module;
use attelier_rtl::{Design, Port, Simulator};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// What was compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Beats that left the unit.
    pub beats: u64,
    pub cycles: u64,
    /// Values of outputs.
    pub signals: u64,
}

pub struct Dut {
    simulator: Simulator,
    inputs: BTreeMap<String, (Port, u32)>,
    outputs: BTreeMap<String, (Port, u32)>,
    pub counts: Counts,
}

impl Dut {
    pub fn new(module: &Arc<Module>) -> Self {
        let design = Design::new([module]).unwrap();
        let mut simulator = Simulator::new(&design, module.name()).unwrap();
        let port = |name: &str, port: Port, width: u32| (name.to_owned(), (port, width));
        let inputs = module
            .inputs()
            .map(|(name, ty)| port(name, simulator.input(name).unwrap(), ty.width))
            .collect();
        let outputs = module
            .outputs()
            .map(|(name, ty)| port(name, simulator.output(name).unwrap(), ty.width))
            .collect();
        simulator.reset();
        Self { simulator, inputs, outputs, counts: Counts::default() }
    }

    /// Sets an input; of a negative value the lowest bits.
    pub fn set(&mut self, input: &str, value: impl Into<i64>) {
        let (port, _) = self.inputs[input];
        self.simulator.write(port, value.into().cast_unsigned());
    }

    /// Sets an input to words of `bits` bits side by side, the first one lowest.
    pub fn set_words(&mut self, input: &str, words: &[i32], bits: u32) {
        let (port, width) = self.inputs[input];
        let mut value = Bits::zero(width);
        for (at, word) in (0..).zip(words) {
            value.place(at * bits, &Bits::from_signed(i64::from(*word), bits));
        }
        self.simulator.write_bits(port, &value);
    }

    /// Compares an output with a value, of which the lowest bits count.
    pub fn expect(&mut self, output: &str, value: impl Into<i64>) -> Result<(), String> {
        let (port, width) = self.outputs[output];
        let mask = if width >= 64 { u64::MAX } else { (1 << width) - 1 };
        let (found, wanted) = (self.simulator.read(port), value.into().cast_unsigned() & mask);
        self.counts.signals += 1;
        match found == wanted {
            true => Ok(()),
            false => {
                let cycle = self.counts.cycles;
                Err(format!("cycle {cycle}: {output} is {found:#x}, expected {wanted:#x}"))
            }
        }
    }

    /// Ends the cycle.
    pub fn step(&mut self) {
        self.simulator.step();
        self.counts.cycles += 1;
    }
}

/// Random numbers with phases: how often something happens changes from time to time, so that full
/// speed, starvation and back-pressure all last for a while.
pub struct Chance {
    pub random: Pcg64Mcg,
    odds: [u32; 4],
    left: u32,
}

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self { random: Pcg64Mcg::seed_from_u64(seed), odds: [8; 4], left: 0 }
    }

    /// Begins a cycle.
    pub fn next_cycle(&mut self) {
        if self.left == 0 {
            self.left = self.random.random_range(10..200);
            self.odds = std::array::from_fn(|_| [1, 3, 6, 8, 8][self.random.random_range(0..5)]);
        }
        self.left -= 1;
    }

    /// Whether event `which` of four happens in this cycle.
    pub fn happens(&mut self, which: usize) -> bool {
        self.random.random_range(0..8) < self.odds[which]
    }

    pub fn below(&mut self, limit: u32) -> u32 {
        self.random.random_range(0..limit)
    }

    /// A word of `bits` bits with sign; the extremes are frequent.
    pub fn word(&mut self, bits: u32) -> i32 {
        let limit = 1i32 << (bits - 1);
        match self.below(8) {
            0 => -limit,
            1 => limit - 1,
            2 => 0,
            _ => self.random.random_range(-limit..limit),
        }
    }

    /// Words that are random, or all at one extreme.
    pub fn words(&mut self, count: u32, bits: u32) -> Vec<i32> {
        let limit = 1i32 << (bits - 1);
        match self.below(16) {
            0 => vec![-limit; count as usize],
            1 => vec![limit - 1; count as usize],
            _ => (0..count).map(|_| self.word(bits)).collect(),
        }
    }
}

/// The lowest `count` bits set.
pub fn lanes(count: u32) -> i64 {
    (1i64 << count) - 1
}
