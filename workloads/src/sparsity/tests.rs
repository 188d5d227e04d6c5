//! Policies against closed forms, and what all of them have in common.

use ndarray::{Array2, ArrayView2};
use proptest::prelude::*;

use super::*;
use crate::reference::{self, Mask, RatioSchedule, attention, kept_count};

const SHAPE: ModelShape = ModelShape { layers: 4, heads: 3 };

pub(super) fn matrix(rows: usize, columns: usize) -> impl Strategy<Value = Array2<f64>> {
    prop::collection::vec(-3.0..3.0f64, rows * columns).prop_map(move |values| {
        Array2::from_shape_vec((rows, columns), values).expect("as many values as elements")
    })
}

fn head(queries: usize, keys: usize, causal: bool, evidence: Evidence<'_>) -> Head<'_> {
    Head { step: 0, layer: 0, head: 0, queries, keys, causal, evidence }
}

pub(super) fn counted(queries: usize, keys: usize, causal: bool) -> Head<'static> {
    head(queries, keys, causal, Evidence::Counts)
}

pub(super) fn scored(scores: &Array2<f64>, causal: bool) -> Head<'_> {
    head(scores.nrows(), scores.ncols(), causal, Evidence::Scores(scores.view()))
}

pub(super) fn vectors<'a>(
    queries: &'a Array2<f64>,
    keys: &'a Array2<f64>,
    causal: bool,
) -> Head<'a> {
    let evidence = Evidence::Vectors { queries: queries.view(), keys: keys.view(), scale: 1.0 };
    head(queries.nrows(), keys.nrows(), causal, evidence)
}

/// What a policy selects, query by query.
pub(super) fn rows_of(policy: &mut dyn Sparsity, head: &Head<'_>) -> Vec<Vec<usize>> {
    policy.begin(head).unwrap();
    let mut row = |query| {
        let mut keys = Vec::new();
        policy.select(head, query, &mut keys).unwrap();
        keys
    };
    (0..head.queries).map(&mut row).collect()
}

/// Number of pairs that a policy allows.
fn count(policy: &mut dyn Sparsity, queries: usize, keys: usize, causal: bool) -> usize {
    rows_of(policy, &counted(queries, keys, causal)).iter().map(Vec::len).sum()
}

/// The same for as many queries as keys.
fn pairs(mut policy: impl Sparsity, tokens: usize, causal: bool) -> usize {
    count(&mut policy, tokens, tokens, causal)
}

proptest! {
    #[test]
    fn dense_and_causal_count_rectangles_and_triangles(queries in 1..30usize, more in 0..30usize) {
        let keys = queries + more;
        prop_assert_eq!(count(&mut Dense {}, queries, keys, false), queries * keys);
        let triangle = queries * more + queries * (queries + 1) / 2;
        prop_assert_eq!(count(&mut Dense {}, queries, keys, true), triangle);
        prop_assert_eq!(count(&mut Causal {}, queries, keys, false), triangle);
    }

    #[test]
    fn a_sliding_window_is_a_band(n in 1..60usize, window in 1..70u32) {
        let policy = SlidingWindow { window, sinks: 0 };
        // A window wider than the sequence is as wide as the sequence.
        let w = (window as usize).min(n);
        prop_assert_eq!(pairs(policy.clone(), n, true), n * w - w * (w - 1) / 2);
        prop_assert_eq!(pairs(policy, n, false), n * (2 * w - 1) - w * (w - 1));
    }

    #[test]
    fn sinks_add_what_the_window_has_left_behind(
        n in 1..60usize, window in 1..70u32, sinks in 0..10u32,
    ) {
        let with = pairs(SlidingWindow { window, sinks }, n, true);
        let without = pairs(SlidingWindow { window, sinks: 0 }, n, true);
        // Query i has left behind its first i - window + 1 keys.
        let behind = |i: usize| (i + 1).saturating_sub(window as usize).min(sinks as usize);
        prop_assert_eq!(with - without, (0..n).map(behind).sum::<usize>());
    }

    #[test]
    fn a_stride_adds_every_strideth_key_to_the_window(n in 1..60usize, stride in 1..20usize) {
        let policy = Strided { stride: stride as u32 };
        // Before query i: stride keys of the window, then one of each further stride.
        let causal = |i: usize| (i + 1).min(stride) + i / stride;
        prop_assert_eq!(pairs(policy, n, true), (0..n).map(causal).sum::<usize>());
    }

    #[test]
    fn blocks_form_a_band_with_a_frame(
        side in 1..5usize, blocks in 1..12usize, neighbours in 0..4usize, global in 0..4usize,
    ) {
        let policy = Block {
            block: side as u32, neighbours: neighbours as u32, global: global as u32,
        };
        let band = |n: usize| {
            let w = (neighbours + 1).min(n);
            if n == 0 { 0 } else { n * (2 * w - 1) - w * (w - 1) }
        };
        // The frame is all but a square of the blocks that are not global; in it lies a band.
        let inner = blocks.saturating_sub(global);
        let expected = blocks * blocks - inner * inner + band(inner);
        prop_assert_eq!(pairs(policy, side * blocks, false), expected * side * side);
    }

    #[test]
    fn every_patch_has_a_full_square_of_neighbours(
        rows in 1..9usize, columns in 1..9usize, half in 0..4usize, prefix in 0..3usize,
    ) {
        let kernel = 2 * half + 1;
        prop_assume!(kernel <= rows.min(columns));
        let policy = Neighbourhood {
            rows: rows as u32, columns: columns as u32, kernel: kernel as u32, prefix: prefix as u32,
        };
        let (patches, tokens) = (rows * columns, rows * columns + prefix);
        let frame = tokens * tokens - patches * patches;
        let selected = rows_of(&mut policy.clone(), &counted(tokens, tokens, false));
        let total: usize = selected.iter().map(Vec::len).sum();
        prop_assert_eq!(total, frame + patches * kernel * kernel);
        // Away from the border, the square is centred.
        for (query, keys) in selected.iter().enumerate().skip(prefix) {
            let (row, column) = ((query - prefix) / columns, (query - prefix) % columns);
            let inside = |at: usize, size: usize| at >= half && at + half < size;
            if inside(row, rows) && inside(column, columns) {
                let sum: usize = keys.iter().skip(prefix).map(|key| key - prefix).sum();
                prop_assert_eq!(sum, (query - prefix) * kernel * kernel);
            }
        }
    }
}

