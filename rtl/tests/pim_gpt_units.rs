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
