//! What an image brings to the units: the numbers of the functional model, as they cross each unit.
//!
//! Everything that a unit takes comes from the bits that the functional model had there, and everything it
//! gives is compared with what the functional model had behind it. The linear layers of experts are left
//! out: no released folder has their weights.

use anyhow::{Result, bail};
use attelier_hw::edge_moe::formats::{ATTENTION_BIAS, Format, LINEAR_BIAS};
use attelier_hw::edge_moe::{EdgeMoe, Sizes};
use attelier_rtl::witness::{Pins, Vectors};
use attelier_sim::datapath::fixed::Fixed;
use attelier_sim::designs::edge_moe::functional;
use attelier_sim::designs::edge_moe::steps::{AttentionRow, Step};
use attelier_sim::units::edge_gate::EdgeGate;
use attelier_sim::units::edge_layer_norm::EdgeLayerNorm;
use attelier_sim::units::edge_linear::{EdgeLinear, EdgeMatrix};
use attelier_sim::units::edge_moe::expert_queues::{Choice, Entry};
use attelier_sim::units::edge_moe::linear::Job;
use attelier_sim::units::edge_moe::running_softmax::Scores;
use attelier_sim::units::edge_moe::token_steps::TokenStep;
use attelier_sim::units::edge_moe::weight_loader::{Layer, Written};
use attelier_sim::units::edge_patch_embedding::EdgePatchEmbedding;
use attelier_sim::units::edge_queues::EdgeQueues;
use attelier_sim::units::edge_softmax::SoftmaxInfo;
use attelier_workloads::vision::{ImageShape, Network, TokenRouting};
use ndarray::Array2;

use super::{expert_queues, expert_sequencer, gate, gelu, layer_norm, linear};
use super::{patch_embedding, pv_product, qk_product, weight_loader};
use crate::cosim::{Plan, Recorded, Unit};

/// Layers that are recorded: a dense one, and one with experts.
const LAYERS: usize = 2;

/// What a unit takes, and what it gives.
#[derive(Debug, Clone)]
pub struct Traffic<T, R> {
    /// One use after the other.
    pub given: Vec<T>,
    /// What must show, in this order.
    pub results: Vec<R>,
}

impl<T, R> Traffic<T, R> {
    /// It, if there is any.
    ///
    /// # Errors
    /// The image brings nothing to the unit.
    pub fn needed(&self) -> Result<&Self, String> {
        if self.given.is_empty() {
            return Err("the first layers of the image do not use it".to_owned());
        }
        Ok(self)
    }
}

impl<T, R> Default for Traffic<T, R> {
    fn default() -> Self {
        Self { given: Vec::new(), results: Vec::new() }
    }
}

/// The first layers of an image, unit by unit.
#[derive(Debug, Clone)]
pub struct Image {
    sizes: Sizes,
    /// Words of tokens without their positions, to tokens.
    pub patch_embedding: Traffic<patch_embedding::Patches, Vec<i32>>,
    /// Tokens, to words.
    pub layer_norm: Traffic<layer_norm::Token, Vec<i32>>,
    /// Matrices in memory, to blocks.
    pub weight_loader: Traffic<weight_loader::Matrix, Written>,
    /// Layers, to blocks of outputs.
    pub linear: Traffic<linear::Layer, Vec<i32>>,
    /// Sums of the layers that GELU follows.
    pub gelu: Traffic<gelu::Block, Vec<i32>>,
    /// Queries and keys, to scores of all heads.
    pub qk_product: Traffic<qk_product::Product, Vec<i32>>,
    /// Scores, to what is kept of the rows.
    pub running_softmax: Traffic<Scores, Vec<SoftmaxInfo>>,
    /// Scores and values, to words.
    pub pv_product: Traffic<pv_product::Product, Vec<i32>>,
    /// Tokens, to experts with their scores.
    pub gate: Traffic<gate::Token, Vec<(usize, i32)>>,
    /// Choices, to queues.
    pub expert_queues: Traffic<expert_queues::Layer, Vec<Vec<Entry>>>,
    /// Experts with the lengths of their queues.
    pub expert_sequencer: Traffic<expert_sequencer::Metaqueue, ()>,
}

impl Recorded for Image {
    fn vectors(
        &self,
        unit: &dyn Unit,
        pins: &Pins,
        plan: Plan,
    ) -> Result<Box<dyn Vectors>, String> {
        unit.image(pins, plan, self)
    }

