//! Patch embedding of Edge-MoE: pixels of a patch times weights, plus bias and position.
//!
//! In each beat a line of pixels of one colour meets weights of some features; colours follow each other,
//! and the lines within one. Products of 8 by 16 bits are cut to features, two bits of them lost, and
//! added to sums that start with the bias. The embedding of the position comes last.

use attelier_hw::edge_moe::formats::{BIAS, FEATURE, PATCH_WEIGHT, PIXEL};

use crate::datapath::fixed::Fixed;

/// Fraction bits of a product beyond those of a feature.
const SURPLUS: u32 = PIXEL.fraction + PATCH_WEIGHT.fraction - FEATURE.fraction;

/// The embedding of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgePatchEmbedding {
    /// Arithmetic.
    pub fixed: Fixed,
    /// Pixels of a line of a patch.
    pub line: usize,
    /// Pixels of a patch with all colours.
    pub pixels: usize,
    /// Weights: (features, colours, lines, pixels of a line), in units of [`PATCH_WEIGHT`].
    pub weights: Vec<i16>,
    /// One per feature, in units of [`BIAS`].
    pub bias: Vec<i32>,
}

impl EdgePatchEmbedding {
    /// One patch, (colours, lines, pixels of a line) in units of [`PIXEL`], at a place with this
    /// embedding.
    pub fn patch(&self, pixels: &[i32], position: &[i32]) -> Vec<i32> {
        let features = self.weights.chunks_exact(self.pixels).zip(&self.bias).zip(position);
        let feature = |((weights, &bias), &position): ((&[i16], &i32), &i32)| {
            let start = bias << (FEATURE.fraction - BIAS.fraction);
            let lines = pixels.chunks(self.line).zip(weights.chunks(self.line));
            let sum = lines.fold(start, |sum, (pixels, weights)| {
                self.fixed.dot(sum, pixels, weights, SURPLUS)
            });
            self.fixed.add(sum, position)
        };
        features.map(feature).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapath::fixed::ONE;

    /// By hand: pixels 1/2 and 3/4, weights 1/4 and -3/8, bias 1, position 2; then weights of one last bit.
    #[test]
    fn pixels_meet_weights_bias_and_position() {
        let unit = EdgePatchEmbedding {
            fixed: Fixed::default(),
            line: 2,
            pixels: 2,
            weights: vec![16_384, -24_576, 1, -1],
            bias: vec![1 << 11, 0],
        };
        let expected = 3 * ONE + ONE / 8 - 9 * ONE / 32;
        // 128 >> 2 and -192 >> 2 units.
        assert_eq!(unit.patch(&[128, 192], &[2 * ONE, 0]), [expected, 32 - 48]);
        // 1 >> 2 is 0 and -1 >> 2 is -1.
        assert_eq!(unit.patch(&[1, 1], &[0, 0])[1], -1);
    }
}
