//! Probabilities times values: scores become probabilities when they are read, values pass like keys.

use std::sync::Arc;

use attelier_hw::edge_moe::{Sizes, formats::FEATURE};

use super::{
    functions::{EXPONENTIAL_CYCLES, exponential},
    outlet::Outlet,
    token_steps::{self, TokenSteps},
};
use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::{MemoryStyle, Module},
    units::spatten::parts::{delay, history},
};

/// Cycles from a score to its probability.
const PROBABILITY_CYCLES: u32 = EXPONENTIAL_CYCLES + 4;
/// Operands, products, sums.
const STAGES: u32 = 3;
/// Places of the output queue.
const PLACES: u32 = 8;

/// The module `pv_product`, and in it one `score_to_probability` per head and one `pv_slot` per query that
/// stays.
///
/// # Errors
/// As [`qk_product`](super::qk_product).
pub fn pv_product(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let name = "pv_product";
    token_steps::check(name, sizes)?;
    let (slots, heads, words) = (sizes.queries, sizes.heads, sizes.token_words());
    let (slot_bits, word_bits) = (index_width(slots.into()), index_width(words.into()));
    let probability = score_to_probability()?;
    let slot_module = pv_slot(sizes)?;

    let m = ModuleBuilder::new(name);
    m.doc("Probabilities times values. Scores come as the product of queries and keys leaves them, for each");
    m.doc("token step a beat per slot; with the first score of a query comes what its softmax left. The");
    m.doc("probabilities of the next step are prepared while the words of a value pass. An output leaves word");
    m.doc("by word while the last value of its query passes.");
    m.parameter("TOKENS", sizes.tokens);
    m.parameter("SLOTS", slots);
    m.parameter("HEADS", heads);
    m.parameter("LANES", sizes.lanes);
    m.parameter("TOKEN_WORDS", words);
    m.latency(format!(
        "{PROBABILITY_CYCLES} cycles from the last score of a step to its first value, {} from a value to \
         `m_axis_tvalid`",
        STAGES + 1
    ));
    let start = m.input("start", 1);
    let info_valid = m.input("s_info_tvalid", 1);
    let factors = m.inputs("s_info_factor", heads, FEATURE.bits);
    let maxima = m.inputs("s_info_maximum", heads, FEATURE.bits);
    let score_valid = m.input("s_score_tvalid", 1);
    let scores = m.inputs("s_score_tdata", heads, FEATURE.bits);
    let value_valid = m.input("s_value_tvalid", 1);
    let value = m.input("s_value_tdata", sizes.lanes * FEATURE.bits);

    let busy = m.register("is_busy", 1);
    let starts = m.wire("starts", &(&start & !&busy));
    let turns = m.forward("turns", 1);

    m.section("scores of the next step, slot after slot");
    let scoring = m.register("scoring", 1).comment("Scores are still to come.");
    let staged = m.register("staged", 1).comment("All scores of the next step were taken.");
    let slot = m.register("slot", slot_bits);
    let last_slot = m.wire("last_slot", &slot.eq(u64::from(slots - 1)));
    let scores_end = m.forward("scores_end", 1);
    let front = TokenSteps::new(&m, "score_step", sizes, &starts, &scores_end);
    let brings = front.brings(&m, "brings_query");
    let renews = (0..slots).map(|at| front.renews(at) & slot.eq(u64::from(at))).collect::<Vec<_>>();
    let renews = m.wire("renews", &(m.any_of(&renews) & &brings));
    let open = m.wire("open", &(&scoring & !&staged));
    let takes =
        m.wire("takes", &m.all_of(&[open.clone(), score_valid.clone(), !&renews | &info_valid]));
    let info_ready = m.wire("info_ready", &m.all_of(&[open.clone(), score_valid, renews.clone()]));
    let score_ready = m.wire("score_ready", &(&open & (!&renews | &info_valid)));
    m.drive(&scores_end, &takes & &last_slot);
    m.update_when(&slot, &takes, (!&last_slot).gate(&(&slot + 1)));
    m.update(&staged, &scores_end | (&staged & !&turns));
    m.update(&scoring, &starts | (&scoring & !(&scores_end & &front.is_final)));

    m.section("probabilities");
    let valids = history(&m, "score_valid", &takes, PROBABILITY_CYCLES - 1);
    let slot_then = delay(&m, "score_slot", &slot, PROBABILITY_CYCLES - 1);
    let all_scored = history(&m, "scores_ended", &scores_end, PROBABILITY_CYCLES - 1);
    let prepared = m.register("prepared", 1).comment("Probabilities of the next step are there.");
    m.update(&prepared, &all_scored[PROBABILITY_CYCLES as usize - 1] | (&prepared & !&turns));
    let writes: Vec<Signal> = (0..slots)
        .map(|at| {
            let write = &valids[PROBABILITY_CYCLES as usize - 1] & slot_then.eq(u64::from(at));
            m.wire(format!("writes_{at}"), &write)
        })
        .collect();
    let takes_info = m.wire("takes_info", &(&takes & &renews));
    let keep = |name: String, value: &Signal| -> Signal {
        let slots: Vec<Signal> = (0..slots)
            .map(|at| {
                let of_slot =
                    m.wire(format!("{name}_write_{at}"), &(&takes_info & slot.eq(u64::from(at))));
                m.pipe_when(format!("{name}_of_{at}"), &of_slot, value)
            })
            .collect();
        m.wire(name, &renews.mux(value, m.select(&slot, &slots)))
    };
    let probabilities: Vec<Signal> = (0..heads as usize)
        .map(|head| {
            let instance = m.instance(format!("probability_{head}"), &probability);
            instance
                .input("score", &scores[head])
                .input("maximum", keep(format!("maximum_{head}"), &maxima[head]))
                .input("factor", keep(format!("factor_{head}"), &factors[head]));
            instance.output("probability")
        })
        .collect();

    let finishing = m.forward("finishing", 1);
    let enters = m.forward("output_enters", 1);
    let outlet = Outlet::new(&m, "m_axis", PLACES, &enters);

    m.section("values");
    let issues = m.register("issues", 1).comment("Values are still to come.");
    let word = m.register("word", word_bits);
    let first_word = m.wire("first_word", &!word.any());
    let last_word = m.wire("last_word", &word.eq(u64::from(words - 1)));
    let step_ends = m.forward("step_ends", 1);
    let steps = TokenSteps::new(&m, "value_step", sizes, &starts, &step_ends);
    let ends: Vec<Signal> = (0..slots)
        .map(|at| m.wire(format!("ends_{at}"), &(steps.ends_row(at) & steps.works(at))))
        .collect();
    m.drive(&finishing, m.any_of(&ends));
    let goes_on = m.wire(
        "goes_on",
        &m.all_of(&[issues.clone(), !&first_word | &prepared, !&finishing | &outlet.has_room]),
    );
    let step = m.wire("step", &(&goes_on & value_valid));
    m.drive(&turns, &step & first_word);
    m.drive(&enters, &step & &finishing);
    m.drive(&step_ends, &step & &last_word);
    m.update_when(&word, &step, (!&last_word).gate(&(&word + 1)));
    m.update(&issues, &starts | (&issues & !(&step_ends & &steps.is_final)));
    let drained = m.all_of(&[busy.clone(), !&issues, outlet.is_empty(&m)]);
    let drained = m.wire("drained", &drained);
    m.update(&busy, &starts | (&busy & !&drained));

    m.section("place of the word in each stage");
    let valid = history(&m, "valid", &step, 2);
    let word_then = delay(&m, "word", &word, 2);
    let entered = history(&m, "entered", &enters, STAGES);
    let last = delay(&m, "last", &last_word, STAGES);
    let head_words = u64::from(sizes.head_words());
    let heads_now: Vec<Signal> = (0..u64::from(heads))
        .map(|head| {
            let (from, end) = (head * head_words, (head + 1) * head_words);
            let above = if from == 0 { m.constant(1, 1) } else { word.ge(from) };
            if end >= u64::from(words) { above } else { above & word.lt(end) }
        })
        .collect();
    let head_now = m.pipe("head_now", &m.pack(&heads_now));
    let value_register = m.pipe("value_register", &value);

    let outputs: Vec<Signal> = (0..slots)
        .map(|at| {
            let first = delay(
                &m,
                &format!("first_{at}"),
                &m.wire(format!("begins_{at}"), &steps.renews(at)),
                2,
            );
            let instance = m.instance(format!("slot_{at}"), &slot_module);
            instance
                .input("probability_write", &writes[at as usize])
                .input("turns", &turns)
                .input("head_now", &head_now)
                .input("value", &value_register)
                .input("adds", &valid[2])
                .input("first", &first)
                .input("word", &word_then);
            for (head, probability) in probabilities.iter().enumerate() {
                instance.input(&format!("probability_{head}"), probability);
            }
            instance.output("sums")
        })
        .collect();
    let ends: Vec<Signal> = (0..)
        .zip(&ends)
        .map(|(at, ends): (u32, _)| delay(&m, &format!("slot_{at}_ends"), ends, 2))
        .collect();
    let zero = m.constant(0, value.width());
    let output = outputs.iter().zip(&ends).fold(zero, |other, (sums, ends)| ends.mux(sums, &other));
    let output = m.pipe("output_register", &output);
    outlet.offer(&m, &entered[STAGES as usize], &[("tdata", output), ("tlast", last)]);

    m.output("s_info_tready", &info_ready);
    m.output("s_score_tready", &score_ready);
    m.output("s_value_tready", &goes_on);
    m.output("busy", &busy);
    m.output_for("done", &drained, "All outputs have left.");
    m.finish()
}

