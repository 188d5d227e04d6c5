//! Exponential, quotient and root of features, as the simulator's `datapath::fixed_functions` has them.

use std::sync::Arc;

use attelier_hw::edge_moe::{
    formats::FEATURE,
    tables::{EXP_FRACTION_BITS, EXP_HIGH, EXP_LOW, EXP_PART_BITS, EXP_UNITS},
};

use crate::{
    Error, ModuleBuilder, Signal, bits::index_width, ir::Module, units::spatten::parts::delay,
};

/// Cycles from a distance to its exponential.
pub const EXPONENTIAL_CYCLES: u32 = 4;
/// Steps of a division: bits of the numerator with those of a fraction behind them.
pub const DIVISION_STEPS: u32 = FEATURE.bits - 1 + FEATURE.fraction;
/// Steps of a root, each with two bits of the radicand.
pub const ROOT_STEPS: u32 = DIVISION_STEPS.div_ceil(2);

/// The value of a table at an index that has as many states.
fn look_up(m: &ModuleBuilder, index: &Signal, table: &[u32], width: u32) -> Signal {
    let values: Vec<Signal> =
        table.iter().map(|value| m.constant(u64::from(*value), width)).collect();
    m.select(index, &values)
}

/// The module `exponential`: exp(-distance) of a distance with the fraction bits of a feature.
///
/// # Errors
/// None with the tables that there are.
pub fn exponential() -> Result<Arc<Module>, Error> {
    let width = EXP_FRACTION_BITS + 1;
    let high_at = FEATURE.fraction - EXP_PART_BITS;
    let low_at = high_at - EXP_PART_BITS;
    let m = ModuleBuilder::new("exponential");
    m.doc("exp(-distance): the product of three table entries, for units and for two parts of the fraction,");
    m.doc("and of 1 - rest. Each product is cut to 26 bits of fraction, the last one to 22.");
    m.latency(format!("{EXPONENTIAL_CYCLES} cycles: tables, three products"));
    let distance = m.input("distance", FEATURE.bits);

    m.section("tables");
    let whole = distance.bits(FEATURE.fraction..FEATURE.bits);
    let units_bits = index_width(EXP_UNITS.len() as u64);
    let near = m.wire("near", &!whole.bits(units_bits..whole.width()).any());
    let units = look_up(&m, &whole.bits(0..units_bits), &EXP_UNITS, width);
    let product = m.pipe("units", &near.gate(&units));
    let part = |low: u32| distance.bits(low..low + EXP_PART_BITS);
    let high = m.pipe("high", &look_up(&m, &part(high_at), &EXP_HIGH, width));
    let low = m.pipe("low", &look_up(&m, &part(low_at), &EXP_LOW, width));
    let rest = delay(&m, "rest", &distance.bits(0..low_at), 3);

    m.section("products");
    let times = |name: &str, a: &Signal, b: &Signal, cut: u32| {
        let exact = m.wire(format!("{name}_exact"), &a.mul(b));
        m.discard(&exact);
        m.pipe(name, &exact.bits(cut..exact.width() - 1))
    };
    let of_units = times("units_high", &product, &high, EXP_FRACTION_BITS);
    let of_parts = times("units_parts", &of_units, &delay(&m, "low", &low, 1), EXP_FRACTION_BITS);
    let surplus = EXP_FRACTION_BITS - FEATURE.fraction;
    let rest = rest.concat(&m.constant(0, surplus)).extend(width);
    let factor = m.wire("one_less_rest", &(m.constant(1 << EXP_FRACTION_BITS, width) - rest));
    let y = times("result", &of_parts, &factor, EXP_FRACTION_BITS + surplus);
    m.output("y", &y);
    m.finish()
}

