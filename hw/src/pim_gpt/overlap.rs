//! What may happen at the same time. Nothing of this is published, so each rule is a switch.

use serde::{Deserialize, Serialize};

use crate::schema::Field;

/// What may happen at the same time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlap {
    /// The ASIC works on results as they leave the banks; otherwise it starts after the last one.
    pub stream_results: bool,
    /// Values of the new token are written while the ASIC computes the softmax.
    pub write_values_during_softmax: bool,
    /// The product with the values of the first heads starts while the softmax of later heads is
    /// computed.
    pub softmax_by_head: bool,
    /// The division of the softmax is applied to the outputs of the product with the values, one
    /// per head, instead of to every probability.
    pub divide_late: bool,
}

pub(super) const FIELDS: &[Field] = &[
    Field::flag("stream_results"),
    Field::flag("write_values_during_softmax"),
    Field::flag("softmax_by_head"),
    Field::flag("divide_late"),
];
