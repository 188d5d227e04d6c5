//! Feed-forward block: the dense one of a layer, and every expert of a mixture.

use ndarray::{Array1, Array2, ArrayView2};

use super::error::{OperandError, expect_shape};
use super::linear;

/// W2 f(W1 x + b1) + b2 with an activation f.
#[derive(Debug, Clone)]
pub struct FeedForward {
    /// W1, (hidden, features).
    pub up: Array2<f64>,
    /// b1, (hidden).
    pub up_bias: Array1<f64>,
    /// W2, (features, hidden).
    pub down: Array2<f64>,
    /// b2, (features).
    pub down_bias: Array1<f64>,
    /// f, applied to each element.
    pub activation: fn(f64) -> f64,
}

impl FeedForward {
    /// Applies the block to each row of `x` (tokens, features).
    ///
    /// # Errors
    /// Shapes that do not fit together.
    pub fn apply(&self, x: ArrayView2<'_, f64>) -> Result<Array2<f64>, OperandError> {
        let (features, hidden) = (x.ncols(), self.up.nrows());
        expect_shape("up", self.up.shape(), &[hidden, features])?;
        expect_shape("up_bias", self.up_bias.shape(), &[hidden])?;
        expect_shape("down", self.down.shape(), &[features, hidden])?;
        expect_shape("down_bias", self.down_bias.shape(), &[features])?;
        let hidden = linear(x, self.up.view(), Some(self.up_bias.view()))?;
        let hidden = hidden.mapv(self.activation);
        linear(hidden.view(), self.down.view(), Some(self.down_bias.view()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_activation_stands_between_the_two_layers() {
        let block = FeedForward {
            up: array![[1.0], [-1.0]],
            up_bias: array![0.0, 1.0],
            down: array![[2.0, 10.0]],
            down_bias: array![0.5],
            activation: |x| x.max(0.0),
        };
        // x = 3: hidden 3 and -2, clipped to 3 and 0. x = -1: -1 and 2, clipped to 0 and 2.
        assert_eq!(block.apply(array![[3.0], [-1.0]].view()).unwrap(), array![[6.5], [20.5]]);
        let error = block.apply(array![[1.0, 2.0]].view()).unwrap_err();
        assert_eq!(error.to_string(), "`up` is of shape (2, 1): expected shape (2, 2)");
    }
}
