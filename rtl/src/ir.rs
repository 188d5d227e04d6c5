//! The intermediate representation: what a checked module consists of.
//!
//! A [`Module`] is immutable and can only come out of
//! [`ModuleBuilder::finish`](crate::ModuleBuilder::finish), which checks it. Every node is one
//! [`Signal`](Node); named ones appear in the Verilog under their name. All registers share the clock
//! `clk` and the synchronous, active-high reset `rst`, which exist where something needs them.

use std::sync::Arc;

use crate::bits::Bits;

/// Name of the clock input.
pub const CLOCK: &str = "clk";
/// Name of the reset input: synchronous, active high.
pub const RESET: &str = "rst";

/// Name of the wire that reads discarded bits.
pub const UNUSED: &str = "unused_bits";

macro_rules! index_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub(crate) u32);

        impl $name {
            /// Position in its module's list.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index_type! {
    /// A signal of one module.
    SignalId
}
index_type! {
    /// A register of one module.
    RegisterId
}
index_type! {
    /// A memory of one module.
    MemoryId
}
index_type! {
    /// An instance in one module.
    InstanceId
}

/// Width and signedness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Type {
    /// Width \[bits\], 1 to 4096.
    pub width: u32,
    /// Whether comparison, extension, multiplication and right shift read two's complement.
    pub signed: bool,
}

/// One operand in, one value out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnaryOp {
    /// Every bit inverted.
    Not,
    /// One bit: all bits are set.
    All,
    /// One bit: some bit is set.
    Any,
    /// One bit: an odd number of bits is set.
    Parity,
    /// The same bits under another signedness.
    Cast,
    /// Widened by the sign bit of a signed operand, by zeros otherwise.
    Extend,
}

/// Two operands in, one value out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BinaryOp {
    /// Sum, cut to the width of the operands.
    Add,
    /// Difference, cut to the width of the operands.
    Subtract,
    /// Product, as wide as both operands together.
    Multiply,
    /// Bitwise and.
    And,
    /// Bitwise or.
    Or,
    /// Bitwise exclusive or.
    Xor,
    /// One bit: equal.
    Equal,
    /// One bit: less, in the signedness of the operands.
    Less,
    /// Left shift by an unsigned amount.
    ShiftLeft,
    /// Right shift by an unsigned amount; copies the sign bit of a signed operand.
    ShiftRight,
}

/// Where the value of a signal comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A port, driven from outside.
    Input,
    /// A literal.
    Constant(Bits),
    /// A named wire.
    Wire(SignalId),
    /// The state of a register.
    Register(RegisterId),
    /// What a read port of a memory shows.
    MemoryRead(MemoryId, usize),
    /// An output of an instance.
    InstanceOutput(InstanceId, usize),
    /// One operand.
    Unary(UnaryOp, SignalId),
    /// Two operands.
    Binary(BinaryOp, SignalId, SignalId),
    /// One of two values.
    Mux {
        /// One bit.
        select: SignalId,
        /// Value where `select` is 1.
        when_one: SignalId,
        /// Value where `select` is 0.
        when_zero: SignalId,
    },
    /// One of many values.
    Case {
        /// Compared with the labels.
        select: SignalId,
        /// Labels, all different, and their values.
        arms: Vec<(Bits, SignalId)>,
        /// Value where no label is equal.
        default: SignalId,
    },
    /// Operands side by side, the most significant first.
    Concat(Vec<SignalId>),
    /// Some bits of a signal, from bit `low` on.
    Slice {
        /// The signal.
        of: SignalId,
        /// Its lowest bit that is taken.
        low: u32,
    },
}

/// A signal: its type, where its value comes from, and how the Verilog calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Width and signedness.
    pub ty: Type,
    /// Source of the value.
    pub op: Op,
    /// Name in the Verilog; nodes without one are printed inside the expression that reads them.
    pub name: Option<String>,
    /// What it means, for the reader of the Verilog.
    pub comment: Option<String>,
}

