//! Arbiters: at most one of many requests is granted.

use std::sync::Arc;

use super::within;
use crate::{ModuleBuilder, Signal, error::Error, ir::Module};

/// Grants the request with the lowest index. Ports: `request`; `grant` (one-hot), `any`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LowestFirstArbiter {
    /// Requests, 2 to 256.
    pub requests: u32,
}

/// Grants in turn: after a grant that was used, the next higher index comes first.
///
/// Ports: `request`, `advance` (the grant is used); `grant` (one-hot), `any`. A request that stays
/// is granted at the latest when all others have been granted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundRobinArbiter {
    /// Requests, 2 to 256.
    pub requests: u32,
}

impl LowestFirstArbiter {
    /// The module `lowest_first_arbiter_nREQUESTS`.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let name = format!("lowest_first_arbiter_n{}", self.requests);
        within(&name, "requests", self.requests, (2, 256), "2 to 256 requests")?;
        let m = ModuleBuilder::new(name);
        m.doc("Grants the request with the lowest index.");
        m.parameter("REQUESTS", self.requests);
        m.latency("same cycle");
        let request = m.input("request", self.requests);
        let grant = lowest(&request);
        m.output_for("grant", &grant, "One-hot, zero without a request.");
        m.output_for("any", &request.any(), "There is a request.");
        m.finish()
    }
}

impl RoundRobinArbiter {
    /// The module `round_robin_arbiter_nREQUESTS`.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let name = format!("round_robin_arbiter_n{}", self.requests);
        within(&name, "requests", self.requests, (2, 256), "2 to 256 requests")?;
        let m = ModuleBuilder::new(name);
        m.doc(
            "Grants in turn: the lowest index above the last grant that was used, else the lowest.",
        );
        m.parameter("REQUESTS", self.requests);
        m.latency("same cycle");
        let request = m.input("request", self.requests);
        let advance = m.input("advance", 1).comment("The grant is used in this cycle.");
        // Bit i is set where i is above the last grant used.
        let later = m.register("later", self.requests).comment("Indices above the last grant.");
        let preferred = m.wire("preferred", &(&request & &later));
        let lowest_preferred = m.wire("lowest_preferred", &lowest(&preferred));
        let lowest_any = m.wire("lowest_any", &lowest(&request));
        let grant = m.wire("grant_bits", &preferred.any().mux(&lowest_preferred, &lowest_any));
        let used = m.wire("used", &(&advance & request.any()));
        // Of a one-hot value g, the bits above it are those of ~((g - 1) | g).
        m.update_when(&later, &used, !((&grant - 1) | &grant));
        m.output_for("grant", &grant, "One-hot, zero without a request.");
        m.output_for("any", &request.any(), "There is a request.");
        m.finish()
    }
}

/// The lowest set bit alone: `x & -x`.
fn lowest(x: &Signal) -> Signal {
    x & (!x + 1)
}
