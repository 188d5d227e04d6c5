//! The numbers of a vision transformer with experts: an image, and everything that is trained.

use ndarray::{Array1, Array2, Array3};

use super::ImageShape;

/// A model with an image for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Its sizes.
    pub shape: ImageShape,
    /// Pixels from 0 to below 1, (channels, rows, columns).
    pub image: Array3<f32>,
    /// From the pixels of a patch, colour by colour and line by line, to a token.
    pub patch: Linear,
    /// Added to each token, (tokens, width). The first row is the class token with its place.
    pub positions: Array2<f32>,
    /// All layers.
    pub layers: Vec<Layer>,
}

/// One layer: `x += projection(attention(norm(x)))`, then `x += mixer(norm(x))`.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Before attention.
    pub attention_norm: Norm,
    /// Queries, keys and values, in this order.
    pub qkv: [Linear; 3],
    /// After the heads.
    pub projection: Linear,
    /// Before the mixer.
    pub mixer_norm: Norm,
    /// What mixes the features of a token.
    pub mixer: Mixer,
}

/// What mixes the features of a token.
#[derive(Debug, Clone, PartialEq)]
pub enum Mixer {
    /// One network for all tokens.
    Dense(FeedForward),
    /// A few networks for each token.
    Experts {
        /// The gate of each task, (experts, width), without bias.
        gates: Vec<Array2<f32>>,
        /// The experts.
        experts: Vec<FeedForward>,
    },
}

/// Two linear layers with GELU between them.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedForward {
    /// From the width to the hidden width.
    pub up: Linear,
    /// And back.
    pub down: Linear,
}

/// `y = weight x + bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// (outputs, inputs).
    pub weight: Array2<f32>,
    /// (outputs).
    pub bias: Array1<f32>,
}

/// Layer normalization with [`super::exact::EPSILON`].
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    /// (width).
    pub weight: Array1<f32>,
    /// (width).
    pub bias: Array1<f32>,
}

/// A tensor that a network needs.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSpec {
    /// Name, as the files released with Edge-MoE have it.
    pub name: String,
    /// Size of each dimension.
    pub shape: Vec<usize>,
    /// What numbers are likely in it.
    pub spread: Spread,
}

/// What numbers are likely in a tensor, for one that must be drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spread {
    /// Multiples of 1/256 from 0 to below 1, all equally likely.
    Pixels,
    /// Numbers around a mean, with this standard deviation.
    Around {
        /// Mean.
        mean: f32,
        /// Standard deviation.
        deviation: f32,
    },
}

/// Standard deviation of drawn biases and of the weights of norms around 1.
const SMALL: f32 = 0.05;
/// Standard deviation of drawn positions: half that of features, as in the released model.
const POSITION: f32 = 0.5;

impl Spread {
    /// Weights that keep the variance of `inputs` features of variance 1.
    fn weights(inputs: usize) -> Self {
        Spread::Around { mean: 0.0, deviation: 1.0 / (inputs.max(1) as f32).sqrt() }
    }

    fn small(mean: f32) -> Self {
        Spread::Around { mean, deviation: SMALL }
    }
}

impl Network {
    /// A network for a number of tasks, each with gates of its own. `tensor` is asked for each tensor in a
    /// fixed order, and gives as many numbers as its shape says, row by row.
    ///
    /// # Errors
    /// Whatever `tensor` returns.
    pub fn build<E>(
        shape: &ImageShape,
        tasks: usize,
        tensor: impl FnMut(&TensorSpec) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let mut builder = Builder { tensor };
        let size = |size: u32| size as usize;
        let (width, edge, channels) = (size(shape.width), size(shape.patch), size(shape.channels));
        let rows = size(shape.patch_rows) * edge;
        let columns = size(shape.patch_columns) * edge;
        let pixels = [channels, rows, columns];
        let image = builder.take("image".to_owned(), &pixels, Spread::Pixels)?;
        let image = Array3::from_shape_fn((channels, rows, columns), |(channel, row, column)| {
            let at = (channel * rows + row) * columns + column;
            image.get(at).copied().unwrap_or(0.0)
        });
        let kernel = [width, channels, edge, edge];
        let inputs = channels * edge * edge;
        let weight =
            builder.take("patch_embed_weight".to_owned(), &kernel, Spread::weights(inputs))?;
        let weight = matrix(&weight, width, inputs);
        let bias = builder.vector("patch_embed_bias".to_owned(), width, Spread::small(0.0))?;
        let around = Spread::Around { mean: 0.0, deviation: POSITION };
        let tokens = size(shape.tokens());
        let positions = builder.take("pos_embed".to_owned(), &[tokens, width], around)?;
        Ok(Self {
            shape: shape.clone(),
            image,
            patch: Linear { weight, bias },
            positions: matrix(&positions, tokens, width),
            layers: (0..shape.layers)
                .map(|layer| builder.layer(shape, tasks, layer))
                .collect::<Result<_, E>>()?,
        })
    }
}

