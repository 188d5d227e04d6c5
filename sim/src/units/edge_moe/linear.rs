//! The unified linear unit (`src/linear.cpp` of the released code): rows of features times blocks of weights
//! out of one of two buffers.
//!
//! Each product is cut to a feature before it is added; sums wrap, as they do in the released number
//! formats. One block of weights is used per cycle.

use attelier_hw::edge_moe::Sizes;

use crate::datapath::fixed::Fixed;
use crate::units::edge_gelu::gelu;
use crate::units::edge_linear::EdgeLinear;

use super::outlet::Outlet;
use super::weight_loader::Written;

/// Stages of GELU \[cycles\].
const GELU: u64 = 3;
/// Results that are on their way or wait.
const PLACES: usize = 4;

/// A layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// Rows.
    pub tokens: u32,
    /// Blocks of inputs.
    pub in_blocks: u32,
    /// Blocks of outputs.
    pub out_blocks: u32,
    /// Whether the weights lie in the second buffer.
    pub second: bool,
    /// Whether GELU follows.
    pub with_gelu: bool,
}

/// What one of the buffers holds.
#[derive(Debug, Clone, Default)]
struct Buffer {
    /// Blocks by address, then output, then input.
    blocks: Vec<Vec<Vec<i16>>>,
    biases: Vec<Vec<i32>>,
}

/// A layer under way.
#[derive(Debug, Clone)]
struct Work {
    job: Job,
    /// Rows and blocks of outputs that are through, and blocks of inputs of the one at hand.
    at: [u32; 3],
    row: Vec<Vec<i32>>,
    sums: Vec<i32>,
}

/// The unit.
#[derive(Debug, Clone)]
pub struct Linear {
    /// From a step to what it shows \[cycles\].
    latency: u64,
    arithmetic: EdgeLinear,
    buffers: [Buffer; 2],
    work: Option<Work>,
    /// A layer whose results have not all left.
    busy: bool,
    outlet: Outlet<Vec<i32>>,
    steps: u64,
}

impl Linear {
    /// Empty buffers.
    pub fn new(sizes: &Sizes) -> Self {
        // Operands, products, a level for each power of two, accumulator, GELU, queue.
        let latency = u64::from(sizes.block_inputs.ilog2()) + 4 + GELU;
        let arithmetic =
            EdgeLinear { fixed: Fixed::default(), inputs: sizes.block_inputs as usize };
        let buffer = Buffer {
            blocks: vec![Vec::new(); sizes.buffer_blocks as usize],
            biases: vec![Vec::new(); (sizes.hidden / sizes.block_outputs) as usize],
        };
        let buffers = [buffer.clone(), buffer];
        Self {
            latency,
            arithmetic,
            buffers,
            work: None,
            busy: false,
            outlet: Outlet::new(PLACES),
            steps: 0,
        }
    }

    /// Writes to a buffer, at the end of a cycle.
    pub fn write(&mut self, second: bool, written: Written) {
        let buffer = &mut self.buffers[usize::from(second)];
        match written {
            Written::Block { address, rows } => buffer.blocks[address as usize] = rows,
            Written::Bias { address, bias } => buffer.biases[address as usize] = bias,
        }
    }

    /// Whether a layer is under way; only if not, one may start.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether a block of inputs is taken.
    pub fn is_ready(&self) -> bool {
        self.work.as_ref().is_some_and(|work| work.at[1] == 0 && self.has_place(work))
    }

    /// Blocks of weights that were multiplied.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// A result that is offered.
    pub fn offered(&self) -> Option<&Vec<i32>> {
        self.outlet.offered()
    }

    /// Whether all results have left in this cycle.
    pub fn is_done(&self) -> bool {
        self.busy && self.work.is_none() && self.outlet.is_empty()
    }

    /// One cycle: starts a layer, takes a block of inputs where [`is_ready`](Self::is_ready), and gives a
    /// result away if it is `taken`.
    pub fn tick(&mut self, start: Option<Job>, inputs: Option<Vec<i32>>, taken: bool) {
        let is_done = self.is_done();
        if let Some(mut work) = self.work.take() {
            let enters = work.at[1] == 0;
            let steps = self.has_place(&work) && (!enters || inputs.is_some());
            if let (true, Some(inputs)) = (enters && steps, inputs) {
                work.row.push(inputs);
            }
            let finished = steps && self.step(&mut work);
            self.work = (!finished).then_some(work);
        } else if !self.busy {
            self.work =
                start.map(|job| Work { job, at: [0; 3], row: Vec::new(), sums: Vec::new() });
            self.busy = self.work.is_some();
        }
        self.busy &= !is_done;
        self.outlet.advance(taken);
    }

