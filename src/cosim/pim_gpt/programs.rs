//! Programs of instructions: products of random matrices and vectors, as the compiler gives them.

use std::collections::{BTreeMap, VecDeque};

use attelier_hw::pim_gpt::PimGpt;
use attelier_rtl::Error;
use attelier_sim::datapath::bf16::Bf16;
use attelier_sim::datapath::bf16_mac::dot;
use attelier_sim::designs::pim_gpt::isa::{Function, Instruction};
use attelier_sim::designs::pim_gpt::stream::Stream;

use super::operands::moderate;
use crate::cosim::Random;

/// Rows between the streams of a product.
const ROWS: u32 = 16;
/// Most chunks of a vector.
const CHUNKS: u64 = 3;

/// Fewest rows: two products of so many chunks lie beside each other.
const LEAST_ROWS: u32 = 2 * ROWS * CHUNKS as u32;

/// Refuses a machine on which drawn programs find no room.
///
/// # Errors
/// Fewer rows than two products may take.
pub fn fit(params: &PimGpt) -> Result<(), Error> {
    let rows = params.memory.rows;
    if rows < LEAST_ROWS {
        let expected = "at least 96, which the programs of the comparison use";
        return Err(Error::parameter("sequencer", "memory.rows", rows, expected));
    }
    Ok(())
}

/// Products without end.
pub struct Programs {
    params: PimGpt,
    random: Random,
    instructions: VecDeque<Instruction>,
    /// Whether numbers are drawn for banks and vectors.
    values: bool,
    /// Bursts of each bank by row and column, of the product under way and the one before.
    pub arrays: BTreeMap<(u32, u32), Vec<Vec<Bf16>>>,
    /// Vectors in the order in which they are written.
    vectors: VecDeque<Vec<Vec<Bf16>>>,
    /// The vector that is being written to each half.
    writing: [Vec<Vec<Bf16>>; 2],
    /// What the read-outs to come show, a number per bank.
    pub products: VecDeque<Vec<Bf16>>,
    half: u32,
    upper: bool,
    event: u32,
}

impl Programs {
    /// For a machine; without `values`, instructions alone.
    pub fn new(params: &PimGpt, seed: u64, values: bool) -> Self {
        Self {
            params: params.clone(),
            random: Random::new(seed, 3),
            instructions: VecDeque::new(),
            values,
            arrays: BTreeMap::new(),
            vectors: VecDeque::new(),
            writing: [Vec::new(), Vec::new()],
            products: VecDeque::new(),
            half: 0,
            upper: false,
            event: 0,
        }
    }

    /// Whether a product ends here.
    pub fn is_between(&self) -> bool {
        self.instructions.is_empty()
    }

    /// The instruction at the head.
    pub fn head(&mut self) -> Option<Instruction> {
        if self.instructions.is_empty() {
            self.product();
        }
        self.instructions.front().copied()
    }

    /// The instruction at the head is taken.
    pub fn advance(&mut self) {
        self.instructions.pop_front();
    }

    /// What a burst that is written to the vector buffer consists of.
    pub fn burst(&mut self, half: u32, line: u32) -> Option<&Vec<Bf16>> {
        let writing = &mut self.writing[(half & 1) as usize];
        if line == 0 {
            *writing = self.vectors.pop_front()?;
        }
        writing.get(line as usize)
    }

    fn vector(&mut self, bursts: u32) -> Vec<Vec<Bf16>> {
        let (random, lanes) = (&mut self.random, self.params.mac.multipliers);
        (0..bursts).map(|_| (0..lanes).map(|_| moderate(random)).collect()).collect()
    }

    /// Something that the ASIC computes before a vector is written, or nothing.
    fn announce(&mut self) -> Option<u32> {
        let numbers = self.random.bits(32) as u32;
        match self.random.below(4) {
            0 => None,
            1 => {
                self.ask(Function::Softmax, numbers, None);
                None
            }
            // Some events never are announced, and are no obstacle.
            2 => Some(100 + self.random.below(28) as u32),
            _ => {
                self.event = (self.event + 1) % 100;
                self.ask(Function::Norm, numbers, Some(self.event));
                Some(self.event)
            }
        }
    }

    fn ask(&mut self, function: Function, numbers: u32, event: Option<u32>) {
        self.instructions.push_back(Instruction::Asic { function, numbers, event });
    }

    /// One vector in one to three chunks times one to three columns per bank.
    fn product(&mut self) {
        let memory = self.params.memory.clone();
        let columns = self.params.mac.columns;
        let lines = u64::from(memory.buffer_bytes / memory.burst_bytes);
        let double = memory.double_buffer;
        self.upper = !self.upper;
        let base = if self.upper { memory.rows / 2 } else { 0 };
        if self.random.chance(1, 2) {
            let count = 1 + self.random.below(memory.channels.into()) as u32;
            self.instructions.push_back(Instruction::Channels { count });
        }
        if self.random.chance(1, 8) {
            let (row, column, after) = (self.random.bits(8) as u32, 3, None);
            self.instructions.push_back(Instruction::WriteElement { row, column, after });
        }
        let count = 1 + self.random.below(CHUNKS);
        let chunks: Vec<u32> = (0..count)
            .map(|_| {
                // Short vectors are still being written when their MACs could begin.
                let most = if self.random.chance(1, 2) { lines.min(4) } else { lines };
                1 + self.random.below(most) as u32
            })
            .collect();
        for (index, &macs) in chunks.iter().enumerate() {
            self.half = if double { 1 - self.half } else { 0 };
            let half = self.half;
            if index == 0 || !double {
                let after = self.announce();
                let write = Instruction::WriteVector { half, bursts: macs, after, shadow: false };
                self.instructions.push_back(write);
            }
            if let Some(&bursts) = chunks.get(index + 1).filter(|_| double) {
                let after = self.announce();
                let half = 1 - half;
                let write = Instruction::WriteVector { half, bursts, after, shadow: true };
                self.instructions.push_back(write);
            }
            let functions = [Function::PartialSum, Function::Bias, Function::Maximum];
            let function = functions[self.random.below(3) as usize];
            self.instructions.push_back(Instruction::Beat { function });
            let results = 1 + self.random.below(3) as u32;
            let stream = Stream { row: base + ROWS * index as u32, results, macs, half };
            for row in 0..stream.rows(columns) {
                self.instructions.extend(stream.row(row, columns));
            }
            if self.values {
                self.fill(&stream, macs);
            }
        }
    }

    /// Numbers of a stream and of its vector, and what comes out.
    fn fill(&mut self, stream: &Stream, macs: u32) {
        let (banks, columns) = (self.params.memory.banks, self.params.mac.columns);
        let vector = self.vector(macs);
        let inputs = vector.concat();
        self.vectors.push_back(vector);
        for result in 0..stream.results {
            let mut weights = vec![Vec::new(); banks as usize];
            for at in result * macs..(result + 1) * macs {
                let bursts = self.vector(banks);
                for (weights, burst) in weights.iter_mut().zip(&bursts) {
                    weights.extend(burst);
                }
                self.arrays.insert((stream.row + at / columns, at % columns), bursts);
            }
            let multipliers = self.params.mac.multipliers as usize;
            let product = |weights: &Vec<Bf16>| dot(weights, &inputs, multipliers);
            self.products.push_back(weights.iter().map(product).collect());
        }
    }
}
