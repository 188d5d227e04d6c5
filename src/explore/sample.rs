//! Which points of a space are visited: every one, or a stratified sample.

use rand::{SeedableRng, seq::SliceRandom};
use rand_pcg::Pcg64Mcg;

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
}

impl Method {
    /// How many points it visits on axes of these lengths; `None` beyond the range of a `usize`.
    pub fn count(self, lengths: &[usize]) -> Option<usize> {
        match self {
            Self::Grid => lengths.iter().try_fold(1usize, |all, &length| all.checked_mul(length)),
            Self::LatinHypercube { points } => Some(points),
        }
    }

    /// The points: for each, the index of its value on every axis. No axis is empty.
    pub fn points(self, lengths: &[usize], seed: u64) -> Vec<Vec<usize>> {
        match self {
            Self::Grid => {
                let count = self.count(lengths).unwrap_or(0);
                (0..count).map(|point| digits(point, lengths)).collect()
            }
            Self::LatinHypercube { points } => {
                let strata = strata(points, lengths.len(), seed);
                let value = |point: usize| {
                    let of = strata.iter().zip(lengths);
                    of.map(|(axis, &length)| center(axis[point], points, length)).collect()
                };
                (0..points).map(value).collect()
            }
        }
    }
}

/// `number` in the mixed radix of `lengths`, most significant digit first.
fn digits(number: usize, lengths: &[usize]) -> Vec<usize> {
    let mut rest = number;
    let mut digits: Vec<_> = lengths
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

/// For each axis, the stratum of every point: a permutation of `0..points`.
fn strata(points: usize, axes: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let permutation = |_| {
        let mut axis: Vec<usize> = (0..points).collect();
        axis.shuffle(&mut random);
        axis
    };
    (0..axes).map(permutation).collect()
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
        assert_eq!(Method::Grid.points(&[2, 1, 3], 9), expected);
        assert_eq!(Method::Grid.points(&[], 0), [vec![0; 0]]);
        assert_eq!(Method::Grid.count(&[usize::MAX, 2]), None);
    }

    #[test]
    fn the_seed_decides_the_sample() {
        let sample = |seed| Method::LatinHypercube { points: 50 }.points(&[50, 50], seed);
        assert_eq!(sample(1), sample(1));
        assert_ne!(sample(1), sample(2));
    }

    proptest! {
        #[test]
        fn each_stratum_is_used_once_on_every_axis(points in 1usize..60, axes in 1usize..5, seed: u64) {
            // With as many values as points, a value is a stratum.
            let sample = Method::LatinHypercube { points }.points(&vec![points; axes], seed);
            for axis in 0..axes {
                let mut seen: Vec<_> = sample.iter().map(|point| point[axis]).collect();
                seen.sort_unstable();
                prop_assert_eq!(seen, (0..points).collect::<Vec<_>>());
            }
        }

        #[test]
        fn values_of_an_axis_are_used_equally_often(times in 1usize..8, length in 1usize..9, seed: u64) {
            let sample = Method::LatinHypercube { points: times * length }.points(&[length], seed);
            for value in 0..length {
                prop_assert_eq!(sample.iter().filter(|point| point[0] == value).count(), times);
            }
        }
    }
}
