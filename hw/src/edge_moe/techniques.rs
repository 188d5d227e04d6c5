//! The techniques of the paper and what they rely on, each as a switch.

use serde::{Deserialize, Serialize};

use crate::schema::Field;

/// Loads of weights beside computation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlap {
    /// The next matrix of an expert is loaded while the last one is used.
    pub expert_weights: bool,
    /// The matrix of a dense layer is loaded while the unit before it works.
    pub dense_weights: bool,
}

/// The six techniques.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Techniques {
    /// Queries stay while keys pass; otherwise keys are read again for each query.
    pub qk_reordering: bool,
    /// Outputs stay while values pass; otherwise values are read again for each query.
    pub pv_reordering: bool,
    /// Maximum and sum are kept up to date while scores pass; otherwise scores are read three times.
    pub single_pass_softmax: bool,
    /// GELU is ReLU minus a table; otherwise it is computed from the error function.
    pub table_gelu: bool,
    /// All linear layers share one unit; otherwise each kind has its own, smaller one.
    pub unified_linear: bool,
    /// Each expert is fetched once for all its tokens; otherwise each token fetches its experts.
    pub expert_reordering: bool,
}

pub(super) const OVERLAP_FIELDS: &[Field] =
    &[Field::flag("expert_weights"), Field::flag("dense_weights")];

pub(super) const FIELDS: &[Field] = &[
    Field::flag("qk_reordering"),
    Field::flag("pv_reordering"),
    Field::flag("single_pass_softmax"),
    Field::flag("table_gelu"),
    Field::flag("unified_linear"),
    Field::flag("expert_reordering"),
];
