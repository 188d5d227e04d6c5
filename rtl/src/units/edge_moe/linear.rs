//! The unified linear unit: a block of weights times a block of inputs in each cycle.

use std::sync::Arc;

use attelier_hw::edge_moe::Sizes;

use super::{
    gelu::{GELU_CYCLES, gelu_lane},
    outlet::Outlet,
    weight_loader::{BIAS_BITS, WEIGHT_BITS, row_blocks},
};
use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::{MemoryStyle, Module},
    units::spatten::parts::{delay, history, tree, within},
};

/// Width of a feature: 10 integer bits and 22 of fraction \[bits\].
pub const FEATURE_BITS: u32 = 32;
/// Bits of fraction of a feature.
pub const FEATURE_FRACTION: u32 = 22;
/// Bits of fraction of a weight.
pub const WEIGHT_FRACTION: u32 = 14;
/// Bits of fraction of a bias in the linear unit.
const BIAS_FRACTION: u32 = 11;
/// Places of the output queue.
const PLACES: u32 = 4;
/// Operands, products, accumulators: stages beside the levels of the tree.
const STAGES: u32 = 3;

/// Cycles from a block of inputs to the accumulators.
pub fn linear_latency(sizes: &Sizes) -> u32 {
    STAGES + sizes.block_inputs.ilog2()
}

