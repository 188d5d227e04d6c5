//! The gate: logits of all experts, their softmax, and the experts of a token.

use std::sync::Arc;

use attelier_hw::edge_moe::{
    Sizes,
    formats::{FEATURE, WEIGHT},
};

use super::{
    functions::{EXPONENTIAL_CYCLES, divider, exponential},
    running_softmax::{SCORE_INTERVAL, SUM_CYCLES, running_sum},
};
use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::{MemoryStyle, Module},
    units::spatten::parts::{delay, history, tree, within},
};

/// Operands, products, sums: stages of a logit beside the levels of the tree.
const STAGES: u32 = 3;

/// What the unit does.
const TAKES: u64 = 0;
const ADDS: u64 = 1;
const SORTS: u64 = 2;
const SUMS: u64 = 3;
const WEIGHS: u64 = 4;
const DIVIDES: u64 = 5;
const OFFERS: u64 = 6;

/// The module `gate`.
///
/// # Errors
/// Lanes that are no power of two, tokens of less than two words, fewer than two experts or more than 64,
/// more experts chosen than there are.
pub fn gate(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let name = "gate";
    let lanes = within(name, "lanes", sizes.lanes, 2..65, "2 to 64 lanes")?;
    let experts = within(name, "experts", sizes.experts, 2..65, "2 to 64 experts")?;
    let expected = "1 to 8, not more than there are experts";
    let chosen = within(name, "chosen", sizes.chosen, 1..9.min(experts + 1), expected)?;
    if !lanes.is_power_of_two() || !sizes.width.is_multiple_of(lanes) || sizes.width < 2 * lanes {
        let expected = "at least two whole words, with a power of two of lanes";
        return Err(Error::parameter(name, "width", sizes.width, expected));
    }
    let words = sizes.token_words();
    let [word_bits, expert_bits, choice_bits] =
        [words, experts, chosen].map(|count| index_width(count.into()));
    let levels = lanes.ilog2();
    let (sum_module, exponential, divider) = (running_sum(1)?, exponential()?, divider()?);
    let logit_module = gate_logit(sizes)?;

    let m = ModuleBuilder::new(name);
    m.doc("The gate, token by token: logits of all experts, then one after the other the softmax of one pass");
    m.doc("and the list of the best ones, then the scores of those: their probabilities among all experts.");
    m.doc("Of equal logits the lower index stays ahead; an expert that is beaten by all changes nothing.");
    m.parameter("EXPERTS", experts);
    m.parameter("CHOSEN", chosen);
    m.parameter("TOKEN_WORDS", words);
    m.parameter("LANES", lanes);
    m.latency(format!("an expert every {SCORE_INTERVAL} cycles, one division after the other"));
    let valid = m.input("s_axis_tvalid", 1);
    let data = m.input("s_axis_tdata", lanes * FEATURE.bits);
    let weight_write = m.input("weight_write", 1);
    let weight_expert = m.input("weight_expert", expert_bits);
    let weight_address = m.input("weight_address", word_bits);
    let weight_data = m.input("weight_data", lanes * WEIGHT.bits);
    let output_ready = m.input("m_axis_tready", 1);

    let state = m
        .register("state", 3)
        .comment("0 takes, 1 adds, 2 sorts, 3 sums, 4 weighs, 5 divides, 6 offers.");
    let in_state = |name: &str, value: u64| m.wire(name, &state.eq(value));
    let is_taking = in_state("is_taking", TAKES);
    let is_adding = in_state("is_adding", ADDS);
    let is_sorting = in_state("is_sorting", SORTS);
    let is_summing = in_state("is_summing", SUMS);
    let is_weighing = in_state("is_weighing", WEIGHS);
    let is_dividing = in_state("is_dividing", DIVIDES);
    let is_offering = in_state("is_offering", OFFERS);

    m.section("logits");
    let takes = m.wire("takes", &(&is_taking & valid));
    let word = m.register("word", word_bits);
    let last_word = m.wire("last_word", &word.eq(u64::from(words - 1)));
    m.update_when(&word, &takes, (!&last_word).gate(&(&word + 1)));
    let ends = m.wire("token_ends", &(&takes & &last_word));
    let stages = STAGES + levels;
    let valids = history(&m, "valid", &takes, stages - 1);
    let first = delay(&m, "first", &m.wire("is_first", &!word.any()), stages - 1);
    let ended = history(&m, "token_ended", &ends, stages);
    let data_register = m.pipe("data_register", &data);
    let logits: Vec<Signal> = (0..experts)
        .map(|at| {
            let write = &weight_write & weight_expert.eq(u64::from(at));
            let write = m.wire(format!("weight_write_{at}"), &write);
            let instance = m.instance(format!("logit_{at}"), &logit_module);
            instance
                .input("word", &word)
                .input("data", &data_register)
                .input("adds", &valids[stages as usize - 1])
                .input("first", &first)
                .input("weight_write", &write)
                .input("weight_address", &weight_address)
                .input("weight_data", &weight_data);
            instance.output("logit")
        })
        .collect();

    m.section("one expert after the other");
    let pace = m.register("pace", index_width(SCORE_INTERVAL.into()));
    let expert = m.register("expert", expert_bits);
    let is_turn = m.wire("is_turn", &!pace.any());
    let enters = m.wire("enters", &(&is_sorting & &is_turn));
    let last_expert = m.wire("last_expert", &expert.eq(u64::from(experts - 1)));
    m.update_when(&expert, &enters, (!&last_expert).gate(&(&expert + 1)));
    let sorted = m.wire("sorted", &(&enters & &last_expert));
    let rests = pace.ne(u64::from(SCORE_INTERVAL - 1)) & !&sorted;
    m.update_when(&pace, &is_sorting, rests.gate(&(&pace + 1)));
    let logit = m.wire("logit", &m.select(&expert, &logits));
    let first_expert = m.wire("first_expert", &!expert.any());

    m.section("the best so far, the best first");
    let best: Vec<[Signal; 3]> = (0..chosen)
        .map(|at| {
            [
                m.register_without_reset(format!("best_logit_{at}"), FEATURE.bits),
                m.register_without_reset(format!("best_expert_{at}"), expert_bits),
                m.register_without_reset(format!("best_known_{at}"), 1),
            ]
        })
        .collect();
    let beats: Vec<Signal> = (0..)
        .zip(&best)
        .map(|(at, [best, _, known]): (u32, _)| {
            let above = best.as_signed().lt(logit.as_signed());
            m.wire(format!("beats_{at}"), &m.any_of(&[above, !known, first_expert.clone()]))
        })
        .collect();
    for (at, [best_logit, best_expert, known]) in best.iter().enumerate() {
        let entry = &beats[at];
        let moves = m.wire(format!("moves_{at}"), &(&enters & entry));
        match at.checked_sub(1) {
            None => {
                m.update_when(best_logit, &moves, &logit);
                m.update_when(best_expert, &moves, &expert);
                m.update_when(known, &moves, m.constant(1, 1));
            }
            Some(ahead) => {
                let pushed = &beats[ahead];
                let [ahead_logit, ahead_expert, ahead_known] = &best[ahead];
                m.update_when(best_logit, &moves, pushed.mux(ahead_logit, &logit));
                m.update_when(best_expert, &moves, pushed.mux(ahead_expert, &expert));
                m.update_when(known, &moves, pushed.mux(&(ahead_known & !&first_expert), 1));
            }
        }
    }

    m.section("sum of the exponentials of all");
    let sum = m.instance("softmax", &sum_module);
    sum.input("valid", &enters)
        .input("row", m.constant(0, 1))
        .input("first", &first_expert)
        .input("score", &logit);
    sum.discard("maximum");
    let summed = history(&m, "sorted", &sorted, SUM_CYCLES);
    let summed = &summed[SUM_CYCLES as usize];
    let total = m.pipe_when("total", summed, &sum.output("sum"));

    m.section("score of each of the best: exponential of its distance over the sum");
    let choice = m.register("choice", choice_bits);
    let last_choice = m.wire("last_choice", &choice.eq(u64::from(chosen - 1)));
    let best_logits: Vec<Signal> = best.iter().map(|[logit, ..]| logit.clone()).collect();
    let distance = m.pipe("distance", &(&best_logits[0] - m.select(&choice, &best_logits)));
    let share = m.instance("exponential", &exponential);
    share.input("distance", &distance);
    let waited = m.register("waited", 3).comment("Cycles of the exponential.");
    let divides = m.wire("divides", &(&is_weighing & waited.eq(u64::from(EXPONENTIAL_CYCLES + 1))));
    m.update_when(&waited, &is_weighing, (!&divides).gate(&(&waited + 1)));
    let quotient = m.instance("divider", &divider);
    quotient
        .input("start", &divides)
        .input("numerator", share.output("y").extend(FEATURE.bits))
        .input("denominator", &total);
    let divided = m.wire("divided", &(&is_dividing & !quotient.output("busy")));
    m.update_when(&choice, &divided, (!&last_choice).gate(&(&choice + 1)));
    let scores: Vec<Signal> = (0..chosen)
        .map(|at| {
            let is_this = m.wire(format!("scores_{at}"), &(&divided & choice.eq(u64::from(at))));
            m.pipe_when(format!("score_{at}"), &is_this, &quotient.output("quotient"))
        })
        .collect();

    m.section("what comes next");
    let added = m.wire("added", &(&is_adding & &ended[stages as usize]));
    let totalled = m.wire("totalled", &(&is_summing & summed));
    let weighs = m.wire("weighs", &(&divided & !&last_choice));
    let offers = m.wire("offers", &(&divided & &last_choice));
    let leaves = m.wire("leaves", &(&is_offering & output_ready));
    let events = [
        (&ends, ADDS),
        (&added, SORTS),
        (&sorted, SUMS),
        (&totalled, WEIGHS),
        (&weighs, WEIGHS),
        (&divides, DIVIDES),
        (&offers, OFFERS),
        (&leaves, TAKES),
    ];
    super::layer_norm::transitions(&m, &state, &events);

    m.output("s_axis_tready", &is_taking);
    m.output("m_axis_tvalid", &is_offering);
    for (at, ([_, expert, _], score)) in best.iter().zip(&scores).enumerate() {
        m.output(format!("m_axis_expert_{at}"), expert);
        m.output(format!("m_axis_score_{at}"), score);
    }
    if let Some([_, _, known]) = best.last() {
        m.discard(known);
    }
    m.finish()
}

