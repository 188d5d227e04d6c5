//! Registers.

use super::{ModuleBuilder, Operand, Signal};
use crate::{
    bits::Bits,
    error::Fault,
    ir::{Item, Op, Register, RegisterId, Type},
};

impl ModuleBuilder {
    /// A register that a reset sets to zero; [`update`](Self::update) drives it.
    pub fn register(&self, name: impl Into<String>, ty: impl Into<Type>) -> Signal {
        let ty = ty.into();
        self.new_register(name.into(), ty, Some(Bits::zero(ty.width)))
    }

    /// A register that a reset sets to `value`.
    pub fn register_from(&self, name: impl Into<String>, value: Bits) -> Signal {
        self.new_register(name.into(), Type::unsigned(value.width()), Some(value))
    }

    /// A register that ignores the reset: for data that are valid only beside a valid bit.
    pub fn register_without_reset(&self, name: impl Into<String>, ty: impl Into<Type>) -> Signal {
        self.new_register(name.into(), ty.into(), None)
    }

    fn new_register(&self, name: String, ty: Type, reset: Option<Bits>) -> Signal {
        let output = self.draft.node(ty, Op::Input, Some(name));
        self.draft.with(|contents| {
            let register = RegisterId(contents.module.registers.len() as u32);
            contents.module.nodes[output.id.index()].op = Op::Register(register);
            let (next, enable) = (output.id, None);
            contents.module.registers.push(Register { output: output.id, reset, next, enable });
            contents.undriven.insert(output.id);
        });
        output
    }

    /// What a register holds after the next edge.
    pub fn update(&self, register: &Signal, next: impl Operand) {
        self.update_register(register, &next, None);
    }

    /// What a register holds after the next edge where `enable` is 1; it keeps its state otherwise.
    pub fn update_when(&self, register: &Signal, enable: &Signal, next: impl Operand) {
        self.update_register(register, &next, Some(enable));
    }

    fn update_register(&self, register: &Signal, next: &dyn Operand, enable: Option<&Signal>) {
        let register = self.draft.own(register);
        let next = next.signal_like(&register);
        self.draft.same("update", &register, &next);
        let enable = enable.map(|enable| self.one_bit("enable", enable));
        let Some(Op::Register(id)) = self.draft.op(register.id) else {
            self.draft.fault(Fault::NotDrivable { signal: self.draft.describe(register.id) });
            return;
        };
        if !self.draft.with(|contents| contents.undriven.remove(&register.id)) {
            self.draft.fault(Fault::DrivenTwice { signal: self.draft.describe(register.id) });
            return;
        }
        self.draft.with(|contents| {
            let entry = &mut contents.module.registers[id.index()];
            entry.next = next.id;
            entry.enable = enable.map(|enable| enable.id);
        });
        self.draft.item(Item::Register(id));
    }

    /// The signal, if it has one bit.
    pub(super) fn one_bit(&self, operation: &'static str, signal: &Signal) -> Signal {
        let signal = self.draft.own(signal);
        if signal.width() != 1 {
            self.draft.fault(Fault::Widths {
                operation,
                left: self.draft.describe(signal.id),
                left_width: signal.width(),
                right: "one bit".to_owned(),
                right_width: 1,
            });
        }
        signal
    }

    /// `value` one cycle later, without reset.
    pub fn pipe(&self, name: impl Into<String>, value: &Signal) -> Signal {
        let register = self.register_without_reset(name, value.ty());
        self.update(&register, value);
        register
    }

    /// `value` as it was in the last cycle in which `enable` was 1, without reset.
    pub fn pipe_when(&self, name: impl Into<String>, enable: &Signal, value: &Signal) -> Signal {
        let register = self.register_without_reset(name, value.ty());
        self.update_when(&register, enable, value);
        register
    }

    /// `value` one cycle later; zero after a reset.
    pub fn pipe_reset(&self, name: impl Into<String>, value: &Signal) -> Signal {
        let register = self.register(name, value.ty());
        self.update(&register, value);
        register
    }
}
