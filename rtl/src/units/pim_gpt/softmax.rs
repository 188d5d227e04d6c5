//! Softmax of the ASIC: scores of a head in, exponentials for the banks and the reciprocal of their sum
//! out.

use std::sync::Arc;

use attelier_hw::pim_gpt::PimGpt;

use super::{
    arithmetic::{fp32_add, fp32_multiply, fp32_to_bf16},
    float::{BF16, FP32, nan},
    functions::{exponential_function, reciprocal_function},
    passes::{FirstPass, after, row_beats, slice, strobe_after, tree},
};
use crate::{Error, ModuleBuilder, Signal, bits::Bits, ir::Module};

/// Below every score.
const NEGATIVE_INFINITY: u64 = 0xff80_0000;
/// Bytes of a score in the memory of the ASIC.
const SCORE_BYTES: u64 = 4;

/// The module `softmax`, for up to eight lanes.
///
/// # Errors
/// A machine that divides probabilities, or whose ASIC holds less than two beats of scores.
pub fn softmax(params: &PimGpt) -> Result<Arc<Module>, Error> {
    let (name, asic) = ("softmax", &params.asic);
    if !params.overlap.divide_late {
        let expected = "true: this unit gives the reciprocal, and outputs are divided";
        return Err(Error::parameter(name, "overlap.divide_late", 0, expected));
    }
    let depth = row_beats(name, params, SCORE_BYTES)?;
    let lanes = slice(asic.multipliers);
    let (add, multiply, narrow) = (fp32_add()?, fp32_multiply()?, fp32_to_bf16()?);
    let (exponential, reciprocal) = (exponential_function()?, reciprocal_function()?);
    let levels = lanes.ilog2();
    let to_number = 2 + exponential.latency + 1;

    let m = ModuleBuilder::new(name);
    m.doc("Softmax of a row of FP32 scores times `scale`, LANES per beat, `s_axis_tkeep` from lane 0 on.");
    m.doc("Numbers are exponentials of the distance to the largest score, in BF16, zero where no score");
    m.doc("was; `factor` is one over their sum. A row must fit into BEATS.");
    m.parameter("LANES", lanes);
    m.parameter("BEATS", depth);
    m.latency(format!(
        "{} cycles from the last score to the first number, {} from the last number to `factor`",
        3 + levels + to_number,
        1 + levels + reciprocal.latency
    ));
    let first = FirstPass::new(&m, lanes, depth);
    let scores = m.inputs("s_axis_tdata", lanes, FP32.width());
    let scale = m.input("scale", FP32.width());
    let operation = |module: &Arc<Module>, name: String, a: &Signal, b: &Signal| {
        let instance = m.instance(name, module);
        instance.input("a", a).input("b", b);
        instance.output("result")
    };

    m.section("scale, and the largest score of each lane so far; NaN is larger than nothing");
    let scaled: Vec<Signal> = (0..)
        .zip(&scores)
        .map(|(lane, score): (u32, _)| {
            let product = operation(&multiply, format!("scale_unit_{lane}"), score, &scale);
            m.pipe(format!("scaled_{lane}"), &product)
        })
        .collect();
    let least = m.constant(NEGATIVE_INFINITY, FP32.width());
    let maxima: Vec<Signal> = (0..)
        .zip(&scaled)
        .map(|(lane, score): (u32, _)| {
            let maximum = m.register_from(
                format!("maximum_{lane}"),
                Bits::new(NEGATIVE_INFINITY, FP32.width()),
            );
            let larger = larger(&m, &maximum, score);
            let takes = first.valid.clone() & first.keep.bit(lane) & larger;
            let takes = m.wire(format!("takes_{lane}"), &takes);
            m.update(&maximum, first.gathered.mux(&least, takes.mux(score, &maximum)));
            maximum
        })
        .collect();
    let largest =
        tree(&m, "largest", maxima, |name, a, b| m.wire(name, &larger(&m, a, b).mux(b, a)));
    let known = strobe_after(&m, "known", &first.gathered, levels);
    let largest = m.pipe_when("largest", &known, &largest);
    let below = m.wire("minus_largest", &(!largest.msb()).concat(&largest.bits(0..31)));

    let second = first.second(&m, &known);
    let keep = after(&m, "keep", &second.stored_keep(&m), to_number - 2);
    let valid = strobe_after(&m, "number_valid", &second.reads, to_number);
    let last = strobe_after(&m, "number_last", &second.finishes, to_number);
    let summed = m.pipe_reset("summed", &last);
    let (mut numbers, mut sums) = (Vec::new(), Vec::new());
    for (lane, score) in (0..).zip(&scaled) {
        m.section(format!("lane {lane}: exponential and sum"));
        let stored = second.stored(&m, &format!("stored_{lane}"), score);
        let distance = operation(&add, format!("distance_unit_{lane}"), &stored, &below);
        let distance = m.pipe(format!("distance_{lane}"), &distance);
        let instance = m.instance(format!("exponential_{lane}"), &exponential.module);
        instance.input("x", &distance);
        let rounding = m.instance(format!("narrow_{lane}"), &narrow);
        rounding.input("a", instance.output("y"));
        let number = keep.bit(lane).gate(&rounding.output("result"));
        let number = m.pipe(format!("number_register_{lane}"), &number);
        let sum = m.register(format!("sum_{lane}"), FP32.width());
        let wide = number.concat(&m.constant(0, FP32.width() - BF16.width()));
        let next = operation(&add, format!("sum_unit_{lane}"), &sum, &wide);
        m.update_when(
            &sum,
            &m.wire(format!("sums_{lane}"), &(&valid | &summed)),
            (!&summed).gate(&next),
        );
        numbers.push(number);
        sums.push(sum);
    }

    m.section("sum of the lanes and its reciprocal");
    let total = tree(&m, "total", sums, |name, a, b| operation(&add, name, a, b));
    let inverse = m.instance("reciprocal", &reciprocal.module);
    inverse.input("x", &total);
    let factor_valid = strobe_after(&m, "factor_valid", &summed, levels + reciprocal.latency);

    m.output_for("number_valid", &valid, "A beat of exponentials is there.");
    m.output("number_last", &last);
    m.outputs("number", &numbers);
    m.output_for("factor_valid", &factor_valid, "The sum of the row is known.");
    m.output("factor", &inverse.output("y"));
    m.finish()
}

/// Whether `a` < `b`, where `a` is a number; false if `b` is none. -0 is less than +0.
fn larger(m: &ModuleBuilder, a: &Signal, b: &Signal) -> Signal {
    // As two's complement would order them: negative numbers upside down, below the others.
    let order = |x: &Signal| (!x.msb()).concat(&(x.bits(0..31) ^ x.msb().repeat(31)));
    let is_nan = b.bits(0..31).gt(nan_floor(m));
    order(a).lt(order(b)) & !is_nan
}

/// The bits of infinity; all above are NaN.
fn nan_floor(m: &ModuleBuilder) -> Signal {
    m.constant(nan(FP32) & !(1 << (FP32.fraction - 1)), FP32.width() - 1)
}
