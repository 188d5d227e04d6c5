//! The parts by hand and against the reference kernels; a whole model is checked from the command line.

use attelier_workloads::reference;
use ndarray::{Array1, Array2, Axis};
use proptest::prelude::*;

use super::*;

const UNIT: Unit = Unit { multipliers: 16, chunk: 1024 };
const LANES: Lanes = Lanes { count: 128, divide_late: true };

fn numbers(values: &[f64]) -> Vec<Bf16> {
    values.iter().map(|&value| Bf16::from_f64(value)).collect()
}

fn real(numbers: &[Bf16]) -> Vec<f64> {
    numbers.iter().map(|number| number.to_f64()).collect()
}

/// Whole numbers that no rounding touches: 1 + 2 + ... in three chunks of two, and the bias.
#[test]
fn chunks_and_bias_are_added() {
    let matrix = Matrix { columns: vec![numbers(&[1.0; 5])], bias: numbers(&[10.0]) };
    let unit = Unit { multipliers: 4, chunk: 2 };
    let result = matrix.product(&numbers(&[1.0, 2.0, 3.0, 4.0, 5.0]), unit);
    assert_eq!(result, [Fp32::from_f32(25.0)]);
}

/// 256 + 1 is no BF16 number: where the chunk ends decides whether the 1 survives.
#[test]
fn every_chunk_is_rounded_when_it_is_read() {
    let weights = numbers(&[1.0; 4]);
    let input = numbers(&[256.0, 1.0, 1.0, -256.0]);
    let by = |chunk| dots(&weights, &input, Unit { multipliers: 16, chunk }).to_f32();
    // (256 + 1 -> 256) + (1 - 256), and 2 at once.
    assert_eq!((by(2), by(4)), (1.0, 2.0));
}

/// Two equal keys and one far below them: probabilities 1/2, 1/2, 0.
#[test]
fn attention_of_equal_keys_is_the_mean_of_their_values() {
    for divide_late in [true, false] {
        let lanes = Lanes { divide_late, ..LANES };
        let mut cache = Cache::default();
        for (key, value) in [(1.0, 3.0), (1.0, 5.0), (-100.0, 99.0)] {
            cache.append(&numbers(&[key]), &numbers(&[value, -value]));
        }
        let output = cache.attend(&numbers(&[4.0]), Fp32::ONE, UNIT, &lanes);
        assert_eq!(real(&output), [4.0, -4.0]);
    }
}

/// The check notices a result that is one BF16 step beside the right one where little is rounded.
#[test]
fn a_wrong_result_is_beyond_its_bound() {
    let matrix = Matrix { columns: vec![numbers(&[1.0, 2.0])], bias: numbers(&[0.0]) };
    let input = numbers(&[3.0, 4.0]);
    let mut results = OperationCheck::default();
    let mut check = Check { unit: UNIT, into: Some(&mut results) };
    check.product(&matrix, &input, None, &numbers(&[11.0]));
    check.product(&matrix, &input, None, &numbers(&[11.25]));
    check.product(&matrix, &input, None, &[Bf16::NAN]);
    assert_eq!((results.results.count, results.beyond_bound), (3, 2));
}

fn values(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec(-3.0..3.0f64, count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What the reference kernels give for the same BF16 numbers, within the stated bound.
    #[test]
    fn normalization_holds_its_bound(state in values(2..300), epsilon in 1e-6..1e-3f64) {
        let state = numbers(&state);
        let count = state.len();
        let norm = Norm {
            weight: numbers(&vec![1.25; count]),
            bias: numbers(&vec![-0.5; count]),
            epsilon: Fp32::from_f64(epsilon),
        };
        let found = norm.apply(&state, &LANES);
        let mut results = OperationCheck::default();
        Check { unit: UNIT, into: Some(&mut results) }.norm(&norm, &state, &found, &LANES);
        prop_assert_eq!((results.results.count, results.beyond_bound), (count as u64, 0));
        // The check itself knows the right answer.
        let rows = Array1::from_vec(real(&state)).insert_axis(Axis(0));
        let [weight, bias] = [&norm.weight, &norm.bias].map(|row| Array1::from_vec(real(row)));
        let epsilon = norm.epsilon.to_f64();
        let exact =
            reference::layer_norm(rows.view(), weight.view(), bias.view(), epsilon).unwrap();
        for (found, exact) in found.iter().zip(exact.row(0)) {
            prop_assert!((found.to_f64() - exact).abs() < 0.01 * (1.0 + exact.abs()));
        }
    }

    #[test]
    fn attention_holds_its_bound(
        (keys, query, dim) in (1usize..40, 1usize..20).prop_flat_map(|(tokens, dim)| {
            (values(2 * tokens * dim..2 * tokens * dim + 1), values(dim..dim + 1), Just(dim))
        }),
        divide_late in any::<bool>(),
    ) {
        let lanes = Lanes { divide_late, ..LANES };
        let (scale, query) = (Fp32::from_f64((dim as f64).powf(-0.5)), numbers(&query));
        let mut cache = Cache::default();
        for token in keys.chunks(2 * dim) {
            cache.append(&numbers(&token[..dim]), &numbers(&token[dim..]));
        }
        let found = cache.attend(&query, scale, UNIT, &lanes);
        let mut results = OperationCheck::default();
        Check { unit: UNIT, into: Some(&mut results) }.attention(&cache, &query, scale, &found);
        prop_assert_eq!((results.results.count, results.beyond_bound), (dim as u64, 0));
        let rows: Vec<f64> = cache.keys.iter().flat_map(|key| real(key)).collect();
        let keys = Array2::from_shape_vec((cache.keys.len(), dim), rows).unwrap();
        let columns: Vec<f64> = cache.values.iter().flat_map(|column| real(column)).collect();
        let values = Array2::from_shape_vec((dim, cache.keys.len()), columns).unwrap();
        let query = Array1::from_vec(real(&query)).insert_axis(Axis(0));
        let scale = scale.to_f64();
        let mask = reference::Mask::Full;
        let exact = reference::attention(
            query.view(), keys.view(), values.t(), scale, mask).unwrap();
        for (found, exact) in found.iter().zip(exact.output.row(0)) {
            prop_assert!((found.to_f64() - exact).abs() < 0.15, "{found:?}, {exact}");
        }
    }
}
