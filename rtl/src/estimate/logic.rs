//! Look-up tables: nodes are packed into tables of six inputs.
//!
//! A node whose value only one other node reads goes into the table of that reader as long as both
//! together have at most six inputs per bit. Adders and comparators take a carry chain with one
//! table per bit.

use std::collections::BTreeSet;

use crate::netlist::{Netlist, Next, NodeId, Op};

/// Inputs of a look-up table.
const INPUTS: usize = 6;

/// Number of look-up tables of a netlist without its memories.
pub fn luts(netlist: &Netlist) -> u64 {
    let readers = readers(netlist);
    let pins = pins(netlist);
    // Inputs per bit of the table that ends at each node.
    let mut leaves: Vec<BTreeSet<NodeId>> = Vec::with_capacity(netlist.nodes.len());
    // Tables that the node takes itself if nobody absorbs it.
    let mut own = vec![0u64; netlist.nodes.len()];
    for (at, node) in netlist.nodes.iter().enumerate() {
        let id = netlist.id(at);
        let mut inputs = BTreeSet::new();
        let width = u64::from(node.width);
        own[at] = match &node.op {
            _ if pins.contains(&id) => 0,
            Op::And | Op::Or | Op::Xor | Op::Not | Op::Mux => {
                pack(netlist, node, &readers, &leaves, &mut own, &mut inputs);
                if matches!(node.op, Op::Not) && inputs.len() == 1 { 0 } else { width }
            }
            Op::Equal => equality(netlist, node, &mut inputs),
            Op::Any | Op::All | Op::Parity => {
                let width = u64::from(netlist.width(node.operands[0]));
                if width as usize <= INPUTS {
                    inputs.insert(id);
                }
                (width.saturating_sub(1)).div_ceil(INPUTS as u64 - 1)
            }
            Op::Add | Op::Subtract => chain(netlist, node, width),
            Op::Less | Op::LessSigned => chain(netlist, node, operand_width(netlist, node)),
            Op::ShiftLeft | Op::ShiftRight | Op::ShiftRightSigned => {
                let places = u64::from(netlist.width(node.operands[1]));
                let useful = u64::from(crate::bits::index_width(width));
                width * places.min(useful).div_ceil(2)
            }
            _ => 0,
        };
        if inputs.is_empty() {
            inputs.insert(id);
        }
        leaves.push(inputs);
    }
    own.iter().sum()
}

/// Nodes that are the enable or the synchronous reset of a register: it has pins for them.
fn pins(netlist: &Netlist) -> BTreeSet<NodeId> {
    let mut pins = BTreeSet::new();
    for state in &netlist.states {
        let Next::Node { value, data } = state.next else { continue };
        let mut at = value;
        while at != data {
            let node = netlist.node(at);
            let inner = match (&node.op, &node.operands[..]) {
                (Op::Mux, [_, one, zero]) if netlist.literal(*one).is_some() => *zero,
                (Op::Mux, [_, one, _]) => *one,
                _ => break,
            };
            pins.insert(at);
            at = inner;
        }
        // What a bit gates goes through the reset pin as well.
        let node = netlist.node(data);
        if node.op == Op::Mux && netlist.literal(node.operands[2]).is_some() && data != value {
            pins.insert(data);
        }
    }
    pins
}

fn operand_width(netlist: &Netlist, node: &crate::netlist::Node) -> u64 {
    node.operands.iter().map(|id| u64::from(netlist.width(*id))).max().unwrap_or(0)
}

/// A carry chain: a table per bit; bits above the widest real operand only pass the carry on.
fn chain(netlist: &Netlist, node: &crate::netlist::Node, width: u64) -> u64 {
    let real = |id: &NodeId| match netlist.node(*id).op {
        Op::ZeroExtend | Op::SignExtend => netlist.width(netlist.node(*id).operands[0]),
        Op::Constant(_) => 0,
        _ => netlist.width(*id),
    };
    let widest = u64::from(node.operands.iter().map(real).max().unwrap_or(0));
    let constant = node.operands.iter().any(|id| netlist.literal(*id).is_some());
    match node.op {
        // Comparison with a literal is a plain function of its bits.
        Op::Less | Op::LessSigned if constant => width.saturating_sub(1).div_ceil(4).max(1),
        _ => width.min(widest + 1),
    }
}

/// A comparison: three bits of both sides per table, six where one side is a literal.
fn equality(netlist: &Netlist, node: &crate::netlist::Node, inputs: &mut BTreeSet<NodeId>) -> u64 {
    let constant = node.operands.iter().any(|id| netlist.literal(*id).is_some());
    let per_table = if constant { 6 } else { 3 };
    let width = operand_width(netlist, node);
    let first = width.div_ceil(per_table);
    if first == 1 {
        // Small enough for a reader to absorb; its bits count as that many inputs.
        let bits = if constant { width } else { 2 * width };
        let sides = node.operands.iter().filter(|id| netlist.literal(**id).is_none());
        inputs.extend(sides.take(bits as usize));
    }
    if first == 1 { 1 } else { first + (first - 1).div_ceil(5) }
}

/// Collects the inputs of a bitwise node; operands that it absorbs cost nothing of their own.
fn pack(
    netlist: &Netlist,
    node: &crate::netlist::Node,
    readers: &[u32],
    leaves: &[BTreeSet<NodeId>],
    own: &mut [u64],
    inputs: &mut BTreeSet<NodeId>,
) {
    let live = |id: &&NodeId| netlist.literal(**id).is_none();
    inputs.extend(node.operands.iter().filter(live));
    for id in node.operands.iter().filter(live) {
        let operand = netlist.node(*id);
        let bitwise = matches!(operand.op, Op::And | Op::Or | Op::Xor | Op::Not | Op::Mux);
        let free = matches!(operand.op, Op::Not) && own[id.index()] == 0;
        // A single bit that steers many is computed once, not in the table of every bit.
        let same = operand.width == node.width;
        if !(bitwise && same && readers[id.index()] == 1 || free) {
            continue;
        }
        let mut together: BTreeSet<NodeId> = inputs.clone();
        together.remove(id);
        together.extend(&leaves[id.index()]);
        if together.len() <= INPUTS {
            own[id.index()] = 0;
            *inputs = together;
        }
    }
}

/// How many nodes, states, ports and memories read each node.
fn readers(netlist: &Netlist) -> Vec<u32> {
    let mut readers = vec![0u32; netlist.nodes.len()];
    let mut count = |id: NodeId| readers[id.index()] += 1;
    for node in &netlist.nodes {
        node.operands.iter().for_each(|id| count(*id));
    }
    netlist.outputs.values().for_each(|id| count(*id));
    for state in &netlist.states {
        match &state.next {
            Next::Node { value, .. } => count(*value),
            Next::Read { address, enable, .. } => {
                [*address, *enable].into_iter().for_each(&mut count)
            }
        }
    }
    for write in netlist.memories.iter().flat_map(|memory| &memory.writes) {
        [write.address, write.data, write.enable].into_iter().for_each(&mut count);
    }
    readers
}
