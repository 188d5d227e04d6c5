//! Every emitted file is clean under `verilator -Wall`, without waivers, for many parameter sets.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop and speak here")]

mod common;

use std::{fs, process::Command, sync::Arc};

use attelier_hw::{config, spatten::Spatten};
use attelier_rtl::{
    Design,
    ir::Module,
    units::spatten::{
        self, bitonic_select::BitonicSelect, quick_select::QuickSelect, radix_select::RadixSelect,
        row_buffer::with_buffer, topk_token::TopKToken, topk_value::TopKValue,
        zero_eliminator::ZeroEliminator,
    },
};
use common::has;

/// What Verilator objects to in a module and all that it instantiates.
fn warnings(top: &Arc<Module>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut lint = Command::new("verilator");
    lint.current_dir(folder.path()).args(["--lint-only", "-Wall", "--top-module", top.name()]);
    for file in Design::new([top]).unwrap().verilog() {
        fs::write(folder.path().join(&file.name), &file.text).unwrap();
        let longest = file.text.lines().map(str::len).max().unwrap();
        assert!(longest <= 120, "{} has a line of {longest} characters", file.name);
        lint.arg(file.name);
    }
    String::from_utf8(lint.output().unwrap().stderr).unwrap()
}

#[test]
fn topk_units_are_clean() {
    if !has("verilator") {
        return;
    }
    let mut tops = Vec::new();
    for (lanes, row, width, rows, overhead) in [
        (16, 8, 12, 64, 3),
        (16, 1, 12, 64, 3),
        (2, 2, 9, 3, 4),
        (4, 1, 32, 2, 7),
        (32, 16, 8, 5, 3),
    ] {
        let capacity = rows * lanes;
        let engine = QuickSelect { lanes, width, capacity, round_overhead: overhead, seed: 9 };
        let digit_bits = [4, 3].into_iter().find(|bits| width % bits == 0).unwrap();
        let radix = RadixSelect { lanes, width, capacity, digit_bits };
        tops.push(with_buffer(&engine.module().unwrap(), lanes, width, capacity).unwrap());
        tops.push(with_buffer(&radix.module().unwrap(), lanes, width, capacity).unwrap());
        let bitonic = BitonicSelect { lanes, width, capacity: capacity.next_power_of_two() };
        let sorter = bitonic.module().unwrap();
        tops.push(with_buffer(&sorter, lanes, width, bitonic.capacity).unwrap());
        tops.push(TopKToken { engine: engine.clone(), lanes: row }.module().unwrap());
        tops.push(TopKValue { engine, lanes: row }.module().unwrap());
        let name = "zero_eliminator".to_owned();
        tops.push(ZeroEliminator { name, lanes: row, width }.module().unwrap());
    }
    let faults: Vec<String> = tops.iter().map(warnings).filter(|text| !text.is_empty()).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), tops.len(), faults.join("\n"));
}

#[test]
fn the_whole_machine_is_clean() {
    if !has("verilator") {
        return;
    }
    let wide = ["qk_array.multipliers=32", "pv_array.multipliers=32", "memory.channels=4"];
    let rest = ["bitwidth_converter.buffer_bytes=128", "topk_value.capacity=512"];
    let buffers = ["key_sram.bytes=6144", "value_sram.bytes=6144"];
    let mut faults = Vec::new();
    for (preset, sets) in [
        ("spatten-small", vec![]),
        ("spatten-small", [&wide[..], &rest, &buffers].concat()),
        ("spatten-eighth", vec![]),
    ] {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        let params = Spatten::check(&config::load(preset, None, &sets).unwrap()).unwrap();
        let text = warnings(&spatten::spatten(&params).unwrap());
        if !text.is_empty() {
            faults.push(format!("{preset} {sets:?}:\n{text}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
