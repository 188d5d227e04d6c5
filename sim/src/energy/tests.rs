use attelier_hw::technology::Node;

use super::*;
use crate::result::{DramCounts, Traffic, UnitReport};

fn unit(name: &'static str, busy_cycles: u64, beats: u64) -> UnitReport {
    UnitReport { name, busy_cycles, starved_cycles: 0, blocked_cycles: 0, beats }
}

pub(super) fn result() -> RunResult {
    RunResult {
        admission: Default::default(),
        cycles: 10_000,
        clock_hz: 1_000_000_000,
        ops_executed: 0,
        ops_dense: 0,
        traffic: Traffic {
            query_bytes: 1_000,
            key_bytes: 20_000,
            key_lsb_bytes: 4_000,
            value_bytes: 15_000,
            reads: 1_250,
        },
        streams: Vec::new(),
        writes: 0,
        phases: Vec::new(),
        dram: None,
        units: vec![
            unit("qk_array", 100, 100),
            unit("softmax", 180, 200),
            unit("quant_decision", 100, 100),
            unit("token_importance", 100, 100),
            unit("topk_value", 500, 100),
            unit("topk_token", 50, 1),
            unit("pv_array", 30, 30),
            unit("head_importance", 4, 4),
        ],
        notes: Vec::new(),
    }
}

/// The published machine at the node of the tables.
pub(super) fn machine() -> Spatten {
    Spatten { process: Node::N45, ..Spatten::preset("spatten").unwrap() }
}

#[track_caller]
pub(super) fn close(ours: f64, expected: f64) {
    assert!((ours - expected).abs() <= 1e-9 * expected.abs(), "{ours} instead of {expected}");
}

/// Counted activations are charged on their own, and the cost per bit then holds none.
#[test]
fn counted_activations_replace_the_average() {
    let activity = Activity {
        active_cycles: 70_000,
        precharged_cycles: 250_000,
        refreshes_per_bank: 1_300,
        ..Activity::default()
    };
    let dram = DramCounts { activates: 50, requests: 1_250, activity, ..Default::default() };
    let counted = spatten(&machine(), &RunResult { dram: Some(dram), ..result() }, None);
    let average = spatten(&machine(), &result(), None);
    close(counted.term("dram") * 1e12, 40_000.0 * 8.0 * 3.48);
    close(counted.term("dram_activate") * 1e12, 50.0 * 909.0);
    let without = |energy: &Energy| {
        energy.terms.iter().filter(|(name, _)| !name.starts_with("dram")).map(|(_, j)| j).sum()
    };
    // Half a device of 1.2 V and 55 or 40 mA for each pseudo-channel; a sixteenth of an all-bank refresh.
    close(counted.term("dram_standby") * 1e12, 70_000.0 * 33.0 + 250_000.0 * 24.0);
    close(counted.term("dram_refresh") * 1e12, 1_300.0 * 58_176.0 / 16.0);
    close(without(&counted), without(&average));
    assert!(counted.notes[0].contains("909 pJ per row opened"), "{:?}", counted.notes);
}

/// Worked by hand from the printed constants. The memories of a buffer hold 196608 / 24 = 8192
/// bytes, the anchor of the SRAM rule: 10 / 64 pJ per bit.
#[test]
fn every_term_is_what_a_hand_calculation_gives() {
    let energy = spatten_with(&machine(), &result(), &Costs::of(&machine()), None);
    let pj = |name: &str| energy.term(name) * 1e12;
    close(pj("dram"), 40_000.0 * 8.0 * 3.92);
    close(pj("key_sram"), 192_000.0 * 0.15625 + 100.0 * 6144.0 * 0.15625);
    close(pj("value_sram"), 120_000.0 * 0.15625 + 30.0 * 6144.0 * 0.15625);
    close(pj("qk_array"), 100.0 * (512.0 * 0.45 + 504.0 * 0.04));
    close(pj("pv_array"), 30.0 * (512.0 * 0.45 + 512.0 * 0.04));
    close(pj("softmax"), 100.0 * 8.0 * (8.0 * 3.7 + 6.0 * 0.9));
    close(pj("quant_decision"), 100.0 * 8.0 * 0.04);
    close(pj("topk"), 500.0 * 32.0 * 0.04 + 50.0 * 32.0 * 0.1);
    close(pj("importance"), (100.0 * 8.0 + 4.0 * 64.0) * 0.1);
}

#[test]
fn the_terms_add_up_to_the_total() {
    let energy = spatten(&machine(), &result(), None);
    let by_hand = 1_254_400.0 + 126_000.0 + 47_550.0 + 25_056.0 + 7_526.4 + 28_000.0;
    close(energy.total() * 1e12, by_hand + 32.0 + 800.0 + 105.6);
    assert_eq!(energy.terms.len(), 9);
    assert_eq!(energy.notes.len(), 3);
}

#[test]
fn a_changed_cost_changes_its_own_term_only() {
    let (machine, result) = (machine(), result());
    let costs = Costs::of(&machine);
    let before = spatten_with(&machine, &result, &costs, None);
    type Change = fn(&mut Costs);
    let changes: [(&str, Change); 15] = [
        ("dram", |c| c.dram_bit *= 2.0),
        ("key_sram", |c| c.key_read_bit *= 2.0),
        ("key_sram", |c| c.key_write_bit *= 2.0),
        ("value_sram", |c| c.value_read_bit *= 2.0),
        ("value_sram", |c| c.value_write_bit *= 2.0),
        ("qk_array", |c| c.qk_multiply *= 2.0),
        ("qk_array", |c| c.qk_add *= 2.0),
        ("pv_array", |c| c.pv_multiply *= 2.0),
        ("pv_array", |c| c.pv_add *= 2.0),
        ("softmax", |c| c.softmax_multiply *= 2.0),
        ("softmax", |c| c.softmax_add *= 2.0),
        ("quant_decision", |c| c.decision_compare *= 2.0),
        ("topk", |c| c.value_compare *= 2.0),
        ("topk", |c| c.token_compare *= 2.0),
        ("importance", |c| c.importance_add *= 2.0),
    ];
    for (changed, change) in changes {
        let mut costs = costs;
        change(&mut costs);
        let after = spatten_with(&machine, &result, &costs, None);
        for ((name, before), (_, after)) in before.terms.iter().zip(&after.terms) {
            assert_eq!(before != after, *name == changed, "{name} when {changed} changes");
        }
    }
}

#[test]
fn an_undivided_memory_costs_more_and_touches_only_the_buffers() {
    let (machine, result) = (machine(), result());
    let costs = Costs::of(&machine);
    let divided = spatten_with(&machine, &result, &costs, None);
    let undivided = spatten_with(&machine, &result, &costs.with_undivided_sram(&machine), None);
    close(undivided.term("key_sram") / divided.term("key_sram"), 24f64.powf(0.55));
    close(undivided.term("dram"), divided.term("dram"));
    assert!(undivided.total() > divided.total());
}

#[test]
fn a_machine_that_did_nothing_used_nothing() {
    let nothing = RunResult { traffic: Traffic::default(), units: Vec::new(), ..result() };
    assert_eq!(spatten(&machine(), &nothing, None).total(), 0.0);
}
