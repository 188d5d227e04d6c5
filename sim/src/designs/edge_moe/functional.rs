//! Every number of an image in the bits of the machine, composed of its units.
//!
//! Units work in the order of the schedule. Trained numbers are cut to their formats as they are loaded. The
//! order in which a query meets its keys is that of the staggered slots ([`edge_qk_product`]) or, without
//! reordering, that of the keys; everything else does not depend on techniques: they change time only.

use attelier_hw::edge_moe::EdgeMoe;
use attelier_hw::edge_moe::formats::{
    ATTENTION_BIAS, BIAS, FEATURE, Format, LINEAR_BIAS, PATCH_WEIGHT, PIXEL, WEIGHT,
};
use attelier_workloads::vision::network::{FeedForward, Layer, Linear, Mixer, Network, Norm};
use attelier_workloads::vision::{ImageTrace, LayerTrace, TokenRouting};
use ndarray::{Array1, Array2, Axis, Slice};

use super::error::EdgeMoeError;
use super::schedule;
use super::steps::{AttentionRow, Step};
use crate::datapath::fixed::{Fixed, quantise, real};
use crate::units::edge_gate::EdgeGate;
use crate::units::edge_layer_norm::EdgeLayerNorm;
use crate::units::edge_linear::{EdgeLinear, EdgeMatrix};
use crate::units::edge_patch_embedding::EdgePatchEmbedding;
use crate::units::edge_pv_product::EdgePvProduct;
use crate::units::edge_qk_product::{self, EdgeQkProduct};
use crate::units::edge_queues::EdgeQueues;
use crate::units::edge_softmax::{RunningSoftmax, SoftmaxInfo};

/// Computes the image of a network for one task; a task beyond the last has the gates of the last.
/// Numbers are features, in units of [`FEATURE`].
///
/// # Errors
/// Sizes that the machine does not compute.
pub fn compute(
    machine: &EdgeMoe,
    network: &Network,
    task: usize,
) -> Result<ImageTrace<i32>, EdgeMoeError> {
    schedule::check(machine, &network.shape)?;
    Ok(Functional::new(machine, network).image(task, usize::MAX, &mut |_| {}))
}

/// Computes the first `layers` layers of an image and hands on what each unit takes and gives, in the order of
/// the schedule; the linear layers of experts are left out.
///
/// # Errors
/// As [`compute`].
pub fn observe(
    machine: &EdgeMoe,
    network: &Network,
    task: usize,
    layers: usize,
    observer: &mut Observe<'_>,
) -> Result<ImageTrace<i32>, EdgeMoeError> {
    schedule::check(machine, &network.shape)?;
    Ok(Functional::new(machine, network).image(task, layers, observer))
}

/// What is told of each step.
pub type Observe<'a> = dyn FnMut(Step<'_>) + 'a;

/// The real numbers that features stand for.
pub fn to_real(trace: &ImageTrace<i32>) -> ImageTrace<f64> {
    trace.map(|feature| real(FEATURE, feature))
}

struct Functional<'a> {
    network: &'a Network,
    fixed: Fixed,
    linear: EdgeLinear,
    qk_product: EdgeQkProduct,
    pv_product: EdgePvProduct,
    lanes: usize,
    /// Query slots.
    slots: usize,
}

impl<'a> Functional<'a> {
    fn new(machine: &EdgeMoe, network: &'a Network) -> Self {
        let fixed = Fixed { saturate: machine.arithmetic.saturate };
        let lanes = machine.lanes() as usize;
        let shape = &network.shape;
        let head_width = (shape.width / shape.heads) as usize;
        let reordered = machine.techniques.qk_reordering;
        Self {
            network,
            fixed,
            linear: EdgeLinear { fixed, inputs: machine.linear.inputs as usize },
            qk_product: EdgeQkProduct::new(fixed, lanes, head_width),
            pv_product: EdgePvProduct { fixed, head_width },
            lanes,
            slots: if reordered { machine.attention.queries as usize } else { 1 },
        }
    }

    fn image(&self, task: usize, layers: usize, observer: &mut Observe<'_>) -> ImageTrace<i32> {
        let embedded = self.embed(observer);
        let mut x = embedded.clone();
        let network = self.network.layers.iter().take(layers);
        let mut layers = Vec::with_capacity(network.len());
        for layer in network {
            let trace = self.layer(layer, &x, task, observer);
            x = trace.output.clone();
            layers.push(trace);
        }
        ImageTrace { embedded, layers }
    }

