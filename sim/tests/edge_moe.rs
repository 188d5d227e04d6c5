//! Edge-MoE against closed forms and against what is published of it.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use attelier_hw::config;
use attelier_hw::edge_moe::EdgeMoe;
use attelier_sim::designs::edge_moe::dataflow::{Call, stretched};
use attelier_sim::designs::edge_moe::linear::{Finish, Matrix};
use attelier_sim::designs::edge_moe::schedule::phase;
use attelier_sim::designs::edge_moe::units::{Port, Unit};
use attelier_sim::designs::edge_moe::{attention, embedding, gating, layer_norm, linear, simulate};
use attelier_sim::kernel::run::Mode;
use attelier_sim::observe::Nobody;
use attelier_sim::result::RunResult;
use attelier_workloads::Knobs;
use attelier_workloads::vision::{ImageShape, MoeImage, load_with};

fn machine(set: &[&str]) -> EdgeMoe {
    let sets: Vec<String> = set.iter().map(ToString::to_string).collect();
    EdgeMoe::check(&config::load("edge-moe", None, &sets).unwrap()).unwrap()
}

fn image(set: &[(&str, &str)]) -> MoeImage {
    let mut knobs = Knobs::default();
    for (name, value) in set {
        knobs.set(name, value).unwrap();
    }
    load_with("m3vit-tiny/cityscapes", &knobs).unwrap()
}

fn shape() -> ImageShape {
    image(&[]).shape
}

fn run(machine: &EdgeMoe, image: &MoeImage) -> RunResult {
    simulate(machine, image, Mode::Jump, &mut Nobody).unwrap()
}

fn cycles(result: &RunResult, names: &[&str]) -> u64 {
    let phases = result.phases.iter().filter(|phase| names.contains(&phase.name));
    phases.map(|phase| phase.cycles).sum()
}

/// Trip counts of the loops of a unit, in the order of the call.
fn trips(call: &Call, unit: Unit) -> Vec<u64> {
    let processes = call.processes.iter().filter(|process| process.unit == unit);
    processes.map(|process| process.iterations).collect()
}

fn matrix(inputs: u32, outputs: u32, finish: Finish) -> Matrix {
    Matrix { inputs, outputs, from: Port::Inout1, to: Port::Inout4, finish }
}

// --- trip counts of the released code

#[test]
fn loops_of_attention_run_as_often_as_in_the_released_code() {
    let (machine, shape) = (machine(&[]), shape());
    assert_eq!(attention::token_steps(129, 4), 4257);
    let scores = attention::qk_product(&machine, &shape);
    assert_eq!(trips(&scores, Unit::QkProduct), [102_168]);
    assert_eq!(trips(&scores, Unit::Inout3), [102_168]);
    assert_eq!(trips(&scores, Unit::Inout2), [3096]);
    assert_eq!(trips(&scores, Unit::Softmax), [17_028]);
    assert_eq!(trips(&scores, Unit::Inout1), [17_028]);
    assert_eq!(trips(&scores, Unit::Inout4), [129]);
    let mix = attention::pv_product(&machine, &shape);
    assert_eq!(trips(&mix, Unit::PvProduct), [102_168]);
    assert_eq!(trips(&mix, Unit::Inout2), [102_168]);
    assert_eq!(trips(&mix, Unit::Inout1), [17_028, 3096]);
}

/// Table of the paper: tokens loaded and steps with and without reordering. The loads of the queries
/// are N; the p - 1 steps of the stagger complete the last pass.
#[test]
fn reordering_saves_loads_as_the_paper_counts_them() {
    let shape = shape();
    for (queries, loads) in [(1, 129 * 129), (4, 33 * 129), (8, 17 * 129)] {
        let machine = machine(&[&format!("attention.queries={queries}")]);
        let call = attention::qk_product(&machine, &shape);
        assert_eq!(trips(&call, Unit::Inout3), [loads * 24], "{queries}");
        assert_eq!(attention::token_steps(129, queries), loads, "{queries}");
    }
    // 129 + 6 - 1 = 22 * 6 + 2.
    assert_eq!(attention::token_steps(129, 6), 22 * 129 + 2);
    let without = machine(&["techniques.qk_reordering=false"]);
    let call = attention::qk_product(&without, &shape);
    assert_eq!(trips(&call, Unit::Inout3), [129 * 129 * 24]);
    assert_eq!(trips(&call, Unit::QkProduct), [33 * 129 * 24]);
}

