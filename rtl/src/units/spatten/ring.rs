//! A queue in a memory: write and read pointers that run around it.

use crate::{MemoryBuilder, ModuleBuilder, Signal, bits::index_width, ir::MemoryStyle};

/// Pointers into memories of a power of two of words. One more bit than an address needs tells a
/// full queue from an empty one.
pub(in crate::units) struct Ring {
    name: String,
    address_bits: u32,
    /// Where the next item goes.
    pub write: Signal,
    /// Where the oldest item is.
    pub read: Signal,
}

impl Ring {
    /// Pointers for at least `depth` items.
    pub fn new(m: &ModuleBuilder, name: impl Into<String>, depth: u32) -> Self {
        let name = name.into();
        let address_bits = index_width(depth.into());
        let write = m.register(format!("{name}_write"), address_bits + 1);
        let read = m.register(format!("{name}_read"), address_bits + 1);
        Self { name, address_bits, write, read }
    }

    /// Width of a pointer \[bits\].
    pub fn pointer_bits(&self) -> u32 {
        self.address_bits + 1
    }

    /// The place that a pointer points at.
    pub fn address(&self, pointer: &Signal) -> Signal {
        pointer.bits(0..self.address_bits)
    }

    /// One bit: there is an item.
    pub fn has_item(&self, m: &ModuleBuilder) -> Signal {
        m.wire(format!("{}_has_item", self.name), &self.write.ne(&self.read))
    }

    /// One bit: fewer than `depth` items.
    pub fn has_room(&self, m: &ModuleBuilder, depth: u32) -> Signal {
        let level = m.wire(format!("{}_level", self.name), &(&self.write - &self.read));
        m.wire(format!("{}_has_room", self.name), &level.lt(u64::from(depth)))
    }

    /// Moves the write pointer with `push`, the read pointer with `pop`.
    pub fn advance(&self, m: &ModuleBuilder, push: &Signal, pop: &Signal) {
        m.update_when(&self.write, push, &self.write + 1);
        m.update_when(&self.read, pop, &self.read + 1);
    }

    /// A memory of one word per item into which `value` goes with `push`.
    pub fn memory<'a>(
        &self,
        m: &'a ModuleBuilder,
        name: &str,
        style: MemoryStyle,
        push: &Signal,
        value: &Signal,
    ) -> MemoryBuilder<'a> {
        let memory =
            m.memory(format!("{name}_memory"), value.width(), 1 << self.address_bits, style);
        memory.write(&self.address(&self.write), &value.as_unsigned(), push);
        memory
    }

    /// What the oldest item holds, in the same cycle: a small memory with `value` written to it.
    pub fn oldest(&self, m: &ModuleBuilder, name: &str, push: &Signal, value: &Signal) -> Signal {
        let memory = self.memory(m, name, MemoryStyle::Distributed, push, value);
        let word = memory.read(name, &self.address(&self.read));
        if value.ty().signed { word.as_signed() } else { word }
    }
}
