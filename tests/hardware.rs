//! `attelier rtl` and `attelier synth`: what they write, and estimates beside a synthesis tool.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use attelier::cosim::{Unit, edge_moe, spatten::units};
use attelier_hw::{
    edge_moe::{EdgeMoe, Sizes, TopSizes},
    spatten::Spatten,
};
use attelier_rtl::estimate::{Delays, estimate};
use common::{attelier, has, stderr, stdout};
use serde_json::Value;

/// What Yosys 0.23 reports for units of `spatten-eighth`: tables for logic and memory, flip-flops,
/// DSP48E2, RAMB18 (`attelier synth spatten-eighth`). The whole machine has a test of its own.
const YOSYS: [(&str, u64, u64, u64, u64); 21] = [
    ("lfsr", 1, 16, 0, 0),
    ("comparator_array", 288, 0, 0, 0),
    ("zero_eliminator", 866, 0, 0, 0),
    ("quick_select", 5056, 1061, 1, 0),
    ("topk_step", 2096, 0, 0, 0),
    ("bitonic_select", 5142, 2982, 0, 0),
    ("radix_select", 2174, 405, 0, 0),
    ("topk_value", 6612, 1803, 1, 0),
    ("topk_token", 11_598, 2696, 1, 0),
    ("bitwidth_converter", 12_782, 2079, 0, 0),
    ("qkv_fetcher", 19_320, 2713, 5, 0),
    ("key_slots", 4089, 1592, 0, 0),
    ("value_slots", 10_253, 4764, 0, 0),
    ("key_sram", 780, 1, 0, 94),
    ("value_sram", 780, 1, 0, 94),
    ("qk_array", 1671, 3989, 64, 0),
    ("softmax", 3307, 1482, 8, 5),
    ("quant_decision", 2413, 115, 0, 5),
    ("token_importance", 121, 57, 0, 2),
    ("pv_array", 6530, 3750, 64, 0),
    ("head_importance", 2442, 1721, 0, 3),
];

/// The same for units of the deployed `edge-moe` (`attelier synth edge-moe/UNIT`).
const YOSYS_OF_EDGE_MOE: [(&str, u64, u64, u64, u64); 17] = [
    ("exponential", 348, 170, 12, 0),
    ("divider", 165, 122, 0, 0),
    ("square_root", 126, 93, 0, 0),
    ("gelu", 5596, 3106, 16, 0),
    ("expert_queues", 365, 230, 0, 10),
    ("expert_sequencer", 34, 38, 0, 0),
    ("weight_loader", 4173, 4146, 0, 0),
    ("qk_product", 6367, 4125, 128, 0),
    ("running_softmax", 2872, 2390, 48, 0),
    ("pv_product", 7993, 4041, 176, 0),
    ("layer_norm", 4541, 3343, 116, 0),
    ("gate", 11_025, 11_466, 284, 0),
    ("feature_adder", 1408, 786, 32, 0),
    ("queue_walker", 234, 129, 0, 0),
    ("parameter_loader", 198, 33, 0, 0),
    ("row_addresses", 166, 93, 1, 0),
    ("call_sequencer", 109, 88, 0, 0),
];

/// The whole machine as Yosys builds it (`attelier synth spatten-small/spatten_core`).
#[test]
fn the_estimate_of_a_machine_is_within_a_quarter_of_yosys() {
    let params = Spatten::preset("spatten-small").unwrap();
    let units = units(&params);
    let core = units.iter().find(|unit| unit.name() == "spatten_core").unwrap();
    let ours = estimate(&core.design().unwrap(), core.top(), &Delays::default()).unwrap();
    assert!(within_a_quarter(ours.lut + ours.lutram, 16_780), "{ours:?}");
    assert!(within_a_quarter(ours.ff, 7166), "{ours:?}");
    assert_eq!((ours.dsp, ours.ramb18), (52, 50));
}