#[test]
fn loops_of_the_linear_unit_run_as_often_as_in_the_released_code() {
    let machine = machine(&[]);
    for (inputs, outputs, tokens, expected) in [
        (192, 192, 129, 18_576),
        (192, 768, 129, 74_304),
        (768, 192, 129, 74_304),
        (192, 384, 1, 288),
        (384, 192, 1, 288),
    ] {
        let call = linear::linear(&machine, &matrix(inputs, outputs, Finish::Store), tokens);
        assert_eq!(trips(&call, Unit::Linear), [expected], "{inputs} x {outputs}");
    }
    for (inputs, outputs, words, bias) in
        [(192, 192, 2304, 12), (768, 192, 9216, 12), (384, 192, 4608, 12), (192, 384, 4608, 24)]
    {
        let loads = linear::load(&machine, &matrix(inputs, outputs, Finish::Store));
        assert_eq!(trips(&loads[0], Unit::WeightLoader), [words], "{inputs} x {outputs}");
        assert_eq!(trips(&loads[1], Unit::WeightLoader), [bias], "{inputs} x {outputs}");
    }
}

#[test]
fn the_other_loops_run_as_often_as_in_the_released_code() {
    let (machine, shape) = (machine(&[]), shape());
    let embedding = embedding::patch_embedding(&machine, &shape);
    assert_eq!(trips(&embedding, Unit::PatchEmbedding), [73_728]);
    assert_eq!(embedding::weight_words(&machine, &shape), 3 * 16 * 192);
    assert_eq!(trips(&embedding::add(&machine, &shape), Unit::Adder), [3096]);
    assert_eq!(trips(&gating::zero_output(&machine, &shape), Unit::Inout3), [3096]);
    assert_eq!(trips(&gating::load(&machine, &shape), Unit::Weights), [24 * 16]);
    assert_eq!(trips(&layer_norm::layer_norm(&machine, &shape), Unit::Inout2), [129]);
}

// --- cycles of calls: closed forms, with a simple memory

/// No refresh, no latency of the port: what remains is the slowest loop and the depth behind it.
const SIMPLE: [&str; 2] = ["dram.refresh_ns=0", "port.latency_cycles=0"];

/// The sum of the depths of all loops, the most that filling and draining can add.
fn depths(call: &Call) -> u64 {
    call.processes.iter().map(|process| process.latency + process.interval + 2).sum()
}

fn assert_bound(call: &Call, machine: &EdgeMoe, slowest: u64) {
    let cycles = call.cycles(machine);
    // A pass that arrives at once is worked off behind the slowest loop.
    let most = slowest + depths(call) + 24;
    assert!((slowest..=most).contains(&cycles), "{cycles} of {slowest} to {most}");
}

#[test]
fn products_of_attention_are_bound_by_the_port_of_keys_and_values() {
    for (width, word) in [("16", 2), ("32", 1), ("8", 4)] {
        let set = [SIMPLE[0], SIMPLE[1], &format!("port.beat_bytes={width}")];
        let (machine, shape) = (machine(&set), shape());
        for call in
            [attention::qk_product(&machine, &shape), attention::pv_product(&machine, &shape)]
        {
            assert_bound(&call, &machine, 102_168 * word);
        }
    }
}

#[test]
fn the_softmax_limits_the_product_beyond_six_cycles_a_score() {
    let shape = shape();
    // 102,168 words over 17,028 groups of scores; four scores of a query are in turn.
    for (recurrence, slowest) in [(24, 102_168), (28, 7 * 17_028), (40, 10 * 17_028)] {
        let recurrence = format!("softmax.recurrence_cycles={recurrence}");
        let machine = machine(&[SIMPLE[0], SIMPLE[1], "port.beat_bytes=32", &recurrence]);
        assert_bound(&attention::qk_product(&machine, &shape), &machine, slowest);
    }
}