/// The logit of one expert: its weights, products with the words of a token, and their sum.
fn gate_logit(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let (lanes, words) = (sizes.lanes, sizes.token_words());
    let word_bits = index_width(words.into());
    let m = ModuleBuilder::new("gate_logit");
    m.doc("Logit of one expert. Products are cut to features before they are added.");
    m.parameter("LANES", lanes);
    m.parameter("TOKEN_WORDS", words);
    m.latency(format!("{} cycles from a word to the logit", STAGES + lanes.ilog2()));
    let word = m.input("word", word_bits);
    let data = m.input("data", lanes * FEATURE.bits).comment("One cycle behind.");
    let adds = m.input("adds", 1);
    let first = m.input("first", 1);
    let write = m.input("weight_write", 1);
    let address = m.input("weight_address", word_bits);
    let weight_data = m.input("weight_data", lanes * WEIGHT.bits);
    let memory = m.memory("weights", weight_data.width(), words, MemoryStyle::Distributed);
    memory.write(&address, &weight_data, &write);
    let weights = memory.read_clocked("weights_now", &word);
    let products = (0u32..)
        .zip(data.lanes(lanes).iter().zip(weights.lanes(lanes)))
        .map(|(at, (data, weight))| {
            let exact = m.wire(format!("exact_{at}"), &data.as_signed().mul(&weight.as_signed()));
            m.discard(&exact);
            let cut = exact.bits(WEIGHT.fraction..WEIGHT.fraction + FEATURE.bits);
            m.pipe(format!("product_{at}"), &cut)
        })
        .collect();
    let sum = tree(&m, "sum", products, |a, b| a + b);
    let logit = m.register_without_reset("logit_register", FEATURE.bits);
    let kept = m.wire("kept", &(!&first).gate(&logit));
    m.update_when(&logit, &adds, kept + sum);
    m.output("logit", &logit);
    m.finish()
}
