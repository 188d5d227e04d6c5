//! The weights of a GPT-2 for machines that compute all of it, and its decode in `f64`.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Slice};

use super::embedding::Embedding;
use super::layers::{Activation, Linear, Norm};
use super::{Head, Model, ModelError};
use crate::reference::{KeyValueCache, gelu_tanh, layer_norm};

/// An affine map of a vector.
#[derive(Debug, Clone, Copy)]
pub struct Affine<'a> {
    /// [inputs, outputs].
    pub weight: ArrayView2<'a, f32>,
    /// [outputs].
    pub bias: Option<ArrayView1<'a, f32>>,
}

/// A layer normalization.
#[derive(Debug, Clone, Copy)]
pub struct Normalization<'a> {
    /// [hidden].
    pub weight: ArrayView1<'a, f32>,
    /// [hidden].
    pub bias: ArrayView1<'a, f32>,
    /// Added to the variance.
    pub epsilon: f32,
}

/// One layer: normalization, attention, normalization, feed-forward network with `gelu_new`.
#[derive(Debug, Clone, Copy)]
pub struct GptLayer<'a> {
    /// Before attention.
    pub attention_norm: Normalization<'a>,
    /// Queries.
    pub query: Affine<'a>,
    /// Keys.
    pub key: Affine<'a>,
    /// Values.
    pub value: Affine<'a>,
    /// From the heads back to the state.
    pub output: Affine<'a>,
    /// Before the feed-forward network.
    pub feed_forward_norm: Normalization<'a>,
    /// First product of the feed-forward network.
    pub up: Affine<'a>,
    /// Its second.
    pub down: Affine<'a>,
    /// What scores are multiplied with.
    pub scale: f32,
}

/// All weights.
#[derive(Debug, Clone)]
pub struct Gpt<'a> {
    /// [vocabulary, hidden].
    pub words: ArrayView2<'a, f32>,
    /// [positions, hidden].
    pub positions: ArrayView2<'a, f32>,
    /// The layers.
    pub layers: Vec<GptLayer<'a>>,
    /// After the last layer.
    pub final_norm: Normalization<'a>,
    /// From the state to scores of tokens.
    pub language: Affine<'a>,
    /// Heads of a layer.
    pub heads: usize,
}

impl Model {
    /// Its weights, if it is a GPT-2.
    ///
    /// # Errors
    /// Another family, or another activation than `gelu_new`.
    pub fn as_gpt(&self) -> Result<Gpt<'_>, ModelError> {
        let expected = "a model of the family gpt2 with the activation `gelu_new`";
        let refuse = || self.wrong_kind(expected);
        let (Embedding::Tokens(embedding), Head::Decoder { language }) =
            (&self.embedding, &self.head)
        else {
            return Err(refuse());
        };
        let (Some(positions), Some(final_norm)) = (&embedding.positions, &self.stack.final_norm)
        else {
            return Err(refuse());
        };
        let layers = self.stack.layers.iter().map(|layer| {
            let feed_forward = &layer.feed_forward;
            if feed_forward.gate.is_some() || feed_forward.activation != Activation::GeluTanh {
                return None;
            }
            Some(GptLayer {
                attention_norm: normalization(&layer.attention_norm)?,
                query: affine(&layer.query),
                key: affine(&layer.key),
                value: affine(&layer.value),
                output: affine(&layer.output),
                feed_forward_norm: normalization(&layer.feed_forward_norm)?,
                up: affine(&feed_forward.up),
                down: affine(&feed_forward.down),
                scale: layer.scale,
            })
        });
        let words = embedding.words.view();
        Ok(Gpt {
            words,
            positions: positions.view(),
            layers: layers.collect::<Option<_>>().ok_or_else(refuse)?,
            final_norm: normalization(final_norm).ok_or_else(refuse)?,
            language: match language {
                Some(linear) => affine(linear),
                None => Affine { weight: words.reversed_axes(), bias: None },
            },
            heads: self.shape.heads,
        })
    }
}

fn affine(linear: &Linear) -> Affine<'_> {
    Affine { weight: linear.weight.view(), bias: linear.bias.as_ref().map(|bias| bias.view()) }
}

fn normalization(norm: &Norm) -> Option<Normalization<'_>> {
    match norm {
        Norm::Layer { weight, bias, epsilon } => {
            Some(Normalization { weight: weight.view(), bias: bias.view(), epsilon: *epsilon })
        }
        Norm::RootMeanSquare { .. } => None,
    }
}