    fn summary(&self) -> String {
        format!(
            "an image of {} tokens, {LAYERS} layers: {} tokens normalised, {} linear layers, {} products of \
             attention, {} tokens with experts",
            self.sizes.tokens,
            self.layer_norm.given.len(),
            self.linear.given.len(),
            self.qk_product.given.len(),
            self.gate.given.len(),
        )
    }
}

impl Image {
    /// The first layers of the image of a network on a machine.
    ///
    /// # Errors
    /// A machine that computes in another order than the hardware, or a network of other sizes than the
    /// hardware is made for.
    pub fn record(machine: &EdgeMoe, network: &Network, task: usize) -> Result<Self> {
        if !machine.techniques.qk_reordering {
            bail!(
                "the hardware meets keys in the staggered order of its slots: expected \
                 `techniques.qk_reordering=true`"
            );
        }
        let sizes = Sizes::deployed(machine);
        check(&sizes, &network.shape)?;
        let mut image = Self {
            sizes,
            patch_embedding: Traffic::default(),
            layer_norm: Traffic::default(),
            weight_loader: Traffic::default(),
            linear: Traffic::default(),
            gelu: Traffic::default(),
            qk_product: Traffic::default(),
            running_softmax: Traffic::default(),
            pv_product: Traffic::default(),
            gate: Traffic::default(),
            expert_queues: Traffic::default(),
            expert_sequencer: Traffic::default(),
        };
        functional::observe(machine, network, task, LAYERS, &mut |step| image.add(step))?;
        Ok(image)
    }

    fn add(&mut self, step: Step<'_>) {
        match step {
            Step::PatchEmbedding { unit, patches, positions, tokens } => {
                self.embed(unit, patches, positions, tokens);
            }
            Step::LayerNorm { unit, input, output } => self.normalise(unit, input, output),
            Step::Linear { matrix, bias, with_gelu, input, output } => {
                self.load(matrix, bias);
                self.multiply(matrix, with_gelu, input, output);
            }
            Step::Attention { queries, keys, values, rows, output } => {
                self.attend([queries, keys, values], rows, output);
            }
            Step::Gate { unit, input, routing, queues } => {
                self.choose(unit, input, routing);
                self.queue(routing, queues);
            }
        }
    }

    fn embed(
        &mut self,
        unit: &EdgePatchEmbedding,
        patches: &Array2<i32>,
        positions: &Array2<i32>,
        tokens: &Array2<i32>,
    ) {
        let Sizes { lanes, patch, patch_columns, .. } = self.sizes;
        let lines = unit.pixels / unit.line;
        let mut parameters = Vec::new();
        for (feature, weights) in (0u32..).zip(unit.weights.chunks_exact(unit.pixels)) {
            let word = (feature / lanes * lanes) as usize;
            let biases = unit.bias[word..word + lanes as usize].to_vec();
            let weights = (0u32..).zip(weights.chunks_exact(unit.line));
            parameters.extend(weights.map(|(line, weights)| patch_embedding::Parameters {
                feature,
                line,
                weights: weights.to_vec(),
                biases: biases.clone(),
            }));
        }
        // A word of pixels has four times the numbers of a word of features.
        let pairs = (4 * lanes / patch) as usize;
        let mut pixels = Vec::new();
        for row in 0..patches.nrows() / patch_columns as usize {
            for line in 0..lines {
                for group in 0..patch_columns as usize / pairs {
                    let first = row * patch_columns as usize + group * pairs;
                    let of = |patch: usize| {
                        (0..unit.line).map(move |at| patches[[patch, line * unit.line + at]] as u8)
                    };
                    pixels.push((first..first + pairs).flat_map(of).collect());
                }
            }
        }
        let positions = words(positions, lanes);
        self.patch_embedding.given.push(patch_embedding::Patches { parameters, pixels, positions });
        // The class token does not pass.
        let class_token = self.sizes.token_words() as usize;
        self.patch_embedding.results.extend(words(tokens, lanes).split_off(class_token));
    }

    fn normalise(&mut self, unit: &EdgeLayerNorm, input: &Array2<i32>, output: &Array2<i32>) {
        let lanes = self.sizes.lanes;
        let of_words = |values: &[i32]| -> Vec<Vec<i32>> {
            values.chunks(lanes as usize).map(<[i32]>::to_vec).collect()
        };
        let (weights, biases) = (of_words(&unit.weight), of_words(&unit.bias));
        let mut parameters: Vec<_> =
            weights.into_iter().zip(biases).map(|(weights, biases)| [weights, biases]).collect();
        for token in tokens(input, lanes) {
            let parameters = std::mem::take(&mut parameters);
            self.layer_norm.given.push(layer_norm::Token { parameters, words: token });
        }
        self.layer_norm.results.extend(words(output, lanes));
    }

