//! Every library block: linted, and equal natively, under Icarus Verilog and under Verilator.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
mod library;

use attelier_rtl::{
    Design,
    bench::{Bench, Case, Tool},
    bits::Bits,
    ir::Module,
    verilog,
};

/// Random vectors that keep to what the block asks of its inputs.
fn vectors(module: &Module, count: usize, seed: u64) -> Vec<Vec<Bits>> {
    let mut vectors = common::random_vectors(module, count, seed);
    if module.name().starts_with("true_dual_port") {
        // Both ports never write one word at once.
        let at = |name: &str| module.inputs().position(|(input, _)| input == name).unwrap();
        let (a, b, write) = (at("a_address"), at("b_address"), at("b_write"));
        for vector in vectors.iter_mut().filter(|vector| vector[a] == vector[b]) {
            vector[write] = Bits::zero(1);
        }
    }
    vectors
}

#[test]
fn simulators_agree_with_native_execution() {
    let mut bench = Bench::default();
    for (seed, module) in (0..).zip(library::variants()) {
        bench.add(Case::native(&module, vectors(&module, 2000, seed)).unwrap());
    }
    common::lint(&bench);
    for tool in [Tool::Icarus, Tool::Verilator] {
        common::compare(&bench, tool, 40_000);
    }
}

#[test]
fn random_legal_parameters_build_and_lint() {
    let mut random = common::random(7);
    let mut bench = Bench::default();
    let mut names = std::collections::BTreeSet::new();
    for round in 0..4 {
        for kind in 0..library::KINDS {
            let module = library::random_variant(kind, &mut random);
            if names.insert(module.name().to_owned()) {
                bench.add(Case::native(&module, vectors(&module, 1, round)).unwrap());
            }
        }
    }
    assert!(bench.cases().len() >= 50, "{} modules", bench.cases().len());
    common::lint(&bench);
}

#[test]
fn two_emissions_are_identical() {
    let emitted =
        || -> Vec<_> { library::variants().iter().map(|of| verilog::print(of)).collect() };
    assert_eq!(emitted(), emitted());
}

#[test]
fn a_crossbar_keeps_its_arbiter_as_a_module() {
    let crossbar = library::variants().into_iter().find(|of| of.name().starts_with("crossbar"));
    let files = Design::new([&crossbar.unwrap()]).unwrap().verilog();
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["round_robin_arbiter_n3.v", "crossbar_i3_o4_w10.v"]);
    assert!(files[1].text.contains("round_robin_arbiter_n3 turn_3 ("));
}

#[test]
fn illegal_parameters_are_refused_with_their_name() {
    use attelier_rtl::blocks::*;
    let text = |built: Result<_, attelier_rtl::Error>| -> String {
        built.map(|_: std::sync::Arc<Module>| ()).unwrap_err().to_string()
    };
    assert_eq!(
        text(Fifo { width: 8, depth: 2 }.build()),
        "module `fifo_w8_d2`: depth = 2: expected 3 to 65536 beats"
    );
    let rotate = BarrelShifter { width: 12, shift: Shift::RotateLeft };
    assert!(text(rotate.build()).contains("width = 12: expected a power of two to rotate"));
    assert!(text(SkidBuffer { width: 0 }.build()).contains("width = 0"));
    assert!(text(SkidBuffer { width: u32::MAX }.build()).contains("1 to 2048 bits"));
    let master = AxiReadMaster { beat_bytes: 24, ..library::read_master(1) };
    assert!(text(master.build()).contains("beat_bytes = 24: expected a power of two"));
    let ports = AxiStreamWidener { narrow_bytes: 64, ratio: 32 };
    assert!(text(ports.build()).contains("narrow_bytes * ratio = 2048: expected at most 256"));
}
