//! The parts of a transformer other than attention, in 32-bit floats.

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut1, Axis};

/// An affine map of rows.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    /// [inputs, outputs].
    pub weight: Array2<f32>,
    /// [outputs].
    pub bias: Option<Array1<f32>>,
}

impl Linear {
    /// Rows [rows, inputs] to [rows, outputs].
    pub fn apply(&self, rows: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut result = rows.dot(&self.weight);
        if let Some(bias) = &self.bias {
            result += bias;
        }
        result
    }
}

/// A normalization of each row.
#[derive(Debug, Clone)]
pub(super) enum Norm {
    /// Layer normalization (Ba et al., 2016): mean 0 and variance 1, then an affine map.
    Layer { weight: Array1<f32>, bias: Array1<f32>, epsilon: f32 },
    /// Root-mean-square normalization (Zhang and Sennrich, 2019).
    RootMeanSquare { weight: Array1<f32>, epsilon: f32 },
}

impl Norm {
    pub fn apply(&self, rows: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut result = rows.to_owned();
        for row in result.axis_iter_mut(Axis(0)) {
            self.apply_row(row);
        }
        result
    }

    fn apply_row(&self, mut row: ArrayViewMut1<'_, f32>) {
        let count = row.len() as f32;
        match self {
            Norm::Layer { weight, bias, epsilon } => {
                let mean = row.sum() / count;
                row -= mean;
                let variance = row.dot(&row) / count;
                row /= (variance + epsilon).sqrt();
                row *= weight;
                row += bias;
            }
            Norm::RootMeanSquare { weight, epsilon } => {
                let square = row.dot(&row) / count;
                row /= (square + epsilon).sqrt();
                row *= weight;
            }
        }
    }
}

/// A function of each element, under the name that configurations use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `x * Phi(x)`, with the error function.
    Gelu,
    /// Its approximation with tanh (Hendrycks and Gimpel, 2016).
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x * sigmoid(x)`.
    Silu,
}

impl Activation {
    /// Names that [`Activation::named`] knows.
    pub const NAMES: &'static str = "gelu, gelu_new, gelu_pytorch_tanh, relu, silu";

    pub fn named(name: &str) -> Option<Activation> {
        match name {
            "gelu" => Some(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Some(Activation::GeluTanh),
            "relu" => Some(Activation::Relu),
            "silu" | "swish" => Some(Activation::Silu),
            _ => None,
        }
    }

    pub fn apply(self, x: f32) -> f32 {
        use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_PI};
        match self {
            Activation::Gelu => 0.5 * x * (1.0 + libm::erff(x * FRAC_1_SQRT_2)),
            Activation::GeluTanh => {
                0.5 * x * (1.0 + (FRAC_2_PI.sqrt() * (x + 0.044_715 * x * x * x)).tanh())
            }
            Activation::Relu => x.max(0.0),
            Activation::Silu => x / (1.0 + (-x).exp()),
        }
    }
}

/// The feed-forward network of a layer.
#[derive(Debug, Clone)]
pub(super) struct FeedForward {
    pub up: Linear,
    /// Whose activation multiplies that of `up` (SwiGLU, Shazeer, 2020); without it the
    /// activation is applied to `up` itself.
    pub gate: Option<Linear>,
    pub activation: Activation,
    pub down: Linear,
}

impl FeedForward {
    pub fn apply(&self, rows: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut hidden = self.up.apply(rows);
        match &self.gate {
            Some(gate) => {
                let opened = gate.apply(rows).mapv_into(|x| self.activation.apply(x));
                hidden *= &opened;
            }
            None => hidden.mapv_inplace(|x| self.activation.apply(x)),
        }
        self.down.apply(hidden.view())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[track_caller]
    fn close(found: f32, expected: f64) {
        assert!((f64::from(found) - expected).abs() < 2e-6, "{found} instead of {expected}");
    }

    #[test]
    fn activations_have_their_tabulated_values_at_one_and_minus_two() {
        // Phi(1) = 0.841344746 and Phi(-2) = 0.022750132 from tables of the normal distribution;
        // sigmoid(1) = 0.731058579; the tanh approximation of GELU by hand calculator.
        close(Activation::Gelu.apply(1.0), 0.841_344_746);
        close(Activation::Gelu.apply(-2.0), -2.0 * 0.022_750_132);
        close(Activation::GeluTanh.apply(1.0), 0.841_192);
        close(Activation::Silu.apply(1.0), 0.731_058_579);
        close(Activation::Relu.apply(-2.0), 0.0);
    }

    #[test]
    fn a_layer_norm_of_two_values_is_plus_and_minus_one() {
        let (weight, bias) = (array![2.0, 2.0], array![0.0, 1.0]);
        let norm = Norm::Layer { weight, bias, epsilon: 0.0 };
        assert_eq!(norm.apply(array![[3.0, 7.0]].view()), array![[-2.0, 3.0]]);
    }

    #[test]
    fn a_root_mean_square_norm_divides_by_the_root_mean_square() {
        let norm = Norm::RootMeanSquare { weight: array![1.0, 10.0], epsilon: 0.5 };
        // (1 + 6) / 2 = 3.5, and with epsilon 4.
        let rows = array![[1.0, 6f32.sqrt()]];
        let result = norm.apply(rows.view());
        close(result[[0, 0]], 0.5);
        close(result[[0, 1]], 6f64.sqrt() * 5.0);
    }

    #[test]
    fn a_gate_multiplies_and_a_plain_network_does_not() {
        let linear = |weight: f32| Linear { weight: array![[weight]], bias: None };
        let plain = FeedForward {
            up: linear(2.0),
            gate: None,
            activation: Activation::Relu,
            down: linear(3.0),
        };
        assert_eq!(plain.apply(array![[5.0], [-5.0]].view()), array![[30.0], [0.0]]);
        let gated = FeedForward { gate: Some(linear(-1.0)), ..plain };
        assert_eq!(gated.apply(array![[5.0], [-5.0]].view()), array![[0.0], [-150.0]]);
    }
}
