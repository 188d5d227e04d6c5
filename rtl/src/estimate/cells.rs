//! Standard cells of a module, counted from its operators: for area, leakage and clock power.
//!
//! | operator | cells per bit of the result |
//! |---|---|
//! | and, or, reductions | one `and` |
//! | exclusive or, equality | one `xor`, and one `and` that joins the bits of an equality |
//! | choice | one `mux`; between many, two `and` per choice and one that decodes it |
//! | sum, difference, order | one `full_adder`; with a constant a `half_adder`, for order an `and` |
//! | product of n and m bits | n m `and` and (n - 1) m `full_adder` in all |
//! | shift by a signal | one `mux` per bit of the amount |
//! | register | one `flip_flop`, one `and` for a reset; one `clock_gate` for an enable |
//!
//! Memories that are read in the same cycle, or hold little, are latches with a `mux` per word behind each read port;
//! others are macros. What only joins, cuts or names bits is free. A module that is used many times is counted
//! once. Ignored: what a synthesis shares or folds across operators, Booth coding, buffers and sizing for speed.

use std::collections::BTreeMap;

use attelier_hw::technology::{Cells, Sram};

use crate::{
    bits::{Bits, index_width},
    ir::{BinaryOp, Memory, Module, Op, ReadTiming, SignalId, UnaryOp},
};

/// Most bits of a memory that is built of latches where both would do: below, the circuits around an
/// array are larger than the array.
const MOST_LATCHES: u64 = 2048;

/// Cells and memories of a module with everything that it instantiates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Standard cells.
    pub cells: Cells,
    /// Memories, and how many there are of each.
    pub memories: BTreeMap<Sram, u64>,
}

impl Inventory {
    fn add(&mut self, other: &Self, times: u64) {
        self.cells += other.cells.times(times);
        for (memory, count) in &other.memories {
            *self.memories.entry(*memory).or_default() += count * times;
        }
    }
}

/// Counts a module.
pub fn inventory(module: &Module) -> Inventory {
    count(module, &mut BTreeMap::new())
}

/// Modules of one name are equal within a design.
fn count<'a>(module: &'a Module, known: &mut BTreeMap<&'a str, Inventory>) -> Inventory {
    let mut sum = Inventory::default();
    for node in module.nodes() {
        sum.cells += operator(module, &node.op, u64::from(node.ty.width));
    }
    for register in module.registers() {
        let bits = u64::from(module.width(register.output));
        sum.cells += Cells {
            flip_flop: bits,
            and: if register.reset.is_some() { bits } else { 0 },
            clock_gate: u64::from(register.enable.is_some()),
            ..Cells::default()
        };
    }
    for memory in module.memories() {
        if is_macro(memory) {
            let ports = (memory.writes.len() + memory.reads.len()).max(1) as u64;
            let (words, bits) = (u64::from(memory.depth), u64::from(memory.width));
            *sum.memories.entry(Sram { words, bits, ports }).or_default() += 1;
        } else {
            sum.cells += latches(memory);
        }
    }
    for instance in module.instances() {
        let name = instance.module.name();
        if !known.contains_key(name) {
            let counted = count(&instance.module, known);
            known.insert(name, counted);
        }
        if let Some(counted) = known.get(name) {
            sum.add(counted, 1);
        }
    }
    sum
}

fn is_macro(memory: &Memory) -> bool {
    let clocked = |timing| matches!(timing, ReadTiming::Synchronous { .. });
    let bits = u64::from(memory.depth) * u64::from(memory.width);
    bits > MOST_LATCHES && memory.reads.iter().all(|port| clocked(port.timing))
}

