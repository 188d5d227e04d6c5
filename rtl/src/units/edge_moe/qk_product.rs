//! Queries times keys: a few queries stay while all keys pass.

use std::sync::Arc;

use attelier_hw::edge_moe::{Sizes, formats::FEATURE};

use super::token_steps::{self, TokenSteps};
use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::{MemoryStyle, Module},
    units::spatten::parts::{delay, history, tree},
};

/// Stages beside the levels of the tree: operands, products, scale, sums, scores that leave.
const STAGES: u32 = 5;

/// One over the root of the width of a head, as a feature.
fn scale(sizes: &Sizes) -> u64 {
    let width = sizes.width / sizes.heads;
    ((1.0 / f64::from(width).sqrt()) * f64::from(1 << FEATURE.fraction)).floor() as u64
}

/// The module `qk_product`, and in it one `qk_slot` per query that stays.
///
/// # Errors
/// Fewer than two tokens; queries that are not fewer than tokens; tokens of less than two words, or heads
/// that are no whole number of words.
pub fn qk_product(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let name = "qk_product";
    token_steps::check(name, sizes)?;
    let (slots, heads, words) = (sizes.queries, sizes.heads, sizes.token_words());
    let word_bits = index_width(words.into());
    let latency = STAGES + sizes.lanes.ilog2();
    let slot_module = qk_slot(sizes)?;

    let m = ModuleBuilder::new(name);
    m.doc("Queries times keys. SLOTS queries stay while all keys pass, a word per cycle. Slot o takes its next");
    m.doc("query when key o of a pass comes, so that queries and keys come at the rate of one token per step;");
    m.doc("until then it works on the query of the pass before. After each step a score of every head leaves");
    m.doc("for each slot; `keep` is 0 where the slot has no query.");
    m.parameter("TOKENS", sizes.tokens);
    m.parameter("SLOTS", slots);
    m.parameter("HEADS", heads);
    m.parameter("LANES", sizes.lanes);
    m.parameter("TOKEN_WORDS", words);
    m.latency(format!(
        "{latency} cycles from the last word of a key to the score of slot 0; a score per cycle"
    ));
    let start = m.input("start", 1);
    let query_valid = m.input("s_query_tvalid", 1);
    let query = m.input("s_query_tdata", sizes.lanes * FEATURE.bits);
    let key_valid = m.input("s_key_tvalid", 1);
    let key = m.input("s_key_tdata", sizes.lanes * FEATURE.bits);
    let output_ready = m.input("m_axis_tready", 1);

    let busy = m.register("is_busy", 1);
    let issues = m.register("issues", 1).comment("Words are still to come.");
    let starts = m.wire("starts", &(&start & !&busy));
    let word = m.register("word", word_bits);
    let last_word = m.wire("last_word", &word.eq(u64::from(words - 1)));
    let step_ends = m.forward("step_ends", 1);
    let steps = TokenSteps::new(&m, "step", sizes, &starts, &step_ends);

    m.section("a word, unless the scores of the step before have not all left");
    let pending = m.register("pending", 1).comment("Scores of a step are on their way.");
    let brings = steps.brings(&m, "brings_query");
    let goes_on = m.wire("goes_on", &(&issues & !(&last_word & &pending)));
    let takes =
        m.wire("takes", &m.all_of(&[goes_on.clone(), key_valid.clone(), !&brings | &query_valid]));
    let query_ready =
        m.wire("query_ready", &m.all_of(&[goes_on.clone(), key_valid, brings.clone()]));
    let key_ready = m.wire("key_ready", &(&goes_on & (!&brings | query_valid)));
    m.drive(&step_ends, &takes & &last_word);
    m.update_when(&word, &takes, (!&last_word).gate(&(&word + 1)));
    let all_end = m.wire("all_end", &(&step_ends & &steps.is_final));
    m.update(&issues, &starts | (&issues & !&all_end));

    m.section("place of the word in each stage");
    let sums_at = latency - 2;
    let valids = history(&m, "valid", &takes, sums_at);
    let lasts = history(&m, "step_ended", &step_ends, latency - 1);
    let head_words = u64::from(sizes.head_words());
    let head_starts: Vec<u64> = (0..u64::from(heads)).map(|head| head * head_words).collect();
    let is_in_head: Vec<Signal> = head_starts
        .iter()
        .map(|at| {
            let from = if *at == 0 { m.constant(1, 1) } else { word.ge(*at) };
            let end = *at + head_words;
            if end >= u64::from(words) { from } else { from & word.lt(end) }
        })
        .collect();
    let begins: Vec<Signal> = head_starts.iter().map(|at| word.eq(*at)).collect();
    let head_now = delay(&m, "head_now", &m.pack(&is_in_head), sums_at);
    let head_begins = delay(&m, "head_begins", &m.any_of(&begins), sums_at);
    let accumulates = m.wire("accumulates", &valids[sums_at as usize]);
    let leaves = m.wire("leaves", &lasts[latency as usize - 1]);

    m.section("slots");
    let key_register = m.pipe("key_register", &key);
    let results: Vec<Vec<Signal>> = (0..slots)
        .map(|slot| {
            let renews = m.wire(format!("renews_{slot}"), &(steps.renews(slot) & &brings));
            let instance = m.instance(format!("slot_{slot}"), &slot_module);
            instance
                .input("takes", &takes)
                .input("renews", &renews)
                .input("word", &word)
                .input("query", &query)
                .input("key", &key_register)
                .input("head_now", &head_now)
                .input("head_begins", &head_begins)
                .input("accumulates", &accumulates)
                .input("leaves", &leaves);
            (0..heads).map(|head| instance.output(&format!("score_{head}"))).collect()
        })
        .collect();
    let held = |name: &str, of: &dyn Fn(u32) -> Signal| -> Vec<Signal> {
        (0..slots)
            .map(|slot| {
                let value = m.wire(format!("{name}_now_{slot}"), &of(slot));
                m.pipe_when(format!("{name}_{slot}"), &step_ends, &value)
            })
            .collect()
    };
    let keeps = held("keeps", &|slot| steps.works(slot));
    let firsts = held("is_first", &|slot| steps.renews(slot));
    let row_ends = held("is_last", &|slot| steps.ends_row(slot));

    m.section("scores leave, slot after slot");
    let offers = m.register("offers", 1);
    let slot = m.register("slot", index_width(slots.into()));
    let last_slot = m.wire("last_slot", &slot.eq(u64::from(slots - 1)));
    let pops = m.wire("pops", &(&offers & output_ready));
    let all_left = m.wire("all_left", &(&pops & &last_slot));
    m.update(&offers, &leaves | (&offers & !&all_left));
    m.update_when(&slot, &pops, (!&last_slot).gate(&(&slot + 1)));
    m.update(&pending, &step_ends | (&pending & !&all_left));
    let drained = m.wire("drained", &m.all_of(&[busy.clone(), !&issues, !&pending]));
    m.update(&busy, &starts | (&busy & !&drained));

    m.output("s_query_tready", &query_ready);
    m.output("s_key_tready", &key_ready);
    m.output("m_axis_tvalid", &offers);
    m.output("m_axis_slot", &slot);
    m.output_for("m_axis_keep", &m.select(&slot, &keeps), "The slot has a query.");
    m.output_for("m_axis_first", &m.select(&slot, &firsts), "First key of the query.");
    m.output_for("m_axis_last", &m.select(&slot, &row_ends), "Last key of the query.");
    for head in 0..heads as usize {
        let of_slots: Vec<Signal> = results.iter().map(|scores| scores[head].clone()).collect();
        m.output(format!("m_axis_score_{head}"), &m.select(&slot, &of_slots));
    }
    m.output("busy", &busy);
    m.output_for("done", &drained, "All scores have left.");
    m.finish()
}

