//! Pruning ratios over the layers of a model, and how many items they leave (SpAtten section V-A).

use serde::{Deserialize, Serialize};

use super::error::{OperandError, expect_value};

/// Front layers that are left alone, then ratios that change linearly from layer to layer.
///
/// The paper fixes the average of the pruned layers and picks start and end so that
/// start + end = 2 average; it says "interpolate", and linear is our reading. How a fraction of the
/// layers becomes a whole number is not stated; the nearest is taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RatioSchedule {
    /// Share of the layers, from the first, that is not pruned: 0.15 for tokens, 0.3 for heads.
    pub front: f64,
    /// Ratio of the first pruned layer: share of the items that it drops.
    pub start: f64,
    /// Mean ratio of the pruned layers.
    pub average: f64,
}

impl RatioSchedule {
    /// Prunes nothing in any layer.
    pub const NONE: RatioSchedule = RatioSchedule { front: 0.0, start: 0.0, average: 0.0 };

    /// Ratio of the last layer.
    pub fn end(&self) -> f64 {
        2.0 * self.average - self.start
    }

    /// Checks that every layer drops a share from 0 to less than 1.
    ///
    /// # Errors
    /// The field that is out of range.
    pub fn check(&self) -> Result<(), OperandError> {
        let share = |value: f64| (0.0..1.0).contains(&value);
        let front = (0.0..=1.0).contains(&self.front);
        expect_value(front, "front", self.front, "a share of the layers from 0 to 1")?;
        let ratio = "a pruned share from 0 to less than 1";
        expect_value(share(self.start), "start", self.start, ratio)?;
        expect_value(share(self.average), "average", self.average, ratio)?;
        // The end may miss 0 by rounding when the start is twice the average.
        let end = self.end();
        let expected = format!(
            "{ratio} in the last layer too, which is 2 * average - start = {end}: choose it closer \
             to start = {}",
            self.start
        );
        expect_value((-1e-12..1.0).contains(&end), "average", self.average, expected)
    }

    /// Ratio of every layer, 0 for those in front.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn ratios(&self, layers: usize) -> Result<Vec<f64>, OperandError> {
        self.check()?;
        let front = (self.front * layers as f64).round() as usize;
        let pruned = layers.saturating_sub(front);
        let ratio = |layer: usize| match (layer.checked_sub(front), pruned) {
            (None, _) => 0.0,
            (Some(_), 1) => self.average,
            (Some(step), _) => {
                let way = step as f64 / (pruned - 1) as f64;
                (self.start + (self.end() - self.start) * way).max(0.0)
            }
        };
        Ok((0..layers).map(ratio).collect())
    }
}

/// Items that remain of `count` when the share `ratio` is dropped: floor(count * (1 - ratio)), but
/// at least one of any.
///
/// The released traces keep floor(1024 * 0.9) = 921, floor(1024 * 0.7) = 716 and so on. A product
/// within 1e-9 of a whole number is that number: 100 * (1 - 0.9) is 10, though the nearest doubles
/// multiply to less.
pub fn kept_count(count: usize, ratio: f64) -> usize {
    let kept = (count as f64 * (1.0 - ratio) + 1e-9).floor();
    // The conversion saturates: a ratio outside [0, 1] or NaN stays inside the bounds too.
    (kept as usize).clamp(count.min(1), count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ratios_rise_linearly_behind_an_untouched_front() {
        let schedule = RatioSchedule { front: 0.15, start: 0.2, average: 0.5 };
        let ratios = schedule.ratios(6).unwrap();
        // 0.15 * 6 = 0.9 layers are one; the other five run from 0.2 to 0.8.
        let expected = [0.0, 0.2, 0.35, 0.5, 0.65, 0.8];
        for (ratio, expected) in ratios.iter().zip(expected) {
            assert!((ratio - expected).abs() < 1e-15, "{ratios:?}");
        }
    }

    /// Kept keys and values of the traces released with the paper.
    #[test]
    fn released_budgets_are_floors() {
        let released = [0.1, 0.2, 0.3, 0.4, 0.7, 0.8, 0.9].map(|ratio| kept_count(1024, ratio));
        assert_eq!(released, [921, 819, 716, 614, 307, 204, 102]);
        assert_eq!(kept_count(102, 0.8), 20);
        assert_eq!(kept_count(921, 0.8), 184);
        assert_eq!(kept_count(100, 0.9), 10);
    }

    #[test]
    fn at_least_one_item_remains_of_any() {
        assert_eq!(kept_count(3, 0.99), 1);
        assert_eq!(kept_count(0, 0.5), 0);
        assert_eq!(kept_count(5, f64::NAN), 1);
        assert_eq!(kept_count(5, -3.0), 5);
    }

    #[test]
    fn a_ramp_that_leaves_the_range_is_refused() {
        let ramp = |front, start, average| RatioSchedule { front, start, average }.check();
        assert_eq!(ramp(1.5, 0.1, 0.1).unwrap_err().operand, "front");
        assert_eq!(ramp(0.1, 1.0, 0.1).unwrap_err().operand, "start");
        assert_eq!(ramp(0.1, 0.1, f64::NAN).unwrap_err().operand, "average");
        // End 1.1 and end -0.1.
        assert_eq!(ramp(0.1, 0.1, 0.6).unwrap_err().operand, "average");
        assert_eq!(ramp(0.1, 0.5, 0.2).unwrap_err().operand, "average");
        assert_eq!(ramp(0.1, 0.6, 0.3), Ok(()));
    }

    proptest! {
        #[test]
        fn pruned_layers_have_the_average_that_was_asked_for(
            layers in 1..40usize,
            front in 0.0..0.9f64,
            average in 0.0..0.9f64,
            lean in -1.0..1.0f64,
        ) {
            let start = average + lean * average.min(0.99 - average);
            let schedule = RatioSchedule { front, start, average };
            let ratios = schedule.ratios(layers).unwrap();
            let untouched = (front * layers as f64).round() as usize;
            let pruned = &ratios[untouched..];
            prop_assert!(ratios[..untouched].iter().all(|&ratio| ratio == 0.0));
            if !pruned.is_empty() {
                let mean = pruned.iter().sum::<f64>() / pruned.len() as f64;
                prop_assert!((mean - average).abs() < 1e-9, "{ratios:?}");
            }
        }
    }
}
