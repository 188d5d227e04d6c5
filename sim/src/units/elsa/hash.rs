//! Hashes of ELSA (sections III-B, III-C and IV-C of the paper): signs of a projection whose matrix is the
//! Kronecker product of three orthogonal factors.
//!
//! A vector is read as a cube with as many elements along each edge as a factor has rows, and each factor
//! is multiplied along another edge: 3 d^(4/3) products instead of d^2. Sums keep all their bits, so that
//! signs are those of the product with the whole matrix; the paper gives no widths inside the projection.
//! The published factors are random and not given; ours are drawn, made orthogonal row by row
//! (Gram-Schmidt, modified) and rounded.

use attelier_hw::elsa::Elsa;
use attelier_workloads::draw::split_mix;
use rand::Rng;
use rand_pcg::Pcg64Mcg;
use statrs::distribution::{ContinuousCDF, Normal};

/// Factors of the projection.
pub const FACTORS: usize = 3;

/// Three square factors, in units of their last bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factors {
    rows: usize,
    /// Elements row by row, factor after factor; the last factor meets neighbours in a vector.
    elements: Vec<i64>,
}

impl Factors {
    /// Factors of zeros.
    pub fn zero(params: &Elsa) -> Self {
        let rows = params.hash.factor as usize;
        Self { rows, elements: vec![0; FACTORS * rows * rows] }
    }

    /// Orthogonal factors drawn from the seed of `params`.
    pub fn drawn(params: &Elsa) -> Self {
        let mut factors = Self::zero(params);
        let rows = factors.rows;
        let state = u128::from(split_mix(params.hash.seed)) << 64 | 1;
        let mut stream = Pcg64Mcg::new(state);
        let steps = f64::from(1u32 << params.hash.factor_fraction_bits);
        for elements in factors.elements.chunks_mut(rows * rows) {
            let matrix = orthogonal(rows, &mut stream);
            for (element, number) in elements.iter_mut().zip(matrix) {
                // A one would need a bit before the point, which elements do not have.
                *element = (number * steps).round().clamp(-steps, steps - 1.0) as i64;
            }
        }
        factors
    }

    /// All elements, factor after factor, row by row.
    pub fn elements(&self) -> &[i64] {
        &self.elements
    }

    /// Replaces one element.
    pub fn set(&mut self, at: usize, element: i64) {
        self.elements[at] = element;
    }

    /// The projection of a vector, which may be shorter than the matrix is wide.
    pub fn project(&self, vector: &[i64]) -> Vec<i64> {
        let rows = self.rows;
        let mut values = vec![0; rows * rows * rows];
        values[..vector.len()].copy_from_slice(vector);
        for factor in self.elements.chunks(rows * rows).rev() {
            // The edge that was multiplied becomes the first one, so that the next one comes last.
            let groups = |row: &[i64]| {
                let row = row.to_vec();
                let dot = move |group: &[i64]| {
                    row.iter().zip(group).map(|(element, value)| element * value).sum::<i64>()
                };
                values.chunks(rows).map(dot).collect::<Vec<_>>()
            };
            values = factor.chunks(rows).flat_map(groups).collect();
        }
        values
    }

    /// The hash of a vector: a bit for each projection, 1 if it is not negative, the first one lowest.
    pub fn hash(&self, vector: &[i64]) -> u64 {
        let projections = self.project(vector).into_iter().enumerate();
        projections.fold(0, |hash, (at, number)| hash | u64::from(number >= 0) << at)
    }
}

/// Rows that are orthogonal and of length 1, from a normal distribution.
fn orthogonal(rows: usize, stream: &mut Pcg64Mcg) -> Vec<f64> {
    let normal = Normal::standard();
    let mut draw =
        || normal.inverse_cdf((f64::from(stream.next_u32()) + 0.5) / 2f64.powi(u32::BITS as i32));
    let mut matrix: Vec<f64> = (0..rows * rows).map(|_| draw()).collect();
    for row in 0..rows {
        let (done, rest) = matrix.split_at_mut(row * rows);
        let current = &mut rest[..rows];
        for other in done.chunks(rows) {
            let share: f64 = current.iter().zip(other).map(|(a, b)| a * b).sum();
            current.iter_mut().zip(other).for_each(|(a, b)| *a -= share * b);
        }
        let length = current.iter().map(|a| a * a).sum::<f64>().sqrt();
        current.iter_mut().for_each(|a| *a /= length);
    }
    matrix
}

/// The hash module with its cycles: all multipliers work on one vector until it is done.
#[derive(Debug, Clone)]
pub struct HashModule {
    /// What it multiplies with; changed between vectors.
    pub factors: Factors,
    vector_cycles: u32,
    /// Cycles left, and the hash that will show.
    under_way: Option<(u32, u64)>,
    shown: Option<u64>,
}

