//! M3ViT's accelerator against closed forms.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use attelier_hw::config;
use attelier_hw::m3vit::M3vit;
use attelier_sim::designs::m3vit::memory::OnChip;
use attelier_sim::designs::m3vit::{M3vitError, simulate, steps::phase};
use attelier_sim::observe::Nobody;
use attelier_sim::result::RunResult;
use attelier_workloads::Knobs;
use attelier_workloads::vision::{MoeImage, load_with};

fn machine(set: &[&str]) -> M3vit {
    let sets: Vec<String> = set.iter().map(ToString::to_string).collect();
    M3vit::check(&config::load("m3vit", None, &sets).unwrap()).unwrap()
}

fn image(name: &str, set: &[(&str, &str)]) -> MoeImage {
    let mut knobs = Knobs::default();
    for (name, value) in set {
        knobs.set(name, value).unwrap();
    }
    load_with(name, &knobs).unwrap()
}

fn run(machine: &M3vit, image: &MoeImage) -> RunResult {
    simulate(machine, image, &mut Nobody).unwrap()
}

fn cycles(result: &RunResult, name: &str) -> u64 {
    result.phases.iter().filter(|phase| phase.name == name).map(|phase| phase.cycles).sum()
}

/// Bytes at 64 per cycle, 19.2 GB/s at 300 MHz, rounded up.
fn load(weights: u64) -> u64 {
    (2 * weights).div_ceil(64)
}

/// 1025 tokens on 1536 multipliers: 384^2 products of a token take 96 cycles, which hides every load. What
/// shows is the first load, of the patch embedding.
#[test]
fn a_dense_model_is_bound_by_its_products() {
    let result = run(&machine(&[]), &image("vit-small/pascal-context", &[]));
    let tokens = 1025;
    let embedding = load(768 * 384 + 384) + 1024 * 768 * 384 / 1536;
    assert_eq!(cycles(&result, phase::EMBEDDING), embedding);
    assert_eq!(cycles(&result, phase::LINEAR), 12 * tokens * 4 * 96);
    assert_eq!(cycles(&result, phase::MLP), 12 * tokens * 8 * 96);
    let products = (2 * tokens * tokens * 384).div_ceil(1536);
    assert_eq!(cycles(&result, phase::PRODUCTS), 12 * products);
    let sum: u64 = result.phases.iter().map(|phase| phase.cycles).sum();
    assert_eq!(result.cycles, sum);
}

/// 4 experts of a quarter of the MLP are the MLP; the gate comes on top: 4 cycles for each token.
#[test]
fn experts_cost_what_the_gate_costs() {
    let dense = run(&machine(&[]), &image("vit-small/nyud-v2", &[]));
    let sparse = run(&machine(&[]), &image("m3vit-small/nyud-v2", &[]));
    let gate = 6 * 1201 * 4;
    assert_eq!(cycles(&sparse, phase::GATING), gate);
    assert_eq!(sparse.cycles, dense.cycles + gate);
}

/// 129 tokens on 16 experts with 32 each and 4 left over: 33 * 192 = 6336 cycles at most for an expert, less
/// than the 9240 that its weights take.
#[test]
fn short_queues_are_bound_by_the_load_of_experts() {
    let queues = [vec!["33"; 4], vec!["32"; 12]].concat().join(",");
    let image = image("m3vit-small/cityscapes", &[("queues", &queues)]);
    let result = run(&machine(&[]), &image);
    // The first is there when the gate is done; each of the others comes one load later.
    let expert = load(2 * 384 * 384 + 768);
    assert_eq!(cycles(&result, phase::EXPERTS), 6 * (15 * expert + 32 * 192));
}

/// A cold cache of one expert: each token with one expert, always the same, is one load in each layer.
#[test]
fn a_cache_loads_what_it_does_not_hold() {
    let machine = machine(&["experts.reordering=false", "experts.cached=1"]);
    let image = image("m3vit-small/nyud-v2", &[("top_k", "1"), ("skew", "all")]);
    let expert = load(2 * 384 * 384 + 768);
    let each = 2 * 384 * 384 / 1536;
    let first = cycles(&run(&machine, &image), phase::EXPERTS);
    assert_eq!(first, 6 * (expert + 1201 * each));
}

#[test]
fn a_switch_of_the_task_costs_nothing() {
    let queues = [("skew", "all"), ("top_k", "4")];
    let run = |task| {
        let set = [&queues[..], &[("task", task)]].concat();
        run(&machine(&[]), &image("m3vit-small/pascal-context", &set))
    };
    let tasks = ["0", "1", "4"].map(run);
    assert!(tasks.iter().all(|result| result.cycles == tasks[0].cycles));
    assert!(tasks.iter().all(|result| result.streams == tasks[0].streams));
}

/// Twice the larger matrix of the MLP, one gate, three maps of 1201 tokens; 12 more experts.
#[test]
fn memory_on_the_chip_follows_from_sizes() {
    let (machine, shape) = (machine(&[]), image("m3vit-small/nyud-v2", &[]).shape);
    let mlp = 2 * 2 * (384 * 1536 + 1536);
    let expected = OnChip { weights: mlp, gate: 2 * 384 * 16, features: 3 * 1201 * 384 * 2 };
    assert_eq!(OnChip::of(&machine, &shape), expected);
    let more = 16 * 2 * (2 * 384 * 384 + 768) - mlp;
    assert_eq!(OnChip::with_all_experts(&machine, &shape), expected.total() + more);
    let dense = image("vit-small/nyud-v2", &[]).shape;
    assert_eq!(OnChip::of(&machine, &dense).gate, 0);
}

#[test]
fn what_the_machine_cannot_compute_is_refused_with_what_would_do() {
    let given = [("queues", "4804,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0")];
    let given = {
        let mut knobs = Knobs::default();
        given.iter().for_each(|(name, value)| knobs.set(name, value).unwrap());
        load_with("m3vit-small/nyud-v2", &knobs)
    };
    // No expert has a token twice.
    assert!(given.unwrap_err().to_string().contains("at most the 1201 tokens"));
    let measured = image("m3vit-tiny/cityscapes", &[]);
    let cached = machine(&["experts.reordering=false"]);
    let error = simulate(&cached, &measured, &mut Nobody).unwrap_err();
    assert_eq!(error, M3vitError::Queues);
    assert!(error.to_string().contains("workload.skew=0"));
}