    fn has_place(&self, work: &Work) -> bool {
        work.at[2] + 1 < work.job.in_blocks || self.outlet.has_room()
    }

    /// Multiplies a block; true after the last one.
    fn step(&mut self, work: &mut Work) -> bool {
        self.steps += 1;
        let Job { tokens, in_blocks, out_blocks, second, with_gelu } = work.job;
        let [row, block, column] = work.at;
        let buffer = &self.buffers[usize::from(second)];
        if column == 0 {
            let bias = &buffer.biases[block as usize];
            work.sums = bias.iter().map(|bias| EdgeLinear::start(*bias)).collect();
        }
        let inputs = &work.row[column as usize];
        let weights = &buffer.blocks[(block * in_blocks + column) as usize];
        for (sum, weights) in work.sums.iter_mut().zip(weights) {
            *sum = self.arithmetic.step(*sum, inputs, weights);
        }
        if column + 1 < in_blocks {
            work.at[2] += 1;
            return false;
        }
        let results = work.sums.iter().map(|sum| if with_gelu { gelu(*sum) } else { *sum });
        self.outlet.enter(self.latency, results.collect());
        let next_row = block + 1 == out_blocks;
        work.at = if next_row { [row + 1, 0, 0] } else { [row, block + 1, 0] };
        if next_row {
            work.row.clear();
        }
        work.at[0] == tokens
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::EdgeMoe;

    use super::*;

    const ONE: i32 = 1 << 22;

    /// By hand: a row (1, 2, 3, 4) times the weights o + i / 4 of output o and input i, bias o.
    #[test]
    fn a_row_times_a_matrix_is_what_it_is_by_hand() {
        let mut sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        (sizes.block_inputs, sizes.block_outputs, sizes.buffer_blocks, sizes.hidden) = (2, 2, 2, 4);
        let mut unit = Linear::new(&sizes);
        for address in 0..2u32 {
            let weight = |o: i32, i: i32| (((o << 2) + i) << 12) as i16 / 4;
            let column = 2 * address as i32;
            let rows = (0..2).map(|o| vec![weight(o, column), weight(o, column + 1)]).collect();
            unit.write(true, Written::Block { address, rows });
        }
        unit.write(true, Written::Bias { address: 0, bias: vec![0, 1 << 11] });
        let job = Job { tokens: 1, in_blocks: 2, out_blocks: 1, second: true, with_gelu: false };
        unit.tick(Some(job), None, true);
        unit.tick(None, Some(vec![ONE, 2 * ONE]), true);
        unit.tick(None, Some(vec![3 * ONE, 4 * ONE]), true);
        // The second block came one cycle before; eight cycles in all, one level of a tree.
        for _ in 0..7 {
            assert!(unit.offered().is_none() && !unit.is_done());
            unit.tick(None, None, true);
        }
        // Weights are (o + i / 4) / 4: 0, 1/16, 2/16, 3/16 for output 0, and 1/4 more for output 1.
        let sum = (2 + 2 * 3 + 3 * 4) * ONE / 16;
        assert_eq!(unit.offered(), Some(&vec![sum, sum + 10 * ONE / 4 + ONE]));
        unit.tick(None, None, true);
        assert!(unit.is_done());
        unit.tick(None, None, true);
        assert!(!unit.is_busy());
    }

    #[test]
    fn products_are_cut_towards_minus_infinity() {
        let mut sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        (sizes.block_inputs, sizes.block_outputs, sizes.buffer_blocks, sizes.hidden) = (2, 2, 2, 4);
        let mut unit = Linear::new(&sizes);
        let rows = vec![vec![1, 1], vec![-1, 1]];
        unit.write(false, Written::Block { address: 0, rows });
        unit.write(false, Written::Bias { address: 0, bias: vec![0, 0] });
        unit.tick(
            Some(Job { tokens: 1, in_blocks: 1, out_blocks: 1, second: false, with_gelu: false }),
            None,
            true,
        );
        // 1 and -1 of the last place, times 2^-14 and -2^-14.
        unit.tick(None, Some(vec![1, -1]), true);
        for _ in 0..7 {
            unit.tick(None, None, true);
        }
        assert_eq!(unit.offered(), Some(&vec![-1, -2]));
    }
}
