//! How well a machine attends: decisions and outputs beside exact attention, on real operands and on drawn
//! ones.

use std::f64::consts::TAU;

use anyhow::Result;
use attelier_sim::designs::heads::{Arithmetic, Attending, HeadOperands, HeadWork, QueryWork};
use attelier_workloads::{Phase, draw::uniform, reference::softmax, sample};
use ndarray::{Array2, Axis, Slice};

/// Weights that are looked for among the kept ones: the largest so many of each query.
const LARGEST: usize = 5;

/// The passage that comes with the workloads, its first `keys` keys; six heads of 64 queries.
///
/// # Errors
/// A damaged file.
pub fn passage(keys: usize) -> Result<Vec<HeadOperands>> {
    let heads = sample::passage()?;
    Ok(heads
        .iter()
        .map(|head| {
            // Half of the scale of a score for each factor.
            let scale = (head.queries.ncols() as f64).powf(-0.25);
            let rows = |matrix: &Array2<f64>| {
                let first = Slice::from(..keys.min(matrix.nrows()));
                matrix.slice_axis(Axis(0), first).to_owned()
            };
            HeadOperands {
                queries: head.queries.mapv(|number| number * scale),
                keys: rows(&head.keys).mapv(|number| number * scale),
                values: rows(&head.values),
                visible: vec![keys.min(head.keys.nrows()); head.queries.nrows()],
            }
        })
        .collect())
}

/// Heads of `queries` and `keys` of `dim` elements from a normal distribution; scores have a deviation of one.
pub fn drawn(seed: u64, heads: u32, [queries, keys, dim]: [usize; 3]) -> Vec<HeadOperands> {
    let scale = (dim as f64).powf(-0.25);
    let head = |head: u32| {
        let matrix = |which: u32, rows: usize, scale: f64| {
            Array2::from_shape_fn((rows, dim), |(row, at)| {
                let draw = |half| uniform(seed, head * 8 + which * 2 + half, row as u32, at as u32);
                // Box and Muller, 1958.
                let radius = (-2.0 * (1.0 - draw(0)).ln()).sqrt();
                scale * radius * (TAU * draw(1)).cos()
            })
        };
        HeadOperands {
            queries: matrix(0, queries, scale),
            keys: matrix(1, keys, scale),
            values: matrix(2, keys, 1.0),
            visible: vec![keys; queries],
        }
    };
    (0..heads).map(head).collect()
}

/// Means over all queries.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quality {
    /// Share of the keys whose score is computed.
    pub candidates: f64,
    /// Share of the keys whose value is used.
    pub kept: f64,
    /// Weight that exact attention gives to those.
    pub weight: f64,
    /// Share of the five largest exact weights among those.
    pub largest: f64,
    /// Cosine between output and exact output.
    pub cosine: f64,
    /// Length of the difference over that of the exact output.
    pub error: f64,
}

/// What a machine with this arithmetic makes of the heads, and the work that it has with them.
pub fn attend(arithmetic: &impl Arithmetic, heads: &[HeadOperands]) -> (Quality, Vec<HeadWork>) {
    let (mut sum, mut count, mut work) = (Quality::default(), 0.0, Vec::new());
    for (number, head) in (0..).zip(heads) {
        let store = |matrix: &Array2<f64>| matrix.mapv(|number| arithmetic.stored(number));
        let stored = HeadOperands {
            queries: store(&head.queries),
            keys: store(&head.keys),
            values: store(&head.values),
            visible: head.visible.clone(),
        };
        let results = arithmetic.attend(&stored);
        for (query, result) in results.iter().enumerate() {
            add(&mut sum, head, query, result);
            count += 1.0;
        }
        let queries = results.iter().zip(&head.visible).map(|(result, &visible)| QueryWork {
            visible: visible as u32,
            candidates: result.candidates as u32,
            kept: result.kept.len() as u32,
        });
        work.push(HeadWork {
            iteration: 0,
            layer: number,
            head: 0,
            phase: Phase::Prefill,
            keys: head.keys.nrows() as u32,
            head_dim: head.keys.ncols() as u32,
            queries: queries.collect(),
        });
    }
    let Quality { candidates, kept, weight, largest, cosine, error } = sum;
    let [candidates, kept, weight, largest, cosine, error] =
        [candidates, kept, weight, largest, cosine, error].map(|sum| sum / f64::max(count, 1.0));
    (Quality { candidates, kept, weight, largest, cosine, error }, work)
}

