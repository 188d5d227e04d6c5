//! The machine on real operands: what it computes from its memory equals what a run without any
//! machine computed, in every mode, and stays within the stated bound of exact attention.

use attelier_hw::{config, spatten::Spatten};
use attelier_sim::designs::spatten::functional::{Functional, LayerCheck, Recording};
use attelier_sim::designs::spatten::{Options, simulate_recording};
use attelier_sim::kernel::run::Mode;
use attelier_sim::observe::Nobody;
use attelier_workloads::pruning::Pruning;
use attelier_workloads::replay::{Layer, Replay};
use attelier_workloads::request::Widths;
use ndarray::{Array2, Axis, Slice};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

fn machine(sets: &[&str]) -> Spatten {
    let sets: Vec<String> =
        ["memory.kind=ideal"].iter().chain(sets).map(|set| (*set).to_string()).collect();
    let config = config::load("spatten", None, &sets).expect("known parameters");
    Spatten::check(&config).expect("a legal machine")
}

/// Sums of uniform numbers: close to normal, deviation 1.
fn matrix(random: &mut Pcg64Mcg, rows: usize, columns: usize) -> Array2<f32> {
    let mut uniform = || f64::from(random.next_u32()) / f64::from(u32::MAX) - 0.5;
    Array2::from_shape_fn((rows, columns), |_| (0..12).map(|_| uniform()).sum::<f64>() as f32)
}

/// Inputs of one model; `sharpness` scales the queries, so that some passes are flat and some not.
#[derive(Debug, Clone)]
struct Inputs {
    heads: usize,
    head_dim: usize,
    layers: usize,
    decode: bool,
    /// Tokens of each input, or context of the first decode step and one more for each step.
    lengths: Vec<usize>,
    sharpness: f32,
    seed: u64,
}

impl Inputs {
    fn replays(&self) -> Vec<Replay> {
        let mut random = Pcg64Mcg::seed_from_u64(self.seed);
        let columns = self.heads * self.head_dim;
        let longest = self.lengths.iter().copied().max().unwrap_or(1);
        let stored: Vec<Layer> = (0..self.layers)
            .map(|_| {
                let mut new = || matrix(&mut random, longest, columns);
                Layer { q: new() * self.sharpness, k: new(), v: new() }
            })
            .collect();
        let rows = |matrix: &Array2<f32>, from: usize, to: usize| {
            matrix.slice_axis(Axis(0), Slice::from(from..to)).to_owned()
        };
        let input = |(at, &length): (usize, &usize)| {
            let first = if self.decode { length - 1 } else { 0 };
            let layers = stored
                .iter()
                .map(|layer| Layer {
                    // Every input has queries of its own.
                    q: rows(&layer.q, first, length) * (1.0 + at as f32 / 8.0),
                    k: rows(&layer.k, 0, length),
                    v: rows(&layer.v, 0, length),
                })
                .collect();
            Replay { heads: self.heads, head_dim: self.head_dim, causal: self.decode, layers }
        };
        self.lengths.iter().enumerate().map(input).collect()
    }

    fn record(&self, params: &Spatten, pruning: &Pruning) -> (Recording, Vec<LayerCheck>) {
        let functional = Functional::new(params, pruning.clone(), self.layers, true);
        let mut functional = functional.expect("legal widths");
        for replay in self.replays() {
            replay.run(&mut functional).expect("legal operands");
        }
        functional.finish()
    }
}

fn inputs() -> impl Strategy<Value = Inputs> {
    let lengths = prop_oneof![
        (any::<bool>(), prop::collection::vec(1usize..40, 1..4)),
        (1usize..60, 1usize..4)
            .prop_map(|(context, steps)| { (true, (context..context + steps).collect()) }),
    ];
    (
        1usize..=5,
        prop_oneof![Just(64usize), Just(32)],
        1usize..=4,
        lengths,
        0.1f32..3.0,
        any::<u64>(),
    )
        .prop_map(|(heads, head_dim, layers, (decode, mut lengths), sharpness, seed)| {
            if decode {
                lengths.sort_unstable();
                lengths.dedup();
            }
            Inputs { heads, head_dim, layers, decode, lengths, sharpness, seed }
        })
}

