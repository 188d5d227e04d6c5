//! The numbers of MnnFast: softmax by columns with a late division, and zero skipping.

use attelier_hw::mnnfast::MnnFast as Params;

use crate::designs::heads::{Arithmetic, Attending, HeadOperands, Normalisation};

/// The data path, in single precision.
#[derive(Debug)]
pub struct MnnFastArithmetic {
    params: Params,
}

/// Bound on the relative error of a sum of `rows` products and exponentials in single precision.
fn relative_error(rows: usize) -> f64 {
    // An exponential and a rescaling cost a few units in the last place each, a sum one per row.
    8.0 * (rows as f64 + 16.0) * f64::from(f32::EPSILON)
}

impl MnnFastArithmetic {
    /// The data path of `params`.
    pub fn new(params: &Params) -> Self {
        Self { params: params.clone() }
    }

    /// Largest exponential, relative to the largest so far, that is skipped.
    fn threshold(&self) -> Option<f32> {
        let skip = &self.params.skip;
        skip.enabled.then(|| skip.threshold_permille as f32 / 1000.0)
    }

    /// Whether each of these scores is skipped, in the order in which they come.
    pub fn skipped(&self, scores: &[f32]) -> Vec<bool> {
        let mut largest = f32::NEG_INFINITY;
        let mut skipped = |&score: &f32| {
            largest = largest.max(score);
            self.threshold().is_some_and(|threshold| (score - largest).exp() <= threshold)
        };
        scores.iter().map(&mut skipped).collect()
    }

    fn query(&self, operands: &HeadOperands, query: usize) -> Attending {
        let visible = operands.visible[query];
        let row = operands.queries.row(query);
        let scores: Vec<f32> =
            (0..visible).map(|key| row.dot(&operands.keys.row(key)) as f32).collect();
        let skipped = self.skipped(&scores);
        let elements = operands.values.ncols();
        let (mut largest, mut sum) = (f32::NEG_INFINITY, 0.0f32);
        let mut output = vec![0.0f32; elements];
        let mut kept = Vec::new();
        for (key, &score) in scores.iter().enumerate() {
            if score > largest {
                // What was gathered is brought to the new largest score.
                let factor = (largest - score).exp();
                sum *= factor;
                output.iter_mut().for_each(|element| *element *= factor);
                largest = score;
            }
            let exponential = (score - largest).exp();
            // Skipped exponentials still count in the sum.
            sum += exponential;
            if !skipped[key] {
                kept.push(key);
                for (element, &value) in output.iter_mut().zip(operands.values.row(key)) {
                    *element += exponential * value as f32;
                }
            }
        }
        let mut bounds = vec![0.0; elements];
        for &key in &kept {
            for (bound, value) in bounds.iter_mut().zip(operands.values.row(key)) {
                *bound = value.abs().max(*bound);
            }
        }
        // The score itself is rounded: its error counts in proportion to its size.
        let size = scores.iter().fold(1.0f64, |size, score| size.max(f64::from(score.abs())));
        let relative = relative_error(visible) * size;
        bounds.iter_mut().for_each(|bound| *bound *= relative);
        Attending {
            output: output.into_iter().map(|element| f64::from(element / sum)).collect(),
            kept,
            candidates: visible,
            bounds,
        }
    }
}

impl Arithmetic for MnnFastArithmetic {
    const NORMALISATION: Normalisation = Normalisation::Visible;

    /// The width of the machine's numbers is not published; none is modelled.
    fn stored(&self, number: f64) -> f64 {
        number
    }

    fn attend(&self, operands: &HeadOperands) -> Vec<Attending> {
        (0..operands.queries.nrows()).map(|query| self.query(operands, query)).collect()
    }

    /// Found in double precision, with the largest of all scores before, by definition.
    fn expected(&self, operands: &HeadOperands) -> Option<Vec<Vec<usize>>> {
        let threshold = f64::from(self.threshold()?);
        let row = |query: usize| {
            let score = |key: usize| operands.queries.row(query).dot(&operands.keys.row(key));
            let keeps = |&key: &usize| {
                let largest = (0..=key).map(score).fold(f64::NEG_INFINITY, f64::max);
                (score(key) - largest).exp() > threshold
            };
            (0..operands.visible[query]).filter(keeps).collect()
        };
        Some((0..operands.queries.nrows()).map(row).collect())
    }

    fn most_elements(&self) -> usize {
        usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use attelier_workloads::reference::softmax;
    use ndarray::Array2;
    use proptest::prelude::*;

    use super::*;

    fn machine(skip: bool) -> MnnFastArithmetic {
        let mut params = Params::preset("mnnfast").unwrap();
        params.skip.enabled = skip;
        MnnFastArithmetic::new(&params)
    }

    /// Exponentials relative to the largest so far: 1, 1, e^-2 = 0.135, e^-2.5 = 0.082, 1.
    #[test]
    fn a_value_is_skipped_for_its_distance_to_the_largest_score_so_far() {
        let skipped = machine(true).skipped(&[0.0, 3.0, 1.0, 0.5, 4.0]);
        assert_eq!(skipped, [false, false, false, true, false]);
        assert_eq!(machine(false).skipped(&[0.0, 9.0, 0.0]), [false; 3]);
    }

    proptest! {
        #[test]
        fn a_late_division_is_attention(
            scores in prop::collection::vec(-40.0..40.0f64, 1..60),
        ) {
            let keys = scores.len();
            let operands = HeadOperands {
                queries: Array2::ones((1, 1)),
                keys: Array2::from_shape_vec((keys, 1), scores.clone()).unwrap(),
                values: Array2::from_shape_fn((keys, 2), |(row, at)| (row * 7 + at) as f64 % 5.0),
                visible: vec![keys],
            };
            let result = &machine(false).attend(&operands)[0];
            let weights = softmax(&scores);
            for at in 0..2 {
                let expected: f64 =
                    weights.iter().zip(operands.values.column(at)).map(|(w, v)| w * v).sum();
                let error = (result.output[at] - expected).abs();
                prop_assert!(error <= result.bounds[at], "{error} beyond {}", result.bounds[at]);
                prop_assert!(result.bounds[at] < 0.05);
            }
            prop_assert_eq!(result.kept.len(), keys);
        }
    }
}
