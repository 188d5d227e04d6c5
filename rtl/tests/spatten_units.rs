//! SpAtten's units: linted, equal natively and under both simulators, refused where they cannot be.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::sync::Arc;

use attelier_hw::{config, spatten::Spatten};
use attelier_rtl::{
    Error,
    bench::{Bench, Case, Tool},
    ir::Module,
    units::spatten,
};

type Unit = fn(&Spatten) -> Result<Arc<Module>, Error>;

const UNITS: [Unit; 4] =
    [spatten::qk_array, spatten::softmax, spatten::quant_decision, spatten::pv_array];

fn machine(preset: &str, sets: &[&str]) -> Spatten {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Spatten::check(&config::load(preset, None, &sets).unwrap()).unwrap()
}

/// Four lanes of eight elements, shallow queues, shortest latencies.
fn small() -> Spatten {
    machine(
        "spatten",
        &[
            "head_dim=8",
            "qk_array.multipliers=32",
            "pv_array.multipliers=32",
            "memory.channels=4",
            "qkv_fetcher.lanes=4",
            "key_sram.bytes=1536",
            "value_sram.bytes=1536",
            "softmax.fifo_depth=7",
            "softmax.scale_cycles=5",
            "softmax.exp_cycles=11",
            "softmax.accumulate_cycles=8",
            "softmax.divide_cycles=22",
            "softmax.quantise_cycles=2",
            "quant_decision.fifo_depth=5",
            "pv_array.fifo_depth=3",
        ],
    )
}

fn bench(machine: &Spatten, vectors: usize) -> Bench {
    let mut bench = Bench::default();
    for (seed, unit) in (1..).zip(UNITS) {
        bench.add(common::random_case(&unit(machine).unwrap(), vectors, seed));
    }
    bench
}

#[test]
fn simulators_agree_with_native_execution() {
    let bench = bench(&small(), 2000);
    common::lint(&bench);
    for tool in [Tool::Icarus, Tool::Verilator] {
        common::compare(&bench, tool, 2000 * UNITS.len() as u64);
    }
}

#[test]
fn presets_are_lint_clean() {
    for preset in ["spatten", "spatten-eighth"] {
        common::lint(&bench(&machine(preset, &[]), 1));
    }
}
