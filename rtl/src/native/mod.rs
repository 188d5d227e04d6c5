//! Native execution: cycle by cycle, two-state, inside the calling program.
//!
//! A design is flattened, folded, ordered once and compiled to a list of instructions on 64-bit
//! words. A cycle has two phases: all values follow from inputs and state, then the clock edge
//! changes all state at once. Registers without reset and memories begin as zero, as do all others
//! until the first reset.

mod compile;
mod instruction;

use std::sync::Arc;

use indexmap::IndexMap;

use self::{
    compile::{Program, Slot, Step, compile},
    instruction::SMALL,
};
use crate::{
    bits::{Bits, words_for},
    design::Design,
    error::{Error, Fault},
    ir::RESET,
    netlist::{Netlist, Next, evaluate, lower},
};

/// A port of a simulator, for access without a look-up.
#[derive(Debug, Clone, Copy)]
pub struct Port {
    slot: Slot,
}

/// A clocked read port.
#[derive(Debug, Clone)]
struct ClockedRead {
    memory: usize,
    address: Slot,
    enable: u32,
    to: Slot,
}

/// A write port.
#[derive(Debug, Clone)]
struct Write {
    memory: usize,
    address: Slot,
    enable: u32,
    data: Slot,
}

#[derive(Debug, Clone)]
struct Memory {
    /// Words of 64 bits per memory word.
    words: usize,
    depth: u64,
    content: Vec<u64>,
}

/// Runs a design.
///
/// ```
/// use attelier_rtl::{Design, ModuleBuilder, Simulator};
///
/// let m = ModuleBuilder::new("counter");
/// let enable = m.input("enable", 1);
/// let count = m.register("count", 8);
/// m.update_when(&count, &enable, &count + 1);
/// m.output("value", &count);
/// let design = Design::new([&m.finish()?])?;
///
/// let mut simulator = Simulator::new(&design, "counter")?;
/// simulator.reset();
/// simulator.set("enable", 1)?;
/// simulator.step();
/// simulator.step();
/// assert_eq!(simulator.get("value")?, 2);
/// # Ok::<(), attelier_rtl::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Simulator {
    name: String,
    program: Program,
    inputs: IndexMap<String, Port>,
    outputs: IndexMap<String, Port>,
    reads: Vec<ClockedRead>,
    writes: Vec<Write>,
    memories: Vec<Memory>,
    /// What clocked reads show after the edge, one after the other.
    latched: Vec<u64>,
    /// Results of wide instructions before they are stored.
    scratch: Vec<u64>,
    settled: bool,
    cycle: u64,
}

impl Simulator {
    /// Compiles a module of a design.
    ///
    /// # Errors
    /// The design has no such module.
    pub fn new(design: &Design, top: &str) -> Result<Self, Error> {
        Ok(Self::of(top, &lower(&Arc::clone(design.module(top)?))))
    }

    fn of(name: &str, netlist: &Netlist) -> Self {
        let program = compile(netlist);
        let slot = |id: crate::netlist::NodeId| program.slots[id.index()];
        let ports = |ids: &IndexMap<String, crate::netlist::NodeId>| {
            ids.iter().map(|(name, id)| (name.clone(), Port { slot: slot(*id) })).collect()
        };
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for state in &netlist.states {
            if let Next::Read { memory, address, enable } = &state.next {
                reads.push(ClockedRead {
                    memory: *memory,
                    address: slot(*address),
                    enable: slot(*enable).at,
                    to: slot(state.output),
                });
            }
        }
        let mut memories = Vec::new();
        for (number, memory) in netlist.memories.iter().enumerate() {
            let words = words_for(memory.width);
            memories.push(Memory {
                words,
                depth: memory.depth.into(),
                content: vec![0; words * memory.depth as usize],
            });
            writes.extend(memory.writes.iter().map(|write| Write {
                memory: number,
                address: slot(write.address),
                enable: slot(write.enable).at,
                data: slot(write.data),
            }));
        }
        let widest = netlist.nodes.iter().map(|node| words_for(node.width)).max().unwrap_or(0);
        Self {
            name: name.to_owned(),
            inputs: ports(&netlist.inputs),
            outputs: ports(&netlist.outputs),
            scratch: vec![0; widest],
            latched: vec![0; reads.iter().map(|port| port.to.range().len()).sum()],
            reads,
            writes,
            memories,
            program,
            settled: false,
            cycle: 0,
        }
    }

