//! Linear layer.

use ndarray::{Array2, ArrayView1, ArrayView2};

use super::error::{OperandError, expect_shape};

/// x W^T + b: row t of the result is the weight matrix applied to row t of `x`, plus the bias.
///
/// Shapes: `x` (tokens, inputs), `weight` (outputs, inputs) as PyTorch stores it, `bias` (outputs);
/// the result is (tokens, outputs).
///
/// # Errors
/// Shapes that do not fit together.
pub fn linear(
    x: ArrayView2<'_, f64>,
    weight: ArrayView2<'_, f64>,
    bias: Option<ArrayView1<'_, f64>>,
) -> Result<Array2<f64>, OperandError> {
    let (tokens, inputs) = x.dim();
    let outputs = weight.nrows();
    expect_shape("weight", weight.shape(), &[outputs, inputs])?;
    if let Some(bias) = bias {
        expect_shape("bias", bias.shape(), &[outputs])?;
    }
    let mut y = Array2::zeros((tokens, outputs));
    for token in 0..tokens {
        for output in 0..outputs {
            let bias = bias.map_or(0.0, |bias| bias[output]);
            y[[token, output]] = x.row(token).dot(&weight.row(output)) + bias;
        }
    }
    Ok(y)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn rows_of_the_weight_are_outputs() {
        let x = array![[1.0, 2.0, 3.0], [0.0, -1.0, 0.5]];
        let weight = array![[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]];
        let bias = array![10.0, 20.0];
        let y = linear(x.view(), weight.view(), Some(bias.view())).unwrap();
        assert_eq!(y, array![[17.0, 19.0], [11.0, 18.5]]);
    }

    #[test]
    fn operands_that_do_not_fit_are_named() {
        let (x, weight) = (Array2::zeros((2, 3)), Array2::zeros((4, 2)));
        let error = linear(x.view(), weight.view(), None).unwrap_err();
        assert_eq!(error.to_string(), "`weight` is of shape (4, 2): expected shape (4, 3)");
        let (weight, bias) = (Array2::zeros((4, 3)), array![0.0]);
        let error = linear(x.view(), weight.view(), Some(bias.view())).unwrap_err();
        assert_eq!(error.operand, "bias");
    }
}
