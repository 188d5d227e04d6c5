//! Transformers from Hugging Face folders: everything but attention.
//!
//! * [`Model`]: reads `config.json` and tensors, and computes with 32-bit floats.
//! * [`Attention`]: computes what a model leaves out; [`Dense`] is the definition.
//! * [`Tokenizer`]: text to tokens. [`Extraction`]: text to a trace with tensors.
//! * [`Gpt`]: the weights of a GPT-2; [`ExactDecode`]: its decode in `f64`.
//! * [`Tensors`]: named tensors of safetensors files.
//! * [`ModelError`]: what can be wrong.
//!
//! Matrix products take the vector instructions of the machine they run on, so results agree
//! between kinds of machines to rounding, not to the last bit.

mod attention;
mod bert;
mod config;
mod embedding;
mod error;
mod extract;
mod gpt;
mod gpt2;
mod layers;
mod llama;
mod rotary;
mod stack;
mod tensors;
mod tokenizer;
mod vit;
mod weights;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayView3, Axis};

pub use attention::{Attended, Attention, AttentionError, Dense, Projected, Recorded};
pub(crate) use config::Config;
use embedding::Embedding;
pub use error::ModelError;
pub use extract::{ExtractError, Extraction};
pub use gpt::{Affine, ExactDecode, ExactStep, Gpt, GptLayer, Normalization};
use layers::Linear;
use stack::{Cache, Stack, Stream};
pub use tensors::{Source, Tensors};
pub use tokenizer::Tokenizer;

use crate::suggest::nearest;

/// A family of models: its `model_type` and its reader.
type Family = (&'static str, fn(&Config, &mut Tensors) -> Result<Model, ModelError>);

/// Every family that is known; a new one is a line here and a module that reads its tensors.
const FAMILIES: &[Family] = &[
    ("bert", bert::load),
    ("gpt2", gpt2::load),
    ("llama", llama::load),
    ("vit", vit::load_vit),
    ("deit", vit::load_deit),
];

/// Sizes of a model.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Shape {
    /// Layers.
    pub layers: usize,
    /// Elements of one state.
    pub hidden: usize,
    /// Query heads of a layer.
    pub heads: usize,
    /// Key and value heads of a layer.
    pub kv_heads: usize,
    /// Elements of one query, key or value vector.
    pub head_dim: usize,
    /// Tokens that it knows; none for images.
    pub vocabulary: Option<usize>,
    /// Longest input \[rows\].
    pub positions: usize,
}

impl Shape {
    /// Factor of the scores in most models: `head_dim^-0.5`.
    fn default_scale(&self) -> f32 {
        (self.head_dim as f32).powf(-0.5)
    }
}

/// What a model can be given.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Tokens, special ones included.
    Tokens(&'a [u32]),
    /// An image [channels, height, width], scaled and normalized as the model was trained.
    Pixels(ArrayView3<'a, f32>),
}

/// What comes out of the last layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Hidden {
    /// States of the rows that went through all layers [kept, hidden], finally normalized.
    pub states: Array2<f32>,
    /// Position of each of them, ascending.
    pub kept: Vec<usize>,
    /// What the model's pooler makes of the first row; none without a pooler, or where the first
    /// row was pruned.
    pub pooled: Option<Array1<f32>>,
    /// Scores of the classes; none without a classifier, or where its row was pruned.
    pub classes: Option<Array1<f32>>,
}

impl Hidden {
    /// Mean of the states, scaled to length 1: the embedding of a sentence (Reimers and Gurevych,
    /// 2019).
    pub fn sentence_embedding(&self) -> Array1<f32> {
        let mean = self.states.mean_axis(Axis(0)).unwrap_or_default();
        let length = mean.dot(&mean).sqrt();
        if length > 0.0 { mean / length } else { mean }
    }

    fn row_of(&self, position: usize) -> Option<ArrayView1<'_, f32>> {
        let row = self.kept.binary_search(&position).ok()?;
        Some(self.states.row(row))
    }
}

