//! Names for intermediate values that Verilog cannot hold inside an expression.
//!
//! Verilog-2005 computes an expression in the width and signedness of its surroundings and cannot
//! take bits of it. Whatever would change its value that way, is read twice, or grows too long to
//! read gets a wire of its own, called after what reads it.

use std::collections::BTreeSet;

use super::names::{counter, fresh};
use crate::ir::{BinaryOp, CLOCK, Item, Module, Op, RESET, ReadTiming, SignalId, UNUSED, UnaryOp};

/// Longest expression without a name \[characters\].
const LONGEST: usize = 72;

/// Names intermediate values and puts all items into the order in which they can be read.
pub fn name(module: &mut Module, items: Vec<(usize, Item)>, reached: &[bool]) {
    let wanted = wanted(module, reached);
    let hints = hints(module);
    let mut taken: BTreeSet<String> = [CLOCK, RESET, UNUSED].map(str::to_owned).into();
    taken.extend(module.nodes.iter().filter_map(|node| node.name.clone()));
    taken.extend(module.memories.iter().map(|memory| memory.name.clone()));
    taken.extend(module.memories.iter().map(|memory| counter(&memory.name)));
    taken.extend(module.instances.iter().map(|instance| instance.name.clone()));
    taken.extend(module.outputs.iter().map(|output| output.name.clone()));

    let mut items = items;
    for at in (0..module.nodes.len()).filter(|at| wanted[*at]) {
        let hint = match &hints[at] {
            Some(Hint::Exactly(name)) => name.clone(),
            Some(Hint::PartOf(name)) => format!("{name}_{}", module.nodes[at].op.mnemonic()),
            None => module.nodes[at].op.mnemonic().to_owned(),
        };
        module.nodes[at].name = Some(fresh(&hint, &mut taken));
        items.push((at, Item::Wire(SignalId(at as u32))));
    }
    // A node comes before every item that was completed after it. Nodes are pushed last, so among
    // equals they follow what was complete before them.
    items.sort_by_key(|(complete, item)| match item {
        Item::Wire(id) if wanted[id.index()] => 2 * complete + 1,
        _ => 2 * complete,
    });
    module.items = items.into_iter().map(|(_, item)| item).collect();
}

/// Which nodes need a name.
fn wanted(module: &Module, reached: &[bool]) -> Vec<bool> {
    let count = module.nodes.len();
    let mut readers = vec![0usize; count];
    let mut must = vec![false; count];
    for (at, node) in module.nodes.iter().enumerate() {
        if !reached[at] && node.name.is_none() {
            continue;
        }
        for id in node.op.operands() {
            readers[id.index()] += 1;
        }
        match &node.op {
            Op::Slice { of, .. } => must[of.index()] = true,
            Op::Unary(UnaryOp::Extend, of) if node.ty.signed => must[of.index()] = true,
            Op::Case { select, .. } => must[select.index()] = true,
            // The operands are printed extended, which shows their sign bit on its own.
            Op::Binary(BinaryOp::Multiply, a, b) => {
                must[a.index()] = true;
                must[b.index()] = true;
            }
            _ => {}
        }
        must[at] |= stands_alone(&node.op);
    }
    for id in module.roots() {
        readers[id.index()] += 1;
    }
    for node in &module.nodes {
        if let Op::Wire(driver) = &node.op
            && readers[driver.index()] == 1
            && stands_alone(&module.node(*driver).op)
        {
            must[driver.index()] = false;
        }
    }
    for instance in &module.instances {
        for id in &instance.inputs {
            must[id.index()] |= !is_simple(module, *id);
        }
    }

    let mut length = vec![0usize; count];
    let mut wanted = vec![false; count];
    for at in 0..count {
        let node = &module.nodes[at];
        if let Some(name) = &node.name {
            length[at] = name.len();
            continue;
        }
        if matches!(node.op, Op::Constant(_)) {
            length[at] = 8 + node.ty.width as usize / 4;
            continue;
        }
        let operands = node.op.operands();
        length[at] = operands.iter().map(|id| length[id.index()] + 4).sum::<usize>();
        let simple = is_simple(module, SignalId(at as u32));
        let shared = readers[at] > 1 && !simple;
        let long = length[at] > LONGEST && !matches!(node.op, Op::Concat(_));
        if reached[at] && (must[at] || shared || long) {
            wanted[at] = !transparent(module, at);
            if wanted[at] {
                length[at] = 24;
            }
        }
    }
    wanted
}

