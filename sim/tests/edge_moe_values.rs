//! The numbers of Edge-MoE: on the real tensors (M3ViT-tiny, Cityscapes) against arrays that NumPy
//! computed in `f64`, and on drawn ones against the same network in floats.
//!
//! The tensors are not part of this repository: they are looked for in `ATTELIER_SHARED`, or in
//! `shared` beside the repository.
#![allow(clippy::unwrap_used, reason = "operands of a test fit together, or it fails")]

use std::env;
use std::path::{Path, PathBuf};

use attelier_hw::config;
use attelier_hw::edge_moe::EdgeMoe;
use attelier_sim::designs::edge_moe::functional::{compute, to_real};
use attelier_sim::deviation::Deviation;
use attelier_workloads::Knobs;
use attelier_workloads::file::{OpenedNetwork, open_network};
use attelier_workloads::vision::{ImageTrace, LayerTrace, Network, model};
use ndarray::Array2;
use ndarray_npy::read_npy;

const IMAGE: &str = "m3vit-tiny/cityscapes";

/// The folder of the tensors. Where it is absent, a skipped check.
fn folder() -> Option<PathBuf> {
    let shared = env::var_os("ATTELIER_SHARED").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = shared.unwrap_or_else(beside).join("data/edge-moe");
    if folder.exists() {
        return Some(folder);
    }
    let required = env::var("ATTELIER_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(!required, "{} is absent and ATTELIER_REQUIRE_ALL=1", folder.display());
    eprintln!("skipped: {} is absent", folder.display());
    None
}

fn open(folder: &Path) -> OpenedNetwork {
    open_network(folder, &model(IMAGE, &Knobs::default()).unwrap()).unwrap()
}

fn machine(set: &[&str]) -> EdgeMoe {
    let sets: Vec<String> = set.iter().map(ToString::to_string).collect();
    EdgeMoe::check(&config::load("edge-moe", None, &sets).unwrap()).unwrap()
}

fn golden(folder: &Path, name: &str) -> Array2<f64> {
    let golden: Array2<f32> = read_npy(folder.join(format!("golden/{name}.npy"))).unwrap();
    golden.mapv(f64::from)
}

/// How far an array is from its golden counterpart.
fn deviation<T: Copy + Into<f64>>(folder: &Path, name: &str, found: &Array2<T>) -> Deviation {
    let golden = golden(folder, name);
    assert_eq!(found.dim(), golden.dim(), "{name}");
    let mut deviation = Deviation::default();
    found.iter().zip(&golden).for_each(|(&found, &golden)| deviation.add(found.into(), golden));
    eprintln!("{name}: rms {:.2e}, largest {:.2e}", deviation.rms(), deviation.max_abs);
    deviation
}

/// Every golden array but those of gates, by name.
fn arrays<T>(trace: &ImageTrace<T>) -> [(&'static str, &Array2<T>); 7] {
    let [first, second]: [&LayerTrace<T>; 2] = [&trace.layers[0], &trace.layers[1]];
    [
        ("x_patch_embed", &trace.embedded),
        ("l0_norm1", &first.attention_input),
        ("l0_attn_out", &first.attended),
        ("l0_x_post_attn", &first.after_attention),
        ("l0_x_post_mlp", &first.output),
        ("l1_x_post_attn", &second.after_attention),
        ("l1_gate_input", &second.mixer_input),
    ]
}

/// Tokens whose experts are the golden ones, in the golden order.
fn same_order<T>(folder: &Path, task: usize, trace: &ImageTrace<T>) -> usize {
    let name = format!("golden/l1_top2_index_task{task}.npy");
    let golden: Array2<i32> = read_npy(folder.join(name)).unwrap();
    let found = &trace.layers[1].routing.as_ref().unwrap().experts;
    let rows = found.rows().into_iter().zip(golden.rows());
    rows.filter(|(found, golden)| found.iter().zip(golden).all(|(&a, &b)| a as i32 == b)).count()
}

#[test]
fn the_network_in_floats_meets_every_golden_array() {
    let Some(folder) = folder() else { return };
    let opened = open(&folder);
    assert_eq!(opened.read.len(), 38, "{:?}", opened.read);
    let mut compared = 0;
    for task in 0..2 {
        let trace = opened.network.exact(task);
        let routing = trace.layers[1].routing.as_ref().unwrap();
        let gate = |what: &str| format!("l1_{what}_task{task}");
        let gates = [(gate("gate_logits"), &routing.logits), (gate("top2_score"), &routing.scores)];
        let others = arrays(&trace).map(|(name, array)| (name.to_owned(), array));
        for (name, array) in others.into_iter().chain(gates) {
            assert!(deviation(&folder, &name, array).max_abs < 1e-4, "{name}");
            compared += 1;
        }
        assert_eq!(same_order(&folder, task, &trace), 129);
    }
    assert_eq!(compared, 2 * 9);
}

#[test]
fn the_bits_of_the_machine_stay_close_to_the_golden_arrays() {
    let Some(folder) = folder() else { return };
    let network = open(&folder).network;
    // Lengths of the queues by the golden arrays.
    let lengths = [
        [0, 6, 0, 32, 0, 27, 15, 24, 22, 19, 0, 22, 11, 33, 32, 15],
        [0, 17, 0, 41, 1, 22, 16, 25, 2, 19, 0, 23, 16, 1, 51, 24],
    ];
    for (task, lengths) in lengths.into_iter().enumerate() {
        let trace = to_real(&compute(&machine(&[]), &network, task).unwrap());
        for (name, array) in arrays(&trace) {
            assert!(deviation(&folder, name, array).rms() < 5e-3, "{name}");
        }
        assert!(same_order(&folder, task, &trace) >= 128);
        let routing = trace.layers[1].routing.as_ref().unwrap();
        let scores = deviation(&folder, &format!("l1_top2_score_task{task}"), &routing.scores);
        assert!(scores.rms() < 2e-3);
        let off = routing.queues().iter().zip(lengths).map(|(a, b)| a.abs_diff(b)).sum::<u32>();
        // One token with one other expert moves two lengths by one.
        assert!(off <= 2, "{:?}", routing.queues());
    }
}

/// No number of this network leaves the range of features, so that both kinds of arithmetic agree bit
/// by bit.
#[test]
fn saturation_changes_nothing_within_the_range() {
    let shape = model(IMAGE, &Knobs::default()).unwrap().shape;
    let network = Network::generated(&shape, 2, 1);
    let [wrapped, saturated] = ["false", "true"].map(|saturate| {
        let set = format!("arithmetic.saturate={saturate}");
        compute(&machine(&[&set]), &network, 0).unwrap()
    });
    assert_eq!(wrapped, saturated);
}

/// Drawn weights keep features near a deviation of one, so errors grow slowly from layer to layer. A
/// token that is routed to another expert is off by a whole expert from there on.
#[test]
fn all_layers_of_a_drawn_network_stay_close_to_floats() {
    let shape = model(IMAGE, &Knobs::default()).unwrap().shape;
    let network = Network::generated(&shape, 2, 0);
    let (found, expected) = (compute(&machine(&[]), &network, 0).unwrap(), network.exact(0));
    let found = to_real(&found);
    for (index, (found, expected)) in found.layers.iter().zip(&expected.layers).enumerate() {
        let mut deviation = Deviation::default();
        for (found, expected) in found.output.iter().zip(&expected.output) {
            deviation.add(*found, f64::from(*expected));
        }
        let same = found.routing.as_ref().zip(expected.routing.as_ref());
        let same = same.map_or(129, |(found, expected)| found.same_experts(expected));
        eprintln!("layer {index}: rms {:.2e}, same experts {same}", deviation.rms());
        assert!(deviation.cosine() > 0.999, "layer {index}: {}", deviation.cosine());
        assert!(same >= 120, "layer {index}: {same}");
    }
}

/// A softmax that starts elsewhere sums in another order: last bits differ, nothing else.
#[test]
fn the_order_of_keys_follows_from_the_query_slots() {
    let mut shape = model(IMAGE, &Knobs::default()).unwrap().shape;
    shape.layers = 1;
    let network = Network::generated(&shape, 1, 0);
    let run = |set: &[&str]| compute(&machine(set), &network, 0).unwrap().layers.swap_remove(0);
    let base = run(&[]);
    for set in ["attention.queries=8", "techniques.qk_reordering=false"] {
        let other = run(&[set]);
        assert_eq!(other.attention_input, base.attention_input);
        assert_ne!(other.attended, base.attended, "{set}");
        let pairs = other.attended.iter().zip(&base.attended);
        let most = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        // 2^-12 of a feature.
        assert!(most < 1 << 10, "{set}: {most}");
    }
    // Without the other technique the same bits come out later.
    assert_eq!(run(&["techniques.expert_reordering=false"]), base);
}
