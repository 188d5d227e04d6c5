//! The weight loader (`src/linear.cpp` of the released code): rows of a matrix, as they lie in memory,
//! become blocks of weights for the linear unit; the bias follows.

use std::collections::VecDeque;

use attelier_hw::edge_moe::Sizes;

/// What is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Blocks side by side in a row of inputs.
    pub in_blocks: u32,
    /// Blocks of outputs.
    pub out_blocks: u32,
    /// The bias has 9 bits of fraction instead of 11.
    pub bias_of_attention: bool,
}

/// What is written in one cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// A block of weights, by output and input.
    Block {
        /// Its place in the buffer.
        address: u32,
        /// One row per output.
        rows: Vec<Vec<i16>>,
    },
    /// The bias of a block of outputs, with 11 bits of fraction.
    Bias {
        /// The block of outputs.
        address: u32,
        /// One per output.
        bias: Vec<i32>,
    },
}

/// What shows in one cycle.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// What is written.
    pub written: Option<Written>,
    /// All is written.
    pub done: bool,
}

/// The unit.
#[derive(Debug, Clone)]
pub struct WeightLoader {
    /// Rows of a block.
    rows: usize,
    layer: Option<Layer>,
    /// Words of the block of outputs at hand.
    words: Vec<Vec<i16>>,
    /// Blocks of outputs that are through, then words of bias.
    through: u32,
    address: u32,
    in_bias: bool,
    /// What shows in the next cycle.
    next: VecDeque<Shown>,
}

impl WeightLoader {
    /// Nothing to load.
    pub fn new(sizes: &Sizes) -> Self {
        Self {
            rows: sizes.block_outputs as usize,
            layer: None,
            words: Vec::new(),
            through: 0,
            address: 0,
            in_bias: false,
            next: VecDeque::new(),
        }
    }

    /// Whether a word is taken; only if not, a layer may start.
    pub fn is_ready(&self) -> bool {
        self.layer.is_some()
    }

    /// One cycle: starts a layer, or takes a word where [`is_ready`](Self::is_ready).
    pub fn tick(&mut self, start: Option<Layer>, word: Option<Vec<i16>>) -> Shown {
        let shown = self.next.pop_front().unwrap_or_default();
        match (self.layer, word) {
            (None, _) => {
                self.layer = start;
                (self.address, self.through, self.in_bias) = (0, 0, false);
            }
            (Some(layer), Some(word)) => self.take(layer, word),
            _ => {}
        }
        shown
    }

    fn take(&mut self, layer: Layer, word: Vec<i16>) {
        let columns = layer.in_blocks as usize;
        if self.in_bias {
            let scale = if layer.bias_of_attention { 4 } else { 1 };
            let bias = word.iter().map(|bias| i32::from(*bias) * scale).collect();
            let written = Some(Written::Bias { address: self.through, bias });
            self.through += 1;
            let done = self.through == layer.out_blocks;
            self.next.push_back(Shown { written, done });
            if done {
                self.layer = None;
            }
            return;
        }
        self.words.push(word);
        let column = (self.words.len() - 1) % columns;
        if self.words.len() <= columns * (self.rows - 1) {
            return;
        }
        let rows = (0..self.rows).map(|row| self.words[row * columns + column].clone()).collect();
        let written = Some(Written::Block { address: self.address, rows });
        self.next.push_back(Shown { written, done: false });
        self.address += 1;
        if self.words.len() == columns * self.rows {
            self.words.clear();
            self.through += 1;
            self.in_bias = self.through == layer.out_blocks;
            if self.in_bias {
                self.through = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::EdgeMoe;

    use super::*;

    /// Weight (o, i) of a matrix is 100 o + i: block b of outputs and c of inputs must hold exactly the
    /// weights of its outputs and inputs.
    #[test]
    fn blocks_hold_the_weights_of_their_outputs_and_inputs() {
        let mut sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        (sizes.block_inputs, sizes.block_outputs, sizes.word_weights) = (2, 2, 2);
        let mut unit = WeightLoader::new(&sizes);
        let layer = Layer { in_blocks: 3, out_blocks: 2, bias_of_attention: true };
        let mut words: VecDeque<Vec<i16>> = VecDeque::new();
        for output in 0..4 {
            words.extend(
                (0..3).map(|word| vec![100 * output + 2 * word, 100 * output + 2 * word + 1]),
            );
        }
        words.extend([vec![1, -2], vec![3, 4]]);
        let mut blocks = Vec::new();
        let mut biases = Vec::new();
        let mut shown = unit.tick(Some(layer), None);
        while !shown.done {
            let word = if unit.is_ready() { words.pop_front() } else { None };
            shown = unit.tick(None, word);
            match shown.written.clone() {
                Some(Written::Block { address, rows }) => blocks.push((address, rows)),
                Some(Written::Bias { address, bias }) => biases.push((address, bias)),
                None => {}
            }
        }
        assert_eq!(biases, [(0, vec![4, -8]), (1, vec![12, 16])]);
        let expected: Vec<_> = (0..6)
            .map(|address| {
                let (block, column) = (address / 3, address % 3);
                let row = |output: u32| {
                    (0..2).map(|input| (100 * output + 2 * column + input) as i16).collect()
                };
                (address, vec![row(2 * block), row(2 * block + 1)])
            })
            .collect();
        assert_eq!(blocks, expected);
        assert!(!unit.is_ready());
    }
}