impl Gpt<'_> {
    /// Checks a token and its position; both index tables.
    ///
    /// # Errors
    /// A token or a position that the model does not have.
    pub fn place(&self, token: u32, position: usize) -> Result<(usize, usize), ModelError> {
        let token = usize::try_from(token).unwrap_or(usize::MAX);
        for (what, found, most) in [
            ("a token", token, self.words.nrows()),
            ("a position", position, self.positions.nrows()),
        ] {
            if found >= most {
                let expected = format!("a number below {most}");
                return Err(ModelError::Input { what, found: found.to_string(), expected });
            }
        }
        Ok((token, position))
    }
}

/// A GPT-2 decode in `f64`, from the reference kernels: what machines are compared with.
#[derive(Debug)]
pub struct ExactDecode<'a, 'm> {
    model: &'a Gpt<'m>,
    /// By layer and head.
    caches: Vec<Vec<KeyValueCache>>,
    tokens: usize,
}

/// What one token gives.
#[derive(Debug, Clone, PartialEq)]
pub struct ExactStep {
    /// State after each layer [hidden].
    pub states: Vec<Array1<f64>>,
    /// Scores of the token that follows [vocabulary].
    pub logits: Array1<f64>,
}

impl<'a, 'm> ExactDecode<'a, 'm> {
    /// A decode that begins with no text.
    pub fn new(model: &'a Gpt<'m>) -> Self {
        let head_dim = model.words.ncols() / model.heads.max(1);
        let layer = || (0..model.heads).map(|_| KeyValueCache::new(head_dim, head_dim)).collect();
        let caches = model.layers.iter().map(|_| layer()).collect();
        Self { model, caches, tokens: 0 }
    }

    /// Takes one more token through all layers.
    ///
    /// # Errors
    /// A token that the model does not know, or more tokens than it has positions.
    pub fn step(&mut self, token: u32) -> Result<ExactStep, ModelError> {
        let model = self.model;
        let (token, position) = model.place(token, self.tokens)?;
        self.tokens += 1;
        let exact = |row: ArrayView1<'_, f32>| row.mapv(f64::from);
        let mut state = exact(model.words.row(token)) + exact(model.positions.row(position));
        let mut states = Vec::new();
        for (layer, caches) in model.layers.iter().zip(&mut self.caches) {
            let input = norm(&state, &layer.attention_norm);
            let [q, k, v] = [&layer.query, &layer.key, &layer.value].map(|map| apply(map, &input));
            let head_dim = q.len() / model.heads.max(1);
            let mut mixed = Vec::with_capacity(q.len());
            for (head, cache) in caches.iter_mut().enumerate() {
                let part = Slice::from(head * head_dim..(head + 1) * head_dim);
                let [q, k, v] = [&q, &k, &v].map(|all| all.slice_axis(Axis(0), part));
                let attended = cache
                    .step(q, k, v, f64::from(layer.scale))
                    .expect("heads have the width of their cache");
                mixed.extend(attended.output.row(0));
            }
            state += &apply(&layer.output, &Array1::from_vec(mixed));
            let input = norm(&state, &layer.feed_forward_norm);
            let hidden = apply(&layer.up, &input).mapv(gelu_tanh);
            state += &apply(&layer.down, &hidden);
            states.push(state.clone());
        }
        let logits = apply(&model.language, &norm(&state, &model.final_norm));
        Ok(ExactStep { states, logits })
    }
}

fn apply(map: &Affine<'_>, input: &Array1<f64>) -> Array1<f64> {
    let mut output = Array1::zeros(map.weight.ncols());
    for (weights, input) in map.weight.axis_iter(Axis(0)).zip(input) {
        for (sum, weight) in output.iter_mut().zip(weights) {
            *sum += f64::from(*weight) * input;
        }
    }
    if let Some(bias) = map.bias {
        output += &bias.mapv(f64::from);
    }
    output
}

fn norm(state: &Array1<f64>, norm: &Normalization<'_>) -> Array1<f64> {
    let rows: Array2<f64> = state.clone().insert_axis(Axis(0));
    let [weight, bias] = [norm.weight, norm.bias].map(|row| row.mapv(f64::from));
    let result = layer_norm(rows.view(), weight.view(), bias.view(), f64::from(norm.epsilon));
    result.expect("states have the width of the model").row(0).to_owned()
}