#[test]
fn a_linear_layer_takes_a_cycle_per_block_or_two_per_word() {
    let machine = machine(&SIMPLE);
    for (inputs, outputs, slowest) in
        [(192, 192, 18_576), (192, 768, 74_304), (768, 192, 74_304), (192, 16, 129 * 24 * 2)]
    {
        let call = linear::linear(&machine, &matrix(inputs, outputs, Finish::Gelu), 129);
        // The first token needs its whole row.
        let cycles = call.cycles(&machine);
        let most = slowest + depths(&call) + 2 * u64::from(inputs.max(outputs)) / 8;
        assert!((slowest..=most).contains(&cycles), "{inputs} x {outputs}: {cycles}");
    }
}

#[test]
fn each_latency_of_the_port_counts_once_and_refreshes_stretch_transfers() {
    let load = |set: &[&str]| {
        let machine = machine(set);
        let loads = linear::load(&machine, &matrix(384, 192, Finish::Store));
        (loads[0].cycles(&machine), machine)
    };
    let (simple, _) = load(&SIMPLE);
    assert_eq!(simple, 2 * 4608 + 2);
    assert_eq!(load(&["dram.refresh_ns=0", "port.latency_cycles=100"]).0, simple + 100);
    let (refreshed, machine) = load(&["port.latency_cycles=0"]);
    // 350 ns of each 7,800 ns are lost.
    assert_eq!(stretched(&machine, 7450), 7800);
    let expected = 2.0 * 4608.0 * 7800.0 / 7450.0;
    assert!((refreshed as f64 - expected).abs() < 4.0, "{refreshed}");
}

#[test]
fn layer_norm_and_gate_take_their_tokens_one_after_the_other() {
    let (machine, shape) = (machine(&SIMPLE), shape());
    // Mean of squares and its distance, root, division, two products and two sums, 24 words.
    let token = (4 + 2 + 28 + 58) + (2 * 4 + 2) + 48;
    assert_bound(&layer_norm::layer_norm(&machine, &shape), &machine, 129 * token);
    // 24 words; products and their sum; 16 experts every 3 cycles, exponential, product and sums;
    // difference, exponential and division of those chosen.
    let token = 48 + (4 + 4) + (16 * 3 + 16 + 4 + 2) + (1 + 16 + 58);
    assert_eq!(gating::token_cycles(&machine, &shape), token);
    assert_bound(&gating::gating(&machine, &shape), &machine, 129 * token);
}

// --- the expert loop

/// The closed form of the dossier: L + sum over active experts of max(288 q, L) + max(288 q, L or 0).
#[test]
fn the_expert_loop_hides_the_shorter_of_loads_and_products() {
    let machine = machine(&SIMPLE);
    let lists = [
        None,
        Some("129,129,0,0,0,0,0,0,0,0,0,0,0,0,0,0".to_owned()),
        Some(format!("18,16{}", ",16".repeat(14))),
    ];
    for list in lists {
        let set: Vec<_> = list.iter().map(|list| ("queues", list.as_str())).collect();
        let image = image(&set);
        let queues: Vec<u64> = image.routing[0].active().map(u64::from).collect();
        let load = 2 * 4608;
        let mut expected = load;
        for (index, queue) in queues.iter().enumerate() {
            let next = if index + 1 < queues.len() { load } else { 0 };
            expected += (288 * queue).max(load) + (288 * queue).max(next);
        }
        let ours = cycles(&run(&machine, &image), &[phase::EXPERTS]);
        let floor = 6 * expected;
        // Bias, filling and draining, a few tens of cycles for each of two calls.
        let most = floor + 6 * 2 * (queues.len() as u64 + 1) * 180;
        assert!((floor..=most).contains(&ours), "{ours} of {floor} to {most}, {queues:?}");
    }
}

#[test]
fn without_overlap_loads_and_products_add_up() {
    let uniform = format!("18,16{}", ",16".repeat(14));
    let image = image(&[("queues", &uniform)]);
    let machine = machine(&[SIMPLE[0], SIMPLE[1], "overlap.expert_weights=false"]);
    let ours = cycles(&run(&machine, &image), &[phase::EXPERTS]);
    // 258 tokens and experts of 2 x 288 blocks, 32 loads of 9,216 cycles: the dossier's 443,520.
    assert_eq!(32 * 9216 + 258 * 576, 443_520);
    let floor = 6 * 443_520;
    assert!((floor..floor + 6 * 32 * 200).contains(&ours), "{ours}");
}

