//! Outputs against exact attention under the same decisions.

use attelier_workloads::reference::softmax;

use super::functional::{Attending, HeadOperands, Normalisation};
use crate::designs::spatten::functional::LayerCheck;
use crate::deviation::Deviation;

/// Exact output of a query that meets the rows `kept`.
fn exact(
    operands: &HeadOperands,
    query: usize,
    kept: &[usize],
    normalisation: Normalisation,
) -> Vec<f64> {
    let row = operands.queries.row(query);
    let score = |key: usize| row.dot(&operands.keys.row(key));
    let weights: Vec<f64> = match normalisation {
        Normalisation::Kept => softmax(&kept.iter().map(|&key| score(key)).collect::<Vec<_>>()),
        Normalisation::Visible => {
            let all = softmax(&(0..operands.visible[query]).map(score).collect::<Vec<_>>());
            kept.iter().map(|&key| all[key]).collect()
        }
    };
    let mut output = vec![0.0; operands.values.ncols()];
    for (&key, weight) in kept.iter().zip(weights) {
        for (sum, value) in output.iter_mut().zip(operands.values.row(key)) {
            *sum += weight * value;
        }
    }
    output
}

/// Adds one query to the comparisons of its layer.
pub(super) fn add(
    check: &mut LayerCheck,
    result: &Attending,
    query: usize,
    [stored, original]: [&HeadOperands; 2],
    normalisation: Normalisation,
) {
    let compare = |deviation: &mut Deviation, operands: &HeadOperands| {
        let expected = exact(operands, query, &result.kept, normalisation);
        for (&found, &expected) in result.output.iter().zip(&expected) {
            deviation.add(found, expected);
        }
        expected
    };
    let expected = compare(&mut check.datapath, stored);
    for ((found, expected), bound) in result.output.iter().zip(expected).zip(&result.bounds) {
        // Comparisons are the right way round for numbers that are none.
        let within = (found - expected).abs() <= *bound;
        check.beyond_bound += u64::from(!within);
    }
    compare(&mut check.numerical, original);
}
