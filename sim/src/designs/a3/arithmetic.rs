//! The numbers of A3 (section III of the paper): fixed point, exponents from two tables.

use attelier_hw::a3::A3 as Params;
use attelier_workloads::sparsity::{self, Evidence, Head, ModelShape, Policy};
use ndarray::Array2;

use super::search::SortedKeys;
use crate::designs::heads::{Arithmetic, Attending, HeadOperands, Normalisation};

/// The data path with its tables.
///
/// The argument of the exponential, a distance to the largest score with 2f fraction bits, is cut between
/// integer and fraction; a table for each gives 2f fraction bits, and their product is rounded to as many.
#[derive(Debug)]
pub struct A3Arithmetic {
    params: Params,
    /// exp(-n) for whole n, with 2f fraction bits.
    whole: Vec<i64>,
    /// exp(-n 2^-2f), with 2f fraction bits.
    fraction: Vec<i64>,
}

impl A3Arithmetic {
    /// Tables for the format of `params`.
    pub fn new(params: &Params) -> Self {
        let bits = 2 * params.format.fraction_bits;
        let one = (1u64 << bits) as f64;
        // Beyond the length of the table the exponential rounds to 0.
        let last = ((bits + 1) as f64 * std::f64::consts::LN_2).ceil() as usize;
        let whole = (0..=last).map(|n| (one * (-(n as f64)).exp()).round() as i64).collect();
        let fraction =
            (0..1u64 << bits).map(|n| (one * (-(n as f64) / one).exp()).round() as i64).collect();
        Self { params: params.clone(), whole, fraction }
    }

    fn fraction_bits(&self) -> u32 {
        self.params.format.fraction_bits
    }

    /// Codes of stored numbers.
    fn codes(&self, numbers: &Array2<f64>) -> Array2<i64> {
        let steps = f64::from(1u32 << self.fraction_bits());
        numbers.mapv(|number| (number * steps).round() as i64)
    }

    /// Largest distance from the largest score that is kept, with 2f fraction bits.
    fn reach(&self) -> i64 {
        let nats = (1000.0 / f64::from(self.params.search.weight_permille)).ln();
        (nats * (1u64 << (2 * self.fraction_bits())) as f64).floor() as i64
    }

    /// Exponential of minus `distance`; 2f fraction bits, no integer bit.
    fn exponential(&self, distance: i64) -> i64 {
        let bits = 2 * self.fraction_bits();
        let whole = usize::try_from(distance >> bits).ok().and_then(|n| self.whole.get(n));
        let fraction = self.fraction[(distance & ((1 << bits) - 1)) as usize];
        let product = whole.map_or(0, |whole| (whole * fraction + (1 << (bits - 1))) >> bits);
        product.min((1 << bits) - 1)
    }

    fn query(
        &self,
        query: &[i64],
        keys: &Array2<i64>,
        values: &Array2<i64>,
        visible: usize,
        sorted: Option<&SortedKeys>,
    ) -> Attending {
        let bits = 2 * self.fraction_bits();
        let candidates: Vec<usize> = match sorted {
            Some(sorted) => {
                let iterations = self.params.iterations(visible as u32);
                sorted.candidates(query, visible, iterations)
            }
            None => (0..visible).collect(),
        };
        let score = |&row: &usize| {
            let products = keys.row(row).into_iter().zip(query).map(|(key, query)| key * query);
            (row, products.sum::<i64>())
        };
        let scores: Vec<(usize, i64)> = candidates.iter().map(score).collect();
        let largest = scores.iter().map(|&(_, score)| score).max().unwrap_or(0);
        let reach = if sorted.is_some() { self.reach() } else { i64::MAX };
        let kept = scores.into_iter().filter(|&(_, score)| largest - score <= reach);
        let kept: Vec<(usize, i64)> =
            kept.map(|(row, score)| (row, self.exponential(largest - score))).collect();
        let sum: i64 = kept.iter().map(|&(_, exponential)| exponential).sum();

        let mut output = vec![0; values.ncols()];
        let mut bounds = vec![0.0; values.ncols()];
        let step = 1.0 / (1u64 << bits) as f64;
        let value_step = 1.0 / f64::from(1u32 << self.fraction_bits());
        let real_sum = (sum as f64 * step).max(step);
        for &(row, exponential) in &kept {
            let weight = ((exponential << bits) / sum.max(1)).min((1 << bits) - 1);
            // Two tables, their product and saturation move an exponential by at most 2.5 steps; the
            // quotient is cut, and saturates.
            let share = exponential as f64 * step / real_sum;
            let moved = 2.5 * step * (1.0 + kept.len() as f64 * (share + step)) / real_sum;
            let bound = 2.0 * step + moved;
            for (at, &value) in values.row(row).iter().enumerate() {
                output[at] += weight * value;
                bounds[at] += bound * (value as f64 * value_step).abs();
            }
        }
        let output = output.into_iter().map(|sum| sum as f64 * step * value_step).collect();
        let candidates = candidates.len();
        let kept = kept.into_iter().map(|(row, _)| row).collect();
        Attending { output, kept, candidates, bounds }
    }
}

impl Arithmetic for A3Arithmetic {
    const NORMALISATION: Normalisation = Normalisation::Kept;

    /// Rounded to a step of 2^-f, held below 2^i.
    fn stored(&self, number: f64) -> f64 {
        let steps = f64::from(1u32 << self.fraction_bits());
        let most = f64::from(1u32 << self.params.format.integer_bits) - 1.0 / steps;
        // What is no number becomes 0, as a saturating cast makes it.
        let bounded = if number.is_nan() { 0.0 } else { number.clamp(-most, most) };
        (bounded * steps).round() / steps
    }

