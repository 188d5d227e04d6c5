//! Function pipelines of an ASIC lane, from FP32 additions and multiplications alone.
//!
//! Methods and order of operations are those of the simulator's functions, which give the error
//! bounds. Every function shows its result a fixed number of cycles after its argument.

use std::{
    f64::consts::{FRAC_2_PI, LN_2, LOG2_E},
    sync::Arc,
};

use super::{
    float::{EXPONENT, FP32, Fields, exponent_constant, nan, wide},
    pipeline::{Function, Pipeline, Staged},
};
use crate::{Error, Signal, ir::Module};

/// Bits from which the halved bits of a number are subtracted: "0x5f3759df".
const ROOT_SEED: u64 = 0x5f37_59df;
/// Newton-Raphson steps on the reciprocal.
const RECIPROCAL_STEPS: u32 = 3;
/// 1 / n!.
const EXPONENTIAL: [f64; 6] = [1.0, 1.0, 1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0];
/// x^1, x^3 and so on.
const TANH: [f64; 6] =
    [1.0, -1.0 / 3.0, 2.0 / 15.0, -17.0 / 315.0, 62.0 / 2835.0, -1382.0 / 155_925.0];
/// ln 2 with the last 14 bits 0: its product with a whole number below 2^10 is exact.
const LN_2_HIGH: f64 = 0.693_359_375;
/// 1.5 * 2^23: added to a number below 2^22, it leaves the nearest whole number in the last bits.
const WHOLE: f64 = 12_582_912.0;
/// Bits of a number of steps of ln 2, with its sign.
const STEP_BITS: u32 = 10;
/// Coefficient of the cubic term of GELU.
const GELU_CUBIC: f64 = 0.044_715;

/// A module with the ports `x` and `y`, and the cycles between them.
pub type FunctionUnit = (Arc<Module>, u32);

/// `reciprocal`: 1 / x.
///
/// # Errors
/// Those of the checks; none of them depends on a parameter.
pub fn reciprocal() -> Result<FunctionUnit, Error> {
    reciprocal_function().map(unit)
}

/// `inverse_square_root`: 1 / sqrt(x), one step.
///
/// # Errors
/// As [`reciprocal`].
pub fn inverse_square_root() -> Result<FunctionUnit, Error> {
    inverse_square_root_function().map(unit)
}

/// `exponential`: e^x.
///
/// # Errors
/// As [`reciprocal`].
pub fn exponential() -> Result<FunctionUnit, Error> {
    exponential_function().map(unit)
}

/// `tanh`: the hyperbolic tangent.
///
/// # Errors
/// As [`reciprocal`].
pub fn tanh() -> Result<FunctionUnit, Error> {
    tanh_function().map(unit)
}

/// `gelu`: x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
///
/// # Errors
/// As [`reciprocal`].
pub fn gelu() -> Result<FunctionUnit, Error> {
    let bend = tanh_function()?;
    let p = Pipeline::new("gelu", "x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).")?;
    let x = p.argument("x");
    let linear = p.times("cubic_1", &p.number(GELU_CUBIC), &x);
    let square = p.times("cubic_2", &linear, &x);
    let cubic = p.times("cubic_3", &square, &x);
    let inner = p.plus("inner", &x, &cubic);
    let scaled = p.times("scaled", &p.number(FRAC_2_PI.sqrt()), &inner);
    let bent = p.call("bent", &bend, &scaled);
    let above = p.plus("above", &p.number(1.0), &bent);
    let half = p.times("half", &p.number(0.5), &x);
    let y = p.times("gated", &half, &above);
    p.finish(&y).map(unit)
}

fn unit(function: Function) -> FunctionUnit {
    (function.module, function.latency)
}

fn constant_nan(p: &Pipeline) -> Signal {
    p.m.constant(nan(FP32), FP32.width())
}

fn infinity(p: &Pipeline) -> Signal {
    p.m.constant(255 << FP32.fraction, FP32.width())
}

pub(super) fn reciprocal_function() -> Result<Function, Error> {
    let p = Pipeline::new("reciprocal", "1 / x: linear seed and three Newton-Raphson steps.")?;
    let x = p.argument("x");
    let m = &p.m;
    m.section("scale to [0.5, 1)");
    let scaled = p.join("scaled", &[&x], |of| {
        m.constant(126, EXPONENT + 1).concat(&of[0].bits(0..FP32.fraction))
    });
    let exponent = p.join("exponent", &[&x], |of| {
        exponent_constant(m, 126) - wide(&of[0].bits(FP32.fraction..FP32.width() - 1))
    });
    m.section("seed");
    let slope = p.times("slope", &p.number(-32.0 / 17.0), &scaled);
    let mut guess = p.plus("guess_0", &p.number(48.0 / 17.0), &slope);
    for step in 1..=RECIPROCAL_STEPS {
        m.section(format!("step {step}"));
        let product = p.times(&format!("product_{step}"), &scaled, &guess);
        let product = p.negated(&format!("minus_product_{step}"), &product);
        let rest = p.plus(&format!("rest_{step}"), &p.number(1.0), &product);
        let change = p.times(&format!("change_{step}"), &guess, &rest);
        guess = p.plus(&format!("guess_{step}"), &guess, &change);
    }
    m.section("scale back");
    let shifted = p.shifted("shifted", &guess, &exponent);
    // Infinity needs no case of its own: 2 * 2^-129 is zero.
    let [zero, is_nan, negative] = classes(&p, &x);
    let y = p.join("chosen", &[&is_nan, &zero, &negative, &shifted], |of| {
        let result = m.wire("unsigned_result", &of[1].mux(&infinity(&p), &of[3]));
        let result = (result.msb() ^ &of[2]).concat(&result.bits(0..FP32.width() - 1));
        of[0].mux(&constant_nan(&p), &result)
    });
    p.finish(&y)
}

