//! A design without hierarchy: what native execution and the estimates work on.
//!
//! Nodes come in an order in which each follows its operands. Building one folds constants and
//! finds nodes that exist already; only what reaches an output is built at all.

mod evaluate;
mod fold;
mod lower;

use indexmap::IndexMap;

pub use self::{evaluate::evaluate, lower::lower};
use crate::bits::Bits;

/// A node of a netlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// Position in the netlist.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a node computes from its operands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Op {
    /// Set from outside or at a clock edge.
    Source,
    /// A literal.
    Constant(Bits),
    /// Every bit inverted.
    Not,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// Sum, cut to the width.
    Add,
    /// Difference, cut to the width.
    Subtract,
    /// Unsigned product.
    Multiply,
    /// Product of two's complement operands.
    MultiplySigned,
    /// One bit: equal.
    Equal,
    /// One bit: less, unsigned.
    Less,
    /// One bit: less, two's complement.
    LessSigned,
    /// Left shift by the second operand.
    ShiftLeft,
    /// Right shift by the second operand.
    ShiftRight,
    /// Right shift by the second operand, copying the sign.
    ShiftRightSigned,
    /// Operands: selecting bit, value for 1, value for 0.
    Mux,
    /// One bit: all bits set.
    All,
    /// One bit: some bit set.
    Any,
    /// One bit: an odd number of bits set.
    Parity,
    /// Operands side by side, the most significant first.
    Concat,
    /// Bits from this one on.
    Slice(u32),
    /// Zeros above.
    ZeroExtend,
    /// Copies of the sign above.
    SignExtend,
    /// A word of a memory, at the address in the operand.
    Read(u32),
}

/// A node.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it computes.
    pub op: Op,
    /// From what.
    pub operands: Vec<NodeId>,
    /// Width of the value \[bits\].
    pub width: u32,
    /// Names of wires that show it, with the path of instances; empty for most.
    pub name: Option<String>,
}

/// A register, or the output of a clocked read port.
#[derive(Debug, Clone)]
pub struct State {
    /// A source node.
    pub output: NodeId,
    /// Value after the next edge.
    pub next: Next,
}

/// Where the next value of a state comes from.
#[derive(Debug, Clone)]
pub enum Next {
    /// A node, which holds reset and enable already.
    Node {
        /// Value after the next edge.
        value: NodeId,
        /// The value that the description gives, without reset and enable; for estimates.
        data: NodeId,
    },
    /// A memory word, where the bit is 1.
    Read {
        /// Memory.
        memory: usize,
        /// Word.
        address: NodeId,
        /// One bit.
        enable: NodeId,
    },
}

/// A write port.
#[derive(Debug, Clone)]
pub struct Write {
    /// Word.
    pub address: NodeId,
    /// Value.
    pub data: NodeId,
    /// One bit.
    pub enable: NodeId,
}

/// A memory.
#[derive(Debug, Clone)]
pub struct Memory {
    /// Name with the path of instances.
    pub name: String,
    /// Width of a word \[bits\].
    pub width: u32,
    /// Words.
    pub depth: u32,
    /// How it is to be built.
    pub style: crate::ir::MemoryStyle,
    /// Write ports, in order.
    pub writes: Vec<Write>,
    /// Read ports that are used: asynchronous ones.
    pub asynchronous_reads: usize,
    /// Read ports that are used: clocked ones.
    pub clocked_reads: usize,
}

/// A design without hierarchy.
#[derive(Debug, Clone, Default)]
pub struct Netlist {
    /// Nodes, each after its operands.
    pub nodes: Vec<Node>,
    /// Input ports by name; the reset is one where something uses it.
    pub inputs: IndexMap<String, NodeId>,
    /// Output ports by name.
    pub outputs: IndexMap<String, NodeId>,
    /// What changes at a clock edge.
    pub states: Vec<State>,
    /// Memories.
    pub memories: Vec<Memory>,
    known: IndexMap<(Op, Vec<NodeId>, u32), NodeId>,
}

impl Netlist {
    /// The node at a position.
    pub fn id(&self, position: usize) -> NodeId {
        NodeId(position as u32)
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Width of a node \[bits\].
    pub fn width(&self, id: NodeId) -> u32 {
        self.node(id).width
    }

    /// The value of a literal.
    pub fn literal(&self, id: NodeId) -> Option<&Bits> {
        match &self.node(id).op {
            Op::Constant(bits) => Some(bits),
            _ => None,
        }
    }

    fn push(&mut self, op: Op, operands: Vec<NodeId>, width: u32) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(Node { op, operands, width, name: None });
        id
    }

    /// A node that is set from outside.
    fn source(&mut self, width: u32) -> NodeId {
        self.push(Op::Source, Vec::new(), width)
    }

    /// A literal.
    fn constant(&mut self, bits: Bits) -> NodeId {
        let width = bits.width();
        self.find_or_push(Op::Constant(bits), Vec::new(), width)
    }

    fn find_or_push(&mut self, op: Op, operands: Vec<NodeId>, width: u32) -> NodeId {
        let key = (op, operands, width);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let id = self.push(key.0.clone(), key.1.clone(), width);
        self.known.insert(key, id);
        id
    }
}
