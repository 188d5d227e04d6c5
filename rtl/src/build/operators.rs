//! `+ - & | ^ ! << >>` on signals.

use std::ops::{Add, BitAnd, BitOr, BitXor, Not, Shl, Shr, Sub};

use super::{Operand, Signal};
use crate::{
    bits::{Bits, index_width},
    ir::{BinaryOp, Op, Type, UnaryOp},
};

macro_rules! operator {
    ($trait:ident, $method:ident, $op:expr) => {
        impl<T: Operand> $trait<T> for &Signal {
            type Output = Signal;

            fn $method(self, other: T) -> Signal {
                let other = other.signal_like(self);
                self.draft.same(stringify!($method), self, &other);
                self.draft.binary($op, self, &other, self.ty)
            }
        }

        impl<T: Operand> $trait<T> for Signal {
            type Output = Signal;

            fn $method(self, other: T) -> Signal {
                $trait::$method(&self, other)
            }
        }
    };
}

operator!(Add, add, BinaryOp::Add);
operator!(Sub, sub, BinaryOp::Subtract);
operator!(BitAnd, bitand, BinaryOp::And);
operator!(BitOr, bitor, BinaryOp::Or);
operator!(BitXor, bitxor, BinaryOp::Xor);

macro_rules! shift {
    ($trait:ident, $method:ident, $op:expr) => {
        impl $trait<&Signal> for &Signal {
            type Output = Signal;

            fn $method(self, amount: &Signal) -> Signal {
                let amount = self.draft.own(amount);
                self.draft.binary($op, self, &amount, self.ty)
            }
        }

        impl $trait<u32> for &Signal {
            type Output = Signal;

            fn $method(self, amount: u32) -> Signal {
                let width = index_width(u64::from(amount.saturating_add(1)));
                let bits = Bits::new(u64::from(amount), width);
                let amount = self.draft.node(Type::unsigned(width), Op::Constant(bits), None);
                self.draft.binary($op, self, &amount, self.ty)
            }
        }
    };
}

shift!(Shl, shl, BinaryOp::ShiftLeft);
shift!(Shr, shr, BinaryOp::ShiftRight);

impl Not for &Signal {
    type Output = Signal;

    fn not(self) -> Signal {
        match self.draft.literal(self.id) {
            Some(bits) if self.ty.width == 1 => {
                let bits = Bits::new(u64::from(bits.is_zero()), 1);
                self.draft.node(self.ty, Op::Constant(bits), None)
            }
            _ => self.draft.unary(UnaryOp::Not, self, self.ty),
        }
    }
}

impl Not for Signal {
    type Output = Signal;

    fn not(self) -> Signal {
        !&self
    }
}
