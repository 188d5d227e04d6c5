//! Softmax of one pass: the largest score so far and the sum of exponentials relative to it.

use std::sync::Arc;

use attelier_hw::edge_moe::{Sizes, formats::FEATURE};

use super::functions::{DIVISION_STEPS, EXPONENTIAL_CYCLES, divider, exponential};
use crate::{
    Error, ModuleBuilder, Signal,
    bits::{Bits, index_width},
    ir::Module,
    units::spatten::{
        parts::{delay, history, reservations, within},
        ring::Ring,
    },
};

/// Cycles from a score to the sum that contains it.
pub const SUM_CYCLES: u32 = EXPONENTIAL_CYCLES + 4;
/// From one score of a row to the next one of the same row \[cycles\].
pub const SCORE_INTERVAL: u32 = 2;

/// The module `running_sum` for a number of rows that take turns, `running_sum_of_one` for a single row.
pub(super) fn running_sum(rows: u32) -> Result<Arc<Module>, Error> {
    let row_bits = index_width(rows.into());
    let exponential = exponential()?;
    let m = ModuleBuilder::new(if rows == 1 { "running_sum_of_one" } else { "running_sum" });
    m.doc("Running maximum and sum of exponentials of ROWS rows. A score needs one exponential, of its");
    m.doc("distance to the largest one before it; a new largest score scales the sum.");
    m.doc(format!(
        "Scores of one row come {SCORE_INTERVAL} cycles apart or more. The first score of a row"
    ));
    m.doc("meets the least maximum and no sum.");
    m.parameter("ROWS", rows);
    m.latency(format!("{SUM_CYCLES} cycles from a score to `sum` and `maximum`"));
    let valid = m.input("valid", 1);
    let row = m.input("row", row_bits);
    let first = m.input("first", 1);
    let score = m.input("score", FEATURE.bits);
    let valids = history(&m, "valid", &valid, SUM_CYCLES - 1);
    // A single row needs no number.
    let rows_then = if rows == 1 { Vec::new() } else { row_stages(&m, &row) };
    if rows == 1 {
        m.discard(&row);
    }
    let is_row = |stage: usize, at: u32| {
        rows_then.get(stage).map_or_else(|| m.constant(1, 1), |row| row.eq(u64::from(at)))
    };
    let of_row = |stage: usize, states: &[Signal]| match rows_then.get(stage) {
        Some(row) => m.select(row, states),
        None => states[0].clone(),
    };

    m.section("largest score of each row");
    let signed = score.as_signed();
    let maxima: Vec<Signal> = (0..rows)
        .map(|at| m.register_without_reset(format!("maximum_{at}"), FEATURE.bits))
        .collect();
    let least = m.literal(Bits::from_signed(i64::from(i32::MIN), FEATURE.bits), false);
    let before = m.wire("maximum_before", &first.mux(&least, of_row(0, &maxima)));
    let larger = m.wire("larger", &before.as_signed().lt(&signed));
    let maximum = m.wire("maximum_now", &larger.mux(&score, &before));
    for (at, register) in (0..).zip(&maxima) {
        m.update_when(register, &(&valid & is_row(0, at)), &maximum);
    }

    m.section("exponential of the distance");
    let higher = m.pipe("higher", &maximum);
    let lower = m.pipe("lower", &larger.mux(&before, &score));
    let distance = m.pipe("distance", &(&higher - &lower));
    let instance = m.instance("exponential", &exponential);
    instance.input("distance", &distance);
    let exponential = m.wire("exponential_now", &instance.output("y"));

    m.section("sum of each row");
    let stage = EXPONENTIAL_CYCLES + 2;
    let sums: Vec<Signal> =
        (0..rows).map(|at| m.register_without_reset(format!("sum_{at}"), FEATURE.bits)).collect();
    let first = delay(&m, "first", &first, stage);
    let sum = (!first).gate(&of_row(stage as usize, &sums));
    let sum = m.wire("sum_before", &sum);
    let wide = exponential.extend(exponential.width() + 1).as_signed();
    let exact = m.wire("scaled_exact", &sum.as_signed().mul(&wide));
    m.discard(&exact);
    let scaled = m.pipe("scaled", &exact.bits(FEATURE.fraction..FEATURE.fraction + FEATURE.bits));
    let kept = m.pipe("kept", &sum);
    let added = m.pipe("added", &exponential);
    let larger = delay(&m, "larger", &larger, stage + 1);
    let one = m.constant(1 << FEATURE.fraction, FEATURE.bits);
    let base = m.wire("base", &larger.mux(&scaled, &kept));
    let term = m.wire("term", &larger.mux(&one, added.extend(FEATURE.bits)));
    let next = m.wire("next_sum", &(base + term));
    for (at, register) in (0..).zip(&sums) {
        let writes = &valids[stage as usize + 1] & is_row(stage as usize + 1, at);
        m.update_when(register, &writes, &next);
    }
    m.output("sum", &m.pipe("sum_register", &next));
    m.output("maximum", &delay(&m, "maximum_after", &higher, SUM_CYCLES - 1));
    m.finish()
}

