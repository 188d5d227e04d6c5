//! Widths that several units agree on, from `docs/designs/spatten-arithmetic.md`.

use attelier_hw::spatten::{
    Spatten,
    formats::{EXPONENT_INTEGER_BITS, MANTISSA_FRACTION_BITS, MAX_OPERAND_BITS, SUM_GUARD_BITS},
};

use crate::Error;

/// Bits of an exponential's mantissa: below 2, so one integer bit.
pub(super) const MANTISSA_BITS: u32 = MANTISSA_FRACTION_BITS + 1;

/// Bits of a rounded exponent of two, sign included: one more than the integer bits of a scaled
/// score, as rounding reaches the next integer.
pub(super) const EXPONENT_BITS: u32 = EXPONENT_INTEGER_BITS + 1;

/// Fewest bits of a sum of exponentials, the largest of which is at least 46,000 / 2^16.
pub(super) const LEAST_SUM_BITS: u32 = MANTISSA_FRACTION_BITS + SUM_GUARD_BITS;

/// Bits of a score: an exact sum of `head_dim` products.
pub(super) fn score_bits(params: &Spatten) -> u32 {
    2 * params.datapath_bits + params.head_dim.ilog2()
}

/// Bits that count the keys of a pass: all its exponentials are parked in the softmax.
pub(super) fn key_count_bits(params: &Spatten) -> u32 {
    let keys = u64::from(params.softmax.fifo_depth) * u64::from(params.softmax.lanes);
    keys.max(1).next_power_of_two().ilog2()
}

/// Bits of a sum of exponentials.
pub(super) fn sum_bits(params: &Spatten) -> u32 {
    LEAST_SUM_BITS + 1 + key_count_bits(params)
}

/// Refuses words for which the arithmetic is not defined.
pub(super) fn check_word(module: &str, params: &Spatten) -> Result<u32, Error> {
    let expected = "2 to 16 bits";
    super::parts::within(
        module,
        "datapath_bits",
        params.datapath_bits,
        2..MAX_OPERAND_BITS + 1,
        expected,
    )
}
