//! From modules to a netlist.
//!
//! Signals are asked for, beginning with the outputs, and whatever they need is asked for first.
//! What nobody asks for is never built.

use std::sync::Arc;

use super::{Memory, Netlist, Next, NodeId, Op, State, Write};
use crate::{
    bits::Bits,
    ir::{self, BinaryOp, Module, RESET, ReadTiming, SignalId, UnaryOp},
};

/// Select signals up to this wide become trees of multiplexers \[bits\].
const WIDEST_TREE: u32 = 12;

/// One instance of a module.
struct Context {
    module: Arc<Module>,
    /// Instance names from the top, each followed by `.`.
    path: String,
    /// The instance outside: its context and its number there.
    parent: Option<(usize, usize)>,
    /// Contexts of the instances inside.
    children: Vec<usize>,
    values: Vec<Option<NodeId>>,
    /// Position among the inputs, for signals that are inputs.
    input_at: Vec<Option<usize>>,
    memories: Vec<Option<usize>>,
}

struct Lowering {
    contexts: Vec<Context>,
    netlist: Netlist,
    reset: Option<NodeId>,
    /// Registers that are read and have no next value yet.
    registers: Vec<(usize, ir::RegisterId, NodeId)>,
    /// Clocked read ports that are read.
    reads: Vec<(usize, ir::MemoryId, usize, NodeId)>,
    /// Memories of which a word is read.
    memories: Vec<(usize, ir::MemoryId, usize)>,
}

/// The netlist of a module and all that it instantiates.
pub fn lower(top: &Arc<Module>) -> Netlist {
    let mut lowering = Lowering {
        contexts: Vec::new(),
        netlist: Netlist::default(),
        reset: None,
        registers: Vec::new(),
        reads: Vec::new(),
        memories: Vec::new(),
    };
    lowering.open(top, String::new(), None);
    if top.has_reset() {
        let reset = lowering.netlist.source(1);
        lowering.netlist.inputs.insert(RESET.to_owned(), reset);
        lowering.reset = Some(reset);
    }
    for (at, id) in top.inputs.iter().enumerate() {
        let node = top.node(*id);
        let source = lowering.netlist.source(node.ty.width);
        lowering.netlist.inputs.insert(node.name.clone().unwrap_or_default(), source);
        lowering.contexts[0].values[top.inputs[at].index()] = Some(source);
    }
    for output in &top.outputs {
        let node = lowering.ask(0, output.source);
        lowering.netlist.outputs.insert(output.name.clone(), node);
    }
    lowering.states();
    lowering.netlist
}

impl Lowering {
    fn open(
        &mut self,
        module: &Arc<Module>,
        path: String,
        parent: Option<(usize, usize)>,
    ) -> usize {
        let at = self.contexts.len();
        let mut input_at = vec![None; module.nodes.len()];
        for (position, id) in module.inputs.iter().enumerate() {
            input_at[id.index()] = Some(position);
        }
        self.contexts.push(Context {
            module: Arc::clone(module),
            path: path.clone(),
            parent,
            children: Vec::new(),
            values: vec![None; module.nodes.len()],
            input_at,
            memories: vec![None; module.memories.len()],
        });
        for (number, instance) in module.instances.iter().enumerate() {
            let path = format!("{path}{}.", instance.name);
            let child = self.open(&instance.module, path, Some((at, number)));
            self.contexts[at].children.push(child);
        }
        at
    }

    /// The node of a signal, after the nodes of all that it needs.
    fn ask(&mut self, context: usize, id: SignalId) -> NodeId {
        let mut work = vec![(context, id)];
        while let Some((context, id)) = work.last().copied() {
            if self.value(context, id).is_some() {
                work.pop();
                continue;
            }
            let needs = self.needs(context, id);
            let missing: Vec<_> =
                needs.iter().copied().filter(|(c, s)| self.value(*c, *s).is_none()).collect();
            if missing.is_empty() {
                let node = self.node(context, id, &needs);
                self.contexts[context].values[id.index()] = Some(node);
                self.name(context, id, node);
                work.pop();
            } else {
                work.extend(missing);
            }
        }
        self.value(context, id).expect("computed just now")
    }

    fn value(&self, context: usize, id: SignalId) -> Option<NodeId> {
        self.contexts[context].values[id.index()]
    }