/// A clocked register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// Its state.
    pub output: SignalId,
    /// State after a reset. Without one the register ignores the reset and powers up as zero.
    pub reset: Option<Bits>,
    /// State after the next edge.
    pub next: SignalId,
    /// Keeps its state where this bit is 0.
    pub enable: Option<SignalId>,
}

/// How a memory is to be built on an FPGA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemoryStyle {
    /// The synthesis tool chooses.
    Auto,
    /// Look-up tables (LUTRAM).
    Distributed,
    /// Block RAM.
    Block,
    /// UltraRAM.
    Ultra,
}

/// A write port: one word per cycle where `enable` is 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WritePort {
    /// Word.
    pub address: SignalId,
    /// Value.
    pub data: SignalId,
    /// One bit.
    pub enable: SignalId,
}

/// A read port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPort {
    /// Word.
    pub address: SignalId,
    /// What was read.
    pub output: SignalId,
    /// When it is seen.
    pub timing: ReadTiming,
}

/// When a read word is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadTiming {
    /// In the same cycle (look-up tables).
    Asynchronous,
    /// After the next edge (block RAM); kept where the bit is 0. A word written at the same edge is
    /// read as it was before.
    Synchronous {
        /// One bit; absent where every cycle reads.
        enable: Option<SignalId>,
    },
}

/// A memory. All words power up as zero and a reset leaves them alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Name in the Verilog.
    pub name: String,
    /// Width of a word \[bits\].
    pub width: u32,
    /// Words.
    pub depth: u32,
    /// How to build it.
    pub style: MemoryStyle,
    /// Where two ports write one word at the same edge, simulators and devices disagree: a design
    /// must not do it. Native execution lets the later port win.
    pub writes: Vec<WritePort>,
    /// Read ports.
    pub reads: Vec<ReadPort>,
    /// What it holds, for the reader of the Verilog.
    pub comment: Option<String>,
}

/// A module used inside another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Name in the Verilog.
    pub name: String,
    /// The module.
    pub module: Arc<Module>,
    /// What drives its inputs, in their order.
    pub inputs: Vec<SignalId>,
    /// The signals that show its outputs, in their order.
    pub outputs: Vec<SignalId>,
    /// What it is for, for the reader of the Verilog.
    pub comment: Option<String>,
}

/// An output port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Name of the port.
    pub name: String,
    /// What it shows.
    pub source: SignalId,
    /// What it means.
    pub comment: Option<String>,
}

/// What the Verilog shows, in the order in which the builder was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A heading.
    Section(String),
    /// A named wire.
    Wire(SignalId),
    /// A register.
    Register(RegisterId),
    /// A memory.
    Memory(MemoryId),
    /// An instance.
    Instance(InstanceId),
}

/// A checked hardware module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Module {
    pub(crate) name: String,
    pub(crate) doc: Vec<String>,
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) latency: Option<String>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) inputs: Vec<SignalId>,
    pub(crate) outputs: Vec<Output>,
    pub(crate) registers: Vec<Register>,
    pub(crate) memories: Vec<Memory>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) items: Vec<Item>,
    /// Wires that may be read before their driver is described.
    pub(crate) forwards: Vec<SignalId>,
    /// Signals of which bits may stay unread.
    pub(crate) discarded: Vec<SignalId>,
    /// Bits of those that nothing else reads; filled by the checks.
    pub(crate) unread: Vec<(SignalId, Bits)>,
    /// Whether something inside needs the clock.
    pub(crate) clocked: bool,
    /// Whether something inside needs the reset.
    pub(crate) resets: bool,
    /// For every output, the inputs that reach it within the cycle.
    pub(crate) paths: Vec<Vec<usize>>,
}

impl Module {
    /// Name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the module has the port `clk`.
    pub fn is_clocked(&self) -> bool {
        self.clocked
    }

    /// Whether the module has the port `rst`.
    pub fn has_reset(&self) -> bool {
        self.resets
    }

