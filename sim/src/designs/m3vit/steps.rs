//! Steps of an image: what each computes, and which weights it needs.
//!
//! A step is what works with one half of the buffer of weights. Softmax, norms, GELU and additions are
//! stages behind the array and take no time of their own (assumed).

use attelier_hw::m3vit::M3vit;
use attelier_workloads::vision::{ImageShape, Routing};

use super::cache::Cache;

/// Operations of which time is reported.
pub mod phase {
    /// Patches to tokens.
    pub const EMBEDDING: &str = "patch_embedding";
    /// Queries, keys, values and projection.
    pub const LINEAR: &str = "attention_linear";
    /// Queries times keys, and probabilities times values.
    pub const PRODUCTS: &str = "attention_products";
    /// Dense layers.
    pub const MLP: &str = "mlp";
    /// The gate.
    pub const GATING: &str = "moe_gating";
    /// Experts.
    pub const EXPERTS: &str = "moe_experts";
}

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Operation that it belongs to.
    pub phase: &'static str,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Weights and biases that must be there before it starts.
    pub weights: u64,
    /// Whether they are loaded beside the step before; with a cache the array waits for them.
    pub ahead: bool,
}

impl Step {
    /// Whether it computes from the buffer of weights, be they loaded for it or there from before.
    pub fn holds_weights(&self) -> bool {
        self.weights > 0 || !self.ahead
    }
}

/// Weights and biases of a linear layer.
fn linear_weights(inputs: u32, outputs: u32) -> u64 {
    product(&[inputs, outputs]).saturating_add(outputs.into())
}

/// Weights and biases that half of the buffer holds: the larger matrix of the dense MLP.
pub fn half_buffer(shape: &ImageShape) -> u64 {
    let (width, hidden) = (shape.width, shape.mlp_hidden);
    linear_weights(width, hidden).max(linear_weights(hidden, width))
}

/// Most weights and biases of a step.
pub fn largest_step(shape: &ImageShape) -> u64 {
    let (width, pixels) = (shape.width, patch_pixels(shape));
    let expert = if shape.expert_layers() > 0 { expert_weights(shape) } else { 0 };
    linear_weights(pixels, width)
        .max(linear_weights(width, width.saturating_mul(3)))
        .max(half_buffer(shape))
        .max(expert)
}

/// Numbers of a patch.
fn patch_pixels(shape: &ImageShape) -> u32 {
    shape.channels.saturating_mul(shape.patch).saturating_mul(shape.patch)
}

/// Weights and biases of an expert.
pub fn expert_weights(shape: &ImageShape) -> u64 {
    let (width, hidden) = (shape.width, shape.expert_hidden);
    linear_weights(width, hidden).saturating_add(linear_weights(hidden, width))
}

/// Weights of the gate of one task.
pub fn gate_weights(shape: &ImageShape) -> u64 {
    product(&[shape.width, shape.experts])
}

fn product(sizes: &[u32]) -> u64 {
    sizes.iter().fold(1, |product: u64, &size| product.saturating_mul(size.into()))
}

/// All steps of one image, in order. The task decides which gates are loaded and nothing else.
///
/// `None` for a machine with a cache if the routing does not say which experts each token has.
pub fn steps(machine: &M3vit, shape: &ImageShape, routing: &[Routing]) -> Option<Vec<Step>> {
    let (tokens, width) = (shape.tokens(), shape.width);
    let linear = |phase, tokens, inputs, outputs| Step {
        phase,
        macs: product(&[tokens, inputs, outputs]),
        weights: linear_weights(inputs, outputs),
        ahead: true,
    };
    let pixels = patch_pixels(shape);
    let mut steps = vec![linear(phase::EMBEDDING, tokens - 1, pixels, width)];
    for layer in 0..shape.layers {
        steps.push(linear(phase::LINEAR, tokens, width, width.saturating_mul(3)));
        let macs = product(&[2, tokens, tokens, width]);
        steps.push(Step { phase: phase::PRODUCTS, macs, weights: 0, ahead: true });
        let mut projection = linear(phase::LINEAR, tokens, width, width);
        if shape.has_experts(layer) {
            // The gate comes with them and has a buffer of its own.
            projection.weights = projection.weights.saturating_add(gate_weights(shape));
        }
        steps.push(projection);
        if !shape.has_experts(layer) {
            let hidden = shape.mlp_hidden;
            steps.push(linear(phase::MLP, tokens, width, hidden));
            steps.push(linear(phase::MLP, tokens, hidden, width));
            continue;
        }
        let macs = gate_weights(shape).saturating_mul(tokens.into());
        steps.push(Step { phase: phase::GATING, macs, weights: 0, ahead: true });
        let routing = routing.get(layer as usize / 2)?;
        if machine.experts.reordering {
            steps.extend(routing.active().map(|queue| expert(shape, queue.into(), true, true)));
        } else {
            cached(machine, shape, routing, &mut steps)?;
        }
    }
    Some(steps)
}

/// An expert for `tokens` tokens, with its weights still to be loaded or not.
fn expert(shape: &ImageShape, tokens: u64, load: bool, ahead: bool) -> Step {
    let macs = product(&[2, shape.width, shape.expert_hidden]).saturating_mul(tokens);
    let weights = if load { expert_weights(shape) } else { 0 };
    Step { phase: phase::EXPERTS, macs, weights, ahead }
}

/// Token by token; the cache fills the buffer, so that nothing is loaded ahead.
fn cached(
    machine: &M3vit,
    shape: &ImageShape,
    routing: &Routing,
    steps: &mut Vec<Step>,
) -> Option<()> {
    let mut cache = Cache::new(machine.experts.cached as usize);
    for token in routing.choices()? {
        let loads = cache.token(token);
        let hits = token.len().saturating_sub(loads);
        steps.extend((0..hits).map(|_| expert(shape, 1, false, false)));
        steps.extend((0..loads).map(|_| expert(shape, 1, true, false)));
    }
    Some(())
}