    fn name(&mut self, context: usize, id: SignalId, node: NodeId) {
        let Context { module, path, .. } = &self.contexts[context];
        if let Some(name) = &module.node(id).name {
            let slot = &mut self.netlist.nodes[node.index()].name;
            if slot.is_none() {
                *slot = Some(format!("{path}{name}"));
            }
        }
    }

    /// The signals that one needs within the cycle, across the borders of instances.
    fn needs(&self, at: usize, id: SignalId) -> Vec<(usize, SignalId)> {
        let context = &self.contexts[at];
        let module = &context.module;
        match &module.node(id).op {
            ir::Op::Input => match (context.parent, context.input_at[id.index()]) {
                (Some((parent, number)), Some(port)) => {
                    let instance = &self.contexts[parent].module.instances[number];
                    vec![(parent, instance.inputs[port])]
                }
                _ => Vec::new(),
            },
            ir::Op::InstanceOutput(instance, port) => {
                let child = context.children[instance.index()];
                vec![(child, self.contexts[child].module.outputs[*port].source)]
            }
            ir::Op::MemoryRead(memory, port) => {
                let port = &module.memories[memory.index()].reads[*port];
                match port.timing {
                    ReadTiming::Asynchronous => vec![(at, port.address)],
                    ReadTiming::Synchronous { .. } => Vec::new(),
                }
            }
            op => op.operands().into_iter().map(|id| (at, id)).collect(),
        }
    }

    fn node(&mut self, at: usize, id: SignalId, needs: &[(usize, SignalId)]) -> NodeId {
        let module = Arc::clone(&self.contexts[at].module);
        let node = module.node(id);
        let width = node.ty.width;
        let values: Vec<NodeId> =
            needs.iter().filter_map(|(context, id)| self.value(*context, *id)).collect();
        let signed = |id: SignalId| module.ty(id).signed;
        let op = match &node.op {
            ir::Op::Input if needs.is_empty() => return self.netlist.source(width),
            ir::Op::Input | ir::Op::InstanceOutput(..) | ir::Op::Wire(_) => return values[0],
            ir::Op::Constant(bits) => return self.netlist.constant(bits.clone()),
            ir::Op::Register(register) => {
                let source = self.netlist.source(width);
                self.registers.push((at, *register, source));
                return source;
            }
            ir::Op::MemoryRead(memory, port) => {
                let number = self.memory(at, *memory);
                let counted = &mut self.netlist.memories[number];
                match module.memories[memory.index()].reads[*port].timing {
                    ReadTiming::Asynchronous => {
                        counted.asynchronous_reads += 1;
                        return self.netlist.build(Op::Read(number as u32), values, width);
                    }
                    ReadTiming::Synchronous { .. } => {
                        counted.clocked_reads += 1;
                        let source = self.netlist.source(width);
                        self.reads.push((at, *memory, *port, source));
                        return source;
                    }
                }
            }
            ir::Op::Unary(op, of) => match op {
                UnaryOp::Not => Op::Not,
                UnaryOp::All => Op::All,
                UnaryOp::Any => Op::Any,
                UnaryOp::Parity => Op::Parity,
                UnaryOp::Cast => return values[0],
                UnaryOp::Extend if signed(*of) => Op::SignExtend,
                UnaryOp::Extend => Op::ZeroExtend,
            },
            ir::Op::Binary(op, a, _) => match (op, signed(*a)) {
                (BinaryOp::Add, _) => Op::Add,
                (BinaryOp::Subtract, _) => Op::Subtract,
                (BinaryOp::Multiply, false) => Op::Multiply,
                (BinaryOp::Multiply, true) => Op::MultiplySigned,
                (BinaryOp::And, _) => Op::And,
                (BinaryOp::Or, _) => Op::Or,
                (BinaryOp::Xor, _) => Op::Xor,
                (BinaryOp::Equal, _) => Op::Equal,
                (BinaryOp::Less, false) => Op::Less,
                (BinaryOp::Less, true) => Op::LessSigned,
                (BinaryOp::ShiftLeft, _) => Op::ShiftLeft,
                (BinaryOp::ShiftRight, false) => Op::ShiftRight,
                (BinaryOp::ShiftRight, true) => Op::ShiftRightSigned,
            },
            ir::Op::Mux { .. } => Op::Mux,
            ir::Op::Case { arms, .. } => return self.case(arms, &values, width),
            ir::Op::Concat(_) => Op::Concat,
            ir::Op::Slice { low, .. } => Op::Slice(*low),
        };
        self.netlist.build(op, values, width)
    }