/// Weights of exact attention.
pub fn weights(head: &HeadOperands, query: usize) -> Vec<f64> {
    let row = head.queries.row(query);
    let scores: Vec<f64> =
        (0..head.visible[query]).map(|key| row.dot(&head.keys.row(key))).collect();
    softmax(&scores)
}

fn add(sum: &mut Quality, head: &HeadOperands, query: usize, result: &Attending) {
    let weights = weights(head, query);
    let keys = weights.len() as f64;
    sum.candidates += result.candidates as f64 / keys;
    sum.kept += result.kept.len() as f64 / keys;
    sum.weight += result.kept.iter().map(|&key| weights[key]).sum::<f64>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]));
    order.truncate(LARGEST);
    let found = order.iter().filter(|key| result.kept.binary_search(key).is_ok()).count();
    sum.largest += found as f64 / order.len().max(1) as f64;
    let (mut product, mut ours, mut exact, mut apart) = (0.0, 0.0, 0.0, 0.0);
    for (at, &found) in result.output.iter().enumerate() {
        let column = head.values.column(at);
        let expected: f64 = weights.iter().zip(column).map(|(weight, value)| weight * value).sum();
        product += found * expected;
        ours += found * found;
        exact += expected * expected;
        apart += (found - expected).powi(2);
    }
    // A machine that answers nothing has no direction.
    sum.cosine += if ours * exact > 0.0 { product / (ours * exact).sqrt() } else { 0.0 };
    sum.error += if exact > 0.0 { (apart / exact).sqrt() } else { 0.0 };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers exactly, from the keys of even number alone.
    struct Even;

    impl Arithmetic for Even {
        const NORMALISATION: attelier_sim::designs::heads::Normalisation =
            attelier_sim::designs::heads::Normalisation::Kept;

        fn stored(&self, number: f64) -> f64 {
            number
        }

        fn attend(&self, operands: &HeadOperands) -> Vec<Attending> {
            let kept: Vec<usize> = (0..operands.keys.nrows()).step_by(2).collect();
            let output = operands.values.row(0).to_vec();
            let all = operands.queries.rows().into_iter();
            all.map(|_| Attending {
                output: output.clone(),
                kept: kept.clone(),
                candidates: operands.keys.nrows(),
                bounds: Vec::new(),
            })
            .collect()
        }

        fn most_elements(&self) -> usize {
            usize::MAX
        }
    }

    /// Scores ln 4, 0, 0, 0 have weights 4/7 and 1/7. Values are unit vectors: the exact output is (4, 1, 1, 1)
    /// over 7, and the first value alone has the cosine 4 / sqrt(19) with it, the difference 3 units of it.
    #[test]
    fn shares_weights_and_errors_worked_by_hand() {
        let head = HeadOperands {
            queries: Array2::ones((1, 1)),
            keys: Array2::from_shape_vec((4, 1), vec![4f64.ln(), 0.0, 0.0, 0.0]).unwrap(),
            values: Array2::eye(4),
            visible: vec![4],
        };
        let (quality, work) = attend(&Even, &[head]);
        let close =
            |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found}");
        close(quality.candidates, 1.0);
        close(quality.kept, 0.5);
        close(quality.weight, 5.0 / 7.0);
        close(quality.largest, 0.5);
        close(quality.cosine, 4.0 / 19f64.sqrt());
        close(quality.error, (12.0f64 / 19.0).sqrt());
        assert_eq!(work[0].queries, [QueryWork { visible: 4, candidates: 4, kept: 2 }]);
    }

    #[test]
    fn drawn_scores_have_a_deviation_of_one() {
        let heads = drawn(5, 2, [40, 100, 64]);
        let scores: Vec<f64> =
            heads.iter().flat_map(|head| head.queries.dot(&head.keys.t())).collect();
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>();
        let deviation = (variance / scores.len() as f64).sqrt();
        assert!(mean.abs() < 0.05 && (deviation - 1.0).abs() < 0.05, "{mean}, {deviation}");
    }
}
