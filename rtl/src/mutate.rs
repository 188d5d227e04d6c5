//! Mutants: designs with one deliberate fault, which a comparison must notice.
//!
//! A mutant exists to be run natively. It keeps all other names, but is not checked again.

use std::sync::Arc;

use crate::{
    Design,
    bits::Bits,
    check,
    error::{Error, Fault},
    ir::{BinaryOp, Module, Node, Op, Register, RegisterId, SignalId, UnaryOp},
};

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Every bit of a wire, or of what a register takes over, is inverted.
    Inverted,
    /// A wire, or what a register takes over, is zero.
    Zero,
    /// The operands of an operation, or the two values of a choice, change places.
    Exchanged,
    /// A register becomes a wire: what it would take over shows one cycle early.
    Undelayed,
    /// A wire becomes a register: its value shows one cycle late.
    Delayed,
}

/// Where a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutation<'a> {
    /// Module.
    pub module: &'a str,
    /// A named signal of it.
    pub signal: &'a str,
    /// What is changed.
    pub change: Change,
}

/// The design with one fault.
///
/// # Errors
/// The design has no such signal, or the signal is not of the kind that the change needs.
pub fn mutate(design: &Design, mutation: Mutation<'_>) -> Result<Design, Error> {
    let refuse = |fault| Error::new(mutation.module, fault);
    let mut faulty = Module::clone(design.module(mutation.module)?);
    change(&mut faulty, mutation.signal, mutation.change).map_err(refuse)?;
    derive(&mut faulty).map_err(refuse)?;
    let mut modules: Vec<Arc<Module>> = Vec::new();
    for module in design.modules() {
        if module.name() == mutation.module {
            modules.push(Arc::new(faulty.clone()));
            continue;
        }
        let mut module = Module::clone(module);
        for instance in &mut module.instances {
            let name = instance.module.name();
            if let Some(new) = modules.iter().find(|known| known.name() == name) {
                instance.module = Arc::clone(new);
            }
        }
        derive(&mut module).map_err(|fault| Error::new(module.name(), fault))?;
        modules.push(Arc::new(module));
    }
    Design::new(&modules)
}

/// Brings up to date what follows from nodes and instances.
fn derive(module: &mut Module) -> Result<(), Fault> {
    module.paths = check::paths(module)?;
    module.clocked |= module.instances.iter().any(|instance| instance.module.clocked);
    module.clocked |= !module.registers.is_empty();
    Ok(())
}

fn change(module: &mut Module, name: &str, change: Change) -> Result<(), Fault> {
    let at = module.nodes.iter().position(|node| node.name.as_deref() == Some(name));
    let Some(at) = at else {
        let known = module.nodes.iter().filter_map(|node| node.name.clone()).collect();
        return Err(Fault::Unknown { kind: "signal", name: name.to_owned(), known });
    };
    let unfit = || Fault::NotDrivable { signal: name.to_owned() };
    match (change, module.nodes[at].op.clone()) {
        (_, Op::Input) => return Err(unfit()),
        (Change::Inverted | Change::Zero, Op::Register(register)) => {
            let next = module.registers[register.index()].next;
            let next = faulty(module, next, change);
            module.registers[register.index()].next = next;
        }
        (Change::Inverted | Change::Zero, _) => {
            let inner = moved(module, at);
            let new = faulty(module, inner, change);
            module.nodes[at].op = Op::Wire(new);
        }
        (Change::Exchanged, _) => exchange(module, at).ok_or_else(unfit)?,
        (Change::Undelayed, Op::Register(register)) => {
            let state = moved(module, at);
            let entry = &mut module.registers[register.index()];
            entry.output = state;
            module.nodes[at].op = match entry.enable {
                Some(select) => Op::Mux { select, when_one: entry.next, when_zero: state },
                None => Op::Wire(entry.next),
            };
        }
        (Change::Undelayed, _) => return Err(unfit()),
        (Change::Delayed, Op::Register(register)) => {
            let state = moved(module, at);
            module.registers[register.index()].output = state;
            delay(module, at, state);
        }
        (Change::Delayed, _) => {
            let inner = moved(module, at);
            delay(module, at, inner);
        }
    }
    Ok(())
}

