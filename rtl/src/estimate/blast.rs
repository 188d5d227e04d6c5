//! From words to bits: gates for logic, carry chains for sums and comparisons, and everything else
//! as a border that bits enter and leave.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    gates::{Bit, Gates},
    used::used,
};
use crate::netlist::{Netlist, Next, Node, NodeId, Op};

/// A bit that shows what another was an edge before, when it is enabled.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Delay {
    output: Bit,
    enables: (Vec<NodeId>, Bit),
    data: Bit,
}

/// Inputs of one table.
const TABLE_INPUTS: usize = 6;

/// A netlist as gates.
#[derive(Debug, Default)]
pub struct Blasted {
    /// The gates.
    pub gates: Gates,
    /// Bits that must exist as signals: ports, pins of registers, memories, multipliers and carry
    /// cells.
    pub roots: Vec<Bit>,
    /// Tables of comparisons, beside those of the gates.
    pub tables: u64,
    /// Flip-flops of registers.
    pub flip_flops: u64,
    /// DSP48E2 of products.
    pub dsp: u64,
    /// Bits of registers without reset: output, enable and next value.
    delays: Vec<Delay>,
    words: Vec<Vec<Bit>>,
}

/// Expands a netlist. Bits that nobody reads and bits of registers that never leave 0 are found and left out.
pub fn blast(netlist: &Netlist) -> Blasted {
    let used = used(netlist);
    let mut constant = vec![Vec::new(); netlist.nodes.len()];
    loop {
        let blasted = expand(netlist, &used, &constant);
        let mut found = false;
        for state in &netlist.states {
            let Next::Node { value, .. } = state.next else { continue };
            let next = blasted.of(value);
            let held = blasted.of(state.output);
            let stays = |(next, held): (&Bit, &Bit)| blasted.gates.stays_zero(*next, *held);
            let zeros: Vec<bool> = next.iter().zip(&held).map(stays).collect();
            let known = &mut constant[state.output.index()];
            // A constant feeds others, so that there can be more in the next round.
            if zeros.contains(&true) && *known != zeros {
                *known = zeros;
                found = true;
            }
        }
        if !found {
            return blasted;
        }
    }
}

fn expand(netlist: &Netlist, used: &[u32], constant: &[Vec<bool>]) -> Blasted {
    let mut blasted = Blasted::default();
    for ((node, used), zeros) in netlist.nodes.iter().zip(used).zip(constant) {
        let mut word = blasted.word(node, *used as usize);
        for (bit, _) in word.iter_mut().zip(zeros).filter(|(_, zero)| **zero) {
            *bit = Bit::ZERO;
        }
        blasted.words.push(word);
    }
    for output in netlist.outputs.values() {
        blasted.border(*output);
    }
    for state in &netlist.states {
        match state.next {
            Next::Node { value, data } => {
                let bits = used[state.output.index()] as usize;
                blasted.register(netlist, state.output, [value, data], bits);
            }
            Next::Read { address, enable, .. } => {
                [address, enable].into_iter().for_each(|id| blasted.border(id));
            }
        }
    }
    for write in netlist.memories.iter().flat_map(|memory| &memory.writes) {
        [write.address, write.data, write.enable].into_iter().for_each(|id| blasted.border(id));
    }
    blasted.roots.retain(|bit| !bit.is_constant());
    blasted
}

/// Shortest chain that becomes a shift register, and the longest that one table holds.
const SHORTEST_SHIFT: u64 = 3;
const LONGEST_SHIFT: u64 = 32;

impl Blasted {
    /// Flip-flops in chains that only pass bits on, and the tables that such chains take instead
    /// (SRL16E and SRLC32E, UG574).
    pub fn shift_registers(&self) -> (u64, u64) {
        let mut readers: BTreeMap<usize, u32> = BTreeMap::new();
        let operands = self.gates.all().iter().flatten().flatten();
        for bit in operands.chain(&self.roots) {
            *readers.entry(bit.gate()).or_default() += 1;
        }
        let by_output: BTreeMap<Bit, &Delay> =
            self.delays.iter().map(|delay| (delay.output, delay)).collect();
        // The bit before, if nobody else reads it.
        let before = |delay: &Delay| {
            let earlier = by_output.get(&delay.data)?;
            let alone = readers.get(&earlier.output.gate()) == Some(&1);
            (alone && earlier.enables == delay.enables).then_some(*earlier)
        };
        let inner: BTreeSet<Bit> =
            self.delays.iter().filter_map(before).map(|delay| delay.output).collect();
        let (mut flip_flops, mut tables) = (0, 0);
        for last in self.delays.iter().filter(|delay| !inner.contains(&delay.output)) {
            let length = std::iter::successors(Some(last), |delay| before(delay)).count() as u64;
            if length >= SHORTEST_SHIFT {
                flip_flops += length;
                tables += length.div_ceil(LONGEST_SHIFT);
            }
        }
        (flip_flops, tables)
    }

    fn of(&self, id: NodeId) -> Vec<Bit> {
        self.words[id.index()].clone()
    }