    /// A case, as a tree of multiplexers where most labels are used and as a chain otherwise.
    fn case(&mut self, arms: &[(Bits, SignalId)], values: &[NodeId], width: u32) -> NodeId {
        let (Some((select, rest)), Some(default)) = (values.split_first(), values.last()) else {
            return self.netlist.constant(Bits::zero(width));
        };
        let bits = self.netlist.width(*select);
        if bits <= WIDEST_TREE && arms.len() * 4 >= 1 << bits {
            let mut leaves = vec![*default; 1 << bits];
            for ((label, _), value) in arms.iter().zip(rest) {
                leaves[label.low() as usize] = *value;
            }
            for bit in 0..bits {
                let select = self.netlist.build(Op::Slice(bit), vec![*select], 1);
                let pairs = leaves.chunks(2).map(|pair| (pair[0], pair[1]));
                leaves = pairs
                    .map(|(zero, one)| self.netlist.build(Op::Mux, vec![select, one, zero], width))
                    .collect();
            }
            return leaves[0];
        }
        let mut chosen = *default;
        for ((label, _), value) in arms.iter().zip(rest).rev() {
            let label = self.netlist.constant(label.clone());
            let equal = self.netlist.build(Op::Equal, vec![*select, label], 1);
            chosen = self.netlist.build(Op::Mux, vec![equal, *value, chosen], width);
        }
        chosen
    }

    fn memory(&mut self, at: usize, id: ir::MemoryId) -> usize {
        if let Some(known) = self.contexts[at].memories[id.index()] {
            return known;
        }
        let number = self.netlist.memories.len();
        let context = &mut self.contexts[at];
        context.memories[id.index()] = Some(number);
        let memory = &context.module.memories[id.index()];
        self.netlist.memories.push(Memory {
            name: format!("{}{}", context.path, memory.name),
            width: memory.width,
            depth: memory.depth,
            style: memory.style,
            writes: Vec::new(),
            asynchronous_reads: 0,
            clocked_reads: 0,
        });
        self.memories.push((at, id, number));
        number
    }

    /// Next values of everything that is read, until nothing new is.
    fn states(&mut self) {
        loop {
            if let Some((at, register, output)) = self.registers.pop() {
                self.register(at, register, output);
            } else if let Some((at, memory, port, output)) = self.reads.pop() {
                self.clocked_read(at, memory, port, output);
            } else if let Some((at, memory, number)) = self.memories.pop() {
                self.writes(at, memory, number);
            } else {
                return;
            }
        }
    }

    fn register(&mut self, at: usize, register: ir::RegisterId, output: NodeId) {
        let module = Arc::clone(&self.contexts[at].module);
        let register = &module.registers[register.index()];
        let width = self.netlist.width(output);
        let data = self.ask(at, register.next);
        let mut value = data;
        if let Some(enable) = register.enable {
            let enable = self.ask(at, enable);
            value = self.netlist.build(Op::Mux, vec![enable, value, output], width);
        }
        if let (Some(bits), Some(reset)) = (&register.reset, self.reset) {
            let start = self.netlist.constant(bits.clone());
            value = self.netlist.build(Op::Mux, vec![reset, start, value], width);
        }
        self.netlist.states.push(State { output, next: Next::Node { value, data } });
    }

    fn clocked_read(&mut self, at: usize, id: ir::MemoryId, port: usize, output: NodeId) {
        let module = Arc::clone(&self.contexts[at].module);
        let port = &module.memories[id.index()].reads[port];
        let memory = self.memory(at, id);
        let address = self.ask(at, port.address);
        let enable = match port.timing {
            ReadTiming::Synchronous { enable: Some(enable) } => self.ask(at, enable),
            _ => self.netlist.constant(Bits::ones(1)),
        };
        self.netlist.states.push(State { output, next: Next::Read { memory, address, enable } });
    }

    fn writes(&mut self, at: usize, id: ir::MemoryId, number: usize) {
        let module = Arc::clone(&self.contexts[at].module);
        for port in &module.memories[id.index()].writes {
            let write = Write {
                address: self.ask(at, port.address),
                data: self.ask(at, port.data),
                enable: self.ask(at, port.enable),
            };
            self.netlist.memories[number].writes.push(write);
        }
    }
}
