//! The state of a functional run, and one layer of it.

use std::sync::Arc;

use attelier_hw::spatten::Spatten;
use attelier_hw::spatten::formats::MAX_OPERAND_BITS;
use attelier_workloads::model::{Attended, Attention, AttentionError, Projected};
use attelier_workloads::pruning::Pruning;
use attelier_workloads::request::{Phase, Request};
use ndarray::Array2;

use super::check::{LayerCheck, RealHead};
use super::decided::Decided;
use super::head::{HeadWords, PassResult, Rules, at_positions, largest, passes};
use super::recording::{Cache, HeadRecord, Recording};
use super::witness::Witness;
use crate::datapath::importance::{add_output, add_tokens};
use crate::datapath::quant_decision::threshold_code;
use crate::datapath::quantise::Quantiser;
use crate::datapath::softmax::Scale;
use crate::designs::spatten::error::ValueError;
use crate::designs::spatten::storage::{CodeBits, Profile};

/// Stored keys and values of one head while decode goes on.
#[derive(Debug, Clone)]
struct Stored {
    cache: usize,
    key: Quantiser,
    value: Quantiser,
}

/// SpAtten as the attention of a model.
#[derive(Debug)]
pub struct Functional<'a> {
    params: &'a Spatten,
    pruning: Pruning,
    bits: CodeBits,
    fuses: bool,
    layers: usize,
    recording: Recording,
    iteration: u32,
    /// Decode steps of this text so far.
    steps: u32,
    /// Importance by token position.
    tokens: Vec<u64>,
    /// Importance by head number of the model.
    heads: Vec<u64>,
    /// Heads that are left, by number of the model.
    alive: Vec<usize>,
    /// Keys that are left in a decode step; `None` is all.
    survivors: Option<Arc<[u32]>>,
    /// Decode: what is stored of each layer and head of the model.
    stored: Vec<Option<Stored>>,
    /// Scale of all values of each layer of this text, that of its first keys.
    value_scales: Vec<Option<Quantiser>>,
    /// Outputs of the dense model, layer by layer, a row per position.
    dense: Vec<Array2<f32>>,
    checks: Option<Vec<LayerCheck>>,
    witness: Witness,
}

/// One head of the layer at hand.
struct Head {
    /// Number in the model.
    number: usize,
    quantisers: [Quantiser; 3],
    record: HeadRecord,
    words: HeadWords,
    rules: Rules,
}

impl<'a> Functional<'a> {
    /// A run of a model of `layers` layers. `checks` also computes references.
    ///
    /// # Errors
    /// Widths that the machine cannot hold.
    pub fn new(
        params: &'a Spatten,
        pruning: Pruning,
        layers: usize,
        checks: bool,
    ) -> Result<Self, ValueError> {
        if params.datapath_bits > MAX_OPERAND_BITS {
            return Err(ValueError::Datapath { bits: params.datapath_bits });
        }
        let bits = CodeBits::of(params, &pruning.widths)?;
        let fused = |profile: Option<Profile>| profile.is_some_and(|profile| profile.fused == 2);
        let fuses = fused(Profile::of_key(params, pruning.widths.key))
            && fused(Profile::of_value(params, pruning.widths.value));
        Ok(Self {
            params,
            pruning,
            bits,
            fuses,
            layers,
            recording: Recording::default(),
            iteration: 0,
            steps: 0,
            tokens: Vec::new(),
            heads: Vec::new(),
            alive: Vec::new(),
            survivors: None,
            stored: Vec::new(),
            value_scales: Vec::new(),
            dense: Vec::new(),
            checks: checks.then(|| vec![LayerCheck::default(); layers]),
            witness: Witness::default(),
        })
    }

    /// Forgets importances and stored keys: another text comes.
    pub fn forget(&mut self) {
        self.tokens.clear();
        self.heads.clear();
        self.stored.clear();
        self.value_scales.clear();
        self.witness.forget();
        self.steps = 0;
    }