#[test]
fn an_expert_without_tokens_is_neither_loaded_nor_computed() {
    let machine = machine(&[]);
    let read = |image: &MoeImage| {
        let result = run(&machine, image);
        result.streams.iter().find(|stream| stream.name == "weights_read").unwrap().bytes
    };
    let [measured, two] = [image(&[]), image(&[("skew", "all")])];
    // Two matrices of 16-bit weights and their biases, for each of the 12 and of 2 experts.
    let expert = 2 * 192 * 384 * 2 + (192 + 384) * 2;
    assert_eq!(read(&measured) - read(&two), 6 * 10 * expert);
}

// --- the whole machine

#[test]
fn both_modes_give_the_same_result() {
    let (machine, image) = (machine(&[]), image(&[("skew", "1")]));
    let every = simulate(&machine, &image, Mode::EveryCycle, &mut Nobody).unwrap();
    assert_eq!(every, run(&machine, &image));
}

#[test]
fn phases_add_up_and_work_moves_no_faster_than_the_memory() {
    let result = run(&machine(&[]), &image(&[]));
    let sum: u64 = result.phases.iter().map(|phase| phase.cycles).sum();
    assert_eq!(sum, result.cycles);
    let bytes: u64 = result.streams.iter().map(|stream| stream.bytes).sum();
    assert!(bytes * result.clock_hz / result.cycles < 17_066_666_667);
    // 17,983,488 trained numbers of 16 bits without those of four idle experts, and without padding.
    let weights = result.streams.iter().find(|stream| stream.name == "weights_read").unwrap();
    assert!((27_000_000..36_500_000).contains(&weights.bytes), "{}", weights.bytes);
}

const TECHNIQUES: [&str; 6] = [
    "techniques.qk_reordering=false",
    "techniques.pv_reordering=false",
    "techniques.unified_linear=false",
    "techniques.table_gelu=false",
    "techniques.single_pass_softmax=false",
    "techniques.expert_reordering=false",
];

#[test]
fn leaving_out_one_more_technique_is_always_slower() {
    let image = image(&[]);
    let times = (0..=6).map(|left_out| run(&machine(&TECHNIQUES[..left_out]), &image).cycles);
    let times: Vec<u64> = times.collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    for technique in TECHNIQUES {
        assert!(run(&machine(&[technique]), &image).cycles > times[0], "{technique}");
    }
}

/// Measured on the board: 34.64 ms, half of it in the products of attention, 35 % in linear layers and
/// experts.
#[test]
fn an_image_takes_about_the_published_time() {
    let result = run(&machine(&[]), &image(&[]));
    let ms = result.cycles as f64 / result.clock_hz as f64 * 1e3;
    assert!((ms / 34.64 - 1.0).abs() < 0.05, "{ms}");
    let share = |names: &[&str]| cycles(&result, names) as f64 / result.cycles as f64;
    let products = share(&[phase::QK, phase::PV]);
    assert!((0.45..0.55).contains(&products), "{products}");
}

#[test]
fn sizes_that_do_not_fit_are_named() {
    let refused = |set: &[&str], change: fn(&mut ImageShape)| {
        let mut image = image(&[]);
        change(&mut image.shape);
        simulate(&machine(set), &image, Mode::Jump, &mut Nobody).unwrap_err().to_string()
    };
    let text = refused(&["linear.buffer_weights=147455"], |_| ());
    assert!(text.contains("192 x 768 weights") && text.contains("buffer_weights=147456"), "{text}");
    let text = refused(&[], |shape| shape.mlp_hidden = 100);
    assert!(text.contains("`mlp_hidden` is 100: expected a multiple of 8"), "{text}");
    let text = refused(&[], |shape| shape.patch_columns = 15);
    assert!(text.contains("`line of pixels` is 240: expected a multiple of 32"), "{text}");
}
