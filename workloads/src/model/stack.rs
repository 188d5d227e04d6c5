//! The layers of a transformer, with attention left to an [`Attention`].

use ndarray::{Array2, ArrayView2, Axis};

use super::attention::{Attended, Attention, Projected};
use super::layers::{FeedForward, Linear, Norm};
use super::rotary::Rotary;
use super::{ModelError, Shape};

/// One layer.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub attention_norm: Norm,
    pub query: Linear,
    pub key: Linear,
    pub value: Linear,
    pub output: Linear,
    pub feed_forward_norm: Norm,
    pub feed_forward: FeedForward,
    /// What scores are multiplied with.
    pub scale: f32,
}

/// Where a layer normalizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NormPlace {
    /// The input of attention and feed-forward network (GPT-2, Llama, ViT).
    Before,
    /// The sum after each of them (BERT).
    After,
}

/// All layers.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    pub layers: Vec<Layer>,
    pub norm_place: NormPlace,
    pub causal: bool,
    pub rotary: Option<Rotary>,
    /// Applied to the states after the last layer.
    pub final_norm: Option<Norm>,
}

/// Keys and values that a layer has met, of the tokens that reached it.
#[derive(Debug, Clone)]
struct Cached {
    keys: Array2<f32>,
    values: Array2<f32>,
    positions: Vec<usize>,
}

/// Keys and values of all layers: what a decoder remembers of the text so far.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    layers: Vec<Cached>,
}

impl Cache {
    pub fn new(shape: &Shape) -> Cache {
        let rows = || Array2::zeros((0, shape.kv_heads * shape.head_dim));
        let empty = || Cached { keys: rows(), values: rows(), positions: Vec::new() };
        Cache { layers: (0..shape.layers).map(|_| empty()).collect() }
    }

    /// Positions of the keys that layer `layer` holds.
    pub fn positions(&self, layer: usize) -> &[usize] {
        self.layers.get(layer).map_or(&[], |cached| &cached.positions)
    }
}

impl Cached {
    fn append(&mut self, keys: &Array2<f32>, values: &Array2<f32>, positions: &[usize]) {
        let fits = "all keys and values of a layer have the same columns";
        self.keys.append(Axis(0), keys.view()).expect(fits);
        self.values.append(Axis(0), values.view()).expect(fits);
        self.positions.extend(positions);
    }
}

/// Rows on their way through the layers.
#[derive(Debug)]
pub(super) struct Stream {
    /// [rows, hidden].
    pub states: Array2<f32>,
    /// Position of each row, ascending.
    pub positions: Vec<usize>,
}

impl Stack {
    /// Takes rows through all layers. With a cache, they follow the rows that it holds.
    pub fn run(
        &self,
        shape: &Shape,
        mut stream: Stream,
        mut cache: Option<&mut Cache>,
        attention: &mut dyn Attention,
    ) -> Result<Stream, ModelError> {
        for (index, layer) in self.layers.iter().enumerate() {
            let cached = cache.as_mut().and_then(|cache| cache.layers.get_mut(index));
            self.run_layer(shape, index, layer, &mut stream, cached, attention)?;
        }
        if let Some(norm) = &self.final_norm {
            stream.states = norm.apply(stream.states.view());
        }
        Ok(stream)
    }

    fn run_layer(
        &self,
        shape: &Shape,
        index: usize,
        layer: &Layer,
        stream: &mut Stream,
        cached: Option<&mut Cached>,
        attention: &mut dyn Attention,
    ) -> Result<(), ModelError> {
        let normed;
        let input = match self.norm_place {
            NormPlace::Before => {
                normed = layer.attention_norm.apply(stream.states.view());
                normed.view()
            }
            NormPlace::After => stream.states.view(),
        };
        let attended =
            self.attend(shape, index, layer, input, &stream.positions, cached, attention)?;
        let mut output = attended.output;
        if let Some(kept) = &attended.kept {
            output = output.select(Axis(0), kept);
            stream.states = stream.states.select(Axis(0), kept);
            stream.positions = kept.iter().map(|row| stream.positions[*row]).collect();
        }
        let states = &mut stream.states;
        *states += &layer.output.apply(output.view());
        match self.norm_place {
            NormPlace::Before => {
                let normed = layer.feed_forward_norm.apply(states.view());
                *states += &layer.feed_forward.apply(normed.view());
            }
            NormPlace::After => {
                *states = layer.attention_norm.apply(states.view());
                *states += &layer.feed_forward.apply(states.view());
                *states = layer.feed_forward_norm.apply(states.view());
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one call site; a record would only rename them")]
    fn attend(
        &self,
        shape: &Shape,
        index: usize,
        layer: &Layer,
        input: ArrayView2<'_, f32>,
        positions: &[usize],
        cached: Option<&mut Cached>,
        attention: &mut dyn Attention,
    ) -> Result<Attended, ModelError> {
        let mut q = layer.query.apply(input);
        let mut k = layer.key.apply(input);
        let v = layer.value.apply(input);
        if let Some(rotary) = &self.rotary {
            rotary.apply(&mut q, positions);
            rotary.apply(&mut k, positions);
        }
        let (k, v, positions) = match cached {
            Some(cached) => {
                cached.append(&k, &v, positions);
                (cached.keys.view(), cached.values.view(), &cached.positions[..])
            }
            None => (k.view(), v.view(), positions),
        };
        let operands = Projected {
            layer: index,
            heads: shape.heads,
            kv_heads: shape.kv_heads,
            head_dim: shape.head_dim,
            q: q.view(),
            k,
            v,
            scale: layer.scale,
            causal: self.causal,
            first_position: k.nrows() - q.nrows(),
            positions,
        };
        let failed = |source| ModelError::Attention { layer: index, source };
        let attended = attention.attend(&operands).map_err(failed)?;
        check(&attended, &operands).map_err(|text| failed(text.into()))?;
        Ok(attended)
    }
}

/// Whether the answer fits the question.
fn check(attended: &Attended, operands: &Projected<'_>) -> Result<(), String> {
    let (found, expected) = (attended.output.dim(), operands.q.dim());
    if found != expected {
        return Err(format!("the output has shape {found:?}: expected {expected:?}"));
    }
    let Some(kept) = &attended.kept else { return Ok(()) };
    let queries = operands.queries();
    let ascends = kept.is_sorted_by(|a, b| a < b);
    let Some(last) = kept.last().filter(|last| ascends && **last < queries) else {
        return Err(format!(
            "the kept rows are {kept:?}: expected 1 or more, ascending, below {queries}"
        ));
    };
    if operands.causal && last + 1 != queries {
        return Err(format!(
            "row {} is dropped: a decoder predicts from its last row",
            queries - 1
        ));
    }
    Ok(())
}