/// A small memory: a latch per bit, a clock gate per word and write port, a tree of multiplexers per read
/// port, with registers behind those that are clocked.
fn latches(memory: &Memory) -> Cells {
    let (words, bits) = (u64::from(memory.depth), u64::from(memory.width));
    let (writes, reads) = (memory.writes.len() as u64, memory.reads.len() as u64);
    let clocked = |port: &&crate::ir::ReadPort| port.timing != ReadTiming::Asynchronous;
    Cells {
        latch: words * bits,
        clock_gate: words * writes,
        // The decoder of each write port, and the choice between ports where there are several.
        and: words * writes,
        mux: reads * words.saturating_sub(1) * bits + writes.saturating_sub(1) * words * bits,
        flip_flop: memory.reads.iter().filter(clocked).count() as u64 * bits,
        ..Cells::default()
    }
}

/// The literal that a signal shows, through names.
fn literal(module: &Module, id: SignalId) -> Option<&Bits> {
    match &module.node(id).op {
        Op::Constant(bits) => Some(bits),
        Op::Wire(of) | Op::Unary(UnaryOp::Cast, of) => literal(module, *of),
        _ => None,
    }
}

fn operator(module: &Module, op: &Op, width: u64) -> Cells {
    let none = Cells::default();
    let fixed = |id: &SignalId| literal(module, *id).is_some();
    let bits = |id: &SignalId| u64::from(module.width(*id));
    match op {
        Op::Unary(UnaryOp::Not, _) => Cells { inverter: width, ..none },
        Op::Unary(UnaryOp::All | UnaryOp::Any, of) => Cells { and: bits(of) - 1, ..none },
        Op::Unary(UnaryOp::Parity, of) => Cells { xor: bits(of) - 1, ..none },
        Op::Binary(op, a, b) => {
            let constant = literal(module, *a).or(literal(module, *b));
            binary(*op, (bits(a), bits(b)), constant, fixed(b), width)
        }
        Op::Mux { select, when_one, when_zero } => {
            match (fixed(select), fixed(when_one), fixed(when_zero)) {
                (true, _, _) | (_, true, true) => none,
                (_, true, false) | (_, false, true) => Cells { and: width, ..none },
                _ => Cells { mux: width, ..none },
            }
        }
        Op::Case { select, arms, default } => {
            let values = arms.iter().map(|(_, value)| value).chain([default]);
            let chosen: u64 = values
                .map(|value| match literal(module, *value) {
                    // A constant arm only joins the arms of its ones.
                    Some(constant) => ones(constant),
                    None => 2 * width,
                })
                .sum();
            Cells { and: arms.len() as u64 + chosen, inverter: bits(select), ..none }
        }
        _ => none,
    }
}

fn binary(
    op: BinaryOp,
    (a, b): (u64, u64),
    constant: Option<&Bits>,
    amount_fixed: bool,
    width: u64,
) -> Cells {
    let none = Cells::default();
    match (op, constant) {
        (BinaryOp::And | BinaryOp::Or, None) => Cells { and: width, ..none },
        (BinaryOp::And | BinaryOp::Or, Some(_)) => none,
        (BinaryOp::Xor, None) => Cells { xor: width, ..none },
        (BinaryOp::Xor, Some(constant)) => Cells { inverter: ones(constant), ..none },
        (BinaryOp::Equal, None) => Cells { xor: a, and: a - 1, ..none },
        (BinaryOp::Equal, Some(_)) => Cells { and: a - 1, ..none },
        (BinaryOp::Add, None) => Cells { full_adder: width, ..none },
        (BinaryOp::Subtract, None) => Cells { full_adder: width, inverter: width, ..none },
        (BinaryOp::Add | BinaryOp::Subtract, Some(_)) => Cells { half_adder: width, ..none },
        (BinaryOp::Less, None) => Cells { full_adder: a, inverter: a, ..none },
        (BinaryOp::Less, Some(_)) => Cells { and: a, ..none },
        (BinaryOp::Multiply, None) => Cells { and: a * b, full_adder: (a - 1) * b, ..none },
        (BinaryOp::Multiply, Some(constant)) => {
            Cells { full_adder: ones(constant).saturating_sub(1) * a.max(b), ..none }
        }
        (BinaryOp::ShiftLeft | BinaryOp::ShiftRight, _) if amount_fixed => none,
        (BinaryOp::ShiftLeft | BinaryOp::ShiftRight, _) => {
            Cells { mux: width * b.min(u64::from(index_width(width))), ..none }
        }
    }
}

