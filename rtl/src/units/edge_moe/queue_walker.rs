//! The walker of a queue: whose tokens an expert computes, told to all that read or write their rows.

use std::sync::Arc;

use attelier_hw::edge_moe::Sizes;

use super::expert_queues::SCORE_BITS;
use crate::{
    Error, ModuleBuilder, Signal, bits::index_width, blocks::Fifo, ir::Module,
    units::spatten::parts::within,
};

/// Tokens that wait for each receiver: the FIFO of token numbers in the released code has as many.
pub const WAITING_TOKENS: u32 = 8;

/// The module `queue_walker`.
///
/// # Errors
/// Fewer than two tokens or experts.
pub fn queue_walker(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let name = "queue_walker";
    let experts = within(name, "experts", sizes.experts, 2..257, "2 to 256 experts")?;
    let tokens = within(name, "tokens", sizes.tokens, 2..4097, "2 to 4096 tokens")?;
    let [expert_bits, token_bits] = [experts, tokens].map(|count| index_width(count.into()));
    let length_bits = index_width(u64::from(tokens) + 1);
    let numbers = Fifo { width: token_bits, depth: WAITING_TOKENS }.build()?;
    let scores = Fifo { width: SCORE_BITS, depth: WAITING_TOKENS }.build()?;

    let m = ModuleBuilder::new(name);
    m.doc("Walks through the queue of an expert. Every token is told to who reads its row and to who writes");
    m.doc("it; where `weighted` also to who reads what is there, and its score to the adder. Each of them has");
    m.doc("WAITING_TOKENS places, and the walker goes on when all have one free.");
    m.parameter("WAITING_TOKENS", WAITING_TOKENS);
    m.latency("3 cycles from `start` to the first token; a token per cycle");
    let start = m.input("start", 1);
    let expert = m.input("expert", expert_bits);
    let length = m.input("length", length_bits);
    let weighted = m.input("weighted", 1).comment("Stays until the last token was told.");
    let entry_token = m.input("entry_token", token_bits);
    let entry_score = m.input("entry_score", SCORE_BITS);

    m.section("the next entry");
    let held_expert = m.pipe_when("held_expert", &start, &expert);
    let left = m.register("entries_left", length_bits);
    let position = m.register("position", token_bits);
    let has_entry = m.register("has_entry", 1).comment("The queues show the entry to be told.");
    let all_ready = m.forward("all_ready", 1);
    let free = m.wire("free", &(!&has_entry | &all_ready));
    let reads = m.wire("reads", &(left.any() & &free));
    m.update_when(&left, &(&start | &reads), start.mux(&length, &left - 1));
    m.update_when(&position, &(&start | &reads), (!&start).gate(&(&position + 1)));
    m.update_when(&has_entry, &free, &reads);
    let tells = m.wire("tells", &(&has_entry & &all_ready));
    let tells_weighted = m.wire("tells_weighted", &(&tells & &weighted));

    m.section("who is told");
    let mut readies = Vec::new();
    for (receiver, module, data, pushes) in [
        ("read", &numbers, &entry_token, &tells),
        ("write", &numbers, &entry_token, &tells),
        ("kept", &numbers, &entry_token, &tells_weighted),
        ("score", &scores, &entry_score, &tells_weighted),
    ] {
        let queue = m.instance(format!("{receiver}_queue"), module);
        queue.input("s_axis_tvalid", pushes).input("s_axis_tdata", data);
        queue.input("m_axis_tready", m.input(format!("m_{receiver}_tready"), 1));
        queue.discard("level");
        readies.push(queue.output("s_axis_tready"));
        m.output(format!("m_{receiver}_tvalid"), &queue.output("m_axis_tvalid"));
        m.output(format!("m_{receiver}_tdata"), &queue.output("m_axis_tdata"));
    }
    m.drive(&all_ready, m.all_of(&readies));
    let asks: [(&str, &Signal); 3] =
        [("read_enable", &reads), ("read_expert", &held_expert), ("read_position", &position)];
    for (port, signal) in asks {
        m.output(port, signal);
    }
    m.finish()
}
