//! The threshold of a head (section III-E of the paper).
//!
//! Of the keys whose weight exceeds p / n, the least relevant one has a score; divided by the norm of the
//! query and by the largest norm of a key, and averaged over queries, it is the threshold. If no weight is
//! as large, the largest score counts. The paper averages over a training set; there is none here, so each
//! head learns from the very queries that it then computes.

use attelier_hw::elsa::Elsa;
use attelier_workloads::reference::softmax;
use ndarray::ArrayView1;

use crate::designs::heads::HeadOperands;

/// The learned threshold in units of the last bit of a cosine; `None` where every key is attended to.
pub fn learn(params: &Elsa, operands: &HeadOperands) -> Option<i64> {
    if !params.is_approximate() {
        return None;
    }
    let degree = f64::from(params.selection.degree_permille) / 1000.0;
    let norm = |row: ArrayView1<'_, f64>| row.dot(&row).sqrt();
    let largest = operands.keys.rows().into_iter().map(norm).fold(0.0, f64::max);
    let (mut sum, mut count) = (0.0, 0u32);
    for (query, &visible) in operands.queries.rows().into_iter().zip(&operands.visible) {
        let scores: Vec<f64> = (0..visible).map(|key| query.dot(&operands.keys.row(key))).collect();
        let scale = norm(query) * largest;
        // A query or keys of zeros say nothing about directions.
        if scale > 0.0 && visible > 0 {
            sum += relevant(&scores, degree) / scale;
            count += 1;
        }
    }
    let mean = if count == 0 { 0.0 } else { sum / f64::from(count) };
    let one = f64::from(1u32 << params.selection.cosine_fraction_bits);
    Some((mean * one).round().clamp(-one, one) as i64)
}

/// The smallest score whose weight exceeds `degree` / n, or the largest score.
fn relevant(scores: &[f64], degree: f64) -> f64 {
    let limit = degree / scores.len() as f64;
    let weights = softmax(scores);
    let above = scores.iter().zip(weights).filter(|(_, weight)| *weight > limit);
    let least = above.map(|(score, _)| *score).fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { scores.iter().copied().fold(f64::MIN, f64::max) }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// Figure 6 of the paper: scores 0.24, 0.86, -0.72, 1.35 with n = 4; with p = 1 the two above a
    /// quarter are 0.86 and 1.35 (weights 0.30 and 0.48).
    #[test]
    fn the_published_example() {
        let scores = [0.24, 0.86, -0.72, 1.35];
        assert_eq!(relevant(&scores, 1.0), 0.86);
        assert_eq!(relevant(&scores, 0.5), 0.24);
        // No weight exceeds 3/4: the largest score.
        assert_eq!(relevant(&scores, 3.0), 1.35);
    }

    /// Keys of norms 5 and 1, a query of norm 2 along the first: scores 6 and 2, of which only the first
    /// has a weight above 1/2. 6 / (2 * 5) = 0.6, 77 of 128.
    #[test]
    fn a_score_is_divided_by_both_norms() {
        let params = Elsa::preset("elsa").unwrap();
        let operands = HeadOperands {
            queries: array![[2.0, 0.0], [0.0, 0.0]],
            keys: array![[3.0, 4.0], [1.0, 0.0]],
            values: array![[0.0, 0.0], [0.0, 0.0]],
            visible: vec![2, 2],
        };
        assert_eq!(learn(&params, &operands), Some(77));
        let all = Elsa {
            selection: attelier_hw::elsa::Selection {
                degree_permille: 0,
                ..params.selection.clone()
            },
            ..params
        };
        assert_eq!(learn(&all, &operands), None);
    }
}
