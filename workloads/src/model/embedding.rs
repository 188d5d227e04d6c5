//! From tokens or pixels to the first states.

use ndarray::{Array1, Array2, ArrayView3, Axis, Slice};

use super::layers::{Linear, Norm};
use super::{Input, ModelError};

/// How a model's input becomes rows.
#[derive(Debug, Clone)]
pub(super) enum Embedding {
    Tokens(TokenEmbedding),
    Patches(PatchEmbedding),
}

/// A row per token.
#[derive(Debug, Clone)]
pub(super) struct TokenEmbedding {
    /// [vocabulary, hidden].
    pub words: Array2<f32>,
    /// [positions, hidden]; none where positions are rotary.
    pub positions: Option<Array2<f32>>,
    /// Added to every row.
    pub segment: Option<Array1<f32>>,
    pub norm: Option<Norm>,
}

/// A row per square patch of an image, after those of the special tokens.
#[derive(Debug, Clone)]
pub(super) struct PatchEmbedding {
    /// [special tokens, hidden].
    pub special: Array2<f32>,
    /// Maps the pixels of a patch: channel, then row, then column.
    pub patch: Linear,
    /// Edge of a patch \[pixels\].
    pub edge: usize,
    /// Channels, height and width of an image.
    pub image: [usize; 3],
    /// [special tokens + patches, hidden].
    pub positions: Array2<f32>,
}

impl Embedding {
    /// States [rows, hidden] of an input whose first row has position `first`.
    pub fn apply(&self, input: Input<'_>, first: usize) -> Result<Array2<f32>, ModelError> {
        match (self, input) {
            (Embedding::Tokens(embedding), Input::Tokens(tokens)) => embedding.apply(tokens, first),
            (Embedding::Patches(embedding), Input::Pixels(pixels)) => embedding.apply(pixels),
            (Embedding::Tokens(_), Input::Pixels(_)) => Err(wrong_input("pixels", "tokens")),
            (Embedding::Patches(_), Input::Tokens(_)) => Err(wrong_input("tokens", "pixels")),
        }
    }
}

fn wrong_input(found: &str, expected: &str) -> ModelError {
    ModelError::Input { what: "the input", found: found.into(), expected: expected.into() }
}

impl TokenEmbedding {
    fn apply(&self, tokens: &[u32], first: usize) -> Result<Array2<f32>, ModelError> {
        let vocabulary = self.words.nrows();
        let mut rows = Vec::with_capacity(tokens.len());
        for token in tokens {
            let row = usize::try_from(*token).ok().filter(|row| *row < vocabulary);
            rows.push(row.ok_or_else(|| ModelError::Input {
                what: "a token",
                found: token.to_string(),
                expected: format!("a number below {vocabulary}, the size of the vocabulary"),
            })?);
        }
        let mut states = self.words.select(Axis(0), &rows);
        if let Some(positions) = &self.positions {
            let rows = Slice::from(first..first + tokens.len());
            states += &positions.slice_axis(Axis(0), rows);
        }
        if let Some(segment) = &self.segment {
            states += segment;
        }
        Ok(match &self.norm {
            Some(norm) => norm.apply(states.view()),
            None => states,
        })
    }
}

impl PatchEmbedding {
    fn apply(&self, pixels: ArrayView3<'_, f32>) -> Result<Array2<f32>, ModelError> {
        let [channels, height, width] = self.image;
        if pixels.dim() != (channels, height, width) {
            return Err(ModelError::Input {
                what: "the shape of the image",
                found: format!("{:?}", pixels.shape()),
                expected: format!("{:?}", self.image),
            });
        }
        let mut patches = Array2::zeros((0, self.patch.weight.nrows()));
        for patch in pixels.exact_chunks((channels, self.edge, self.edge)) {
            let values = Array1::from_iter(patch.iter().copied());
            patches.push_row(values.view()).expect("a patch has as many pixels as the map inputs");
        }
        let mut states = self.positions.clone();
        let (mut special, mut image) = states.view_mut().split_at(Axis(0), self.special.nrows());
        special += &self.special;
        image += &self.patch.apply(patches.view());
        Ok(states)
    }
}