struct Builder<T> {
    tensor: T,
}

impl<E, T: FnMut(&TensorSpec) -> Result<Vec<f32>, E>> Builder<T> {
    fn take(&mut self, name: String, shape: &[usize], spread: Spread) -> Result<Vec<f32>, E> {
        (self.tensor)(&TensorSpec { name, shape: shape.to_vec(), spread })
    }

    fn vector(&mut self, name: String, size: usize, spread: Spread) -> Result<Array1<f32>, E> {
        let values = self.take(name, &[size], spread)?;
        Ok(Array1::from_shape_fn(size, |at| values.get(at).copied().unwrap_or(0.0)))
    }

    fn norm(&mut self, name: &str, width: usize) -> Result<Norm, E> {
        Ok(Norm {
            weight: self.vector(format!("{name}_weight"), width, Spread::small(1.0))?,
            bias: self.vector(format!("{name}_bias"), width, Spread::small(0.0))?,
        })
    }

    /// Several linear layers of equal size, whose weights lie one behind the other. `leading` is a
    /// dimension of their own, where they have one.
    fn linears(
        &mut self,
        name: &str,
        leading: Option<usize>,
        count: usize,
        [outputs, inputs]: [usize; 2],
    ) -> Result<Vec<Linear>, E> {
        let rows = if leading.is_some() { outputs } else { count * outputs };
        let shape = |last: &[usize]| leading.into_iter().chain(last.iter().copied()).collect();
        let (weights, biases): (Vec<usize>, Vec<usize>) = (shape(&[rows, inputs]), shape(&[rows]));
        let weights = self.take(format!("{name}_weight"), &weights, Spread::weights(inputs))?;
        let biases = self.take(format!("{name}_bias"), &biases, Spread::small(0.0))?;
        let weights = matrix(&weights, count * outputs, inputs);
        let linear = |index: usize| {
            let rows = index * outputs..(index + 1) * outputs;
            let bias = |at| biases.get(index * outputs + at).copied().unwrap_or(0.0);
            let weight = weights.slice_axis(ndarray::Axis(0), rows.into()).to_owned();
            Linear { weight, bias: Array1::from_shape_fn(outputs, bias) }
        };
        Ok((0..count).map(linear).collect())
    }

    fn linear(&mut self, name: &str, size: [usize; 2]) -> Result<Linear, E> {
        let mut one = self.linears(name, None, 1, size)?;
        Ok(one.swap_remove(0))
    }

    fn layer(&mut self, shape: &ImageShape, tasks: usize, layer: u32) -> Result<Layer, E> {
        let width = shape.width as usize;
        let name = |what: &str| format!("l{layer}_{what}");
        let attention_norm = self.norm(&name("norm1"), width)?;
        let mut qkv = self.linears(&name("qkv"), None, 3, [width, width])?.into_iter();
        let mut next = || qkv.next().expect("three linear layers were asked for");
        let qkv = [next(), next(), next()];
        let projection = self.linear(&name("attn_proj"), [width, width])?;
        let mixer_norm = self.norm(&name("norm2"), width)?;
        let mixer = if shape.has_experts(layer) {
            let (experts, hidden) = (shape.experts as usize, shape.expert_hidden as usize);
            let gate = |task| {
                let name = name(&format!("w_gate_T_task{task}"));
                let gate = self.take(name, &[experts, width], Spread::weights(width))?;
                Ok(matrix(&gate, experts, width))
            };
            let gates = (0..tasks).map(gate).collect::<Result<_, E>>()?;
            let up = self.linears(&name("htoh4"), Some(experts), experts, [hidden, width])?;
            let down = self.linears(&name("h4toh"), Some(experts), experts, [width, hidden])?;
            let experts = up.into_iter().zip(down).map(|(up, down)| FeedForward { up, down });
            Mixer::Experts { gates, experts: experts.collect() }
        } else {
            let hidden = shape.mlp_hidden as usize;
            Mixer::Dense(FeedForward {
                up: self.linear(&name("fc1"), [hidden, width])?,
                down: self.linear(&name("fc2"), [width, hidden])?,
            })
        };
        Ok(Layer { attention_norm, qkv, projection, mixer_norm, mixer })
    }
}

/// Rows one behind the other.
fn matrix(values: &[f32], rows: usize, columns: usize) -> Array2<f32> {
    Array2::from_shape_fn((rows, columns), |(row, column)| {
        values.get(row * columns + column).copied().unwrap_or(0.0)
    })
}