/// The module `divider`: a bit of the quotient in each cycle.
///
/// # Errors
/// None.
pub fn divider() -> Result<Arc<Module>, Error> {
    let m = ModuleBuilder::new("divider");
    m.doc("Quotient of two features by restoring division, cut below the last bit; upper bits are lost. A");
    m.doc("negative numerator counts as 0, a denominator of 0 or less as the last bit. A division under way");
    m.doc("is not disturbed; the quotient stays until the next one starts.");
    m.latency(format!("{} cycles from `start` to the quotient", DIVISION_STEPS + 1));
    let start = m.input("start", 1);
    let numerator = m.input("numerator", FEATURE.bits);
    let denominator = m.input("denominator", FEATURE.bits);
    let steps = Steps::new(&m, &start, DIVISION_STEPS);

    m.section("one bit per step: does the denominator fit into what is left?");
    let size = FEATURE.bits - 1;
    let is_positive = m.wire("is_positive", &(!denominator.msb() & denominator.any()));
    let divisor = is_positive.mux(&denominator.bits(0..size), m.constant(1, size));
    let divisor = m.pipe_when("divisor", &steps.starts, &divisor);
    let digits = m
        .register_without_reset("digits", DIVISION_STEPS)
        .comment("Bits of the numerator leave above, bits of the quotient enter below.");
    let rest = m.register_without_reset("rest", size);
    let longer = m.wire("longer", &rest.concat(&digits.msb()));
    let fits = m.wire("fits", &longer.ge(divisor.extend(size + 1)));
    let left = m.wire("left", &(&longer - divisor.extend(size + 1)));
    let next_rest = fits.mux(&left.bits(0..size), longer.bits(0..size));
    m.discard(&left);
    m.update_when(&rest, &steps.moves, (!&steps.starts).gate(&next_rest));
    let positive = (!numerator.msb()).gate(&numerator.bits(0..size));
    let loaded = positive.concat(&m.constant(0, FEATURE.fraction));
    let shifted = digits.bits(0..DIVISION_STEPS - 1).concat(&fits);
    m.update_when(&digits, &steps.moves, steps.starts.mux(&loaded, &shifted));
    m.output_for("busy", &steps.busy, "The quotient is not complete.");
    m.output("quotient", &digits.bits(0..FEATURE.bits));
    m.finish()
}

/// The module `square_root`: a bit of the root in each cycle.
///
/// # Errors
/// None.
pub fn square_root() -> Result<Arc<Module>, Error> {
    let m = ModuleBuilder::new("square_root");
    m.doc(
        "Square root of a feature, digit by digit, cut below the last bit; 0 for what is negative.",
    );
    m.latency(format!("{} cycles from `start` to the root", ROOT_STEPS + 1));
    let start = m.input("start", 1);
    let x = m.input("x", FEATURE.bits);
    let steps = Steps::new(&m, &start, ROOT_STEPS);

    m.section("two bits of the radicand per step");
    let width = 2 * ROOT_STEPS;
    let size = FEATURE.bits - 1;
    let positive = (!x.msb()).gate(&x.bits(0..size));
    let loaded = positive.concat(&m.constant(0, FEATURE.fraction)).extend(width);
    let radicand = m.register_without_reset("radicand", width);
    let shifted = radicand.bits(0..width - 2).concat(&m.constant(0, 2));
    m.update_when(&radicand, &steps.moves, steps.starts.mux(&loaded, &shifted));
    let root = m.register_without_reset("root_register", ROOT_STEPS);
    // What is left is at most twice the root.
    let rest = m.register_without_reset("rest", ROOT_STEPS + 1);
    let longer = m.wire("longer", &rest.concat(&radicand.bits(width - 2..width)));
    let trial = m.wire("trial", &root.concat(&m.constant(1, 2)).extend(ROOT_STEPS + 3));
    let fits = m.wire("fits", &longer.ge(&trial));
    let left = m.wire("left", &fits.mux(&(&longer - &trial), &longer));
    m.discard(&left);
    let kept = left.bits(0..ROOT_STEPS + 1);
    m.update_when(&rest, &steps.moves, (!&steps.starts).gate(&kept));
    let next_root = root.bits(0..ROOT_STEPS - 1).concat(&fits);
    m.update_when(&root, &steps.moves, (!&steps.starts).gate(&next_root));
    m.output_for("busy", &steps.busy, "The root is not complete.");
    m.output("root", &root);
    m.finish()
}

/// Steps of a function that takes one operand at a time.
struct Steps {
    busy: Signal,
    starts: Signal,
    /// Registers take over what follows: the operand, or the result of a step.
    moves: Signal,
}

impl Steps {
    fn new(m: &ModuleBuilder, start: &Signal, count: u32) -> Self {
        m.section("steps");
        let busy = m.register("is_busy", 1);
        let left = m.register("steps_left", index_width(count.into()));
        let starts = m.wire("starts", &(start & !&busy));
        let moves = m.wire("moves", &(&starts | &busy));
        let is_last = m.wire("is_last", &!left.any());
        m.update(&busy, &starts | (&busy & !&is_last));
        let first = m.constant(u64::from(count) - 1, left.width());
        m.update_when(&left, &moves, starts.mux(&first, &left - 1));
        Self { busy, starts, moves }
    }
}
