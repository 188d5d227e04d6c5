//! Softmax: scale, exponential and sum; then division and requantisation.
//!
//! Rows of exponentials are parked in a queue until the sum of their pass is known. Then they leave
//! through the division, one row per cycle, while the next pass fills the queue behind them. The
//! parked row is read late, when the reciprocal has come, so it does not travel beside it.

mod exponential;
mod probability;
mod reciprocal;
mod sum;

use std::sync::Arc;

use attelier_hw::spatten::{Spatten, formats::SCALE_BITS};

use self::{
    exponential::{SHIFT_BITS, SHIFT_STAGE, softmax_exponential},
    probability::{MULTIPLY_STAGES, softmax_probability},
    reciprocal::{reciprocal_stages, softmax_reciprocal},
    sum::{softmax_sum, sum_stages},
};
use super::{
    HANDSHAKE,
    parts::{delay, history, power_of_two, reservations, within},
    ring::Ring,
    widths::{check_word, score_bits, sum_bits},
};
use crate::{
    Error, ModuleBuilder, Signal,
    ir::{MemoryStyle, Module, Type},
};

/// The pipeline: `softmax`, and in it per lane a `softmax_exponential` and a `softmax_probability`,
/// and for all a `softmax_sum` and a `softmax_reciprocal`.
///
/// # Errors
/// Latencies too short for the stages; lanes that are no power of two; words above 16 bits.
pub fn softmax(params: &Spatten) -> Result<Arc<Module>, Error> {
    let plan = Plan::new(params)?;
    let Plan { lanes, depth, output_depth, to_exponential, to_probability, .. } = plan;

    let m = ModuleBuilder::new("softmax");
    m.doc("Softmax of the scores of a pass, LANES scores per row. `scale_mantissa` and `scale_shift` come");
    m.doc(
        "with each row: a score times scale_mantissa / 2^scale_shift is an exponent of two with 15",
    );
    m.doc("fraction bits. Probabilities are unsigned fractions; lanes without a key give zero.");
    m.doc("A pass must fit into the queue of exponentials.");
    m.parameter("LANES", lanes);
    m.parameter("DATAPATH_BITS", params.datapath_bits);
    m.parameter("FIFO_DEPTH", depth);
    m.parameter("QUEUE_ROWS", output_depth);
    let s = &params.softmax;
    m.latency(format!(
        "{} + {} cycles to the exponential, {} to its sum, {} + {} to the output queue",
        s.scale_cycles, s.exp_cycles, s.accumulate_cycles, s.divide_cycles, s.quantise_cycles
    ));
    let input_valid = m.input("s_axis_tvalid", 1);
    let input_last = m.input("s_axis_tlast", 1);
    let input_keep = m.input("s_axis_tkeep", lanes);
    let scores = m.inputs("s_axis_tdata", lanes, Type::signed(score_bits(params)));
    let scale_mantissa = m.input("scale_mantissa", SCALE_BITS);
    let scale_shift = m.input("scale_shift", SHIFT_BITS);
    let output_ready = m.input("m_axis_tready", 1);

    m.section("a row enters while a place in the queue of exponentials is free");
    let divide = m.forward("divide", 1).comment("The oldest parked row enters the division.");
    let enter = m.forward("enter", 1);
    let occupied = reservations(&m, "occupied", depth, &enter, &divide)
        .comment("Rows on the way to the queue of exponentials and in it.");
    let ready = m.wire("input_ready", &occupied.lt(u64::from(depth)));
    m.drive(&enter, &input_valid & &ready);
    let parks = history(&m, "entered", &enter, to_exponential).swap_remove(to_exponential as usize);
    let last = delay(&m, "last", &input_last, to_exponential);
    let keep = delay(&m, "keep", &input_keep, to_exponential);

    m.section("scale and exponential");
    let scale_mantissa = delay(&m, "scale_mantissa", &scale_mantissa, 1);
    let scale_shift = delay(&m, "scale_shift", &scale_shift, SHIFT_STAGE);
    let exponential = softmax_exponential(params)?;
    let terms: Vec<(Signal, Signal)> = scores
        .iter()
        .enumerate()
        .map(|(lane, score)| {
            let instance = m.instance(format!("exponential_lane_{lane}"), &exponential);
            instance
                .input("score", score)
                .input("scale_mantissa", &scale_mantissa)
                .input("scale_shift", &scale_shift);
            (instance.output("mantissa"), instance.output("exponent").as_signed())
        })
        .collect();

    m.section("sum");
    let instance = m.instance("sum_unit", &softmax_sum(params)?);
    instance.input("row_valid", &parks).input("row_last", &last).input("row_keep", &keep);
    for (lane, (mantissa, exponent)) in terms.iter().enumerate() {
        instance
            .input(&format!("mantissa_{lane}"), mantissa)
            .input(&format!("exponent_{lane}"), exponent);
    }
    let wait = s.accumulate_cycles - 1;
    let completes = m.wire("completes", &(&parks & &last));
    let has_sum = history(&m, "completed", &completes, wait).swap_remove(wait as usize);
    let padding = wait - sum_stages(lanes);
    let sum = delay(&m, "sum_after", &instance.output("sum"), padding);
    let sum_exponent = instance.output("sum_exponent").as_signed();
    let sum_exponent = delay(&m, "sum_exponent_after", &sum_exponent, padding);

    m.section("sums of the passes whose rows are parked");
    let sums = Ring::new(&m, "sums", depth);
    let oldest_sum = sums.oldest(&m, "oldest_sum", &has_sum, &sum);
    let oldest_exponent = sums.oldest(&m, "oldest_sum_exponent", &has_sum, &sum_exponent);
    let sum_is_ready = sums.has_item(&m);

    m.section("a parked row leaves when its sum is ready and a place in the output queue is free");
    let pop = m.forward("pop", 1);
    let reserved = reservations(&m, "reserved", output_depth, &divide, &pop)
        .comment("Rows in the division and in the output queue.");
    let has_room = m.wire("has_room", &reserved.lt(u64::from(output_depth)));
    m.drive(&divide, &sum_is_ready & &has_room);
    let divides = history(&m, "divided", &divide, to_probability);
    let parked = Ring::new(&m, "parked", plan.parked_places);
    let leaving = m.register("parked_leaving", parked.pointer_bits());
    m.update_when(&leaving, &divide, &leaving + 1);
    let lasts = parked.memory(&m, "parked_last", MemoryStyle::Distributed, &parks, &last);
    let leaving_last = lasts.read("leaving_last", &parked.address(&leaving));
    m.discard(&leaving);
    let pass_ends = m.wire("pass_ends", &(&divide & &leaving_last));
    sums.advance(&m, &has_sum, &pass_ends);

    m.section("reciprocal of the sum");
    let sum_register = m.pipe("sum_register", &oldest_sum);
    let instance = m.instance("reciprocal_unit", &softmax_reciprocal(params)?);
    instance.input("sum", &sum_register);
    let reciprocal =
        delay(&m, "reciprocal_after", &instance.output("reciprocal"), plan.reciprocal_padding);
    let zeros = delay(&m, "zeros_after", &instance.output("zeros"), plan.reciprocal_padding);
    let sum_exponent = delay(&m, "divided_exponent", &oldest_exponent, plan.to_product);

    m.section("the parked row, read when the reciprocal has come");
    let reads = &divides[plan.to_product as usize - 1];
    parked.advance(&m, &parks, reads);
    let read_parked = |name: &str, value: &Signal| {
        let memory = parked.memory(&m, name, MemoryStyle::Block, &parks, value);
        memory.read_clocked(name, &parked.address(&parked.read))
    };
    let parked_keep = read_parked("parked_keep", &keep);
    let probability = softmax_probability(params)?;
    let mut probabilities = Vec::new();
    for (lane, (mantissa, exponent)) in terms.iter().enumerate() {
        let parked_mantissa = read_parked(&format!("parked_mantissa_{lane}"), mantissa);
        let parked_exponent = read_parked(&format!("parked_exponent_{lane}"), exponent);
        let instance = m.instance(format!("probability_lane_{lane}"), &probability);
        instance
            .input("keep", parked_keep.bit(lane as u32))
            .input("mantissa", &parked_mantissa)
            .input("exponent", parked_exponent.as_signed())
            .input("reciprocal", &reciprocal)
            .input("zeros", &zeros)
            .input("sum_exponent", &sum_exponent);
        probabilities.push(instance.output("probability"));
    }
    m.discard(&parked.read);
    m.discard(&parked.write);

    m.section("output queue");
    let push = &divides[to_probability as usize];
    let keep = delay(&m, "divided_keep", &parked_keep, to_probability - plan.to_product);
    let last = delay(&m, "divided_last", &leaving_last, to_probability);
    let queue = Ring::new(&m, "queue", output_depth);
    let has_row = queue.has_item(&m);
    m.drive(&pop, &has_row & &output_ready);
    queue.advance(&m, push, &pop);
    let oldest: Vec<_> = probabilities
        .iter()
        .enumerate()
        .map(|(lane, value)| queue.oldest(&m, &format!("oldest_probability_{lane}"), push, value))
        .collect();
    let oldest_keep = queue.oldest(&m, "oldest_keep", push, &keep);
    let oldest_last = queue.oldest(&m, "oldest_last", push, &last);

    m.output("s_axis_tready", &ready);
    m.output("m_axis_tvalid", &has_row);
    m.output("m_axis_tlast", &oldest_last);
    m.output("m_axis_tkeep", &oldest_keep);
    m.outputs("m_axis_tdata", &oldest);
    m.finish()
}

