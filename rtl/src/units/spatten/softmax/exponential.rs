//! One lane from a score to its exponential.

use std::sync::Arc;

use attelier_hw::spatten::{
    Spatten,
    formats::{EXPONENT_FRACTION_BITS, EXPONENT_INTEGER_BITS, SCALE_BITS, SERIES, SERIES_ORDER},
};

use crate::{
    Error, ModuleBuilder, Signal,
    bits::Bits,
    ir::{Module, Type},
    units::spatten::{
        parts::{delay, within},
        widths::{EXPONENT_BITS, MANTISSA_BITS, score_bits},
    },
};

/// Width of the right shift of the scale \[bits\].
pub const SHIFT_BITS: u32 = 6;

/// Registers of the scale: operands, product, product again, shift, clamp.
const SCALE_STAGES: u32 = 5;
/// Cycles from the score to the cycle in which its product is shifted.
pub const SHIFT_STAGE: u32 = 3;
/// Registers of the exponential: split, then product and sum of each term.
const EXPONENTIAL_STAGES: u32 = 1 + 2 * SERIES_ORDER as u32;

/// `softmax_exponential`: scale, split, series.
pub fn softmax_exponential(params: &Spatten) -> Result<Arc<Module>, Error> {
    let softmax = &params.softmax;
    let (scale_cycles, exp_cycles) = (softmax.scale_cycles, softmax.exp_cycles);
    let name = "softmax_exponential";
    let most = 1 << 16;
    let expected = "at least 5 (operands, product twice, shift, clamp)";
    within(name, "softmax.scale_cycles", scale_cycles, SCALE_STAGES..most, expected)?;
    let expected = "at least 11 (split, five products and sums)";
    within(name, "softmax.exp_cycles", exp_cycles, EXPONENTIAL_STAGES..most, expected)?;

    let m = ModuleBuilder::new(name);
    m.doc(
        "2 to the power of a scaled score: y = clamp((score * scale_mantissa) >> scale_shift) with",
    );
    m.doc("15 fraction bits, exponent = y rounded to nearest, mantissa / 2^16 = 2^(y - exponent) from a");
    m.doc("series of fifth order.");
    m.doc(format!(
        "scale_mantissa comes 1 cycle after its score, scale_shift {SHIFT_STAGE} cycles after."
    ));
    m.parameter("SCALE_CYCLES", scale_cycles);
    m.parameter("EXP_CYCLES", exp_cycles);
    m.latency(format!("{} cycles", scale_cycles + exp_cycles));
    let score = m.input("score", Type::signed(score_bits(params)));
    let scale_mantissa = m.input("scale_mantissa", SCALE_BITS);
    let scale_shift = m.input("scale_shift", SHIFT_BITS);

    m.section("scale");
    let score_register = m.pipe("score_register", &score);
    let factor = m.wire("factor", &scale_mantissa.extend(SCALE_BITS + 1).as_signed());
    let product = m.pipe("product", &score_register.mul(&factor));
    let product = m
        .pipe("product_again", &product)
        .comment("Lets a multiplier of several DSP blocks have a register inside.");
    let shifted = m.pipe("shifted", &(&product >> &scale_shift));
    let y = m.pipe("clamped", &clamp(&m, &shifted));
    let y = delay(&m, "scaled", &y, scale_cycles - SCALE_STAGES);
    let y = delay(&m, "y", &y, exp_cycles - EXPONENTIAL_STAGES);

    m.section("split into the nearest integer and a rest of at most a half");
    let integer = y.bits(EXPONENT_FRACTION_BITS..y.width()).as_signed().extend(EXPONENT_BITS);
    let half = y.bit(EXPONENT_FRACTION_BITS - 1).extend(EXPONENT_BITS).as_signed();
    let exponent = m.pipe("exponent_0", &(integer + half));
    let rest = m.pipe("rest_0", &y.bits(0..EXPONENT_FRACTION_BITS).as_signed());

    let mantissa = series(&m, &rest);
    let exponent = delay(&m, "exponent_after", &exponent, 2 * SERIES_ORDER as u32);

    m.output("mantissa", &mantissa.bits(0..MANTISSA_BITS));
    m.output_for("exponent", &exponent, "Two's complement.");
    m.discard(&mantissa);
    m.finish()
}

/// A signed number saturated to the bits of a scaled score.
fn clamp(m: &ModuleBuilder, shifted: &Signal) -> Signal {
    let width = EXPONENT_INTEGER_BITS + EXPONENT_FRACTION_BITS;
    if shifted.width() <= width {
        return shifted.extend(width);
    }
    let upper = m.wire("upper", &shifted.bits(width - 1..shifted.width()));
    let fits = m.wire("fits", &(upper.all() | !upper.any()));
    let most = Bits::ones(width - 1);
    let limit = m.wire(
        "limit",
        &shifted.msb().concat(&shifted.msb().mux(&m.literal(Bits::zero(width - 1), false), most)),
    );
    fits.mux(&shifted.bits(0..width), limit).as_signed()
}

/// The fifth-order series of 2^rest by Horner's rule: a multiplication and an addition per term.
fn series(m: &ModuleBuilder, rest: &Signal) -> Signal {
    let [low @ .., highest] = SERIES;
    let half = 1i64 << (EXPONENT_FRACTION_BITS - 1);
    let (mut least, mut most) = (highest, highest);
    let width = signed_width(least, most);
    let mut sum = m.literal(Bits::from_signed(highest, width), true);
    let mut rest = rest.clone();
    for (k, coefficient) in low.into_iter().enumerate().rev() {
        m.section(format!("series, term {k}"));
        let product = m.pipe(format!("product_{k}"), &sum.mul(&rest));
        m.discard(&product);
        // |rest| is at most a half.
        let magnitude = (least.abs().max(most.abs()) * half) >> EXPONENT_FRACTION_BITS;
        (least, most) = (coefficient - magnitude - 1, coefficient + magnitude);
        let width = signed_width(least, most).max(sum.width());
        let upper = product.bits(EXPONENT_FRACTION_BITS..product.width()).as_signed();
        let coefficient = m.literal(Bits::from_signed(coefficient, width), true);
        let next = coefficient + upper.extend(width);
        sum = m.pipe(format!("sum_{k}"), &next);
        if k > 0 {
            rest = delay(m, &format!("rest_{k}"), &rest, 2);
        }
    }
    sum
}

/// Bits of a two's complement number that holds both.
fn signed_width(least: i64, most: i64) -> u32 {
    let magnitude = least.min(-1).unsigned_abs().max(most.unsigned_abs() + 1);
    magnitude.next_power_of_two().ilog2() + 1
}
