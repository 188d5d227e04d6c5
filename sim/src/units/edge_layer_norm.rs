//! Layer normalization of Edge-MoE: mean and mean of squares in one pass, the token again in a second.
//!
//! Each feature, and each square of one, is multiplied with one over the width, cut to a feature and added.
//! The variance is the mean of squares minus the square of the mean plus epsilon; its inverse root is one
//! over the root. Then (x - mean) times root, times weight, plus bias, each cut to a feature. A square has as
//! many integer bits as it needs until it is divided by the width.
//!
//! With a variance below 2^-18 the inverse root leaves the range of features; the layers of the
//! deployed model stay far above.

use attelier_hw::edge_moe::formats::{BIAS, FEATURE};

use crate::datapath::fixed::{Fixed, ONE, quantise};
use crate::datapath::fixed_functions::inverse_square_root;

/// Added to the variance (released code), in real numbers.
const EPSILON: f64 = 1e-6;

/// One layer norm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeLayerNorm {
    /// Arithmetic.
    pub fixed: Fixed,
    /// One per feature, in units of [`BIAS`].
    pub weight: Vec<i32>,
    /// One per feature, in units of [`BIAS`].
    pub bias: Vec<i32>,
}

/// What the first pass leaves of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moments {
    /// Mean.
    pub mean: i32,
    /// Mean of squares.
    pub square: i32,
}

impl Moments {
    /// Adds one feature, where `share` is one over the width.
    pub fn add(&mut self, fixed: Fixed, x: i32, share: i32) {
        self.mean = fixed.add(self.mean, fixed.product(x, share));
        let square = (i64::from(x) * i64::from(x)) >> FEATURE.fraction;
        let square = (i128::from(square) * i128::from(share)) >> FEATURE.fraction;
        // At most 2^40 times a share of at most one.
        self.square = fixed.add(self.square, fixed.fit(square as i64));
    }

    /// One over the standard deviation.
    pub fn inverse_deviation(&self, fixed: Fixed) -> i32 {
        let variance = fixed.subtract(self.square, fixed.product(self.mean, self.mean));
        let epsilon = quantise(FEATURE, EPSILON, fixed.saturate);
        inverse_square_root(fixed, fixed.add(variance, epsilon))
    }
}

impl EdgeLayerNorm {
    /// One token.
    pub fn token(&self, token: &[i32]) -> Vec<i32> {
        let fixed = self.fixed;
        // Cut, as every constant of the released code.
        let share = ONE / token.len().max(1) as i32;
        let mut moments = Moments::default();
        token.iter().for_each(|&x| moments.add(fixed, x, share));
        let root = moments.inverse_deviation(fixed);
        let output = |(&x, (&weight, &bias)): (&i32, (&i32, &i32))| {
            let normal = fixed.product(fixed.subtract(x, moments.mean), root);
            let scaled = fixed.multiply(normal, weight, BIAS.fraction);
            fixed.add(scaled, bias << (FEATURE.fraction - BIAS.fraction))
        };
        token.iter().zip(self.weight.iter().zip(&self.bias)).map(output).collect()
    }
}

#[cfg(test)]
mod tests {
    use attelier_workloads::reference;
    use ndarray::{Array1, Array2};
    use proptest::prelude::*;

    use super::*;
    use crate::datapath::fixed::real;

    fn norm(width: usize, weight: i32, bias: i32) -> EdgeLayerNorm {
        EdgeLayerNorm {
            fixed: Fixed::default(),
            weight: vec![weight; width],
            bias: vec![bias; width],
        }
    }

    /// 4 features of mean 5 and variance 9 + 4 units of epsilon, whose root is 3: times 2, plus 1.
    #[test]
    fn a_token_is_centred_and_scaled() {
        let token = [2, 8, 2, 8].map(|x| x * ONE);
        let found = norm(4, 2 << 11, 1 << 11).token(&token);
        // Cutting 1/3 loses a third of a bit of 3 and then doubles it.
        assert_eq!(found, [-ONE + 2, 3 * ONE - 2, -ONE + 2, 3 * ONE - 2]);
    }

    #[test]
    fn a_token_without_variance_becomes_the_bias() {
        assert_eq!(norm(4, 1 << 11, 3 << 11).token(&[7 * ONE; 4]), [3 * ONE; 4]);
    }

    /// 30 squared does not fit a feature, its share does.
    #[test]
    fn squares_beyond_the_range_do_not_wrap() {
        let mut moments = Moments::default();
        moments.add(Fixed::default(), 30 * ONE, ONE / 4);
        assert_eq!(moments, Moments { mean: 30 * ONE / 4, square: 225 * ONE });
    }

    proptest! {
        /// Cuts shift the mean by up to a bit per feature and the mean of squares by two; with deviations
        /// around one that is well below 2^-13 of the result.
        #[test]
        fn tokens_are_close_to_the_mathematics(
            token in prop::collection::vec(-8 * ONE..8 * ONE, 192),
            weight in -4096i32..4096,
        ) {
            let x = Array2::from_shape_fn((1, 192), |(_, i)| real(FEATURE, token[i]));
            let weights = Array1::from_elem(192, real(BIAS, weight));
            let bias = Array1::zeros(192);
            let exact = reference::layer_norm(x.view(), weights.view(), bias.view(), 1e-6).unwrap();
            for (found, exact) in norm(192, weight, 0).token(&token).iter().zip(&exact) {
                prop_assert!((real(FEATURE, *found) - exact).abs() < 2.0f64.powi(-12));
            }
        }
    }
}
