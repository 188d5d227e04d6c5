//! The whole SpAtten machine in RTL, run natively, against the simulator: every request to memory,
//! every result, and the last cycle.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop and speak here")]

use attelier::cosim::{
    Options, Plan, Witness, compare,
    spatten::{
        top::{Paces, Recording, Workload},
        units,
    },
};
use attelier_hw::{config, spatten::Spatten};
use attelier_rtl::units::spatten::Sizes;

/// Buffers, queues and latencies so small that everything waits for everything else.
const TIGHT: [&str; 13] = [
    "key_sram.bytes=768",
    "value_sram.bytes=768",
    "memory.latency_cycles=3",
    "qkv_fetcher.fifo_depth=2",
    "softmax.fifo_depth=32",
    "softmax.scale_cycles=5",
    "softmax.exp_cycles=12",
    "softmax.accumulate_cycles=8",
    "softmax.divide_cycles=24",
    "softmax.quantise_cycles=2",
    "quant_decision.fifo_depth=33",
    "pv_array.fifo_depth=3",
    "topk_value.capacity=64",
];

/// Four keys a line, four channels, more jobs under way.
const WIDE: [&str; 10] = [
    "qk_array.multipliers=32",
    "pv_array.multipliers=32",
    "key_sram.bytes=6144",
    "value_sram.bytes=6144",
    "memory.channels=4",
    "memory.latency_cycles=50",
    "bitwidth_converter.buffer_bytes=128",
    "controller.jobs_in_flight=8",
    "qkv_fetcher.lanes=8",
    "topk_value.capacity=512",
];

fn machine(preset: &str, sets: &[&str]) -> Spatten {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Spatten::check(&config::load(preset, None, &sets).unwrap()).unwrap()
}

/// Holds the RTL against the simulator; `all` mutants must be noticed, or some.
fn agree(params: &Spatten, beats: u64, all: bool) {
    let units = units(params);
    let unit = units.iter().find(|unit| unit.name() == "spatten_core").unwrap();
    let plan = Plan { beats, seed: 3 };
    let options = Options { with: vec![Witness::Native], plan, icarus_beats: 1 };
    let row = compare(&**unit, &options).unwrap();
    println!(
        "{} transactions, {} cycles, {} values compared",
        row.vectors, row.cycles, row.compared
    );
    assert!(row.mismatches == 0 && row.compared > 0, "{:?}", row.faults);
    assert!(row.vectors >= beats && row.mutants_caught > 0);
    assert!(row.passed() || !all, "{:?}", row.faults);
}

#[test]
fn the_small_machine_equals_the_simulator() {
    agree(&machine("spatten-small", &[]), 20_000, true);
}

#[test]
fn a_tight_machine_equals_the_simulator() {
    agree(&machine("spatten-small", &TIGHT), 10_000, false);
}

#[test]
fn a_wide_machine_equals_the_simulator() {
    agree(&machine("spatten-small", &WIDE), 10_000, false);
}

#[test]
fn the_eighth_of_the_machine_equals_the_simulator() {
    agree(&machine("spatten-eighth", &[]), 3_000, false);
}

/// What the comparison is worth: requests of every kind, and ends that hold the machine up.
#[test]
fn the_workload_has_requests_of_every_kind() {
    let params = machine("spatten-small", &[]);
    let places = Sizes::of(&params).unwrap().jobs as usize;
    let workload = Workload::random(&params, 3, 20_000, 24).unwrap();
    let full = Recording::of(&params, &workload, Paces::full(), places);
    let paced = Recording::of(&params, &workload, Paces::random(3), places);
    for (what, recording) in [("both ends always willing", &full), ("at random", &paced)] {
        println!(
            "{what}: {} requests, {} results, {} computed again, {} with selected values, {} cycles",
            workload.requests.len(),
            recording.finished.len(),
            recording.flat,
            recording.selected,
            recording.cycles
        );
        assert_eq!(recording.finished.len(), workload.requests.len());
        assert!(recording.flat >= 20 && recording.selected >= 20);
    }
    assert!(full.cycles < paced.cycles, "unwilling ends cost time");
    let overtaken = full.finished.windows(2).any(|pair| pair[0].job > pair[1].job);
    assert!(overtaken, "a job that is computed again is overtaken");
    let waits = |ends: fn(&attelier::cosim::spatten::top::Step) -> bool| {
        paced.steps.iter().filter(|step| ends(step)).count()
    };
    assert!(waits(|step| step.result.is_some() && !step.result_ready) > 20);
    assert!(waits(|step| step.query.is_none() && step.query_ready) > 20);
}