fn prunings() -> impl Strategy<Value = Pruning> {
    let share = || prop_oneof![Just(1.0), 0.2f64..1.0];
    let bits = prop_oneof![
        Just((4, 4)),
        Just((6, 4)),
        Just((8, 4)),
        Just((6, 0)),
        Just((8, 0)),
        Just((10, 0)),
        Just((12, 0)),
    ];
    let value = prop_oneof![Just(4u32), Just(6), Just(8), Just(12)];
    let query = prop_oneof![Just(8u32), Just(12), Just(16)];
    (share(), share(), share(), bits, value, query, prop::option::of(0.0f64..0.4)).prop_map(
        |(token_keep, head_keep, value_keep, (key, key_lsb), value, query, threshold)| Pruning {
            token_keep,
            head_keep,
            value_keep,
            widths: Widths { query: Some(query), key: Some(key), key_lsb, value: Some(value) },
            requant_threshold: threshold,
        },
    )
}

/// Records, simulates in both modes, compares.
fn machine_equals_recording(
    params: &Spatten,
    inputs: &Inputs,
    pruning: &Pruning,
) -> Result<(), TestCaseError> {
    let (recording, checks) = inputs.record(params, pruning);
    let run = |mode| {
        let options = Options { mode, ..Options::default() };
        simulate_recording(params, &recording, options, &mut Nobody).expect("it fits")
    };
    let (result, comparison) = run(Mode::Jump);
    let passes: u64 = recording.requests.iter().map(|r| u64::from(r.queries)).sum();
    prop_assert_eq!(comparison.passes, passes);
    prop_assert_eq!(comparison.outputs, passes * inputs.head_dim as u64);
    prop_assert_eq!((comparison.mismatches, comparison.other_keys), (0, 0));
    let again: u64 = recording.heads.iter().map(|head| u64::from(head.recomputed)).sum();
    prop_assert_eq!(comparison.flat, again);
    let (every_cycle, comparison) = run(Mode::EveryCycle);
    prop_assert_eq!(comparison.mismatches, 0);
    prop_assert_eq!(result, every_cycle);
    for check in checks {
        prop_assert_eq!((check.beyond_bound, check.other_survivors), (0, 0));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_machine_finds_what_was_computed_without_it(
        inputs in inputs(),
        pruning in prunings(),
        twice: bool,
        truncate: bool,
        eighth: bool,
    ) {
        let sets = [
            "memory.kind=ideal".to_string(),
            format!("controller.recompute_wide_keys={twice}"),
            format!("controller.truncate_wide_values={truncate}"),
        ];
        let preset = if eighth { "spatten-eighth" } else { "spatten" };
        let config = config::load(preset, None, &sets).expect("known parameters");
        let params = Spatten::check(&config).expect("a legal machine");
        machine_equals_recording(&params, &inputs, &pruning)?;
    }

    /// Two heads in one job, one of them flat: the other one selects the values of both.
    #[test]
    fn fused_heads_share_the_values_of_the_head_that_is_decided_first(
        context in 20usize..60,
        sharpness in 0.3f32..1.0,
        seed: u64,
    ) {
        let widths = Widths { query: Some(12), key: Some(6), key_lsb: 4, value: Some(6) };
        let pruning = Pruning {
            value_keep: 0.3,
            widths,
            requant_threshold: Some(0.12),
            ..Pruning::default()
        };
        let lengths = vec![context, context + 1];
        let inputs =
            Inputs { heads: 4, head_dim: 64, layers: 1, decode: true, lengths, sharpness, seed };
        machine_equals_recording(&machine(&[]), &inputs, &pruning)?;
    }
}

/// Nothing of one input decides about the next.
#[test]
fn inputs_are_pruned_independently() {
    let params = machine(&[]);
    let pruning = Pruning { token_keep: 0.5, head_keep: 0.5, ..Pruning::default() };
    let inputs = Inputs {
        heads: 4,
        head_dim: 64,
        layers: 4,
        decode: false,
        lengths: vec![30, 30],
        sharpness: 2.0,
        seed: 11,
    };
    let tokens = |replays: &[Replay]| -> Vec<Vec<u32>> {
        let mut functional =
            Functional::new(&params, pruning.clone(), 4, false).expect("legal widths");
        for replay in replays {
            replay.run(&mut functional).expect("legal operands");
        }
        let (recording, _) = functional.finish();
        recording.heads.iter().map(|head| head.tokens.to_vec()).collect()
    };
    let replays = inputs.replays();
    let both = tokens(&replays);
    let alone = tokens(&replays[1..]);
    assert_eq!(both[both.len() - alone.len()..], alone);
    assert_ne!(both[..alone.len()], alone, "the inputs differ");
}

/// Decode remembers: importance grows over the steps, and the first step prunes no token.
#[test]
fn decode_gathers_importance_over_steps() {
    let params = machine(&[]);
    let pruning = Pruning { token_keep: 0.5, ..Pruning::default() };
    let inputs = Inputs {
        heads: 2,
        head_dim: 64,
        layers: 3,
        decode: true,
        lengths: vec![40, 41, 42],
        sharpness: 1.0,
        seed: 3,
    };
    let (recording, _) = inputs.record(&params, &pruning);
    let keys = |step: usize, layer: usize| recording.requests[(step * 3 + layer) * 2].keys;
    // No layer of three is in front; 5/8 is kept in the first, half in the second, 3/8 in the last.
    assert_eq!([0, 1, 2].map(|layer| keys(0, layer)), [40, 40, 40]);
    assert_eq!([0, 1, 2].map(|layer| keys(1, layer)), [41, 20, 10]);
    let sum = |step: usize| -> u64 {
        let importance = recording.heads[(step * 3) * 2 + 1].token_importance.as_ref();
        importance.expect("a selection follows").iter().sum()
    };
    // A step adds a probability of about 1 per head and layer: 6 in the first step, which has
    // three layers, and 2 in the first layer of the second.
    let per_row = 4096.0;
    assert!((sum(1) as f64 / per_row - 8.0).abs() < 0.2, "{}", sum(1) as f64 / per_row);
}

/// A machine that keeps everything at 12 bits is as good as its words: the error against exact
/// attention is a few last bits.
#[test]
fn at_twelve_bits_the_error_is_a_few_last_bits() {
    let params = machine(&["controller.truncate_wide_values=false"]);
    let inputs = Inputs {
        heads: 4,
        head_dim: 64,
        layers: 2,
        decode: false,
        lengths: vec![50],
        sharpness: 1.0,
        seed: 5,
    };
    let widths = Widths { query: Some(12), key: Some(12), key_lsb: 0, value: Some(12) };
    let pruning = Pruning { widths, ..Pruning::default() };
    let (_, checks) = inputs.record(&params, &pruning);
    for check in checks {
        // Values reach about 4, so a last bit is 1/500.
        assert!(check.numerical.max_abs < 0.01, "{check:?}");
        assert!(check.numerical.cosine() > 0.9999, "{check:?}");
        assert_eq!((check.numerical.count, check.unbounded), (50 * 256, 0));
    }
}

/// Two thirds of the keys of every head are copies of one direction; queries look there. The
/// tokens that survive are those keys.
#[test]
fn tokens_that_nobody_looks_at_are_pruned() {
    let params = machine(&[]);
    let looked_at = |token: usize| !token.is_multiple_of(3);
    let one_hot = |tokens: usize, towards: fn(usize) -> bool| {
        Array2::from_shape_fn((tokens, 64), |(token, at)| {
            if at == usize::from(towards(token)) { 8.0 } else { 0.0 }
        })
    };
    let layer = || Layer {
        q: one_hot(30, |_| true),
        k: one_hot(30, |token| token % 3 != 0),
        v: Array2::ones((30, 64)),
    };
    let replay = Replay {
        heads: 1,
        head_dim: 64,
        causal: false,
        layers: vec![layer(), layer(), layer(), layer()],
    };
    // One untouched layer; the others keep 5/6 to 1/2 of 30 tokens: the second 25, the third 20.
    let pruning = Pruning { token_keep: 2.0 / 3.0, ..Pruning::default() };
    let mut functional = Functional::new(&params, pruning, 4, false).expect("legal widths");
    let answers = replay.run(&mut functional).expect("legal operands");
    let (recording, _) = functional.finish();
    let tokens = |request: usize| recording.heads[request].tokens.to_vec();
    assert_eq!(tokens(0), (0..30).collect::<Vec<u32>>());
    assert_eq!(tokens(1).len(), 25);
    assert_eq!(tokens(2), (0..30).filter(|&t| looked_at(t as usize)).collect::<Vec<u32>>());
    assert!(tokens(3).iter().all(|&token| looked_at(token as usize)));
    assert_eq!(answers[3].output.nrows(), 15);
}
