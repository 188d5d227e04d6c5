//! Building a node: simpler nodes that mean the same are used where they exist.

use super::{Netlist, NodeId, Op, evaluate};
use crate::bits::{Bits, words_for};

impl Netlist {
    /// A node that computes `op`, folded.
    pub(super) fn build(&mut self, op: Op, operands: Vec<NodeId>, width: u32) -> NodeId {
        if let Some(folded) = self.constant_result(&op, &operands, width) {
            return folded;
        }
        if let Some(known) = self.simpler(&op, &operands, width) {
            return known;
        }
        let mut operands = operands;
        // Not those of a sum: the first one goes beside its carry chain, which costs what it costs.
        if matches!(op, Op::And | Op::Or | Op::Xor | Op::Equal) {
            operands.sort_unstable();
        }
        self.find_or_push(op, operands, width)
    }

    /// The value, if all operands are literals.
    fn constant_result(&mut self, op: &Op, operands: &[NodeId], width: u32) -> Option<NodeId> {
        if matches!(op, Op::Source | Op::Constant(_) | Op::Read(_)) {
            return None;
        }
        let literals: Option<Vec<&Bits>> = operands.iter().map(|id| self.literal(*id)).collect();
        let literals = literals?;
        let values: Vec<_> = literals.iter().map(|bits| (bits.words(), bits.width())).collect();
        let mut words = vec![0; words_for(width)];
        evaluate(op, &values, width, &mut words);
        Some(self.constant(Bits::from_words(&words, width)))
    }

    /// An existing or simpler node of the same value.
    fn simpler(&mut self, op: &Op, operands: &[NodeId], width: u32) -> Option<NodeId> {
        match (op, operands) {
            (Op::Not, [a]) => (self.node(*a).op == Op::Not).then(|| self.node(*a).operands[0]),
            (Op::And, [a, b]) => self.neutral(*a, *b, Bits::is_ones, Bits::is_zero, true),
            (Op::Or, [a, b]) => self.neutral(*a, *b, Bits::is_zero, Bits::is_ones, true),
            (Op::Xor | Op::Add, [a, b]) => self.neutral(*a, *b, Bits::is_zero, |_| false, false),
            (Op::Subtract | Op::ShiftLeft | Op::ShiftRight | Op::ShiftRightSigned, [a, b]) => {
                if self.literal(*b).is_some_and(Bits::is_zero) {
                    return Some(*a);
                }
                self.constant_shift(op, *a, *b, width)
            }
            (Op::Equal, [a, b]) => {
                if a == b {
                    return Some(self.constant(Bits::ones(1)));
                }
                if self.width(*a) != 1 {
                    return None;
                }
                let (value, other) = match (self.literal(*a), self.literal(*b)) {
                    (Some(value), _) => (value.low(), *b),
                    (_, Some(value)) => (value.low(), *a),
                    _ => return None,
                };
                Some(if value == 1 { other } else { self.build(Op::Not, vec![other], 1) })
            }
            (Op::Mux, [select, one, zero]) => self.simpler_mux(*select, *one, *zero, width),
            (Op::All | Op::Any | Op::Parity, [a]) => (self.width(*a) == 1).then_some(*a),
            (Op::Concat, [only]) => Some(*only),
            (Op::Slice(low), [a]) => self.simpler_slice(*low, *a, width),
            (Op::ZeroExtend | Op::SignExtend, [a]) => (self.width(*a) == width).then_some(*a),
            _ => None,
        }
    }

    /// `a op b` where one of them is neutral, decides the result, or equals the other.
    fn neutral(
        &self,
        a: NodeId,
        b: NodeId,
        neutral: fn(&Bits) -> bool,
        deciding: fn(&Bits) -> bool,
        idempotent: bool,
    ) -> Option<NodeId> {
        if a == b && idempotent {
            return Some(a);
        }
        for (one, other) in [(a, b), (b, a)] {
            if let Some(bits) = self.literal(one) {
                if neutral(bits) {
                    return Some(other);
                }
                if deciding(bits) {
                    return Some(one);
                }
            }
        }
        None
    }

    /// A shift by a literal is wiring.
    fn constant_shift(&mut self, op: &Op, a: NodeId, b: NodeId, width: u32) -> Option<NodeId> {
        let amount = self.literal(b)?;
        let amount = if amount.part(0, 32).words() == [amount.low()] && amount.width() <= 64 {
            u32::try_from(amount.low()).unwrap_or(width).min(width)
        } else {
            return None;
        };
        if amount >= width && matches!(op, Op::ShiftLeft | Op::ShiftRight) {
            return Some(self.constant(Bits::zero(width)));
        }
        match op {
            Op::ShiftLeft => {
                let kept = self.build(Op::Slice(0), vec![a], width - amount);
                let zeros = self.constant(Bits::zero(amount));
                Some(self.build(Op::Concat, vec![kept, zeros], width))
            }
            Op::ShiftRight => {
                let kept = self.build(Op::Slice(amount), vec![a], width - amount);
                Some(self.build(Op::ZeroExtend, vec![kept], width))
            }
            Op::ShiftRightSigned => {
                let amount = amount.min(width - 1);
                let kept = self.build(Op::Slice(amount), vec![a], width - amount);
                Some(self.build(Op::SignExtend, vec![kept], width))
            }
            _ => None,
        }
    }

    fn simpler_mux(
        &mut self,
        select: NodeId,
        one: NodeId,
        zero: NodeId,
        width: u32,
    ) -> Option<NodeId> {
        if one == zero {
            return Some(one);
        }
        if let Some(bits) = self.literal(select) {
            return Some(if bits.is_zero() { zero } else { one });
        }
        if self.node(select).op == Op::Not {
            let select = self.node(select).operands[0];
            return Some(self.build(Op::Mux, vec![select, zero, one], width));
        }
        if width != 1 {
            return None;
        }
        let value = |netlist: &Self, id| netlist.literal(id).map(Bits::low);
        match (value(self, one), value(self, zero)) {
            (Some(1), Some(_)) => Some(select),
            (Some(_), Some(_)) => Some(self.build(Op::Not, vec![select], 1)),
            (Some(1), None) => Some(self.build(Op::Or, vec![select, zero], 1)),
            (None, Some(0)) => Some(self.build(Op::And, vec![select, one], 1)),
            _ => None,
        }
    }

    fn simpler_slice(&mut self, low: u32, a: NodeId, width: u32) -> Option<NodeId> {
        let node = self.node(a);
        if node.width == width {
            return Some(a);
        }
        let inner = node.operands.first().copied();
        match &node.op {
            Op::Slice(below) => {
                let (low, of) = (low + below, inner?);
                Some(self.build(Op::Slice(low), vec![of], width))
            }
            Op::ZeroExtend | Op::SignExtend if low + width <= self.width(inner?) => {
                Some(self.build(Op::Slice(low), vec![inner?], width))
            }
            Op::Concat => {
                let mut below = 0;
                for part in node.operands.clone().into_iter().rev() {
                    let above = below + self.width(part);
                    if below <= low && low + width <= above {
                        return Some(self.build(Op::Slice(low - below), vec![part], width));
                    }
                    below = above;
                }
                None
            }
            _ => None,
        }
    }
}
