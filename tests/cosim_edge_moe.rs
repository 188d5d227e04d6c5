//! Edge-MoE's units in RTL, run natively: against the simulator, and against the trip counts of the released
//! loops.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{fs, path::Path};

use attelier::cosim::edge_moe::{image::Image, units};
use attelier::cosim::{Bench, Options, Plan, Real, Recorded, Unit, Witness, compare};
use attelier::values::ImageSource;
use attelier_hw::edge_moe::{EdgeMoe, Sizes};
use attelier_rtl::Simulator;
use attelier_rtl::bits::Bits;
use attelier_rtl::mutate::{Change, Mutation, mutate};
use attelier_rtl::witness::{self, Pins};
use attelier_workloads::Knobs;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::Value;

fn deployed() -> Sizes {
    Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap())
}

/// Nothing is a power of two but what must be, and counts do not divide each other.
fn small() -> Sizes {
    Sizes {
        tokens: 11,
        width: 24,
        heads: 3,
        hidden: 20,
        experts: 5,
        chosen: 3,
        lanes: 4,
        queries: 3,
        block_inputs: 4,
        block_outputs: 4,
        buffer_blocks: 25,
        ultra_ram: true,
        word_weights: 4,
        patch: 8,
        patch_columns: 6,
        colours: 3,
    }
}

