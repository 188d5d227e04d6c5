//! ELSA as a user runs it: cycles, real values, energy, and its hardware beside the simulator.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
#[path = "../workloads/tests/common/mod.rs"]
mod models;

use std::fs;

use attelier::cosim::{Options, Plan, Witness, compare, elsa::units};
use attelier_hw::{config, elsa::Elsa};
use common::{attelier, number, result, stderr};
use models::python::repository;
use serde_json::Value;

#[track_caller]
fn real(json: &Value, pointer: &str) -> f64 {
    json.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {pointer}"))
}

fn elsa(sets: &[&str]) -> Elsa {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    Elsa::check(&config::load("elsa", None, &sets).unwrap()).unwrap()
}

/// 144 heads of 177 queries: 3 (n + 1) cycles of preprocessing, then for each query the fullest of four
/// banks, 45 keys.
#[test]
fn without_approximation_the_closed_form_holds() {
    let args = ["elsa", "bert-base/squad-v1", "--set", "selection.degree_permille=0"];
    let json = result(&args);
    let n = 177;
    assert_eq!(number(&json, "/cycles"), 144 * (3 * (n + 1) + n * 45));
    assert_eq!(number(&json, "/ops_executed"), 144 * 4 * n * n * 64);
}

/// Powers of Table I, each for the cycles in which its module works.
#[test]
fn without_approximation_energy_is_power_times_working_cycles() {
    let args = ["elsa", "bert-base/squad-v1", "--set", "selection.degree_permille=0"];
    let json = result(&args);
    let n = 177;
    let rows = 144 * n;
    // Four banks share keys and values.
    let attention = rows as f64 * n as f64 / 4.0;
    let cycles = 144 * (3 * (n + 1) + n * 45);
    let expected = [
        ("hash_computation", 115.08, (3 * 2 * rows) as f64),
        ("norm_computation", 9.91, rows as f64),
        ("candidate_selection", 78.41, (6 * rows) as f64),
        ("attention_computation", 566.42, attention),
        ("output_division", 11.42, (4 * rows) as f64),
        ("key_hash_sram", 139.91, (6 * rows) as f64),
        ("key_norm_sram", 34.90, (6 * rows) as f64),
        // Norms read each key once.
        ("key_sram", 167.39, attention + rows as f64 / 4.0),
        ("value_sram", 167.39, attention),
        ("query_sram", 91.03, rows as f64),
        ("output_sram", 91.03, (4 * rows) as f64),
        ("static", 13.31 + 8.02, cycles as f64),
    ];
    let mut total = 0.0;
    for (term, milliwatts, cycles) in expected {
        let joules = milliwatts * 1e-3 * cycles * 1e-9;
        let found = real(&json, &format!("/energy_j/{term}"));
        assert!((found / joules - 1.0).abs() < 1e-9, "{term}: {found} and {joules}");
        total += joules;
    }
    assert!((real(&json, "/energy_j/total") / total - 1.0).abs() < 1e-9);
}

/// Each query takes no less than its selection, 6 cycles for 45 keys of a bank on 8 modules.
#[test]
fn a_higher_degree_leaves_out_more_and_is_bound_by_selection() {
    let run = |degree: u32| {
        let set = format!("selection.degree_permille={degree}");
        result(&["elsa", "bert-base/squad-v1", "--set", &set])
    };
    let results: Vec<Value> = [0, 500, 1000, 4000].map(run).into();
    let cycles: Vec<u64> = results.iter().map(|json| number(json, "/cycles")).collect();
    let energy: Vec<f64> = results.iter().map(|json| real(json, "/energy_j/total")).collect();
    assert!(cycles.is_sorted_by(|a, b| a > b), "{cycles:?}");
    assert!(energy.is_sorted_by(|a, b| a > b), "{energy:?}");
    assert!(cycles[3] >= 144 * (3 * 178 + 177 * 6), "{cycles:?}");
    // The published area with the memories of the matrices.
    assert!((real(&results[0], "/area_mm2") - 2.147).abs() < 1e-9);
    // The published power is that of all modules at work.
    assert!(results.iter().all(|json| real(json, "/power_w") < 1.495));
}

