//! Layer normalization, token by token.

use std::sync::Arc;

use attelier_hw::edge_moe::{
    Sizes,
    formats::{BIAS, FEATURE},
};

use super::{
    functions::{divider, square_root},
    outlet::Outlet,
};
use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::{MemoryStyle, Module},
    units::spatten::parts::{delay, history, tree, within},
};

/// 1e-6 added to the variance, cut to a feature.
const EPSILON: u64 = 4;
/// Operands, squares, shares, sums: stages beside the levels of the tree.
const MOMENT_STAGES: u32 = 4;
/// Word, difference, product with the root, product with the weight, sum.
const OUTPUT_STAGES: u32 = 5;
/// Places of the output queue.
const PLACES: u32 = 8;

/// What the unit does.
const TAKES: u64 = 0;
const ADDS: u64 = 1;
const EXTRACTS: u64 = 2;
const DIVIDES: u64 = 3;
const GIVES: u64 = 4;

/// The bits of a product that make a feature, where the other factor has `fraction` bits of it.
fn cut(m: &ModuleBuilder, name: &str, a: &Signal, b: &Signal, fraction: u32) -> Signal {
    let exact = m.wire(format!("{name}_exact"), &a.as_signed().mul(&b.as_signed()));
    m.discard(&exact);
    exact.bits(fraction..fraction + FEATURE.bits)
}

