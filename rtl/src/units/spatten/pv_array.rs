//! Probability times value: one line of values per cycle, summed over the rows of a pass.
//!
//! One short tree and one accumulator per element of the head. Rows of probabilities wait in a queue
//! for their line.

use std::sync::Arc;

use attelier_hw::spatten::Spatten;

use super::{
    parts::{adder_tree, delay, history, power_of_two, within},
    ring::Ring,
    widths::{check_word, key_count_bits},
};
use crate::{
    Error, ModuleBuilder,
    bits::Bits,
    ir::{Module, Type},
};

/// The array: `pv_array`, and in it one `pv_weighted_sum` per element of the head.
///
/// # Errors
/// A latency that is not that of broadcast, multiply and tree; vectors above 4096 bits.
pub fn pv_array(params: &Spatten) -> Result<Arc<Module>, Error> {
    let name = "pv_array";
    let word = check_word(name, params)?;
    let head_dim = power_of_two(name, "head_dim", params.head_dim)?;
    let lanes = power_of_two(name, "pv_array.values_per_line", params.pv_array.values_per_line)?;
    let latency = params.pv_array.latency_cycles;
    let stages = 2 + lanes.ilog2();
    let expected = "2 + log2(values_per_line)";
    within(name, "pv_array.latency_cycles", latency, stages..stages + 1, expected)?;
    let depth = params.pv_array.fifo_depth;
    let expected = "1 to 2^20 rows";
    within(name, "pv_array.fifo_depth", depth, 1..(1 << 20) + 1, expected)?;
    let weighted_sum = pv_weighted_sum(params, lanes)?;
    let vector_bits = head_dim * word;

    let m = ModuleBuilder::new(name);
    m.doc("Probability times value. A row of probabilities leaves the queue when `line_valid` says that");
    m.doc("its line of values is in the value buffer: `line_read` reads it, and one cycle later");
    m.doc("`line_value_*` hold it. Lanes without a value must have probability zero.");
    m.doc("After the last row of a pass the attention output shows for one cycle. Nothing holds it back:");
    m.doc("who cannot take it keeps `line_valid` low.");
    m.parameter("MULTIPLIERS", params.pv_array.multipliers);
    m.parameter("HEAD_DIM", head_dim);
    m.parameter("VALUES_PER_LINE", lanes);
    m.parameter("DATAPATH_BITS", word);
    m.parameter("FIFO_DEPTH", depth);
    m.latency(format!(
        "{latency} cycles from `line_read` to the accumulator (broadcast, multiply, {} tree levels), one \
         more to `output_valid`",
        lanes.ilog2()
    ));
    let input_valid = m.input("s_axis_tvalid", 1);
    let input_last = m.input("s_axis_tlast", 1);
    let probabilities = m.inputs("s_axis_tdata", lanes, word);
    let line_valid = m.input("line_valid", 1);
    let line_values = m.inputs("line_value", lanes, vector_bits);

    m.section("rows that wait for their values");
    let rows = Ring::new(&m, "rows", depth);
    let ready = rows.has_room(&m, depth);
    let push = m.wire("push", &(&input_valid & &ready));
    let has_row = rows.has_item(&m);
    let read = m.wire("read", &(&has_row & &line_valid));
    rows.advance(&m, &push, &read);
    let oldest_last = rows.oldest(&m, "oldest_last", &push, &input_last);
    let oldest: Vec<_> = probabilities
        .iter()
        .enumerate()
        .map(|(lane, value)| rows.oldest(&m, &format!("oldest_probability_{lane}"), &push, value))
        .collect();

    m.section("broadcast");
    let broadcast: Vec<_> = oldest
        .iter()
        .enumerate()
        .map(|(lane, value)| m.pipe(format!("probability_{lane}"), value))
        .collect();

    m.section("which row reaches the accumulators");
    let adds = history(&m, "valid", &read, latency).swap_remove(latency as usize);
    let last = delay(&m, "last", &oldest_last, latency);
    let first = m.register_from("first", Bits::ones(1)).comment("The next row starts a pass.");
    m.update_when(&first, &adds, &last);
    let finished = m.pipe_reset("finished", &(&adds & &last));

    m.section("multiply, add and accumulate, one unit per element of the head");
    let values: Vec<_> = line_values.iter().map(|value| value.lanes(head_dim)).collect();
    let outputs: Vec<_> = (0..head_dim as usize)
        .map(|element| {
            let instance = m.instance(format!("weighted_sum_{element}"), &weighted_sum);
            instance.input("adds", &adds).input("first", &first);
            for lane in 0..lanes as usize {
                instance
                    .input(&format!("probability_{lane}"), &broadcast[lane])
                    .input(&format!("value_{lane}"), values[lane][element].as_signed());
            }
            instance.output("rounded")
        })
        .collect();

    m.output("s_axis_tready", &ready);
    m.output_for("row_valid", &has_row, "A row waits for its line.");
    m.output_for("row_last", &oldest_last, "It is the last of its pass.");
    m.output_for("line_read", &read, "Reads its line.");
    m.output("output_valid", &finished);
    m.outputs("output_word", &outputs);
    m.finish()
}

/// One element of the attention output.
fn pv_weighted_sum(params: &Spatten, lanes: u32) -> Result<Arc<Module>, Error> {
    let word = params.datapath_bits;
    let width = 2 * word + key_count_bits(params);
    let m = ModuleBuilder::new("pv_weighted_sum");
    m.doc("Sum of probability * value over the rows of a pass, without its fraction bits, rounded half up");
    m.doc("and saturated to a word. Probabilities have no sign.");
    m.parameter("VALUES_PER_LINE", lanes);
    m.parameter("DATAPATH_BITS", word);
    m.parameter("SUM_BITS", width);
    m.latency(format!(
        "{} cycles: multiply, {} tree levels, accumulator; `adds` and `first` come with the last level",
        2 + lanes.ilog2(),
        lanes.ilog2()
    ));
    let adds = m.input("adds", 1);
    let first = m.input("first", 1);
    let probabilities = m.inputs("probability", lanes, word);
    let values = m.inputs("value", lanes, Type::signed(word));

    m.section("multiply");
    let products = probabilities
        .iter()
        .zip(&values)
        .enumerate()
        .map(|(lane, (probability, value))| {
            let positive = probability.extend(word + 1).as_signed();
            let positive = m.wire(format!("positive_{lane}"), &positive);
            let product = m.pipe(format!("product_{lane}"), &positive.mul(value));
            // |p * v| is at most (2^B - 1) * 2^(B-1): the top bit repeats the sign.
            m.discard(&product);
            product.bits(0..2 * word).as_signed()
        })
        .collect();
    m.section("adder tree");
    let row = adder_tree(&m, "sum", products);

    m.section("accumulator");
    let sum = m.register_without_reset("pass_sum", Type::signed(width));
    let kept = m.wire("kept_sum", &(!&first).gate(&sum));
    m.update_when(&sum, &adds, kept + row.extend(width));

    m.section("round half up, saturate");
    let half = m.literal(Bits::new(1 << (word - 1), width + 1), true);
    let raised = m.wire("raised", &(sum.extend(width + 1) + half));
    m.discard(&raised);
    let whole = raised.bits(word..width + 1);
    let upper = m.wire("upper", &whole.bits(word - 1..whole.width()));
    let fits = m.wire("fits", &(upper.all() | !upper.any()));
    let negative = whole.msb();
    let most = negative.mux(&m.constant(0, word - 1), Bits::ones(word - 1));
    let limit = m.wire("limit", &negative.concat(&most));
    m.output("rounded", &fits.mux(&whole.bits(0..word), limit));
    m.finish()
}
