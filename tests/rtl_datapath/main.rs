//! The data path's units in RTL against the simulator: every output in every cycle.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod dut;
mod pv_array;
mod qk_array;
mod quant_decision;
mod softmax;

use std::sync::Arc;

use attelier_hw::{config, spatten::Spatten};
use attelier_rtl::{Error, bench::mutants, ir::Module, units::spatten};
use dut::Counts;

type Run = fn(&Spatten, &Arc<Module>, u64, u64) -> Result<Counts, String>;
type Unit = fn(&Spatten) -> Result<Arc<Module>, Error>;

fn machine(preset: &str, sets: &[&str]) -> Spatten {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Spatten::check(&config::load(preset, None, &sets).unwrap()).unwrap()
}

/// Four lanes of eight elements, shallow queues, short latencies.
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
            "softmax.exp_cycles=12",
            "softmax.accumulate_cycles=8",
            "softmax.divide_cycles=24",
            "softmax.quantise_cycles=2",
            "quant_decision.fifo_depth=5",
            "pv_array.fifo_depth=3",
        ],
    )
}

/// Compares the unit of the small machine and of the presets, then asks for mutants to be caught.
fn compare(unit: Unit, run: Run) {
    let sizes = [(small(), 100_000), (machine("spatten", &[]), 2_000), (machine("spatten-eighth", &[]), 2_000)];
    for (machine, beats) in sizes {
        let module = unit(&machine).unwrap();
        let start = std::time::Instant::now();
        let Counts { beats, cycles, signals } =
            run(&machine, &module, beats, 1).unwrap_or_else(|error| panic!("{}: {error}", machine.name));
        println!("{} {}: {beats} beats, {cycles} cycles, {signals} signals {:?}", module.name(), machine.name, start.elapsed());
        assert!(beats >= 2_000 && signals > beats);
    }
    let machine = small();
    let mutants = mutants(&unit(&machine).unwrap());
    let caught = mutants.iter().filter(|one| {
        let c = run(&machine, &one.module, 2_000, 2).is_err();
        if !c { println!("survives: {}", one.mistake); }
        c
    }).count();
    println!("{caught} of {} mutants caught", mutants.len());
    assert!(caught * 10 >= mutants.len() * 9);
}

#[test]
fn qk_array_equals_the_simulator() {
    compare(spatten::qk_array, qk_array::run);
}

#[test]
fn softmax_equals_the_simulator() {
    compare(spatten::softmax, softmax::run);
}

#[test]
fn quant_decision_equals_the_simulator() {
    compare(spatten::quant_decision, quant_decision::run);
}

#[test]
fn pv_array_equals_the_simulator() {
    compare(spatten::pv_array, pv_array::run);
}