/// The module `layer_norm`.
///
/// # Errors
/// Lanes that are no power of two, tokens of less than two words.
pub fn layer_norm(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let name = "layer_norm";
    let lanes = within(name, "lanes", sizes.lanes, 2..65, "2 to 64 lanes")?;
    if !lanes.is_power_of_two() || !sizes.width.is_multiple_of(lanes) || sizes.width < 2 * lanes {
        let expected = "at least two whole words, with a power of two of lanes";
        return Err(Error::parameter(name, "width", sizes.width, expected));
    }
    let words = sizes.token_words();
    let word_bits = index_width(words.into());
    let levels = lanes.ilog2();
    let (root_module, divider) = (square_root()?, divider()?);

    let m = ModuleBuilder::new(name);
    m.doc("Layer normalization, token by token: mean and mean of squares while a token comes, then one over");
    m.doc("the root of the variance, then the token leaves. Each product is cut to a feature. Weights and");
    m.doc("biases are written word by word before.");
    m.parameter("WIDTH", sizes.width);
    m.parameter("LANES", lanes);
    let valid = m.input("s_axis_tvalid", 1);
    let data = m.input("s_axis_tdata", lanes * FEATURE.bits);
    let parameter_write = m.input("parameter_write", 1);
    let parameter_address = m.input("parameter_address", word_bits);
    let parameter_weight = m.input("parameter_weight", lanes * BIAS.bits);
    let parameter_bias = m.input("parameter_bias", lanes * BIAS.bits);

    let state = m.register("state", 3).comment("0 takes, 1 adds, 2 root, 3 divides, 4 gives.");
    let in_state = |name: &str, value: u64| m.wire(name, &state.eq(value));
    let [is_taking, is_adding] =
        [("is_taking", TAKES), ("is_adding", ADDS)].map(|(n, v)| in_state(n, v));
    let [is_rooting, is_dividing, is_giving] =
        [("is_rooting", EXTRACTS), ("is_dividing", DIVIDES), ("is_giving", GIVES)]
            .map(|(n, v)| in_state(n, v));
    let gives = m.forward("gives", 1);
    let outlet = Outlet::new(&m, "m_axis", PLACES, &gives);

    m.section("a token comes, or leaves");
    let takes = m.wire("takes", &(&is_taking & valid));
    m.drive(&gives, &is_giving & &outlet.has_room);
    let moves = m.wire("moves", &(&takes | &gives));
    let word = m.register("word", word_bits);
    let last_word = m.wire("last_word", &word.eq(u64::from(words - 1)));
    m.update_when(&word, &moves, (!&last_word).gate(&(&word + 1)));
    let token = m.memory("token", data.width(), words, MemoryStyle::Distributed);
    token.write(&word, &data, &takes);

    m.section("mean and mean of squares");
    let moments = MOMENT_STAGES + levels;
    let valids = history(&m, "valid", &takes, moments - 1);
    let first = delay(&m, "first", &m.wire("is_first", &!word.any()), moments - 1);
    let ended =
        history(&m, "token_ended", &m.wire("token_ends", &(&takes & &last_word)), moments + 1);
    let share = (1u64 << FEATURE.fraction) / u64::from(sizes.width);
    let share_bits = FEATURE.fraction + 1;
    let share = m.constant(share, share_bits);
    let (mut means, mut squares) = (Vec::new(), Vec::new());
    for (lane, x) in (0u32..).zip(data.lanes(lanes)) {
        let x = m.pipe(format!("x_{lane}"), &x);
        let part = m.pipe(
            format!("part_{lane}"),
            &cut(&m, &format!("part_{lane}"), &x, &share, FEATURE.fraction),
        );
        means.push(m.pipe(format!("part_{lane}_then"), &part));
        let square = m.wire(format!("square_{lane}_exact"), &x.as_signed().mul(&x.as_signed()));
        m.discard(&square);
        let width = 2 * FEATURE.bits;
        // The square of the least number needs all of these bits.
        let square = square.bits(FEATURE.fraction..width);
        let square = m.pipe(format!("square_{lane}"), &square);
        let exact = square.mul(&share);
        let exact = m.wire(format!("square_part_{lane}_exact"), &exact);
        m.discard(&exact);
        let part = exact.bits(FEATURE.fraction..FEATURE.fraction + FEATURE.bits);
        squares.push(m.pipe(format!("square_part_{lane}"), &part));
    }
    let accumulate = |name: &str, terms: Vec<Signal>| {
        let sum = tree(&m, &format!("{name}_sum"), terms, |a, b| a + b);
        let total = m.register_without_reset(name, FEATURE.bits);
        let before = m.wire(format!("{name}_before"), &(!&first).gate(&total));
        m.update_when(&total, &valids[moments as usize - 1], before + sum);
        total
    };
    let mean = accumulate("mean", means);
    let square = accumulate("square", squares);

    m.section("one over the root of the variance");
    let mean_square =
        m.pipe("mean_square", &cut(&m, "mean_square", &mean, &mean, FEATURE.fraction));
    let variance = m.wire("variance", &(square - mean_square + EPSILON));
    let is_positive = m.wire("variance_is_positive", &(!variance.msb() & variance.any()));
    let radicand = is_positive.mux(&variance, 1);
    let extracts = m.wire("extracts", &(&is_adding & &ended[moments as usize + 1]));
    let root = m.instance("square_root_of_variance", &root_module);
    root.input("start", &extracts).input("x", &radicand);
    let divides = m.wire("divides", &(&is_rooting & !root.output("busy")));
    let quotient = m.instance("inverse", &divider);
    let one = m.constant(1 << FEATURE.fraction, FEATURE.bits);
    quotient
        .input("start", &divides)
        .input("numerator", &one)
        .input("denominator", root.output("root").extend(FEATURE.bits));
    let ready_to_give = m.wire("ready_to_give", &(&is_dividing & !quotient.output("busy")));
    let inverse = quotient.output("quotient");

    m.section("what comes next");
    let token_left = m.wire("token_left", &(&gives & &last_word));
    transitions(
        &m,
        &state,
        &[
            (&ended[0], ADDS),
            (&extracts, EXTRACTS),
            (&divides, DIVIDES),
            (&ready_to_give, GIVES),
            (&token_left, TAKES),
        ],
    );

    m.section("the token leaves");
    let x = m.pipe("given", &token.read("kept", &word));
    let parameters = |name: &str, data: &Signal| {
        let memory =
            m.memory(format!("{name}_words"), data.width(), words, MemoryStyle::Distributed);
        memory.write(&parameter_address, data, &parameter_write);
        memory.read_clocked(name, &word)
    };
    let weights = delay(&m, "weights", &parameters("weights", &parameter_weight), 2);
    let biases = delay(&m, "biases", &parameters("biases", &parameter_bias), 3);
    let lanes_of = |signal: &Signal| signal.lanes(lanes);
    let operands = lanes_of(&x).into_iter().zip(lanes_of(&weights)).zip(lanes_of(&biases));
    let results: Vec<Signal> = (0u32..)
        .zip(operands)
        .map(|(lane, ((x, weight), bias))| {
            let difference = m.pipe(format!("difference_{lane}"), &(x - &mean));
            let normal =
                cut(&m, &format!("normal_{lane}"), &difference, &inverse, FEATURE.fraction);
            let normal = m.pipe(format!("normal_{lane}"), &normal);
            let scaled = cut(&m, &format!("scaled_{lane}"), &normal, &weight, BIAS.fraction);
            let scaled = m.pipe(format!("scaled_{lane}"), &scaled);
            let bias = bias.concat(&m.constant(0, FEATURE.fraction - BIAS.fraction));
            let bias = bias.as_signed().extend(FEATURE.bits).as_unsigned();
            m.pipe(format!("result_{lane}"), &(scaled + bias))
        })
        .collect();
    let given = history(&m, "gave", &gives, OUTPUT_STAGES);
    outlet.offer(&m, &given[OUTPUT_STAGES as usize], &[("tdata", m.pack(&results))]);
    m.output("s_axis_tready", &is_taking);
    m.latency(format!("{} cycles from a word that leaves to `m_axis_tvalid`", OUTPUT_STAGES + 1));
    m.finish()
}

/// A register of states that goes where the one event that happens says.
pub(super) fn transitions(m: &ModuleBuilder, state: &Signal, events: &[(&Signal, u64)]) {
    let any: Vec<Signal> = events.iter().map(|(event, _)| (*event).clone()).collect();
    let next = events.iter().fold(m.constant(0, state.width()), |other, (event, to)| {
        event.mux(&m.constant(*to, state.width()), &other)
    });
    m.update_when(state, &m.wire("changes", &m.any_of(&any)), &next);
}
