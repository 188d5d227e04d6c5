//! The module under construction, shared by the builder and its signals.

use std::{cell::RefCell, collections::BTreeSet, rc::Rc};

use super::Signal;
use crate::{
    bits::{Bits, MAX_WIDTH},
    error::Fault,
    ir::{BinaryOp, Item, Module, Node, Op, SignalId, Type, UnaryOp},
};

/// What has been described so far. Operators cannot return an error, so the first one is kept
/// here until `finish`.
#[derive(Default)]
pub(super) struct Contents {
    pub module: Module,
    /// Items, each with the number of nodes that existed when it was complete.
    pub items: Vec<(usize, Item)>,
    pub fault: Option<Fault>,
    /// Wires and registers that still wait for their driver.
    pub undriven: BTreeSet<SignalId>,
    /// Inputs of instances that are connected: instance and input.
    pub connected: BTreeSet<(usize, usize)>,
}

/// Shared handle to the contents.
#[derive(Clone, Default)]
pub(super) struct Draft(pub Rc<RefCell<Contents>>);

impl Draft {
    pub fn with<T>(&self, change: impl FnOnce(&mut Contents) -> T) -> T {
        change(&mut self.0.borrow_mut())
    }

    pub fn fault(&self, fault: Fault) {
        self.with(|contents| {
            contents.fault.get_or_insert(fault);
        });
    }

    pub fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Name of a signal for messages.
    pub fn describe(&self, id: SignalId) -> String {
        self.with(|contents| match contents.module.nodes.get(id.index()) {
            Some(_) => contents.module.describe(id),
            None => "signal of a finished module".to_owned(),
        })
    }

    /// Adds a node. A width that no signal can have becomes a fault and a width of 1.
    pub fn node(&self, ty: Type, op: Op, name: Option<String>) -> Signal {
        let mut ty = ty;
        if ty.width == 0 || ty.width > MAX_WIDTH {
            let signal = name.clone().unwrap_or_else(|| format!("unnamed {}", op.mnemonic()));
            self.fault(Fault::Width { signal, width: u64::from(ty.width) });
            ty.width = 1;
        }
        let id = self.with(|contents| {
            let id = SignalId(contents.module.nodes.len() as u32);
            contents.module.nodes.push(Node { ty, op, name, comment: None });
            id
        });
        Signal { draft: self.clone(), id, ty }
    }

    pub fn item(&self, item: Item) {
        self.with(|contents| {
            let complete = contents.module.nodes.len();
            contents.items.push((complete, item));
        });
    }

    /// Notes that an item got another part: it is shown after all that this part needs.
    pub fn extend_item(&self, item: &Item) {
        self.with(|contents| {
            let complete = contents.module.nodes.len();
            if let Some(entry) = contents.items.iter_mut().rev().find(|(_, known)| known == item) {
                entry.0 = complete;
            }
        });
    }

    /// The signal of a node that exists.
    pub fn signal(&self, id: SignalId) -> Signal {
        let ty = self.with(|contents| contents.module.nodes.get(id.index()).map(|node| node.ty));
        Signal { draft: self.clone(), id, ty: ty.unwrap_or(Type::unsigned(1)) }
    }

    /// The operation of a node.
    pub fn op(&self, id: SignalId) -> Option<Op> {
        self.with(|contents| contents.module.nodes.get(id.index()).map(|node| node.op.clone()))
    }

    /// The value of a literal.
    pub fn literal(&self, id: SignalId) -> Option<Bits> {
        match self.op(id) {
            Some(Op::Constant(bits)) => Some(bits),
            _ => None,
        }
    }

    /// The value of a literal, also where a wire shows it.
    pub fn known(&self, id: SignalId) -> Option<Bits> {
        let mut id = id;
        loop {
            match self.op(id)? {
                Op::Constant(bits) => return Some(bits),
                Op::Unary(UnaryOp::Cast, of) => id = of,
                // A forward wire without a driver names itself.
                Op::Wire(driver) if driver != id => id = driver,
                _ => return None,
            }
        }
    }

    /// The signal if it is one of this module; otherwise a fault and a zero of the same type.
    pub fn own(&self, signal: &Signal) -> Signal {
        if self.is(&signal.draft) {
            return signal.clone();
        }
        self.fault(Fault::Foreign { signal: signal.draft.describe(signal.id) });
        self.node(signal.ty, Op::Constant(Bits::zero(signal.ty.width)), None)
    }

    pub fn unary(&self, op: UnaryOp, a: &Signal, ty: Type) -> Signal {
        self.node(ty, Op::Unary(op, a.id), None)
    }

    pub fn binary(&self, op: BinaryOp, a: &Signal, b: &Signal, ty: Type) -> Signal {
        self.node(ty, Op::Binary(op, a.id, b.id), None)
    }

    /// Both operands with the same type, or a fault.
    pub fn same(&self, operation: &'static str, a: &Signal, b: &Signal) -> bool {
        if a.ty == b.ty {
            return true;
        }
        let (left, right) = (self.describe(a.id), self.describe(b.id));
        self.fault(if a.ty.width == b.ty.width {
            Fault::Signedness { operation, left, right }
        } else {
            Fault::Widths {
                operation,
                left,
                left_width: a.ty.width,
                right,
                right_width: b.ty.width,
            }
        });
        false
    }
}