    /// Outputs of the dense model for the input or step to come, a row per position: one
    /// [positions, heads * head_dim] per layer. They are compared with, nothing else.
    pub fn compare_with(&mut self, dense: Vec<Array2<f32>>) {
        self.dense = dense;
    }

    /// What was computed, and the comparisons of each layer.
    pub fn finish(self) -> (Recording, Vec<LayerCheck>) {
        (self.recording, self.checks.unwrap_or_default())
    }

    fn layer(&mut self, operands: &Projected<'_>) -> Result<Attended, ValueError> {
        let phase = match operands.queries() {
            1 if operands.causal => Phase::Decode,
            queries if operands.causal => {
                return Err(ValueError::CausalPrefill { layer: operands.layer, queries });
            }
            _ => Phase::Prefill,
        };
        if operands.layer == 0 {
            self.begin(operands, phase);
        }
        self.expect(operands)?;
        finite(operands)?;
        let keys = self.keys(operands, phase);
        let context = self.tokens.len();
        let alive = self.alive.clone();
        let values = || values_quantiser(operands, self.bits.value);
        let share = *self.value_scales[operands.layer].get_or_insert_with(values);
        let mut outputs = Array2::zeros(operands.q.raw_dim());
        let group = if self.fuses && phase == Phase::Decode { 2 } else { 1 };
        let mut rank = 0;
        for numbers in alive.chunks(group) {
            let heads: Vec<Head> = numbers
                .iter()
                .map(|&number| self.head(operands, phase, number, &keys, share))
                .collect();
            let inputs: Vec<(HeadWords, Rules)> =
                heads.iter().map(|head| (head.words.clone(), head.rules)).collect();
            let results = passes(self.params, &inputs, operands.head_dim);
            if let Some(checks) = &mut self.checks {
                let quantisers: Vec<_> = heads.iter().map(|head| head.quantisers).collect();
                let decided = Decided {
                    inputs: &inputs,
                    quantisers: &quantisers,
                    scale: f64::from(operands.scale),
                    head_dim: operands.head_dim,
                    word_bits: self.params.datapath_bits,
                };
                decided.check(&results, &mut checks[operands.layer]);
            }
            for (head, passes) in heads.into_iter().zip(results) {
                self.check(operands, &head, &keys, &passes);
                self.finish_head(operands, head, rank, (phase, context), &passes, &mut outputs);
                rank += 1;
            }
        }
        self.check_pruned_heads(operands, &alive);
        let kept = self.select(operands, phase, &keys);
        Ok(Attended { output: outputs, kept })
    }

    /// Starts an input or a decode step.
    fn begin(&mut self, operands: &Projected<'_>, phase: Phase) {
        self.iteration += u32::from(!self.recording.requests.is_empty());
        if phase == Phase::Prefill {
            self.forget();
        }
        self.steps += 1;
        self.alive = (0..operands.heads).collect();
        self.heads.resize(operands.heads, 0);
        self.survivors = None;
        let context = operands.positions.last().map_or(0, |&last| last + 1);
        self.tokens.resize(context, 0);
        self.witness.begin(context, operands.heads);
        self.value_scales.resize(self.layers, None);
        self.stored.resize(self.layers * operands.heads, None);
    }

    fn expect(&self, operands: &Projected<'_>) -> Result<(), ValueError> {
        let layer = operands.layer;
        let order = |found: String, expected: String| ValueError::Order { layer, found, expected };
        if layer >= self.layers {
            let expected = format!("layers below {}", self.layers);
            return Err(order(format!("layer {layer}"), expected));
        }
        let last = operands.positions.last().copied().unwrap_or(0);
        if operands.positions.len() != operands.keys() || last >= self.tokens.len() {
            let found = format!("keys up to position {last}");
            return Err(order(found, format!("positions below {}", self.tokens.len())));
        }
        Ok(())
    }

    /// Rows of the operands that are keys of this layer.
    fn keys(&self, operands: &Projected<'_>, phase: Phase) -> Vec<usize> {
        match (&self.survivors, phase) {
            (Some(survivors), Phase::Decode) => {
                survivors.iter().map(|&position| position as usize).collect()
            }
            _ => (0..operands.keys()).collect(),
        }
    }

