//! Units and ports, as reports and observers name them.

/// What works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    /// Products of pixels with the weights of the patch embedding.
    PatchEmbedding,
    /// Layer normalization.
    LayerNorm,
    /// Linear layers.
    Linear,
    /// Copies weights into the buffers of the linear unit.
    WeightLoader,
    /// Products of queries with keys.
    QkProduct,
    /// Running maximum and sum.
    Softmax,
    /// Products of probabilities with values.
    PvProduct,
    /// GELU behind the linear unit.
    Gelu,
    /// Gate, choice of experts and their queues.
    Gate,
    /// Residual additions.
    Adder,
    /// Port `inout1`.
    Inout1,
    /// Port `inout2`.
    Inout2,
    /// Port `inout3`.
    Inout3,
    /// Port `inout4`.
    Inout4,
    /// Port `weights`.
    Weights,
}

/// A port to the memory, named as in the released code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Port {
    /// Image, first temporary (output of layer norm and of attention), scores.
    Inout1,
    /// Residual stream, second temporary (queries, then values).
    Inout2,
    /// Third temporary (keys, results of projection, MLP and experts).
    Inout3,
    /// Hidden activations, sums of the softmax.
    Inout4,
    /// Everything that is trained.
    Weights,
}

/// Names of the units, in the order of [`Unit`].
pub const UNITS: [&str; 15] = [
    "patch_embedding",
    "layer_norm",
    "linear",
    "weight_loader",
    "qk_product",
    "softmax",
    "pv_product",
    "gelu",
    "gate",
    "adder",
    "inout1",
    "inout2",
    "inout3",
    "inout4",
    "weights",
];

/// Names of what is read and written through each port, in the order of [`Port`].
pub const STREAMS: [[&str; 2]; 5] = [
    ["inout1_read", "inout1_write"],
    ["inout2_read", "inout2_write"],
    ["inout3_read", "inout3_write"],
    ["inout4_read", "inout4_write"],
    ["weights_read", "weights_write"],
];

impl Unit {
    /// A port as a unit.
    pub fn of(port: Port) -> Self {
        match port {
            Port::Inout1 => Self::Inout1,
            Port::Inout2 => Self::Inout2,
            Port::Inout3 => Self::Inout3,
            Port::Inout4 => Self::Inout4,
            Port::Weights => Self::Weights,
        }
    }

    /// Place in [`UNITS`].
    pub fn index(self) -> usize {
        self as usize
    }
}