/// The number of a row in each stage.
fn row_stages(m: &ModuleBuilder, row: &Signal) -> Vec<Signal> {
    let mut stages = vec![row.clone()];
    for at in 1..SUM_CYCLES {
        let stage = m.pipe(format!("row_{at}"), &stages[at as usize - 1]);
        stages.push(stage);
    }
    stages
}

/// The module `running_softmax`.
///
/// # Errors
/// Fewer than two queries at a time or more than 64, no head or more than 16.
pub fn running_softmax(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let name = "running_softmax";
    let slots = within(name, "queries", sizes.queries, 2..65, "2 to 64 queries at a time")?;
    let heads = within(name, "heads", sizes.heads, 1..17, "1 to 16 heads")?;
    let (lane, divider) = (running_sum(slots)?, divider()?);
    let slot_bits = index_width(slots.into());

    let m = ModuleBuilder::new(name);
    m.doc("Softmax of one pass. Each beat brings a score of every head for one of SLOTS rows that take turns;");
    m.doc("`keep` is 0 for a score that belongs to no query. After the last score of a row its largest scores");
    m.doc("and one over its sums leave: what turns a score into a probability later.");
    m.parameter("SLOTS", slots);
    m.parameter("HEADS", heads);
    m.latency(format!(
        "a score per cycle, of one row every {SCORE_INTERVAL}; {} cycles from the last score to the result",
        SUM_CYCLES + 1 + DIVISION_STEPS + 1
    ));
    let valid = m.input("s_axis_tvalid", 1);
    let slot = m.input("s_axis_slot", slot_bits);
    let keep = m.input("s_axis_keep", 1);
    let first = m.input("s_axis_first", 1);
    let last = m.input("s_axis_last", 1);
    let scores = m.inputs("s_axis_score", heads, FEATURE.bits);
    let output_ready = m.input("m_axis_tready", 1);

    m.section("a score waits for the one before it in its row, and for a place behind the row");
    let divides = m.forward("divides", 1);
    let ends = m.forward("row_ends", 1);
    let reserved = reservations(&m, "rows_reserved", slots, &ends, &divides);
    let has_room = m.wire("has_room", &reserved.lt(u64::from(slots)));
    let recent = m.register("recent", 1).comment("A score entered one cycle before.");
    let recent_slot = m.register_without_reset("recent_slot", slot_bits);
    let is_recent = m.wire("is_recent", &(&recent & recent_slot.eq(&slot)));
    let waits = m.wire("waits", &(is_recent | (&last & !has_room)));
    let ready = m.wire("ready", &!(&keep & waits));
    let enters = m.wire("enters", &m.all_of(&[valid, keep, ready.clone()]));
    m.drive(&ends, &enters & &last);
    m.update(&recent, &enters);
    m.update_when(&recent_slot, &enters, &slot);

    let states: Vec<[Signal; 2]> = (0..)
        .zip(&scores)
        .map(|(head, score): (u32, _)| {
            let instance = m.instance(format!("head_{head}"), &lane);
            instance
                .input("valid", &enters)
                .input("row", &slot)
                .input("first", &first)
                .input("score", score);
            [instance.output("sum"), instance.output("maximum")]
        })
        .collect();

    m.section("rows that wait for their division");
    let ended = history(&m, "ended", &ends, SUM_CYCLES);
    let push = &ended[SUM_CYCLES as usize];
    let slot = delay(&m, "slot", &slot, SUM_CYCLES);
    let ring = Ring::new(&m, "rows", slots);
    let has_row = ring.has_item(&m);
    let dividing = m.register("dividing", 1).comment("A row is divided or offered.");
    m.drive(&divides, &has_row & !&dividing);
    ring.advance(&m, push, &divides);
    let slot = m.pipe_when("slot_register", &divides, &ring.oldest(&m, "row_slot", push, &slot));
    let mut busy = Vec::new();
    let (mut factors, mut maxima) = (Vec::new(), Vec::new());
    for (head, [sum, maximum]) in states.iter().enumerate() {
        let sum = ring.oldest(&m, &format!("row_sum_{head}"), push, sum);
        let maximum = ring.oldest(&m, &format!("row_maximum_{head}"), push, maximum);
        let instance = m.instance(format!("divider_{head}"), &divider);
        let one = m.constant(1 << FEATURE.fraction, FEATURE.bits);
        instance.input("start", &divides).input("numerator", &one).input("denominator", &sum);
        busy.push(instance.output("busy"));
        factors.push(instance.output("quotient"));
        maxima.push(m.pipe_when(format!("maximum_register_{head}"), &divides, &maximum));
    }
    let offered = m.wire("offered", &(&dividing & !m.any_of(&busy)));
    m.update(&dividing, &divides | (&dividing & !(&offered & output_ready)));

    m.output("s_axis_tready", &ready);
    m.output("m_axis_tvalid", &offered);
    m.output("m_axis_slot", &slot);
    m.outputs("m_axis_factor", &factors);
    m.outputs("m_axis_maximum", &maxima);
    m.finish()
}
