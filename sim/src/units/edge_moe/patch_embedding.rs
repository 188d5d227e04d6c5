//! Patch embedding (`src/conv.cpp` of the released code): a word of pixels meets all features, a word of them
//! per cycle; a row of patches leaves while the next one comes.

use std::collections::VecDeque;

use attelier_hw::edge_moe::Sizes;

use super::outlet::Outlet;
use crate::units::edge_patch_embedding::EdgePatchEmbedding;

/// Operands, products, sums: from the last step of a row to when it may leave, beside the levels of the
/// tree \[cycles\].
const SUMS: u64 = 3;
/// Read, position, queue \[cycles\].
const LATENCY: u64 = 3;
/// Words that are on their way or wait.
const PLACES: usize = 4;

/// A row of patches that leaves.
#[derive(Debug, Clone)]
struct Row {
    /// From when on.
    from: u64,
    /// Pixels of each patch.
    patches: Vec<Vec<i32>>,
    /// Words that left.
    left: usize,
}

/// The unit.
#[derive(Debug, Clone)]
pub struct PatchEmbedding {
    sizes: Sizes,
    cycle: u64,
    arithmetic: EdgePatchEmbedding,
    /// Pixels that came of the patches of a row.
    patches: Vec<Vec<i32>>,
    words: u32,
    /// Steps that the word at hand still takes.
    steps: u32,
    rows: VecDeque<Row>,
    outlet: Outlet<Vec<i32>>,
    counted: u64,
}

impl PatchEmbedding {
    /// Weights of zero.
    pub fn new(sizes: &Sizes) -> Self {
        let (line, width) = (sizes.patch as usize, sizes.width as usize);
        let pixels = line * line * sizes.colours as usize;
        Self {
            sizes: sizes.clone(),
            cycle: 0,
            arithmetic: EdgePatchEmbedding {
                fixed: Default::default(),
                line,
                pixels,
                weights: vec![0; pixels * width],
                bias: vec![0; width],
            },
            patches: vec![Vec::new(); sizes.patch_columns as usize],
            words: 0,
            steps: 0,
            rows: VecDeque::new(),
            outlet: Outlet::new(PLACES),
            counted: 0,
        }
    }

    /// Writes the weights of a feature for one line of a patch; lines of a colour follow each other.
    pub fn write_weights(&mut self, feature: usize, line: usize, weights: &[i16]) {
        let at = feature * self.arithmetic.pixels + line * weights.len();
        self.arithmetic.weights[at..at + weights.len()].copy_from_slice(weights);
    }

    /// Writes the biases of a word of features.
    pub fn write_bias(&mut self, word: usize, bias: &[i32]) {
        let at = word * bias.len();
        self.arithmetic.bias[at..at + bias.len()].copy_from_slice(bias);
    }

    /// Words of pixels times words of features so far.
    pub fn steps(&self) -> u64 {
        self.counted
    }

    /// Whether nothing is under way: weights may be written.
    pub fn is_idle(&self) -> bool {
        self.words == 0 && self.steps == 0 && self.rows.is_empty() && self.outlet.is_empty()
    }

    /// Whether a word of pixels is taken.
    pub fn is_ready(&self) -> bool {
        self.steps == 0 && (self.words > 0 || self.rows.len() < 2)
    }

    /// Whether a word of a position is taken.
    pub fn takes_position(&self) -> bool {
        self.rows.front().is_some_and(|row| row.from <= self.cycle) && self.outlet.has_room()
    }

    /// A word that is offered.
    pub fn offered(&self) -> Option<&Vec<i32>> {
        self.outlet.offered()
    }

    /// One cycle: takes words where [`is_ready`](Self::is_ready) and
    /// [`takes_position`](Self::takes_position) say so, and gives one away if it is `taken`.
    pub fn tick(&mut self, pixels: Option<&[u8]>, position: Option<&[i32]>, taken: bool) {
        if let (true, Some(position)) = (self.takes_position(), position) {
            self.give(position);
        }
        let token_words = self.sizes.token_words();
        if self.steps > 0 {
            self.steps -= 1;
            self.counted += 1;
            self.end_row();
        } else if let (true, Some(pixels)) = (self.is_ready(), pixels) {
            let line = self.sizes.patch as usize;
            let pairs = pixels.len() / line;
            let group = self.words as usize % (self.patches.len() / pairs);
            for (pair, pixels) in pixels.chunks(line).enumerate() {
                let pixels = pixels.iter().map(|pixel| i32::from(*pixel));
                self.patches[group * pairs + pair].extend(pixels);
            }
            self.words += 1;
            self.counted += 1;
            self.steps = token_words - 1;
        }
        self.outlet.advance(taken);
        self.cycle += 1;
    }

    /// Ends the row with its last step.
    fn end_row(&mut self) {
        let is_complete = self.patches.iter().all(|patch| patch.len() == self.arithmetic.pixels);
        if self.steps == 0 && is_complete {
            let count = self.patches.len();
            let patches = std::mem::replace(&mut self.patches, vec![Vec::new(); count]);
            let from = self.cycle + SUMS + u64::from(self.sizes.patch.ilog2());
            self.rows.push_back(Row { from, patches, left: 0 });
            self.words = 0;
        }
    }

    fn give(&mut self, position: &[i32]) {
        let Some(row) = self.rows.front_mut() else { return };
        let words = self.sizes.token_words() as usize;
        let (patch, word) = (row.left / words, row.left % words);
        let mut positions = vec![0; self.sizes.width as usize];
        let range = word * position.len()..(word + 1) * position.len();
        positions[range.clone()].copy_from_slice(position);
        let features = self.arithmetic.patch(&row.patches[patch], &positions)[range].to_vec();
        row.left += 1;
        if row.left == words * row.patches.len() {
            self.rows.pop_front();
        }
        self.outlet.enter(LATENCY, features);
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::EdgeMoe;

    use super::*;
    use crate::datapath::fixed::ONE;

    /// By hand: four patches of 2 x 2 pixels, two in a word; weights of feature f are all 2^-4, and f is its
    /// bias. Patch p has pixels (p + 1) / 16.
    #[test]
    fn patches_leave_in_order_with_their_positions() {
        let mut sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        (sizes.patch, sizes.patch_columns, sizes.colours) = (2, 4, 1);
        (sizes.width, sizes.lanes) = (4, 2);
        let mut unit = PatchEmbedding::new(&sizes);
        for feature in 0..4 {
            (0..2).for_each(|line| unit.write_weights(feature, line, &[4096; 2]));
        }
        unit.write_bias(0, &[0, 1 << 11]);
        unit.write_bias(1, &[2 << 11, 3 << 11]);
        let mut words: VecDeque<[u8; 4]> = [[16, 16, 32, 32], [48, 48, 64, 64]].repeat(2).into();
        let mut found = Vec::new();
        for _ in 0..40 {
            found.extend(unit.offered().cloned());
            let word = if unit.is_ready() { words.pop_front() } else { None };
            unit.tick(word.as_ref().map(<[u8; 4]>::as_slice), Some(&[ONE; 2]), true);
        }
        let expected: Vec<i32> = (0..4)
            .flat_map(|patch| {
                (0..4).map(move |feature| (feature + 1) * ONE + (patch + 1) * ONE / 64)
            })
            .collect();
        assert_eq!(found.concat(), expected);
        assert!(unit.is_idle());
        // Four words of pixels times two of features.
        assert_eq!(unit.steps(), 8);
    }
}
