//! One lane from an exponential and the reciprocal of the sum to a probability.

use std::sync::Arc;

use attelier_hw::spatten::{
    Spatten,
    formats::{RECIPROCAL_BITS, SUM_GUARD_BITS},
};

use crate::{
    Error, ModuleBuilder,
    bits::Bits,
    ir::{Module, Type},
    units::spatten::{
        parts::{delay, within},
        widths::{EXPONENT_BITS, LEAST_SUM_BITS, MANTISSA_BITS, sum_bits},
    },
};

use super::reciprocal::normalise_levels;

/// Cycles of the multiplication, which is the last of the division.
pub const MULTIPLY_STAGES: u32 = 1;
/// Registers of the quantisation: shift, round and saturate.
const QUANTISE_STAGES: u32 = 2;

/// `softmax_probability`: multiply, round, saturate.
pub fn softmax_probability(params: &Spatten) -> Result<Arc<Module>, Error> {
    let name = "softmax_probability";
    let cycles = params.softmax.quantise_cycles;
    let expected = "at least 2 (shift, round and saturate)";
    within(name, "softmax.quantise_cycles", cycles, QUANTISE_STAGES..1 << 16, expected)?;
    let word = params.datapath_bits;
    let excess = sum_bits(params) - LEAST_SUM_BITS;
    // The smallest right shift, for the shortest sum and its largest term, less the bit that rounds.
    let least_shift = LEAST_SUM_BITS + SUM_GUARD_BITS - word - 1;

    let m = ModuleBuilder::new(name);
    m.doc(
        "Probability = mantissa * reciprocal, shifted to an unsigned fraction, rounded half up and",
    );
    m.doc("saturated just below 1. Zero where `keep` is zero.");
    m.parameter("DATAPATH_BITS", word);
    m.parameter("QUANTISE_CYCLES", cycles);
    m.latency(format!("{} cycles: 1 to multiply, {cycles} to quantise", cycles + 1));
    let keep = m.input("keep", 1);
    let mantissa = m.input("mantissa", MANTISSA_BITS);
    let exponent = m.input("exponent", Type::signed(EXPONENT_BITS));
    let reciprocal = m.input("reciprocal", RECIPROCAL_BITS);
    let zeros = m.input("zeros", normalise_levels(sum_bits(params)));
    let sum_exponent = m.input("sum_exponent", Type::signed(EXPONENT_BITS));

    m.section("multiply; how far the product lies above the smallest shift");
    let product = m.pipe("product", &mantissa.mul(&reciprocal));
    let below = m.wire("below", &(&sum_exponent - &exponent).as_unsigned());
    let width = EXPONENT_BITS + 1;
    let most = m.constant(excess.into(), width);
    let amount = m.pipe("amount", &(below.extend(width) + most - zeros.extend(width)));
    let kept = m.pipe("kept", &keep);

    m.section("shift, all but the bit that rounds");
    let upper = m.wire("upper", &product.bits(least_shift..product.width()));
    m.discard(&product);
    let shifted = m.pipe("shifted", &kept.gate(&(&upper >> &amount)));

    m.section("round half up, saturate");
    let rounded = m.wire("rounded", &(shifted.extend(shifted.width() + 1) + 1));
    let whole = m.wire("whole", &rounded.bits(1..rounded.width()));
    m.discard(&rounded);
    let overflows = m.wire("overflows", &whole.bits(word..whole.width()).any());
    let saturated = overflows.mux(&m.literal(Bits::ones(word), false), whole.bits(0..word));
    let probability = m.pipe("probability_0", &saturated);
    m.output(
        "probability",
        &delay(&m, "probability_after", &probability, cycles - QUANTISE_STAGES),
    );
    m.finish()
}
