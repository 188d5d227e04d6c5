//! From a netlist to a list of instructions.

use std::collections::{BTreeMap, BTreeSet};

use super::instruction::{Batch, Instruction, KINDS, Kind, SMALL};
use crate::{
    bits::{Bits, mask, words_for},
    netlist::{Netlist, Next, Node, NodeId, Op},
};

/// A value: its first word and its width \[bits\].
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// First word.
    pub at: u32,
    /// Width \[bits\].
    pub width: u32,
}

impl Slot {
    /// Positions of its words.
    pub fn range(self) -> std::ops::Range<usize> {
        self.at as usize..self.at as usize + words_for(self.width)
    }
}

/// An operation on values above 64 bits.
#[derive(Debug, Clone)]
pub struct Wide {
    /// What it computes.
    pub op: Op,
    /// From what.
    pub operands: Vec<Slot>,
    /// Where the result goes.
    pub to: Slot,
}

/// What is done next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Instructions on values with small positions.
    Small(Batch<u16>),
    /// Instructions on any values.
    Large(Batch<u32>),
    /// A word of a memory.
    Read {
        /// Memory.
        memory: usize,
        /// Word.
        address: Slot,
        /// Where it goes.
        to: Slot,
    },
    /// An operation on values above 64 bits.
    Wide(Wide),
}

impl Step {
    /// Number of instructions.
    pub fn len(&self) -> usize {
        match self {
            Self::Small(batch) => batch.instructions.len(),
            Self::Large(batch) => batch.instructions.len(),
            Self::Read { .. } | Self::Wide(_) => 1,
        }
    }
}

/// A netlist, compiled.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// Steps in an order in which each follows those it needs.
    pub steps: Vec<Step>,
    /// All values before the first cycle: literals, and zeros.
    pub values: Vec<u64>,
    /// Value of every node.
    pub slots: Vec<Slot>,
    /// Words of register state. They come first, and the next state follows them.
    pub registers: usize,
}

/// What a planned instruction is.
enum Action {
    Instruction(Kind, Instruction),
    Step(Step),
}

/// One instruction before it has its place, with the words it reads and writes.
struct Planned {
    action: Action,
    reads: Vec<u32>,
    writes: std::ops::Range<u32>,
}

/// Where the values of nodes go that are not free to go anywhere.
struct Placement {
    /// Register outputs.
    state: BTreeMap<NodeId, u32>,
    /// Next values, of the first register that takes them.
    next: BTreeMap<NodeId, u32>,
    /// Next values that are computed elsewhere: from a node to a place.
    moved: Vec<(NodeId, u32)>,
}

/// Compiles.
pub fn compile(netlist: &Netlist) -> Program {
    let mut program = Program::default();
    let placement = place(netlist, &mut program);
    let mut planned = Vec::new();
    for ((at, node), needed) in netlist.nodes.iter().enumerate().zip(needed(netlist)) {
        let id = netlist.id(at);
        let fixed = placement.state.get(&id).or_else(|| placement.next.get(&id)).copied();
        let slot = match selected(netlist, node) {
            _ if !needed => Slot { at: 0, width: node.width },
            Some(choice) => plan_mux(choice, fixed, node.width, &mut program, &mut planned),
            None => plan(node, fixed, &mut program, &mut planned),
        };
        program.slots.push(slot);
    }
    for (id, to) in placement.moved {
        let from = program.slots[id.index()];
        for word in 0..words_for(from.width) as u32 {
            let instruction = Instruction {
                to: to + word,
                a: from.at + word,
                immediate: u64::MAX,
                ..Default::default()
            };
            let (reads, writes) = (vec![from.at + word], to + word..to + word + 1);
            planned.push(Planned {
                action: Action::Instruction(Kind::Part, instruction),
                reads,
                writes,
            });
        }
    }
    program.steps = schedule(&planned, program.values.len());
    // As many as small positions can name, so that they need no check.
    let words = program.values.len().max(SMALL);
    program.values.resize(words, 0);
    program
}