/// Whether it keeps its width and sign only alone on the right of an assignment.
fn stands_alone(op: &Op) -> bool {
    matches!(op, Op::Case { .. } | Op::Binary(BinaryOp::Multiply | BinaryOp::ShiftRight, ..))
}

/// A cast prints as its operand.
fn transparent(module: &Module, at: usize) -> bool {
    match &module.nodes[at].op {
        Op::Unary(UnaryOp::Cast, of) => {
            module.node(*of).name.is_some() || matches!(module.node(*of).op, Op::Constant(_))
        }
        _ => false,
    }
}

/// A name, a literal, or bits of a name.
fn is_simple(module: &Module, id: SignalId) -> bool {
    let node = module.node(id);
    match &node.op {
        _ if node.name.is_some() => true,
        Op::Constant(_) => true,
        Op::Slice { of, .. } | Op::Unary(UnaryOp::Cast, of) => module.node(*of).name.is_some(),
        _ => false,
    }
}

/// What an intermediate value is called after.
#[derive(Clone)]
enum Hint {
    /// It is all of this.
    Exactly(String),
    /// It is read to compute this.
    PartOf(String),
}

/// For every unnamed node, the named thing that reads it.
fn hints(module: &Module) -> Vec<Option<Hint>> {
    let mut hints: Vec<Option<Hint>> = vec![None; module.nodes.len()];
    let mut give = |id: SignalId, hint: Hint| {
        if module.node(id).name.is_none() {
            hints[id.index()].get_or_insert(hint);
        }
    };
    let of = |id: SignalId| module.node(id).name.clone().unwrap_or_default();
    for register in &module.registers {
        let name = of(register.output);
        give(register.next, Hint::Exactly(format!("{name}_next")));
        if let Some(enable) = register.enable {
            give(enable, Hint::Exactly(format!("{name}_enable")));
        }
    }
    for memory in &module.memories {
        let name = &memory.name;
        for port in &memory.writes {
            give(port.address, Hint::Exactly(format!("{name}_write_address")));
            give(port.data, Hint::Exactly(format!("{name}_write_data")));
            give(port.enable, Hint::Exactly(format!("{name}_write_enable")));
        }
        for port in &memory.reads {
            let name = of(port.output);
            give(port.address, Hint::Exactly(format!("{name}_address")));
            if let ReadTiming::Synchronous { enable: Some(enable) } = port.timing {
                give(enable, Hint::Exactly(format!("{name}_enable")));
            }
        }
    }
    for instance in &module.instances {
        for (id, (port, _)) in instance.inputs.iter().zip(instance.module.inputs()) {
            give(*id, Hint::Exactly(format!("{}_{port}", instance.name)));
        }
    }
    for output in &module.outputs {
        give(output.source, Hint::PartOf(output.name.clone()));
    }
    for node in &module.nodes {
        if let Some(name) = &node.name {
            for id in node.op.operands() {
                give(id, Hint::PartOf(name.clone()));
            }
        }
    }
    // Unnamed nodes have smaller numbers than what reads them.
    for at in (0..module.nodes.len()).rev() {
        let name = match &hints[at] {
            Some(Hint::Exactly(name) | Hint::PartOf(name)) => name.clone(),
            None => continue,
        };
        for id in module.nodes[at].op.operands() {
            if module.node(id).name.is_none() {
                hints[id.index()].get_or_insert(Hint::PartOf(name.clone()));
            }
        }
    }
    hints
}