    /// All bits of a node leave the logic.
    fn border(&mut self, id: NodeId) {
        self.roots.extend_from_slice(&self.words[id.index()]);
    }

    /// Bits from outside the logic.
    pub(super) fn inputs(&mut self, width: usize) -> Vec<Bit> {
        (0..width).map(|_| self.gates.input()).collect()
    }

    /// The bits of a node, of which the lowest `used` are read.
    fn word(&mut self, node: &Node, used: usize) -> Vec<Bit> {
        if used == 0 {
            return vec![Bit::ZERO; node.width as usize];
        }
        let operands: Vec<Vec<Bit>> = node.operands.iter().map(|id| self.of(*id)).collect();
        let gates = &mut self.gates;
        let pairs = |a: &[Bit], b: &[Bit]| -> Vec<(Bit, Bit)> {
            a.iter().copied().zip(b.iter().copied()).collect()
        };
        match (&node.op, &operands[..]) {
            (Op::Constant(bits), _) => {
                (0..node.width).map(|at| Bit::constant(bits.bit(at))).collect()
            }
            (Op::Not, [a]) => a.iter().map(|bit| !*bit).collect(),
            (Op::And, [a, b]) => pairs(a, b).into_iter().map(|(a, b)| gates.and(a, b)).collect(),
            (Op::Or, [a, b]) => pairs(a, b).into_iter().map(|(a, b)| gates.or(a, b)).collect(),
            (Op::Xor, [a, b]) => pairs(a, b).into_iter().map(|(a, b)| gates.xor(a, b)).collect(),
            (Op::Mux, [select, a, b]) => {
                pairs(a, b).into_iter().map(|(a, b)| gates.mux(select[0], a, b)).collect()
            }
            (Op::Equal, [a, b]) => {
                let differ: Vec<Bit> =
                    pairs(a, b).into_iter().map(|(a, b)| gates.xor(a, b)).collect();
                vec![!gates.tree(&differ, Gates::or, Bit::ZERO)]
            }
            (Op::All, [a]) => vec![gates.tree(a, Gates::and, Bit::ONE)],
            (Op::Any, [a]) => vec![gates.tree(a, Gates::or, Bit::ZERO)],
            (Op::Parity, [a]) => vec![gates.tree(a, Gates::xor, Bit::ZERO)],
            (Op::Concat, parts) => parts.iter().rev().flatten().copied().collect(),
            (Op::Slice(low), [a]) => a[*low as usize..][..node.width as usize].to_vec(),
            (Op::ZeroExtend, [a]) => {
                let mut a = a.clone();
                a.resize(node.width as usize, Bit::ZERO);
                a
            }
            (Op::SignExtend, [a]) => {
                let mut a = a.clone();
                let sign = a.last().copied().unwrap_or(Bit::ZERO);
                a.resize(node.width as usize, sign);
                a
            }
            (Op::Add, [a, b]) => {
                let sum = self.sum(&a[..used], &b[..used], Bit::ZERO);
                unread_above(sum, node)
            }
            (Op::Subtract, [a, b]) => {
                let b: Vec<Bit> = b[..used].iter().map(|bit| !*bit).collect();
                let difference = self.sum(&a[..used], &b, Bit::ONE);
                unread_above(difference, node)
            }
            (Op::Multiply | Op::MultiplySigned, [a, b]) => {
                self.roots.extend(a.iter().chain(b));
                let product = self.product(a, b, node.op == Op::MultiplySigned, used);
                unread_above(product, node)
            }
            (Op::Less, [a, b]) => vec![self.less(a, b)],
            (Op::LessSigned, [a, b]) => {
                // Both signs turned round, the order is that of numbers without sign.
                let turned = |word: &[Bit]| {
                    let mut word = word.to_vec();
                    word.iter_mut().last().into_iter().for_each(|sign| *sign = !*sign);
                    word
                };
                vec![self.less(&turned(a), &turned(b))]
            }
            (Op::ShiftLeft, [a, by]) => {
                let reversed: Vec<Bit> = a.iter().rev().copied().collect();
                let mut shifted = self.shift_right(&reversed, by, Bit::ZERO);
                shifted.reverse();
                shifted
            }
            (Op::ShiftRight, [a, by]) => self.shift_right(a, by, Bit::ZERO),
            (Op::ShiftRightSigned, [a, by]) => {
                let sign = a.last().copied().unwrap_or(Bit::ZERO);
                self.shift_right(a, by, sign)
            }
            // Ports, registers, memories: bits come from outside the logic.
            _ => {
                for id in &node.operands {
                    self.border(*id);
                }
                self.inputs(node.width as usize)
            }
        }
    }

