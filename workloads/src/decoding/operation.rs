//! One step of a layer.

use serde::Serialize;

/// One step of a layer for one token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// Its name within the layer.
    pub name: &'static str,
    /// What it computes.
    pub kind: Kind,
    /// Earlier steps, by position in the layer, whose results it needs.
    pub after: Vec<usize>,
}

/// What a step computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// Normalization of a state.
    Norm {
        /// Elements.
        width: u32,
    },
    /// A vector times a matrix of weights, and its bias.
    Product {
        /// Elements of the vector.
        inputs: u32,
        /// Columns of the matrix.
        outputs: u32,
    },
    /// The keys of the token join the cache.
    KeyWrite {
        /// Elements.
        width: u32,
    },
    /// The values of the token join the cache.
    ValueWrite {
        /// Elements.
        width: u32,
    },
    /// Queries times keys.
    Scores {
        /// Query heads.
        heads: u32,
        /// Elements of one vector.
        head_dim: u32,
        /// Keys.
        context: u32,
    },
    /// Scores to probabilities, scaling included.
    Softmax {
        /// Query heads.
        heads: u32,
        /// Scores of each.
        context: u32,
    },
    /// Probabilities times values.
    Mix {
        /// Query heads.
        heads: u32,
        /// Elements of one vector.
        head_dim: u32,
        /// Values.
        context: u32,
    },
    /// Addition of a state to what came before.
    Residual {
        /// Elements.
        width: u32,
    },
    /// The nonlinear function of the feed-forward network.
    Activation {
        /// Elements.
        width: u32,
        /// Whether the results are multiplied with those of the other product.
        gated: bool,
    },
}

impl Operation {
    /// Multiply-accumulates of vectors and matrices; 0 for element-wise steps.
    pub fn macs(&self) -> u64 {
        match self.kind {
            Kind::Product { inputs, outputs } => u64::from(inputs) * u64::from(outputs),
            Kind::Scores { heads, head_dim, context } | Kind::Mix { heads, head_dim, context } => {
                u64::from(heads) * u64::from(head_dim) * u64::from(context)
            }
            _ => 0,
        }
    }

    /// Weights that it reads.
    pub fn weights(&self) -> u64 {
        if let Kind::Product { .. } = self.kind { self.macs() } else { 0 }
    }

    /// Numbers that it makes.
    pub fn elements(&self) -> u64 {
        match self.kind {
            Kind::Norm { width }
            | Kind::KeyWrite { width }
            | Kind::ValueWrite { width }
            | Kind::Residual { width }
            | Kind::Activation { width, .. } => width.into(),
            Kind::Product { outputs, .. } => outputs.into(),
            Kind::Scores { heads, context, .. } | Kind::Softmax { heads, context } => {
                u64::from(heads) * u64::from(context)
            }
            Kind::Mix { heads, head_dim, .. } => u64::from(heads) * u64::from(head_dim),
        }
    }
}
