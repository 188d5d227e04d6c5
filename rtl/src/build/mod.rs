//! The builder: hardware described in Rust.
//!
//! Nothing here panics or returns early: the first misuse is remembered, and
//! [`ModuleBuilder::finish`] returns it together with everything that the checks find.

mod draft;
mod instance;
mod memory;
mod operators;
mod signal;
mod state;

use std::sync::Arc;

use draft::Draft;

pub use self::{
    instance::InstanceBuilder,
    memory::MemoryBuilder,
    signal::{Operand, Signal},
};
use crate::{
    bits::{Bits, index_width},
    check,
    error::{Error, Fault},
    ir::{BinaryOp, Item, Module, Op, Output, Type},
};

impl Type {
    /// An unsigned type of `width` bits.
    pub const fn unsigned(width: u32) -> Self {
        Self { width, signed: false }
    }

    /// A two's complement type of `width` bits.
    pub const fn signed(width: u32) -> Self {
        Self { width, signed: true }
    }
}

impl From<u32> for Type {
    fn from(width: u32) -> Self {
        Self::unsigned(width)
    }
}

/// A module under construction.
pub struct ModuleBuilder {
    draft: Draft,
}

impl ModuleBuilder {
    /// Starts a module.
    pub fn new(name: impl Into<String>) -> Self {
        let draft = Draft::default();
        draft.with(|contents| contents.module.name = name.into());
        Self { draft }
    }

    /// Adds a line to the description at the head of the Verilog file.
    pub fn doc(&self, line: impl Into<String>) {
        self.draft.with(|contents| contents.module.doc.push(line.into()));
    }

    /// Shows a parameter of the generator at the head of the Verilog file.
    pub fn parameter(&self, name: impl Into<String>, value: impl ToString) {
        let value = value.to_string();
        self.draft.with(|contents| contents.module.parameters.push((name.into(), value)));
    }

    /// States the latency at the head of the Verilog file.
    pub fn latency(&self, text: impl Into<String>) {
        self.draft.with(|contents| contents.module.latency = Some(text.into()));
    }

    /// Begins a part of the module under a heading.
    pub fn section(&self, heading: impl Into<String>) {
        self.draft.item(Item::Section(heading.into()));
    }

    /// An input port.
    pub fn input(&self, name: impl Into<String>, ty: impl Into<Type>) -> Signal {
        let signal = self.draft.node(ty.into(), Op::Input, Some(name.into()));
        self.draft.with(|contents| contents.module.inputs.push(signal.id));
        signal
    }

    /// Input ports `name_0`, `name_1`, ...
    pub fn inputs(&self, name: &str, count: u32, ty: impl Into<Type>) -> Vec<Signal> {
        let ty = ty.into();
        (0..count).map(|lane| self.input(format!("{name}_{lane}"), ty)).collect()
    }

    /// An output port that shows `signal`.
    pub fn output(&self, name: impl Into<String>, signal: &Signal) {
        self.output_with_comment(name, signal, None);
    }

    /// An output port that shows `signal`, explained to the reader of the Verilog.
    pub fn output_for(&self, name: impl Into<String>, signal: &Signal, comment: &str) {
        self.output_with_comment(name, signal, Some(comment.to_owned()));
    }

    fn output_with_comment(
        &self,
        name: impl Into<String>,
        signal: &Signal,
        comment: Option<String>,
    ) {
        let source = self.draft.own(signal).id;
        let output = Output { name: name.into(), source, comment };
        self.draft.with(|contents| contents.module.outputs.push(output));
    }

    /// Output ports `name_0`, `name_1`, ...
    pub fn outputs(&self, name: &str, signals: &[Signal]) {
        for (lane, signal) in signals.iter().enumerate() {
            self.output(format!("{name}_{lane}"), signal);
        }
    }

    /// A literal of `width` bits.
    pub fn constant(&self, value: u64, width: u32) -> Signal {
        let zero = self.draft.node(Type::unsigned(width), Op::Constant(Bits::zero(width)), None);
        value.signal_like(&zero)
    }

    /// A literal of any type and value.
    pub fn literal(&self, bits: Bits, signed: bool) -> Signal {
        self.draft.node(Type { width: bits.width(), signed }, Op::Constant(bits), None)
    }

    /// A named wire that shows `value`.
    pub fn wire(&self, name: impl Into<String>, value: &Signal) -> Signal {
        let value = self.draft.own(value);
        let wire = self.draft.node(value.ty, Op::Wire(value.id), Some(name.into()));
        self.draft.item(Item::Wire(wire.id));
        wire
    }

    /// Named wires `name_0`, `name_1`, ... that show `values`.
    pub fn wires(&self, name: &str, values: &[Signal]) -> Vec<Signal> {
        let lanes = values.iter().enumerate();
        lanes.map(|(lane, value)| self.wire(format!("{name}_{lane}"), value)).collect()
    }

    /// A named wire whose driver follows with [`drive`](Self::drive).
    pub fn forward(&self, name: impl Into<String>, ty: impl Into<Type>) -> Signal {
        let wire = self.draft.node(ty.into(), Op::Input, Some(name.into()));
        self.draft.with(|contents| {
            contents.undriven.insert(wire.id);
            contents.module.forwards.push(wire.id);
            contents.module.nodes[wire.id.index()].op = Op::Wire(wire.id);
        });
        wire
    }

