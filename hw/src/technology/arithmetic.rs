//! Energy of integer and floating-point operations at 45 nm and 0.9 V.
//!
//! Reference: M. Horowitz, ISSCC 2014 (energy table); the rule for widths is that of NVlabs/timeloop.

use super::{Constant, HOROWITZ, row};

/// Integer addition, 8 bits.
pub const ADD_8: Constant = row("add 8 bit", 0.03, "pJ", HOROWITZ);
/// Integer addition, 16 bits.
pub const ADD_16: Constant = row("add 16 bit", 0.05, "pJ", HOROWITZ);
/// Integer addition, 32 bits.
pub const ADD_32: Constant = row("add 32 bit", 0.1, "pJ", HOROWITZ);
/// Integer multiplication, 8 bits; the anchor of [`multiply_pj`].
pub const MULTIPLY_8: Constant = row("multiply 8 bit", 0.2, "pJ", HOROWITZ);
/// Integer multiplication, 32 bits.
pub const MULTIPLY_32: Constant = row("multiply 32 bit", 3.1, "pJ", HOROWITZ);
/// Growth of multiplication energy with the width of both operands.
pub const MULTIPLY_WIDTH_EXPONENT: Constant = row(
    "multiply width exponent",
    2.0,
    "1",
    "assumed: energy follows the product of the widths, as in timeloop's built-in model; from 8 to \
     32 bits the table of Horowitz grows with 1.98",
);
/// Energy of a comparison over that of an addition of the same width.
pub const COMPARE_OVER_ADD: Constant = row(
    "compare over add",
    1.0,
    "1",
    "assumed: no table has comparators; one is a subtractor whose difference is not kept",
);
/// Addition in single precision.
pub const FP32_ADD: Constant = row("fp32 add", 0.9, "pJ", HOROWITZ);
/// Multiplication in single precision.
pub const FP32_MULTIPLY: Constant = row("fp32 multiply", 3.7, "pJ", HOROWITZ);

/// Every constant, for listings.
pub(super) const CONSTANTS: &[Constant] = &[
    ADD_8,
    ADD_16,
    ADD_32,
    MULTIPLY_8,
    MULTIPLY_32,
    MULTIPLY_WIDTH_EXPONENT,
    COMPARE_OVER_ADD,
    FP32_ADD,
    FP32_MULTIPLY,
];

/// Multiplication of two integers of `bits` each \[pJ\].
///
/// Energy is taken as proportional to the product of the widths, from the 8-bit row: 0.45 pJ for 12
/// bits. Timeloop's built-in model uses the same rule; it gives 3.2 pJ for 32 bits, where the table
/// prints 3.1.
pub fn multiply_pj(bits: u32) -> f64 {
    MULTIPLY_8.value * (f64::from(bits) / 8.0).powf(MULTIPLY_WIDTH_EXPONENT.value)
}

/// Addition of two integers of `bits` each \[pJ\]: straight lines through the printed 8, 16 and
/// 32-bit rows, and through the origin below 8 bits.
pub fn add_pj(bits: u32) -> f64 {
    let bits = f64::from(bits);
    let line = |x0: f64, y0: f64, x1: f64, y1: f64| y0 + (bits - x0) * (y1 - y0) / (x1 - x0);
    if bits <= 8.0 {
        line(0.0, 0.0, 8.0, ADD_8.value)
    } else if bits <= 16.0 {
        line(8.0, ADD_8.value, 16.0, ADD_16.value)
    } else {
        line(16.0, ADD_16.value, 32.0, ADD_32.value)
    }
}

/// Comparison of two integers of `bits` each \[pJ\].
pub fn compare_pj(bits: u32) -> f64 {
    add_pj(bits) * COMPARE_OVER_ADD.value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(ours: f64, expected: f64) {
        assert!((ours - expected).abs() < 1e-9 * expected.abs().max(1.0), "{ours} {expected}");
    }

    #[test]
    fn a_multiply_of_12_bits_follows_the_quadratic_rule() {
        close(multiply_pj(8), 0.2);
        close(multiply_pj(12), 0.45);
        close(multiply_pj(16), 0.8);
    }

    #[test]
    fn the_quadratic_rule_meets_the_printed_32_bit_row_within_four_percent() {
        assert!((multiply_pj(32) / MULTIPLY_32.value - 1.0).abs() < 0.04);
    }

    #[test]
    fn additions_meet_every_printed_row_and_lie_between() {
        close(add_pj(8), 0.03);
        close(add_pj(16), 0.05);
        close(add_pj(32), 0.1);
        close(add_pj(12), 0.04);
        close(add_pj(4), 0.015);
        close(compare_pj(12), add_pj(12));
    }
}
