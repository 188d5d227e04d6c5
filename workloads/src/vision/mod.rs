//! One image through a vision transformer with mixture-of-experts layers.
//!
//! * [`MoeImage`]: sizes of the model, and how many tokens each expert gets in each layer.
//! * [`ImageShape`]: those sizes; even layers are dense, odd ones have experts.
//! * [`Routing`]: tokens of the experts of one layer; given, or drawn from a seed.
//! * [`network`]: the numbers of such a model; read from files or [`generated`].
//! * [`exact`]: those numbers in 32-bit floats; [`ImageTrace`]: what comes out between the steps.

pub mod exact;
pub mod generated;
pub mod network;
mod preset;
mod routing;
mod shape;
mod trace;

pub use network::Network;
pub use preset::{ImageModel, list, load_with, model};
pub use routing::{Routing, Skew};
pub use shape::ImageShape;
pub use trace::{ImageTrace, LayerTrace, TokenRouting};

/// One image through all layers.
#[derive(Debug, Clone, PartialEq)]
pub struct MoeImage {
    /// Name a user gives on the command line.
    pub name: String,
    /// Where sizes and queues come from.
    pub provenance: String,
    /// What no source states, each with its reason.
    pub assumptions: Vec<String>,
    /// Sizes of the model.
    pub shape: ImageShape,
    /// Queues of each layer with experts, in the order of the layers.
    pub routing: Vec<Routing>,
}

impl MoeImage {
    /// Multiply-accumulates of everything but additions, norms and the softmax.
    pub fn macs(&self) -> u64 {
        self.shape.macs()
    }

    /// BLAKE3 of what must be computed; names and provenance do not enter.
    pub fn content_hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"attelier-image 1\n");
        let queues = self.routing.iter().flat_map(Routing::queues).copied();
        for word in self.shape.words().into_iter().chain(queues) {
            hasher.update(&word.to_le_bytes());
        }
        if self.shape.dense {
            hasher.update(b"dense");
        }
        // Queues that are known token by token can be computed in another order.
        for choice in self.routing.iter().filter_map(Routing::choices).flatten().flatten() {
            hasher.update(&choice.to_le_bytes());
        }
        hasher.finalize()
    }
}
