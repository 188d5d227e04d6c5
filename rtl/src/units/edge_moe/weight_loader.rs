//! The weight loader: rows of a matrix as they lie in memory become blocks as the linear unit needs them.

use std::sync::Arc;

use attelier_hw::edge_moe::Sizes;

use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::{MemoryStyle, Module},
    units::spatten::parts::within,
};

/// Width of a weight and of a bias in memory \[bits\].
pub const WEIGHT_BITS: u32 = 16;
/// Width of a bias in the linear unit: 7 integer bits and 11 of fraction \[bits\].
pub const BIAS_BITS: u32 = 18;
/// By how much the bias of attention is shifted: it has 9 bits of fraction instead of 11.
pub const ATTENTION_SHIFT: u32 = 2;

/// Blocks side by side in the longest row of inputs, and words of bias.
pub(super) fn row_blocks(name: &str, sizes: &Sizes) -> Result<(u32, u32), Error> {
    let (inputs, outputs) = (sizes.block_inputs, sizes.block_outputs);
    let expected = "a multiple of the block, and at least two of them";
    for (parameter, block) in [("block_inputs", inputs), ("block_outputs", outputs)] {
        within(name, parameter, block, 2..65, "2 to 64")?;
    }
    if !sizes.hidden.is_multiple_of(inputs)
        || !sizes.hidden.is_multiple_of(outputs)
        || sizes.hidden / inputs < 2
    {
        return Err(Error::parameter(name, "hidden", sizes.hidden, expected));
    }
    Ok((sizes.hidden / inputs, sizes.hidden / outputs))
}

/// The module `weight_loader`.
///
/// # Errors
/// Words of memory that are not a row of a block, blocks of one row or more than 64, hidden layers that are
/// no multiple of a block.
pub fn weight_loader(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let name = "weight_loader";
    let (row_blocks, bias_words) = row_blocks(name, sizes)?;
    let (rows, columns) = (sizes.block_outputs, sizes.block_inputs);
    if sizes.word_weights != columns || rows != columns {
        let expected = "a row of a block, which is square";
        return Err(Error::parameter(name, "word_weights", sizes.word_weights, expected));
    }
    within(name, "buffer_blocks", sizes.buffer_blocks, 2..1 << 20, "2 to 2^20 blocks")?;
    let word = columns * WEIGHT_BITS;
    let column_bits = index_width(row_blocks.into());
    let (in_bits, out_bits) =
        (index_width(u64::from(row_blocks) + 1), index_width(u64::from(bias_words) + 1));
    let row_bits = index_width(rows.into());

    let m = ModuleBuilder::new(name);
    m.doc("Weight loader. Words come row by row, ROWS rows of `in_blocks` words for each of `out_blocks`");
    m.doc("blocks of outputs, then `out_blocks` words of bias. All rows of a block but the last wait in a");
    m.doc("cache; each word of the last row completes a block. Blocks leave in the order of their address,");
    m.doc("so that the linear unit reads them one after the other.");
    m.doc("`bias_of_attention`: 9 bits of fraction instead of 11.");
    m.parameter("ROWS", rows);
    m.parameter("ROW_BLOCKS", row_blocks);
    m.latency("1 cycle from the word that completes a block, or a word of bias, to its write");
    let start = m.input("start", 1);
    let in_blocks = m.input("in_blocks", in_bits);
    let out_blocks = m.input("out_blocks", out_bits);
    let of_attention = m.input("bias_of_attention", 1);
    let valid = m.input("s_axis_tvalid", 1);
    let data = m.input("s_axis_tdata", word);

    m.section("the matrix at hand");
    let busy = m.register("busy", 1);
    let in_bias = m.register("in_bias", 1).comment("All weights came; the bias follows.");
    let starts = m.wire("starts", &(&start & !&busy));
    let held_in = m.pipe_when("held_in_blocks", &starts, &in_blocks);
    let held_out = m.pipe_when("held_out_blocks", &starts, &out_blocks);
    let held_attention = m.pipe_when("held_attention", &starts, &of_attention);
    let takes = m.wire("takes", &(&busy & valid));

    m.section("where the word belongs: column, row, block of outputs");
    let column = m.register("column", column_bits);
    let row = m.register("row", row_bits);
    let block = m.register("block", out_bits).comment("Block of outputs.");
    let last_column = m.wire("last_column", &(column.extend(in_bits) + 1).eq(&held_in));
    let last_row = m.wire("last_row", &row.eq(u64::from(rows - 1)));
    let last_block = m.wire("last_block", &(&block + 1).eq(&held_out));
    let row_ends = m.wire("row_ends", &m.all_of(&[takes.clone(), !&in_bias, last_column]));
    let weight = m.wire("takes_weight", &(&takes & !&in_bias));
    m.update_when(&column, &weight, (!&row_ends).gate(&(&column + 1)));
    m.update_when(&row, &row_ends, (!&last_row).gate(&(&row + 1)));
    let takes_bias = m.wire("takes_bias", &(&takes & &in_bias));
    let block_ends = m.wire("block_ends", &((&row_ends & &last_row) | &takes_bias));
    m.update_when(&block, &block_ends, (!&last_block).gate(&(&block + 1)));
    let weights_end =
        m.wire("weights_end", &m.all_of(&[row_ends, last_row.clone(), last_block.clone()]));
    let bias_ends = m.wire("bias_ends", &(&takes_bias & &last_block));
    m.update(&in_bias, weights_end | (&in_bias & !&bias_ends));
    m.update(&busy, &starts | (&busy & !&bias_ends));

    m.section("the rows before wait in the cache");
    let completes = m.wire("completes", &(&weight & &last_row));
    let mut block_rows: Vec<Signal> = (0..rows - 1)
        .map(|at| {
            let cache = m.memory(format!("cache_{at}"), word, row_blocks, MemoryStyle::Distributed);
            let write = m.wire(format!("caches_{at}"), &(&weight & row.eq(u64::from(at))));
            cache.write(&column, &data, &write);
            cache.read_clocked(format!("cached_{at}"), &column)
        })
        .collect();
    let word_register = m.pipe("word_register", &data);
    block_rows.push(word_register.clone());
    let block_write = m.pipe_reset("block_write_register", &completes);
    let address_bits = index_width(sizes.buffer_blocks.into());
    let address = m.register("address", address_bits).comment("Blocks written so far.");
    m.update_when(&address, &(&starts | &block_write), (!&starts).gate(&(&address + 1)));

    m.section("bias, widened to the fraction that both kinds fit in");
    let bias_write = m.pipe_reset("bias_write_register", &takes_bias);
    let bias_address = m.pipe("bias_address_register", &block);
    let biases: Vec<Signal> = (0..)
        .zip(word_register.lanes(columns))
        .map(|(lane, bias): (u32, _)| {
            let bias = bias.as_signed().extend(BIAS_BITS);
            let shifted = (&bias << ATTENTION_SHIFT).as_unsigned();
            m.wire(format!("bias_lane_{lane}"), &held_attention.mux(&shifted, bias.as_unsigned()))
        })
        .collect();
    let done = m.pipe_reset("is_done", &bias_ends);

    m.output_for("s_axis_tready", &busy, "The word is taken.");
    m.output_for("block_write", &block_write, "A block is complete.");
    m.output("block_address", &address);
    m.outputs("block_row", &block_rows);
    m.output("bias_write", &bias_write);
    m.output("bias_address", &bias_address.bits(0..index_width(bias_words.into())));
    m.discard(&bias_address);
    m.outputs("bias", &biases);
    m.output_for("done", &done, "All is written.");
    m.finish()
}
