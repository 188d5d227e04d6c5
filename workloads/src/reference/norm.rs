//! Normalisation over the features of each token.

use ndarray::{Array2, ArrayView1, ArrayView2};

use super::error::{OperandError, expect_shape};

/// (x - mean) / sqrt(variance + epsilon) * weight + bias for each row, with the variance of the
/// whole population (Ba et al., arXiv 1607.06450).
///
/// Shapes: `x` and the result (tokens, features), `weight` and `bias` (features).
///
/// # Errors
/// Shapes that do not fit together.
pub fn layer_norm(
    x: ArrayView2<'_, f64>,
    weight: ArrayView1<'_, f64>,
    bias: ArrayView1<'_, f64>,
    epsilon: f64,
) -> Result<Array2<f64>, OperandError> {
    let features = x.ncols();
    expect_shape("weight", weight.shape(), &[features])?;
    expect_shape("bias", bias.shape(), &[features])?;
    let mut y = x.to_owned();
    for mut row in y.rows_mut() {
        let mean = row.iter().sum::<f64>() / features as f64;
        let squares: f64 = row.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (squares / features as f64 + epsilon).sqrt();
        for feature in 0..features {
            row[feature] = (row[feature] - mean) / deviation * weight[feature] + bias[feature];
        }
    }
    Ok(y)
}

/// x / sqrt(mean of x^2 + epsilon) * weight for each row (Zhang and Sennrich, arXiv 1910.07467).
///
/// Shapes: `x` and the result (tokens, features), `weight` (features).
///
/// # Errors
/// Shapes that do not fit together.
pub fn rms_norm(
    x: ArrayView2<'_, f64>,
    weight: ArrayView1<'_, f64>,
    epsilon: f64,
) -> Result<Array2<f64>, OperandError> {
    let features = x.ncols();
    expect_shape("weight", weight.shape(), &[features])?;
    let mut y = x.to_owned();
    for mut row in y.rows_mut() {
        let squares: f64 = row.iter().map(|value| value.powi(2)).sum();
        let root = (squares / features as f64 + epsilon).sqrt();
        for feature in 0..features {
            row[feature] = row[feature] / root * weight[feature];
        }
    }
    Ok(y)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn layer_norm_of_two_values_is_plus_and_minus_one_before_weight_and_bias() {
        let y = layer_norm(
            array![[3.0, 7.0]].view(),
            array![10.0, 100.0].view(),
            array![1.0, 2.0].view(),
            0.0,
        );
        assert_eq!(y.unwrap(), array![[-9.0, 102.0]]);
    }

    #[test]
    fn epsilon_keeps_a_constant_row_finite() {
        let (ones, zeros) = (array![1.0, 1.0], array![0.0, 0.0]);
        let y = layer_norm(array![[5.0, 5.0]].view(), ones.view(), zeros.view(), 1e-6);
        assert_eq!(y.unwrap(), array![[0.0, 0.0]]);
    }

    #[test]
    fn rms_norm_keeps_the_mean() {
        let y = rms_norm(array![[1.0, 7.0]].view(), array![5.0, 10.0].view(), 0.0);
        assert_eq!(y.unwrap(), array![[1.0, 14.0]]);
    }

    #[test]
    fn operands_that_do_not_fit_are_named() {
        let x = Array2::zeros((2, 3));
        let (three, two) = (array![0.0, 0.0, 0.0], array![0.0, 0.0]);
        let error = layer_norm(x.view(), three.view(), two.view(), 0.0).unwrap_err();
        assert_eq!(error.operand, "bias");
        assert_eq!(rms_norm(x.view(), two.view(), 0.0).unwrap_err().operand, "weight");
    }
}
