//! The loader of all that is trained and no matrix of a linear layer: layer norms, gates, patch embedding.

use std::sync::Arc;

use attelier_hw::edge_moe::{Sizes, formats::WEIGHT};

use super::layer_norm::transitions;
use crate::{
    Error, ModuleBuilder, Signal, bits::index_width, ir::Module, units::spatten::parts::within,
};

/// What is loaded, as `kind` says it.
pub const NORM: u64 = 0;
/// Weights of a gate.
pub const GATE: u64 = 1;
/// Weights of the patch embedding, then its bias.
pub const PATCH: u64 = 2;

/// What the unit does.
const IDLE: u64 = 0;
const NORMS: u64 = 1;
const GATES: u64 = 2;
const PATCHES: u64 = 3;
const BIASES: u64 = 4;

/// A counter that goes on with `moves` and begins again after the last of `count` values; it, and whether
/// it holds the last one.
fn counter(m: &ModuleBuilder, name: &str, count: u32, moves: &Signal) -> (Signal, Signal) {
    let value = m.register(name, index_width(count.into()));
    let last = m.wire(format!("last_{name}"), &value.eq(u64::from(count - 1)));
    m.update_when(&value, moves, (!&last).gate(&(&value + 1)));
    (value, last)
}

/// The module `parameter_loader`.
///
/// # Errors
/// Lanes that are no power of two, tokens of less than two words, experts or lines out of range, and lines
/// of a patch whose weights are not one word: these are twice as many pixels as there are lanes.
pub fn parameter_loader(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let name = "parameter_loader";
    let lanes = within(name, "lanes", sizes.lanes, 2..65, "2 to 64 lanes")?;
    let experts = within(name, "experts", sizes.experts, 2..65, "2 to 64 experts")?;
    let colours = within(name, "colours", sizes.colours, 1..9, "1 to 8 colours")?;
    let patch = within(name, "patch", sizes.patch, 2..65, "2 to 64 pixels")?;
    if patch != 2 * lanes {
        let expected = "twice as many pixels as lanes: the weights of a line are a word then";
        return Err(Error::parameter(name, "patch", patch, expected));
    }
    let words = sizes.token_words();
    if !sizes.width.is_multiple_of(lanes) || words < 2 {
        return Err(Error::parameter(name, "width", sizes.width, "at least two whole words"));
    }
    let lines = patch * colours;
    let half_bits = lanes * WEIGHT.bits;
    let address_bits = index_width(u64::from(lines) * u64::from(words));

    let m = ModuleBuilder::new(name);
    m.doc("Loads what is trained, a word per beat. `kind` 0: weights and biases of a layer norm, LANES of each");
    m.doc("in a word. 1: weights of a gate, expert by expert, twice LANES in a word. 2: weights of the patch");
    m.doc("embedding, feature by feature, a line of a patch in a word; then its bias, twice LANES in a word.");
    m.doc("What is left of the last word of a gate or bias has no meaning.");
    m.parameter("LANES", lanes);
    m.parameter("TOKEN_WORDS", words);
    m.parameter("EXPERTS", experts);
    m.parameter("LINES", lines);
    m.latency(
        "a write in the cycle in which its word comes; the second half of a word one cycle later",
    );
    let start = m.input("start", 1);
    let kind = m.input("kind", 2);
    let valid = m.input("s_axis_tvalid", 1);
    let data = m.input("s_axis_tdata", 2 * half_bits);

    let state = m.register("state", 3).comment("0 idle, 1 norm, 2 gate, 3 patch, 4 bias.");
    let in_state = |name: &str, value: u64| m.wire(name, &state.eq(value));
    let [is_idle, is_norm, is_gate] =
        [("is_idle", IDLE), ("is_norm", NORMS), ("is_gate", GATES)].map(|(n, v)| in_state(n, v));
    let [is_patch, is_bias] =
        [("is_patch", PATCHES), ("is_bias", BIASES)].map(|(n, v)| in_state(n, v));

    m.section("a step: a word, or half of one");
    let steps = m.wire("steps", &(!&is_idle & &valid));
    let of_halves = m.wire("of_halves", &(&is_gate | &is_bias));
    let half = m.register("half", 1).comment("The upper half of a word comes.");
    let step_of_patch = m.wire("step_of_patch", &(&steps & &is_patch));
    let (line, last_line) = counter(&m, "line", lines, &step_of_patch);
    let feature_ends = m.wire("feature_ends", &(&step_of_patch & &last_line));
    let (lane, last_lane) = counter(&m, "lane", lanes, &feature_ends);
    let lanes_end = m.wire("lanes_end", &(&feature_ends & &last_lane));
    let step_of_words = m.wire("step_of_words", &(&steps & !&is_patch));
    let word_moves = m.wire("word_moves", &(&step_of_words | lanes_end));
    let (word, last_word) = counter(&m, "word", words, &word_moves);
    let words_end = m.wire("words_end", &(&word_moves & &last_word));
    let expert_ends = m.wire("expert_ends", &(&words_end & &is_gate));
    let (expert, last_expert) = counter(&m, "expert", experts, &expert_ends);
    let gate_ends = m.wire("gate_ends", &(&expert_ends & &last_expert));
    let bias_ends = m.wire("bias_ends", &(&words_end & &is_bias));
    // The last half, whether its word is there or not.
    let is_last_half = ((&is_gate & &last_expert) | &is_bias) & &last_word;
    let is_last_half = m.wire("is_last_half", &is_last_half);
    m.update_when(&half, &(&steps & &of_halves), !&half & !&is_last_half);
    let base =
        m.register("line_base", address_bits).comment("Weights of the first word of the line.");
    let next_base = (!&last_line).gate(&(&base + u64::from(words)));
    m.update_when(&base, &step_of_patch, next_base);

    m.section("what comes next");
    let starts = m.wire("starts", &(&start & &is_idle));
    let begins = |name: &str, value: u64| m.wire(name, &(&starts & kind.eq(value)));
    let [norm_begins, gate_begins, patch_begins] =
        [("norm_begins", NORM), ("gate_begins", GATE), ("patch_begins", PATCH)]
            .map(|(name, value)| begins(name, value));
    let norm_ends = m.wire("norm_ends", &(&words_end & &is_norm));
    let patch_ends = m.wire("patch_ends", &(&words_end & &is_patch));
    let events = [
        (&norm_begins, NORMS),
        (&gate_begins, GATES),
        (&patch_begins, PATCHES),
        (&norm_ends, IDLE),
        (&gate_ends, IDLE),
        (&patch_ends, BIASES),
        (&bias_ends, IDLE),
    ];
    transitions(&m, &state, &events);

    m.section("writes");
    let [low, high] = [data.bits(0..half_bits), data.bits(half_bits..2 * half_bits)];
    let half_word = m.wire("half_word", &half.mux(&high, &low));
    let whole = m.wire("whole", &(!&of_halves | &half | is_last_half));
    m.output_for("s_axis_tready", &(!&is_idle & whole), "The word is done.");
    m.output("norm_write", &(&steps & is_norm));
    m.output_for("word_address", &word, "Word of a token that is written.");
    m.output("norm_weight", &low);
    m.output("norm_bias", &high);
    m.output("gate_write", &(&steps & is_gate));
    m.output("gate_expert", &expert);
    m.output_for("half_data", &half_word, "Weights of the gate, or bias of the patch embedding.");
    m.output("patch_write", &step_of_patch);
    m.output("patch_lane", &lane);
    m.output("patch_address", &(base + word.extend(address_bits)));
    m.output("patch_weight", &data);
    m.output("patch_bias_write", &(steps & is_bias));
    m.output("busy", &!is_idle);
    m.discard(&line);
    m.finish()
}
