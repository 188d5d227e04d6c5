//! What can be wrong with a model folder, its text or its input.

use super::attention::AttentionError;
use crate::onnx::OnnxError;

/// A model that cannot be read or run: which file, which field or tensor, what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The operating system refused.
    #[error("{file}: cannot {action}")]
    Io {
        /// The file.
        file: String,
        /// What was attempted, e.g. `open the file`.
        action: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file that does not follow its format.
    #[error("{file}: this is not {expected}: {reason}")]
    Format {
        /// The file.
        file: String,
        /// The format.
        expected: &'static str,
        /// What gave it away.
        reason: String,
    },
    /// An ONNX file whose attention cannot be told.
    #[error("{file}: {reason}")]
    Onnx {
        /// The file.
        file: String,
        /// Why.
        reason: OnnxError,
    },
    /// A configuration value that is absent or outside what this reader can run.
    #[error("{file}: `{field}` is {found}: expected {expected}")]
    Config {
        /// The file.
        file: String,
        /// The field.
        field: String,
        /// What it holds, or `missing`.
        found: String,
        /// What it should hold.
        expected: String,
    },
    /// A model family that is not known.
    #[error("{file}: unknown architecture `{found}`: expected one of {known}{}", did_you_mean(.near))]
    Architecture {
        /// The file.
        file: String,
        /// `model_type` of the configuration.
        found: String,
        /// Families that are known.
        known: String,
        /// The one it may have meant.
        near: Option<String>,
    },
    /// A tensor that must be there.
    #[error("{file}: tensor `{tensor}` is missing{}", did_you_mean(.near))]
    MissingTensor {
        /// The file.
        file: String,
        /// Its name.
        tensor: String,
        /// A tensor that is there and has a similar name.
        near: Option<String>,
    },
    /// A tensor with infinity or NaN in it.
    #[error("{file}: tensor `{tensor}` holds {found} at element {at}: expected finite numbers")]
    NotFinite {
        /// The file.
        file: String,
        /// Its name.
        tensor: String,
        /// Position in row-major order.
        at: usize,
        /// What is there.
        found: f32,
    },
    /// A layer that the configuration does not know.
    #[error(
        "{file}: tensor `{tensor}` belongs to a layer beyond those of the configuration: expected a \
         file of as many layers"
    )]
    ForgottenLayer {
        /// The file.
        file: String,
        /// Its name.
        tensor: String,
    },
    /// A tensor whose shape contradicts the configuration.
    #[error("{file}: tensor `{tensor}` has shape {found:?}: expected {expected:?}")]
    Shape {
        /// The file.
        file: String,
        /// Its name.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that follows from the configuration.
        expected: Vec<usize>,
    },
    /// A file of plain numbers that is too short or too long.
    #[error(
        "{file}: {found} bytes: expected {expected}, 32-bit floats of shape {shape:?}{}",
        if *.found == 0 { "; the file is empty" } else { "" }
    )]
    Bytes {
        /// The file.
        file: String,
        /// Its length.
        found: u64,
        /// The length that follows from the shape.
        expected: u64,
        /// The shape that follows from the model.
        shape: Vec<usize>,
    },
    /// A tensor of another number format.
    #[error("{file}: tensor `{tensor}` holds {found}: expected F32, F16 or BF16")]
    NumberFormat {
        /// The file.
        file: String,
        /// Its name.
        tensor: String,
        /// Its number format, as safetensors spells it.
        found: String,
    },
    /// A tokenizer that can produce tokens for which the model has no embedding.
    #[error(
        "{file}: the tokenizer has {tokens} tokens: expected {rows}, the rows of the model's \
         embedding, or a little less; both files must belong to one model"
    )]
    Vocabulary {
        /// The tokenizer's file.
        file: String,
        /// Tokens that it knows.
        tokens: usize,
        /// Tokens that the model knows.
        rows: usize,
    },
    /// Text without a single word.
    #[error("{file}: the text is empty: expected at least one word")]
    EmptyText {
        /// The file.
        file: String,
    },
    /// Text that is not UTF-8.
    #[error(
        "{file}: the text is not UTF-8 at byte {offset}: convert it, e.g. with `iconv -t UTF-8`"
    )]
    Utf8 {
        /// The file.
        file: String,
        /// First byte that does not fit, from 0.
        offset: usize,
    },
    /// An input that the model cannot take.
    #[error("{what} is {found}: expected {expected}")]
    Input {
        /// What was given.
        what: &'static str,
        /// Its value.
        found: String,
        /// What the model can take.
        expected: String,
    },
    /// The attention failed.
    #[error("attention of layer {layer}")]
    Attention {
        /// The layer, from 0.
        layer: usize,
        /// Why.
        source: AttentionError,
    },
}

fn did_you_mean(near: &Option<String>) -> String {
    near.as_ref().map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}
