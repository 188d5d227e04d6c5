//! The hypervolume of a front: how much of the space up to a reference point it dominates. The usual
//! single number for comparing two fronts of the same space.
//!
//! While, Bradstreet and Barone, "A Fast Way of Calculating Exact Hypervolumes", IEEE Transactions on
//! Evolutionary Computation 16(1), 2012.

use super::pareto;

/// Volume that `points` dominate below `reference`; every objective is to be small. Points that are
/// not below the reference in everything add nothing.
pub fn hypervolume(points: &[Vec<f64>], reference: &[f64]) -> f64 {
    let below = |point: &&Vec<f64>| point.iter().zip(reference).all(|(a, b)| a < b);
    let points: Vec<Vec<f64>> = points.iter().filter(below).cloned().collect();
    volume(&without_dominated(points), reference)
}

/// Of points none of which dominates another.
fn volume(front: &[Vec<f64>], reference: &[f64]) -> f64 {
    let exclusive = |(index, point): (usize, &Vec<f64>)| {
        // What later points dominate of the box of this one, is theirs.
        let limited: Vec<Vec<f64>> =
            front[index + 1..].iter().map(|other| worse_of(point, other)).collect();
        let own: f64 = point.iter().zip(reference).map(|(a, b)| b - a).product();
        own - volume(&without_dominated(limited), reference)
    };
    front.iter().enumerate().map(exclusive).sum()
}

fn worse_of(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a.max(*b)).collect()
}

/// The front of `points`, each place once, the worst in the first objective first: limits by the rest
/// then leave little.
fn without_dominated(points: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let mut front: Vec<Vec<f64>> =
        pareto::front(&points).into_iter().map(|index| points[index].clone()).collect();
    front.sort_by(|a, b| {
        b.iter()
            .zip(a)
            .map(|(b, a)| b.total_cmp(a))
            .find(|o| o.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    front.dedup();
    front
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Counts the unit cubes that are dominated.
    fn cubes(points: &[Vec<f64>], side: usize, objectives: usize) -> usize {
        let mut count = 0;
        for number in 0..side.pow(objectives as u32) {
            let cube: Vec<f64> = (0..objectives)
                .map(|place| (number / side.pow(place as u32) % side) as f64)
                .collect();
            let dominated = points
                .iter()
                .any(|point| point.iter().zip(&cube).all(|(point, cube)| point <= cube));
            count += usize::from(dominated);
        }
        count
    }

    #[test]
    fn worked_examples() {
        assert_eq!(hypervolume(&[vec![1.0, 3.0], vec![2.0, 1.0]], &[4.0, 4.0]), 7.0);
        assert_eq!(hypervolume(&[vec![4.0, 0.0]], &[4.0, 4.0]), 0.0);
        assert_eq!(hypervolume(&[], &[1.0]), 0.0);
    }

    proptest! {
        #[test]
        fn equals_the_number_of_dominated_cubes(
            points in (1usize..5).prop_flat_map(|objectives| {
                prop::collection::vec(prop::collection::vec((0u8..7).prop_map(f64::from), objectives), 1..12)
            })
        ) {
            let objectives = points[0].len();
            let volume = hypervolume(&points, &vec![6.0; objectives]);
            prop_assert_eq!(volume, cubes(&points, 6, objectives) as f64);
        }
    }
}
