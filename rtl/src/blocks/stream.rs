//! Streams with valid and ready.

use crate::{ModuleBuilder, Signal};

/// The receiving end: a beat is taken in a cycle in which `valid` and `ready` are 1.
pub struct StreamIn {
    /// The sender offers a beat.
    pub valid: Signal,
    /// The beat.
    pub data: Signal,
    prefix: String,
}

impl StreamIn {
    /// The ports `PREFIX_tvalid` and `PREFIX_tdata`.
    pub fn new(m: &ModuleBuilder, prefix: &str, width: u32) -> Self {
        let valid = m.input(format!("{prefix}_tvalid"), 1).comment("A beat is offered.");
        let data = m.input(format!("{prefix}_tdata"), width).comment("The beat.");
        Self { valid, data, prefix: prefix.to_owned() }
    }

    /// The port `PREFIX_tready`.
    pub fn ready(&self, m: &ModuleBuilder, ready: &Signal) {
        m.output_for(format!("{}_tready", self.prefix), ready, "The offered beat is taken.");
    }
}

/// The sending end.
pub struct StreamOut {
    /// The receiver takes what is offered.
    pub ready: Signal,
    prefix: String,
}

impl StreamOut {
    /// The port `PREFIX_tready`.
    pub fn new(m: &ModuleBuilder, prefix: &str) -> Self {
        let ready = m.input(format!("{prefix}_tready"), 1).comment("The offered beat is taken.");
        Self { ready, prefix: prefix.to_owned() }
    }

    /// The ports `PREFIX_tvalid` and `PREFIX_tdata`.
    pub fn offer(&self, m: &ModuleBuilder, valid: &Signal, data: &Signal) {
        m.output_for(format!("{}_tvalid", self.prefix), valid, "A beat is offered.");
        m.output_for(format!("{}_tdata", self.prefix), data, "The beat.");
    }
}
