//! Queues of the experts and the metaqueue: which tokens each expert computes, and which experts have any.

use std::sync::Arc;

use attelier_hw::edge_moe::Sizes;

use crate::{
    Error, ModuleBuilder,
    bits::index_width,
    ir::{MemoryStyle, Module},
    units::spatten::parts::within,
};

/// Width of a score: a feature of 32 bits, 22 of them fraction \[bits\].
pub const SCORE_BITS: u32 = 32;

/// The module `expert_queues`.
///
/// # Errors
/// Fewer than two tokens or experts, or no expert chosen.
pub fn expert_queues(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let name = "expert_queues";
    let experts = within(name, "experts", sizes.experts, 2..257, "2 to 256 experts")?;
    let tokens = within(name, "tokens", sizes.tokens, 2..4097, "2 to 4096 tokens")?;
    let chosen = within(name, "chosen", sizes.chosen, 1..9, "1 to 8 experts for a token")?;
    let [expert_bits, token_bits, choice_bits] =
        [experts, tokens, chosen].map(|count| index_width(count.into()));
    let length_bits = index_width(u64::from(tokens) + 1);
    let count_bits = index_width(u64::from(experts) + 1);

    let m = ModuleBuilder::new(name);
    m.doc("Queues of the experts. `start` empties them; then each beat brings the experts of the next token");
    m.doc("with their scores, which are different ones. After the last token, TOKENS of them at most, the");
    m.doc("queues are looked through: the metaqueue lists the experts that have tokens, in ascending order.");
    m.doc(
        "An entry is there one cycle after `read_enable`; the metaqueue answers in the same cycle.",
    );
    m.parameter("TOKENS", tokens);
    m.parameter("EXPERTS", experts);
    m.parameter("CHOSEN", chosen);
    m.latency(format!(
        "{chosen} cycles per token; {} cycles from the last token to `complete`",
        chosen + experts + 1
    ));
    let start = m.input("start", 1);
    let valid = m.input("s_axis_tvalid", 1);
    let last = m.input("s_axis_tlast", 1);
    let choices = m.inputs("s_axis_expert", chosen, expert_bits);
    let scores = m.inputs("s_axis_score", chosen, SCORE_BITS);
    let read_enable = m.input("read_enable", 1);
    let read_expert = m.input("read_expert", expert_bits);
    let read_position = m.input("read_position", token_bits);
    let list_position = m.input("metaqueue_position", expert_bits);

    m.section("tokens, one after the other; their choices are written in turn");
    let open = m.register("open", 1).comment("Tokens are still to come.");
    let writes = m.register("writes", 1).comment("A token is being written to its queues.");
    let choice = m.register("choice", choice_bits);
    let final_choice = m.wire("final_choice", &choice.eq(u64::from(chosen - 1)));
    let free = m.wire("free", &(!&writes | &final_choice));
    let ready = m.wire("ready", &m.all_of(&[open.clone(), free, !&start]));
    let takes = m.wire("takes", &(valid & &ready));
    let token = m.register("token", token_bits).comment("Number of the next token.");
    m.update_when(&token, &(&start | &takes), (!&start).gate(&(&token + 1)));
    let ends = m.wire("ends", &(&takes & (last | token.eq(u64::from(tokens - 1)))));
    m.update(&open, &start | (&open & !&ends));
    m.update(&writes, (!&start).gate(&(&takes | (&writes & !&final_choice))));
    m.update(&choice, m.all_of(&[writes.clone(), !&final_choice, !&start]).gate(&(&choice + 1)));
    let held_token = m.pipe_when("held_token", &takes, &token);
    let hold = |name: &str, values: &[crate::Signal]| -> Vec<crate::Signal> {
        let lanes = (0..).zip(values);
        lanes
            .map(|(lane, value): (u32, _)| m.pipe_when(format!("{name}_{lane}"), &takes, value))
            .collect()
    };
    let held_choices = hold("held_expert", &choices);
    let held_scores = hold("held_score", &scores);
    let expert = m.wire("expert", &m.select(&choice, &held_choices));
    let score = m.wire("score", &m.select(&choice, &held_scores));

    m.section("length of each queue");
    let lengths: Vec<_> = (0..experts)
        .map(|at| {
            let length = m.register(format!("length_{at}"), length_bits);
            let grows = m.wire(format!("grows_{at}"), &(&writes & expert.eq(u64::from(at))));
            m.update_when(&length, &(&start | &grows), (!&start).gate(&(&length + 1)));
            length
        })
        .collect();
    let position = m.wire("position", &m.select(&expert, &lengths));
    m.discard(&position);

    m.section("entries: token and score");
    let address_bits = expert_bits + token_bits;
    let memory =
        m.memory("entries", token_bits + SCORE_BITS, 1 << address_bits, MemoryStyle::Block);
    let address = m.wire("write_address", &expert.concat(&position.bits(0..token_bits)));
    memory.write(&address, &held_token.concat(&score), &writes);
    let entry =
        memory.read_clocked_when("entry", &read_expert.concat(&read_position), &read_enable);

    m.section("metaqueue: one queue per cycle is looked at");
    let looks = m.register("looks", 1);
    let look_at = m.register("look_at", expert_bits);
    let looks_last = m.wire("looks_last", &look_at.eq(u64::from(experts - 1)));
    let written = m.wire("written", &m.all_of(&[writes, final_choice, !&open]));
    m.update(&looks, (!&start).gate(&(written | (&looks & !&looks_last))));
    m.update(&look_at, m.all_of(&[looks.clone(), !&looks_last, !&start]).gate(&(&look_at + 1)));
    let complete = m.register("is_complete", 1);
    m.update(&complete, (!&start).gate(&(&complete | (&looks & &looks_last))));
    let has_tokens = m.wire("has_tokens", &m.select(&look_at, &lengths).any());
    let lists = m.wire("lists", &(&looks & has_tokens));
    let count = m.register("count", count_bits);
    m.update_when(&count, &(&start | &lists), (!&start).gate(&(&count + 1)));
    m.discard(&count);
    let list = m.memory("metaqueue", expert_bits, 1 << expert_bits, MemoryStyle::Distributed);
    list.write(&count.bits(0..expert_bits), &look_at, &lists);
    let listed = list.read("listed", &list_position);

    m.output("s_axis_tready", &ready);
    m.output_for("entry_token", &entry.bits(SCORE_BITS..SCORE_BITS + token_bits), "Read before.");
    m.output("entry_score", &entry.bits(0..SCORE_BITS));
    m.output_for("complete", &complete, "The metaqueue is complete.");
    m.output_for("metaqueue_count", &count, "Experts that have tokens.");
    m.output_for("metaqueue_expert", &listed, "The expert at `metaqueue_position`.");
    m.output_for("metaqueue_length", &m.select(&listed, &lengths), "Tokens in its queue.");
    m.finish()
}