/// A choice within one word by a bit that is read where it is, so that it is no instruction of its own.
struct Choice {
    /// Where the bit is.
    of: NodeId,
    /// Which bit.
    bit: u32,
    one: NodeId,
    /// None: zero.
    zero: Option<NodeId>,
}

fn selected(netlist: &Netlist, node: &Node) -> Option<Choice> {
    let (Op::Mux, [select, one, zero], true) = (&node.op, &node.operands[..], node.width <= 64)
    else {
        return None;
    };
    let select_node = netlist.node(*select);
    let (of, bit) = match select_node.op {
        Op::Slice(low) => (select_node.operands[0], low),
        _ => (*select, 0),
    };
    let is_zero = netlist.literal(*zero).is_some_and(Bits::is_zero);
    Some(Choice { of, bit, one: *one, zero: (!is_zero).then_some(*zero) })
}

/// For each node whether its value is needed: folding leaves nodes behind that nothing reads.
fn needed(netlist: &Netlist) -> Vec<bool> {
    let mut needed = vec![false; netlist.nodes.len()];
    let mut need = |id: NodeId| needed[id.index()] = true;
    netlist.inputs.values().chain(netlist.outputs.values()).for_each(|id| need(*id));
    for state in &netlist.states {
        need(state.output);
        match &state.next {
            Next::Node { value, .. } => need(*value),
            Next::Read { address, enable, .. } => {
                [*address, *enable].into_iter().for_each(&mut need)
            }
        }
    }
    for write in netlist.memories.iter().flat_map(|memory| &memory.writes) {
        [write.address, write.data, write.enable].into_iter().for_each(&mut need);
    }
    for (at, node) in netlist.nodes.iter().enumerate().rev() {
        if !needed[at] {
            continue;
        }
        let mut need = |id: NodeId| needed[id.index()] = true;
        match selected(netlist, node) {
            Some(Choice { of, one, zero, .. }) => {
                [of, one].into_iter().chain(zero).for_each(&mut need);
            }
            None => node.operands.iter().for_each(|id| need(*id)),
        }
    }
    needed
}

fn plan_mux(
    Choice { of, bit, one, zero }: Choice,
    fixed: Option<u32>,
    width: u32,
    program: &mut Program,
    planned: &mut Vec<Planned>,
) -> Slot {
    let to = allocate(program, fixed, width);
    let at = |id: NodeId| program.slots[id.index()].at;
    let (a, c) = (at(one), at(of) + bit / 64);
    let (kind, b) = zero.map_or((Kind::Gate, a), |zero| (Kind::Mux, at(zero)));
    let instruction = Instruction { to: to.at, a, b, c, immediate: (bit % 64).into() };
    let action = Action::Instruction(kind, instruction);
    planned.push(Planned { action, reads: vec![a, b, c], writes: to.at..to.at + 1 });
    to
}

/// Puts all registers side by side and their next values as well: a clock edge is one copy.
fn place(netlist: &Netlist, program: &mut Program) -> Placement {
    let registers = || {
        netlist.states.iter().filter_map(|state| match state.next {
            Next::Node { value, .. } => Some((state.output, value)),
            Next::Read { .. } => None,
        })
    };
    let words: usize = registers().map(|(id, _)| words_for(netlist.width(id))).sum();
    program.registers = words;
    program.values.resize(2 * words, 0);
    let mut placement =
        Placement { state: BTreeMap::new(), next: BTreeMap::new(), moved: Vec::new() };
    let mut at = 0;
    for (output, value) in registers() {
        let to = (words + at) as u32;
        placement.state.insert(output, at as u32);
        let node = netlist.node(value);
        // Sources and literals have their own place, and what is no instruction has none.
        let elsewhere = match &node.op {
            Op::Source | Op::Constant(_) | Op::Slice(_) | Op::ZeroExtend | Op::Concat => true,
            _ => placement.next.contains_key(&value),
        };
        if elsewhere {
            placement.moved.push((value, to));
        } else {
            placement.next.insert(value, to);
        }
        at += words_for(netlist.width(output));
    }
    placement
}

