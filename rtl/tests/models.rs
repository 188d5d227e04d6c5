//! Library blocks against plain software models that know no hardware, and mutants of the blocks.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
mod library;
mod model;

use std::{collections::BTreeMap, sync::Arc};

use attelier_rtl::{
    bench::{mutants, run_native},
    bits::Bits,
    blocks::*,
    ir::{MemoryStyle, Module, Type},
};
use model::Ports;

/// Cycles compared per block.
const CYCLES: usize = 1500;
/// Mutants tried per block.
const MUTANTS: usize = 40;

/// A model: the inputs of a cycle in, the outputs that it knows of that cycle out.
type Model = Box<dyn FnMut(&Ports) -> Ports>;

/// Compares a module with a model; the first difference, or the number of values compared.
fn compare(module: &Arc<Module>, mut model: Model, seed: u64) -> Result<u64, String> {
    let mut vectors = common::random_vectors(module, CYCLES, seed);
    // Without stretches of one-sided traffic a deep queue would never be full.
    for (cycle, vector) in vectors.iter_mut().enumerate() {
        let quiet = ["", "tready", "tvalid"][cycle / 250 % 3];
        for (value, (name, _)) in vector.iter_mut().zip(module.inputs()) {
            if !quiet.is_empty() && name.ends_with(quiet) {
                *value = Bits::zero(1);
            }
        }
    }
    let rows = run_native(module, &vectors).map_err(|error| error.to_string())?;
    let inputs: Vec<String> = module.inputs().map(|(name, _)| name.to_owned()).collect();
    let outputs: Vec<String> = module.outputs().map(|(name, _)| name.to_owned()).collect();
    let mut compared = 0;
    for (cycle, (vector, row)) in vectors.iter().zip(&rows).enumerate() {
        let given: Ports = inputs.iter().cloned().zip(vector.iter().map(model::value)).collect();
        let seen: Ports = outputs.iter().cloned().zip(row.iter().map(model::value)).collect();
        for (name, expected) in model(&given) {
            if seen[&name] != expected {
                let found = seen[&name];
                return Err(format!("cycle {cycle}, {name}: expected {expected}, found {found}"));
            }
            compared += 1;
        }
    }
    Ok(compared)
}

/// The module equals its model, and some of its mutants do not.
fn check(module: Result<Arc<Module>, attelier_rtl::Error>, model: &dyn Fn() -> Model) {
    let module = module.unwrap();
    let compared = compare(&module, model(), 1).unwrap_or_else(|first| {
        panic!("{}: {first}", module.name());
    });
    assert!(compared >= CYCLES as u64 / 2, "{}: only {compared} values", module.name());
    let mutants = mutants(&module);
    let step = mutants.len().div_ceil(MUTANTS).max(1);
    let tried: Vec<_> = mutants.iter().step_by(step).collect();
    let caught = tried.iter().filter(|one| compare(&one.module, model(), 1).is_err()).count();
    eprintln!("{}: {compared} values, {caught} of {} mutants", module.name(), tried.len());
    assert!(tried.is_empty() || caught * 2 > tried.len(), "{}: {caught}", module.name());
}

#[test]
fn queues_of_every_depth_keep_order() {
    for (width, depth) in [(8, 3), (60, 4), (12, 17), (16, 66), (9, 130)] {
        check(Fifo { width, depth }.build(), &|| model::queue(depth as usize, true));
    }
}

#[test]
fn a_skid_buffer_is_a_queue_of_two() {
    check(SkidBuffer { width: 24 }.build(), &|| model::queue(2, false));
}

#[test]
fn a_pipeline_register_holds_one_beat() {
    check(PipelineRegister { width: 24 }.build(), &model::pipeline_register);
}

#[test]
fn adder_trees_add_all_lanes_a_level_per_cycle() {
    for lanes in [2, 3, 7, 16, 33] {
        for ty in [Type::unsigned(9), Type::signed(12)] {
            let tree = AdderTree { lanes, ty };
            let latency = (lanes as f64).log2().ceil() as usize;
            check(tree.build(), &|| model::adder_tree(lanes, ty, latency));
        }
    }
}

#[test]
fn prefix_sums_add_all_lanes_below() {
    for lanes in [2, 5, 8, 19] {
        let delays = [(Pipelining::Combinational, 0), (Pipelining::EveryLevel, 1)];
        for (pipelining, factor) in delays {
            let sum = PrefixSum { lanes, width: 7, pipelining };
            let latency = factor * (lanes as f64).log2().ceil() as usize;
            check(sum.build(), &|| model::prefix_sum(lanes, latency));
        }
    }
}

#[test]
fn barrel_shifters_shift() {
    for width in [2, 13, 16, 57] {
        for shift in [Shift::Left, Shift::Right, Shift::RightSigned] {
            check(BarrelShifter { width, shift }.build(), &|| model::shifter(width, shift));
        }
    }
    let rotate = BarrelShifter { width: 32, shift: Shift::RotateLeft };
    check(rotate.build(), &|| model::shifter(32, Shift::RotateLeft));
}

#[test]
fn arbiters_grant_in_their_order() {
    for requests in [2, 5, 16, 33] {
        check(LowestFirstArbiter { requests }.build(), &model::lowest_first);
        check(RoundRobinArbiter { requests }.build(), &|| model::round_robin(requests));
    }
}

#[test]
fn memories_remember() {
    for style in [MemoryStyle::Distributed, MemoryStyle::Block] {
        let ram = DualPortRam { width: 20, depth: 64, style };
        check(ram.build(), &|| model::dual_port_ram(64));
    }
}

#[test]
fn a_crossbar_serves_every_output_in_turn() {
    check(Crossbar { inputs: 3, outputs: 4, width: 10 }.build(), &|| model::crossbar(3, 4));
    check(Crossbar { inputs: 5, outputs: 3, width: 33 }.build(), &|| model::crossbar(5, 3));
}

#[test]
fn a_widener_gathers_bytes_in_order() {
    check(AxiStreamWidener { narrow_bytes: 2, ratio: 3 }.build(), &|| model::widener(2, 3));
    check(AxiStreamWidener { narrow_bytes: 1, ratio: 8 }.build(), &|| model::widener(1, 8));
}

#[test]
fn registers_hold_what_the_bus_wrote() {
    check(AxiLiteRegisters { controls: 3, statuses: 2 }.build(), &|| model::axi_lite(3, 2));
    check(AxiLiteRegisters { controls: 4, statuses: 0 }.build(), &|| model::axi_lite(4, 0));
}

#[test]
fn a_comparison_of_nothing_does_not_count() {
    let nothing: &dyn Fn() -> Model = &|| Box::new(|_| BTreeMap::new());
    assert_eq!(compare(&SkidBuffer { width: 4 }.build().unwrap(), nothing(), 1), Ok(0));
}