    fn embed(&self, observer: &mut Observe<'_>) -> Array2<i32> {
        let network = self.network;
        let edge = network.shape.patch as usize;
        let unit = EdgePatchEmbedding {
            fixed: self.fixed,
            line: edge,
            pixels: network.patch.weight.ncols(),
            weights: self.weights(&network.patch.weight, PATCH_WEIGHT),
            bias: self.vector(&network.patch.bias, BIAS),
        };
        let mut x = network.positions.mapv(|position| self.cut(FEATURE, position));
        let positions = x.slice_axis(Axis(0), Slice::from(1..)).to_owned();
        let patches = network.patches().mapv(|pixel| self.cut(PIXEL, pixel));
        for (at, mut token) in x.rows_mut().into_iter().skip(1).enumerate() {
            let embedded = unit.patch(row(&patches, at), row(&positions, at));
            token.assign(&Array1::from(embedded));
        }
        observer(Step::PatchEmbedding {
            unit: &unit,
            patches: &patches,
            positions: &positions,
            tokens: &x,
        });
        x
    }

    fn layer(
        &self,
        layer: &Layer,
        x: &Array2<i32>,
        task: usize,
        observer: &mut Observe<'_>,
    ) -> LayerTrace<i32> {
        let attention_input = self.norm(&layer.attention_norm, x, observer);
        let [queries, keys, values] = layer
            .qkv
            .each_ref()
            .map(|map| self.linear(map, ATTENTION_BIAS, false, &attention_input, observer));
        let mixed = self.attention(&queries, &keys, &values, observer);
        let attended = self.linear(&layer.projection, ATTENTION_BIAS, false, &mixed, observer);
        let after_attention = self.sum(x, &attended);
        let mixer_input = self.norm(&layer.mixer_norm, &after_attention, observer);
        let (mixed, routing) = match &layer.mixer {
            Mixer::Dense(network) => {
                let hidden = self.linear(&network.up, BIAS, true, &mixer_input, observer);
                (self.linear(&network.down, BIAS, false, &hidden, observer), None)
            }
            Mixer::Experts { gates, experts } => {
                let gate = gates.get(task).or(gates.last());
                let gate = gate.map(|gate| self.gate(gate));
                let (queues, routing) = self.route(&mixer_input, gate.as_ref());
                if let Some(unit) = &gate {
                    let (input, routing, queues) = (&mixer_input, &routing, &queues);
                    observer(Step::Gate { unit, input, routing, queues });
                }
                (self.experts(&mixer_input, &queues, experts), Some(routing))
            }
        };
        let output = self.sum(&after_attention, &mixed);
        LayerTrace { attention_input, attended, after_attention, mixer_input, routing, output }
    }

    fn attention(
        &self,
        queries: &Array2<i32>,
        keys: &Array2<i32>,
        values: &Array2<i32>,
        observer: &mut Observe<'_>,
    ) -> Array2<i32> {
        let tokens = queries.nrows();
        let mut output = Array2::zeros(values.raw_dim());
        let mut rows = Vec::with_capacity(tokens);
        for query in 0..tokens {
            let order = || edge_qk_product::key_order(query, tokens, self.slots);
            let scores: Vec<Vec<i32>> = order()
                .map(|key| self.qk_product.scores(row(queries, query), row(keys, key)))
                .collect();
            let heads = scores.first().map_or(0, Vec::len);
            let mut softmax = vec![RunningSoftmax::new(self.fixed); heads];
            for scores in &scores {
                softmax.iter_mut().zip(scores).for_each(|(head, &score)| head.push(score));
            }
            let info: Vec<SoftmaxInfo> = softmax.iter().map(RunningSoftmax::info).collect();
            let mut mixed = vec![0; values.ncols()];
            for (key, scores) in order().zip(&scores) {
                self.pv_product.step(&mut mixed, scores, &info, row(values, key));
            }
            output.row_mut(query).assign(&Array1::from(mixed));
            rows.push(AttentionRow { scores, info });
        }
        observer(Step::Attention { queries, keys, values, rows: &rows, output: &output });
        output
    }

    /// Experts of every token, as queues and as a record; none without a gate.
    fn route(&self, x: &Array2<i32>, gate: Option<&EdgeGate>) -> (EdgeQueues, TokenRouting<i32>) {
        let experts = self.network.shape.experts as usize;
        let top_k = self.network.shape.top_k as usize;
        let tokens = x.nrows();
        let mut queues = EdgeQueues::new(experts);
        let mut routing = TokenRouting {
            logits: Array2::zeros((tokens, experts)),
            experts: Array2::zeros((tokens, top_k)),
            scores: Array2::zeros((tokens, top_k)),
        };
        let Some(gate) = gate else { return (queues, routing) };
        for token in 0..tokens {
            let logits = gate.logits(row(x, token));
            let choices = gate.choose(&logits);
            for (rank, &(expert, score)) in choices.iter().enumerate() {
                routing.experts[[token, rank]] = expert;
                routing.scores[[token, rank]] = score;
            }
            routing.logits.row_mut(token).assign(&Array1::from(logits));
            queues.push(token, &choices);
        }
        (queues, routing)
    }

