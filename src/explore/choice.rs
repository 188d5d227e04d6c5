//! One point of the front: that which gives up least.

/// Index of the point that is nearest to the ideal, which is as good as the best of all points in every
/// objective. Each objective counts by its range over the points; the first of equals wins.
///
/// Every objective is to be small. `None` without points.
pub fn compromise(points: &[Vec<f64>]) -> Option<usize> {
    let range = |objective: usize| {
        let column = points.iter().map(|point| point[objective]);
        let low = column.clone().fold(f64::INFINITY, f64::min);
        (low, column.fold(f64::NEG_INFINITY, f64::max) - low)
    };
    let ranges: Vec<(f64, f64)> = (0..points.first()?.len()).map(range).collect();
    let distance = |point: &[f64]| -> f64 {
        let part = |(value, (low, range)): (&f64, &(f64, f64))| {
            if *range > 0.0 { ((value - low) / range).powi(2) } else { 0.0 }
        };
        point.iter().zip(&ranges).map(part).sum()
    };
    let distances = points.iter().map(|point| distance(point)).enumerate();
    distances.min_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bend_of_a_front_is_chosen_whatever_the_units() {
        let front = [[0.0, 10.0], [1.0, 2.0], [4.0, 1.5], [10.0, 0.0]];
        assert_eq!(compromise(&front.map(Vec::from)), Some(1));
        let scaled = front.map(|[a, b]| vec![a * 1e9, b * 1e-9]);
        assert_eq!(compromise(&scaled), Some(1));
    }

    #[test]
    fn an_objective_that_is_the_same_everywhere_does_not_count() {
        assert_eq!(compromise(&[vec![2.0, 5.0], vec![1.0, 5.0]]), Some(1));
        assert_eq!(compromise(&[vec![1.0], vec![1.0]]), Some(0));
        assert_eq!(compromise(&[]), None);
    }
}
