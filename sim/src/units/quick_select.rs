//! Quick-select: the k-th largest value and how many equals of it to keep, round by round.
//!
//! Each round streams the candidates past a pivot at `parallelism` elements per cycle. Two
//! comparator arrays send the smaller ones to `FIFO_L` and the larger ones to `FIFO_R`; zero
//! eliminators compact them; equals are only counted (SpAtten section IV-B, algorithm 3, figure 9).
//! The recursion uses the one-based rank, which the figure's example needs; the printed algorithm
//! is off by one there.

use super::{lfsr::Lfsr, zero_eliminator::eliminate};

/// Result of a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold<T> {
    /// The k-th largest value.
    pub value: T,
    /// How many elements equal to `value` belong to the k largest; at least 1.
    pub equals: usize,
    /// Rounds until the pivot was the k-th largest.
    pub rounds: u32,
    /// Cycles of all rounds: `ceil(candidates / parallelism) + overhead` each.
    pub cycles: u64,
}

/// Selects the `k`-th largest of `values`, `1 <= k <= values.len()`.
pub fn quick_select<T: Copy + Ord>(
    values: &[T],
    k: usize,
    parallelism: usize,
    overhead: u32,
    lfsr: &mut Lfsr,
) -> Threshold<T> {
    quick_select_observed(values, k, parallelism, overhead, lfsr, |_, _| {})
}

/// As [`quick_select`]; every round is shown, its candidates and its pivot.
pub fn quick_select_observed<T: Copy + Ord>(
    values: &[T],
    k: usize,
    parallelism: usize,
    overhead: u32,
    lfsr: &mut Lfsr,
    mut observe: impl FnMut(&[T], T),
) -> Threshold<T> {
    assert!((1..=values.len()).contains(&k), "rank {k} of {} elements", values.len());
    let mut candidates = values.to_vec();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    let (mut rank, mut rounds, mut cycles) = (k, 0, 0);
    loop {
        rounds += 1;
        cycles += candidates.len().div_ceil(parallelism) as u64 + u64::from(overhead);
        let pivot = candidates[lfsr.position(candidates.len())];
        observe(&candidates, pivot);
        left.clear();
        right.clear();
        for &value in &candidates {
            if value < pivot {
                left.push(value);
            } else if value > pivot {
                right.push(value);
            }
        }
        let equals = candidates.len() - left.len() - right.len();
        if rank <= right.len() {
            std::mem::swap(&mut candidates, &mut right);
        } else if rank <= right.len() + equals {
            return Threshold { value: pivot, equals: rank - right.len(), rounds, cycles };
        } else {
            rank -= right.len() + equals;
            std::mem::swap(&mut candidates, &mut left);
        }
    }
}

/// Second pass: positions of the elements above the threshold and of the first `equals` equal
/// ones, in order. `lanes` elements pass the comparators and one zero eliminator per cycle.
pub fn filter<T: Copy + Ord>(values: &[T], threshold: &Threshold<T>, lanes: usize) -> Vec<u32> {
    let mut kept = Vec::new();
    let mut equals_left = threshold.equals;
    let mut row = [0u32; 64];
    for (index, chunk) in values.chunks(lanes).enumerate() {
        let mut keep = 0u64;
        for (lane, value) in chunk.iter().enumerate() {
            let equal = *value == threshold.value && equals_left > 0;
            equals_left -= usize::from(equal);
            keep |= u64::from(equal || *value > threshold.value) << lane;
            row[lane] = (index * lanes + lane) as u32;
        }
        let survivors = eliminate(&mut row[..chunk.len()], keep);
        kept.extend_from_slice(&row[..survivors]);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Positions of the k largest by a stable sort: ties go to the earlier position.
    fn by_sorting(values: &[u16], k: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..values.len() as u32).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(values[i as usize]));
        order.truncate(k);
        order.sort_unstable();
        order
    }

    proptest! {
        #[test]
        fn equals_sorting_for_every_k(
            values in prop::collection::vec(0u16..40, 1..150),
            parallelism in 1usize..33,
            seed: u16,
        ) {
            for k in 1..=values.len() {
                let found = quick_select(&values, k, parallelism, 3, &mut Lfsr::new(seed));
                let kept = filter(&values, &found, 8);
                prop_assert_eq!(&kept, &by_sorting(&values, k));
            }
        }
    }

    #[test]
    fn the_example_of_figure_9() {
        let tenths = [6, 1, 5, 12, 6];
        let found = quick_select(&tenths, 3, 16, 3, &mut Lfsr::new(1));
        assert_eq!((found.value, found.equals), (6, 2));
        assert_eq!(filter(&tenths, &found, 8), [0, 3, 4]);
    }

    /// The mean number of cycles of the released latency model (random distinct values, random
    /// pivot, `ceil(n/P) + 3` per round), as tabulated in its documentation for P = 16.
    #[test]
    fn mean_cycles_follow_the_released_latency_model() {
        for (n, k, expected) in [(1024, 512, 257.0), (921, 184, 214.0), (102, 20, 45.0)] {
            let mut total = 0;
            for seed in 0..400u32 {
                let values: Vec<u32> =
                    (0..n).map(|i: u32| (i + 1).wrapping_mul(2_654_435_761) ^ seed << 9).collect();
                let mut lfsr = Lfsr::new((seed * 163 + 1) as u16);
                total += quick_select(&values, k, 16, 3, &mut lfsr).cycles;
            }
            let mean = total as f64 / 400.0;
            assert!((mean / expected - 1.0).abs() < 0.08, "{n}, {k}: {mean} against {expected}");
        }
    }
}
