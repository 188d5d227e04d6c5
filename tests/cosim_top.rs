//! The whole SpAtten machine in RTL, run natively, against the simulator: every request to memory,
//! every result, and the last cycle.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop and speak here")]

use attelier::cosim::{Options, Plan, Witness, compare, spatten::{top, units}};
use attelier_hw::{config, spatten::Spatten};

fn machine(preset: &str, sets: &[&str]) -> Spatten {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Spatten::check(&config::load(preset, None, &sets).unwrap()).unwrap()
}

#[test]
fn the_small_machine_equals_the_simulator() {
    let params = machine("spatten-small", &[]);
    let workload = top::Workload::random(&params, 3, 0, 24).unwrap();
    let recording = top::Recording::of(&params, &workload, top::Paces::random(3), 64);
    println!(
        "{} requests, {} results, {} computed again, {} with selected values, {} cycles",
        workload.requests.len(), recording.finished.len(), recording.flat, recording.selected, recording.cycles
    );
    let units = units(&params);
    let unit = units.iter().find(|unit| unit.name() == "spatten_core").unwrap();
    let options = Options { with: vec![Witness::Native], plan: Plan { beats: 3000, seed: 3 }, icarus_beats: 1 };
    let row = compare(&**unit, &options).unwrap();
    println!("{row:?}");
    assert!(row.passed(), "{:?}", row.faults);
}
