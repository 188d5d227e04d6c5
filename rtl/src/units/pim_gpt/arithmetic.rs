//! Multipliers, adders and a rounding stage, each without a register.

use std::sync::Arc;

use super::float::{
    BF16, BIAS, EXPONENT, Exact, FP32, Fields, Format, Special, exponent_constant, round, wide,
};
use crate::{Error, ModuleBuilder, Signal, ir::Module};

const RULES: &str =
    "Subnormal numbers are zeros, on both sides; overflow is infinity; there is one NaN.";

/// `bf16_multiply`: the product of two BF16 numbers, rounded to BF16.
///
/// # Errors
/// Those of the checks; none of them depends on a parameter.
pub fn bf16_multiply() -> Result<Arc<Module>, Error> {
    multiply("bf16_multiply", BF16, BF16)
}

/// `bf16_product`: the product of two BF16 numbers in FP32, exact unless it leaves the range.
///
/// # Errors
/// As [`bf16_multiply`].
pub fn bf16_product() -> Result<Arc<Module>, Error> {
    multiply("bf16_product", BF16, FP32)
}

/// `fp32_multiply`: the product of two FP32 numbers, rounded to FP32.
///
/// # Errors
/// As [`bf16_multiply`].
pub fn fp32_multiply() -> Result<Arc<Module>, Error> {
    multiply("fp32_multiply", FP32, FP32)
}

/// `bf16_add`: the sum of two BF16 numbers.
///
/// # Errors
/// As [`bf16_multiply`].
pub fn bf16_add() -> Result<Arc<Module>, Error> {
    add("bf16_add", BF16)
}

/// `fp32_add`: the sum of two FP32 numbers.
///
/// # Errors
/// As [`bf16_multiply`].
pub fn fp32_add() -> Result<Arc<Module>, Error> {
    add("fp32_add", FP32)
}

/// `fp32_to_bf16`: the BF16 number nearest to an FP32 number.
///
/// # Errors
/// As [`bf16_multiply`].
pub fn fp32_to_bf16() -> Result<Arc<Module>, Error> {
    let m = begin("fp32_to_bf16", "The BF16 number nearest to an FP32 number.");
    let a = Fields::of(&m, "a", &m.input("a", FP32.width()), FP32);
    let exact = Exact { sign: a.sign, exponent: wide(&a.exponent), significand: a.significand };
    let special = Special { nan: a.nan, infinite: a.infinite, zero: a.zero };
    let result = round(&m, BF16, &exact, &special);
    m.output("result", &result);
    m.finish()
}

fn begin(name: &str, what: &str) -> ModuleBuilder {
    let m = ModuleBuilder::new(name);
    m.doc(what);
    m.doc(RULES);
    m.latency("none: no register");
    m
}

fn multiply(name: &str, from: Format, to: Format) -> Result<Arc<Module>, Error> {
    let m = begin(name, "Product of two numbers, rounded once.");
    m.parameter("FRACTION_BITS", from.fraction);
    m.parameter("RESULT_FRACTION_BITS", to.fraction);
    let (a, b) = (m.input("a", from.width()), m.input("b", from.width()));
    m.section("operands");
    let (a, b) = (Fields::of(&m, "a", &a, from), Fields::of(&m, "b", &b, from));

    m.section("multiply");
    let product = m.wire("product", &a.significand.mul(&b.significand));
    let top = product.width() - 1;
    let high = m.wire("high", &product.msb()).comment("The product is 2 or more.");
    let low = product.bits(0..top).concat(&m.constant(0, 1));
    let significand = m.wire("significand", &high.mux(&product, &low));
    let sum = wide(&a.exponent) + wide(&b.exponent) - exponent_constant(&m, BIAS as i64);
    let exponent = m.wire("exponent", &(sum + wide(&high)));
    let sign = m.wire("sign", &(&a.sign ^ &b.sign));

    m.section("operands that are no finite numbers");
    let undefined = (&a.zero & &b.infinite) | (&a.infinite & &b.zero);
    let special = Special {
        nan: m.wire("nan", &(&a.nan | &b.nan | undefined)),
        infinite: m.wire("infinite", &(&a.infinite | &b.infinite)),
        zero: m.wire("zero", &(&a.zero | &b.zero)),
    };
    let result = round(&m, to, &Exact { sign, exponent, significand }, &special);
    m.output("result", &result);
    m.finish()
}