    fn load(&mut self, matrix: &EdgeMatrix, bias: Format) {
        let word = self.sizes.word_weights as usize;
        let widened = LINEAR_BIAS.fraction - bias.fraction;
        let narrow: Vec<i16> = matrix.bias.iter().map(|bias| (bias >> widened) as i16).collect();
        let numbers = matrix.weights.chunks(word).chain(narrow.chunks(word));
        let (in_blocks, out_blocks) = self.blocks(matrix);
        self.weight_loader.given.push(weight_loader::Matrix {
            layer: Layer { in_blocks, out_blocks, bias_of_attention: bias == ATTENTION_BIAS },
            words: numbers.map(<[i16]>::to_vec).collect(),
        });
        let written = self.written(matrix);
        self.weight_loader.results.extend(written);
    }

    fn blocks(&self, matrix: &EdgeMatrix) -> (u32, u32) {
        let Sizes { block_inputs, block_outputs, .. } = self.sizes;
        (matrix.inputs as u32 / block_inputs, matrix.bias.len() as u32 / block_outputs)
    }

    /// Blocks of weights with their addresses in a buffer, then those of the bias.
    fn written(&self, matrix: &EdgeMatrix) -> Vec<Written> {
        let Sizes { block_inputs, block_outputs, .. } = self.sizes;
        let (inputs, outputs) = (block_inputs as usize, block_outputs as usize);
        let (in_blocks, out_blocks) = self.blocks(matrix);
        let row = |output: usize, column: usize| {
            let at = output * matrix.inputs + column * inputs;
            matrix.weights[at..at + inputs].to_vec()
        };
        let blocks = (0..in_blocks * out_blocks).map(|address| {
            let (block, column) = (address / in_blocks, address % in_blocks);
            let first = block as usize * outputs;
            let rows = (first..first + outputs).map(|output| row(output, column as usize));
            Written::Block { address, rows: rows.collect() }
        });
        let biases = (0..).zip(matrix.bias.chunks(outputs));
        blocks
            .chain(biases.map(|(address, bias)| Written::Bias { address, bias: bias.to_vec() }))
            .collect()
    }

    fn multiply(
        &mut self,
        matrix: &EdgeMatrix,
        with_gelu: bool,
        input: &Array2<i32>,
        output: &Array2<i32>,
    ) {
        let Sizes { block_inputs, block_outputs, .. } = self.sizes;
        let (in_blocks, out_blocks) = self.blocks(matrix);
        let tokens = input.nrows() as u32;
        self.linear.given.push(linear::Layer {
            job: Job { tokens, in_blocks, out_blocks, second: false, with_gelu },
            written: self.written(matrix),
            inputs: words(input, block_inputs),
        });
        let results = words(output, block_outputs);
        if with_gelu {
            let unit = EdgeLinear { fixed: Fixed::default(), inputs: block_inputs as usize };
            for token in rows(input) {
                let sums = unit.token(matrix, token, false);
                let blocks = sums.chunks(block_outputs as usize);
                self.gelu
                    .given
                    .extend(blocks.map(|sums| gelu::Block { with_gelu, features: sums.to_vec() }));
            }
            self.gelu.results.extend(results.iter().cloned());
        }
        self.linear.results.extend(results);
    }

    /// Queries, keys and values of a layer, in the order of the staggered slots.
    fn attend(
        &mut self,
        operands: [&Array2<i32>; 3],
        attention: &[AttentionRow],
        output: &Array2<i32>,
    ) {
        let Sizes { lanes, queries: slots, .. } = self.sizes;
        let [queries, keys, values] =
            operands.map(|array| tokens(array, lanes).collect::<Vec<_>>());
        let (mut key_words, mut value_words) = (Vec::new(), Vec::new());
        // Of each query, the keys that it met.
        let mut met = vec![0; attention.len()];
        let mut scores = Vec::new();
        let mut step = Some(TokenStep::first(&self.sizes));
        while let Some(now) = step {
            let key = now.key() as usize;
            key_words.extend(keys[key].iter().cloned());
            value_words.extend(values[key].iter().cloned());
            for slot in 0..slots {
                let place = now.slot(slot);
                let keep = place.query.is_some();
                let of_query = place.query.map(|query| {
                    let query = query as usize;
                    met[query] += 1;
                    attention[query].scores[met[query] - 1].clone()
                });
                self.qk_product.results.extend(of_query.clone());
                let of_slot = of_query.unwrap_or_else(|| vec![0; self.sizes.heads as usize]);
                scores.push(of_slot.clone());
                let (first, last) = (place.first, place.last);
                let row = Scores { slot, keep, first, last, scores: of_slot };
                self.running_softmax.given.push(row);
            }
            step = now.next();
        }
        let info: Vec<Vec<SoftmaxInfo>> = attention.iter().map(|row| row.info.clone()).collect();
        self.running_softmax.results.extend(info.iter().cloned());
        let queries = queries.concat();
        self.qk_product.given.push(qk_product::Product { queries, keys: key_words });
        self.pv_product.given.push(pv_product::Product { info, scores, values: value_words });
        self.pv_product.results.extend(words(output, lanes));
    }

