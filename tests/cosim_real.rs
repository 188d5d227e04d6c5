//! Units of SpAtten in RTL against the simulator on what real requests bring to them.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
#[path = "../workloads/tests/common/mod.rs"]
mod models;

use std::{collections::BTreeMap, fs, path::Path};

use attelier::{
    cosim::{
        Bench, Options, Plan, Real, Unit, Witness,
        spatten::{requests::Requests, units},
    },
    machines::spatten::record,
    values::{self, Source, TextArgs},
};
use attelier_hw::{config, spatten::Spatten};
use attelier_rtl::{
    mutate::{Change, Mutation, mutate},
    witness::{self, Pins},
};
use common::{attelier, has, stderr, stdout};
use models::python::repository;
use serde_json::Value;

/// Everything is pruned, and keys are read in two planes.
const KNOBS: [&str; 6] = [
    "token_keep=0.6",
    "head_keep=0.7",
    "value_keep=0.5",
    "key_bits=6",
    "value_bits=6",
    "requant_threshold=0.3",
];

/// Two sentences in a folder of their own.
fn two_sentences() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let all = fs::read_to_string(repository().join("tests/data/sentences.txt")).unwrap();
    let two: Vec<&str> = all.lines().take(2).collect();
    fs::write(folder.path().join("two.txt"), two.join("\n")).unwrap();
    folder
}

fn with_knobs(args: &[&str]) -> Vec<String> {
    let knobs = KNOBS.iter().flat_map(|knob| ["--set".to_owned(), format!("workload.{knob}")]);
    args.iter().map(|arg| (*arg).to_owned()).chain(knobs).collect()
}

/// Runs a command to its end; its JSON result.
fn json(folder: &Path, args: &[String]) -> Value {
    let args: Vec<&str> = args.iter().map(String::as_str).chain(["--json", "out.json"]).collect();
    attelier(folder, &args).code(0);
    serde_json::from_slice(&fs::read(folder.join("out.json")).unwrap()).unwrap()
}

/// Every unit sees beats of both sentences, without a difference. How many it must be is known from
/// what the simulator's machine did with the same sentences.
#[test]
fn two_sentences_pass_through_every_unit() {
    let Some(model) = models::minilm() else { return };
    let folder = two_sentences();
    let text = ["--text", "two.txt", "--per-line"];
    let run = [&["run", "spatten", &model, "--check"][..], &text].concat();
    let (whole, pruned) = (
        json(folder.path(), &run.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>()),
        json(folder.path(), &with_knobs(&run)),
    );
    let both = |pointer: &str| {
        let of = |json: &Value| json.pointer(pointer).and_then(Value::as_u64).unwrap();
        of(&whole) + of(&pruned)
    };
    // MiniLM has heads of 32.
    let (outputs, flat) = (both("/checks/outputs") / 32, both("/progressive/flat"));
    assert!(flat > 0, "no pass was computed again");

    // Heads of 32, four keys a line.
    let sets = ["head_dim=32", "qk_array.multipliers=128", "pv_array.multipliers=128"];
    let sets = sets.map(str::to_owned);
    let params = Spatten::check(&config::load("spatten", None, &sets).unwrap()).unwrap();
    let requests = requests(&params, &model, &folder.path().join("two.txt"), &KNOBS);
    let plan = Plan { beats: 1, seed: 3 };
    let options = Options { with: vec![Witness::Native], plan, icarus_beats: 1 };
    let mut beats_of = BTreeMap::new();
    for unit in units(&params).iter().filter(|unit| unit.left_out().is_none()) {
        let real = Bench::new(&**unit).unwrap().compare_real(&options, &requests).unwrap();
        let Real::Compared { beats, mutants_caught, .. } = real else {
            panic!("{}: {real:?}", unit.name());
        };
        assert!(real.passed() && mutants_caught > 0, "{}: {real:?}", unit.name());
        beats_of.insert(unit.name(), beats);
    }
    assert_eq!(beats_of.len(), 21);
    // An output of every pass that was not found flat.
    assert_eq!(beats_of["head_importance"], outputs);
    // What the softmax takes, the decision drops or gives on, and the engine loses rows of.
    assert_eq!(beats_of["qk_array"], beats_of["softmax"]);
    assert!(beats_of["quant_decision"] < beats_of["softmax"]);
    assert_eq!(beats_of["topk_value"], beats_of["quant_decision"]);
    assert!(beats_of["pv_array"] < beats_of["topk_value"]);
    // Every row that is read is a line that was read.
    assert_eq!(beats_of["key_sram"], beats_of["qk_array"]);
    assert_eq!(beats_of["value_sram"], beats_of["pv_array"]);
}

#[test]
fn a_sentence_passes_under_verilator() {
    if !has("verilator") {
        return;
    }
    let Some(model) = models::minilm() else { return };
    let folder = two_sentences();
    let unit = ["cosim", "spatten-eighth/topk_value", "--with", "verilator", "--beats", "300"];
    let text = ["--workload", &model, "--text", "two.txt", "--per-line"];
    let result = json(folder.path(), &with_knobs(&[&unit[..], &text].concat()));
    let real = &result["rows"][0]["real"];
    assert_eq!(real["mismatches"].as_u64(), Some(0));
    assert!(real["beats"].as_u64().unwrap() > 1000);
}