#[test]
fn a_grid_of_another_size_is_refused() {
    let mut policy = Neighbourhood { rows: 8, columns: 16, kernel: 7, prefix: 1 };
    let error = policy.begin(&counted(128, 128, false)).unwrap_err();
    assert_eq!(error.to_string(), "`keys` is 128: expected 129: 1 and a grid of 8 x 16");
    assert_eq!(pairs(policy, 129, false), 129 + 128 + 128 * 49);
}

/// Any policy with small parameters, on a grid of 4 x 3 patches behind any prefix.
fn any_policy(keys: usize) -> impl Strategy<Value = Policy> {
    let schedule = |front: f64, average: f64, lean: f64| RatioSchedule {
        front,
        start: average * (1.0 + lean).min(0.99 / average.max(0.01)).min(2.0),
        average,
    };
    let small = 1..9u32;
    prop_oneof![
        Just(Policy::Dense(Dense {})),
        Just(Policy::Causal(Causal {})),
        (small.clone(), 0..4u32)
            .prop_map(|(window, sinks)| Policy::SlidingWindow(SlidingWindow { window, sinks })),
        small.clone().prop_map(|stride| Policy::Strided(Strided { stride })),
        (small.clone(), 0..3u32, 0..3u32).prop_map(|(block, neighbours, global)| Policy::Block(
            Block { block, neighbours, global }
        )),
        prop_oneof![Just(1u32), Just(3)].prop_map(move |kernel| {
            let prefix = keys.saturating_sub(12) as u32;
            Policy::Neighbourhood(Neighbourhood { rows: 4, columns: 3, kernel, prefix })
        }),
        (0.0..1.0f64).prop_map(|probability| Policy::Threshold(Threshold { probability })),
        small.clone().prop_map(|k| Policy::StatisticalTopK(StatisticalTopK { k })),
        (0.05..4.0f64, 0.1..100.0f64).prop_map(|(iterations_per_key, weight_percent)| {
            Policy::A3(A3 { iterations_per_key, weight_percent })
        }),
        (0..6u32, small)
            .prop_map(|(heavy, recent)| Policy::HeavyHitters(HeavyHitters { heavy, recent })),
        (0.0..0.5f64, 0.0..0.45f64, -1.0..1.0f64, 0.0..0.9f64, any::<bool>()).prop_map(
            move |(front, average, lean, values, restart)| {
                let tokens = schedule(front, average, lean);
                let heads = schedule(front, average / 2.0, -lean);
                Policy::Spatten(Spatten { tokens, heads, values, restart })
            }
        ),
    ]
}

/// One head: queries, keys and values.
type Tensors = [Array2<f64>; 3];

#[derive(Debug, Clone)]
struct Model {
    policy: Policy,
    causal: bool,
    /// A prefill, then steps of one token, each of all layers and heads.
    steps: Vec<Vec<Tensors>>,
}

