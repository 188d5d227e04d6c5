//! A network in 32-bit floats: what a machine's numbers are compared with.
//!
//! The equations are those of M3ViT (arXiv 2210.14793) as Edge-MoE deploys it: layer norm before attention
//! and before the mixer, exact GELU, the softmax of the gate over all experts and the scores of the
//! chosen not renormalised. [`crate::reference`] has the same mathematics loop by loop in `f64`.

use ndarray::{Array1, Array2, ArrayView1, Axis, Slice};

use super::network::{FeedForward, Layer, Linear, Mixer, Network, Norm};
use super::trace::{ImageTrace, LayerTrace, TokenRouting};
use crate::reference::{gelu, top_k_ranked};

/// Added to the variance in layer norms.
pub const EPSILON: f32 = 1e-6;

impl Network {
    /// Computes the image for one task. A task beyond the last has the gates of the last.
    pub fn exact(&self, task: usize) -> ImageTrace<f32> {
        let embedded = self.embed();
        let mut x = embedded.clone();
        let mut layers = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let trace = layer.exact(&x, self.shape.heads as usize, self.shape.top_k as usize, task);
            x = trace.output.clone();
            layers.push(trace);
        }
        ImageTrace { embedded, layers }
    }

    /// Pixels of each patch, (patches, channels * patch * patch).
    pub fn patches(&self) -> Array2<f32> {
        let (channels, rows, columns) = self.image.dim();
        let edge = (self.shape.patch as usize).max(1);
        let across = columns / edge;
        let count = rows / edge * across;
        Array2::from_shape_fn((count, channels * edge * edge), |(patch, pixel)| {
            let (channel, line, column) =
                (pixel / (edge * edge), pixel / edge % edge, pixel % edge);
            let (row, left) = (patch / across * edge + line, patch % across * edge + column);
            self.image[[channel, row, left]]
        })
    }

    fn embed(&self) -> Array2<f32> {
        let mut x = self.positions.clone();
        let patches = self.patch.apply(&self.patches());
        let mut rows = x.slice_axis_mut(Axis(0), Slice::from(1..));
        rows += &patches;
        x
    }
}

impl Layer {
    fn exact(&self, x: &Array2<f32>, heads: usize, top_k: usize, task: usize) -> LayerTrace<f32> {
        let attention_input = self.attention_norm.apply(x);
        let [queries, keys, values] = self.qkv.each_ref().map(|map| map.apply(&attention_input));
        let mixed = attention(&queries, &keys, &values, heads);
        let attended = self.projection.apply(&mixed);
        let after_attention = x + &attended;
        let mixer_input = self.mixer_norm.apply(&after_attention);
        let (mixed, routing) = match &self.mixer {
            Mixer::Dense(network) => (network.apply(&mixer_input), None),
            Mixer::Experts { gates, experts } => {
                let gate = gates.get(task).or(gates.last());
                let routing = gate.map(|gate| route(&mixer_input, gate, top_k));
                let empty = || Array2::zeros(x.raw_dim());
                let mixed = routing.as_ref().map(|routing| mix(&mixer_input, routing, experts));
                (mixed.unwrap_or_else(empty), routing)
            }
        };
        let output = &after_attention + &mixed;
        LayerTrace { attention_input, attended, after_attention, mixer_input, routing, output }
    }
}

impl Linear {
    fn apply(&self, x: &Array2<f32>) -> Array2<f32> {
        x.dot(&self.weight.t()) + &self.bias
    }
}

impl FeedForward {
    fn apply(&self, x: &Array2<f32>) -> Array2<f32> {
        let hidden = self.up.apply(x).mapv_into(|x| gelu(f64::from(x)) as f32);
        self.down.apply(&hidden)
    }
}

impl Norm {
    fn apply(&self, x: &Array2<f32>) -> Array2<f32> {
        let mut y = x.clone();
        for mut row in y.rows_mut() {
            let count = row.len().max(1) as f32;
            let mean = row.sum() / count;
            row -= mean;
            let variance = row.dot(&row) / count;
            row /= (variance + EPSILON).sqrt();
            row *= &self.weight;
            row += &self.bias;
        }
        y
    }
}

fn softmax(scores: ArrayView1<'_, f32>) -> Array1<f32> {
    let most = scores.fold(f32::NEG_INFINITY, |most, &score| most.max(score));
    let terms = scores.mapv(|score| (score - most).exp());
    let sum = terms.sum();
    terms / sum
}

/// Attention of all heads, (tokens, width).
fn attention(q: &Array2<f32>, k: &Array2<f32>, v: &Array2<f32>, heads: usize) -> Array2<f32> {
    let width = q.ncols() / heads.max(1);
    let mut output = Array2::zeros(v.raw_dim());
    for head in 0..heads {
        let columns = Slice::from(head * width..(head + 1) * width);
        let [q, k, v] = [q, k, v].map(|x| x.slice_axis(Axis(1), columns));
        let mut scores = q.dot(&k.t()) / (width as f32).sqrt();
        for mut row in scores.rows_mut() {
            let probabilities = softmax(row.view());
            row.assign(&probabilities);
        }
        output.slice_axis_mut(Axis(1), columns).assign(&scores.dot(&v));
    }
    output
}

fn route(x: &Array2<f32>, gate: &Array2<f32>, top_k: usize) -> TokenRouting<f32> {
    let logits = x.dot(&gate.t());
    let top_k = top_k.min(gate.nrows());
    let mut experts = Array2::zeros((x.nrows(), top_k));
    let mut scores = Array2::zeros((x.nrows(), top_k));
    for (token, logits) in logits.rows().into_iter().enumerate() {
        let shares = softmax(logits);
        let logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        for (rank, expert) in top_k_ranked(&logits, top_k).into_iter().enumerate() {
            experts[[token, rank]] = expert;
            scores[[token, rank]] = shares[expert];
        }
    }
    TokenRouting { logits, experts, scores }
}

