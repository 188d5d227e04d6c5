//! Layer normalization of the ASIC: mean and variance of a row, then the row again.

use std::sync::Arc;

use attelier_hw::pim_gpt::{ELEMENT_BYTES, PimGpt};

use super::{
    arithmetic::{bf16_product, fp32_add, fp32_to_bf16},
    float::{BF16, FP32},
    functions::inverse_square_root_function,
    passes::{FirstPass, after, row_beats, slice, strobe_after, tree},
    pipeline::{Function, Pipeline},
};
use crate::{Error, ModuleBuilder, Signal, ir::Module};

/// The module `layer_norm`, for up to eight lanes.
///
/// # Errors
/// An ASIC that holds less than two beats of numbers.
pub fn layer_norm(params: &PimGpt) -> Result<Arc<Module>, Error> {
    let name = "layer_norm";
    let depth = row_beats(name, params, ELEMENT_BYTES.into())?;
    let lanes = slice(params.asic.multipliers);
    let (add, square, narrow) = (fp32_add()?, bf16_product()?, fp32_to_bf16()?);
    let (statistics, affine) = (statistics()?, affine()?);
    let levels = lanes.ilog2();
    let to_number = 1 + affine.latency + 1;

    let m = ModuleBuilder::new(name);
    m.doc("Layer normalization of a row of BF16 numbers, LANES per beat, `s_axis_tkeep` from lane 0 on.");
    m.doc("`inverse_width`, one over the numbers of the row, and `epsilon` come with the last beat; weights");
    m.doc("and biases of beat `affine_beat` come one cycle after `affine_read`. Where no number was, there");
    m.doc("is zero. A row must fit into BEATS.");
    m.parameter("LANES", lanes);
    m.parameter("BEATS", depth);
    m.latency(format!(
        "{} cycles from the last beat of a row to its first results",
        3 + levels + statistics.latency + to_number
    ));
    let first = FirstPass::new(&m, lanes, depth);
    let numbers = m.inputs("s_axis_tdata", lanes, BF16.width());
    let inverse_width = m.input("inverse_width", FP32.width());
    let epsilon = m.input("epsilon", FP32.width());
    let weights = m.inputs("weight", lanes, BF16.width());
    let biases = m.inputs("bias", lanes, BF16.width());
    let wide = |x: &Signal| x.concat(&m.constant(0, FP32.width() - BF16.width()));

    m.section("sum and sum of squares of each lane");
    let (mut entered, mut sums, mut squares) = (Vec::new(), Vec::new(), Vec::new());
    for (lane, number) in (0..).zip(&numbers) {
        let instance = m.instance(format!("square_unit_{lane}"), &square);
        instance.input("a", number).input("b", number);
        let square = m.pipe(format!("square_{lane}"), &instance.output("result"));
        let number = m.pipe(format!("entered_{lane}"), number);
        let adds = first.valid.clone() & first.keep.bit(lane);
        let changes = m.wire(format!("adds_{lane}"), &(adds | &first.gathered));
        for (name, term, into) in
            [("sum", &wide(&number), &mut sums), ("squares", &square, &mut squares)]
        {
            let sum = m.register(format!("{name}_{lane}"), FP32.width());
            let instance = m.instance(format!("{name}_unit_{lane}"), &add);
            instance.input("a", &sum).input("b", term);
            m.update_when(&sum, &changes, (!&first.gathered).gate(&instance.output("result")));
            into.push(sum);
        }
        entered.push(number);
    }
    let join = |name: String, a: &Signal, b: &Signal| {
        let instance = m.instance(name, &add);
        instance.input("a", a).input("b", b);
        instance.output("result")
    };
    let sum = tree(&m, "total", sums, join);
    let squares = tree(&m, "total_squares", squares, join);

    m.section("mean and inverse deviation, kept for the second pass");
    let of_row = m.instance("statistics", &statistics.module);
    of_row
        .input("sum", &sum)
        .input("squares", &squares)
        .input("inverse_width", m.pipe_when("row_inverse_width", &first.taken, &inverse_width))
        .input("epsilon", m.pipe_when("row_epsilon", &first.taken, &epsilon));
    let known = strobe_after(&m, "known", &first.gathered, levels + statistics.latency);
    let mean = m.pipe_when("mean", &known, &of_row.output("mean"));
    let inverse = m.pipe_when("inverse_deviation", &known, &of_row.output("inverse_deviation"));

    let second = first.second(&m, &known);
    let keep = after(&m, "keep", &second.stored_keep(&m), to_number - 2);
    let mut results = Vec::new();
    for (lane, number) in (0..).zip(&entered) {
        m.section(format!("lane {lane}"));
        let number = second.stored(&m, &format!("stored_{lane}"), number);
        let instance = m.instance(format!("affine_{lane}"), &affine.module);
        instance
            .input("x", wide(&number))
            .input("mean", &mean)
            .input("inverse_deviation", &inverse)
            .input("weight", wide(&weights[lane as usize]))
            .input("bias", wide(&biases[lane as usize]));
        let rounding = m.instance(format!("narrow_{lane}"), &narrow);
        rounding.input("a", instance.output("y"));
        let result = keep.bit(lane).gate(&rounding.output("result"));
        results.push(m.pipe(format!("result_register_{lane}"), &result));
    }
    m.section("results");
    m.output_for("affine_read", &second.reads, "Asks for weights and biases.");
    m.output("affine_beat", &second.position);
    let valid = strobe_after(&m, "result_valid", &second.reads, to_number);
    let last = strobe_after(&m, "result_last", &second.finishes, to_number);
    m.output_for("result_valid", &valid, "A beat of results is there.");
    m.output("result_last", &last);
    m.outputs("result", &results);
    m.finish()
}

/// `layer_norm_statistics`: variance is mean square less squared mean; rounding can leave less than
/// nothing of it, which counts as nothing.
fn statistics() -> Result<Function, Error> {
    let root = inverse_square_root_function()?;
    let what = "Mean, and one over the root of variance and epsilon.";
    let p = Pipeline::new("layer_norm_statistics", what)?;
    let [sum, squares, inverse_width, epsilon] =
        ["sum", "squares", "inverse_width", "epsilon"].map(|name| p.argument(name));
    let mean = p.times("mean_register", &sum, &inverse_width);
    let mean_square = p.times("mean_square", &squares, &inverse_width);
    let squared_mean = p.times("squared_mean", &mean, &mean);
    let variance = p.plus("variance", &mean_square, &p.negated("minus_mean", &squared_mean));
    let positive = p.join("positive", &[&variance], |of| (!of[0].msb()).gate(&of[0]));
    let shifted = p.plus("shifted", &positive, &epsilon);
    let inverse = p.call("root", &root, &shifted);
    p.finish_with(&[("mean", &mean), ("inverse_deviation", &inverse)])
}

/// `layer_norm_affine`: (x - mean) * inverse deviation * weight + bias.
fn affine() -> Result<Function, Error> {
    let what = "(x - mean) * inverse_deviation * weight + bias.";
    let p = Pipeline::new("layer_norm_affine", what)?;
    let [x, mean, inverse, weight, bias] =
        ["x", "mean", "inverse_deviation", "weight", "bias"].map(|name| p.argument(name));
    let centred = p.plus("centred", &x, &p.negated("minus_mean", &mean));
    let normal = p.times("normal", &centred, &inverse);
    let weighted = p.times("weighted", &normal, &weight);
    let y = p.plus("shifted", &weighted, &bias);
    p.finish(&y)
}