    /// A sum. Where both operands vary and a carry can arise there is a carry chain: per bit a table
    /// for the half sum, and the first operand beside it. A single such bit is plain logic.
    pub(super) fn sum(&mut self, a: &[Bit], b: &[Bit], carry: Bit) -> Vec<Bit> {
        // Where both operands are the same constant, the carry is that constant.
        let known = |at: usize| (a[at].is_constant() && a[at] == b[at]).then(|| a[at]);
        let mut carry = carry;
        let mut word = Vec::with_capacity(a.len());
        while word.len() < a.len() {
            let at = word.len();
            let half = self.gates.xor(a[at], b[at]);
            let (both, either) = (self.gates.and(a[at], b[at]), self.gates.or(a[at], b[at]));
            let next = self.gates.mux(carry, either, both);
            let ends = at + 1 == a.len() || known(at + 1).is_some();
            if carry.is_constant() && (next.is_constant() || ends) || known(at).is_some() {
                word.push(self.gates.xor(half, carry));
                carry = next;
                continue;
            }
            let end = (at + 1..a.len()).find(|&at| known(at).is_some()).unwrap_or(a.len());
            for (&a, &b) in a[at..end].iter().zip(&b[at..end]) {
                let half = self.gates.xor(a, b);
                self.roots.extend([half, a]);
                word.push(self.gates.input());
            }
            carry = self.gates.input();
        }
        word
    }

    /// A comparison: a table where one holds all bits, else two per group of bits, which pass on or
    /// decide, on a carry chain.
    fn less(&mut self, a: &[Bit], b: &[Bit]) -> Bit {
        let mut groups: Vec<(Bit, Bit, usize)> = Vec::new();
        for (&a, &b) in a.iter().zip(b) {
            let varying = [a, b].iter().filter(|bit| !bit.is_constant()).count();
            let differs = self.gates.xor(a, b);
            match groups.last_mut().filter(|group| group.2 + varying <= TABLE_INPUTS) {
                Some((equal, less, inputs)) => {
                    *less = self.gates.mux(differs, b, *less);
                    *equal = self.gates.and(*equal, !differs);
                    *inputs += varying;
                }
                None => {
                    let less = self.gates.and(differs, b);
                    groups.push((!differs, less, varying));
                }
            }
        }
        match groups[..] {
            [] => Bit::ZERO,
            [(_, less, _)] => less,
            _ => {
                // These tables are made before the mapper sees the logic: it neither shares them
                // nor draws logic into them.
                self.tables += 2 * groups.len() as u64;
                self.roots.extend(a.iter().chain(b));
                self.gates.input()
            }
        }
    }

    /// One layer of multiplexers per bit of the amount.
    fn shift_right(&mut self, a: &[Bit], by: &[Bit], fill: Bit) -> Vec<Bit> {
        let mut word = a.to_vec();
        for (place, &select) in by.iter().enumerate() {
            let distance = 1usize.checked_shl(place as u32).unwrap_or(usize::MAX);
            let moved = |at: usize| {
                at.checked_add(distance).and_then(|from| word.get(from)).copied().unwrap_or(fill)
            };
            let moved: Vec<Bit> = (0..word.len()).map(moved).collect();
            word = word
                .iter()
                .zip(moved)
                .map(|(&stays, moves)| self.gates.mux(select, moves, stays))
                .collect();
        }
        word
    }

    /// The pins of a register of which `used` bits are read: what its description gives, enable and reset
    /// apart.
    fn register(&mut self, netlist: &Netlist, output: NodeId, next: [NodeId; 2], used: usize) {
        let [mut at, mut data] = next;
        // Enables of the description; a reset keeps a bit out of shift registers.
        let (mut pins, mut plain) = (Vec::new(), true);
        while at != data {
            let node = netlist.node(at);
            let (Op::Mux, [select, one, zero]) = (&node.op, &node.operands[..]) else { break };
            self.border(*select);
            let resets = netlist.literal(*one).is_some();
            pins.extend((!resets).then_some(*select));
            plain &= !resets;
            at = if resets { *zero } else { *one };
        }
        if at != data {
            data = at;
        }
        // What one bit gates goes through the reset pin, unless that is taken: a reset acts without the enable,
        // the gate only with it.
        let taken = !plain && !pins.is_empty();
        let node = netlist.node(data);
        if let (Op::Mux, [select, one, zero], false) = (&node.op, &node.operands[..], taken) {
            let gated = [(zero, one), (one, zero)];
            let value = gated.iter().find(|(other, _)| netlist.literal(**other).is_some());
            if let Some((_, value)) = value {
                plain = false;
                self.border(*select);
                data = **value;
            }
        }
        for (next, held) in self.of(data).into_iter().zip(self.of(output)).take(used) {
            if held.is_constant() {
                continue;
            }
            self.flip_flops += 1;
            // What one bit holds goes through the enable.
            let (enable, data) = match self.gates.as_mux(next) {
                Some((select, one, zero)) if zero == held => (select, one),
                Some((select, one, zero)) if one == held => (!select, zero),
                _ => (Bit::ONE, next),
            };
            self.roots.extend([enable, data]);
            if plain {
                self.delays.push(Delay { output: held, enables: (pins.clone(), enable), data });
            }
        }
    }
}

/// A word of a node with something above the bits that are read.
fn unread_above(mut word: Vec<Bit>, node: &Node) -> Vec<Bit> {
    word.resize(node.width as usize, Bit::ZERO);
    word
}
