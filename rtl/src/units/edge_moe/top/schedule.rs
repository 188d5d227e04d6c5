//! The schedule of an image as a table: calls in the order of `ViT_compute.cpp` of the released code, with what
//! they read and write.

use attelier_hw::edge_moe::TopSizes;

use crate::units::edge_moe::parameter_loader::{GATE, NORM, PATCH};

/// A tensor in memory. Each lies behind one port, as in the released code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tensor {
    /// Pixels: colours, rows, columns.
    Image,
    /// The residual stream, which is the result in the end.
    X,
    /// Outputs of layer norm and of attention.
    Tmp1,
    /// Queries, then values.
    Tmp2,
    /// Keys, results of projection, MLP and experts.
    Tmp3,
    /// Hidden activations of a dense layer.
    Hidden,
    /// The same memory with the rows of an expert.
    ExpertHidden,
    /// Scores in the order of the token steps, a beat for each slot.
    Scores,
    /// One over the sum and the largest score of each head, a word for each query.
    SoftmaxInfo,
}

/// Number of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Width,
    Hidden,
    ExpertHidden,
}

/// A linear layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Matrix {
    pub inputs: Size,
    pub outputs: Size,
    /// Buffer that holds it.
    pub second: bool,
    /// Its bias has the format of attention.
    pub of_attention: bool,
    pub with_gelu: bool,
}

/// What is done in a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// Loads a norm, a gate or the patch embedding.
    LoadParameters(u64),
    LoadMatrix(Matrix),
    Embed,
    Norm,
    Linear(Matrix),
    /// Scores of queries and keys, with their softmax.
    Scores,
    /// Probabilities times values.
    Mix,
    Add,
    Gate,
    Zero,
    /// The loop over the experts: [`EXPERT_LAYERS`] for each of them.
    Experts,
    /// A linear layer whose results are weighted and added to what is there.
    AddedLinear(Matrix),
}

/// Which layers a call belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// None: it comes once, before them.
    Image,
    EveryLayer,
    DenseLayer,
    ExpertLayer,
}

/// A call. Nothing of the next one begins before everything of it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call {
    pub name: &'static str,
    pub part: Part,
    pub work: Work,
    pub reads: &'static [Tensor],
    pub writes: &'static [Tensor],
}

const fn of_attention(second: bool) -> Matrix {
    let (inputs, outputs) = (Size::Width, Size::Width);
    Matrix { inputs, outputs, second, of_attention: true, with_gelu: false }
}

const fn up(outputs: Size) -> Matrix {
    Matrix { inputs: Size::Width, outputs, second: false, of_attention: false, with_gelu: true }
}

const fn down(inputs: Size) -> Matrix {
    Matrix { inputs, outputs: Size::Width, second: true, of_attention: false, with_gelu: false }
}

const PING: Matrix = of_attention(false);
const PONG: Matrix = of_attention(true);
const MLP_UP: Matrix = up(Size::Hidden);
const MLP_DOWN: Matrix = down(Size::Hidden);
/// First layer of an expert.
pub(super) const EXPERT_UP: Matrix = up(Size::ExpertHidden);
/// Second layer of an expert.
pub(super) const EXPERT_DOWN: Matrix = down(Size::ExpertHidden);

const fn call(
    name: &'static str,
    part: Part,
    work: Work,
    reads: &'static [Tensor],
    writes: &'static [Tensor],
) -> Call {
    Call { name, part, work, reads, writes }
}

use self::Part::{DenseLayer, EveryLayer, ExpertLayer, Image as OfImage};
use self::Tensor::{ExpertHidden, Hidden, Image, Scores, SoftmaxInfo, Tmp1, Tmp2, Tmp3, X};
use self::Work::{Linear, LoadMatrix, LoadParameters};

/// All calls of an image. Those of a layer come again for each layer; which of the last ones, depends on the
/// layer: even ones are dense.
#[rustfmt::skip]
pub(super) const SCHEDULE: [Call; 26] = [
    call("load_patch", OfImage, LoadParameters(PATCH), &[], &[]),
    call("embed", OfImage, Work::Embed, &[Image], &[X]),
    call("load_first_norm", EveryLayer, LoadParameters(NORM), &[], &[]),
    call("first_norm", EveryLayer, Work::Norm, &[X], &[Tmp1]),
    call("load_queries", EveryLayer, LoadMatrix(PING), &[], &[]),
    call("queries", EveryLayer, Linear(PING), &[Tmp1], &[Tmp2]),
    call("load_keys", EveryLayer, LoadMatrix(PONG), &[], &[]),
    call("keys", EveryLayer, Linear(PONG), &[Tmp1], &[Tmp3]),
    call("scores", EveryLayer, Work::Scores, &[Tmp2, Tmp3], &[Scores, SoftmaxInfo]),
    call("load_values", EveryLayer, LoadMatrix(PING), &[], &[]),
    call("values", EveryLayer, Linear(PING), &[Tmp1], &[Tmp2]),
    call("mix", EveryLayer, Work::Mix, &[Tmp2, Scores, SoftmaxInfo], &[Tmp1]),
    call("load_projection", EveryLayer, LoadMatrix(PONG), &[], &[]),
    call("projection", EveryLayer, Linear(PONG), &[Tmp1], &[Tmp3]),
    call("add_attention", EveryLayer, Work::Add, &[X, Tmp3], &[X]),
    call("load_second_norm", EveryLayer, LoadParameters(NORM), &[], &[]),
    call("second_norm", EveryLayer, Work::Norm, &[X], &[Tmp1]),
    call("load_mlp_up", DenseLayer, LoadMatrix(MLP_UP), &[], &[]),
    call("mlp_up", DenseLayer, Linear(MLP_UP), &[Tmp1], &[Hidden]),
    call("load_mlp_down", DenseLayer, LoadMatrix(MLP_DOWN), &[], &[]),
    call("mlp_down", DenseLayer, Linear(MLP_DOWN), &[Hidden], &[Tmp3]),
    call("load_gate", ExpertLayer, LoadParameters(GATE), &[], &[]),
    call("gate", ExpertLayer, Work::Gate, &[Tmp1], &[]),
    call("zero", ExpertLayer, Work::Zero, &[], &[Tmp3]),
    call("experts", ExpertLayer, Work::Experts, &[], &[]),
    call("add_mixer", EveryLayer, Work::Add, &[X, Tmp3], &[X]),
];