    /// Quantises one head.
    fn head(
        &mut self,
        operands: &Projected<'_>,
        phase: Phase,
        number: usize,
        keys: &[usize],
        value: Quantiser,
    ) -> Head {
        let (bits, params) = (self.bits, self.params);
        let (query_rows, key_rows) = (operands.query(number), operands.key(number));
        let query = Quantiser::fit(query_rows.iter().copied(), bits.query);
        let stored = self.store(operands, phase, number, value);
        let dim = operands.head_dim;
        let cache = &self.recording.caches[stored.cache];
        let tokens: Arc<[u32]> = keys.iter().map(|&row| operands.positions[row] as u32).collect();
        let queries: Vec<i16> = query_rows.iter().map(|&x| query.code(x) as i16).collect();
        let word = |code: i16, bits: u32| i32::from(code) << (params.datapath_bits - bits);
        let gather = |codes: &[i16], to_word: &dyn Fn(i16) -> i32| -> Vec<i32> {
            let rows = tokens.iter().flat_map(|&token| Recording::row(codes, dim, token));
            rows.map(|&code| to_word(code)).collect()
        };
        let missing = bits.key_stored - bits.key_lsb;
        let msb = |code: i16| {
            let stored = i32::from(code) << (bits.key_stored - bits.key);
            stored >> bits.key_lsb << (params.datapath_bits - missing)
        };
        let words = HeadWords {
            queries: queries.iter().map(|&code| word(code, bits.query)).collect(),
            keys: gather(&cache.keys, &msb),
            whole_keys: gather(&cache.keys, &|code| word(code, bits.key)),
            values: gather(&cache.values, &|code| word(code, bits.value)),
        };
        debug_assert_eq!(key_rows.nrows(), operands.positions.len());
        let step =
            query.word_step(params.datapath_bits) * stored.key.word_step(params.datapath_bits);
        let wide = self.pruning.widths.key.is_none_or(|bits| bits > 8);
        let progressive = !wide && bits.key_lsb > 0;
        let threshold = self.pruning.requant_threshold.filter(|_| progressive);
        let threshold = threshold.map_or(0, |t| threshold_code(t, params.datapath_bits));
        let rules = Rules {
            scale: Scale::new(step * f64::from(operands.scale)),
            threshold,
            whole: wide,
            kept: self.pruning.values(keys.len()),
        };
        let record = HeadRecord {
            cache: stored.cache,
            queries,
            tokens,
            scale: rules.scale,
            threshold,
            token_importance: None,
            head_importance: None,
            outputs: Vec::new(),
            recomputed: 0,
        };
        Head { number, quantisers: [query, stored.key, stored.value], record, words, rules }
    }

    /// Stores the keys and values of a head that are not stored yet. The scales of a decode head
    /// are those of its first keys; later ones saturate.
    fn store(
        &mut self,
        operands: &Projected<'_>,
        phase: Phase,
        number: usize,
        value: Quantiser,
    ) -> Stored {
        let (keys, values) = (operands.key(number), operands.value(number));
        let dim = operands.head_dim;
        let slot = operands.layer * operands.heads + number;
        let known = self.stored[slot].clone().filter(|_| phase == Phase::Decode);
        let stored = known.unwrap_or_else(|| {
            self.recording.caches.push(Cache::default());
            let cache = self.recording.caches.len() - 1;
            Stored { cache, key: Quantiser::fit(keys.iter().copied(), self.bits.key), value }
        });
        let cache = &mut self.recording.caches[stored.cache];
        let context = self.tokens.len();
        let from = cache.keys.len() / dim;
        cache.keys.resize(context * dim, 0);
        cache.values.resize(context * dim, 0);
        for (row, &position) in operands.positions.iter().enumerate() {
            if position < from {
                continue;
            }
            for at in 0..dim {
                cache.keys[position * dim + at] = stored.key.code(keys[[row, at]]) as i16;
                cache.values[position * dim + at] = stored.value.code(values[[row, at]]) as i16;
            }
        }
        self.stored[slot] = Some(stored.clone());
        stored
    }

