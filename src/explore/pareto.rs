//! The Pareto front: points than which no other is at least as good in everything and better in
//! something.

use std::cmp::Ordering;

/// Indices of the points on the front, ascending. Every objective is to be small; points that are
/// equal in all of them are on the front together.
///
/// Points are visited in lexicographic order, in which no point comes before one that dominates it;
/// so each is compared with the front found so far, and with nothing else.
pub fn front(points: &[Vec<f64>]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| lexicographic(&points[a], &points[b]).then(a.cmp(&b)));
    let mut front: Vec<usize> = Vec::new();
    for candidate in order {
        // A dominating point has often been found last: its neighbour in the order.
        if !front.iter().rev().any(|&other| dominates(&points[other], &points[candidate])) {
            front.push(candidate);
        }
    }
    front.sort_unstable();
    front
}

fn lexicographic(a: &[f64], b: &[f64]) -> Ordering {
    let differing = a.iter().zip(b).map(|(a, b)| compare(*a, *b)).find(|order| order.is_ne());
    differing.unwrap_or(Ordering::Equal)
}

/// As numbers: both zeros are equal.
fn compare(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.total_cmp(&b))
}

fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b) && a.iter().zip(b).any(|(a, b)| a < b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By the definition, every pair.
    fn slow(points: &[Vec<f64>]) -> Vec<usize> {
        let mut front = Vec::new();
        for (index, point) in points.iter().enumerate() {
            let mut beaten = false;
            for other in points {
                let mut worse = false;
                let mut better = false;
                for objective in 0..point.len() {
                    worse |= other[objective] > point[objective];
                    better |= other[objective] < point[objective];
                }
                beaten |= better && !worse;
            }
            if !beaten {
                front.push(index);
            }
        }
        front
    }

    fn points() -> impl Strategy<Value = Vec<Vec<f64>>> {
        // Few values, so that ties and duplicates are common.
        let number = prop_oneof![(0u8..6).prop_map(f64::from), Just(-0.0), Just(0.5), Just(1e300)];
        (1usize..5).prop_flat_map(move |objectives| {
            prop::collection::vec(prop::collection::vec(number.clone(), objectives), 0..40)
        })
    }

    #[test]
    fn a_worked_example() {
        let points = [[3.0, 1.0], [1.0, 3.0], [2.0, 2.0], [3.0, 2.0], [2.0, 2.0]];
        assert_eq!(front(&points.map(Vec::from)), [0, 1, 2, 4]);
        assert_eq!(front(&[]), [0; 0]);
    }

    proptest! {
        #[test]
        fn equals_the_front_by_definition(points in points()) {
            prop_assert_eq!(front(&points), slow(&points));
        }
    }
}