/// What is computed for each expert of the metaqueue, for the rows in its queue; the weights of what follows
/// are loaded at the same time.
pub(super) const EXPERT_LAYERS: [Call; 2] = [
    call("expert_up", ExpertLayer, Linear(EXPERT_UP), &[Tmp1], &[ExpertHidden]),
    call(
        "expert_down",
        ExpertLayer,
        Work::AddedLinear(EXPERT_DOWN),
        &[ExpertHidden, Tmp3],
        &[Tmp3],
    ),
];

/// The first call of a layer.
pub(super) const FIRST_OF_LAYER: usize = 2;

/// The call after call `at` in the same layer, of which `part` are the calls that not every layer has.
pub(super) fn next(at: usize, part: Part) -> Option<usize> {
    let belongs = |call: &Call| [Part::Image, Part::EveryLayer, part].contains(&call.part);
    (at + 1..SCHEDULE.len()).find(|next| belongs(&SCHEDULE[*next]))
}

/// Rows of a tensor as they are asked for, one call through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rows {
    pub rows: u64,
    pub row_beats: u64,
    pub period: u64,
    pub stride: u64,
    pub advances: bool,
}

impl Tensor {
    /// The port that it lies behind, from 1.
    pub fn port(self) -> usize {
        match self {
            Image | Tmp1 | Scores => 1,
            X | Tmp2 => 2,
            Tmp3 => 3,
            Hidden | ExpertHidden | SoftmaxInfo => 4,
        }
    }

    /// Its rows, `again` and again where keys or values pass all queries.
    pub fn rows(self, sizes: &TopSizes, again: bool) -> Rows {
        let units = &sizes.units;
        let beats = |features: u32| u64::from(features * 4 / sizes.beat_bytes);
        let once =
            |row_beats: u64| Rows { rows: 1, row_beats, period: 1, stride: 1, advances: false };
        let tokens = u64::from(units.tokens);
        match self {
            Image => Rows {
                rows: u64::from(sizes.patch_rows() * units.colours),
                row_beats: u64::from(units.patch * units.patch_columns * units.patch)
                    / u64::from(sizes.beat_bytes),
                period: units.colours.into(),
                stride: sizes.patch_rows().into(),
                advances: true,
            },
            Scores => once(units.token_steps() * u64::from(units.queries)),
            SoftmaxInfo => once(tokens * u64::from(sizes.word_bytes() / sizes.beat_bytes)),
            X | Tmp1 | Tmp2 | Tmp3 | Hidden | ExpertHidden => Rows {
                rows: if again { units.token_steps() } else { tokens },
                row_beats: match self {
                    Hidden => beats(units.hidden),
                    ExpertHidden => beats(sizes.expert_hidden),
                    _ => beats(units.width),
                },
                period: tokens,
                stride: 1,
                advances: false,
            },
        }
    }
}

impl Size {
    /// In features.
    pub fn features(self, sizes: &TopSizes) -> u32 {
        match self {
            Size::Width => sizes.units.width,
            Size::Hidden => sizes.units.hidden,
            Size::ExpertHidden => sizes.expert_hidden,
        }
    }
}

impl Matrix {
    /// Blocks of inputs and of outputs.
    pub fn blocks(&self, sizes: &TopSizes) -> [u64; 2] {
        let inputs = self.inputs.features(sizes) / sizes.units.block_inputs;
        [inputs.into(), (self.outputs.features(sizes) / sizes.units.block_outputs).into()]
    }

    /// Words of memory, bias included.
    pub fn words(&self, sizes: &TopSizes) -> u64 {
        sizes.matrix_words(self.inputs.features(sizes), self.outputs.features(sizes)).into()
    }
}

/// Words that a norm, a gate or the patch embedding is loaded from.
pub(super) fn parameter_words(kind: u64, sizes: &TopSizes) -> u64 {
    let units = &sizes.units;
    let words = u64::from(units.token_words());
    match kind {
        NORM => words,
        GATE => (words * u64::from(units.experts)).div_ceil(2),
        _ => u64::from(units.width * units.colours * units.patch) + words.div_ceil(2),
    }
}

impl Work {
    /// Words of weights that a call passes by, gates apart.
    pub fn weight_words(self, sizes: &TopSizes) -> u64 {
        match self {
            LoadParameters(GATE) => 0,
            LoadParameters(kind) => parameter_words(kind, sizes),
            LoadMatrix(matrix) => matrix.words(sizes),
            Work::Experts => u64::from(sizes.units.experts) * u64::from(sizes.expert_words()),
            _ => 0,
        }
    }
}
