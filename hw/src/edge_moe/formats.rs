//! Number formats of Edge-MoE and what becomes of numbers that they do not hold.
//!
//! All are those of `include/datatypes.hpp` in the released code. It names neither a rounding nor an
//! overflow mode, so the defaults of the library hold: bits below the last are cut off, which rounds
//! toward minus infinity, and bits above the first are lost.

use serde::{Deserialize, Serialize};

use crate::schema::Field;

/// A fixed-point number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// All bits, the sign included where there is one.
    pub bits: u32,
    /// Bits behind the point; the last is worth 2^-`fraction`.
    pub fraction: u32,
    /// Whether it has a sign.
    pub signed: bool,
}

/// Features, scores, sums and everything between units: from -512 to just below 512.
pub const FEATURE: Format = Format::signed(32, 22);
/// Weights of linear layers, experts and gates.
pub const WEIGHT: Format = Format::signed(16, 14);
/// Biases of queries, keys, values and projection.
pub const ATTENTION_BIAS: Format = Format::signed(16, 9);
/// Biases of the MLP, of experts and of patches; weights and biases of layer norms.
pub const BIAS: Format = Format::signed(16, 11);
/// Biases as the linear unit keeps them: wide enough for both of the above.
pub const LINEAR_BIAS: Format = Format::signed(18, 11);
/// Weights of the patch embedding.
pub const PATCH_WEIGHT: Format = Format::signed(16, 16);
/// Pixels, 255 of 256 at most.
pub const PIXEL: Format = Format { bits: 8, fraction: 8, signed: false };

impl Format {
    const fn signed(bits: u32, fraction: u32) -> Self {
        Self { bits, fraction, signed: true }
    }

    /// The smallest and the largest number, in units of the last bit.
    pub const fn range(&self) -> (i64, i64) {
        if self.signed {
            let half = 1 << (self.bits - 1);
            (-half, half - 1)
        } else {
            (0, (1 << self.bits) - 1)
        }
    }
}

/// Arithmetic on features.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arithmetic {
    /// A result beyond the range becomes the nearest end of it; otherwise its upper bits are lost.
    pub saturate: bool,
}

pub(super) const FIELDS: &[Field] = &[Field::flag("saturate")];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_bits() {
        assert_eq!(FEATURE.range(), (i64::from(i32::MIN), i64::from(i32::MAX)));
        assert_eq!(WEIGHT.range(), (-32_768, 32_767));
        assert_eq!(PIXEL.range(), (0, 255));
    }

    /// Both kinds of bias fit the buffer: integer bits of the one, fraction bits of the other.
    #[test]
    fn the_bias_of_the_linear_unit_holds_both_kinds() {
        assert_eq!(LINEAR_BIAS.fraction, BIAS.fraction.max(ATTENTION_BIAS.fraction));
        let integer = |format: Format| format.bits - format.fraction;
        assert_eq!(integer(LINEAR_BIAS), integer(ATTENTION_BIAS).max(integer(BIAS)));
    }
}
