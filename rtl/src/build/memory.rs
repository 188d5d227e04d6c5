//! Memories.

use super::{ModuleBuilder, Signal};
use crate::{
    bits::index_width,
    error::Fault,
    ir::{Item, Memory, MemoryId, MemoryStyle, Op, ReadPort, ReadTiming, Type, WritePort},
};

/// A memory under construction: gets its ports.
pub struct MemoryBuilder<'a> {
    module: &'a ModuleBuilder,
    id: MemoryId,
    width: u32,
    address_width: u32,
    name: String,
}

impl ModuleBuilder {
    /// A memory of `depth` words of `width` bits, all zero at power-up.
    ///
    /// Addresses are as wide as the depth needs. Where the depth is no power of two the design
    /// must not address words beyond the end.
    pub fn memory(
        &self,
        name: impl Into<String>,
        width: u32,
        depth: u32,
        style: MemoryStyle,
    ) -> MemoryBuilder<'_> {
        let name = name.into();
        if depth < 2 {
            self.draft.fault(Fault::Parameter {
                parameter: "memory depth",
                value: depth.into(),
                expected: "at least 2 words",
            });
        }
        let (writes, reads) = (Vec::new(), Vec::new());
        let memory =
            Memory { name: name.clone(), width, depth, style, writes, reads, comment: None };
        let id = self.draft.with(|contents| {
            let id = MemoryId(contents.module.memories.len() as u32);
            contents.module.memories.push(memory);
            id
        });
        self.draft.item(Item::Memory(id));
        let address_width = index_width(depth.into());
        MemoryBuilder { module: self, id, width, address_width, name }
    }
}

impl MemoryBuilder<'_> {
    /// Explains the memory to the reader of the Verilog.
    #[must_use]
    pub fn comment(self, text: impl Into<String>) -> Self {
        self.module.draft.with(|contents| {
            contents.module.memories[self.id.index()].comment = Some(text.into());
        });
        self
    }

    /// Writes `data` to word `address` at the next edge where `enable` is 1.
    pub fn write(&self, address: &Signal, data: &Signal, enable: &Signal) {
        let address = self.of_width("memory address", address, self.address_width);
        let data = self.of_width("memory data", data, self.width);
        let enable = self.module.one_bit("memory enable", enable);
        let port = WritePort { address: address.id, data: data.id, enable: enable.id };
        self.module.draft.with(|contents| {
            contents.module.memories[self.id.index()].writes.push(port);
        });
        self.module.draft.extend_item(&Item::Memory(self.id));
    }

    /// The word at `address`, in the same cycle.
    #[must_use]
    pub fn read(&self, name: impl Into<String>, address: &Signal) -> Signal {
        self.read_port(name.into(), address, ReadTiming::Asynchronous)
    }

    /// The word at `address`, one cycle later.
    #[must_use]
    pub fn read_clocked(&self, name: impl Into<String>, address: &Signal) -> Signal {
        self.read_port(name.into(), address, ReadTiming::Synchronous { enable: None })
    }

    /// The word at `address` as of the last edge at which `enable` was 1.
    #[must_use]
    pub fn read_clocked_when(
        &self,
        name: impl Into<String>,
        address: &Signal,
        enable: &Signal,
    ) -> Signal {
        let enable = Some(self.module.one_bit("memory enable", enable).id);
        self.read_port(name.into(), address, ReadTiming::Synchronous { enable })
    }

    fn read_port(&self, name: String, address: &Signal, timing: ReadTiming) -> Signal {
        let address = self.of_width("memory address", address, self.address_width);
        let draft = &self.module.draft;
        let output = draft.node(Type::unsigned(self.width), Op::Input, Some(name));
        draft.with(|contents| {
            let memory = &mut contents.module.memories[self.id.index()];
            contents.module.nodes[output.id.index()].op =
                Op::MemoryRead(self.id, memory.reads.len());
            memory.reads.push(ReadPort { address: address.id, output: output.id, timing });
        });
        draft.extend_item(&Item::Memory(self.id));
        output
    }

    fn of_width(&self, operation: &'static str, signal: &Signal, width: u32) -> Signal {
        let signal = self.module.draft.own(signal);
        if signal.width() != width {
            self.module.draft.fault(Fault::Widths {
                operation,
                left: self.module.draft.describe(signal.id),
                left_width: signal.width(),
                right: self.name.clone(),
                right_width: width,
            });
        }
        signal
    }
}
