//! Streams between ports and units: who takes what depends on the call.

use std::cell::RefCell;

use crate::{
    Error, InstanceBuilder, ModuleBuilder, Signal,
    blocks::{AxiStreamNarrower, AxiStreamWidener},
};

/// The sending end of a stream that several units take from, each in other calls.
pub(super) struct Source {
    pub valid: Signal,
    pub data: Signal,
    /// Driven when all that take from it are known.
    pub ready: Signal,
    takers: RefCell<Vec<Signal>>,
}

impl Source {
    /// What is offered; `name` names the signal that says whether it is taken.
    pub fn new(m: &ModuleBuilder, name: &str, valid: &Signal, data: &Signal) -> Self {
        Self {
            valid: valid.clone(),
            data: data.clone(),
            ready: m.forward(format!("{name}_taken"), 1),
            takers: RefCell::default(),
        }
    }

    /// The stream `prefix` of an instance.
    pub fn of(m: &ModuleBuilder, name: &str, from: &InstanceBuilder<'_>, prefix: &str) -> Self {
        let port = |field: &str| format!("{prefix}_{field}");
        let source =
            Self::new(m, name, &from.output(&port("tvalid")), &from.output(&port("tdata")));
        from.input(&port("tready"), &source.ready);
        source
    }

    /// Somebody takes it where `ready`.
    pub fn taken(&self, ready: Signal) {
        self.takers.borrow_mut().push(ready);
    }

    /// No more takers.
    pub fn finish(self, m: &ModuleBuilder) {
        m.drive(&self.ready, m.any_of(&self.takers.borrow()));
    }
}

/// What a unit that is `ready` is offered: one of the sources, each in its calls. No two calls are at the same
/// time.
pub(super) fn sink(
    m: &ModuleBuilder,
    name: &str,
    ready: &Signal,
    from: &[(Signal, &Source)],
) -> (Signal, Signal) {
    let offers: Vec<Signal> = from
        .iter()
        .map(|(when, source)| {
            source.taken(when & ready);
            when & &source.valid
        })
        .collect();
    let valid = m.wire(format!("{name}_offered"), &m.any_of(&offers));
    let (others, last) = from.split_at(from.len().saturating_sub(1));
    let last = last.first().map_or_else(|| m.constant(0, 1), |(_, source)| source.data.clone());
    let data = others.iter().fold(last, |other, (when, source)| when.mux(&source.data, &other));
    (valid, m.wire(format!("{name}_data"), &data))
}

/// A stream in beats `ratio` times as wide, the first lowest.
pub(super) fn widened(
    m: &ModuleBuilder,
    name: &str,
    bytes: u32,
    ratio: u32,
    from: &[(Signal, &Source)],
) -> Result<Source, Error> {
    if ratio == 1 {
        return Ok(passed(m, name, from));
    }
    let module = AxiStreamWidener { narrow_bytes: bytes, ratio }.build()?;
    let unit = m.instance(format!("{name}_widener"), &module);
    let offer = sink(m, &format!("{name}_narrow"), &unit.output("s_axis_tready"), from);
    Ok(adapted(m, name, &unit, bytes, &offer))
}

/// A stream in beats of `bytes`, `ratio` of each that comes, the lowest first.
pub(super) fn narrowed(
    m: &ModuleBuilder,
    name: &str,
    bytes: u32,
    ratio: u32,
    from: &[(Signal, &Source)],
) -> Result<Source, Error> {
    if ratio == 1 {
        return Ok(passed(m, name, from));
    }
    let module = AxiStreamNarrower { narrow_bytes: bytes, ratio }.build()?;
    let unit = m.instance(format!("{name}_narrower"), &module);
    let offer = sink(m, &format!("{name}_wide"), &unit.output("s_axis_tready"), from);
    Ok(adapted(m, name, &unit, bytes * ratio, &offer))
}

/// What a width adapter makes of an offer in beats of `bytes`, all of which count.
fn adapted(
    m: &ModuleBuilder,
    name: &str,
    unit: &InstanceBuilder<'_>,
    bytes: u32,
    (valid, data): &(Signal, Signal),
) -> Source {
    unit.input("s_axis_tvalid", valid).input("s_axis_tdata", data);
    unit.input("s_axis_tkeep", m.constant(1, 1).repeat(bytes)).input("s_axis_tlast", 0u64);
    unit.discard("m_axis_tkeep").discard("m_axis_tlast");
    Source::of(m, name, unit, "m_axis")
}

/// One of several sources, as it is.
pub(super) fn passed(m: &ModuleBuilder, name: &str, from: &[(Signal, &Source)]) -> Source {
    let ready = m.forward(format!("{name}_passed"), 1);
    let (valid, data) = sink(m, name, &ready, from);
    let source = Source::new(m, name, &valid, &data);
    m.drive(&ready, &source.ready);
    source
}
