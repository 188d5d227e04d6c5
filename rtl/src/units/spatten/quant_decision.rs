//! Progressive-quantization decision: are the probabilities of a pass so flat that it needs the LSBs
//! of its keys?
//!
//! Rows wait in a queue until the verdict. The rows of a flat pass are dropped at once, by moving the
//! read pointer behind them.

use std::sync::Arc;

use attelier_hw::spatten::Spatten;

use super::{
    parts::{delay, history, power_of_two, tree, within},
    ring::Ring,
    sizes::Sizes,
    widths::check_word,
};
use crate::{
    Error, ModuleBuilder, Signal,
    ir::{MemoryStyle, Module},
};

/// The decision unit.
///
/// # Errors
/// Lanes that are no power of two; a latency that is not that of the maximum tree.
pub fn quant_decision(params: &Spatten) -> Result<Arc<Module>, Error> {
    let name = "quant_decision";
    let word = check_word(name, params)?;
    let lanes = power_of_two(name, "softmax.lanes", params.softmax.lanes)?;
    let expected = "1 to 2^20 rows";
    let depth = params.quant_decision.fifo_depth;
    within(name, "quant_decision.fifo_depth", depth, 1..(1 << 20) + 1, expected)?;
    // One lane has no tree, but the verdict is registered.
    let cycles = params.quant_decision.verdict_cycles.max(1);
    let stages = lanes.ilog2().max(1);
    let expected = "log2(softmax.lanes)";
    within(name, "quant_decision.verdict_cycles", cycles, stages..stages + 1, expected)?;

    let m = ModuleBuilder::new(name);
    m.doc("Compares the largest probability of a pass with a threshold. With `compare`, rows wait for the");
    m.doc("verdict: a pass that is flat (all below) is dropped, any other goes on. Without, a pass goes");
    m.doc(
        "through as it comes. `compare` and `threshold` belong to the pass and come with each row.",
    );
    m.doc("Lanes without a key must be zero. A compared pass must fit into the queue. `tuser` comes with a");
    m.doc("row and goes with it, and with the decision about its pass.");
    m.parameter("LANES", lanes);
    m.parameter("DATAPATH_BITS", word);
    m.parameter("FIFO_DEPTH", depth);
    m.latency(format!(
        "{cycles} cycles from the last row to the verdict, one more to `verdict_valid`; 2 cycles from a \
         row to `m_axis_tvalid` where nothing waits"
    ));
    let input_valid = m.input("s_axis_tvalid", 1);
    let input_last = m.input("s_axis_tlast", 1);
    let input_keep = m.input("s_axis_tkeep", lanes);
    let input_user =
        m.input("s_axis_tuser", Sizes::of(params)?.job_bits).comment("Job of the pass.");
    let probabilities = m.inputs("s_axis_tdata", lanes, word);
    let compare = m.input("compare", 1);
    let threshold = m.input("threshold", word + 1);
    let output_ready = m.input("m_axis_tready", 1);

    m.section("rows enter while there is room");
    let rows = Ring::new(&m, "rows", depth);
    let ready = rows.has_room(&m, depth);
    let take = m.wire("take", &(&input_valid & &ready));
    let ends = m.wire("ends", &(&take & &input_last));
    let accepts = m.pipe_reset("accepts", &(&ends & !&compare));

    m.section("is every lane below the threshold? maxima of pairs, the last two compared with it");
    let early = cycles - 1;
    let maxima = halve(&m, probabilities.clone());
    let threshold = delay(&m, "threshold", &threshold, early);
    let below: Vec<Signal> = maxima
        .iter()
        .enumerate()
        .map(|(half, largest)| {
            m.wire(format!("below_{half}"), &largest.extend(word + 1).lt(&threshold))
        })
        .collect();
    let taken = history(&m, "taken", &take, early).swap_remove(early as usize);
    let ended = delay(&m, "ended", &input_last, early);
    let compared = delay(&m, "compared", &compare, early);
    let not_flat = m.register("not_flat", 1).comment("A row before was not below the threshold.");
    let is_flat = m.wire("is_flat", &(m.all_of(&below) & !&not_flat));
    m.update_when(&not_flat, &taken, !&ended & !&is_flat);

    m.section("verdicts of passes that are compared, each with the place behind its rows");
    let judged = m.all_of(&[taken, ended, compared]);
    let judged = m.wire("judged", &judged);
    let behind = m.wire("behind", &(&rows.write + 1));
    let behind = delay(&m, "behind_pass", &behind, early);
    let judged_user = delay(&m, "judged_user", &input_user, early);
    let verdicts = Ring::new(&m, "verdicts", depth);
    let has_verdict = verdicts.has_item(&m);
    let verdict_flat = verdicts.oldest(&m, "oldest_flat", &judged, &is_flat);
    let verdict_user = verdicts.oldest(&m, "oldest_user", &judged, &judged_user);
    let verdict_behind = verdicts.oldest(&m, "oldest_behind", &judged, &behind);

    m.section("the oldest row");
    let has_row = rows.has_item(&m);
    let oldest_compare = rows.oldest(&m, "oldest_compare", &take, &compare);
    let oldest_last = rows.oldest(&m, "oldest_last", &take, &input_last);
    let accepted = m.register("accepted", 1).comment("The compared pass that is oldest may leave.");
    let may_leave = m.wire("may_leave", &(&has_row & (!&oldest_compare | &accepted)));
    let waits = m.wire("waits", &m.all_of(&[has_row, oldest_compare.clone(), !&accepted]));
    let decides = m.wire("decides", &(&waits & &has_verdict));
    let drops = m.wire("drops", &(&decides & &verdict_flat));
    verdicts.advance(&m, &judged, &decides);

    m.section("rows leave through the register of the memory and one more behind it");
    let level = m.register("output_level", 2);
    let pop = m.wire("pop", &(level.any() & &output_ready));
    let send = m.wire("send", &(&may_leave & level.lt(2)));
    m.update(&level, &level + send.extend(2) - pop.extend(2));
    m.update_when(&rows.write, &take, &rows.write + 1);
    let next_read = drops.mux(&verdict_behind, &rows.read + 1);
    m.update_when(&rows.read, &(&drops | &send), next_read);
    let keeps_accepted = &accepted & !(&send & &oldest_last);
    m.update(&accepted, keeps_accepted | (&decides & !&verdict_flat));
    let is_second = m.wire("two_wait", &level.bit(1));
    let leaves = |name: &str, value: &Signal| {
        let memory = rows.memory(&m, name, MemoryStyle::Block, &take, value);
        let newest =
            memory.read_clocked_when(format!("{name}_newest"), &rows.address(&rows.read), &send);
        let older = m.pipe_when(format!("{name}_older"), &send, &newest);
        m.wire(name, &is_second.mux(&older, &newest))
    };
    let last = leaves("row_last", &input_last);
    let keep = leaves("row_keep", &input_keep);
    let user = leaves("row_user", &input_user);
    let lanes: Vec<_> = probabilities
        .iter()
        .enumerate()
        .map(|(lane, value)| leaves(&format!("row_{lane}"), value))
        .collect();

    m.output("s_axis_tready", &ready);
    m.output_for("accepted_valid", &accepts, "A pass that is not compared has entered whole.");
    m.output("accepted_user", &m.pipe_when("accepted_job", &ends, &input_user));
    m.output_for(
        "verdict_valid",
        &m.pipe_reset("decided", &decides),
        "A compared pass is decided.",
    );
    m.output("verdict_flat", &m.pipe_when("decided_flat", &decides, &verdict_flat));
    m.output("verdict_user", &m.pipe_when("decided_job", &decides, &verdict_user));
    m.output("m_axis_tvalid", &level.any());
    m.output("m_axis_tlast", &last);
    m.output("m_axis_tkeep", &keep);
    m.output("m_axis_tuser", &user);
    m.outputs("m_axis_tdata", &lanes);
    m.finish()
}

/// Maxima of the two halves of the lanes, a register per level; one lane stays as it is.
fn halve(m: &ModuleBuilder, lanes: Vec<Signal>) -> Vec<Signal> {
    if lanes.len() <= 2 {
        return lanes;
    }
    let (low, high) = lanes.split_at(lanes.len() / 2);
    let maximum =
        |name: &str, lanes: &[Signal]| tree(m, name, lanes.to_vec(), |a, b| a.gt(b).mux(a, b));
    vec![maximum("low_maximum", low), maximum("high_maximum", high)]
}