/// Bits below the last of the larger addend: guard, round and sticky bit.
const EXTRA: u32 = 3;

fn add(name: &str, format: Format) -> Result<Arc<Module>, Error> {
    let m = begin(name, "Sum of two numbers, rounded once; of opposite numbers it is +0.");
    m.parameter("FRACTION_BITS", format.fraction);
    let (a, b) = (m.input("a", format.width()), m.input("b", format.width()));
    m.section("the larger magnitude first");
    let magnitude = |x: &Signal| x.bits(0..format.fraction + EXPONENT);
    let swap = m.wire("swap", &magnitude(&a).lt(magnitude(&b)));
    let larger = m.wire("larger", &swap.mux(&b, &a));
    let smaller = m.wire("smaller", &swap.mux(&a, &b));
    let (l, s) =
        (Fields::of(&m, "larger", &larger, format), Fields::of(&m, "smaller", &smaller, format));
    let subtracts = m.wire("subtracts", &(&l.sign ^ &s.sign));

    m.section("align the smaller one; what is shifted out sets the lowest bit");
    let width = format.fraction + 1 + EXTRA;
    let distance = m.wire("distance", &(&l.exponent - &s.exponent));
    let far = m.wire("far", &distance.ge(u64::from(width)));
    let amount = distance.bits(0..width.ilog2() + 1);
    let addend = m.wire("addend", &s.significand.concat(&m.constant(0, EXTRA + width)));
    let shifted = m.wire("shifted", &(&addend >> &amount));
    let lost = m.wire("lost", &shifted.bits(0..width).any());
    let near = shifted.bits(width + 1..2 * width).concat(&(shifted.bit(width) | lost));
    let aligned = m.wire("aligned", &far.mux(&m.constant(1, width), &near));

    m.section("add or subtract");
    let wide_sum = width + 1;
    let augend = l.significand.concat(&m.constant(0, EXTRA)).extend(wide_sum);
    let aligned = aligned.extend(wide_sum);
    let sum = m.wire("sum", &subtracts.mux(&(&augend - &aligned), &augend + &aligned));
    let cancels = m.wire("cancels", &!sum.any());

    m.section("shift the leading one to the top");
    let (significand, zeros) = normalise(&m, &sum);
    let exponent = wide(&l.exponent) + exponent_constant(&m, 1) - wide(&zeros);
    let exponent = m.wire("exponent", &exponent);

    m.section("operands that are no finite numbers");
    let opposite = m.wire("opposite", &(&l.infinite & &s.infinite & &subtracts));
    let both_zero = m.wire("both_zero", &(&l.zero & &s.zero));
    // Opposite numbers give +0, and so do zeros of two signs.
    let clears = m.wire("clears", &(&both_zero | &cancels));
    let sign = m.wire("sign", &(&l.sign & !(&clears & &subtracts)));
    let special = Special {
        nan: m.wire("nan", &(&l.nan | &s.nan | opposite)),
        infinite: l.infinite,
        zero: m.wire("zero", &clears),
    };
    // Zero is no addend: the other number passes.
    let passes = m.wire("passes", &(&s.zero & !&l.zero & !&special.nan & !&special.infinite));
    let result = round(&m, format, &Exact { sign, exponent, significand }, &special);
    m.output("result", &passes.mux(&larger, &result));
    m.finish()
}

/// A number shifted left until its top bit is set, and how far; of zero, anything.
fn normalise(m: &ModuleBuilder, number: &Signal) -> (Signal, Signal) {
    let (mut number, width) = (number.clone(), number.width());
    let mut steps = Vec::new();
    for step in (0..=(width - 1).ilog2()).rev() {
        let shift = 1 << step;
        let empty = !number.bits(width - shift..width).any();
        let empty = m.wire(format!("top_{shift}_empty"), &empty);
        let moved = number.bits(0..width - shift).concat(&m.constant(0, shift));
        number = m.wire(format!("normal_{shift}"), &empty.mux(&moved, &number));
        steps.push(empty);
    }
    (number, m.wire("leading_zeros", &m.concat(&steps)))
}