    /// Input ports without clock and reset: name and type.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, Type)> {
        self.inputs.iter().map(|id| {
            let node = self.node(*id);
            (node.name.as_deref().unwrap_or_default(), node.ty)
        })
    }

    /// Output ports: name and type.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, Type)> {
        self.outputs.iter().map(|output| (output.name.as_str(), self.node(output.source).ty))
    }

    /// Instances.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// Registers.
    pub fn registers(&self) -> &[Register] {
        &self.registers
    }

    /// Memories.
    pub fn memories(&self) -> &[Memory] {
        &self.memories
    }

    /// All signals.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A signal.
    pub fn node(&self, id: SignalId) -> &Node {
        &self.nodes[id.index()]
    }

    pub(crate) fn ty(&self, id: SignalId) -> Type {
        self.node(id).ty
    }

    pub(crate) fn width(&self, id: SignalId) -> u32 {
        self.node(id).ty.width
    }

    /// What messages call a signal: its name, or the kind of its operation.
    pub(crate) fn describe(&self, id: SignalId) -> String {
        let node = self.node(id);
        match (&node.name, &node.op) {
            (Some(name), _) => name.clone(),
            (None, Op::Constant(bits)) => format!("constant {bits:?}"),
            (None, op) => format!("unnamed {}", op.mnemonic()),
        }
    }

    /// Signals outside the nodes that are read: drivers of registers, memories, instances, outputs.
    pub(crate) fn roots(&self) -> Vec<SignalId> {
        let mut roots: Vec<SignalId> = Vec::new();
        for register in &self.registers {
            roots.push(register.next);
            roots.extend(register.enable);
        }
        for memory in &self.memories {
            for port in &memory.writes {
                roots.extend([port.address, port.data, port.enable]);
            }
            for port in &memory.reads {
                roots.push(port.address);
                if let ReadTiming::Synchronous { enable } = port.timing {
                    roots.extend(enable);
                }
            }
        }
        for instance in &self.instances {
            roots.extend(&instance.inputs);
        }
        roots.extend(self.outputs.iter().map(|output| output.source));
        roots
    }
}

impl Op {
    /// The signals whose value this one computes from, within the cycle and inside the module.
    pub fn operands(&self) -> Vec<SignalId> {
        match self {
            Self::Input
            | Self::Constant(_)
            | Self::Register(_)
            | Self::MemoryRead(..)
            | Self::InstanceOutput(..) => Vec::new(),
            Self::Wire(a) | Self::Unary(_, a) | Self::Slice { of: a, .. } => vec![*a],
            Self::Binary(_, a, b) => vec![*a, *b],
            Self::Mux { select, when_one, when_zero } => vec![*select, *when_one, *when_zero],
            Self::Case { select, arms, default } => {
                let values = arms.iter().map(|(_, value)| *value);
                [*select].into_iter().chain(values).chain([*default]).collect()
            }
            Self::Concat(parts) => parts.clone(),
        }
    }

    /// A short word for it, used in generated names.
    pub(crate) fn mnemonic(&self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Constant(_) => "constant",
            Self::Wire(_) => "wire",
            Self::Register(_) => "register",
            Self::MemoryRead(..) => "read",
            Self::InstanceOutput(..) => "output",
            Self::Unary(op, _) => match op {
                UnaryOp::Not => "not",
                UnaryOp::All => "all",
                UnaryOp::Any => "any",
                UnaryOp::Parity => "parity",
                UnaryOp::Cast => "cast",
                UnaryOp::Extend => "extended",
            },
            Self::Binary(op, ..) => match op {
                BinaryOp::Add => "sum",
                BinaryOp::Subtract => "difference",
                BinaryOp::Multiply => "product",
                BinaryOp::And => "both",
                BinaryOp::Or => "either",
                BinaryOp::Xor => "differs",
                BinaryOp::Equal => "equal",
                BinaryOp::Less => "less",
                BinaryOp::ShiftLeft | BinaryOp::ShiftRight => "shifted",
            },
            Self::Mux { .. } => "choice",
            Self::Case { .. } => "case",
            Self::Concat(_) => "joined",
            Self::Slice { .. } => "part",
        }
    }
}
