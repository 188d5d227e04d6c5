//! Instructions as words of 64 bits.
//!
//! | bits | field |
//! |---|---|
//! | 3:0 | opcode |
//! | 4 | half |
//! | 5 | shadow |
//! | 6 | an event is named |
//! | 13:7 | event |
//! | 17:14 | function, in the order of the table of functions: PSUM 0 to SOFTMAX 8 |
//! | 31:18 | column |
//! | 63:32 | row, count, bursts, channels or numbers |

use crate::{ModuleBuilder, Signal};

/// Width of an instruction \[bits\].
pub const INSTRUCTION_BITS: u32 = 64;
/// Width of an event \[bits\].
pub const EVENT_BITS: u32 = 7;
/// Width of a column \[bits\].
pub(super) const COLUMN_BITS: u32 = 14;

/// Codes of instructions; beyond [`Opcode::WriteRow`] none does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Channels = 1,
    WriteVector = 2,
    Refresh = 3,
    Activate = 4,
    Mac = 5,
    ReadAccumulators = 6,
    Precharge = 7,
    Beat = 8,
    Asic = 9,
    WriteRow = 10,
}

/// Fields of an instruction.
pub(super) struct Fields {
    pub opcode: Signal,
    pub half: Signal,
    pub shadow: Signal,
    pub has_event: Signal,
    pub event: Signal,
    pub function: Signal,
    pub column: Signal,
    /// Row, count, bursts, channels or numbers.
    pub count: Signal,
}

impl Fields {
    pub fn of(m: &ModuleBuilder, word: &Signal) -> Self {
        Self {
            opcode: m.wire("opcode", &word.bits(0..4)),
            half: m.wire("instruction_half", &word.bit(4)),
            shadow: m.wire("in_shadow", &word.bit(5)),
            has_event: m.wire("names_event", &word.bit(6)),
            event: m.wire("named_event", &word.bits(7..14)),
            function: m.wire("named_function", &word.bits(14..18)),
            column: m.wire("first_column", &word.bits(18..32)),
            count: m.wire("count", &word.bits(32..64)),
        }
    }
}