impl HashModule {
    /// A module with factors of zeros.
    pub fn new(params: &Elsa) -> Self {
        Self {
            factors: Factors::zero(params),
            vector_cycles: params.hash.vector_cycles,
            under_way: None,
            shown: None,
        }
    }

    /// Whether no vector is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// Whether a vector is taken: in the last cycle of one the next one enters.
    pub fn is_ready(&self) -> bool {
        self.under_way.is_none_or(|(left, _)| left == 1)
    }

    /// The hash that shows in this cycle.
    pub fn shown(&self) -> Option<u64> {
        self.shown
    }

    /// One cycle: takes a vector where [`is_ready`](Self::is_ready).
    pub fn tick(&mut self, vector: Option<&[i64]>) {
        let ready = self.is_ready();
        self.shown = None;
        self.under_way = match self.under_way {
            Some((1, hash)) => {
                self.shown = Some(hash);
                None
            }
            Some((left, hash)) => Some((left - 1, hash)),
            None => None,
        };
        if let Some(vector) = vector.filter(|_| ready) {
            self.under_way = Some((self.vector_cycles, self.factors.hash(vector)));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn params() -> Elsa {
        Elsa::preset("elsa").unwrap()
    }

    /// The whole matrix, element by element: row and column are read as numbers of three digits.
    fn matrix(factors: &Factors) -> Vec<Vec<i64>> {
        let rows = factors.rows;
        let of = |factor: usize, row: usize, column: usize| {
            factors.elements[(factor * rows + row) * rows + column]
        };
        let digits = |number: usize| [number / (rows * rows), number / rows % rows, number % rows];
        let size = rows.pow(3);
        (0..size)
            .map(|row| {
                let row = digits(row);
                let element = |column: usize| {
                    let column = digits(column);
                    (0..3).map(|factor| of(factor, row[factor], column[factor])).product()
                };
                (0..size).map(element).collect()
            })
            .collect()
    }

    #[test]
    fn rows_of_the_whole_matrix_are_nearly_orthogonal_and_of_length_one() {
        let factors = Factors::drawn(&params());
        let one = 32f64.powi(3);
        let rows: Vec<Vec<f64>> = matrix(&factors)
            .into_iter()
            .map(|row| row.into_iter().map(|element| element as f64 / one).collect())
            .collect();
        for (at, row) in rows.iter().enumerate() {
            for (other_at, other) in rows.iter().enumerate() {
                let product: f64 = row.iter().zip(other).map(|(a, b)| a * b).sum();
                let expected = f64::from(at == other_at);
                // Each of 4 elements of a row of a factor is off by 1/64 at most.
                assert!((product - expected).abs() < 0.2, "{at} {other_at}: {product}");
            }
        }
    }

    /// Worked by hand: factors that exchange or keep two halves exchange elements.
    #[test]
    fn the_first_factor_meets_the_farthest_elements() {
        let params = Elsa { head_dim: 8, ..params() };
        let params = Elsa { hash: attelier_hw::elsa::Hash { factor: 2, ..params.hash }, ..params };
        let mut factors = Factors::zero(&params);
        let [keep, exchange] = [[1, 0, 0, 1], [0, 1, 1, 0]];
        for (at, element) in [exchange, keep, keep].concat().into_iter().enumerate() {
            factors.set(at, element);
        }
        let vector = [1, -2, 3, -4, -5, 6, -7, -8];
        assert_eq!(factors.project(&vector), [-5, 6, -7, -8, 1, -2, 3, -4]);
        assert_eq!(factors.hash(&vector), 0b0101_0010);
    }

    #[test]
    fn vectors_follow_each_other_every_three_cycles() {
        let params = params();
        let mut module = HashModule::new(&params);
        module.factors = Factors::drawn(&params);
        let vectors: Vec<Vec<i64>> = (1..4).map(|at| vec![at, -at, 2 * at]).collect();
        let (mut waiting, mut seen) = (vectors.iter(), Vec::new());
        for cycle in 0..20 {
            seen.extend(module.shown().map(|hash| (cycle, hash)));
            let vector = if module.is_ready() { waiting.next() } else { None };
            module.tick(vector.map(Vec::as_slice));
        }
        let hash = |at: usize| module.factors.hash(&vectors[at]);
        assert_eq!(seen, [(4, hash(0)), (7, hash(1)), (10, hash(2))]);
    }

    proptest! {
        #[test]
        fn three_small_products_are_the_product_with_the_whole_matrix(
            vector in prop::collection::vec(-255..256i64, 64),
            seed in 0..1000u64,
        ) {
            let mut params = params();
            params.hash.seed = seed;
            let factors = Factors::drawn(&params);
            let expected: Vec<i64> = matrix(&factors)
                .iter()
                .map(|row| row.iter().zip(&vector).map(|(a, b)| a * b).sum())
                .collect();
            prop_assert_eq!(factors.project(&vector), expected);
        }
    }
}