/// Expert by expert, each with all of its tokens.
fn mix(x: &Array2<f32>, routing: &TokenRouting<f32>, experts: &[FeedForward]) -> Array2<f32> {
    let mut mixed = Array2::zeros(x.raw_dim());
    for (index, expert) in experts.iter().enumerate() {
        let chosen = routing.experts.indexed_iter().filter(|&(_, &chosen)| chosen == index);
        let places: Vec<(usize, usize)> = chosen.map(|(place, _)| place).collect();
        if places.is_empty() {
            continue;
        }
        let tokens: Vec<usize> = places.iter().map(|&(token, _)| token).collect();
        let results = expert.apply(&x.select(Axis(0), &tokens));
        for (&place, result) in places.iter().zip(results.rows()) {
            mixed.row_mut(place.0).scaled_add(routing.scores[place], &result);
        }
    }
    mixed
}

#[cfg(test)]
mod tests {
    use crate::reference;
    use crate::vision::ImageShape;

    use super::*;

    fn small() -> ImageShape {
        ImageShape {
            channels: 2,
            patch: 4,
            patch_rows: 2,
            patch_columns: 3,
            layers: 2,
            dense: false,
            width: 12,
            heads: 3,
            mlp_hidden: 20,
            experts: 5,
            expert_hidden: 8,
            top_k: 2,
        }
    }

    fn wide(x: &Array2<f32>) -> Array2<f64> {
        x.mapv(f64::from)
    }

    #[track_caller]
    fn close(found: &Array2<f32>, expected: &Array2<f64>) {
        assert_eq!(found.dim(), expected.dim());
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} instead of {expected}");
        }
    }

    fn reference_linear(map: &Linear, x: &Array2<f64>) -> Array2<f64> {
        let (weight, bias) = (wide(&map.weight), map.bias.mapv(f64::from));
        reference::linear(x.view(), weight.view(), Some(bias.view())).unwrap()
    }

    fn reference_norm(norm: &Norm, x: &Array2<f64>) -> Array2<f64> {
        let (weight, bias) = (norm.weight.mapv(f64::from), norm.bias.mapv(f64::from));
        reference::layer_norm(x.view(), weight.view(), bias.view(), 1e-6).unwrap()
    }

    /// Each step against the kernel of the same name in `f64`, on the operands that the network had.
    #[test]
    fn every_step_is_that_of_the_reference_kernels() {
        let network = Network::generated(&small(), 2, 7);
        let trace = network.exact(1);
        let kernel = network.patch.weight.to_shape((12, 2, 4, 4)).unwrap().mapv(f64::from);
        let (image, bias) = (network.image.mapv(f64::from), network.patch.bias.mapv(f64::from));
        let mut x = wide(&network.positions);
        let patches = reference::patch_embedding(image.view(), kernel.view(), bias.view()).unwrap();
        let mut rows = x.slice_axis_mut(Axis(0), Slice::from(1..));
        rows += &patches;
        close(&trace.embedded, &x);

        for (layer, trace) in network.layers.iter().zip(&trace.layers) {
            close(&trace.attention_input, &reference_norm(&layer.attention_norm, &x));
            let input = wide(&trace.attention_input);
            let [q, k, v] = layer.qkv.each_ref().map(|map| reference_linear(map, &input));
            let heads = reference::multi_head_attention(
                q.view(),
                k.view(),
                v.view(),
                3,
                reference::Mask::Full,
            );
            let joined = reference::Attention::concatenate(&heads.unwrap()).unwrap();
            close(&trace.attended, &reference_linear(&layer.projection, &joined));
            close(&trace.after_attention, &(&x + &wide(&trace.attended)));
            let after = wide(&trace.after_attention);
            close(&trace.mixer_input, &reference_norm(&layer.mixer_norm, &after));
            let input = wide(&trace.mixer_input);
            let feed_forward = |network: &FeedForward| reference::FeedForward {
                up: wide(&network.up.weight),
                up_bias: network.up.bias.mapv(f64::from),
                down: wide(&network.down.weight),
                down_bias: network.down.bias.mapv(f64::from),
                activation: reference::gelu,
            };
            let mixed = match &layer.mixer {
                Mixer::Dense(network) => feed_forward(network).apply(input.view()).unwrap(),
                Mixer::Experts { gates, experts } => {
                    let routing = reference::gate(input.view(), wide(&gates[1]).view(), 2).unwrap();
                    let ours = trace.routing.as_ref().unwrap();
                    assert_eq!(ours.experts, routing.experts);
                    close(&ours.scores, &routing.scores);
                    assert_eq!(ours.queues().iter().sum::<u32>(), 2 * 7);
                    let experts: Vec<_> = experts.iter().map(feed_forward).collect();
                    reference::mixture_of_experts(input.view(), &routing, &experts).unwrap()
                }
            };
            close(&trace.output, &(&after + &mixed));
            x = wide(&trace.output);
        }
    }

    #[test]
    fn tasks_have_gates_of_their_own() {
        let network = Network::generated(&small(), 2, 7);
        let [first, second] = [0, 1].map(|task| network.exact(task));
        assert_eq!(first.layers[0], second.layers[0]);
        assert_ne!(first.layers[1].routing, second.layers[1].routing);
    }
}