fn agree(sizes: &Sizes, with: &[Witness], beats: u64) {
    let plan = Plan { beats, seed: 7 };
    let options = Options { with: with.to_vec(), plan, icarus_beats: beats };
    let units = units(sizes);
    assert_eq!(units.len(), 17);
    let mut faults = Vec::new();
    for unit in &units {
        match compare(&**unit, &options) {
            Ok(row) if row.passed() && row.vectors >= beats => {}
            Ok(row) => {
                faults.push(format!("{}: {} beats, {:?}", row.unit, row.vectors, row.faults));
            }
            Err(error) => faults.push(format!("{}: {error:#}", unit.name())),
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn all_units_equal_the_simulator() {
    agree(&deployed(), &[Witness::Native], 8_000);
}

#[test]
fn other_sizes_equal_the_simulator() {
    agree(&small(), &[Witness::Native], 20_000);
}

/// Under Icarus every output of every cycle is defined as well.
#[test]
fn the_verilog_of_all_units_equals_the_simulator_under_icarus() {
    if common::has("iverilog") {
        agree(&small(), &[Witness::Icarus], 300);
    }
}

#[test]
fn the_verilog_of_all_units_equals_the_simulator_under_verilator() {
    if common::has("verilator") {
        agree(&small(), &[Witness::Verilator], 2_000);
    }
}

/// The first two layers of the released image, with the numbers of the folder.
fn released() -> Option<Image> {
    let folder = common::shared("data/edge-moe")?;
    let name = folder.to_str().unwrap();
    let source = ImageSource::open(name, "m3vit-tiny/cityscapes", &Knobs::default());
    let source = source.unwrap().unwrap();
    let machine = EdgeMoe::preset("edge-moe").unwrap();
    Some(Image::record(&machine, source.network(), 0).unwrap())
}

/// Units that numbers of an image only cross inside of others.
const INNER: [&str; 7] = [
    "exponential",
    "divider",
    "square_root",
    "feature_adder",
    "queue_walker",
    "parameter_loader",
    "row_addresses",
];

/// What a part of the released image brings to each unit: hardware, the simulator's unit and the functional
/// model are the same.
#[test]
fn a_part_of_the_released_image_passes_through_every_unit() {
    let Some(image) = released() else { return };
    let mut seen = 0;
    for unit in units(&deployed()) {
        let design = unit.design().unwrap();
        let pins = Pins::of(design.module(unit.top()).unwrap());
        let plan = Plan { beats: 4_000, seed: 7 };
        let mut vectors = match image.vectors(&*unit, &pins, plan) {
            Ok(vectors) => vectors,
            Err(reason) => {
                assert!(INNER.contains(&unit.name()), "{}: {reason}", unit.name());
                continue;
            }
        };
        let outcome = witness::native(&design, unit.top(), &mut *vectors, u64::MAX).unwrap();
        assert!(outcome.mismatches == 0 && outcome.beats > 0, "{}: {outcome:?}", unit.name());
        seen += 1;
    }
    assert_eq!(seen, 11);
}

/// How much there is of the small parts: their ends are reached.
#[test]
fn the_gated_tokens_and_queues_of_the_released_image_pass_to_the_last_one() {
    let Some(image) = released() else { return };
    let plan = Plan { beats: 1, seed: 7 };
    let options = Options { with: vec![Witness::Native], plan, icarus_beats: 1 };
    // Words of 129 tokens; tokens; experts of task 0 that have any.
    for (name, expected) in [("gate", 129 * 24), ("expert_queues", 129), ("expert_sequencer", 12)] {
        let all = units(&deployed());
        let unit = all.iter().find(|unit| unit.name() == name).unwrap();
        let real = Bench::new(&**unit).unwrap().compare_real(&options, &image).unwrap();
        let Real::Compared { beats, mutants_caught, .. } = real else { panic!("{name}: {real:?}") };
        assert!(real.passed() && mutants_caught > 0, "{name}: {real:?}");
        assert_eq!(beats, expected, "{name}");
    }
}

/// Hardware with a fault in its arithmetic differs from what is recorded of the image.
#[test]
fn faults_are_noticed_on_the_released_image() {
    let Some(image) = released() else { return };
    for (name, module, signal, change) in [
        ("layer_norm", "layer_norm", "square_part_1", Change::Zero),
        ("linear", "linear_output", "begins", Change::Zero),
        ("qk_product", "qk_slot", "product_2", Change::Undelayed),
        ("running_softmax", "running_sum", "larger", Change::Inverted),
        ("gelu", "gelu_lane", "entry_above", Change::Zero),
    ] {
        let all = units(&deployed());
        let unit = all.iter().find(|unit| unit.name() == name).unwrap();
        let design = unit.design().unwrap();
        let mutant = mutate(&design, Mutation { module, signal, change }).unwrap();
        let pins = Pins::of(design.module(unit.top()).unwrap());
        let plan = Plan { beats: 4_000, seed: 7 };
        let mut vectors = image.vectors(&**unit, &pins, plan).unwrap();
        let found = witness::native(&mutant, unit.top(), &mut *vectors, 1).unwrap();
        assert!(found.mismatches > 0, "{name}: {module}.{signal} {change:?} is not noticed");
    }
}

/// A number of the recording that neither simulator nor hardware computes is noticed: the comparison does not
/// stop at the two of them.
#[test]
fn a_recorded_number_that_is_not_computed_is_noticed() {
    let Some(mut image) = released() else { return };
    image.gelu.results[3][5] ^= 1;
    image.layer_norm.results[40][2] ^= 1;
    image.linear.results[100][0] ^= 1;
    image.weight_loader.results.swap(0, 1);
    image.qk_product.results[50][1] ^= 1;
    image.running_softmax.results[0][0].factor ^= 1;
    image.pv_product.results[20][7] ^= 1;
    image.gate.results[4][1].1 ^= 1;
    image.patch_embedding.results[30][3] ^= 1;
    image.expert_queues.results[0][1][0].score ^= 1;
    for unit in units(&deployed()) {
        if INNER.contains(&unit.name()) || unit.name() == "expert_sequencer" {
            continue;
        }
        let design = unit.design().unwrap();
        let pins = Pins::of(design.module(unit.top()).unwrap());
        let plan = Plan { beats: 20_000, seed: 7 };
        let mut vectors = image.vectors(&*unit, &pins, plan).unwrap();
        let found = witness::native(&design, unit.top(), &mut *vectors, 1).unwrap();
        assert!(found.mismatches > 0, "{}", unit.name());
    }
}

#[test]
fn what_is_no_image_for_the_hardware_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |args: &[&str], expected: &str| {
        let run = common::attelier(folder.path(), &[&["cosim", "edge-moe/gate"], args].concat());
        let run = run.code(2);
        assert!(common::stderr(&run).contains(expected), "{}", common::stderr(&run));
        assert_eq!(common::stdout(&run), "");
    };
    refused(&["--workload", "m3vit-tiny/cityscapes"], "no folder with the tensors of an image");
    refused(&["--workload", "."], "image.float32.bin");
    refused(&["--workload", ".", "--text", "a.txt"], "leave them out for an image");
    refused(&["--set", "workload.task=1"], "expected `--workload`");
}

/// A unit, reset, with every input that says that something is there set.
fn running(sizes: &Sizes, name: &str) -> Simulator {
    let all = units(sizes);
    let unit: &dyn Unit = &**all.iter().find(|unit| unit.name() == name).unwrap();
    let design = unit.design().unwrap();
    let mut simulator = Simulator::new(&design, unit.top()).unwrap();
    simulator.reset();
    let module = design.module(unit.top()).unwrap();
    let willing =
        |port: &str| port.starts_with("s_") && port.ends_with("_tvalid") || port == "m_axis_tready";
    for (port, _) in module.inputs().filter(|(port, _)| willing(port)) {
        simulator.set(port, 1).unwrap();
    }
    simulator
}

/// Cycles from a start to `done`.
fn cycles_of(simulator: &mut Simulator, job: &[(&str, u64)]) -> u64 {
    for (port, value) in job {
        simulator.set(port, *value).unwrap();
    }
    simulator.set("start", 1).unwrap();
    simulator.step();
    simulator.set("start", 0).unwrap();
    let mut cycles = 0;
    while simulator.get("done").unwrap() == 0 {
        simulator.step();
        cycles += 1;
    }
    simulator.step();
    cycles
}

/// Trip counts of the released loops for 129 tokens, and what a pipeline takes to drain.
#[test]
fn linear_layers_take_their_trip_counts() {
    let mut linear = running(&deployed(), "linear");
    let mut layer = |tokens: u64, inputs: u64, outputs: u64| {
        let job = [("tokens", tokens), ("in_blocks", inputs / 16), ("out_blocks", outputs / 16)];
        cycles_of(&mut linear, &job)
    };
    // Operands, products, four levels, accumulator, three of GELU, the queue and the place in it.
    let drain = 11;
    assert_eq!(layer(129, 192, 192), 18_576 + drain);
    assert_eq!(layer(129, 192, 768), 74_304 + drain);
    assert_eq!(layer(129, 768, 192), 74_304 + drain);
    // Each token of an expert takes 288 cycles for each of its matrices.
    for (inputs, outputs) in [(192, 384), (384, 192)] {
        assert_eq!(layer(17, inputs, outputs), 17 * 288 + drain);
    }
}

#[test]
fn products_of_attention_take_their_trip_counts() {
    for name in ["qk_product", "pv_product"] {
        let mut product = running(&deployed(), name);
        let cycles = cycles_of(&mut product, &[]);
        assert!((102_168..102_168 + 30).contains(&cycles), "{name}: {cycles}");
    }
}

#[test]
fn matrices_are_loaded_a_word_per_cycle() {
    let mut loader = running(&deployed(), "weight_loader");
    for (inputs, outputs, words) in [(192, 192, 2304), (192, 768, 9216), (192, 384, 4608)] {
        let job = [("in_blocks", inputs / 16), ("out_blocks", outputs / 16)];
        // The words of the bias, and one cycle until all is written.
        assert_eq!(cycles_of(&mut loader, &job), words + outputs / 16);
    }
}

/// 8 rows of 9,216 steps; a word of pixels is taken every 24 of them.
#[test]
fn patches_take_their_trip_count() {
    let mut embedding = running(&deployed(), "patch_embedding");
    let (mut taken, mut cycles) = (0, 0u64);
    while taken < 8 * 9216 / 24 {
        taken += embedding.get("s_pixel_tready").unwrap();
        embedding.step();
        cycles += 1;
    }
    assert_eq!(cycles + 23, 73_728);
}

/// L + sum over experts of the longer of computing and loading, twice: what the expert loop takes by the rule
/// of the double buffer, and a cycle to begin each phase.
fn rule(queues: &[u64], load: u64, token: u64) -> u64 {
    let active: Vec<u64> = queues.iter().copied().filter(|tokens| *tokens > 0).collect();
    let Some((last, others)) = active.split_last() else { return 0 };
    let both: u64 = others.iter().map(|tokens| 2 * load.max(token * tokens)).sum();
    let phases = 1 + 2 * active.len() as u64;
    load + both + load.max(token * last) + token * last + phases
}

/// The expert loop in hardware, with a loader and a linear unit that take their time.
fn expert_loop(sequencer: &mut Simulator, queues: &[u64], load: u64, token: u64) -> u64 {
    let active: Vec<(u64, u64)> =
        (0..).zip(queues.iter().copied()).filter(|(_, tokens)| *tokens > 0).collect();
    sequencer.set("metaqueue_count", active.len() as u64).unwrap();
    sequencer.set("start", 1).unwrap();
    let (mut loading, mut computing, mut computed) = (0u64, 0u64, Vec::new());
    for cycle in 0.. {
        let at = sequencer.get("metaqueue_position").unwrap() as usize;
        let (expert, tokens) = active.get(at).copied().unwrap_or_default();
        sequencer.set("metaqueue_expert", expert).unwrap();
        sequencer.set("metaqueue_length", tokens).unwrap();
        sequencer.set("load_done", u64::from(loading == 1)).unwrap();
        sequencer.set("compute_done", u64::from(computing == 1)).unwrap();
        (loading, computing) = (loading.saturating_sub(1), computing.saturating_sub(1));
        if sequencer.get("load_start").unwrap() == 1 {
            loading = load;
        }
        if sequencer.get("compute_start").unwrap() == 1 {
            let tokens = sequencer.get("compute_length").unwrap();
            computing = token * tokens;
            computed.push((sequencer.get("compute_expert").unwrap(), tokens));
        }
        let done = sequencer.get("done").unwrap() == 1;
        sequencer.step();
        sequencer.set("start", 0).unwrap();
        if done {
            let twice: Vec<_> = active.iter().flat_map(|expert| [*expert, *expert]).collect();
            assert_eq!(computed, twice, "experts in order, two layers each");
            return cycle - 1;
        }
        assert!(cycle < 1_000_000, "the loop hangs");
    }
    unreachable!("the loop ends or hangs")
}

/// Queues of all shapes: random ones, none at all, one expert with every token.
#[test]
fn the_expert_loop_takes_what_its_rule_says_for_a_hundred_queues() {
    let mut sequencer = running(&deployed(), "expert_sequencer");
    let mut random = Pcg64Mcg::seed_from_u64(16);
    // A sixteenth of both trip counts, 4,608 words and 288 cycles per token.
    let (load, token) = (288, 18);
    for shape in 0..100 {
        let mut queues = vec![0u64; 16];
        match shape {
            0 => {}
            1..9 => queues[random.random_range(0..16)] = 129,
            _ => {
                let popular = random.random_range(1..=16);
                for queue in &mut queues[..popular] {
                    *queue = if random.random_bool(0.8) { random.random_range(0..=129) } else { 0 };
                }
            }
        }
        let cycles = expert_loop(&mut sequencer, &queues, load, token);
        assert_eq!(cycles, rule(&queues, load, token), "{queues:?}");
    }
}

/// The queues that the real gate of layer 1 fills for both tasks, at the full trip counts and a port of two
/// cycles per word: 226,080 and 262,656 cycles.
#[test]
fn real_queues_take_the_cycles_of_the_rule() {
    let mut sequencer = running(&deployed(), "expert_sequencer");
    for (queues, cycles) in [
        ([0, 6, 0, 32, 0, 27, 15, 24, 22, 19, 0, 22, 11, 33, 32, 15], 226_080),
        ([0, 17, 0, 41, 1, 22, 16, 25, 2, 19, 0, 23, 16, 1, 51, 24], 262_656),
    ] {
        let phases = 1 + 2 * queues.iter().filter(|tokens| **tokens > 0).count() as u64;
        assert_eq!(expert_loop(&mut sequencer, &queues, 2 * 4608, 288), cycles + phases);
    }
}

/// Numbers of a file, four bytes each, behind its header.
fn floats(file: &Path) -> Vec<f32> {
    let bytes = fs::read(file).unwrap();
    // An npy file of this version says at byte 8 how long its header is.
    let is_npy = bytes.starts_with(b"\x93NUMPY");
    let data = if is_npy { 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]])) } else { 0 };
    let numbers = bytes[data..].chunks_exact(4);
    numbers.map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