    /// Clock edges so far.
    pub fn cycle(&self) -> u64 {
        self.cycle
    }

    /// Number of instructions per cycle.
    pub fn instructions(&self) -> usize {
        self.program.steps.iter().map(Step::len).sum()
    }

    /// An input port.
    ///
    /// # Errors
    /// No such input.
    pub fn input(&self, name: &str) -> Result<Port, Error> {
        self.find("input", name, &self.inputs)
    }

    /// An output port.
    ///
    /// # Errors
    /// No such output.
    pub fn output(&self, name: &str) -> Result<Port, Error> {
        self.find("output", name, &self.outputs)
    }

    fn find(
        &self,
        kind: &'static str,
        name: &str,
        ports: &IndexMap<String, Port>,
    ) -> Result<Port, Error> {
        ports.get(name).copied().ok_or_else(|| {
            Error::new(
                self.name.clone(),
                Fault::Unknown {
                    kind,
                    name: name.to_owned(),
                    known: ports.keys().cloned().collect(),
                },
            )
        })
    }

    /// Sets an input to the lowest bits of `value`.
    ///
    /// # Errors
    /// No such input.
    pub fn set(&mut self, input: &str, value: u64) -> Result<(), Error> {
        let port = self.input(input)?;
        self.write(port, value);
        Ok(())
    }

    /// Sets an input of any width.
    ///
    /// # Errors
    /// No such input.
    pub fn set_bits(&mut self, input: &str, value: &Bits) -> Result<(), Error> {
        let port = self.input(input)?;
        self.write_bits(port, value);
        Ok(())
    }

    /// The lowest 64 bits of an output.
    ///
    /// # Errors
    /// No such output.
    pub fn get(&mut self, output: &str) -> Result<u64, Error> {
        let port = self.output(output)?;
        Ok(self.read(port))
    }

    /// An output of any width.
    ///
    /// # Errors
    /// No such output.
    pub fn get_bits(&mut self, output: &str) -> Result<Bits, Error> {
        let port = self.output(output)?;
        Ok(self.read_bits(port))
    }

    /// Sets an input to the lowest bits of `value`.
    pub fn write(&mut self, input: Port, value: u64) {
        if input.slot.width <= 64 {
            let value = value & crate::bits::mask(input.slot.width);
            self.program.values[input.slot.at as usize] = value;
            self.settled = false;
        } else {
            self.write_bits(input, &Bits::new(value, input.slot.width));
        }
    }

    /// Sets an input of any width.
    pub fn write_bits(&mut self, input: Port, value: &Bits) {
        let value = Bits::from_words(value.words(), input.slot.width);
        self.program.values[input.slot.range()].copy_from_slice(value.words());
        self.settled = false;
    }

    /// The lowest 64 bits of an output.
    pub fn read(&mut self, output: Port) -> u64 {
        self.settle();
        self.program.values[output.slot.at as usize]
    }

    /// An output of any width.
    pub fn read_bits(&mut self, output: Port) -> Bits {
        self.settle();
        Bits::from_words(&self.program.values[output.slot.range()], output.slot.width)
    }

    /// All values of the design as they are now, for [`Simulator::switched`].
    pub fn snapshot(&mut self) -> Vec<u64> {
        self.settle();
        self.program.values.clone()
    }