    /// Expert by expert, as the metaqueue lists them; only those are loaded.
    fn experts(
        &self,
        x: &Array2<i32>,
        queues: &EdgeQueues,
        experts: &[FeedForward],
    ) -> Array2<i32> {
        let mut mixed = Array2::<i32>::zeros(x.raw_dim());
        for index in queues.metaqueue() {
            let Some(expert) = experts.get(index).map(|expert| self.feed_forward(expert)) else {
                continue;
            };
            for waiting in queues.queue(index) {
                let result = expert.token(&self.linear, row(x, waiting.token));
                let mut to = mixed.row_mut(waiting.token);
                let to = to.as_slice_mut().expect("rows of an array of zeros lie in one piece");
                self.linear.accumulate(to, &result, waiting.score);
            }
        }
        mixed
    }

    fn norm(&self, norm: &Norm, input: &Array2<i32>, observer: &mut Observe<'_>) -> Array2<i32> {
        let unit = EdgeLayerNorm {
            fixed: self.fixed,
            weight: self.vector(&norm.weight, BIAS),
            bias: self.vector(&norm.bias, BIAS),
        };
        let output = self.each_token(input, |token| unit.token(token));
        observer(Step::LayerNorm { unit: &unit, input, output: &output });
        output
    }

    /// A linear layer whose bias has this format in memory.
    fn linear(
        &self,
        map: &Linear,
        bias: Format,
        with_gelu: bool,
        input: &Array2<i32>,
        observer: &mut Observe<'_>,
    ) -> Array2<i32> {
        let matrix = self.matrix(map, bias);
        let output = self.each_token(input, |token| self.linear.token(&matrix, token, with_gelu));
        observer(Step::Linear { matrix: &matrix, bias, with_gelu, input, output: &output });
        output
    }

    fn gate(&self, weights: &Array2<f32>) -> EdgeGate {
        EdgeGate {
            fixed: self.fixed,
            lanes: self.lanes,
            inputs: weights.ncols(),
            weights: self.weights(weights, WEIGHT),
            top_k: self.network.shape.top_k as usize,
        }
    }

    fn feed_forward(&self, network: &FeedForward) -> LoadedNetwork {
        LoadedNetwork { up: self.matrix(&network.up, BIAS), down: self.matrix(&network.down, BIAS) }
    }

    fn matrix(&self, map: &Linear, bias: Format) -> EdgeMatrix {
        let widened = LINEAR_BIAS.fraction - bias.fraction;
        let bias = map.bias.iter().map(|&value| self.cut(bias, value) << widened);
        EdgeMatrix {
            inputs: map.weight.ncols(),
            weights: self.weights(&map.weight, WEIGHT),
            bias: bias.collect(),
        }
    }

    /// Numbers of 16 bits, row by row.
    fn weights(&self, weights: &Array2<f32>, format: Format) -> Vec<i16> {
        weights.iter().map(|&weight| self.cut(format, weight) as i16).collect()
    }

    fn vector(&self, values: &Array1<f32>, format: Format) -> Vec<i32> {
        values.iter().map(|&value| self.cut(format, value)).collect()
    }

    fn cut(&self, format: Format, value: f32) -> i32 {
        quantise(format, value.into(), self.fixed.saturate)
    }

    fn sum(&self, a: &Array2<i32>, b: &Array2<i32>) -> Array2<i32> {
        let mut sum = a.clone();
        sum.zip_mut_with(b, |a, &b| *a = self.fixed.add(*a, b));
        sum
    }

    fn each_token(&self, x: &Array2<i32>, unit: impl Fn(&[i32]) -> Vec<i32>) -> Array2<i32> {
        let rows: Vec<Vec<i32>> = (0..x.nrows()).map(|token| unit(row(x, token))).collect();
        let width = rows.first().map_or(0, Vec::len);
        let mut result = Array2::zeros((x.nrows(), width));
        for (mut to, from) in result.axis_iter_mut(Axis(0)).zip(rows) {
            to.assign(&Array1::from(from));
        }
        result
    }
}

/// Both layers of a feed-forward network, as they are loaded.
struct LoadedNetwork {
    up: EdgeMatrix,
    down: EdgeMatrix,
}

impl LoadedNetwork {
    fn token(&self, unit: &EdgeLinear, token: &[i32]) -> Vec<i32> {
        unit.token(&self.down, &unit.token(&self.up, token, true), false)
    }
}

/// One row; every array here has its rows in one piece.
fn row(x: &Array2<i32>, row: usize) -> &[i32] {
    let width = x.ncols();
    x.as_slice().and_then(|all| all.get(row * width..(row + 1) * width)).unwrap_or(&[])
}
