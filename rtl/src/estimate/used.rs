//! How many low bits of each value are read: synthesis builds no bit above them.

use crate::netlist::{Netlist, Next, NodeId, Op};

/// Low bits of each node that an output, a memory or a decision depends on \[bits\], by node.
///
/// Sums and products need no higher bits of their operands than are read of themselves, and a register
/// needs no higher bits of its next value. Bits below a slice count as read.
pub fn used(netlist: &Netlist) -> Vec<u32> {
    let mut used = Used { netlist, bits: vec![0; netlist.nodes.len()], changed: false };
    let writes = netlist.memories.iter().flat_map(|memory| &memory.writes);
    let written = writes.flat_map(|write| [write.address, write.data, write.enable]);
    netlist.outputs.values().copied().chain(written).for_each(|id| used.all_of(id));
    loop {
        used.changed = false;
        (0..netlist.nodes.len()).rev().for_each(|at| used.node(netlist.id(at)));
        for state in &netlist.states {
            let bits = used.bits[state.output.index()];
            match state.next {
                Next::Node { value, .. } => used.low(value, bits),
                Next::Read { address, enable, .. } => {
                    [address, enable].into_iter().for_each(|id| used.all_of(id));
                }
            }
        }
        if !used.changed {
            return used.bits;
        }
    }
}

struct Used<'a> {
    netlist: &'a Netlist,
    bits: Vec<u32>,
    changed: bool,
}

impl Used<'_> {
    /// The `bits` lowest bits of a node are read.
    fn low(&mut self, id: NodeId, bits: u32) {
        let bits = bits.min(self.netlist.width(id));
        let known = &mut self.bits[id.index()];
        if *known < bits {
            *known = bits;
            self.changed = true;
        }
    }

    fn all_of(&mut self, id: NodeId) {
        self.low(id, u32::MAX);
    }

    /// What a node reads for the bits that are read of it.
    fn node(&mut self, id: NodeId) {
        let (node, bits) = (self.netlist.node(id), self.bits[id.index()]);
        if bits == 0 {
            return;
        }
        match (&node.op, &node.operands[..]) {
            (Op::Mux, [select, one, zero]) => {
                self.all_of(*select);
                [one, zero].into_iter().for_each(|id| self.low(*id, bits));
            }
            (Op::Slice(low), [of]) => self.low(*of, low.saturating_add(bits)),
            (Op::ShiftLeft, [of, by]) => {
                self.low(*of, bits);
                self.all_of(*by);
            }
            (Op::Concat, parts) => {
                let mut above = bits;
                for part in parts.iter().rev() {
                    self.low(*part, above);
                    above = above.saturating_sub(self.netlist.width(*part));
                }
            }
            (
                Op::Not
                | Op::And
                | Op::Or
                | Op::Xor
                | Op::Add
                | Op::Subtract
                | Op::Multiply
                | Op::MultiplySigned
                | Op::ZeroExtend
                | Op::SignExtend,
                operands,
            ) => operands.iter().for_each(|id| self.low(*id, bits)),
            (_, operands) => operands.iter().for_each(|id| self.all_of(*id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ModuleBuilder, netlist::lower};

    /// Bits that are used of the one node with an operator.
    fn used_of(netlist: &Netlist, op: &Op) -> u32 {
        let at = netlist.nodes.iter().position(|node| node.op == *op).expect("it is there");
        used(netlist)[at]
    }

    /// Of a product of 16 bits that is delayed, bits 3 to 8 leave: so much is read of it and of its operands, and
    /// all of what a comparison reads.
    #[test]
    fn what_is_read_is_followed_through_registers_to_the_operands() {
        let m = ModuleBuilder::new("unit");
        m.doc("For a test.");
        m.latency("1 cycle");
        let (a, b) = (m.input("a", 8), m.input("b", 8));
        let product = m.pipe("product", &a.mul(&(&a - &b)));
        m.discard(&product);
        m.output("y", &product.bits(3..9));
        let sum = m.wire("sum", &(&a + &b));
        m.output("less", &sum.lt(&b));
        let netlist = lower(&m.finish().unwrap());
        assert_eq!(used_of(&netlist, &Op::Multiply), 9);
        assert_eq!(used_of(&netlist, &Op::Subtract), 8);
        assert_eq!(used_of(&netlist, &Op::Add), 8);
        let register = netlist.states[0].output.index();
        assert_eq!(used(&netlist)[register], 9);
    }

    /// The upper part of a pair is read by nobody, and the lower one in part.
    #[test]
    fn parts_of_a_word_are_followed_one_by_one() {
        let m = ModuleBuilder::new("unit");
        m.doc("For a test.");
        m.latency("0 cycles");
        let (a, b) = (m.input("a", 8), m.input("b", 8));
        let pair = m.wire("pair", &(&a + &b).concat(&(&a - &b)));
        m.discard(&pair);
        m.output("y", &pair.bits(0..5));
        let lowered = lower(&m.finish().unwrap());
        assert_eq!(used_of(&lowered, &Op::Subtract), 5);
        assert_eq!(used_of(&lowered, &Op::Add), 0);
    }
}
