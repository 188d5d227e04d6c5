//! Linear symmetric quantization, and its split into planes of high and of low bits
//! (SpAtten section III-D).

use ndarray::{Array2, ArrayView2, Axis};

use super::error::{OperandError, expect_value};

/// Widest code \[bits\]: every code and every scaled code is exact in `f64`.
const WIDEST: u32 = 32;

/// A matrix as signed integer codes with one scale for all.
///
/// Codes of b bits use the 2^b - 1 levels from -(2^(b-1) - 1) to 2^(b-1) - 1: zero is a level and
/// both signs reach equally far. The scale maps the largest magnitude of the matrix to the
/// outermost level. Rounding is to the nearest level, halfway to the even one; the paper does not
/// state it.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantized {
    codes: Array2<i64>,
    scale: f64,
    bits: u32,
}

impl Quantized {
    /// Quantizes `x` to codes of `bits` bits, sign included.
    ///
    /// # Errors
    /// A width outside 2 to 32 bits, or an element that is not finite.
    pub fn new(x: ArrayView2<'_, f64>, bits: u32) -> Result<Self, OperandError> {
        expect_value((2..=WIDEST).contains(&bits), "bits", bits, format!("2 to {WIDEST}"))?;
        for value in x {
            expect_value(value.is_finite(), "x", value, "finite elements")?;
        }
        let outermost = ((1i64 << (bits - 1)) - 1) as f64;
        let largest = x.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let scale = largest / outermost;
        // A matrix of zeros, or of numbers too small to be told apart from it, has scale 0.
        let code = |value: &f64| match scale > 0.0 {
            true => (value / scale).round_ties_even().clamp(-outermost, outermost) as i64,
            false => 0,
        };
        Ok(Self { codes: x.map(code), scale, bits })
    }

    /// Codes, of the shape of the matrix.
    pub fn codes(&self) -> &Array2<i64> {
        &self.codes
    }

    /// Value of one level.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Width of a code \[bits\].
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The matrix that the codes stand for; off by at most half a level.
    pub fn dequantize(&self) -> Array2<f64> {
        self.codes.map(|&code| code as f64 * self.scale)
    }

    /// Cuts each code into its high bits and the `lsb_bits` bits directly below them.
    ///
    /// The high plane is signed, the low plane is not: code = high * 2^lsb_bits + low. (The released
    /// RTL writes 4 low bits into the lowest places of a 12-bit word whose high plane has 6 bits,
    /// which leaves a gap; its own comment says so. The planes here have none.)
    ///
    /// # Errors
    /// A low plane that leaves no high bits.
    pub fn planes(&self, lsb_bits: u32) -> Result<Planes, OperandError> {
        let expected = format!("less than {}, the width of a code", self.bits);
        expect_value(lsb_bits < self.bits, "lsb_bits", lsb_bits, expected)?;
        let low_mask = (1i64 << lsb_bits) - 1;
        Ok(Planes {
            high: self.codes.map(|code| code >> lsb_bits),
            low: self.codes.map(|code| code & low_mask),
            scale: self.scale,
            lsb_bits,
        })
    }
}

/// A quantized matrix as DRAM holds it for progressive quantization: high and low bits apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Planes {
    high: Array2<i64>,
    low: Array2<i64>,
    scale: f64,
    lsb_bits: u32,
}

impl Planes {
    /// High plane: signed codes of `bits - lsb_bits` bits.
    pub fn high(&self) -> &Array2<i64> {
        &self.high
    }

    /// Low plane: unsigned codes of `lsb_bits` bits.
    pub fn low(&self) -> &Array2<i64> {
        &self.low
    }

    /// The matrix as the high plane alone gives it, low bits 0: never above that of both planes,
    /// and below it by less than 2^lsb_bits levels.
    pub fn dequantize_high(&self) -> Array2<f64> {
        self.high.map(|&high| (high << self.lsb_bits) as f64 * self.scale)
    }

    /// The matrix as both planes together give it: that of the codes that were cut.
    pub fn dequantize(&self) -> Array2<f64> {
        let mut x = Array2::zeros(self.high.raw_dim());
        for ((x, high), low) in x.iter_mut().zip(&self.high).zip(&self.low) {
            *x = ((high << self.lsb_bits) | low) as f64 * self.scale;
        }
        x
    }

