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
        self.max_abs = self.max_abs.max(error.abs());
        self.square_error += error * error;
        self.square += value * value;
        self.square_reference += reference * reference;
        self.product += value * reference;
    }

    /// Root of the mean squared difference.
    pub fn rms(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.square_error / self.count as f64).sqrt() }
    }

    /// Cosine of the angle between all numbers and all references; 1 if one of them is all 0.
    pub fn cosine(&self) -> f64 {
        let norms = (self.square * self.square_reference).sqrt();
        if norms > 0.0 { self.product / norms } else { 1.0 }
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
    }
}