fn model() -> impl Strategy<Value = Model> {
    (12..16usize, 0..4usize, any::<bool>()).prop_flat_map(|(prompt, decoded, causal)| {
        let heads = (SHAPE.layers * SHAPE.heads) as usize;
        let step = move |step: usize| {
            let keys = prompt + step;
            let queries = if step == 0 { keys } else { 1 };
            let tensors = [matrix(queries, 3), matrix(keys, 3), matrix(keys, 2)];
            prop::collection::vec(tensors, heads)
        };
        // A grid has one size: no decode on it.
        let policy = any_policy(prompt);
        let steps: Vec<_> = (0..=decoded).map(step).collect();
        (policy, Just(causal), steps).prop_map(|(policy, causal, mut steps)| {
            if matches!(policy, Policy::Neighbourhood(_)) {
                steps.truncate(1);
            }
            Model { policy, causal, steps }
        })
    })
}

proptest! {
    /// Every policy, over a prefill and some decode steps of a small model.
    #[test]
    fn each_computed_query_has_a_key_and_none_that_it_may_not_see(model in model()) {
        let mut policy = model.policy.build(SHAPE).unwrap();
        for (step, tensors) in model.steps.iter().enumerate() {
            for (at, [q, k, v]) in tensors.iter().enumerate() {
                let at = at as u32;
                let head = Head {
                    step: step as u32,
                    layer: at / SHAPE.heads,
                    head: at % SHAPE.heads,
                    ..vectors(q, k, model.causal)
                };
                let mask = mask(policy.as_mut(), &head).unwrap();
                for query in 0..head.queries {
                    let row = mask.row(query);
                    let computed = !policy.skips(&head, query);
                    prop_assert_eq!(row.iter().any(|&allowed| allowed), computed);
                    let unseen = row.iter().skip(head.visible(query));
                    prop_assert!(!unseen.into_iter().any(|&allowed| allowed));
                }
                // The same selection, computed, is reference attention under that mask.
                let sparse = sparse_attention(policy.as_mut(), &head, v.view()).unwrap();
                let allowed = mask.iter().filter(|&&allowed| allowed).count();
                prop_assert_eq!(sparse.pairs, allowed as u64);
                prop_assert!(sparse.values <= sparse.pairs && sparse.values >= sparse.queries);
                if sparse.values == sparse.pairs {
                    let full = attention(
                        q.view(), k.view(), v.view(), 1.0, Mask::Allowed(mask.view()),
                    ).unwrap();
                    let error = (&sparse.output - &full.output).mapv(f64::abs);
                    prop_assert!(error.iter().all(|&error| error < 1e-12));
                }
            }
        }
    }
}

fn spatten(average: f64, values: f64, restart: bool) -> Spatten {
    let ramp = |average| RatioSchedule { front: 0.25, start: average, average };
    Spatten { tokens: ramp(average), heads: ramp(0.33), values, restart }
}

/// Probabilities that favour the same token and outputs that favour the same head, whatever the
/// policy has left of them.
fn run_layer(
    policy: &mut dyn Sparsity,
    step: u32,
    layer: u32,
    queries: usize,
    keys: usize,
) -> Vec<Vec<usize>> {
    let mut seen = Vec::new();
    for number in 0..SHAPE.heads {
        let head = Head { step, layer, head: number, ..counted(queries, keys, false) };
        policy.begin(&head).unwrap();
        let mut selected = Vec::new();
        for query in 0..queries {
            if policy.skips(&head, query) {
                continue;
            }
            policy.select(&head, query, &mut selected).unwrap();
            let probabilities: Vec<f64> = selected.iter().map(|&key| (key % 4) as f64).collect();
            policy.observe(&head, &selected, &probabilities).unwrap();
        }
        if !policy.skips(&head, queries - 1) {
            let output = Array2::from_elem((queries, 2), f64::from(number));
            policy.end(&head, output.view()).unwrap();
            seen.push(selected);
        }
    }
    seen
}

#[test]
fn spatten_prunes_by_budgets_of_all_tokens_and_starts_again_at_each_step() {
    let mut policy = spatten(0.5, 0.0, true).state(SHAPE).unwrap();
    // Layer 0 is the untouched front; the others keep half of 8 tokens, those with key % 4 of 2, 3,
    // and 2 of 3 heads, those with the larger outputs.
    let all: Vec<usize> = (0..8).collect();
    assert_eq!(run_layer(&mut policy, 0, 0, 8, 8), [&all[..], &all, &all]);
    for layer in 1..4 {
        assert_eq!(run_layer(&mut policy, 0, layer, 8, 8), [[2, 3, 6, 7], [2, 3, 6, 7]]);
    }
    // A ninth token: everything is back in layer 0; then floor(9 / 2) remain, the new one included.
    let all: Vec<usize> = (0..9).collect();
    assert_eq!(run_layer(&mut policy, 1, 0, 1, 9), [&all[..], &all, &all]);
    assert_eq!(run_layer(&mut policy, 1, 1, 1, 9), [[2, 3, 7, 8], [2, 3, 7, 8]]);
}