/// The module `linear`, and in it one `linear_output` per output of a block.
///
/// # Errors
/// Blocks that are no power of two or have fewer than two or more than 64 inputs or outputs; hidden layers
/// that are no multiple of a block; fewer than two tokens.
pub fn linear(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let name = "linear";
    let (row_blocks, bias_words) = row_blocks(name, sizes)?;
    let (inputs, outputs) = (sizes.block_inputs, sizes.block_outputs);
    for (parameter, block) in [("block_inputs", inputs), ("block_outputs", outputs)] {
        crate::units::spatten::parts::power_of_two(name, parameter, block)?;
    }
    let tokens = within(name, "tokens", sizes.tokens, 2..4097, "2 to 4096 tokens")?;
    let blocks =
        within(name, "buffer_blocks", sizes.buffer_blocks, 2..1 << 20, "2 to 2^20 blocks")?;
    let (output, lane) = (linear_output(sizes)?, gelu_lane()?);
    let (in_bits, out_bits) =
        (index_width(u64::from(row_blocks) + 1), index_width(u64::from(bias_words) + 1));
    let (column_bits, bias_bits) = (index_width(row_blocks.into()), index_width(bias_words.into()));
    let token_bits = index_width(u64::from(tokens) + 1);
    let block_bits = index_width(blocks.into());
    let latency = linear_latency(sizes);

    let m = ModuleBuilder::new(name);
    m.doc("Unified linear unit: INPUTS x OUTPUTS products in a cycle. For each of `tokens` rows, for each of");
    m.doc("`out_blocks` blocks of outputs, `in_blocks` blocks of inputs are multiplied with the blocks of");
    m.doc("weights that follow each other in buffer `second`. A row enters with its first block of outputs and");
    m.doc("is kept for the others. Products are cut to features; sums wrap. GELU follows where `with_gelu`.");
    m.doc("The other buffer may be written at the same time. `done` when all results have left.");
    m.parameter("INPUTS", inputs);
    m.parameter("OUTPUTS", outputs);
    m.parameter("BUFFER_BLOCKS", blocks);
    m.latency(format!(
        "{} cycles from the last block of inputs to `m_axis_tvalid`: operands, products, {} levels, \
         accumulators, GELU, queue",
        latency + GELU_CYCLES + 1,
        inputs.ilog2()
    ));
    let start = m.input("start", 1);
    let count = m.input("tokens", token_bits).comment("At least one.");
    let in_blocks = m.input("in_blocks", in_bits);
    let out_blocks = m.input("out_blocks", out_bits);
    let second = m.input("second", 1).comment("Buffer that holds the weights.");
    let with_gelu = m.input("with_gelu", 1);
    let valid = m.input("s_axis_tvalid", 1);
    let data = m.input("s_axis_tdata", inputs * FEATURE_BITS);
    let block_write = m.input("block_write", 1);
    let block_second = m.input("block_second", 1);
    let block_address = m.input("block_address", block_bits);
    let block_rows = m.inputs("block_row", outputs, inputs * WEIGHT_BITS);
    let bias_write = m.input("bias_write", 1);
    let bias_second = m.input("bias_second", 1);
    let bias_address = m.input("bias_address", bias_bits);
    let biases = m.inputs("bias", outputs, BIAS_BITS);

    let finishes = m.forward("output_finishes", 1);
    let outlet = Outlet::new(&m, "m_axis", PLACES, &finishes);

    m.section("the layer at hand");
    let busy = m.register("is_busy", 1);
    let issues = m.register("issues", 1).comment("Blocks are still to be multiplied.");
    let starts = m.wire("starts", &(&start & !&busy));
    let hold = |name: &str, value: &Signal| m.pipe_when(name, &starts, value);
    let held_in = hold("held_in_blocks", &in_blocks);
    let held_out = hold("held_out_blocks", &out_blocks);
    let held_second = hold("held_second", &second);
    let held_gelu = hold("held_gelu", &with_gelu);

    m.section("next block: column of inputs, block of outputs, row");
    let column = m.register("column", column_bits);
    let block = m.register("block", out_bits);
    let row = m.register_without_reset("rows_left", token_bits);
    let address = m.register("address", block_bits).comment("Block of weights.");
    let last_column = m.wire("last_column", &(column.extend(in_bits) + 1).eq(&held_in));
    let last_block = m.wire("last_block", &(&block + 1).eq(&held_out));
    let enters = m.wire("row_enters", &!block.any()).comment("The first block of outputs.");
    let has_place = m.wire("has_place", &(!&last_column | &outlet.has_room));
    let ready = m.wire("ready", &m.all_of(&[issues.clone(), enters.clone(), has_place.clone()]));
    let step = m.wire("step", &m.all_of(&[issues.clone(), has_place, !&enters | &valid]));
    m.drive(&finishes, &step & &last_column);
    let row_ends = m.wire("row_ends", &(&finishes & &last_block));
    let layer_ends = m.wire("layer_ends", &(&row_ends & row.eq(1)));
    m.update_when(&column, &step, (!&last_column).gate(&(&column + 1)));
    m.update_when(&block, &finishes, (!&last_block).gate(&(&block + 1)));
    m.update_when(&address, &step, (!&row_ends).gate(&(&address + 1)));
    m.update_when(&row, &(&starts | &row_ends), starts.mux(&count, &row - 1));
    m.update(&issues, &starts | (&issues & !&layer_ends));
    let drained = m.wire("drained", &m.all_of(&[busy.clone(), !&issues, outlet.is_empty(&m)]));
    m.update(&busy, &starts | (&busy & !&drained));

    m.section("inputs: those that enter, or those that were kept");
    let kept = m.memory("row_buffer", data.width(), row_blocks, MemoryStyle::Distributed);
    kept.write(&column, &data, &(&step & &enters));
    let kept = kept.read_clocked("kept", &column);
    let entered = m.pipe("entered", &data);
    let enters_now = m.pipe("enters_now", &enters);
    let operand = m.wire("operand", &enters_now.mux(&entered, &kept));

    m.section("position of the step in each stage");
    let valids = history(&m, "valid", &step, latency);
    let sums = latency - 1;
    let first = delay(&m, "first", &m.wire("is_first", &!column.any()), sums);
    let last = delay(&m, "last", &last_column, latency);
    let bias_block = delay(&m, "bias_block", &block.bits(0..bias_bits), sums);
    m.discard(&block);
    let complete = m.wire("is_complete", &(&valids[latency as usize] & last));
    let pushes = history(&m, "complete", &complete, GELU_CYCLES);

    m.section("one output after the other");
    let results: Vec<Signal> = (0..outputs as usize)
        .map(|at| {
            let instance = m.instance(format!("output_{at}"), &output);
            instance
                .input("step", &step)
                .input("second", &held_second)
                .input("address", &address)
                .input("inputs", &operand)
                .input("accumulates", &valids[sums as usize])
                .input("first", &first)
                .input("bias_block", &bias_block)
                .input("block_write", &block_write)
                .input("block_second", &block_second)
                .input("block_address", &block_address)
                .input("block_row", &block_rows[at])
                .input("bias_write", &bias_write)
                .input("bias_second", &bias_second)
                .input("bias_address", &bias_address)
                .input("bias", &biases[at]);
            let lane = m.instance(format!("gelu_{at}"), &lane);
            lane.input("with_gelu", &held_gelu).input("x", instance.output("sum"));
            lane.output("y")
        })
        .collect();
    let results: Vec<(String, Signal)> =
        (0..).zip(results).map(|(at, result): (u32, _)| (format!("tdata_{at}"), result)).collect();
    let results: Vec<(&str, Signal)> =
        results.iter().map(|(name, result)| (name.as_str(), result.clone())).collect();
    outlet.offer(&m, &pushes[GELU_CYCLES as usize], &results);

    m.output("s_axis_tready", &ready);
    m.output("busy", &busy);
    m.output_for("done", &drained, "All results have left.");
    m.finish()
}