/// The requests of a model on a machine, as they are and pruned.
fn requests(params: &Spatten, model: &str, text: &Path, knobs: &[&str]) -> Requests {
    let args = TextArgs { text: Some(text.to_owned()), per_line: true, steps: None };
    let source = Source::open(model, &args).unwrap().unwrap();
    let recordings: Vec<_> = [&[], knobs]
        .iter()
        .map(|knobs| record(params, &source, &values::pruning(knobs).unwrap()).unwrap())
        .collect();
    Requests::new(params, &recordings).unwrap()
}

/// A tiny model on a machine of its head dimension, as the library sees it.
fn tiny(folder: &Path) -> (Spatten, Requests) {
    fs::create_dir(folder.join("model")).unwrap();
    models::tiny::write(&folder.join("model"));
    fs::write(folder.join("text"), "a b c d\ne f\n").unwrap();
    let params = Spatten::check(&config::load("spatten-small", None, &[]).unwrap()).unwrap();
    let model = folder.join("model");
    let knobs = ["value_keep=0.5", "token_keep=0.5", "head_keep=0.5", "requant_threshold=0.4"];
    let requests = requests(&params, model.to_str().unwrap(), &folder.join("text"), &knobs);
    (params, requests)
}

fn unit<'a>(units: &'a [Box<dyn Unit>], name: &str) -> &'a dyn Unit {
    &**units.iter().find(|unit| unit.name() == name).unwrap()
}

/// One operand of one lane is wrong: every unit of the data path notices it on real values alone.
#[test]
fn a_wrong_operand_is_noticed_on_real_values() {
    let folder = tempfile::tempdir().unwrap();
    let (params, requests) = tiny(folder.path());
    let units = units(&params);
    for (name, module, signal, change) in [
        ("qk_array", "qk_dot_product", "key_word_0", Change::Inverted),
        ("softmax", "softmax_sum", "largest_now", Change::Exchanged),
        ("quant_decision", "quant_decision", "below_0", Change::Exchanged),
        ("pv_array", "pv_weighted_sum", "product_0", Change::Delayed),
        ("bitwidth_converter", "bitwidth_converter", "line_0_vector_0", Change::Inverted),
        ("key_sram", "key_sram", "reads_0", Change::Delayed),
        ("spatten_core", "spatten_core", "value_row", Change::Zero),
    ] {
        let unit = unit(&units, name);
        let design = unit.design().unwrap();
        let pins = Pins::of(design.module(unit.top()).unwrap());
        let plan = Plan { beats: u64::MAX, seed: 3 };
        let vectors = || unit.real(&pins, plan, &requests).unwrap();
        let sound = witness::native(&design, unit.top(), &mut *vectors(), u64::MAX).unwrap();
        assert!(sound.mismatches == 0 && sound.beats > 0, "{name}: {:?}", sound.first);
        let mutant = mutate(&design, Mutation { module, signal, change }).unwrap();
        let found = witness::native(&mutant, unit.top(), &mut *vectors(), 1).unwrap();
        assert!(found.mismatches > 0, "{name}: {module}.{signal} {change:?} is not noticed");
    }
}

/// Beats are limited where a witness is slow.
#[test]
fn a_plan_can_end_before_the_requests_do() {
    let folder = tempfile::tempdir().unwrap();
    let (params, requests) = tiny(folder.path());
    let units = units(&params);
    let unit = unit(&units, "softmax");
    let design = unit.design().unwrap();
    let pins = Pins::of(design.module(unit.top()).unwrap());
    let beats = |beats| {
        let mut vectors = unit.real(&pins, Plan { beats, seed: 3 }, &requests).unwrap();
        witness::native(&design, unit.top(), &mut *vectors, u64::MAX).unwrap().beats
    };
    assert_eq!(beats(5), 5);
    // Rows of two keys. A text of n tokens gives n passes per head: those of 6 and 4 tokens, by two
    // heads in two layers; pruned ones only in the second layer: one head, half of the tokens.
    let dense = 2 * 2 * (6 * 3 + 4 * 2);
    assert!(beats(u64::MAX) > dense, "{} of more than {dense}", beats(u64::MAX));
}

#[test]
fn what_is_no_real_request_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |args: &[&str], expected: &str| {
        let run = attelier(folder.path(), &[&["cosim", "lfsr"], args].concat()).code(2);
        assert!(stderr(&run).contains(expected), "{}", stderr(&run));
        assert_eq!(stdout(&run), "");
    };
    refused(&["--workload", "bert-base/sst-2"], "has counts only");
    refused(&["--text", "text"], "expected `--workload`");
    refused(&["--set", "workload.key_bits=6"], "expected `--workload`");
    fs::create_dir(folder.path().join("model")).unwrap();
    models::tiny::write(&folder.path().join("model"));
    // 32 lanes are too few for the keys of so short heads, unless the arrays are smaller too.
    let short = ["head_dim=2", "qk_array.multipliers=16", "pv_array.multipliers=16"];
    let short = short.iter().flat_map(|set| ["--set", set]);
    let args: Vec<&str> = ["--workload", "model"].into_iter().chain(short).collect();
    refused(&args, "heads of 4 elements");
}
