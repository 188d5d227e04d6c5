//! How far numbers are from what they should be.

/// Differences between numbers and what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Deviation {
    /// Numbers compared.
    pub count: u64,
    /// Largest absolute difference.
    pub max_abs: f64,
    square_error: f64,
    square: f64,
    square_reference: f64,
    product: f64,
}

impl Deviation {
    /// Compares one number with its reference.
    pub fn add(&mut self, value: f64, reference: f64) {
        let error = value - reference;
        self.count += 1;
        // `max` would drop what is no number.
        self.max_abs = if error.is_nan() { f64::NAN } else { self.max_abs.max(error.abs()) };
        self.square_error += error * error;
        self.square += value * value;
        self.square_reference += reference * reference;
        self.product += value * reference;
    }

    /// Root of the mean squared difference.
    pub fn rms(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.square_error / self.count as f64).sqrt() }
    }

    /// Cosine of the angle between all numbers and all references: 1 if both are all 0, 0 if only one
    /// is, and no number if one of them holds none.
    pub fn cosine(&self) -> f64 {
        match (self.square == 0.0, self.square_reference == 0.0) {
            (true, true) => 1.0,
            (true, false) | (false, true) => 0.0,
            (false, false) => self.product / (self.square * self.square_reference).sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_of_known_vectors() {
        let mut deviation = Deviation::default();
        deviation.add(3.0, 3.0);
        deviation.add(4.0, 0.0);
        assert_eq!((deviation.count, deviation.max_abs), (2, 4.0));
        assert_eq!(deviation.rms(), 8f64.sqrt());
        assert_eq!(deviation.cosine(), 9.0 / 15.0);
        assert_eq!(Deviation::default().cosine(), 1.0);
        let one = |value, reference| {
            let mut deviation = Deviation::default();
            deviation.add(value, reference);
            deviation
        };
        assert_eq!(one(0.0, 2.0).cosine(), 0.0);
        assert!(one(f64::NAN, 1.0).cosine().is_nan() && one(f64::NAN, 1.0).max_abs.is_nan());
    }
}
