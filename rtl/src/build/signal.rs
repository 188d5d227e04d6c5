//! Signals under construction and what can be computed from them.

use std::ops::Range;

use super::draft::Draft;
use crate::{
    bits::{Bits, MAX_WIDTH},
    error::Fault,
    ir::{BinaryOp, Op, SignalId, Type, UnaryOp},
};

/// A value on wires of the module under construction. Cheap to clone.
///
/// Operators and methods describe hardware that computes a new signal. Misuse, such as unequal
/// widths, is remembered and returned by [`ModuleBuilder::finish`](super::ModuleBuilder::finish).
#[derive(Clone)]
pub struct Signal {
    pub(super) draft: Draft,
    pub(super) id: SignalId,
    pub(super) ty: Type,
}

/// What may stand on the right of an operator: a signal, or a literal that takes the type of the
/// left operand.
pub trait Operand {
    /// The operand as a signal of the module and with the type that `like` has, if it is a literal.
    fn signal_like(&self, like: &Signal) -> Signal;
}

impl Operand for Signal {
    fn signal_like(&self, like: &Signal) -> Signal {
        like.draft.own(self)
    }
}

impl Operand for &Signal {
    fn signal_like(&self, like: &Signal) -> Signal {
        like.draft.own(self)
    }
}

impl Operand for u64 {
    fn signal_like(&self, like: &Signal) -> Signal {
        let bits = Bits::new(*self, like.ty.width);
        if bits.low() != *self {
            let signal = like.draft.describe(like.id);
            like.draft.fault(Fault::Constant { value: *self, signal, width: like.ty.width });
        }
        like.draft.node(like.ty, Op::Constant(bits), None)
    }
}

impl Operand for Bits {
    fn signal_like(&self, like: &Signal) -> Signal {
        let ty = Type { width: self.width(), signed: like.ty.signed };
        like.draft.node(ty, Op::Constant(self.clone()), None)
    }
}

impl Signal {
    /// Width \[bits\].
    pub fn width(&self) -> u32 {
        self.ty.width
    }

    /// Width and signedness.
    pub fn ty(&self) -> Type {
        self.ty
    }

    /// Explains the signal to the reader of the Verilog.
    #[must_use]
    pub fn comment(self, text: impl Into<String>) -> Self {
        self.draft.with(|contents| {
            if let Some(node) = contents.module.nodes.get_mut(self.id.index()) {
                node.comment = Some(text.into());
            }
        });
        self
    }

    /// The bits of `range`, half open, bit 0 the least significant; unsigned.
    #[must_use]
    pub fn bits(&self, range: Range<u32>) -> Self {
        let (low, high) = (range.start, range.end);
        if low >= high || high > self.ty.width {
            self.draft.fault(Fault::Range {
                signal: self.draft.describe(self.id),
                low: low.into(),
                high: high.into(),
                width: self.ty.width,
            });
            return self.draft.node(Type::unsigned(1), Op::Constant(Bits::zero(1)), None);
        }
        let ty = Type::unsigned(high - low);
        if ty.width == self.ty.width {
            return self.as_unsigned();
        }
        let op = match self.draft.op(self.id) {
            Some(Op::Constant(bits)) => Op::Constant(bits.part(low, ty.width)),
            Some(Op::Slice { of, low: inner }) => Op::Slice { of, low: inner + low },
            // Verilog cannot take bits of an expression; these show the bits of their operand.
            Some(Op::Unary(UnaryOp::Cast | UnaryOp::Extend, inner)) => {
                let inner = self.draft.signal(inner);
                if high <= inner.ty.width {
                    return inner.bits(range);
                }
                Op::Slice { of: self.id, low }
            }
            Some(Op::Concat(parts)) => return self.parts_within(&parts, low, high),
            _ => Op::Slice { of: self.id, low },
        };
        self.draft.node(ty, op, None)
    }