    fn attend(&self, operands: &HeadOperands) -> Vec<Attending> {
        let [queries, keys, values] =
            [&operands.queries, &operands.keys, &operands.values].map(|m| self.codes(m));
        let sorted = self.params.search.enabled.then(|| SortedKeys::new(&keys));
        let rows = queries.rows().into_iter().zip(&operands.visible);
        rows.map(|(query, &visible)| {
            self.query(&query.to_vec(), &keys, &values, visible, sorted.as_ref())
        })
        .collect()
    }

    /// The policy of the workloads, which computes in real numbers.
    fn expected(&self, operands: &HeadOperands) -> Option<Vec<Vec<usize>>> {
        let search = &self.params.search;
        let policy = search.enabled.then(|| {
            Policy::A3(sparsity::A3 {
                iterations_per_key: f64::from(search.iterations_permille) / 1000.0,
                weight_percent: f64::from(search.weight_permille) / 10.0,
            })
        })?;
        let causal = operands.visible.windows(2).any(|pair| pair[0] != pair[1]);
        let head = Head {
            step: 0,
            layer: 0,
            head: 0,
            queries: operands.queries.nrows(),
            keys: operands.keys.nrows(),
            causal,
            evidence: Evidence::Vectors {
                queries: operands.queries.view(),
                keys: operands.keys.view(),
                scale: 1.0,
            },
        };
        let mut state = policy.build(ModelShape { layers: 1, heads: 1 }).ok()?;
        state.begin(&head).ok()?;
        let select = |query| {
            let mut keys = Vec::new();
            state.select(&head, query, &mut keys).ok().map(|()| keys)
        };
        (0..head.queries).map(select).collect()
    }

    fn most_elements(&self) -> usize {
        self.params.head_dim as usize
    }
}

#[cfg(test)]
mod tests {
    use attelier_workloads::reference::softmax;
    use proptest::prelude::*;

    use super::*;

    fn arithmetic(design: &str) -> A3Arithmetic {
        A3Arithmetic::new(&Params::preset(design).unwrap())
    }

    /// exp(-1/256) = 0.996 is 255/256; exp(-1) = 94.2/256; exp(-1.5) = 57.1/256 is the product of
    /// 94/256 and exp(-0.5) = 155.3/256, 56.9/256. Beyond 8 bits nothing is left.
    #[test]
    fn exponentials_are_products_of_two_table_entries() {
        let arithmetic = arithmetic("a3");
        for (distance, expected) in [(0, 255), (1, 255), (256, 94), (384, 57), (1 << 12, 0)] {
            assert_eq!(arithmetic.exponential(distance), expected, "{distance}");
        }
        assert_eq!(arithmetic.exponential(i64::MAX >> 1), 0);
        assert_eq!((arithmetic.whole.len(), arithmetic.fraction.len()), (8, 256));
    }

    #[test]
    fn numbers_are_stored_in_sixteenths_below_sixteen() {
        let arithmetic = arithmetic("a3");
        for (number, stored) in
            [(0.03, 0.0), (0.04, 0.0625), (-1.99, -2.0), (99.0, 15.9375), (-99.0, -15.9375)]
        {
            assert_eq!(arithmetic.stored(number), stored);
        }
        assert_eq!(arithmetic.stored(f64::NAN), 0.0);
    }

    fn operands() -> impl Strategy<Value = HeadOperands> {
        (1..4usize, 1..24usize, 1..6usize, any::<bool>()).prop_flat_map(
            |(queries, keys, dim, causal)| {
                let queries = if causal { queries.min(keys) } else { queries };
                let numbers = |count| prop::collection::vec(-3.0..3.0f64, count);
                (numbers(queries * dim), numbers(keys * dim), numbers(keys * dim)).prop_map(
                    move |(q, k, v)| {
                        let shape =
                            |rows, numbers| Array2::from_shape_vec((rows, dim), numbers).unwrap();
                        let visible =
                            |query| if causal { keys - queries + 1 + query } else { keys };
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
        fn integers_keep_what_the_policy_in_real_numbers_keeps_and_outputs_stay_in_their_bounds(
            operands in operands(),
            which in 0..3usize,
        ) {
            let arithmetic = arithmetic(["a3", "a3-conservative", "a3-aggressive"][which]);
            let store = |matrix: &Array2<f64>| matrix.mapv(|number| arithmetic.stored(number));
            let stored = HeadOperands {
                queries: store(&operands.queries),
                keys: store(&operands.keys),
                values: store(&operands.values),
                visible: operands.visible.clone(),
            };
            let results = arithmetic.attend(&stored);
            match arithmetic.expected(&stored) {
                Some(expected) => {
                    for (result, expected) in results.iter().zip(expected) {
                        prop_assert_eq!(&result.kept, &expected);
                    }
                }
                None => prop_assert_eq!(which, 0),
            }
            for (query, result) in results.iter().enumerate() {
                prop_assert!(result.kept.len() <= result.candidates);
                prop_assert!(result.candidates <= stored.visible[query]);
                let score =
                    |&key: &usize| stored.queries.row(query).dot(&stored.keys.row(key));
                let weights = softmax(&result.kept.iter().map(score).collect::<Vec<_>>());
                for (at, found) in result.output.iter().enumerate() {
                    let kept = result.kept.iter().zip(&weights);
                    let exact: f64 = kept.map(|(&key, w)| w * stored.values[[key, at]]).sum();
                    let error = (found - exact).abs();
                    prop_assert!(error <= result.bounds[at], "{error} > {}", result.bounds[at]);
                }
            }
        }
    }
}
