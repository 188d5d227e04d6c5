//! Admission and ordering of work.
//!
//! Section IV-A of the paper gives the order; how many jobs run ahead of the requantization verdict
//! stands only in the released `SpAttenController`.

use serde::{Deserialize, Serialize};

use crate::schema::Field;

/// Admission and ordering of work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Controller {
    /// Jobs (one head, or one fused pair of heads) admitted and not yet decided.
    pub jobs_in_flight: u32,
    /// Whether key fetches wait for the token top-k that selects their keys.
    pub cascade_dependency: bool,
    /// Whether decode keys wider than the 8 stored MSBs are computed twice, as the released harness
    /// does; otherwise both planes are fetched first and computed once.
    pub recompute_wide_keys: bool,
    /// Whether values wider than 8 bits lose their lower bits in storage, as in the released harness;
    /// otherwise they are stored at the width of the data path.
    pub truncate_wide_values: bool,
    /// Whether queries are read from DRAM (the paper) or arrive on a port (the released RTL).
    pub query_from_dram: bool,
    /// Queries that are read from DRAM before the array takes them.
    pub queries_ahead: u32,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    jobs_in_flight: u32,
    cascade_dependency: bool,
    recompute_wide_keys: bool,
    truncate_wide_values: bool,
    query_from_dram: bool,
    queries_ahead: u32,
}

pub(super) const FIELDS: &[Field] = &[
    Field::count("jobs_in_flight", "jobs", 1, 1 << 10),
    Field::flag("cascade_dependency"),
    Field::flag("recompute_wide_keys"),
    Field::flag("truncate_wide_values"),
    Field::flag("query_from_dram"),
    Field::count("queries_ahead", "queries", 1, 1 << 10),
];

pub(super) fn check(raw: &Raw) -> Controller {
    Controller {
        jobs_in_flight: raw.jobs_in_flight,
        cascade_dependency: raw.cascade_dependency,
        recompute_wide_keys: raw.recompute_wide_keys,
        truncate_wide_values: raw.truncate_wide_values,
        query_from_dram: raw.query_from_dram,
        queries_ahead: raw.queries_ahead,
    }
}
