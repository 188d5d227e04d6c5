//! Query times key: one line of keys per cycle against the broadcast query.
//!
//! Multipliers and adder tree are cut at the head dimension, so a line gives `multipliers / head_dim`
//! scores. A place in the output queue is reserved when a line is read; nothing behind it stalls.

use std::sync::Arc;

use attelier_hw::spatten::Spatten;

use super::{
    HANDSHAKE,
    parts::{adder_tree, delay, history, power_of_two, reservations, within},
    ring::Ring,
};
use crate::{
    Error, ModuleBuilder,
    bits::{Bits, index_width},
    ir::Module,
};

/// The array: `qk_array`, and in it one `qk_dot_product` per key of a line.
///
/// # Errors
/// A latency that is not that of broadcast, multiply and tree; vectors above 4096 bits.
pub fn qk_array(params: &Spatten) -> Result<Arc<Module>, Error> {
    let (keys, latency) = (params.qk_array.keys_per_line, params.qk_array.latency_cycles);
    let (head_dim, word) = (params.head_dim, params.datapath_bits);
    let name = "qk_array";
    power_of_two(name, "head_dim", head_dim)?;
    power_of_two(name, "qk_array.keys_per_line", keys)?;
    let stages = 2 + head_dim.ilog2();
    within(name, "qk_array.latency_cycles", latency, stages..stages + 1, "2 + log2(head_dim)")?;
    let dot_product = qk_dot_product(head_dim, word)?;
    let depth = latency + HANDSHAKE;
    let vector_bits = head_dim * word;
    let row_bits = index_width(u64::from(params.key_sram.lines) + 1);

    let m = ModuleBuilder::new(name);
    m.doc("Query times key. An order asks for the scores of one pass: `rows` lines of keys against one");
    m.doc("query, a line per cycle as soon as it is in the key buffer. The last row may hold fewer keys:");
    m.doc("`last_keep` has a bit per lane.");
    m.doc("`line_read` reads line `line_row` of the order; `line_key_*` hold it one cycle later.");
    m.doc("`query` belongs to the order at hand while `query_valid`; it is taken with each line.");
    m.parameter("MULTIPLIERS", params.qk_array.multipliers);
    m.parameter("HEAD_DIM", head_dim);
    m.parameter("KEYS_PER_LINE", keys);
    m.parameter("DATAPATH_BITS", word);
    m.parameter("QUEUE_ROWS", depth);
    m.latency(format!(
        "{latency} cycles from `line_read` to the queue (broadcast, multiply, {} tree levels), one \
         more to `m_axis_tvalid`",
        head_dim.ilog2()
    ));

    let order_valid = m.input("s_order_tvalid", 1);
    let order_rows = m.input("s_order_rows", row_bits);
    let order_keep = m.input("s_order_last_keep", keys);
    let query_valid = m.input("query_valid", 1);
    let query = m.input("query", vector_bits);
    let lines_filled = m.input("lines_filled", row_bits);
    let line_keys = m.inputs("line_key", keys, vector_bits);
    let output_ready = m.input("m_axis_tready", 1);

    m.section("the order at hand");
    let busy = m.register("busy", 1).comment("An order was taken and has lines left.");
    let held_rows = m.register_without_reset("held_rows", row_bits);
    let held_keep = m.register_without_reset("held_last_keep", keys);
    let row = m.register("row", row_bits).comment("Line that is read next; 0 between orders.");
    let active = m.wire("active", &(&busy | &order_valid));
    let rows = m.wire("rows", &busy.mux(&held_rows, &order_rows));
    let last_keep = m.wire("last_keep", &busy.mux(&held_keep, &order_keep));

    m.section("one line per cycle, if a place in the output queue is free");
    let pop = m.forward("pop", 1);
    let read = m.forward("read", 1);
    let reserved = reservations(&m, "reserved", depth, &read, &pop)
        .comment("Rows in the pipeline and in the output queue.");
    let has_room = m.wire("has_room", &reserved.lt(u64::from(depth)));
    let has_line = m.wire("has_line", &lines_filled.gt(&row));
    m.drive(&read, m.all_of(&[active.clone(), query_valid, has_line, has_room]));
    let next_row = m.wire("next_row", &(&row + 1));
    let is_last = m.wire("is_last", &next_row.eq(&rows));
    let finishes = m.wire("finishes", &(&read & &is_last));
    m.update(&busy, &active & !&finishes);
    let takes = m.wire("takes_order", &(!&busy & &order_valid));
    m.update_when(&held_rows, &takes, &order_rows);
    m.update_when(&held_keep, &takes, &order_keep);
    m.update_when(&row, &read, is_last.mux(&m.constant(0, row_bits), &next_row));

    m.section("broadcast");
    let query_register = m.pipe_when("query_register", &read, &query);
    let all_lanes = is_last.mux(&last_keep, Bits::ones(keys));
    let valid = history(&m, "valid", &read, latency);
    let last = delay(&m, "last", &is_last, latency);
    let keep = delay(&m, "keep", &all_lanes, latency);

    m.section("multiply and add");
    let scores: Vec<_> = line_keys
        .iter()
        .enumerate()
        .map(|(lane, key)| {
            let instance = m.instance(format!("dot_product_{lane}"), &dot_product);
            instance.input("query", &query_register).input("key", key);
            m.wire(format!("score_{lane}"), &instance.output("score").as_signed())
        })
        .collect();

    m.section("output queue");
    let push = &valid[latency as usize];
    let ring = Ring::new(&m, "queue", depth);
    let has_row = ring.has_item(&m);
    m.drive(&pop, &has_row & &output_ready);
    ring.advance(&m, push, &pop);
    let oldest: Vec<_> = scores
        .iter()
        .enumerate()
        .map(|(lane, score)| ring.oldest(&m, &format!("oldest_score_{lane}"), push, score))
        .collect();
    let oldest_keep = ring.oldest(&m, "oldest_keep", push, &keep);
    let oldest_last = ring.oldest(&m, "oldest_last", push, &last);

    m.output("s_order_tready", &!&busy);
    m.output_for("line_read", &read, "Reads the line that is needed next.");
    m.output("line_row", &row);
    m.output("m_axis_tvalid", &has_row);
    m.output("m_axis_tlast", &oldest_last);
    m.output("m_axis_tkeep", &oldest_keep);
    m.outputs("m_axis_tdata", &oldest);
    m.finish()
}

/// Exact dot product of two vectors, a register behind every multiplication and addition.
fn qk_dot_product(head_dim: u32, word: u32) -> Result<Arc<Module>, Error> {
    let m = ModuleBuilder::new("qk_dot_product");
    m.doc("Exact dot product of two vectors of two's complement words, element 0 lowest.");
    m.parameter("HEAD_DIM", head_dim);
    m.parameter("DATAPATH_BITS", word);
    m.latency(format!("{} cycles: multiply, {0} tree levels", head_dim.ilog2()));
    let query = m.input("query", head_dim * word);
    let key = m.input("key", head_dim * word);
    m.section("multiply");
    let pairs = query.lanes(head_dim).into_iter().zip(key.lanes(head_dim)).enumerate();
    let products = pairs
        .map(|(at, (query, key))| {
            let query = m.wire(format!("query_word_{at}"), &query.as_signed());
            let key = m.wire(format!("key_word_{at}"), &key.as_signed());
            m.pipe(format!("product_{at}"), &query.mul(&key))
        })
        .collect();
    m.section("adder tree");
    let score = adder_tree(&m, "sum", products);
    m.output("score", &score);
    m.finish()
}
