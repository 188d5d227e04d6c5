//! The whole Edge-MoE in RTL, run natively: images of small models, bit for bit those of the simulator.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
#[path = "../rtl/tests/common/edge_moe_sizes.rs"]
mod sizes;

use attelier::cosim::{
    Options, Plan, Witness, compare,
    edge_moe::{
        top::{Board, Finished, LAYERS, TASKS, shape, simulated, unit},
        units_of_top,
    },
};
use attelier_hw::edge_moe::{EdgeMoe, TopSizes};
use attelier_rtl::{Design, units::edge_moe::edge_moe_top, witness::Pins};
use attelier_sim::designs::edge_moe::functional;
use attelier_workloads::vision::{
    Network,
    network::{Mixer, Norm},
};
use sizes::{odd, small};

/// Cycles after which an image that is not complete never will be.
const LIMIT: u64 = 400_000;

#[test]
fn addresses_and_calls_equal_the_simulator() {
    let deployed = TopSizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
    for sizes in [small(), odd(), deployed] {
        for unit in units_of_top(&sizes).iter().filter(|unit| unit.name() != "edge_moe_top") {
            let plan = Plan { beats: 5_000, seed: 3 };
            let options = Options { with: vec![Witness::Native], plan, icarus_beats: 1 };
            let row = compare(&**unit, &options).unwrap();
            assert!(row.passed() && row.vectors >= plan.beats, "{}: {:?}", row.unit, row.faults);
        }
    }
}

/// Images of tasks one after the other; what lies in memory must be that of the functional simulator.
fn images(sizes: &TopSizes, network: &Network, tasks: &[usize], seed: u64) -> Vec<Finished> {
    let design = Design::new([&edge_moe_top(sizes).unwrap()]).unwrap();
    let pins = Pins::of(design.module("edge_moe_top").unwrap());
    let mut board = Board::new(sizes, network, &pins, seed).unwrap();
    let mut frame = pins.frame();
    let machine = simulated(sizes).unwrap();
    let image = |task: &usize| {
        board.start(*task);
        for _ in 0..LIMIT {
            if board.is_idle() {
                break;
            }
            frame.begin();
            board.cycle(&mut frame);
        }
        let finished = board.finished().expect("the image becomes complete");
        let trace = functional::compute(&machine, network, *task).unwrap();
        assert_eq!(finished.x, trace.layers.last().unwrap().output, "task {task}");
        finished
    };
    tasks.iter().map(image).collect()
}

/// Queues of the experts in the layers that have them, for a task.
fn queues(sizes: &TopSizes, network: &Network, task: usize) -> Vec<Vec<usize>> {
    let trace = functional::compute(&simulated(sizes).unwrap(), network, task).unwrap();
    let layers = trace.layers.iter().filter_map(|layer| layer.routing.as_ref());
    let count = |experts: &ndarray::Array2<usize>| {
        let mut lengths = vec![0; sizes.units.experts as usize];
        experts.iter().for_each(|expert| lengths[*expert] += 1);
        lengths
    };
    layers.map(|routing| count(&routing.experts)).collect()
}

#[test]
fn images_of_both_tasks_equal_the_simulator() {
    for seed in 0..3 {
        let sizes = small();
        let network = Network::generated(&shape(&sizes, LAYERS), TASKS, seed);
        let finished = images(&sizes, &network, &[0, 1, 1, 0], seed);
        assert_eq!(finished[0].x, finished[3].x);
        assert_eq!(finished[1].x, finished[2].x);
        assert_ne!(finished[0].x, finished[1].x, "tasks have gates of their own");
    }
}

#[test]
fn other_sizes_and_more_layers_equal_the_simulator() {
    let sizes = odd();
    for (layers, seed) in [(4, 5), (1, 6)] {
        let network = Network::generated(&shape(&sizes, layers), TASKS, seed);
        images(&sizes, &network, &[1, 0], seed);
    }
}

/// The gate of the last expert sees a feature that is large in every token, with a sign of its own for each
/// expert: one is chosen by all tokens, one by none.
fn favour(network: &mut Network) {
    for layer in &mut network.layers {
        let Mixer::Experts { gates, .. } = &mut layer.mixer else { continue };
        let Norm { weight, bias } = &mut layer.mixer_norm;
        (weight[0], bias[0]) = (0.0, 8.0);
        for gate in gates {
            let last = gate.nrows() - 1;
            (gate[[0, 0]], gate[[last, 0]]) = (-1.5, 1.5);
        }
    }
}

#[test]
fn an_expert_with_every_token_and_one_with_none_equal_the_simulator() {
    let sizes = small();
    let mut network = Network::generated(&shape(&sizes, 2), TASKS, 9);
    favour(&mut network);
    let lengths = &queues(&sizes, &network, 0)[0];
    assert_eq!((lengths[3], lengths[0]), (5, 0), "{lengths:?}");
    images(&sizes, &network, &[0, 1], 9);
}

/// Two tasks with equal gates at different addresses: the pointer costs nothing.
#[test]
fn a_task_switch_takes_no_cycle() {
    let sizes = small();
    let mut network = Network::generated(&shape(&sizes, 2), TASKS, 11);
    for layer in &mut network.layers {
        if let Mixer::Experts { gates, .. } = &mut layer.mixer {
            gates[1] = gates[0].clone();
        }
    }
    let calm = |task: usize| images(&sizes, &network, &[task], 11).remove(0);
    assert_eq!(calm(0), calm(1));
}

#[test]
fn the_comparison_of_the_machine_notices_its_mutants() {
    let options = Options {
        with: vec![Witness::Native],
        plan: Plan { beats: 6_000, seed: 2 },
        icarus_beats: 1,
    };
    let row = compare(&*unit(&small()), &options).unwrap();
    assert!(row.passed(), "{:?}", row.faults);
    eprintln!("{} beats, {} cycles, {} values", row.vectors, row.cycles, row.compared);
}

/// The beginning of an image, with every port in use, under the other simulators.
#[test]
fn other_simulators_see_what_native_execution_does() {
    for (witness, tool) in [(Witness::Icarus, "iverilog"), (Witness::Verilator, "verilator")] {
        if !common::has(tool) {
            continue;
        }
        let plan = Plan { beats: 4_000, seed: 4 };
        let options = Options { with: vec![witness], plan, icarus_beats: 4_000 };
        let row = compare(&*unit(&small()), &options).unwrap();
        assert!(row.passed(), "{tool}: {:?}", row.faults);
        eprintln!("{tool}: {} cycles, {} values", row.cycles, row.compared);
    }
}
