//! The running sum of a pass, relative to the largest exponent so far.

use std::sync::Arc;

use attelier_hw::spatten::{
    Spatten,
    formats::{EXPONENT_INTEGER_BITS, SUM_GUARD_BITS},
};

use crate::{
    Error, ModuleBuilder,
    bits::Bits,
    ir::{Module, Type},
    units::spatten::{
        parts::{adder_tree, delay, history, tree},
        widths::{EXPONENT_BITS, MANTISSA_BITS, sum_bits},
    },
};

/// Cycles from a row to the sum that contains it: maximum tree, largest exponent, alignment, adder
/// tree, sum.
pub fn sum_stages(lanes: u32) -> u32 {
    2 * lanes.ilog2() + 3
}

/// `softmax_sum`: adds one row of exponentials per cycle.
pub fn softmax_sum(params: &Spatten) -> Result<Arc<Module>, Error> {
    let lanes = params.softmax.lanes;
    let levels = lanes.ilog2();
    let width = sum_bits(params);
    let exponent_type = Type::signed(EXPONENT_BITS);
    let least = Bits::from_signed(-(1 << (EXPONENT_INTEGER_BITS - 1)), EXPONENT_BITS);

    let m = ModuleBuilder::new("softmax_sum");
    m.doc("Running sum of the exponentials of a pass, one row per cycle. The sum is kept relative to the");
    m.doc("largest exponent so far: when a larger one comes, the sum is shifted right.");
    m.parameter("LANES", lanes);
    m.parameter("SUM_BITS", width);
    m.latency(format!("{} cycles", sum_stages(lanes)));
    let valid = m.input("row_valid", 1);
    let last = m.input("row_last", 1);
    let keep = m.input("row_keep", lanes);
    let mantissas = m.inputs("mantissa", lanes, MANTISSA_BITS);
    let exponents = m.inputs("exponent", lanes, exponent_type);

    let first = m.register_from("first", Bits::ones(1)).comment("The next row starts a pass.");
    m.update_when(&first, &valid, &last);
    let stages = sum_stages(lanes);
    let valids = history(&m, "valid", &valid, stages - 1);
    let firsts: Vec<_> = (0..stages)
        .scan(first, |now, at| {
            let this = now.clone();
            if at + 1 < stages {
                *now = m.pipe(format!("first_{}", at + 1), now);
            }
            Some(this)
        })
        .collect();

    m.section("largest exponent of the row; lanes without a key have the least");
    let counted: Vec<_> = (0..lanes)
        .map(|lane| {
            let exponent = &exponents[lane as usize];
            m.wire(format!("counted_{lane}"), &keep.bit(lane).mux(exponent, least.clone()))
        })
        .collect();
    let row_largest = tree(&m, "largest", counted, |a, b| a.gt(b).mux(a, b));

    m.section("largest exponent of the pass");
    let at = levels as usize;
    let largest = m.register_without_reset("pass_largest", exponent_type);
    let before = m.wire("largest_before", &firsts[at].mux(&m.literal(least, true), &largest));
    let now = m.wire("largest_now", &row_largest.gt(&before).mux(&row_largest, &before));
    m.update_when(&largest, &valids[at], &now);
    let grows_by = m.pipe("grows_by", &(&now - &before).as_unsigned());

    m.section("mantissas relative to it");
    let keep = delay(&m, "keep", &keep, levels + 1);
    let aligned = (0..lanes)
        .map(|lane| {
            let index = lane as usize;
            let mantissa =
                delay(&m, &format!("mantissa_{lane}_after"), &mantissas[index], levels + 1);
            let exponent =
                delay(&m, &format!("exponent_{lane}_after"), &exponents[index], levels + 1);
            let below = m.wire(format!("below_{lane}"), &(&largest - &exponent).as_unsigned());
            let guard = m.constant(0, SUM_GUARD_BITS);
            let whole =
                m.wire(format!("term_{lane}"), &keep.bit(lane).gate(&mantissa).concat(&guard));
            m.pipe(format!("aligned_{lane}"), &(&whole >> &below))
        })
        .collect();

    m.section("sum of the row");
    let row_sum = adder_tree(&m, "sum", aligned);

    m.section("sum of the pass");
    let at = stages as usize - 1;
    let sum = m.register_without_reset("pass_sum", width);
    let grows_by = delay(&m, "grows_by", &grows_by, levels + 1);
    let shifted = m.wire("shifted_sum", &(&sum >> &grows_by));
    let kept = m.wire("kept_sum", &(!&firsts[at]).gate(&shifted));
    m.update_when(&sum, &valids[at], kept + row_sum.extend(width));
    let exponent = delay(&m, "pass_largest", &largest, levels + 2);
    m.output("sum", &sum);
    m.output_for("sum_exponent", &exponent, "Two's complement.");
    m.finish()
}
