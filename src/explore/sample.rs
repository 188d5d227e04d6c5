//! Which points of a space are visited: every one, a stratified sample, or those that a search
//! chooses.

use rand::{SeedableRng, seq::SliceRandom};
use rand_pcg::Pcg64Mcg;

/// A point of a space: the index of its value on every axis.
pub type Genes = Vec<usize>;

/// How points are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Every combination; the last axis moves fastest.
    Grid,
    /// McKay, Beckman and Conover, "A comparison of three methods for selecting values of input
    /// variables", Technometrics 21(2), 1979: each axis is cut into as many strata as there are
    /// points, and each stratum is used once.
    LatinHypercube {
        /// Number of points.
        points: usize,
    },
    /// A search by generations; see [`nsga2`](super::nsga2).
    Nsga2(Budget),
}

/// What a search may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Most points that it visits.
    pub points: usize,
    /// Points of one generation.
    pub population: usize,
}

impl Method {
    /// How many points it visits at most on axes of these lengths; `None` beyond the range of a
    /// `usize`.
    pub fn count(self, lengths: &[usize]) -> Option<usize> {
        match self {
            Self::Grid => lengths.iter().try_fold(1usize, |all, &length| all.checked_mul(length)),
            Self::LatinHypercube { points } => Some(points),
            Self::Nsga2(budget) => Some(budget.points),
        }
    }
}

/// Points that are known before any is visited.
#[derive(Debug, Clone)]
pub enum Sample {
    /// All points of axes of these lengths.
    Grid(Vec<usize>),
    /// A Latin hypercube.
    LatinHypercube {
        /// Values on each axis.
        lengths: Vec<usize>,
        /// For each axis, the stratum of every point.
        strata: Vec<Vec<u32>>,
    },
}

impl Sample {
    /// Draws a Latin hypercube. No axis is empty.
    pub fn latin_hypercube(points: usize, lengths: &[usize], seed: u64) -> Self {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let permutation = |_: &usize| {
            let mut axis: Vec<u32> = (0..points).map(|stratum| stratum as u32).collect();
            axis.shuffle(&mut random);
            axis
        };
        let strata = lengths.iter().map(permutation).collect();
        Self::LatinHypercube { lengths: lengths.to_vec(), strata }
    }

    /// The point of that number.
    pub fn genes(&self, point: usize) -> Genes {
        match self {
            Self::Grid(lengths) => digits(point, lengths),
            Self::LatinHypercube { lengths, strata } => {
                let value = |(axis, &length): (&Vec<u32>, &usize)| {
                    center(axis[point] as usize, axis.len(), length)
                };
                strata.iter().zip(lengths).map(value).collect()
            }
        }
    }
}

/// `number` in the mixed radix of `lengths`, most significant digit first.
fn digits(number: usize, lengths: &[usize]) -> Genes {
    let mut rest = number;
    let mut digits: Genes = lengths
        .iter()
        .rev()
        .map(|&length| {
            let digit = rest % length;
            rest /= length;
            digit
        })
        .collect();
    digits.reverse();
    digits
}

/// The value that holds the centre of a stratum: axes are lists, so a place inside the stratum would
/// add nothing but noise.
fn center(stratum: usize, strata: usize, values: usize) -> usize {
    let index = (2 * stratum as u128 + 1) * values as u128 / (2 * strata as u128);
    usize::try_from(index).expect("a stratum below the last is a value below the last")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(points: usize, lengths: &[usize], seed: u64) -> Vec<Genes> {
        let sample = Sample::latin_hypercube(points, lengths, seed);
        (0..points).map(|point| sample.genes(point)).collect()
    }

    #[test]
    fn the_last_axis_of_a_grid_moves_fastest() {
        let mut expected = Vec::new();
        for a in 0..2 {
            for b in 0..1 {
                for c in 0..3 {
                    expected.push(vec![a, b, c]);
                }
            }
        }
        let grid = Sample::Grid(vec![2, 1, 3]);
        assert_eq!((0..6).map(|point| grid.genes(point)).collect::<Vec<_>>(), expected);
        assert_eq!(Sample::Grid(vec![]).genes(0), [0; 0]);
        assert_eq!(Method::Grid.count(&[usize::MAX, 2]), None);
    }

    #[test]
    fn the_seed_decides_the_sample() {
        let sample = |seed| drawn(50, &[50, 50], seed);
        assert_eq!(sample(1), sample(1));
        assert_ne!(sample(1), sample(2));
    }

    proptest! {
        #[test]
        fn each_stratum_is_used_once_on_every_axis(points in 1usize..60, axes in 1usize..5, seed: u64) {
            // With as many values as points, a value is a stratum.
            let sample = drawn(points, &vec![points; axes], seed);
            for axis in 0..axes {
                let mut seen: Vec<_> = sample.iter().map(|point| point[axis]).collect();
                seen.sort_unstable();
                prop_assert_eq!(seen, (0..points).collect::<Vec<_>>());
            }
        }

        #[test]
        fn values_of_an_axis_are_used_equally_often(times in 1usize..8, length in 1usize..9, seed: u64) {
            let sample = drawn(times * length, &[length], seed);
            for value in 0..length {
                prop_assert_eq!(sample.iter().filter(|point| point[0] == value).count(), times);
            }
        }
    }
}