/// What a decoder remembers of a text: keys, values and the length.
#[derive(Debug, Clone)]
pub struct State {
    cache: Cache,
    next: usize,
}

impl State {
    /// Tokens so far, pruned ones included.
    pub fn tokens(&self) -> usize {
        self.next
    }

    /// Positions of the tokens whose keys layer `layer` holds.
    pub fn positions(&self, layer: usize) -> &[usize] {
        self.cache.positions(layer)
    }
}

/// What a decoder answers to a text.
#[derive(Debug, Clone)]
pub struct Prefilled {
    /// For [`Model::step`].
    pub state: State,
    /// States after the last layer.
    pub hidden: Hidden,
    /// Scores of the token that follows the last one [vocabulary].
    pub logits: Array1<f32>,
}

/// Maps states to class scores.
#[derive(Debug, Clone)]
enum Classifier {
    /// Over the pooled row.
    Pooled(Linear),
    /// Over the first row.
    First(Linear),
    /// Mean of one over the first row and one over the second.
    Distilled(Linear, Linear),
}

/// What stands on top of the layers.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one per model")]
enum Head {
    Encoder {
        pooler: Option<Linear>,
        classifier: Option<Classifier>,
    },
    /// Scores of the next token; without weights of its own it uses the embedding.
    Decoder {
        language: Option<Linear>,
    },
}

/// A model with its weights.
#[derive(Debug, Clone)]
pub struct Model {
    family: &'static str,
    shape: Shape,
    embedding: Embedding,
    stack: Stack,
    head: Head,
}

impl Model {
    /// Reads a model. `file` names the configuration in errors.
    ///
    /// # Errors
    /// A family that is not known, a configuration that is incomplete or describes a variant that
    /// is not known, and tensors that are missing or have another shape.
    pub fn load(file: &str, config: &str, mut tensors: Tensors) -> Result<Model, ModelError> {
        let config = Config::parse(file, config)?;
        let names = || FAMILIES.iter().map(|(name, _)| *name);
        let known = names().collect::<Vec<_>>().join(", ");
        let family = config.text("model_type", &format!("one of {known}"))?;
        match FAMILIES.iter().find(|(name, _)| *name == family) {
            Some((_, load)) => {
                let model = load(&config, &mut tensors)?;
                tensors.all_layers_read()?;
                Ok(model)
            }
            None => Err(ModelError::Architecture {
                file: config.file().to_owned(),
                found: family.to_owned(),
                known,
                near: nearest(family, names()).map(str::to_owned),
            }),
        }
    }