/// A query that stays, its products with the words of keys, and the scores of its heads.
fn qk_slot(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let (heads, lanes, words) = (sizes.heads, sizes.lanes, sizes.token_words());
    let m = ModuleBuilder::new("qk_slot");
    m.doc("A query that stays while keys pass. Products are cut to features, added, scaled and added to the");
    m.doc("score of the head. `renews`: the word of the query at the port replaces the one that is kept.");
    m.parameter("LANES", lanes);
    m.parameter("TOKEN_WORDS", words);
    m.latency(format!("{} cycles from the last word to the scores", STAGES + lanes.ilog2()));
    let takes = m.input("takes", 1);
    let renews = m.input("renews", 1);
    let word = m.input("word", index_width(words.into()));
    let query = m.input("query", lanes * FEATURE.bits);
    let key = m.input("key", lanes * FEATURE.bits).comment("One cycle behind.");
    let head_now = m.input("head_now", heads);
    let head_begins = m.input("head_begins", 1);
    let accumulates = m.input("accumulates", 1);
    let leaves = m.input("leaves", 1);

    m.section("the query");
    let memory = m.memory("query_words", query.width(), words, MemoryStyle::Distributed);
    memory.write(&word, &query, &(&takes & &renews));
    let kept = memory.read("kept", &word);
    let operand = m.pipe("query_register", &renews.mux(&query, &kept));

    m.section("products, cut to features");
    let pairs = operand.lanes(lanes).into_iter().zip(key.lanes(lanes));
    let products = (0..)
        .zip(pairs)
        .map(|(at, (query, key)): (u32, _)| {
            let exact = m.wire(format!("exact_{at}"), &query.as_signed().mul(&key.as_signed()));
            m.discard(&exact);
            let cut = exact.bits(FEATURE.fraction..FEATURE.fraction + FEATURE.bits);
            m.pipe(format!("product_{at}"), &cut)
        })
        .collect();
    let sum = tree(&m, "sum", products, |a, b| a + b);

    m.section("scale");
    let scale = scale(sizes);
    let scaled = if scale.is_power_of_two() {
        let shift = FEATURE.fraction - scale.ilog2();
        sum.bits(shift..FEATURE.bits).as_signed().extend(FEATURE.bits).as_unsigned()
    } else {
        let factor = m.constant(scale, FEATURE.fraction + 1).as_signed();
        let exact = m.wire("scaled_exact", &sum.as_signed().mul(&factor));
        m.discard(&exact);
        exact.bits(FEATURE.fraction..FEATURE.fraction + FEATURE.bits)
    };
    m.discard(&sum);
    let scaled = m.pipe("scaled", &scaled);

    m.section("scores");
    for head in 0..heads {
        let score = m.register_without_reset(format!("sum_of_head_{head}"), FEATURE.bits);
        let before = m.wire(format!("score_before_{head}"), &(!&head_begins).gate(&score));
        let adds = m.wire(format!("adds_{head}"), &(&accumulates & head_now.bit(head)));
        m.update_when(&score, &adds, before + &scaled);
        m.output(
            format!("score_{head}"),
            &m.pipe_when(format!("score_register_{head}"), &leaves, &score),
        );
    }
    m.finish()
}