    /// What bits `low` to `high` show of parts side by side.
    fn parts_within(&self, parts: &[SignalId], low: u32, high: u32) -> Self {
        let (mut below, mut within) = (0, Vec::new());
        for part in parts.iter().rev().map(|id| self.draft.signal(*id)) {
            let above = below + part.ty.width;
            if low < above && below < high {
                within.push(part.bits(low.max(below) - below..high.min(above) - below).id);
            }
            below = above;
        }
        within.reverse();
        match &within[..] {
            [only] => self.draft.signal(*only),
            _ => self.draft.node(Type::unsigned(high - low), Op::Concat(within), None),
        }
    }

    /// Bit `index`.
    #[must_use]
    pub fn bit(&self, index: u32) -> Self {
        self.bits(index..index.saturating_add(1))
    }

    /// The most significant bit: the sign of a signed signal.
    #[must_use]
    pub fn msb(&self) -> Self {
        self.bit(self.ty.width - 1)
    }

    /// Equal parts, the least significant first. The width must be a multiple of `count`.
    #[must_use]
    pub fn lanes(&self, count: u32) -> Vec<Self> {
        let width = self.ty.width.checked_div(count).unwrap_or(0);
        if width * count != self.ty.width {
            self.draft.fault(Fault::Range {
                signal: self.draft.describe(self.id),
                low: 0,
                high: u64::from(width + 1) * u64::from(count),
                width: self.ty.width,
            });
            return vec![];
        }
        (0..count).map(|lane| self.bits(lane * width..(lane + 1) * width)).collect()
    }

    /// Widened to `width`: by the sign of a signed signal, by zeros otherwise.
    #[must_use]
    pub fn extend(&self, width: u32) -> Self {
        let ty = Type { width, ..self.ty };
        if width == self.ty.width {
            return self.clone();
        }
        if width < self.ty.width {
            self.draft.fault(Fault::Range {
                signal: self.draft.describe(self.id),
                low: 0,
                high: width.into(),
                width: self.ty.width,
            });
            return self.draft.node(ty, Op::Constant(Bits::zero(width)), None);
        }
        match self.draft.literal(self.id) {
            Some(bits) if !self.ty.signed => {
                self.draft.node(ty, Op::Constant(Bits::from_words(bits.words(), width)), None)
            }
            _ => self.draft.unary(UnaryOp::Extend, self, ty),
        }
    }

    /// The same bits as two's complement.
    #[must_use]
    pub fn as_signed(&self) -> Self {
        self.cast(true)
    }

    /// The same bits without a sign.
    #[must_use]
    pub fn as_unsigned(&self) -> Self {
        self.cast(false)
    }

    fn cast(&self, signed: bool) -> Self {
        if self.ty.signed == signed {
            return self.clone();
        }
        self.draft.unary(UnaryOp::Cast, self, Type { signed, ..self.ty })
    }

    /// One bit: some bit is set.
    #[must_use]
    pub fn any(&self) -> Self {
        self.reduce(UnaryOp::Any)
    }

    /// One bit: all bits are set.
    #[must_use]
    pub fn all(&self) -> Self {
        self.reduce(UnaryOp::All)
    }

    /// One bit: an odd number of bits is set.
    #[must_use]
    pub fn parity(&self) -> Self {
        self.reduce(UnaryOp::Parity)
    }

    fn reduce(&self, op: UnaryOp) -> Self {
        if self.ty.width == 1 {
            return self.as_unsigned();
        }
        self.draft.unary(op, self, Type::unsigned(1))
    }

    /// One bit: equal.
    #[must_use]
    pub fn eq(&self, other: impl Operand) -> Self {
        let other = other.signal_like(self);
        self.draft.same("eq", self, &other);
        self.draft.binary(BinaryOp::Equal, self, &other, Type::unsigned(1))
    }

    /// One bit: different.
    #[must_use]
    pub fn ne(&self, other: impl Operand) -> Self {
        !self.eq(other)
    }

    /// One bit: less.
    #[must_use]
    pub fn lt(&self, other: impl Operand) -> Self {
        self.less("lt", self, &other.signal_like(self))
    }