    /// `model_type` of its configuration.
    pub fn family(&self) -> &'static str {
        self.family
    }

    /// Its sizes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Whether it predicts the next token; if not, it encodes.
    pub fn is_decoder(&self) -> bool {
        matches!(self.head, Head::Decoder { .. })
    }

    /// Tokens that it knows.
    fn vocabulary(&self) -> Result<usize, ModelError> {
        self.shape.vocabulary.ok_or_else(|| self.wrong_kind("a model of text"))
    }

    /// Takes a whole input through all layers, every row seeing every row.
    ///
    /// # Errors
    /// A decoder, an input that is empty, too long or not of the model's kind, and what the
    /// attention refuses.
    pub fn encode(
        &self,
        input: Input<'_>,
        attention: &mut dyn Attention,
    ) -> Result<Hidden, ModelError> {
        if self.is_decoder() {
            return Err(self.wrong_kind("an encoder"));
        }
        self.run(input, 0, None, attention)
    }

    /// Takes the beginning of a text through all layers, every row seeing itself and those before.
    ///
    /// # Errors
    /// An encoder, a text that is empty or too long, and what the attention refuses.
    pub fn prefill(
        &self,
        tokens: &[u32],
        attention: &mut dyn Attention,
    ) -> Result<Prefilled, ModelError> {
        let mut state = State { cache: Cache::new(&self.shape), next: 0 };
        let hidden = self.extend(&mut state, tokens, attention)?;
        let logits = self.logits(last_row(&hidden))?.row(0).to_owned();
        Ok(Prefilled { state, hidden, logits })
    }

    /// Takes one more token through all layers; gives the scores of the one that follows.
    ///
    /// # Errors
    /// As [`Model::prefill`]. The state is then of no further use.
    pub fn step(
        &self,
        state: &mut State,
        token: u32,
        attention: &mut dyn Attention,
    ) -> Result<Array1<f32>, ModelError> {
        let hidden = self.extend(state, &[token], attention)?;
        Ok(self.logits(last_row(&hidden))?.row(0).to_owned())
    }

    /// Scores of the token that follows each state [rows, vocabulary].
    ///
    /// # Errors
    /// An encoder.
    pub fn logits(&self, states: ArrayView2<'_, f32>) -> Result<Array2<f32>, ModelError> {
        match (&self.head, &self.embedding) {
            (Head::Decoder { language: Some(linear) }, _) => Ok(linear.apply(states)),
            (Head::Decoder { language: None }, Embedding::Tokens(embedding)) => {
                Ok(states.dot(&embedding.words.t()))
            }
            _ => Err(self.wrong_kind("a decoder")),
        }
    }

    fn extend(
        &self,
        state: &mut State,
        tokens: &[u32],
        attention: &mut dyn Attention,
    ) -> Result<Hidden, ModelError> {
        if !self.is_decoder() {
            return Err(self.wrong_kind("a decoder"));
        }
        let input = Input::Tokens(tokens);
        let hidden = self.run(input, state.next, Some(&mut state.cache), attention)?;
        state.next += tokens.len();
        Ok(hidden)
    }

    fn run(
        &self,
        input: Input<'_>,
        first: usize,
        cache: Option<&mut Cache>,
        attention: &mut dyn Attention,
    ) -> Result<Hidden, ModelError> {
        if let Input::Tokens(tokens) = input {
            let (most, total) = (self.shape.positions, first.saturating_add(tokens.len()));
            if tokens.is_empty() || total > most {
                return Err(ModelError::Input {
                    what: "the number of tokens",
                    found: total.to_string(),
                    expected: format!("1 to {most}, the positions of the model"),
                });
            }
        }
        let states = self.embedding.apply(input, first)?;
        let positions = (first..first + states.nrows()).collect();
        let stream = Stream { states, positions };
        let Stream { states, positions } = self.stack.run(&self.shape, stream, cache, attention)?;
        let mut hidden = Hidden { states, kept: positions, pooled: None, classes: None };
        if let Head::Encoder { pooler, classifier } = &self.head {
            hidden.pooled = pooler.as_ref().and_then(|pooler| {
                let first = hidden.row_of(0)?.insert_axis(Axis(0));
                Some(pooler.apply(first).row(0).mapv(f32::tanh))
            });
            hidden.classes = classifier.as_ref().and_then(|classifier| classifier.apply(&hidden));
        }
        Ok(hidden)
    }

    fn wrong_kind(&self, expected: &str) -> ModelError {
        let found = format!("{} model", self.family);
        ModelError::Input { what: "the model", found, expected: expected.into() }
    }
}

impl Classifier {
    fn apply(&self, hidden: &Hidden) -> Option<Array1<f32>> {
        let scores = |linear: &Linear, row: ArrayView1<'_, f32>| {
            linear.apply(row.insert_axis(Axis(0))).row(0).to_owned()
        };
        Some(match self {
            Classifier::Pooled(linear) => scores(linear, hidden.pooled.as_ref()?.view()),
            Classifier::First(linear) => scores(linear, hidden.row_of(0)?),
            Classifier::Distilled(first, second) => {
                (scores(first, hidden.row_of(0)?) + scores(second, hidden.row_of(1)?)) / 2.0
            }
        })
    }
}

fn last_row(hidden: &Hidden) -> ArrayView2<'_, f32> {
    let before = hidden.states.nrows().saturating_sub(1);
    hidden.states.view().split_at(Axis(0), before).1
}