    /// Notes the results of one head.
    fn finish_head(
        &mut self,
        operands: &Projected<'_>,
        head: Head,
        rank: u32,
        (phase, context): (Phase, usize),
        passes: &[PassResult],
        outputs: &mut Array2<f32>,
    ) {
        let Head { number, quantisers, mut record, rules, .. } = head;
        let step = quantisers[2].word_step(self.params.datapath_bits);
        let first = number * operands.head_dim;
        for (query, pass) in passes.iter().enumerate() {
            add_tokens(&mut self.tokens, &record.tokens, &pass.probabilities);
            add_output(&mut self.heads[number], &pass.output);
            record.recomputed += u32::from(pass.whole && !rules.whole);
            for (at, &word) in pass.output.iter().enumerate() {
                outputs[[query, first + at]] = (f64::from(word) * step) as f32;
            }
            record.outputs.extend_from_slice(&pass.output);
        }
        let keys = record.tokens.len() as u32;
        self.recording.requests.push(Request {
            iteration: self.iteration,
            layer: operands.layer as u32,
            head: rank,
            phase,
            head_dim: operands.head_dim as u32,
            sentence_length: context as u32,
            queries: operands.queries() as u32,
            keys,
            values: (rules.kept as u32).min(keys),
            widths: self.pruning.widths,
            requant_threshold: (rules.threshold > 0)
                .then_some(self.pruning.requant_threshold)
                .flatten(),
            requant: false,
            accumulate_importance: true,
            causal: false,
            rescale_importance: false,
            token_topk: None,
        });
        self.recording.heads.push(record);
    }

    /// Selects the tokens and heads of the next layer; returns the rows that go on, if some do not.
    fn select(
        &mut self,
        operands: &Projected<'_>,
        phase: Phase,
        keys: &[usize],
    ) -> Option<Vec<usize>> {
        let next = operands.layer + 1;
        if next == self.layers {
            return None;
        }
        let context = self.tokens.len();
        let most = self.pruning.tokens(self.layers, context)[next];
        let heads = self.pruning.heads(self.layers, operands.heads)[next];
        let last = self.recording.heads.last_mut()?;
        if heads < self.alive.len() {
            let importance: Vec<u64> = self.alive.iter().map(|&head| self.heads[head]).collect();
            let kept = largest(&importance, heads);
            let kept: Vec<usize> = kept.iter().map(|&at| self.alive[at as usize]).collect();
            if let Some(checks) = &mut self.checks {
                let expected = self.witness.surviving_heads(&self.alive, heads);
                checks[operands.layer].other_survivors += differing(&kept, &expected);
            }
            self.alive = kept;
            last.head_importance = Some(importance);
        }
        // The first generated token meets all keys: nothing is known about them before.
        let uninformed = phase == Phase::Decode && self.steps == 1;
        if most >= keys.len() || uninformed {
            return None;
        }
        let importance = at_positions(&self.tokens, &last.tokens);
        let kept = largest(&importance, most);
        if let Some(checks) = &mut self.checks {
            let positions: Vec<u32> = kept.iter().map(|&at| last.tokens[at as usize]).collect();
            let expected = self.witness.surviving_tokens(&last.tokens, most);
            checks[operands.layer].other_survivors += differing(&positions, &expected);
        }
        last.token_importance = Some(importance);
        self.recording.requests.last_mut()?.token_topk = Some(most as u32);
        match phase {
            Phase::Prefill => Some(kept.iter().map(|&at| keys[at as usize]).collect()),
            Phase::Decode => {
                let tokens = &last.tokens;
                self.survivors = Some(kept.iter().map(|&at| tokens[at as usize]).collect());
                None
            }
        }
    }

    /// Heads that were pruned give the next layer nothing.
    fn check_pruned_heads(&mut self, operands: &Projected<'_>, alive: &[usize]) {
        let (Some(checks), Some(dense)) = (&mut self.checks, self.dense.get(operands.layer)) else {
            return;
        };
        let dim = operands.head_dim;
        for number in (0..operands.heads).filter(|number| !alive.contains(number)) {
            for query in 0..operands.queries() {
                let row = dense_row(dense, operands, query);
                for at in number * dim..(number + 1) * dim {
                    checks[operands.layer].pruning.add(0.0, f64::from(dense[[row, at]]));
                }
            }
        }
    }