#[test]
fn what_does_not_fit_the_machine_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (args, expected) in [
        (
            vec!["m3vit-tiny/cityscapes"],
            "`elsa` computes attention only, and `m3vit-tiny/cityscapes` is an",
        ),
        (vec!["gpt2-small/wikitext2"], "expected at most 512; help: `--set rows="),
        (
            vec!["bert-base/cola", "--set", "head_dim=27"],
            "`head_dim` is 64: expected at most 27, the width of the machine",
        ),
        (vec!["bert-base/cola", "--set", "head_dim=32"], "expected a cube: 8, 27 or 64"),
    ] {
        let args = [vec!["run", "elsa"], args].concat();
        let message = stderr(&attelier(folder.path(), &args).code(2));
        assert!(message.contains(expected), "{message}");
    }
}

/// Every output of a real model within its bound, every candidate that of another program; less is
/// computed and less is right the more keys are left out.
#[test]
fn a_real_model_passes_every_check_and_loses_what_is_left_out() {
    let Some(model) = models::minilm() else { return };
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(repository().join("tests/data/sentences.txt")).unwrap();
    let some: Vec<&str> = text.lines().take(8).collect();
    fs::write(folder.path().join("some.txt"), some.join("\n")).unwrap();
    let mut found = Vec::new();
    for degree in [0, 500, 4000] {
        let set = format!("selection.degree_permille={degree}");
        let args = ["run", "elsa", &model, "--text", "some.txt", "--per-line", "--check"];
        let args = [&args[..], &["--json", "out.json", "--set", &set]].concat();
        attelier(folder.path(), &args).code(0);
        let json = fs::read(folder.path().join("out.json")).unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(number(&json, "/checks/beyond_bound"), 0, "{degree}");
        assert_eq!(number(&json, "/checks/other_decisions"), 0, "{degree}");
        // Six layers of 384 outputs for every token.
        let tokens = number(&json, "/fidelity/tokens");
        assert!(tokens > 8 * 8, "{tokens}");
        assert_eq!(number(&json, "/checks/outputs"), tokens * 6 * 384, "{degree}");
        let cosine = real(&json, "/fidelity/embedding_cosine_mean");
        found.push((cosine, number(&json, "/ops_executed")));
    }
    assert!(found[0].0 > 0.95, "{found:?}");
    assert!(found.is_sorted_by(|few, more| few.0 > more.0 && few.1 > more.1), "{found:?}");
}

fn agree(params: &Elsa, beats: u64) {
    let options =
        Options { with: vec![Witness::Native], plan: Plan { beats, seed: 7 }, icarus_beats: 1 };
    for unit in units(params) {
        let row = compare(&*unit, &options).unwrap();
        assert!(row.passed() && row.vectors >= beats, "{}: {:?}", row.unit, row.faults);
    }
}

#[test]
fn the_units_equal_the_simulator_and_every_mutant_is_noticed() {
    agree(&elsa(&[]), 2_000);
}

/// A quarter of the multipliers; vectors of 27 with factors of three rows; wider and narrower numbers.
#[test]
fn other_sizes_equal_the_simulator() {
    agree(&elsa(&["hash.multipliers=64", "pipeline.selectors=3"]), 1_000);
    let small = ["head_dim=27", "hash.multipliers=81", "format.fraction_bits=5", "rows=130"];
    agree(&elsa(&small), 1_000);
    agree(&elsa(&["head_dim=8", "hash.multipliers=8", "hash.factor_fraction_bits=8"]), 1_000);
}

#[test]
fn multipliers_that_no_hardware_has_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["cosim", "elsa/elsa_hash", "--set", "hash.multipliers=100"];
    let message = stderr(&attelier(folder.path(), &args).code(2));
    assert!(message.contains("multipliers"), "{message}");
    assert!(message.contains("`head_dim` times a number that divides its cube root"), "{message}");
}