fn ones(bits: &Bits) -> u64 {
    bits.words().iter().map(|word| u64::from(word.count_ones())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ModuleBuilder, ir::MemoryStyle};

    fn cells(describe: impl FnOnce(&ModuleBuilder)) -> Cells {
        let m = ModuleBuilder::new("unit");
        m.doc("For a test.");
        m.latency("any");
        describe(&m);
        inventory(&m.finish().unwrap()).cells
    }

    #[test]
    fn arithmetic_takes_the_textbook_adders() {
        let sum = cells(|m| m.output("y", &(m.input("a", 8) + m.input("b", 8))));
        assert_eq!(sum, Cells { full_adder: 8, ..Cells::default() });
        let product = cells(|m| m.output("y", &m.input("a", 8).mul(&m.input("b", 12))));
        assert_eq!(product, Cells { and: 96, full_adder: 84, ..Cells::default() });
        let order = cells(|m| m.output("y", &m.input("a", 8).gt(m.input("b", 8))));
        assert_eq!(order, Cells { full_adder: 8, inverter: 8, ..Cells::default() });
        let next = cells(|m| m.output("y", &(m.input("a", 8) + m.constant(3, 8))));
        assert_eq!(next, Cells { half_adder: 8, ..Cells::default() });
    }

    #[test]
    fn logic_takes_a_gate_per_bit() {
        let equal = cells(|m| m.output("y", &m.input("a", 8).eq(m.input("b", 8))));
        assert_eq!(equal, Cells { xor: 8, and: 7, ..Cells::default() });
        let choice = cells(|m| {
            m.output("y", &m.input("s", 1).mux(&m.input("a", 8), m.input("b", 8)));
        });
        assert_eq!(choice, Cells { mux: 8, ..Cells::default() });
        let gated = cells(|m| {
            m.output("y", &m.input("s", 1).mux(&m.input("a", 8), m.constant(0, 8)));
        });
        assert_eq!(gated, Cells { and: 8, ..Cells::default() });
    }

    #[test]
    fn a_module_counts_as_often_as_it_is_used() {
        let inner = ModuleBuilder::new("inner");
        inner.doc("A register.");
        inner.latency("1 cycle");
        inner.output("y", &inner.pipe("kept", &inner.input("a", 8)));
        let inner = inner.finish().unwrap();
        let chain = cells(|m| {
            let mut word = m.input("a", 8);
            for at in 0..3 {
                let stage = m.instance(format!("stage_{at}"), &inner);
                stage.input("a", &word);
                word = stage.output("y");
            }
            m.output("y", &word);
        });
        assert_eq!(chain, Cells { flip_flop: 24, ..Cells::default() });
    }

    /// 64 words of 64 bits with a clocked read are a macro with two ports; 16 words of 8 bits are latches.
    #[test]
    fn memories_are_macros_or_latches() {
        let with = |depth: u32, width: u32| {
            let m = ModuleBuilder::new("unit");
            m.doc("For a test.");
            m.latency("1 cycle");
            let (address, data) = (m.input("address", depth.ilog2()), m.input("data", width));
            let memory = m.memory("words", width, depth, MemoryStyle::Auto);
            memory.write(&address, &data, &m.input("writes", 1));
            m.output("y", &memory.read_clocked("read", &address));
            inventory(&m.finish().unwrap())
        };
        let large = with(64, 64);
        let memory = Sram { words: 64, bits: 64, ports: 2 };
        assert_eq!(large.memories, BTreeMap::from([(memory, 1)]));
        assert_eq!(large.cells, Cells::default());
        let small = with(16, 8);
        assert!(small.memories.is_empty());
        let expected = Cells {
            latch: 128,
            clock_gate: 16,
            and: 16,
            mux: 120,
            flip_flop: 8,
            ..Cells::default()
        };
        assert_eq!(small.cells, expected);
    }
}