/// A word of fixed-point numbers, cut toward minus infinity.
fn word(numbers: &[f32], fraction: i32, width: u32) -> Bits {
    let mut bits = Bits::zero(numbers.len() as u32 * width);
    for (at, number) in (0..).zip(numbers) {
        let cut = (f64::from(*number) * 2f64.powi(fraction)).floor() as i64;
        bits.place(at * width, &Bits::from_signed(cut, width));
    }
    bits
}

/// The released gates of layer 1 in hardware, fed with the real tokens of the released image: experts of
/// both tasks as floating-point numbers give them, for all tokens but one or two that nearly tie, and their
/// scores.
#[test]
fn real_tokens_find_their_experts() {
    let Some(folder) = common::shared("data/edge-moe") else { return };
    let sizes = deployed();
    let tokens = floats(&folder.join("golden/l1_gate_input.npy"));
    for task in [0, 1] {
        let weights = floats(&folder.join(format!("l1_w_gate_T_task{task}.float32.bin")));
        let indices =
            fs::read(folder.join(format!("golden/l1_top2_index_task{task}.npy"))).unwrap();
        let indices: Vec<i32> = indices[indices.len() - 129 * 2 * 4..]
            .chunks_exact(4)
            .map(|four| i32::from_le_bytes(four.try_into().unwrap()))
            .collect();
        let scores = floats(&folder.join(format!("golden/l1_top2_score_task{task}.npy")));
        let mut gate = running(&sizes, "gate");
        gate.set("s_axis_tvalid", 0).unwrap();
        gate.set("weight_write", 1).unwrap();
        for (at, weights) in weights.chunks(8).enumerate() {
            gate.set("weight_expert", at as u64 / 24).unwrap();
            gate.set("weight_address", at as u64 % 24).unwrap();
            gate.set_bits("weight_data", &word(weights, 14, 16)).unwrap();
            gate.step();
        }
        gate.set("weight_write", 0).unwrap();
        let mut differ = 0;
        for (token, features) in tokens.chunks(192).enumerate() {
            gate.set("s_axis_tvalid", 1).unwrap();
            for features in features.chunks(8) {
                assert_eq!(gate.get("s_axis_tready").unwrap(), 1);
                gate.set_bits("s_axis_tdata", &word(features, 22, 32)).unwrap();
                gate.step();
            }
            gate.set("s_axis_tvalid", 0).unwrap();
            while gate.get("m_axis_tvalid").unwrap() == 0 {
                gate.step();
            }
            let found = [0, 1].map(|at| gate.get(&format!("m_axis_expert_{at}")).unwrap() as i32);
            if found == indices[2 * token..2 * token + 2] {
                for at in [0, 1] {
                    let score =
                        gate.get(&format!("m_axis_score_{at}")).unwrap() as f64 / 2f64.powi(22);
                    let exact = f64::from(scores[2 * token + at]);
                    assert!((score - exact).abs() < 2e-3, "token {token}: {score}, {exact}");
                }
            } else {
                differ += 1;
            }
            gate.step();
        }
        // Fixed-point numbers in NumPy differ in one token of each task.
        assert!(differ <= 2, "{differ} tokens of task {task}");
    }
}