/// 512 multipliers of the published size: 512 DSP48E2 in Yosys as well (`attelier synth spatten/qk_array`).
#[test]
fn the_published_array_is_one_dsp_per_multiplier() {
    let params = Spatten::preset("spatten").unwrap();
    let units = units(&params);
    let array = units.iter().find(|unit| unit.name() == "qk_array").unwrap();
    let ours = estimate(&array.design().unwrap(), array.top(), &Delays::default()).unwrap();
    assert_eq!(ours.dsp, 512);
    assert!(within_a_quarter(ours.lut + ours.lutram, 12_828) && within_a_quarter(ours.ff, 26_173));
}

fn within_a_quarter(ours: u64, theirs: u64) -> bool {
    ours.abs_diff(theirs) * 4 <= theirs
}

/// Tables and flip-flops within a quarter, DSP and block RAM equal.
fn agree_with_yosys(units: Vec<Box<dyn Unit>>, yosys: &[(&str, u64, u64, u64, u64)]) {
    let mut units: BTreeMap<_, _> = units.into_iter().map(|unit| (unit.name(), unit)).collect();
    for (name, tables, flip_flops, dsp, ramb18) in yosys.iter().copied() {
        let unit = units.remove(name).unwrap();
        let ours = estimate(&unit.design().unwrap(), unit.top(), &Delays::default()).unwrap();
        let luts = ours.lut + ours.lutram;
        eprintln!("{name}: tables {luts} / {tables}, flip-flops {} / {flip_flops}", ours.ff);
        assert!(within_a_quarter(luts, tables), "{name}: {luts} tables, Yosys {tables}");
        assert!(within_a_quarter(ours.ff, flip_flops), "{name}: {} / {flip_flops}", ours.ff);
        assert_eq!((ours.dsp, ours.ramb18), (dsp, ramb18), "{name}");
    }
}

#[test]
fn estimates_of_units_are_within_a_quarter_of_yosys() {
    agree_with_yosys(units(&Spatten::preset("spatten-eighth").unwrap()), &YOSYS);
    let machine = EdgeMoe::preset("edge-moe").unwrap();
    let mut units = edge_moe::units(&Sizes::deployed(&machine));
    units.extend(edge_moe::units_of_top(&TopSizes::deployed(&machine)));
    agree_with_yosys(units, &YOSYS_OF_EDGE_MOE);
}

#[test]
fn synthesis_stands_beside_the_estimate() {
    if !has("yosys") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let args = ["synth", "spatten-eighth/token_importance", "--json", "out.json"];
    let text = stdout(&attelier(folder.path(), &args).code(0));
    assert!(text.starts_with("Yosys"), "{text}");
    let json: Value =
        serde_json::from_slice(&fs::read(folder.path().join("out.json")).unwrap()).unwrap();
    let row = &json["rows"][0];
    assert_eq!(row["unit"], "token_importance");
    for cell in ["lut", "ff", "dsp", "bram"] {
        let (theirs, ours) = (row[cell].as_u64().unwrap(), row["estimate"][cell].as_u64().unwrap());
        assert!(within_a_quarter(ours, theirs), "{cell}: {ours} / {theirs}");
    }
}

/// All files below a folder by relative name.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for unit in fs::read_dir(folder).unwrap() {
        let unit = unit.unwrap().path();
        for file in fs::read_dir(&unit).unwrap() {
            let file = file.unwrap().path();
            let name = file.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(file).unwrap());
        }
    }
    files
}

#[test]
fn two_emissions_are_the_same_bytes_and_read_well() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        let args = ["rtl", "spatten-small", "-o", name, "--beats", "3"];
        attelier(folder.path(), &args).code(0);
    }
    let (a, b) = (tree(&folder.path().join("a")), tree(&folder.path().join("b")));
    assert!(a == b && a.len() > 100);
    for (name, bytes) in a.iter().filter(|(name, _)| name.ends_with(".v")) {
        let text = std::str::from_utf8(bytes).unwrap();
        let long = text.lines().find(|line| line.chars().count() > 120);
        assert_eq!(long, None, "{name}");
        if !name.ends_with("bench.v") {
            for part in ["// Ports", "// Latency: "] {
                assert!(text.contains(part), "{name} has no `{part}`");
            }
        }
    }
    // The layers that a reader looks for: one per power of two below 4 lanes.
    let eliminator = std::str::from_utf8(&a["zero_eliminator/zero_eliminator.v"]).unwrap();
    for layer in 0..2 {
        assert!(eliminator.contains(&format!("layer_{layer}_data_0")));
    }
    assert!(!eliminator.contains("layer_2_"));
}

