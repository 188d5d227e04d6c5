//! The numbers of ELSA (section IV of the paper): fixed point, hashes, exponentials in floating point.

use std::{cell::RefCell, rc::Rc};

use attelier_hw::elsa::Elsa;
use ndarray::Array2;

use super::{
    exact,
    float::{Floats, rounded},
    threshold,
};
use crate::designs::heads::{Arithmetic, Attending, HeadOperands, Normalisation};
use crate::units::elsa::{
    candidate::{Estimates, Key},
    hash::Factors,
};

/// Candidates in the bank that has most, of every query in the order of computation.
pub type BankLoads = Rc<RefCell<Vec<u32>>>;

/// The data path with its tables.
#[derive(Debug)]
pub struct ElsaArithmetic {
    params: Elsa,
    factors: Factors,
    estimates: Estimates,
    floats: Floats,
    loads: BankLoads,
}

/// What is known of the keys of a head before the first query.
struct Preprocessed {
    keys: Vec<Key>,
    /// Estimates beyond it make candidates; `None` where all keys are.
    limit: Option<i64>,
}

impl ElsaArithmetic {
    /// Factors and tables of `params`.
    pub fn new(params: &Elsa) -> Self {
        Self {
            params: params.clone(),
            factors: Factors::drawn(params),
            estimates: Estimates::new(params),
            floats: Floats::new(&params.format),
            loads: BankLoads::default(),
        }
    }

    /// Where the loads of the banks are written, query by query.
    pub fn loads(&self) -> BankLoads {
        self.loads.clone()
    }

    /// Candidates in the bank that has most: keys lie in the banks in turn.
    pub fn busiest(&self, candidates: &[usize]) -> u32 {
        let banks = self.params.pipeline.banks as usize;
        let mut counts = vec![0; banks];
        for key in candidates {
            counts[key % banks] += 1;
        }
        counts.into_iter().max().unwrap_or(0)
    }

    fn steps(&self) -> f64 {
        f64::from(1u32 << self.params.format.fraction_bits)
    }

    /// Codes of stored numbers.
    fn codes(&self, numbers: &Array2<f64>) -> Array2<i64> {
        let steps = self.steps();
        numbers.mapv(|number| (number * steps).round() as i64)
    }