/// What the machine of a preset takes beside the board that it is made for.
#[test]
fn every_preset_fits_its_board() {
    let folder = tempfile::tempdir().unwrap();
    for (design, board) in [("edge-moe", "zcu102"), ("edge-moe-zcu104", "zcu104")] {
        let args = ["synth", design, "--estimate", "--json", "o.json"];
        let text = common::stdout(&common::attelier(folder.path(), &args).code(0));
        assert!(text.contains(&format!("`{design}` on {board}")), "{text}");
        assert!(!text.contains("does not fit"), "{text}");
        let json = fs::read_to_string(folder.path().join("o.json")).unwrap();
        let json: Value = serde_json::from_str(&json).unwrap();
        assert!(json["tool"].is_null() && json["rows"][0]["lut"].is_null());
        let rows = json["rows"].as_array().unwrap();
        let top = rows.iter().find(|row| row["unit"] == "edge_moe_top").unwrap();
        let of = |key: &str| top["estimate"][key].as_u64().unwrap();
        let all = [of("lut") + of("lutram"), of("ff"), of("dsp"), of("bram"), of("uram")];
        let resources = json["whole"]["resources"].as_array().unwrap();
        let found: Vec<u64> = resources.iter().map(|r| r["estimate"].as_u64().unwrap()).collect();
        assert_eq!(found, all, "{design}");
    }
}

/// With both buffers in block RAM the ZCU104 lacks it; the UltraRAM of the other preset is missing on the ZCU102.
#[test]
fn what_does_not_fit_a_board_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |args: &[&str], expected: &str, code: i32| {
        let run = common::attelier(folder.path(), &[&["synth", "--estimate"], args].concat());
        let run = run.code(code);
        let text = common::stdout(&run) + &common::stderr(&run);
        assert!(text.contains(expected), "{text}");
    };
    refused(&["edge-moe", "--board", "zcu104"], " RAMB18, and the board has 624", 1);
    refused(
        &["edge-moe-zcu104", "--board", "zcu102"],
        "does not fit: 64 URAM, and the board has 0",
        1,
    );
    refused(&["edge-moe", "--board", "zcu106"], "expected one of zcu102, zcu104", 2);
    refused(&["spatten-small", "--board", "zcu104"], "expected `edge-moe`", 2);
    refused(&["edge-moe/gate", "--board", "zcu104"], "expected `edge-moe`", 2);
}
