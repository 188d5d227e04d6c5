//! PIM-GPT's units in RTL, run natively, against the simulator: every output in every cycle.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

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

/// A refresh becomes due after little more time than one takes: they meet open rows, waiting vectors, and
/// each other; under Icarus as well.
#[test]
fn refreshes_come_wherever_they_may() {
    let sets = ["memory.banks=4", "timing.n_refi=1100"].map(str::to_owned);
    let params = PimGpt::check(&config::load("pim-gpt", None, &sets).unwrap()).unwrap();
    let units = units(&params);
    for (name, with, beats) in [
        ("sequencer", vec![Witness::Native], 30_000),
        ("sequenced_channel", vec![Witness::Native], 10_000),
        ("sequencer", vec![Witness::Icarus], 3_000),
    ] {
        if with == [Witness::Icarus] && !common::has("iverilog") {
            continue;
        }
        let unit = units.iter().find(|unit| unit.name() == name).unwrap();
        let options = Options { with, plan: Plan { beats, seed: 5 }, icarus_beats: beats };
        let row = compare(&**unit, &options).unwrap();
        assert!(row.passed() && row.vectors >= beats, "{name}: {:?}", row.faults);
        // Sixteen refreshes and more.
        assert!(row.cycles > 16 * 1100, "{name}: {} cycles", row.cycles);
    }
}

#[test]
fn machines_that_cannot_be_compared_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |set: &str, part: &str| {
        let args = ["cosim", "pim-gpt/sequencer", "--with", "native", "--set", set];
        let text = common::stderr(&common::attelier(folder.path(), &args).code(2));
        assert!(text.contains(part), "{text}");
    };
    refused("timing.n_rtw=1", "tRTW");
    refused("memory.rows=32", "memory.rows");
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