    /// One bit: greater.
    #[must_use]
    pub fn gt(&self, other: impl Operand) -> Self {
        self.less("gt", &other.signal_like(self), self)
    }

    /// One bit: less or equal.
    #[must_use]
    pub fn le(&self, other: impl Operand) -> Self {
        !self.gt(other)
    }

    /// One bit: greater or equal.
    #[must_use]
    pub fn ge(&self, other: impl Operand) -> Self {
        !self.lt(other)
    }

    fn less(&self, operation: &'static str, a: &Self, b: &Self) -> Self {
        self.draft.same(operation, a, b);
        // Linters warn of comparisons that are never true; a corner of a parameter makes them.
        let never = a.id == b.id
            || !self.ty.signed
                && (self.draft.known(b.id).is_some_and(|bits| bits.is_zero())
                    || self.draft.known(a.id).is_some_and(|bits| bits.is_ones()));
        if never {
            return self.draft.node(Type::unsigned(1), Op::Constant(Bits::zero(1)), None);
        }
        if self.ty == Type::unsigned(1) {
            return !a & b;
        }
        self.draft.binary(BinaryOp::Less, a, b, Type::unsigned(1))
    }

    /// Product, as wide as both operands together.
    #[must_use]
    pub fn mul(&self, other: &Self) -> Self {
        let other = self.draft.own(other);
        if self.ty.signed != other.ty.signed {
            let (left, right) = (self.draft.describe(self.id), self.draft.describe(other.id));
            self.draft.fault(Fault::Signedness { operation: "mul", left, right });
        }
        let ty = Type { width: self.ty.width + other.ty.width, signed: self.ty.signed };
        self.draft.binary(BinaryOp::Multiply, self, &other, ty)
    }

    /// Sum that cannot overflow: one bit wider than the wider operand.
    #[must_use]
    pub fn add_full(&self, other: &Self) -> Self {
        let width = self.ty.width.max(other.ty.width) + 1;
        self.extend(width) + other.extend(width)
    }

    /// Signed difference that cannot overflow: one bit wider than the wider operand.
    #[must_use]
    pub fn sub_full(&self, other: &Self) -> Self {
        let width = self.ty.width.max(other.ty.width) + 1;
        (self.extend(width) - other.extend(width)).as_signed()
    }

    /// `when_one` where this bit is 1, `when_zero` otherwise.
    #[must_use]
    pub fn mux(&self, when_one: &Self, when_zero: impl Operand) -> Self {
        let when_one = self.draft.own(when_one);
        let when_zero = when_zero.signal_like(&when_one);
        if self.ty.width != 1 {
            let signal = self.draft.describe(self.id);
            self.draft.fault(Fault::Widths {
                operation: "mux, selecting bit",
                left: signal,
                left_width: self.ty.width,
                right: "one bit".to_owned(),
                right_width: 1,
            });
        }
        self.draft.same("mux", &when_one, &when_zero);
        let op = Op::Mux { select: self.id, when_one: when_one.id, when_zero: when_zero.id };
        self.draft.node(when_one.ty, op, None)
    }

    /// The value where this bit is 1, zeros otherwise.
    #[must_use]
    pub fn gate(&self, value: &Self) -> Self {
        self.mux(value, 0)
    }

    /// This bit `count` times.
    #[must_use]
    pub fn repeat(&self, count: u32) -> Self {
        if self.ty.width == 1 {
            self.as_signed().extend(count).as_unsigned()
        } else {
            let ty = Type::unsigned(self.ty.width.saturating_mul(count));
            let parts = if ty.width <= MAX_WIDTH { count } else { 1 };
            self.draft.node(ty, Op::Concat(vec![self.id; parts as usize]), None)
        }
    }

    /// This signal above `low`.
    #[must_use]
    pub fn concat(&self, low: &Self) -> Self {
        let low = self.draft.own(low);
        let ty = Type::unsigned(self.ty.width + low.ty.width);
        self.draft.node(ty, Op::Concat(vec![self.id, low.id]), None)
    }
}