/// Whether `x` is zero, and no number; its sign.
fn classes(p: &Pipeline, x: &Staged) -> [Staged; 3] {
    let m = &p.m;
    let number = x.at(m, x.stage());
    let fields = Fields::of(m, "x", &number, FP32);
    m.discard(&fields.significand);
    m.discard(&fields.infinite);
    let of = |name: &str, signal: Signal| p.join(name, &[x], |_| signal);
    [of("is_zero", fields.zero), of("is_nan", fields.nan), of("is_negative", fields.sign)]
}

pub(super) fn inverse_square_root_function() -> Result<Function, Error> {
    let p = Pipeline::new("inverse_square_root", "1 / sqrt(x): shifted exponent and one step.")?;
    let x = p.argument("x");
    let m = &p.m;
    m.section("seed");
    let refused = p.join("refused", &[&x], |of| {
        let x = Fields::of(m, "x", &of[0], FP32);
        m.discard(&x.significand);
        x.sign | x.zero | x.infinite | x.nan
    });
    let seed = p.join("seed", &[&x], |of| {
        m.constant(ROOT_SEED, FP32.width()) - of[0].bits(1..FP32.width()).extend(FP32.width())
    });
    m.section("step");
    let half = p.times("half", &p.number(0.5), &x);
    let once = p.times("half_seed", &half, &seed);
    let twice = p.times("half_square", &once, &seed);
    let rest = p.plus("rest", &p.number(1.5), &p.negated("minus_half_square", &twice));
    let root = p.times("root", &seed, &rest);
    let y = p.join("chosen", &[&refused, &root], |of| of[0].mux(&constant_nan(&p), &of[1]));
    p.finish(&y)
}

pub(super) fn exponential_function() -> Result<Function, Error> {
    let p = Pipeline::new("exponential", "e^x: x = k ln 2 + r, six terms through r^5.")?;
    let x = p.argument("x");
    let m = &p.m;
    m.section("steps of ln 2");
    let ratio = p.times("ratio", &x, &p.number(LOG2_E));
    let raised = p.plus("raised", &ratio, &p.number(WHOLE));
    let whole = p.plus("whole", &raised, &p.number(-WHOLE));
    let exponent = p.join("steps", &[&raised], |of| of[0].bits(0..STEP_BITS).as_signed());
    m.section("what is left");
    let steps = p.negated("minus_whole", &whole);
    let high = p.times("high", &steps, &p.number(LN_2_HIGH));
    let low = p.times("low", &steps, &p.number(LN_2 - LN_2_HIGH));
    let rest = p.plus("rest", &p.plus("coarse_rest", &x, &high), &low);
    m.section("series");
    let series = p.polynomial("series", &EXPONENTIAL, &rest);
    m.section("scale");
    let shifted = p.shifted("shifted", &series, &exponent);
    m.section("beyond the range");
    let bits = |value: f64| u64::from((value as f32).to_bits());
    let number = x.at(m, 0);
    let size = m.wire("size", &number.bits(0..FP32.width() - 1));
    let is_nan = p.join("is_nan", &[&x], |_| size.gt(255 << FP32.fraction));
    let negative = p.join("is_negative", &[&x], |_| number.msb());
    let above = p.join("above", &[&negative], |of| !&of[0] & size.gt(bits(89.0)));
    let below = p.join("below", &[&negative], |of| &of[0] & size.gt(bits(88.0)));
    let y = p.join("chosen", &[&is_nan, &above, &below, &shifted], |of| {
        let result = of[1].mux(&infinity(&p), (!&of[2]).gate(&of[3]));
        of[0].mux(&constant_nan(&p), &result)
    });
    p.finish(&y)
}

fn tanh_function() -> Result<Function, Error> {
    let (exponential, reciprocal) = (exponential_function()?, reciprocal_function()?);
    let what = "Hyperbolic tangent: a series below 1/2, the exponential of -2 abs(x) beyond.";
    let p = Pipeline::new("tanh", what)?;
    let x = p.argument("x");
    p.m.section("below 1/2");
    let square = p.times("square", &x, &x);
    let series = p.polynomial("series", &TANH, &square);
    let series = p.times("near", &x, &series);
    p.m.section("beyond");
    let size = p.magnitude("size", &x);
    let doubled = p.times("doubled", &p.number(-2.0), &size);
    let decayed = p.call("decayed", &exponential, &doubled);
    let rest = p.plus("rest", &p.number(1.0), &p.negated("minus_decayed", &decayed));
    let sum = p.plus("sum", &p.number(1.0), &decayed);
    let inverse = p.call("inverse", &reciprocal, &sum);
    let far = p.times("far", &rest, &inverse);
    p.m.section("choose");
    let near = p.join("is_near", &[&x], |of| of[0].bits(FP32.fraction..FP32.width() - 1).lt(126));
    let negative = p.join("is_negative", &[&x], |of| of[0].msb());
    let y = p.join("chosen", &[&near, &negative, &series, &far], |of| {
        let far = (of[3].msb() ^ &of[1]).concat(&of[3].bits(0..FP32.width() - 1));
        of[0].mux(&of[2], &far)
    });
    p.finish(&y)
}