    fn choose(&mut self, unit: &EdgeGate, input: &Array2<i32>, routing: &TokenRouting<i32>) {
        let Sizes { lanes, .. } = self.sizes;
        let of = |expert: &[i16], word: usize| {
            expert.chunks(unit.lanes).nth(word).map(<[i16]>::to_vec).unwrap_or_default()
        };
        let mut weights: Vec<Vec<i16>> = (0..self.sizes.token_words() as usize)
            .flat_map(|word| unit.weights.chunks(unit.inputs).map(move |expert| of(expert, word)))
            .collect();
        for token in tokens(input, lanes) {
            let weights = std::mem::take(&mut weights);
            self.gate.given.push(gate::Token { weights, words: token });
        }
        self.gate.results.extend(choices(routing));
    }

    fn queue(&mut self, routing: &TokenRouting<i32>, queues: &EdgeQueues) {
        let choice = |(expert, score): (usize, i32)| Choice {
            expert: expert as u32,
            score: score.cast_unsigned(),
        };
        let layer = choices(routing).map(|token| token.into_iter().map(choice).collect());
        self.expert_queues.given.push(layer.collect());
        let lengths = queues.lengths();
        let entries = (0..lengths.len()).map(|expert| {
            let waiting = queues.queue(expert).iter();
            waiting
                .map(|waiting| Entry {
                    token: waiting.token as u32,
                    score: waiting.score.cast_unsigned(),
                })
                .collect()
        });
        self.expert_queues.results.push(entries.collect());
        let active = queues.metaqueue().map(|expert| (expert as u32, lengths[expert]));
        self.expert_sequencer.given.push(active.collect());
    }
}

/// Whether the hardware is made for the model.
fn check(sizes: &Sizes, shape: &ImageShape) -> Result<()> {
    let pairs = [
        ("tokens", shape.tokens(), sizes.tokens),
        ("width", shape.width, sizes.width),
        ("heads", shape.heads, sizes.heads),
        ("mlp_hidden", shape.mlp_hidden, sizes.hidden),
        ("experts", shape.experts, sizes.experts),
        ("top_k", shape.top_k, sizes.chosen),
        ("patch", shape.patch, sizes.patch),
        ("patch_columns", shape.patch_columns, sizes.patch_columns),
        ("channels", shape.channels, sizes.colours),
    ];
    match pairs.into_iter().find(|(_, found, expected)| found != expected) {
        None => Ok(()),
        Some((name, found, expected)) => bail!(
            "the hardware is made for `{name}` of {expected}, and the model has {found}: expected the sizes \
             of `m3vit-tiny/cityscapes`"
        ),
    }
}

/// Experts of each token with their scores, the best first.
fn choices(routing: &TokenRouting<i32>) -> impl Iterator<Item = Vec<(usize, i32)>> {
    let experts = routing.experts.rows().into_iter();
    let tokens = experts.zip(routing.scores.rows());
    tokens.map(|(experts, scores)| experts.iter().copied().zip(scores.iter().copied()).collect())
}

fn rows(array: &Array2<i32>) -> impl Iterator<Item = &[i32]> {
    array.as_slice().unwrap_or(&[]).chunks(array.ncols().max(1))
}

/// Words of each row.
fn tokens(array: &Array2<i32>, lanes: u32) -> impl Iterator<Item = Vec<Vec<i32>>> {
    rows(array).map(move |row| row.chunks(lanes as usize).map(<[i32]>::to_vec).collect())
}

/// Words of all rows.
fn words(array: &Array2<i32>, lanes: u32) -> Vec<Vec<i32>> {
    tokens(array, lanes).flatten().collect()
}