#[test]
fn the_first_words_of_a_name_stand_for_all_that_begin_so() {
    let folder = tempfile::tempdir().unwrap();
    attelier(folder.path(), &["rtl", "spatten-small/topk", "-o", "out", "--beats", "2"]).code(0);
    let names = fs::read_dir(folder.path().join("out")).unwrap();
    let mut names: Vec<_> = names.map(|unit| unit.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["topk_step", "topk_token", "topk_value"]);
}

fn run(folder: &Path, program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).current_dir(folder).output().unwrap()
}

/// As its README says: the bench compares under Icarus, and Verilator finds nothing to warn of.
#[test]
fn every_folder_simulates_and_lints() {
    if !has("iverilog") || !has("verilator") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let args = ["rtl", "spatten-small", "-o", "rtl", "--beats", "40", "--seed", "3"];
    attelier(folder.path(), &args).code(0);
    let mut seen = 0;
    for unit in fs::read_dir(folder.path().join("rtl")).unwrap() {
        let unit = unit.unwrap().path();
        let built =
            run(&unit, "iverilog", &["-g2005", "-o", "bench.vvp", "bench.v", "-c", "files.f"]);
        assert!(built.status.success(), "{built:?}");
        let text = String::from_utf8(run(&unit, "vvp", &["-n", "bench.vvp"]).stdout).unwrap();
        assert!(!text.contains("mismatch") && !text.contains("undefined"), "{unit:?}: {text}");
        assert!(text.contains("cycles ") && text.ends_with("PASS\n"), "{text}");
        let list = fs::read_to_string(unit.join("files.f")).unwrap();
        let top = list.lines().last().unwrap().trim_end_matches(".v").to_owned();
        let args = ["--lint-only", "-Wall", "--top-module", &top, "-f", "files.f"];
        let lint = run(&unit, "verilator", &args);
        assert!(lint.status.success() && lint.stderr.is_empty(), "{unit:?}: {lint:?}");
        seen += 1;
    }
    assert!(seen >= 16, "only {seen} units");
}

#[test]
fn what_cannot_be_built_leaves_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |args: &[&str], part: &str| {
        let text = stderr(&attelier(folder.path(), &[&["rtl"], args].concat()).code(2));
        assert!(text.contains(part), "{text}");
        assert!(!folder.path().join("out").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    };
    refused(&["top", "-o", "out"], "there is no `top`: expected a unit of `spatten`");
    refused(&["nothing", "-o", "out"], "there is no `nothing`");
    let burst = ["pim-gpt/global_buffer", "--set", "mac.multipliers=8", "-o", "out"];
    refused(&burst, "memory.burst_bytes");
    let lanes = ["zero_eliminator", "--set", "topk_value.parallelism=0", "-o", "out"];
    refused(&lanes, "topk_value.parallelism");
    refused(&["qk_array", "--set", "head_dim=0", "-o", "out"], "head_dim");
    refused(&["qk_array", "--set", "key_sram.bytes=1", "-o", "out"], "key_sram");
    refused(&["qk_array", "-o", "none/out"], "folder `none` does not exist");
    fs::create_dir(folder.path().join("full")).unwrap();
    fs::write(folder.path().join("full/mine"), "text").unwrap();
    let run = attelier(folder.path(), &["rtl", "lfsr", "-o", "full"]).code(2);
    assert!(stderr(&run).contains("it is not empty"));
    assert_eq!(fs::read_to_string(folder.path().join("full/mine")).unwrap(), "text");
}
