//! Attention of any shape: layers and heads that all compute the same, without pruning or quantization.
//!
//! It belongs to no model: what is asked for is what is computed, so that costs can be followed over
//! sequence length, heads or layers.

use super::knobs::within;
use super::{Entry, Knobs, Preset, PresetError};
use crate::check::limits;
use crate::{AttentionModel, Phase, Workload};

/// A shape that knobs change.
struct Uniform {
    name: &'static str,
    phase: Phase,
    title: &'static str,
    layers: u32,
    heads: u32,
    /// Tokens of the input, or before the first generated one.
    context: u32,
    head_dim: u32,
}

/// A layer of BERT-Base, and a step of GPT-2-Medium.
const SHAPES: [Uniform; 2] = [
    Uniform {
        name: "attention/prefill",
        phase: Phase::Prefill,
        title: "whole input at once",
        layers: 1,
        heads: 12,
        context: 384,
        head_dim: 64,
    },
    Uniform {
        name: "attention/decode",
        phase: Phase::Decode,
        title: "tokens one by one",
        layers: 24,
        heads: 16,
        context: 1023,
        head_dim: 64,
    },
];

pub(super) fn presets() -> impl Iterator<Item = Box<dyn Preset>> {
    SHAPES.into_iter().map(|shape| Box::new(shape) as Box<dyn Preset>)
}

impl Preset for Uniform {
    fn entry(&self) -> Entry {
        let Self { title, layers, heads, context, head_dim, .. } = self;
        Entry {
            name: self.name.to_owned(),
            description: format!(
                "attention of any shape, {title}: {layers} x {heads} heads of {head_dim}, context {context}; \
                 dense, unquantised"
            ),
            assumed: true,
        }
    }

    fn generate(&self, knobs: &Knobs) -> Result<Workload, PresetError> {
        let bound = "a bound of the trace format";
        let knob = |name, given: Option<u32>, usual, most| {
            within(name, given.unwrap_or(usual), most, bound)
        };
        let layers = knob("layers", knobs.layers, self.layers, limits::INDEX)?;
        let heads = knob("heads", knobs.heads, self.heads, limits::INDEX)?;
        let head_dim = knob("head_dim", knobs.head_dim, self.head_dim, limits::HEAD_DIM)?;
        let entry = self.entry();
        let model = AttentionModel {
            name: entry.name,
            model: "attention".to_owned(),
            provenance: String::new(),
            assumptions: Vec::new(),
            heads: vec![heads; layers as usize],
            head_dim,
            phase: self.phase,
            context: self.context,
            tokens: 1,
            positions: None,
            fixed: None,
        };
        let model = model.with(knobs)?;
        let shape = format!(
            "shape chosen by the user or by default: {layers} layers of {heads} heads of {head_dim}, context \
             {}, {} tokens",
            model.context, model.tokens
        );
        Ok(Workload {
            description: entry.description,
            assumptions: vec![shape],
            ..model.workload()?
        })
    }
}
