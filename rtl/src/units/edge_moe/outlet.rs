//! The output of a pipeline that cannot stop: a place in the queue behind it is reserved before something
//! enters it.

use crate::{
    ModuleBuilder, Signal,
    units::spatten::{parts::reservations, ring::Ring},
};

/// An output stream with the places that are reserved for it.
pub(super) struct Outlet {
    /// One bit: a place is free.
    pub has_room: Signal,
    reserved: Signal,
    prefix: String,
    pop: Signal,
    depth: u32,
}

impl Outlet {
    /// The port `PREFIX_tready`, and `depth` places; one is reserved with `enters`.
    pub fn new(m: &ModuleBuilder, prefix: &str, depth: u32, enters: &Signal) -> Self {
        m.section(format!("places of {prefix} for what is in the pipeline or waits behind it"));
        let pop = m.forward(format!("{prefix}_pop"), 1);
        let reserved = reservations(m, &format!("{prefix}_reserved"), depth, enters, &pop);
        let has_room = m.wire(format!("{prefix}_has_room"), &reserved.lt(u64::from(depth)));
        Self { has_room, reserved, prefix: prefix.to_owned(), pop, depth }
    }

    /// One bit: nothing is in the pipeline or in the queue.
    pub fn is_empty(&self, m: &ModuleBuilder) -> Signal {
        m.wire(format!("{}_is_empty", self.prefix), &!self.reserved.any())
    }

    /// The ports `PREFIX_tvalid` and `PREFIX_NAME` of what leaves the pipeline with `push`; it is offered one
    /// cycle later.
    pub fn offer(&self, m: &ModuleBuilder, push: &Signal, values: &[(&str, Signal)]) {
        let prefix = &self.prefix;
        m.section(format!("queue of {prefix}"));
        let ready = m.input(format!("{prefix}_tready"), 1);
        let ring = Ring::new(m, format!("{prefix}_queue"), self.depth);
        let has_item = ring.has_item(m);
        m.drive(&self.pop, &has_item & ready);
        ring.advance(m, push, &self.pop);
        m.output(format!("{prefix}_tvalid"), &has_item);
        for (name, value) in values {
            let name = format!("{prefix}_{name}");
            let oldest = ring.oldest(m, &format!("{name}_oldest"), push, value);
            m.output(name, &oldest);
        }
    }
}
