//! SpAtten's data path in RTL, run natively, against the simulator: every output in every cycle.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use attelier::cosim::{Options, Plan, Witness, compare, spatten::units};
use attelier_hw::{config, spatten::Spatten};

/// Four lanes of eight elements, shallow queues, latencies at or near the shortest.
const SMALL: [&str; 17] = [
    "head_dim=8",
    "qk_array.multipliers=32",
    "pv_array.multipliers=32",
    "memory.channels=4",
    "qkv_fetcher.lanes=4",
    "key_sram.bytes=1536",
    "value_sram.bytes=1536",
    "softmax.fifo_depth=7",
    "softmax.scale_cycles=5",
    "softmax.exp_cycles=12",
    "softmax.accumulate_cycles=8",
    "softmax.divide_cycles=24",
    "softmax.quantise_cycles=2",
    "quant_decision.fifo_depth=5",
    "pv_array.fifo_depth=3",
    "topk_value.parallelism=4",
    "topk_token.parallelism=4",
];

const DATAPATH: [&str; 9] = [
    "bitwidth_converter",
    "key_sram",
    "value_sram",
    "qk_array",
    "softmax",
    "quant_decision",
    "token_importance",
    "pv_array",
    "head_importance",
];

fn agree(preset: &str, sets: &[&str], beats: u64) {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let params = Spatten::check(&config::load(preset, None, &sets).unwrap()).unwrap();
    let options =
        Options { with: vec![Witness::Native], plan: Plan { beats, seed: 3 }, icarus_beats: 1 };
    let mut seen = 0;
    for unit in units(&params).iter().filter(|unit| DATAPATH.contains(&unit.name())) {
        let row = compare(&**unit, &options).unwrap();
        assert!(row.mismatches == 0 && row.compared > 0, "{}: {:?}", row.unit, row.faults);
        assert!(row.vectors >= beats && row.mutants_caught > 0);
        // Rare faults need more beats than a large machine gets here.
        assert!(row.passed() || beats < 20_000, "{}: {:?}", row.unit, row.faults);
        seen += 1;
    }
    assert_eq!(seen, DATAPATH.len());
}

#[test]
fn a_small_data_path_equals_the_simulator() {
    agree("spatten", &SMALL, 20_000);
}

#[test]
fn the_eighth_data_path_equals_the_simulator() {
    agree("spatten-eighth", &[], 2_000);
}
