use std::f64::consts::PI;

use attelier_workloads::reference::softmax;
use proptest::prelude::*;
use rand::Rng;
use rand_pcg::Pcg64Mcg;
use statrs::distribution::{ContinuousCDF, Normal};

use super::*;

fn arithmetic(degree_permille: u32) -> ElsaArithmetic {
    let mut params = Elsa::preset("elsa").unwrap();
    params.selection.degree_permille = degree_permille;
    ElsaArithmetic::new(&params)
}

/// Estimates from the hashes of pairs of random vectors, each less the angle between them.
///
/// Section III-B measures the estimate on normal vectors with exact orthogonal ones: four of five
/// estimates exceed the angle by less than 0.127. For independent directions the deviation at a right
/// angle would be pi / 2 / sqrt(k); orthogonal ones stay below.
#[test]
fn estimated_angles_have_the_published_errors() {
    let arithmetic = arithmetic(1000);
    let normal = Normal::standard();
    let mut stream = Pcg64Mcg::new(11);
    let mut vector = || -> Vec<i64> {
        let draw = |_| normal.inverse_cdf((f64::from(stream.next_u32()) + 0.5) / 2f64.powi(32));
        (0..64).map(draw).map(|number| (number * 32.0).round() as i64).collect()
    };
    let mut errors: Vec<f64> = (0..20_000)
        .map(|_| {
            let (a, b) = (vector(), vector());
            let dot =
                |a: &[i64], b: &[i64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<i64>() as f64;
            let angle = (dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()).acos();
            let differ = (arithmetic.factors.hash(&a) ^ arithmetic.factors.hash(&b)).count_ones();
            PI / 64.0 * f64::from(differ) - angle
        })
        .collect();
    let count = errors.len() as f64;
    let mean = errors.iter().sum::<f64>() / count;
    let deviation = (errors.iter().map(|error| error * error).sum::<f64>() / count).sqrt();
    errors.sort_by(f64::total_cmp);
    let published = errors[errors.len() * 4 / 5];
    assert!(mean.abs() < 0.01, "{mean}");
    assert!(deviation < PI / 2.0 / 8.0, "{deviation}");
    assert!((published - 0.127).abs() < 0.015, "{published}");
}

#[test]
fn numbers_are_stored_in_eighths_below_thirty_two() {
    let arithmetic = arithmetic(0);
    for (number, stored) in [(0.06, 0.0), (0.07, 0.125), (-1.99, -2.0), (99.0, 31.875)] {
        assert_eq!(arithmetic.stored(number), stored);
    }
    assert_eq!(arithmetic.stored(f64::NAN), 0.0);
}

#[test]
fn keys_lie_in_the_banks_in_turn() {
    let arithmetic = arithmetic(0);
    assert_eq!(arithmetic.busiest(&[0, 4, 8, 1, 2]), 3);
    assert_eq!(arithmetic.busiest(&[]), 0);
}

/// Two equal keys share the weight, each half of the values 3 and 5.
#[test]
fn equal_keys_share_the_weight() {
    let arithmetic = arithmetic(0);
    let operands = HeadOperands {
        queries: ndarray::array![[1.0]],
        keys: ndarray::array![[0.5], [0.5]],
        values: ndarray::array![[3.0], [5.0]],
        visible: vec![2],
    };
    // The sum is a power of two times one table entry: 2 e^0.5 rounds to 2 (1 + 21/32), its reciprocal to
    // (1 + 7/32) / 4; their product is 1.0093 instead of 1, and 4.037 is stored as 4.
    let results = arithmetic.attend(&operands);
    assert_eq!(results[0].output, [4.0]);
    assert_eq!(*arithmetic.loads().borrow(), [1]);
}

fn operands() -> impl Strategy<Value = HeadOperands> {
    (1..4usize, 1..40usize, 1..9usize, any::<bool>()).prop_flat_map(
        |(queries, keys, dim, causal)| {
            let queries = if causal { queries.min(keys) } else { queries };
            let numbers = |count| prop::collection::vec(-3.0..3.0f64, count);
            (numbers(queries * dim), numbers(keys * dim), numbers(keys * dim)).prop_map(
                move |(q, k, v)| {
                    let shape =
                        |rows, numbers| Array2::from_shape_vec((rows, dim), numbers).unwrap();
                    let visible = |query| if causal { keys - queries + 1 + query } else { keys };
                    HeadOperands {
                        queries: shape(queries, q),
                        keys: shape(keys, k),
                        values: shape(keys, v),
                        visible: (0..queries).map(visible).collect(),
                    }
                },
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn integers_keep_what_real_numbers_keep_and_outputs_stay_in_their_bounds(
        operands in operands(),
        degree in prop::sample::select(vec![0u32, 500, 1000, 4000]),
    ) {
        let arithmetic = arithmetic(degree);
        let store = |matrix: &Array2<f64>| matrix.mapv(|number| arithmetic.stored(number));
        let stored = HeadOperands {
            queries: store(&operands.queries),
            keys: store(&operands.keys),
            values: store(&operands.values),
            visible: operands.visible.clone(),
        };
        let results = arithmetic.attend(&stored);
        let expected = arithmetic.expected(&stored).unwrap();
        for (query, (result, expected)) in results.iter().zip(expected).enumerate() {
            prop_assert_eq!(&result.kept, &expected);
            prop_assert!(!result.kept.is_empty());
            if degree == 0 {
                prop_assert_eq!(result.candidates, stored.visible[query]);
            }
            let score = |&key: &usize| stored.queries.row(query).dot(&stored.keys.row(key));
            let weights = softmax(&result.kept.iter().map(score).collect::<Vec<_>>());
            for (at, found) in result.output.iter().enumerate() {
                let kept = result.kept.iter().zip(&weights);
                let exact: f64 = kept.map(|(&key, w)| w * stored.values[[key, at]]).sum();
                let error = (found - exact).abs();
                prop_assert!(error <= result.bounds[at], "{error} > {}", result.bounds[at]);
                prop_assert!(result.bounds[at] < 0.5, "{}", result.bounds[at]);
            }
        }
    }
}
