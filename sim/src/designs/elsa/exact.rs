//! Candidates again, in real numbers and with the whole matrix of the projection: what the integers of the
//! machine must find.

use attelier_hw::elsa::Elsa;
use ndarray::{Array2, ArrayView1, linalg::kron};

use super::threshold;
use crate::designs::heads::HeadOperands;
use crate::units::elsa::hash::Factors;

/// Keys that each query attends to, ascending.
pub fn candidates(params: &Elsa, factors: &Factors, operands: &HeadOperands) -> Vec<Vec<usize>> {
    let Some(threshold) = threshold::learn(params, operands) else {
        return operands.visible.iter().map(|&visible| (0..visible).collect()).collect();
    };
    let one = f64::from(1u32 << params.selection.cosine_fraction_bits);
    let steps = f64::from(1u32 << params.format.fraction_bits);
    let most_norm = (f64::from(1u32 << params.format.norm_bits) - 1.0) / steps;
    let matrix = matrix(params, factors);
    let bits = params.head_dim as usize;
    let project = |rows: &Array2<f64>| {
        let padded = |at| rows.get(at).copied().unwrap_or(0.0);
        Array2::from_shape_fn((rows.nrows(), bits), padded).dot(&matrix.t())
    };
    let (queries, keys) = (project(&operands.queries), project(&operands.keys));
    let norm =
        |row: ArrayView1<'_, f64>| ((row.dot(&row).sqrt() * steps).floor() / steps).min(most_norm);
    let norms: Vec<f64> = operands.keys.rows().into_iter().map(norm).collect();
    let limit = threshold as f64 / one * norms.iter().copied().fold(0.0, f64::max);
    let bias = f64::from(params.selection.bias_mrad) / 1000.0;
    let of_query = |(query, &visible): (ArrayView1<'_, f64>, &usize)| {
        let estimate = |key: usize| {
            let pairs = query.iter().zip(keys.row(key));
            let differ = pairs.filter(|(a, b)| (**a >= 0.0) != (**b >= 0.0)).count();
            let angle = std::f64::consts::PI / bits as f64 * differ as f64 - bias;
            (angle.max(0.0).cos() * one).round() / one * norms[key]
        };
        let estimates: Vec<f64> = (0..visible).map(estimate).collect();
        let above: Vec<usize> = (0..visible).filter(|&key| estimates[key] > limit).collect();
        if !above.is_empty() || visible == 0 {
            return above;
        }
        let best = estimates.iter().copied().fold(f64::MIN, f64::max);
        estimates.iter().position(|&estimate| estimate == best).into_iter().collect()
    };
    queries.rows().into_iter().zip(&operands.visible).map(of_query).collect()
}

/// The Kronecker product of the factors.
fn matrix(params: &Elsa, factors: &Factors) -> Array2<f64> {
    let rows = params.hash.factor as usize;
    let steps = f64::from(1u32 << params.hash.factor_fraction_bits);
    factors.elements().chunks(rows * rows).fold(Array2::ones((1, 1)), |left, factor| {
        let right = Array2::from_shape_fn((rows, rows), |(row, column)| {
            factor[row * rows + column] as f64 / steps
        });
        kron(&left, &right)
    })
}