    /// Bits that differ from `before`, which then is the present: a measure of switching without the
    /// glitches inside a cycle. Contents of memories do not count, what is read and written does.
    ///
    /// # Panics
    /// `before` is of another design.
    pub fn switched(&mut self, before: &mut [u64]) -> u64 {
        self.settle();
        let pairs = before.iter().zip(&self.program.values);
        let bits = pairs.map(|(old, new)| u64::from((old ^ new).count_ones())).sum();
        before.copy_from_slice(&self.program.values);
        bits
    }

    /// One clock edge with the reset held; nothing where the design has no reset.
    pub fn reset(&mut self) {
        if let Some(reset) = self.inputs.get(RESET).copied() {
            self.write(reset, 1);
            self.step();
            self.write(reset, 0);
        }
    }

    /// One clock edge.
    pub fn step(&mut self) {
        self.settle();
        let v = &mut self.program.values;
        // Clocked reads see their address before the edge and the word before the write.
        let mut at = 0;
        for port in &self.reads {
            let to = &mut self.latched[at..at + port.to.range().len()];
            at += to.len();
            if v[port.enable as usize] == 1 {
                match self.memories[port.memory].at(address_of(v, port.address)) {
                    Some(word) => to.copy_from_slice(word),
                    None => to.fill(0),
                }
            } else {
                to.copy_from_slice(&v[port.to.range()]);
            }
        }
        for port in &self.writes {
            if v[port.enable as usize] == 1 {
                let address = address_of(v, port.address);
                self.memories[port.memory].store(address, &v[port.data.range()]);
            }
        }
        let registers = self.program.registers;
        v.copy_within(registers..2 * registers, 0);
        let mut at = 0;
        for port in &self.reads {
            let to = &mut v[port.to.range()];
            to.copy_from_slice(&self.latched[at..at + to.len()]);
            at += to.len();
        }
        self.settled = false;
        self.cycle += 1;
    }

    /// Computes all values from inputs and state.
    fn settle(&mut self) {
        if self.settled {
            return;
        }
        self.settled = true;
        let v = &mut self.program.values[..];
        for step in &self.program.steps {
            match step {
                Step::Small(batch) => {
                    if let Some(v) = v.first_chunk_mut::<SMALL>() {
                        instruction::run(batch.kind, &batch.instructions, v);
                    }
                }
                Step::Large(batch) => instruction::run(batch.kind, &batch.instructions, v),
                Step::Read { memory, address, to } => {
                    let memory = &self.memories[*memory];
                    let word = memory.at(address_of(v, *address));
                    let to = &mut v[to.range()];
                    match word {
                        Some(word) => to.copy_from_slice(word),
                        None => to.fill(0),
                    }
                }
                Step::Wide(operation) => wide(operation, v, &mut self.scratch),
            }
        }
    }
}

/// One operation on values above 64 bits.
fn wide(wide: &compile::Wide, v: &mut [u64], scratch: &mut [u64]) {
    let out = &mut scratch[..words_for(wide.to.width)];
    let operands: Vec<(&[u64], u32)> =
        wide.operands.iter().map(|slot| (&v[slot.range()], slot.width)).collect();
    evaluate(&wide.op, &operands, wide.to.width, out);
    v[wide.to.range()].copy_from_slice(out);
}

/// An address, all ones where it needs more than 64 bits.
fn address_of(v: &[u64], slot: Slot) -> u64 {
    match &v[slot.range()] {
        [low] => *low,
        _ => u64::MAX,
    }
}

impl Memory {
    /// Word `address`; none beyond the end.
    fn at(&self, address: u64) -> Option<&[u64]> {
        if address >= self.depth {
            return None;
        }
        let first = address as usize * self.words;
        self.content.get(first..first + self.words)
    }

    fn store(&mut self, address: u64, word: &[u64]) {
        if address < self.depth {
            let first = address as usize * self.words;
            self.content[first..first + self.words].copy_from_slice(word);
        }
    }
}
