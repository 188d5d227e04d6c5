//! PIM-GPT's units in RTL, run natively, against the simulator: every output in every cycle.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use attelier::cosim::{Options, Plan, Witness, compare, pim_gpt::units};
use attelier_hw::{config, pim_gpt::PimGpt};

fn agree(sets: &[&str], beats: u64) {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let params = PimGpt::check(&config::load("pim-gpt", None, &sets).unwrap()).unwrap();
    let options =
        Options { with: vec![Witness::Native], plan: Plan { beats, seed: 7 }, icarus_beats: 1 };
    let units = units(&params);
    assert_eq!(units.len(), 19);
    let mut faults = Vec::new();
    for unit in &units {
        match compare(&**unit, &options) {
            Ok(row) if row.passed() && row.vectors >= beats => {}
            Ok(row) => {
                faults.push(format!("{}: {} beats, {:?}", row.unit, row.vectors, row.faults));
            }
            Err(error) => faults.push(format!("{}: {error:#}", unit.name())),
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Four banks, so that the test is short; the banks are alike.
#[test]
fn all_units_equal_the_simulator() {
    agree(&["memory.banks=4"], 20_000);
}

#[test]
fn other_widths_equal_the_simulator() {
    let sets = [
        "memory.banks=4",
        "mac.multipliers=4",
        "memory.burst_bytes=8",
        "memory.row_bytes=64",
        "memory.buffer_bytes=128",
        "memory.double_buffer=false",
        "asic.multipliers=2",
    ];
    agree(&sets, 20_000);
}