/// Adds a node without a name.
fn add(module: &mut Module, node: Node) -> SignalId {
    let id = SignalId(module.nodes.len() as u32);
    module.nodes.push(Node { name: None, comment: None, ..node });
    id
}

/// Moves what a signal shows to a node without a name.
fn moved(module: &mut Module, at: usize) -> SignalId {
    add(module, module.nodes[at].clone())
}

/// The signal with a fault.
fn faulty(module: &mut Module, id: SignalId, change: Change) -> SignalId {
    let ty = module.ty(id);
    let op = match change {
        Change::Zero => Op::Constant(Bits::zero(ty.width)),
        _ => Op::Unary(UnaryOp::Not, id),
    };
    add(module, Node { ty, op, name: None, comment: None })
}

/// Makes the signal show `value` one cycle later.
fn delay(module: &mut Module, at: usize, value: SignalId) {
    let register = RegisterId(module.registers.len() as u32);
    module.nodes[at].op = Op::Register(register);
    let (output, reset) = (SignalId(at as u32), None);
    module.registers.push(Register { output, reset, next: value, enable: None });
}

/// Exchanges the operands of what the signal shows.
fn exchange(module: &mut Module, at: usize) -> Option<()> {
    let mut at = at;
    loop {
        at = match &mut module.nodes[at].op {
            // A comparison that is gated by a valid bit stands to its left.
            Op::Wire(inner) | Op::Unary(_, inner) | Op::Binary(BinaryOp::And, inner, _) => {
                inner.index()
            }
            Op::Binary(
                BinaryOp::Less | BinaryOp::Subtract | BinaryOp::ShiftLeft | BinaryOp::ShiftRight,
                a,
                b,
            ) => {
                std::mem::swap(a, b);
                return Some(());
            }
            Op::Mux { when_one, when_zero, .. } => {
                std::mem::swap(when_one, when_zero);
                return Some(());
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ModuleBuilder, Simulator};

    /// `y` shows `a < b` one cycle later, inside another module.
    fn design() -> Design {
        let m = ModuleBuilder::new("inner");
        let (a, b) = (m.input("a", 4), m.input("b", 4));
        let less = m.wire("less", &a.lt(&b));
        m.output("y", &m.pipe("later", &less));
        let inner = m.finish().unwrap();
        let m = ModuleBuilder::new("outer");
        let instance = m.instance("inner", &inner);
        instance.input("a", m.input("a", 4)).input("b", m.input("b", 4));
        m.output("y", &instance.output("y"));
        Design::new([&m.finish().unwrap()]).unwrap()
    }

    /// `y` in the cycle of the inputs and in the next two.
    fn answer(design: &Design) -> [u64; 3] {
        let mut simulator = Simulator::new(design, "outer").unwrap();
        simulator.set("a", 3).unwrap();
        simulator.set("b", 5).unwrap();
        [(); 3].map(|()| {
            let y = simulator.get("y").unwrap();
            simulator.step();
            y
        })
    }

    #[test]
    fn each_change_is_seen_through_the_hierarchy() {
        assert_eq!(answer(&design()), [0, 1, 1]);
        for (signal, change, expected) in [
            ("less", Change::Inverted, [0, 0, 0]),
            ("less", Change::Zero, [0, 0, 0]),
            ("less", Change::Exchanged, [0, 0, 0]),
            ("less", Change::Delayed, [0, 0, 1]),
            ("later", Change::Undelayed, [1, 1, 1]),
            ("later", Change::Delayed, [0, 0, 1]),
            ("later", Change::Inverted, [0, 0, 0]),
        ] {
            let mutant = mutate(&design(), Mutation { module: "inner", signal, change }).unwrap();
            assert_eq!(answer(&mutant), expected, "{signal} {change:?}");
        }
    }

    #[test]
    fn unknown_signals_and_unfit_changes_are_refused() {
        for (signal, change) in
            [("none", Change::Zero), ("less", Change::Undelayed), ("later", Change::Exchanged)]
        {
            assert!(mutate(&design(), Mutation { module: "inner", signal, change }).is_err());
        }
    }
}