/// A score becomes a probability.
fn score_to_probability() -> Result<Arc<Module>, Error> {
    let exponential = exponential()?;
    let m = ModuleBuilder::new("score_to_probability");
    m.doc("Exponential of the distance to the largest score, times one over the sum.");
    m.latency(format!("{} cycles", PROBABILITY_CYCLES - 1));
    let score = m.input("score", FEATURE.bits);
    let maximum = m.input("maximum", FEATURE.bits);
    let factor = m.input("factor", FEATURE.bits);
    let is_below = m.wire("is_below", &score.as_signed().lt(maximum.as_signed()));
    let higher = m.pipe("higher", &is_below.mux(&maximum, &score));
    let lower = m.pipe("lower", &is_below.mux(&score, &maximum));
    let distance = m.pipe("distance", &(higher - lower));
    let instance = m.instance("exponential", &exponential);
    instance.input("distance", &distance);
    let exponential = instance.output("y");
    let factor = delay(&m, "factor", &factor, EXPONENTIAL_CYCLES + 2);
    let wide = exponential.extend(exponential.width() + 1).as_signed();
    let exact = m.wire("exact", &factor.as_signed().mul(&wide));
    m.discard(&exact);
    let cut = exact.bits(FEATURE.fraction..FEATURE.fraction + FEATURE.bits);
    m.output("probability", &m.pipe("product", &cut));
    m.finish()
}