    fn preprocess(&self, operands: &HeadOperands, keys: &Array2<i64>) -> Preprocessed {
        let of = |row: ndarray::ArrayView1<'_, i64>| {
            let row = row.to_vec();
            Key { hash: self.factors.hash(&row), norm: self.estimates.norm(&row) }
        };
        let keys: Vec<Key> = keys.rows().into_iter().map(of).collect();
        let largest = keys.iter().map(|key| key.norm).max().unwrap_or(0);
        let limit =
            threshold::learn(&self.params, operands).map(|threshold| threshold * largest as i64);
        Preprocessed { keys, limit }
    }

    /// Keys above the limit; the best of them all if there is none.
    fn candidates(&self, query: &[i64], head: &Preprocessed, visible: usize) -> Vec<usize> {
        let Some(limit) = head.limit else { return (0..visible).collect() };
        let hash = self.factors.hash(query);
        let estimates: Vec<i64> = head.keys[..visible]
            .iter()
            .map(|key| self.estimates.of(hash, key.hash, key.norm))
            .collect();
        let above: Vec<usize> = (0..visible).filter(|&key| estimates[key] > limit).collect();
        if !above.is_empty() {
            return above;
        }
        // The first of equal ones: `max_by_key` would take the last.
        (0..visible).rev().max_by_key(|&key| estimates[key]).into_iter().collect()
    }

    /// Attention to `candidates`: a sum in each bank, then the sum of the banks, then the division.
    fn query(
        &self,
        query: &[i64],
        keys: &Array2<i64>,
        values: &Array2<i64>,
        candidates: Vec<usize>,
    ) -> Attending {
        let banks = self.params.pipeline.banks as usize;
        let bits = self.params.format.sum_fraction_bits;
        let add = |sum: &mut f64, term: f64| *sum = rounded(*sum + term, bits);
        // The sum of the exponentials, then the elements of the output.
        let mut sums = vec![vec![0.0; 1 + values.ncols()]; banks];
        let mut sizes = vec![0.0; values.ncols()];
        let mut is_beyond = false;
        for &key in &candidates {
            let score = keys.row(key).iter().zip(query).map(|(key, query)| key * query).sum();
            let weight = self.floats.exponential(score);
            is_beyond |= weight.is_beyond;
            let sums = &mut sums[key % banks];
            add(&mut sums[0], weight.value);
            for (at, &value) in values.row(key).iter().enumerate() {
                add(&mut sums[1 + at], weight.value * value as f64);
                sizes[at] += weight.value * value.unsigned_abs() as f64;
            }
        }
        while sums.len() > 1 {
            let join = |pair: &[Vec<f64>]| {
                let mut sum = pair[0].clone();
                for (sum, term) in sum.iter_mut().zip(pair[1..].iter().flatten()) {
                    add(sum, *term);
                }
                sum
            };
            sums = sums.chunks(2).map(join).collect();
        }
        let sums = sums.swap_remove(0);
        let reciprocal = self.floats.reciprocal(sums[0]);
        let scale = reciprocal / self.steps();
        let output = sums[1..].iter().map(|sum| self.stored(sum * scale)).collect();
        let share = self.error(candidates.len());
        let half = 0.5 / self.steps();
        // Beyond the exponents there is no statement about errors.
        let bound = |size: f64| if is_beyond { f64::INFINITY } else { size * scale * share + half };
        let bounds = sizes.into_iter().map(bound).collect();
        Attending { output, candidates: candidates.len(), kept: candidates, bounds }
    }

    /// Largest share by which a product of weight and reciprocal is off: the weight, the sum of all
    /// weights, the reciprocal, and half a step for each addition of a candidate or bank to both sums.
    fn error(&self, candidates: usize) -> f64 {
        let [weight, reciprocal] =
            [self.floats.exponential_error(), self.floats.reciprocal_error()];
        let additions = (candidates + self.params.pipeline.banks as usize) as f64;
        let half = 0.5 / 2f64.powi(self.params.format.sum_fraction_bits as i32);
        let sums = (1.0 + half).powf(additions);
        (1.0 + weight) * sums / ((1.0 - weight) * (1.0 - reciprocal)) - 1.0 + (sums - 1.0)
    }
}

impl Arithmetic for ElsaArithmetic {
    const NORMALISATION: Normalisation = Normalisation::Kept;

    /// Rounded to a step of the fraction, held below the largest number.
    fn stored(&self, number: f64) -> f64 {
        let steps = self.steps();
        let most = f64::from(1u32 << self.params.format.integer_bits) - 1.0 / steps;
        // What is no number becomes 0, as a saturating cast makes it.
        let bounded = if number.is_nan() { 0.0 } else { number.clamp(-most, most) };
        (bounded * steps).round() / steps
    }

    fn attend(&self, operands: &HeadOperands) -> Vec<Attending> {
        let [queries, keys, values] =
            [&operands.queries, &operands.keys, &operands.values].map(|matrix| self.codes(matrix));
        let head = self.preprocess(operands, &keys);
        let rows = queries.rows().into_iter().zip(&operands.visible);
        let results: Vec<Attending> = rows
            .map(|(query, &visible)| {
                let query = query.to_vec();
                let candidates = self.candidates(&query, &head, visible);
                self.query(&query, &keys, &values, candidates)
            })
            .collect();
        let loads = results.iter().map(|result| self.busiest(&result.kept));
        self.loads.borrow_mut().extend(loads);
        results
    }

    fn expected(&self, operands: &HeadOperands) -> Option<Vec<Vec<usize>>> {
        Some(exact::candidates(&self.params, &self.factors, operands))
    }

    fn most_elements(&self) -> usize {
        self.params.head_dim as usize
    }
}

#[cfg(test)]
mod tests;
