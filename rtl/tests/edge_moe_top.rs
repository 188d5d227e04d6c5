//! The whole Edge-MoE: sizes that can be built and what is refused, and lint.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
#[path = "common/edge_moe_sizes.rs"]
mod sizes;

use std::{fs, process::Command};

use attelier_hw::edge_moe::{EdgeMoe, TopSizes};
use attelier_rtl::{Design, units::edge_moe::edge_moe_top};
use sizes::{odd, small};

fn deployed() -> TopSizes {
    TopSizes::deployed(&EdgeMoe::preset("edge-moe").unwrap())
}

#[test]
fn the_machine_is_built_in_all_sizes() {
    for sizes in [small(), odd(), deployed()] {
        let design = edge_moe_top(&sizes).and_then(|top| Design::new([&top]));
        let design = design.unwrap_or_else(|error| panic!("{error}"));
        assert!(design.module("edge_moe_top").is_ok());
    }
}

/// Runs a tool in a folder with the Verilog of the machine; what it says.
fn tool(sizes: &TopSizes, program: &str, arguments: &[&str]) -> String {
    let design = Design::new([&edge_moe_top(sizes).unwrap()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut list = String::new();
    for file in design.verilog() {
        fs::write(folder.path().join(&file.name), &file.text).unwrap();
        list += &format!("{}\n", file.name);
    }
    fs::write(folder.path().join("files.f"), list).unwrap();
    let run = Command::new(program).args(arguments).current_dir(folder.path()).output().unwrap();
    let said = [run.stdout, run.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    if run.status.success() { said.concat() } else { format!("failed: {}", said.concat()) }
}

#[test]
fn the_machine_lints_without_a_warning() {
    if !common::has("verilator") {
        return;
    }
    let arguments = ["--lint-only", "-Wall", "--top-module", "edge_moe_top", "-f", "files.f"];
    for sizes in [small(), odd(), deployed()] {
        assert_eq!(tool(&sizes, "verilator", &arguments), "", "{} tokens", sizes.units.tokens);
    }
}

/// No driver is missing or doubled, and no combinational loop is left.
#[test]
fn yosys_elaborates_the_machine_without_a_complaint() {
    if !common::has("yosys") {
        return;
    }
    let script = "read_verilog *.v; hierarchy -check -top edge_moe_top; proc; check -assert";
    let said = tool(&small(), "yosys", &["-q", "-p", script]);
    assert!(!said.contains("failed") && !said.contains("ERROR"), "{said}");
    assert!(!said.contains("Warning"), "{said}");
}

#[test]
fn sizes_that_cannot_be_joined_name_the_parameter() {
    let refused = |change: fn(&mut TopSizes), parameter: &str| {
        let mut sizes = deployed();
        change(&mut sizes);
        let error = edge_moe_top(&sizes).unwrap_err().to_string();
        assert!(error.contains(parameter), "{error}");
    };
    refused(|sizes| sizes.beat_bytes = 64, "beat_bytes = 64");
    refused(|sizes| sizes.units.tokens = 130, "tokens = 130");
    refused(|sizes| sizes.units.word_weights = 8, "word_weights = 8");
    refused(|sizes| sizes.units.buffer_blocks = 575, "buffer_blocks = 575");
    refused(|sizes| sizes.units.heads = 6, "heads = 6");
    refused(|sizes| sizes.expert_hidden = 1000, "expert_hidden = 1000");
    refused(|sizes| sizes.expert_hidden = 392, "expert_hidden = 392");
    refused(|sizes| sizes.units.lanes = u32::MAX, "lanes");
    refused(|sizes| sizes.units.patch_columns = 0, "patch_columns = 0");
}
