//! The attention of a model in an ONNX file: shapes only, no weights.
//!
//! Sizes are followed from the inputs through the graph (`sizes`, `operators`) to every softmax between two
//! products of activations (`attention`). Files of the released exporters hold no sizes in between, so those that
//! the optional `value_info` may give are not needed.

mod attention;
mod message;
mod operators;
mod sizes;

use prost::Message;
use prost::bytes::Bytes;

use crate::limits;
use crate::{AttentionModel, Knobs, Phase};

/// Tokens of a sentence whose length the file leaves open, if nobody sets it: the first that the positions of the
/// model allow.
const USUAL_CONTEXTS: [u32; 8] = [384, 256, 128, 64, 32, 16, 8, 2];

/// A file whose attention cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// No ONNX at all, or cut.
    #[error("this is not an ONNX model: {0}")]
    Format(String),
    /// A model without a graph or without attention in it.
    #[error(
        "the graph `{graph}` of {nodes} operators has no attention: expected a Softmax between two MatMul of \
         activations, as exporters write them that do not fuse operators"
    )]
    NoAttention {
        /// Its name.
        graph: String,
        /// Its operators.
        nodes: usize,
    },
    /// A size of an input that is neither batch nor sequence.
    #[error(
        "axis {axis} of input `{input}` is `{symbol}`: expected a number, as only the first axis (batch) and the \
         second (tokens) may be left open"
    )]
    Symbol {
        /// The input.
        input: String,
        /// From 0.
        axis: usize,
        /// Its name.
        symbol: String,
    },
    /// Sizes that could not be followed.
    #[error(
        "the sizes of {softmax} are not known with {context} tokens: they are lost at {operator}; expected \
         operators as PyTorch exports them, and no more tokens than the model has positions \
         (`--set workload.context=N`)"
    )]
    Lost {
        /// Tokens where the file leaves them open.
        context: u32,
        /// The softmax.
        softmax: String,
        /// Where the sizes were lost.
        operator: String,
    },
    /// Attention that no workload can hold.
    #[error("attention {layer} has {what}: expected {expected}")]
    Shape {
        /// From 0, in the order of the graph.
        layer: usize,
        /// What is wrong.
        what: String,
        /// What it should be.
        expected: String,
    },
}

/// The attention in the bytes of an ONNX file, one sentence at a time; `name` names it in results.
///
/// With a causal mask it is a decoder, whose tokens come one by one; the first one after the exported length. Where
/// the length is left open, `context` of `knobs` sets it.
///
/// # Errors
/// Bytes that are no ONNX model, a model without attention, sizes that cannot be followed.
pub fn read(name: &str, bytes: Bytes, knobs: &Knobs) -> Result<AttentionModel, OnnxError> {
    let model =
        message::Model::decode(bytes).map_err(|error| OnnxError::Format(error.to_string()))?;
    let Some(graph) = &model.graph else {
        return Err(OnnxError::Format("it has no graph".to_owned()));
    };
    let found = |context| attention::find(graph, &sizes::Tensors::of(graph, context)?);
    let (context, layers) = match knobs.context {
        Some(context) => (context, found(context)?),
        None => {
            let mut tried =
                USUAL_CONTEXTS.into_iter().map(|context| Ok((context, found(context)?)));
            let first = tried.next().expect("the list is not empty");
            first.or_else(|error| tried.find(Result::is_ok).unwrap_or(Err(error)))?
        }
    };
    let Some(first) = layers.first() else {
        return Err(OnnxError::NoAttention { graph: graph.name.clone(), nodes: graph.node.len() });
    };
    for (layer, found) in layers.iter().enumerate() {
        check(layer, found, first)?;
    }
    let length = u32::try_from(first.keys).unwrap_or(limits::TOKENS);
    // A length that follows the knob is open.
    let other = if context > 1 { context - 1 } else { context + 1 };
    let is_open = found(other).is_ok_and(|layers| layers.first() != Some(first));
    let producer = format!("{} {}", model.producer_name, model.producer_version);
    Ok(AttentionModel {
        name: name.to_owned(),
        model: name.to_owned(),
        provenance: format!("shapes of an ONNX graph written by {}", producer.trim()),
        assumptions: vec![
            "products with weights are computed elsewhere and are never late".to_owned(),
        ],
        heads: layers.iter().map(|found| found.heads as u32).collect(),
        head_dim: first.head_dim as u32,
        phase: if first.causal { Phase::Decode } else { Phase::Prefill },
        // The token that is generated is one of those of the graph.
        context: if first.causal && !is_open { length.saturating_sub(1) } else { length },
        tokens: 1,
        positions: None,
        fixed: (!is_open && !first.causal).then(|| {
            "the length that the file was exported for; export it with a dynamic axis for others".to_owned()
        }),
    })
}

/// Refuses attention that no workload can hold.
fn check(
    layer: usize,
    found: &attention::Found,
    first: &attention::Found,
) -> Result<(), OnnxError> {
    let refuse = |what: String, expected: String| Err(OnnxError::Shape { layer, what, expected });
    let within = |size: i64, most: u32| (1..=i64::from(most)).contains(&size);
    if !within(found.heads, limits::INDEX) {
        let expected = format!("1 to {} heads and a batch of 1", limits::INDEX);
        return refuse(format!("{} heads", found.heads), expected);
    }
    if !within(found.head_dim, limits::HEAD_DIM) || found.head_dim != first.head_dim {
        let most = limits::HEAD_DIM;
        return refuse(
            format!("keys of {} elements", found.head_dim),
            format!("1 to {most}, and {} as in the first layer", first.head_dim),
        );
    }
    if found.value_dim != found.head_dim {
        let expected = format!("values as wide as keys, {}", found.head_dim);
        return refuse(format!("values of {} elements", found.value_dim), expected);
    }
    if found.queries != found.keys || found.keys != first.keys || found.causal != first.causal {
        return refuse(
            format!("{} queries for {} keys", found.queries, found.keys),
            format!("self-attention of {} tokens, masked alike in all layers", first.keys),
        );
    }
    if !within(found.keys, limits::TOKENS - 1) {
        let expected = format!("1 to {}", limits::TOKENS - 1);
        return refuse(format!("{} tokens", found.keys), expected);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
