//! Reciprocal of a sum: normalise, then divide by one bit per cycle.

use std::sync::Arc;

use attelier_hw::spatten::{Spatten, formats::RECIPROCAL_BITS};

use crate::{
    Error, ModuleBuilder,
    bits::{Bits, index_width},
    ir::Module,
    units::spatten::{
        parts::delay,
        widths::{LEAST_SUM_BITS, sum_bits},
    },
};

/// Doublings of the shift that normalises a sum of `sum_bits` bits.
pub fn normalise_levels(sum_bits: u32) -> u32 {
    index_width(u64::from(sum_bits - LEAST_SUM_BITS) + 1)
}

/// Cycles from a sum to its reciprocal.
pub fn reciprocal_stages(sum_bits: u32) -> u32 {
    normalise_levels(sum_bits) + RECIPROCAL_BITS
}

/// `softmax_reciprocal`: (2^33 - 1) / (the upper 17 bits of the normalised sum).
pub fn softmax_reciprocal(params: &Spatten) -> Result<Arc<Module>, Error> {
    let width = sum_bits(params);
    let levels = normalise_levels(width);
    let m = ModuleBuilder::new("softmax_reciprocal");
    m.doc("reciprocal = (2^33 - 1) / s, where s are the 17 bits of the sum from its leading one on. The");
    m.doc("sum is shifted left until its leading one is its top bit; `zeros` says by how much.");
    m.doc("A new sum may enter in every cycle.");
    m.parameter("SUM_BITS", width);
    m.latency(format!(
        "{} cycles: {levels} to normalise, {RECIPROCAL_BITS} to divide",
        levels + RECIPROCAL_BITS
    ));
    let sum = m.input("sum", width);

    m.section("normalise: is the upper part zero, then shift it out");
    let mut normal = sum;
    let mut zeros: Option<crate::Signal> = None;
    for level in (0..levels).rev() {
        let by = 1 << level;
        let upper = normal.bits(width - by..width);
        let is_zero = m.wire(format!("upper_{by}_zero"), &!upper.any());
        let rest = normal.bits(0..width - by).concat(&m.constant(0, by));
        normal = m.pipe(format!("normalise_{by}"), &is_zero.mux(&rest, &normal));
        let count = match zeros {
            Some(zeros) => zeros.concat(&is_zero),
            None => is_zero,
        };
        zeros = Some(m.pipe(format!("zeros_{by}"), &count));
    }
    let zeros = zeros.unwrap_or_else(|| m.constant(0, 1));
    let mut divisor = m.wire("divisor", &normal.bits(width - RECIPROCAL_BITS..width));
    m.discard(&normal);

    m.section("divide: the first bit of the quotient is always set");
    let mut remainder = m.pipe("remainder_0", &!&divisor);
    let mut quotient = m.literal(Bits::ones(1), false);
    divisor = m.pipe("divisor_0", &divisor);
    for step in 1..RECIPROCAL_BITS {
        let one = m.literal(Bits::ones(1), false);
        let longer = m.wire(format!("longer_{step}"), &remainder.concat(&one));
        let whole = divisor.extend(RECIPROCAL_BITS + 1);
        let bit = m.wire(format!("bit_{step}"), &longer.ge(&whole));
        let rest = m.wire(format!("rest_{step}"), &bit.mux(&(&longer - &whole), &longer));
        m.discard(&rest);
        quotient = m.pipe(format!("quotient_{step}"), &quotient.concat(&bit));
        if step + 1 < RECIPROCAL_BITS {
            remainder = m.pipe(format!("remainder_{step}"), &rest.bits(0..RECIPROCAL_BITS));
            divisor = m.pipe(format!("divisor_{step}"), &divisor);
        }
    }
    m.output("reciprocal", &quotient);
    m.output("zeros", &delay(&m, "zeros_after", &zeros, RECIPROCAL_BITS));
    m.finish()
}