    /// Gives a [`forward`](Self::forward) wire its driver.
    pub fn drive(&self, wire: &Signal, value: impl Operand) {
        let wire = self.draft.own(wire);
        let value = value.signal_like(&wire);
        self.draft.same("drive", &wire, &value);
        if !matches!(self.draft.op(wire.id), Some(Op::Wire(_))) {
            self.draft.fault(Fault::NotDrivable { signal: self.draft.describe(wire.id) });
        } else if !self.draft.with(|contents| contents.undriven.remove(&wire.id)) {
            self.draft.fault(Fault::DrivenTwice { signal: self.draft.describe(wire.id) });
        } else {
            self.draft.with(|contents| {
                contents.module.nodes[wire.id.index()].op = Op::Wire(value.id);
            });
            self.draft.item(Item::Wire(wire.id));
        }
    }

    /// Parts side by side, the most significant first.
    pub fn concat<'a>(&self, parts: impl IntoIterator<Item = &'a Signal>) -> Signal {
        let parts: Vec<Signal> = parts.into_iter().map(|part| self.draft.own(part)).collect();
        if let [only] = &parts[..] {
            return only.as_unsigned();
        }
        let width = parts.iter().fold(0u32, |sum, part| sum.saturating_add(part.width()));
        let ids = parts.iter().map(|part| part.id).collect();
        self.draft.node(Type::unsigned(width), Op::Concat(ids), None)
    }

    /// Lanes side by side, lane 0 the least significant.
    pub fn pack(&self, lanes: &[Signal]) -> Signal {
        self.concat(lanes.iter().rev())
    }

    /// The value at the label equal to `select`, `default` where none is.
    pub fn case<'a>(
        &self,
        select: &Signal,
        arms: impl IntoIterator<Item = (u64, &'a Signal)>,
        default: impl Operand,
    ) -> Signal {
        let select = self.draft.own(select);
        let mut labelled: Vec<(Bits, Signal)> = Vec::new();
        for (label, value) in arms {
            let bits = Bits::new(label, select.width());
            if bits.low() != label {
                let signal = self.draft.describe(select.id);
                let width = select.width();
                self.draft.fault(Fault::Constant { value: label, signal, width });
            } else if labelled.iter().any(|(known, _)| *known == bits) {
                let select = self.draft.describe(select.id);
                self.draft.fault(Fault::Label { select, label: label.to_string() });
            }
            labelled.push((bits, self.draft.own(value)));
        }
        let like = labelled.first().map_or_else(|| select.clone(), |(_, value)| value.clone());
        let default = default.signal_like(&like);
        for (_, value) in &labelled {
            self.draft.same("case", value, &default);
        }
        let arms = labelled.into_iter().map(|(label, value)| (label, value.id)).collect();
        let op = Op::Case { select: select.id, arms, default: default.id };
        self.draft.node(default.ty, op, None)
    }

    /// `values[index]`; the last value where the index is beyond the end.
    pub fn select(&self, index: &Signal, values: &[Signal]) -> Signal {
        match values {
            [] => {
                self.draft.fault(Fault::Width { signal: "select of nothing".into(), width: 0 });
                self.constant(0, 1)
            }
            [only] => only.clone(),
            [first, second] if index.width() == 1 => index.mux(second, first),
            [others @ .., last] => {
                let states = 1u64.checked_shl(index.width()).unwrap_or(u64::MAX);
                if index_width(values.len() as u64) > index.width() {
                    let signal = self.draft.describe(index.id);
                    let value = values.len() as u64 - 1;
                    self.draft.fault(Fault::Constant { value, signal, width: index.width() });
                }
                let arms = (0..states).zip(others);
                self.case(index, arms, last)
            }
        }
    }

    /// One bit: some of the bits is set.
    pub fn any_of(&self, bits: &[Signal]) -> Signal {
        self.tree(bits, BinaryOp::Or, 0)
    }

    /// One bit: all of the bits are set.
    pub fn all_of(&self, bits: &[Signal]) -> Signal {
        self.tree(bits, BinaryOp::And, 1)
    }

    /// A balanced tree of one-bit operations.
    fn tree(&self, bits: &[Signal], op: BinaryOp, empty: u64) -> Signal {
        match bits {
            [] => self.constant(empty, 1),
            [only] => only.clone(),
            _ => {
                let (left, right) = bits.split_at(bits.len() / 2);
                let (left, right) = (self.tree(left, op, empty), self.tree(right, op, empty));
                self.draft.same("tree", &left, &right);
                self.draft.binary(op, &left, &right, left.ty)
            }
        }
    }

    /// Lets bits of `signal` stay unread; without it unread bits are refused.
    pub fn discard(&self, signal: &Signal) {
        let id = self.draft.own(signal).id;
        self.draft.with(|contents| contents.module.discarded.push(id));
    }

    /// The checked module.
    ///
    /// # Errors
    /// The first misuse of the builder, or what [the checks](crate#what-is-checked) find.
    pub fn finish(self) -> Result<Arc<Module>, Error> {
        let contents = self.draft.0.take();
        let module = contents.module;
        let name = module.name.clone();
        let refuse = |fault| Error::new(name.clone(), fault);
        if let Some(fault) = contents.fault {
            return Err(refuse(fault));
        }
        if let Some(id) = contents.undriven.first() {
            return Err(refuse(Fault::Undriven { signal: module.describe(*id) }));
        }
        for (at, instance) in module.instances.iter().enumerate() {
            for (port, (input, _)) in instance.module.inputs().enumerate() {
                if !contents.connected.contains(&(at, port)) {
                    let signal = format!("{}.{input}", instance.name);
                    return Err(refuse(Fault::Undriven { signal }));
                }
            }
        }
        check::check(module, contents.items).map(Arc::new).map_err(refuse)
    }
}