    /// Compares a head with its references.
    fn check(
        &mut self,
        operands: &Projected<'_>,
        head: &Head,
        keys: &[usize],
        passes: &[PassResult],
    ) {
        let Some(checks) = &mut self.checks else { return };
        let check = &mut checks[operands.layer];
        self.witness.add(head.number, &head.record.tokens, passes);
        let word_bits = self.params.datapath_bits;
        let steps = head.quantisers.map(|quantiser| quantiser.word_step(word_bits));
        let real = |words: &[i32], step: f64| -> Vec<f64> {
            words.iter().map(|&word| f64::from(word) * step).collect()
        };
        let [query_step, key_step, value_step] = steps;
        let stored_keys =
            [&head.words.keys, &head.words.whole_keys].map(|keys| real(keys, key_step));
        let stored_values = real(&head.words.values, value_step);
        let dim = operands.head_dim;
        let (key_rows, value_rows) = (operands.key(head.number), operands.value(head.number));
        let gather = |rows: &ndarray::ArrayView2<'_, f32>| -> Vec<f64> {
            keys.iter()
                .flat_map(|&row| (0..dim).map(move |at| f64::from(rows[[row, at]])))
                .collect()
        };
        let (original_keys, original_values) = (gather(&key_rows), gather(&value_rows));
        let query_rows = operands.query(head.number);
        let scale = f64::from(operands.scale);
        for (query, pass) in passes.iter().enumerate() {
            let stored_query = real(&head.words.queries[query * dim..][..dim], query_step);
            let original_query: Vec<f64> =
                query_rows.row(query).iter().map(|&x| f64::from(x)).collect();
            let keys = &stored_keys[usize::from(pass.whole)];
            let stored = RealHead { query: &stored_query, keys, values: &stored_values, scale };
            let original = RealHead {
                query: &original_query,
                keys: &original_keys,
                values: &original_values,
                scale,
            };
            check.add(pass, value_step, word_bits, &stored, &original);
            let Some(dense) = self.dense.get(operands.layer) else { continue };
            let row = dense_row(dense, operands, query);
            for (at, &word) in pass.output.iter().enumerate() {
                let expected = f64::from(dense[[row, head.number * dim + at]]);
                check.pruning.add(f64::from(word) * value_step, expected);
            }
        }
    }
}

/// The row of a dense output that belongs to a query; a decode step has only one.
fn dense_row(dense: &Array2<f32>, operands: &Projected<'_>, query: usize) -> usize {
    let first_query = operands.keys() - operands.queries();
    if dense.nrows() == 1 { 0 } else { operands.positions[first_query + query] }
}

/// Refuses operands that no arithmetic can compare.
fn finite(operands: &Projected<'_>) -> Result<(), ValueError> {
    let named = [("queries", &operands.q), ("keys", &operands.k), ("values", &operands.v)];
    match named.iter().find(|(_, values)| values.iter().any(|value| !value.is_finite())) {
        Some((operand, _)) => Err(ValueError::NotFinite { layer: operands.layer, operand }),
        None => Ok(()),
    }
}

/// How many of either do not stand at the same place in the other.
fn differing<T: PartialEq>(found: &[T], expected: &[T]) -> u64 {
    let equal = found.iter().zip(expected).filter(|(found, expected)| found == expected).count();
    (found.len().max(expected.len()) - equal) as u64
}

/// The common scale of all values of a layer, so that magnitudes of heads can be compared.
fn values_quantiser(operands: &Projected<'_>, bits: u32) -> Quantiser {
    Quantiser::fit(operands.v.iter().copied(), bits)
}

impl Attention for Functional<'_> {
    fn attend(&mut self, operands: &Projected<'_>) -> Result<Attended, AttentionError> {
        Ok(self.layer(operands)?)
    }
}