    /// Rows at `rows` only, as they remain after pruning.
    ///
    /// # Errors
    /// An index that is no row.
    pub fn select(&self, rows: &[usize]) -> Result<Planes, OperandError> {
        let count = self.high.nrows();
        for &row in rows {
            expect_value(row < count, "rows", row, format!("indices below {count}"))?;
        }
        let (high, low) = (self.high.select(Axis(0), rows), self.low.select(Axis(0), rows));
        Ok(Planes { high, low, ..*self })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_magnitude_meets_the_outermost_level() {
        let q = Quantized::new(array![[-7.0, 3.4], [3.5, 0.0]].view(), 4).unwrap();
        assert_eq!(q.scale(), 1.0);
        // 3.5 lies halfway and goes to the even level.
        assert_eq!(q.codes(), array![[-7, 3], [4, 0]]);
        assert_eq!(q.dequantize(), array![[-7.0, 3.0], [4.0, 0.0]]);
    }

    #[test]
    fn the_low_bits_lie_directly_below_the_high_bits() {
        // -117 = -8 * 16 + 11 and 100 = 6 * 16 + 4.
        let q = Quantized::new(array![[-117.0, 100.0, 127.0]].view(), 8).unwrap();
        let planes = q.planes(4).unwrap();
        assert_eq!(planes.high(), array![[-8, 6, 7]]);
        assert_eq!(planes.low(), array![[11, 4, 15]]);
        assert_eq!(planes.dequantize_high(), array![[-128.0, 96.0, 112.0]]);
        assert_eq!(planes.dequantize(), q.dequantize());
    }

    #[test]
    fn zeros_stay_zeros() {
        let q = Quantized::new(Array2::zeros((2, 2)).view(), 8).unwrap();
        assert_eq!(q.dequantize(), Array2::<f64>::zeros((2, 2)));
        assert_eq!(q.scale(), 0.0);
    }

    #[test]
    fn widths_and_elements_outside_the_range_are_named() {
        let x = array![[1.0, f64::INFINITY]];
        assert_eq!(
            Quantized::new(x.view(), 8).unwrap_err().to_string(),
            "`x` is inf: expected finite elements"
        );
        let x = array![[1.0]];
        assert_eq!(Quantized::new(x.view(), 1).unwrap_err().operand, "bits");
        assert_eq!(Quantized::new(x.view(), 33).unwrap_err().operand, "bits");
        let q = Quantized::new(x.view(), 4).unwrap();
        assert_eq!(q.planes(4).unwrap_err().operand, "lsb_bits");
    }

    proptest! {
        #[test]
        fn quantization_is_off_by_at_most_half_a_level(
            values in prop::collection::vec(-100.0..100.0f64, 1..60),
            bits in 2..=16u32,
        ) {
            let x = Array2::from_shape_vec((1, values.len()), values).unwrap();
            let q = Quantized::new(x.view(), bits).unwrap();
            let reach = (1i64 << (bits - 1)) - 1;
            prop_assert!(q.codes().iter().all(|code| code.abs() <= reach));
            prop_assert!(q.codes().iter().any(|code| code.abs() == reach));
            for (x, y) in x.iter().zip(&q.dequantize()) {
                prop_assert!((x - y).abs() <= q.scale() * (0.5 + 1e-9));
            }
        }

        /// The five settings of the paper and every other cut of a code.
        #[test]
        fn planes_join_to_the_codes_and_the_high_plane_errs_downwards(
            values in prop::collection::vec(-100.0..100.0f64, 1..60),
            (bits, lsb_bits) in (2..=16u32).prop_flat_map(|bits| (Just(bits), 0..bits)),
        ) {
            let x = Array2::from_shape_vec((1, values.len()), values).unwrap();
            let q = Quantized::new(x.view(), bits).unwrap();
            let planes = q.planes(lsb_bits).unwrap();
            prop_assert_eq!(planes.dequantize(), q.dequantize());
            let reach = 1i64 << (bits - lsb_bits - 1);
            prop_assert!(planes.high().iter().all(|high| (-reach..reach).contains(high)));
            prop_assert!(planes.low().iter().all(|low| (0..1 << lsb_bits).contains(low)));
            let step = q.scale() * (1i64 << lsb_bits) as f64;
            for (high, both) in planes.dequantize_high().iter().zip(&q.dequantize()) {
                prop_assert!(*high <= *both && both - high < step + 1e-9);
            }
        }
    }
}
