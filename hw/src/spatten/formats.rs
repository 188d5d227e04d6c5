//! Number formats of the data path between the buffers and the attention output.
//!
//! The paper gives 12-bit operands and an exponential of fifth order; the released RTL has no
//! softmax. What lies between is chosen here, once, for the simulator and the generated Verilog
//! (`docs/designs/spatten-arithmetic.md` derives every width and error). `Qi.f` is a fixed-point
//! number with `i` integer bits, sign included where it has one, and `f` fraction bits.

/// Width of the softmax scale's mantissa \[bits\]: unsigned, leading bit set. With a sign bit it
/// fits the 18-bit side of a DSP48E2 multiplier.
pub const SCALE_BITS: u32 = 17;

/// Fraction bits of a scaled score, an exponent of two.
pub const EXPONENT_FRACTION_BITS: u32 = 15;

/// Integer bits of a scaled score, sign included: exponents from -512 to just below 512.
pub const EXPONENT_INTEGER_BITS: u32 = 10;

/// Fraction bits of the exponential's mantissa, which lies between 0.7 and 1.42.
pub const MANTISSA_FRACTION_BITS: u32 = 16;

/// Order of the series of the exponential (SpAtten section IV-E).
pub const SERIES_ORDER: usize = 5;

/// Coefficients `ln(2)^k / k!` of the series of `2^x`, with [`MANTISSA_FRACTION_BITS`] fraction
/// bits, rounded to nearest.
pub const SERIES: [i64; SERIES_ORDER + 1] = [65_536, 45_426, 15_743, 3_638, 630, 87];

/// Bits that the sum of exponentials keeps below a mantissa's last: 2^10 terms of 2^-24 of the
/// largest still move a probability by less than 2^-14.
pub const SUM_GUARD_BITS: u32 = 8;

/// Width of the normalised sum and of its reciprocal \[bits\]: unsigned, leading bit set.
pub const RECIPROCAL_BITS: u32 = 17;

/// Width of a token's importance \[bits\]: unsigned, saturating.
pub const TOKEN_IMPORTANCE_BITS: u32 = 32;

/// Width of a head's importance \[bits\]: unsigned, saturating.
pub const HEAD_IMPORTANCE_BITS: u32 = 40;

/// Widest operand for which every intermediate result of the data path has 64 bits \[bits\].
pub const MAX_OPERAND_BITS: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_those_of_the_series() {
        let mut term = 1.0f64;
        for (k, &coefficient) in SERIES.iter().enumerate() {
            let expected = term * f64::from(1u32 << MANTISSA_FRACTION_BITS);
            assert_eq!(coefficient, expected.round() as i64, "coefficient {k}");
            term *= std::f64::consts::LN_2 / (k + 1) as f64;
        }
    }
}