fn plan(
    node: &Node,
    fixed: Option<u32>,
    program: &mut Program,
    planned: &mut Vec<Planned>,
) -> Slot {
    let of = |id: NodeId| program.slots[id.index()];
    let operands: Vec<Slot> = node.operands.iter().map(|id| of(*id)).collect();
    let width = node.width;
    match (&node.op, &operands[..]) {
        (Op::Source, _) => return allocate(program, fixed, width),
        (Op::Constant(bits), _) => {
            let slot = allocate(program, None, width);
            program.values[slot.range()].copy_from_slice(bits.words());
            return slot;
        }
        // The zeros above the operand are there already.
        (Op::ZeroExtend, [a]) if words_for(a.width) == words_for(width) => {
            return Slot { at: a.at, width };
        }
        (Op::Slice(low), [a]) if low % 64 == 0 && low + width == a.width => {
            return Slot { at: a.at + low / 64, width };
        }
        _ => {}
    }
    let slice = matches!(node.op, Op::Slice(_));
    let narrow = width <= 64 && (slice || operands.iter().all(|operand| operand.width <= 64));
    if let (Op::Concat, true) = (&node.op, narrow) {
        return join(&operands, program, planned);
    }
    let to = allocate(program, fixed, width);
    let mut reads: Vec<u32> =
        operands.iter().flat_map(|slot| slot.range().map(|at| at as u32)).collect();
    let action = match (&node.op, &operands[..]) {
        (Op::Read(memory), [address]) => {
            Action::Step(Step::Read { memory: *memory as usize, address: *address, to })
        }
        _ if narrow => {
            let (kind, instruction) = narrow_instruction(node, &operands, to);
            if kind == Kind::Part {
                reads = vec![instruction.a];
            }
            Action::Instruction(kind, instruction)
        }
        _ => Action::Step(Step::Wide(Wide { op: node.op.clone(), operands, to })),
    };
    let writes = to.at..to.at + words_for(width) as u32;
    planned.push(Planned { action, reads, writes });
    to
}

fn allocate(program: &mut Program, fixed: Option<u32>, width: u32) -> Slot {
    if let Some(at) = fixed {
        return Slot { at, width };
    }
    let at = program.values.len() as u32;
    program.values.resize(program.values.len() + words_for(width), 0);
    Slot { at, width }
}

/// A concatenation within one word, two parts at a time.
fn join(parts: &[Slot], program: &mut Program, planned: &mut Vec<Planned>) -> Slot {
    let mut high = parts[0];
    for low in &parts[1..] {
        let to = allocate(program, None, high.width + low.width);
        let instruction =
            Instruction { to: to.at, a: high.at, b: low.at, c: low.width, ..Default::default() };
        let (reads, writes) = (vec![high.at, low.at], to.at..to.at + 1);
        planned.push(Planned {
            action: Action::Instruction(Kind::Join, instruction),
            reads,
            writes,
        });
        high = to;
    }
    high
}