/// A query that stays: its probabilities and the sums of its output.
fn pv_slot(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let (heads, lanes, words) = (sizes.heads, sizes.lanes, sizes.token_words());
    let m = ModuleBuilder::new("pv_slot");
    m.doc("Output of one query: probabilities of this step and of the next, products with the words of a value,");
    m.doc("and the sums of all words.");
    m.parameter("LANES", lanes);
    m.parameter("TOKEN_WORDS", words);
    m.latency("2 cycles from a value to the sums");
    let write = m.input("probability_write", 1);
    let turns = m.input("turns", 1).comment("The next step begins.");
    let probabilities = m.inputs("probability", heads, FEATURE.bits);
    let head_now = m.input("head_now", heads);
    let value = m.input("value", lanes * FEATURE.bits);
    let adds = m.input("adds", 1);
    let first = m.input("first", 1);
    let word = m.input("word", index_width(words.into()));

    m.section("probabilities");
    let zero = m.constant(0, FEATURE.bits);
    let probability =
        (0..).zip(&probabilities).fold(zero, |other, (head, probability): (u32, _)| {
            let next = m.pipe_when(format!("next_{head}"), &write, probability);
            let now = m.pipe_when(format!("now_{head}"), &turns, &next);
            head_now.bit(head).mux(&now, &other)
        });
    let probability = m.wire("probability", &probability);

    m.section("products, cut to features");
    let products: Vec<Signal> = (0..)
        .zip(value.lanes(lanes))
        .map(|(at, value): (u32, _)| {
            let exact =
                m.wire(format!("exact_{at}"), &value.as_signed().mul(&probability.as_signed()));
            m.discard(&exact);
            let cut = exact.bits(FEATURE.fraction..FEATURE.fraction + FEATURE.bits);
            m.pipe(format!("product_{at}"), &cut)
        })
        .collect();

    m.section("sums");
    let memory = m.memory("sum_words", value.width(), words, MemoryStyle::Distributed);
    let kept = memory.read("kept", &word);
    let sums: Vec<Signal> = (0..)
        .zip(kept.lanes(lanes).iter().zip(&products))
        .map(|(at, (kept, product)): (u32, _)| {
            let before = (!&first).gate(kept);
            m.wire(format!("sum_{at}"), &(before + product))
        })
        .collect();
    let sums = m.wire("packed_sums", &m.pack(&sums));
    memory.write(&word, &sums, &adds);
    m.output("sums", &sums);
    m.finish()
}
