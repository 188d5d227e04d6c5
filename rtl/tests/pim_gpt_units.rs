//! PIM-GPT's units: lint-clean, and refused where they cannot be built.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::sync::Arc;

use attelier_hw::{
    config,
    pim_gpt::{Mac, PimGpt},
};
use attelier_rtl::{
    Design, Error,
    bench::lint,
    ir::Module,
    units::pim_gpt::{self, mac_unit},
};

type Build = fn(&PimGpt) -> Result<Arc<Module>, Error>;

const FUNCTIONS: [fn() -> Result<pim_gpt::FunctionUnit, Error>; 5] = [
    pim_gpt::reciprocal,
    pim_gpt::inverse_square_root,
    pim_gpt::exponential,
    pim_gpt::tanh,
    pim_gpt::gelu,
];

fn mac(multipliers: u32) -> Mac {
    Mac { multipliers, clock_hz: 1_000_000_000, columns: 64, interval: 2 }
}

/// What Verilator says of a module and all that it instantiates.
fn assert_clean(module: &Arc<Module>) {
    let folder = tempfile::tempdir().unwrap();
    let files = Design::new([module]).unwrap().verilog();
    for file in &files {
        let longest = file.text.lines().map(str::len).max().unwrap();
        assert!(longest <= 120, "{} has a line of {longest} characters", file.name);
        std::fs::write(folder.path().join(&file.name), &file.text).unwrap();
    }
    let names: Vec<String> = files.into_iter().map(|file| file.name).collect();
    assert_eq!(lint(folder.path(), module.name(), &names).unwrap(), "", "{}", module.name());
}

fn machine(sets: &[&str]) -> PimGpt {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    PimGpt::check(&config::load("pim-gpt", None, &sets).unwrap()).unwrap()
}

#[test]
fn channels_are_lint_clean() {
    if !common::has("verilator") {
        return;
    }
    let wide = ["mac.multipliers=32", "memory.burst_bytes=64", "memory.banks=4"];
    let narrow = ["mac.multipliers=1", "memory.burst_bytes=2", "memory.banks=4"];
    let single = ["memory.double_buffer=false", "memory.row_bytes=64", "memory.banks=4"];
    for sets in [&wide[..], &narrow[..], &single[..]] {
        assert_clean(&pim_gpt::channel(&machine(sets)).unwrap());
    }
}

/// Softmax, normalization and the sequencer, up to a channel that executes instructions.
#[test]
fn units_of_the_asic_are_lint_clean() {
    if !common::has("verilator") {
        return;
    }
    let single = ["memory.double_buffer=false", "memory.banks=4", "asic.multipliers=1"];
    let restless = ["memory.refresh=false", "memory.banks=4", "memory.channels=1"];
    let fast = ["timing.n_rp=1", "timing.n_mac_rd=1", "memory.banks=4", "asic.multipliers=2"];
    for sets in [&[][..], &single[..], &restless[..], &fast[..]] {
        let machine = machine(sets);
        assert_clean(&pim_gpt::softmax(&machine).unwrap());
        assert_clean(&pim_gpt::layer_norm(&machine).unwrap());
        assert_clean(&pim_gpt::sequencer(&machine).unwrap());
        if machine.memory.banks == 4 {
            assert_clean(&pim_gpt::sequenced_channel(&machine).unwrap());
        }
    }
}

#[test]
fn an_asic_that_cannot_be_built_is_refused() {
    let refused = |build: Build, set: &str, parameter: &str| {
        let error = build(&machine(&[set])).unwrap_err().to_string();
        assert!(error.contains(parameter), "{error}");
    };
    refused(pim_gpt::softmax, "overlap.divide_late=false", "overlap.divide_late");
    refused(pim_gpt::softmax, "asic.sram_bytes=512", "asic.sram_bytes = 512");
    refused(pim_gpt::layer_norm, "asic.sram_bytes=256", "asic.sram_bytes = 256");
    refused(pim_gpt::sequencer, "memory.activation=bank-group", "memory.activation");
}

#[test]
fn channels_without_bursts_are_refused() {
    let refused = |sets: &[&str], parameter: &str| {
        let error = pim_gpt::channel(&machine(sets)).unwrap_err().to_string();
        assert!(error.contains(parameter), "{error}");
    };
    refused(&["mac.multipliers=8"], "memory.burst_bytes = 32");
    refused(&["memory.rows=1"], "memory.rows = 1");
}

#[test]
fn units_are_lint_clean() {
    if !common::has("verilator") {
        return;
    }
    let arithmetic = [pim_gpt::bf16_multiply, pim_gpt::bf16_add];
    arithmetic.iter().for_each(|build| assert_clean(&build().unwrap()));
    FUNCTIONS.iter().for_each(|build| assert_clean(&build().unwrap().0));
    // One multiplier has no tree.
    [1, 2, 16, 64].into_iter().for_each(|count| assert_clean(&mac_unit(&mac(count)).unwrap()));
}

/// An operation per stage: seed 2, steps 3 * 4, scale 2; five of the root; and so on.
#[test]
fn latencies_are_the_operations_on_the_longest_way() {
    let exponential = 3 + 3 + 2 * 5 + 2;
    let reciprocal = 2 + 3 * 4 + 2;
    let tanh = 1 + exponential + 1 + reciprocal + 1;
    let expected = [reciprocal, 5, exponential, tanh, 4 + 1 + tanh + 2];
    let latencies = FUNCTIONS.map(|build| build().unwrap().1);
    assert_eq!(latencies, expected);
}

#[test]
fn multipliers_that_make_no_tree_are_refused() {
    for count in [0, 3, 512] {
        let error = mac_unit(&mac(count)).unwrap_err().to_string();
        assert!(error.contains(&format!("mac.multipliers = {count}")), "{error}");
    }
}
