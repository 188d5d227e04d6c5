//! Instructions of native execution.

use crate::bits::mask;

/// What an instruction computes. Operands `a`, `b`, `c` are positions in the list of values;
/// `immediate` is a literal. Values have zeros above their width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `a & b`
    And,
    /// `a | b`
    Or,
    /// `a ^ b`
    Xor,
    /// `a ^ immediate`
    Not,
    /// `(a + b) & immediate`
    Add,
    /// `(a - b) & immediate`
    Subtract,
    /// `(a * b) & immediate`
    Multiply,
    /// Signed product of operands with sign bits `1 << (c >> 8)` and `1 << (c & 255)`, cut by
    /// `immediate`
    MultiplySigned,
    /// `a == b`
    Equal,
    /// `a < b`
    Less,
    /// `a < b` with the sign bit `immediate`
    LessSigned,
    /// `(a << b) & immediate`
    ShiftLeft,
    /// `a >> b`
    ShiftRight,
    /// `a >> b` of two's complement with `c` bits, `& immediate`
    ShiftRightSigned,
    /// `a` if bit `immediate` of `c`, else `b`
    Mux,
    /// `a` if bit `immediate` of `c`, else 0
    Gate,
    /// `a == immediate`
    All,
    /// `a != 0`
    Any,
    /// Number of ones in `a`, odd
    Parity,
    /// `(a >> c) & immediate`
    Part,
    /// `((a >> c) | (b << (64 - c))) & immediate`
    PartAcross,
    /// `(a << c) | b`
    Join,
    /// `((a ^ immediate) - immediate) & mask`, where the mask has `c` bits
    SignExtend,
}

/// Number of kinds.
pub const KINDS: usize = Kind::SignExtend as usize + 1;

/// One instruction; its kind is that of its batch. `I` is what positions are counted in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Instruction<I = u32> {
    /// Where the result goes.
    pub to: I,
    /// First operand.
    pub a: I,
    /// Second operand.
    pub b: I,
    /// Third operand, or a literal shift.
    pub c: I,
    /// Literal.
    pub immediate: u64,
}

impl Instruction {
    /// With smaller positions; none where one does not fit.
    pub fn narrowed(self) -> Option<Instruction<u16>> {
        let narrow = |position: u32| u16::try_from(position).ok();
        Some(Instruction {
            to: narrow(self.to)?,
            a: narrow(self.a)?,
            b: narrow(self.b)?,
            c: narrow(self.c)?,
            immediate: self.immediate,
        })
    }
}

/// Instructions of one kind that follow each other.
#[derive(Debug, Clone)]
pub struct Batch<I = u32> {
    /// The kind.
    pub kind: Kind,
    /// The instructions.
    pub instructions: Vec<Instruction<I>>,
}

/// All values of a design, at positions of one type.
pub trait Values {
    /// Type of positions.
    type Position: Copy + Into<u32>;

    /// A value.
    fn get(&self, at: Self::Position) -> u64;

    /// Changes a value.
    fn put(&mut self, at: Self::Position, value: u64);
}

/// Number of values that 16 bits can address.
pub const SMALL: usize = 1 << 16;

/// Every position exists, so that no access needs a check: twice as fast as a slice.
impl Values for [u64; SMALL] {
    type Position = u16;

    fn get(&self, at: u16) -> u64 {
        self[usize::from(at)]
    }

    fn put(&mut self, at: u16, value: u64) {
        self[usize::from(at)] = value;
    }
}

impl Values for [u64] {
    type Position = u32;

    fn get(&self, at: u32) -> u64 {
        self[at as usize]
    }

    fn put(&mut self, at: u32, value: u64) {
        self[at as usize] = value;
    }
}

/// Runs instructions of one kind that need nothing but values.
///
/// Going through one kind after the other, instead of one match per instruction, is what makes
/// native execution fast.
pub fn run<V: Values + ?Sized>(kind: Kind, instructions: &[Instruction<V::Position>], v: &mut V) {
    macro_rules! each {
        (|$i:ident| $value:expr) => {
            for $i in instructions {
                let value = $value;
                v.put($i.to, value);
            }
        };
    }
    macro_rules! at {
        ($operand:expr) => {
            v.get($operand)
        };
    }
    match kind {
        Kind::And => each!(|i| at!(i.a) & at!(i.b)),
        Kind::Or => each!(|i| at!(i.a) | at!(i.b)),
        Kind::Xor => each!(|i| at!(i.a) ^ at!(i.b)),
        Kind::Not => each!(|i| at!(i.a) ^ i.immediate),
        Kind::Add => each!(|i| at!(i.a).wrapping_add(at!(i.b)) & i.immediate),
        Kind::Subtract => each!(|i| at!(i.a).wrapping_sub(at!(i.b)) & i.immediate),
        Kind::Multiply => each!(|i| at!(i.a).wrapping_mul(at!(i.b)) & i.immediate),
        Kind::MultiplySigned => each!(|i| {
            let (x, y) = (
                signed(at!(i.a), 1 << (i.c.into() >> 8)),
                signed(at!(i.b), 1 << (i.c.into() & 255)),
            );
            x.wrapping_mul(y) & i.immediate
        }),
        Kind::Equal => each!(|i| u64::from(at!(i.a) == at!(i.b))),
        Kind::Less => each!(|i| u64::from(at!(i.a) < at!(i.b))),
        Kind::LessSigned => {
            each!(|i| u64::from(at!(i.a) ^ i.immediate < at!(i.b) ^ i.immediate));
        }
        Kind::ShiftLeft => each!(|i| {
            let amount = at!(i.b);
            if amount < 64 { at!(i.a) << amount & i.immediate } else { 0 }
        }),
        Kind::ShiftRight => each!(|i| {
            let amount = at!(i.b);
            if amount < 64 { at!(i.a) >> amount } else { 0 }
        }),
        Kind::ShiftRightSigned => each!(|i| {
            let value = signed(at!(i.a), 1 << (i.c.into() - 1)).cast_signed();
            (value >> at!(i.b).min(63)).cast_unsigned() & i.immediate
        }),
        // Without a branch, which random data would make the processor mispredict.
        Kind::Mux => each!(|i| {
            let (one, zero) = (at!(i.a), at!(i.b));
            zero ^ (one ^ zero) & (at!(i.c) >> i.immediate & 1).wrapping_neg()
        }),
        Kind::Gate => each!(|i| at!(i.a) & (at!(i.c) >> i.immediate & 1).wrapping_neg()),
        Kind::All => each!(|i| u64::from(at!(i.a) == i.immediate)),
        Kind::Any => each!(|i| u64::from(at!(i.a) != 0)),
        Kind::Parity => each!(|i| u64::from(at!(i.a).count_ones() & 1)),
        Kind::Part => each!(|i| at!(i.a) >> i.c.into() & i.immediate),
        Kind::PartAcross => {
            each!(|i| (at!(i.a) >> i.c.into() | at!(i.b) << (64 - i.c.into())) & i.immediate);
        }
        Kind::Join => each!(|i| at!(i.a) << i.c.into() | at!(i.b)),
        Kind::SignExtend => each!(|i| signed(at!(i.a), i.immediate) & mask(i.c.into())),
    }
}

/// Two's complement of `value` with the given sign bit, in 64 bits.
fn signed(value: u64, sign: u64) -> u64 {
    (value ^ sign).wrapping_sub(sign)
}