/// One output of a block: its weights and bias in both buffers, products, tree and accumulator.
fn linear_output(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let inputs = sizes.block_inputs;
    let blocks = sizes.buffer_blocks;
    let bias_words = sizes.hidden / sizes.block_outputs;
    let (block_bits, bias_bits) = (index_width(blocks.into()), index_width(bias_words.into()));
    let m = ModuleBuilder::new("linear_output");
    m.doc("One output of the linear unit: weights and bias of both buffers, products of a block of inputs,");
    m.doc("adder tree and accumulator, which begins with the bias.");
    m.parameter("INPUTS", inputs);
    m.latency(format!("{} cycles from `step` to `sum`", linear_latency(sizes)));
    let step = m.input("step", 1);
    let second = m.input("second", 1);
    let address = m.input("address", block_bits);
    let operand = m.input("inputs", inputs * FEATURE_BITS);
    let accumulates = m.input("accumulates", 1);
    let first = m.input("first", 1);
    let bias_block = m.input("bias_block", bias_bits);
    let block_write = m.input("block_write", 1);
    let block_second = m.input("block_second", 1);
    let block_address = m.input("block_address", block_bits);
    let block_row = m.input("block_row", inputs * WEIGHT_BITS);
    let bias_write = m.input("bias_write", 1);
    let bias_second = m.input("bias_second", 1);
    let bias_address = m.input("bias_address", bias_bits);
    let bias = m.input("bias", BIAS_BITS);

    m.section("weights and bias of both buffers");
    let buffers = [(0, !&block_second, !&bias_second), (1, block_second, bias_second)];
    let [first_buffer, second_buffer] = buffers.map(|(at, is_block, is_bias)| {
        let style =
            if sizes.ultra_ram && at == 1 { MemoryStyle::Ultra } else { MemoryStyle::Block };
        let weights = m.memory(format!("weights_{at}"), block_row.width(), blocks, style);
        weights.write(&block_address, &block_row, &(&block_write & is_block));
        let biases =
            m.memory(format!("biases_{at}"), BIAS_BITS, bias_words, MemoryStyle::Distributed);
        biases.write(&bias_address, &bias, &(&bias_write & is_bias));
        (
            weights.read_clocked_when(format!("weights_of_{at}"), &address, &step),
            biases.read(format!("bias_of_{at}"), &bias_block),
        )
    });
    let weights = m.wire("weights", &second.mux(&second_buffer.0, &first_buffer.0));
    let begins = m.wire("begins", &second.mux(&second_buffer.1, &first_buffer.1));

    m.section("products, cut to features");
    let lanes = operand.lanes(inputs).into_iter().zip(weights.lanes(inputs));
    let products = (0..)
        .zip(lanes)
        .map(|(at, (input, weight)): (u32, _)| {
            let product = input.as_signed().mul(&weight.as_signed());
            let product = m.wire(format!("exact_{at}"), &product);
            m.discard(&product);
            let cut = product.bits(WEIGHT_FRACTION..WEIGHT_FRACTION + FEATURE_BITS);
            m.pipe(format!("product_{at}"), &cut)
        })
        .collect();
    let sum = tree(&m, "sum", products, |a, b| a + b);

    m.section("accumulator");
    let shift = FEATURE_FRACTION - BIAS_FRACTION;
    let bias = begins.concat(&m.constant(0, shift)).as_signed().extend(FEATURE_BITS).as_unsigned();
    let accumulator = m.register_without_reset("accumulator", FEATURE_BITS);
    let before = m.wire("sum_before", &first.mux(&bias, &accumulator));
    m.update_when(&accumulator, &accumulates, &before + &sum);
    m.output("sum", &accumulator);
    m.finish()
}