/// Depths and stages of the pipeline.
struct Plan {
    lanes: u32,
    /// Rows in the queue of exponentials.
    depth: u32,
    /// Rows in the output queue.
    output_depth: u32,
    /// Cycles from the input to the queue of exponentials.
    to_exponential: u32,
    /// Cycles from the start of the division to the operands of the product.
    to_product: u32,
    /// Cycles for which the reciprocal waits for the product.
    reciprocal_padding: u32,
    /// Cycles from the start of the division to the output queue.
    to_probability: u32,
    /// Places of the parked rows: those that wait, and those whose division has begun but which are
    /// not read yet.
    parked_places: u32,
}

impl Plan {
    fn new(params: &Spatten) -> Result<Self, Error> {
        let name = "softmax";
        let s = &params.softmax;
        let lanes = power_of_two(name, "softmax.lanes", s.lanes)?;
        check_word(name, params)?;
        let most = 1 << 16;
        let expected = "1 to 2^20 rows";
        let depth = within(name, "softmax.fifo_depth", s.fifo_depth, 1..(1 << 20) + 1, expected)?;
        let accumulate = sum_stages(lanes) + 1;
        let expected = "at least 2 log2(lanes) + 4 (largest exponent, alignment, sum, queue)";
        within(name, "softmax.accumulate_cycles", s.accumulate_cycles, accumulate..most, expected)?;
        // The sum is read into a register; then come reciprocal and product.
        let divide = 1 + reciprocal_stages(sum_bits(params)) + MULTIPLY_STAGES;
        let expected = "at least 23 for 1024 keys (read, normalise, 17 bits of quotient, multiply)";
        within(name, "softmax.divide_cycles", s.divide_cycles, divide..most, expected)?;
        let to_product = s.divide_cycles - MULTIPLY_STAGES;
        let to_probability = s.divide_cycles + s.quantise_cycles;
        Ok(Self {
            lanes,
            depth,
            output_depth: to_probability + HANDSHAKE,
            to_exponential: s.scale_cycles + s.exp_cycles,
            to_product,
            reciprocal_padding: s.divide_cycles - divide,
            to_probability,
            parked_places: depth + to_product,
        })
    }
}
