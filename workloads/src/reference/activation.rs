//! Activation functions, element by element.

use libm::erfc;

/// x Phi(x), where Phi is the standard normal distribution: the exact GELU of Hendrycks and Gimpel
/// (arXiv 1606.08415), used by BERT, ViT and M3ViT.
///
/// Written with the complementary error function so that the far negative side keeps its relative
/// precision. (The `erfc` of `statrs` 0.19 is off by up to 1e-10, that of `libm` by one unit in the
/// last place.)
pub fn gelu(x: f64) -> f64 {
    0.5 * x * erfc(-x / std::f64::consts::SQRT_2)
}

/// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): the approximation of the same paper, used by
/// GPT-2.
pub fn gelu_tanh(x: f64) -> f64 {
    let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
    0.5 * x * (1.0 + inner.tanh())
}

/// x / (1 + exp(-x)), also called swish; used by the gated feed-forward layers of LLaMA.
pub fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Phi(1) = 0.841344746068543 and Phi(-2) = 0.022750131948179 from tables of the normal
    /// distribution.
    #[test]
    fn gelu_is_x_times_the_tabulated_normal_distribution() {
        assert!((gelu(1.0) - 0.841_344_746_068_543).abs() < 1e-14);
        assert!((gelu(-2.0) + 2.0 * 0.022_750_131_948_179).abs() < 1e-14);
        assert_eq!(gelu(0.0), 0.0);
    }

    /// GELU(x) - GELU(-x) = x for every x, and the same for its approximation and for SiLU.
    #[test]
    fn each_activation_differs_from_its_mirror_image_by_x() {
        for activation in [gelu, gelu_tanh, silu] {
            for step in -80..=80 {
                let x = f64::from(step) / 10.0;
                assert!((activation(x) - activation(-x) - x).abs() < 1e-13, "{x}");
            }
        }
    }

    /// The largest error of the approximation is 4.7324e-4, at |x| = 2.699 (SciPy's erf on a grid
    /// of step 1e-6).
    #[test]
    fn the_approximation_of_gelu_is_off_by_at_most_half_a_thousandth() {
        let errors = (-800..=800).map(|step| {
            let x = f64::from(step) / 100.0;
            (gelu(x) - gelu_tanh(x)).abs()
        });
        let worst = errors.fold(0.0, f64::max);
        assert!((4.731e-4..4.733e-4).contains(&worst), "{worst}");
    }

    #[test]
    fn activations_stay_finite_at_the_ends_of_the_range() {
        for activation in [gelu, gelu_tanh, silu] {
            assert_eq!(activation(1e6), 1e6);
            assert_eq!(activation(-1e6).abs(), 0.0);
        }
    }
}