fn narrow_instruction(node: &Node, operands: &[Slot], to: Slot) -> (Kind, Instruction) {
    let at = |number: usize| operands.get(number).map_or(0, |slot| slot.at);
    let width = |number: usize| operands.get(number).map_or(1, |slot| slot.width);
    let own = mask(node.width);
    let plain = Instruction { to: to.at, a: at(0), b: at(1), c: at(2), immediate: own };
    let with = |immediate: u64| Instruction { immediate, ..plain };
    match &node.op {
        Op::Not => (Kind::Not, plain),
        Op::And => (Kind::And, plain),
        Op::Or => (Kind::Or, plain),
        Op::Xor => (Kind::Xor, plain),
        Op::Add => (Kind::Add, plain),
        Op::Subtract => (Kind::Subtract, plain),
        Op::Multiply => (Kind::Multiply, plain),
        Op::MultiplySigned => {
            (Kind::MultiplySigned, Instruction { c: (width(0) - 1) << 8 | (width(1) - 1), ..plain })
        }
        Op::Equal => (Kind::Equal, plain),
        Op::Less => (Kind::Less, plain),
        Op::LessSigned => (Kind::LessSigned, with(1 << (width(0) - 1))),
        Op::ShiftLeft => (Kind::ShiftLeft, plain),
        Op::ShiftRight => (Kind::ShiftRight, plain),
        Op::ShiftRightSigned => (Kind::ShiftRightSigned, Instruction { c: width(0), ..plain }),
        Op::All => (Kind::All, with(mask(width(0)))),
        Op::Any => (Kind::Any, plain),
        Op::Parity => (Kind::Parity, plain),
        Op::Slice(low) => {
            let (word, shift) = (at(0) + low / 64, low % 64);
            let across = shift > 0 && shift + node.width > 64;
            let instruction =
                Instruction { a: word, b: word + u32::from(across), c: shift, ..plain };
            (if across { Kind::PartAcross } else { Kind::Part }, instruction)
        }
        Op::SignExtend => (
            Kind::SignExtend,
            Instruction { immediate: 1 << (width(0) - 1), c: node.width, ..plain },
        ),
        Op::ZeroExtend => (Kind::Part, plain),
        // These are no instructions, or planned elsewhere.
        Op::Source | Op::Constant(_) | Op::Concat | Op::Read(_) | Op::Mux => (Kind::Part, plain),
    }
}

/// Orders instructions so that long runs are of one kind.
///
/// Among the kinds with instructions whose operands are computed, the one with most of them goes
/// next, together with those of the same kind that become possible on the way.
fn schedule(planned: &[Planned], words: usize) -> Vec<Step> {
    let mut writer = vec![usize::MAX; words];
    for (number, item) in planned.iter().enumerate() {
        for at in item.writes.clone() {
            writer[at as usize] = number;
        }
    }
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); planned.len()];
    let mut waiting = vec![0usize; planned.len()];
    for (number, item) in planned.iter().enumerate() {
        let needed: BTreeSet<usize> = item
            .reads
            .iter()
            .map(|at| writer[*at as usize])
            .filter(|writer| *writer != usize::MAX)
            .collect();
        waiting[number] = needed.len();
        needed.into_iter().for_each(|writer| readers[writer].push(number));
    }
    // The last list holds what is no instruction.
    let mut ready: Vec<Vec<usize>> = vec![Vec::new(); KINDS + 1];
    let list = |number: usize| match &planned[number].action {
        Action::Instruction(kind, _) => *kind as usize,
        Action::Step(_) => KINDS,
    };
    for (number, _) in waiting.iter().enumerate().filter(|(_, waiting)| **waiting == 0) {
        ready[list(number)].push(number);
    }
    let mut steps = Vec::new();
    while let Some(most) = (0..=KINDS).max_by_key(|kind| ready[*kind].len())
        && !ready[most].is_empty()
    {
        let mut batch = Batch { kind: Kind::Part, instructions: Vec::new() };
        let mut next = 0;
        while let Some(number) = ready[most].get(next).copied() {
            next += 1;
            match &planned[number].action {
                Action::Instruction(kind, instruction) => {
                    batch.kind = *kind;
                    batch.instructions.push(*instruction);
                }
                Action::Step(step) => steps.push(step.clone()),
            }
            for reader in &readers[number] {
                waiting[*reader] -= 1;
                if waiting[*reader] == 0 {
                    ready[list(*reader)].push(*reader);
                }
            }
        }
        ready[most].clear();
        if !batch.instructions.is_empty() {
            steps.push(sized(batch));
        }
    }
    steps
}

/// With small positions where all of them fit.
fn sized(batch: Batch) -> Step {
    let small: Option<Vec<_>> =
        batch.instructions.iter().map(|instruction| instruction.narrowed()).collect();
    match small {
        Some(instructions) => Step::Small(Batch { kind: batch.kind, instructions }),
        None => Step::Large(batch),
    }
}
