//! Floating-point parts: what a number's bits mean, and how a result becomes a number again.
//!
//! The rules are those of the simulator's arithmetic: one rounding to nearest, ties to even;
//! subnormal numbers are zeros of their sign on both sides; overflow is infinity; one NaN.

use crate::{ModuleBuilder, Signal, bits::Bits};

/// Bits of an exponent.
pub(super) const EXPONENT: u32 = 8;
/// Bits of a sum of exponents, with room for its sign.
pub(super) const WIDE_EXPONENT: u32 = EXPONENT + 2;
/// Bias of the exponent.
pub(super) const BIAS: u64 = 127;

/// A format with 8 exponent bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    /// Fraction bits.
    pub fraction: u32,
}

/// Sign, 8 exponent bits, 7 fraction bits.
pub(super) const BF16: Format = Format { fraction: 7 };
/// Sign, 8 exponent bits, 23 fraction bits.
pub(super) const FP32: Format = Format { fraction: 23 };

impl Format {
    /// Width of a number \[bits\].
    pub fn width(self) -> u32 {
        self.fraction + EXPONENT + 1
    }
}

/// What the bits of a number mean; wires `name_*`.
pub(super) struct Fields {
    pub sign: Signal,
    pub exponent: Signal,
    /// With its leading one; means nothing for zero, infinity and NaN.
    pub significand: Signal,
    pub zero: Signal,
    pub infinite: Signal,
    pub nan: Signal,
}

impl Fields {
    pub fn of(m: &ModuleBuilder, name: &str, number: &Signal, format: Format) -> Self {
        let low = number.bits(0..format.fraction);
        let exponent = number.bits(format.fraction..format.fraction + EXPONENT);
        let top = m.wire(format!("{name}_top"), &exponent.all());
        let rest = m.wire(format!("{name}_rest"), &low.any());
        Self {
            sign: number.msb(),
            significand: m.wire(format!("{name}_significand"), &m.constant(1, 1).concat(&low)),
            zero: m.wire(format!("{name}_zero"), &!exponent.any()),
            infinite: m.wire(format!("{name}_infinite"), &(&top & !&rest)),
            nan: m.wire(format!("{name}_nan"), &(top & rest)),
            exponent,
        }
    }
}

/// An exact finite result before it is rounded.
pub(super) struct Exact {
    pub sign: Signal,
    /// Biased exponent of the leading one, signed, [`WIDE_EXPONENT`] bits.
    pub exponent: Signal,
    /// The leading one is the top bit; a sticky bit may stand at the bottom.
    pub significand: Signal,
}

/// Where a result is not the exact one, in falling precedence.
pub(super) struct Special {
    pub nan: Signal,
    /// Infinity of the sign of the exact result.
    pub infinite: Signal,
    /// Zero of the sign of the exact result.
    pub zero: Signal,
}

/// The number nearest to an exact result.
pub(super) fn round(m: &ModuleBuilder, format: Format, exact: &Exact, special: &Special) -> Signal {
    m.section("round to nearest, ties to even");
    let (fraction, width) = (format.fraction, exact.significand.width());
    let kept_bits = fraction + 1;
    let rounded = if width <= kept_bits {
        let zeros = m.constant(0, kept_bits - width + 1);
        let padded = exact.significand.concat(&zeros);
        m.constant(0, 1).concat(&padded.bits(1..padded.width()))
    } else {
        let drop = width - kept_bits;
        let kept = m.wire("kept", &exact.significand.bits(drop..width));
        let half = exact.significand.bit(drop - 1);
        let up = match drop {
            1 => half & kept.bit(0),
            _ => half & (kept.bit(0) | exact.significand.bits(0..drop - 1).any()),
        };
        let up = m.wire("rounds_up", &up);
        kept.extend(kept_bits + 1) + up.extend(kept_bits + 1)
    };
    // A carry out of the significand leaves a fraction of zeros.
    let rounded = m.wire("rounded", &rounded);
    m.discard(&rounded);
    let carry = rounded.msb().extend(WIDE_EXPONENT).as_signed();
    let field = m.wire("field", &(&exact.exponent + carry));
    let limit = |value: u64| m.literal(Bits::new(value, WIDE_EXPONENT), true);
    let overflows = m.wire("overflows", &field.ge(limit(255)));
    let underflows = m.wire("underflows", &field.lt(limit(1)));

    m.section("choose");
    let infinite = m.wire("gives_infinity", &(&special.infinite | overflows));
    let zero = m.wire("gives_zero", &(&special.zero | underflows));
    let finite = field.bits(0..EXPONENT).concat(&rounded.bits(0..fraction));
    let magnitude = |value: u64| m.constant(value << fraction, fraction + EXPONENT);
    let magnitude = infinite.mux(&magnitude(255), zero.mux(&magnitude(0), &finite));
    let number = m.wire("number", &exact.sign.concat(&magnitude));
    special.nan.mux(&m.constant(nan(format), format.width()), number)
}

/// The one NaN.
pub(super) fn nan(format: Format) -> u64 {
    255 << format.fraction | 1 << (format.fraction - 1)
}

/// A biased exponent as a summand.
pub(super) fn wide(exponent: &Signal) -> Signal {
    exponent.extend(WIDE_EXPONENT).as_signed()
}

/// A signed constant beside exponents.
pub(super) fn exponent_constant(m: &ModuleBuilder, value: i64) -> Signal {
    m.literal(Bits::from_signed(value, WIDE_EXPONENT), true)
}