#[test]
fn without_restart_what_spatten_dropped_stays_away() {
    let mut policy = spatten(0.5, 0.0, false).state(SHAPE).unwrap();
    run_layer(&mut policy, 0, 0, 8, 8);
    run_layer(&mut policy, 0, 1, 8, 8);
    assert_eq!(run_layer(&mut policy, 1, 0, 1, 9), [[2, 3, 6, 7, 8], [2, 3, 6, 7, 8]]);
}

#[test]
fn spatten_reads_the_values_of_the_largest_probabilities() {
    let policy = spatten(0.0, 0.5, true).state(SHAPE).unwrap();
    let mut kept = vec![9];
    policy.values(&[0.1, 0.4, 0.2, 0.3], &mut kept);
    assert_eq!(kept, [1, 3]);
}

#[test]
fn spatten_refuses_heads_outside_its_model() {
    let mut policy = spatten(0.5, 0.0, true).state(SHAPE).unwrap();
    let head = counted(2, 2, true);
    assert_eq!(policy.begin(&Head { layer: 4, ..head }).unwrap_err().operand, "layer");
    assert_eq!(policy.begin(&Head { head: 3, ..head }).unwrap_err().operand, "head");
    policy.begin(&head).unwrap();
    let other = Head { head: 1, ..counted(2, 3, true) };
    assert_eq!(policy.begin(&other).unwrap_err().operand, "keys");
    let fewer = Head { step: 1, ..counted(1, 1, true) };
    assert_eq!(policy.begin(&fewer).unwrap_err().operand, "keys");
}

/// The cascade of the policy is the one of the reference kernels, fed with the same probabilities.
#[test]
fn spatten_follows_the_reference_cascade() {
    let parameters = spatten(0.6, 0.0, true);
    let mut policy = parameters.state(SHAPE).unwrap();
    let mut tokens = reference::Cascade::new(10);
    let ratios = parameters.tokens.ratios(SHAPE.layers as usize).unwrap();
    let draw = |layer: u32, head: u32, query: usize, feature: u32| {
        crate::draw::uniform(u64::from(layer) << 8 | query as u64, head, feature, 5) - 0.5
    };
    for layer in 0..SHAPE.layers {
        if layer > 0 {
            tokens.keep(kept_count(10, ratios[layer as usize]));
        }
        let survivors = tokens.survivors().to_vec();
        let mut importance = vec![0.0; survivors.len()];
        for number in 0..SHAPE.heads {
            let x = Array2::from_shape_fn((10, 4), |(token, feature)| {
                4.0 * draw(layer, number, token, feature as u32)
            });
            let head = Head { layer, head: number, ..vectors(&x, &x, false) };
            policy.begin(&head).unwrap();
            if policy.skips(&head, survivors[0]) {
                continue;
            }
            sparse_attention(&mut policy, &head, x.view()).unwrap();
            // Only the survivors' rows exist for the reference.
            let x = x.select(ndarray::Axis(0), &survivors);
            let full = attention(x.view(), x.view(), x.view(), 1.0, Mask::Full).unwrap();
            let of_head = reference::token_importance(&[full.probabilities.view()]).unwrap();
            importance.iter_mut().zip(of_head).for_each(|(sum, amount)| *sum += amount);
            let selected = rows_of(&mut policy, &head);
            assert_eq!(selected[survivors[0]], survivors, "layer {layer}, head {number}");
        }
        tokens.add(&importance).unwrap();
    }
    assert_eq!(tokens.survivors().len(), 4);
}

#[test]
fn heads_that_make_no_sense_are_refused() {
    let check = |head: Head<'_>| head.check(Needs::Counts).unwrap_err().operand;
    assert_eq!(check(counted(1, 0, false)), "keys");
    assert_eq!(check(counted(3, 2, true)), "queries");
    let scores = Array2::zeros((2, 3));
    let view: ArrayView2<'_, f64> = scores.view();
    assert_eq!(check(head(2, 2, false, Evidence::Scores(view))), "scores");
    let three = Array2::zeros((3, 4));
    let two = Array2::zeros((2, 5));
    assert_eq!(check(vectors(&three, &two, false)), "key vectors");
    let head = counted(2, 2, false);
    assert_eq!(head.vectors().unwrap_err().operand, "evidence");
    assert_eq!(head.score(0, 0).unwrap_err().operand, "evidence");
    assert_eq!(head.score(2, 0).unwrap_err().operand, "(query, key)");
}
