//! Memories with two ports.

use std::sync::Arc;

use super::{width, within};
use crate::{
    ModuleBuilder, Signal,
    bits::index_width,
    error::Error,
    ir::{MemoryStyle, Module},
};

/// One write port and one clocked read port; a word written at the same edge is read as before.
///
/// Ports: `write_enable`, `write_address`, `write_data`, `read_enable`, `read_address`;
/// `read_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DualPortRam {
    /// Width of a word \[bits\].
    pub width: u32,
    /// Words, 2 to 1,048,576. Addresses beyond the end must not come.
    pub depth: u32,
    /// How to build it.
    pub style: MemoryStyle,
}

/// Two ports that each read or write a word per cycle. Both must not write one word at once.
///
/// Ports, after `a_` and `b_`: `enable`, `write`, `address`, `write_data`; `read_data`, which keeps
/// its value while the port writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrueDualPortRam {
    /// Width of a word \[bits\].
    pub width: u32,
    /// Words, 2 to 1,048,576. Addresses beyond the end must not come.
    pub depth: u32,
}

impl DualPortRam {
    /// The module `dual_port_ram_wWIDTH_dDEPTH`.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let name = format!("dual_port_ram_w{}_d{}", self.width, self.depth);
        let m = memory_module(&name, self.width, self.depth)?;
        m.doc("Memory with a write port and a clocked read port.");
        let address = index_width(self.depth.into());
        let write_enable = m.input("write_enable", 1);
        let write_address = m.input("write_address", address);
        let write_data = m.input("write_data", self.width);
        let read_enable = m.input("read_enable", 1);
        let read_address = m.input("read_address", address);
        let memory = m.memory("memory", self.width, self.depth, self.style);
        memory.write(&write_address, &write_data, &write_enable);
        let word = memory.read_clocked_when("word", &read_address, &read_enable);
        m.output("read_data", &word);
        m.finish()
    }
}

impl TrueDualPortRam {
    /// The module `true_dual_port_ram_wWIDTH_dDEPTH`.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let name = format!("true_dual_port_ram_w{}_d{}", self.width, self.depth);
        let m = memory_module(&name, self.width, self.depth)?;
        m.doc("Memory with two ports; each reads or writes a word per cycle.");
        let address = index_width(self.depth.into());
        let ports: Vec<[Signal; 4]> = ["a", "b"]
            .map(|port| {
                [
                    m.input(format!("{port}_enable"), 1),
                    m.input(format!("{port}_write"), 1).comment("Write, do not read."),
                    m.input(format!("{port}_address"), address),
                    m.input(format!("{port}_write_data"), self.width),
                ]
            })
            .to_vec();
        let memory = m.memory("memory", self.width, self.depth, MemoryStyle::Block);
        let mut words = Vec::new();
        for (port, [enable, write, address, data]) in ["a", "b"].iter().zip(&ports) {
            memory.write(address, data, &(enable & write));
            let read = enable & !write;
            words.push((port, memory.read_clocked_when(format!("word_{port}"), address, &read)));
        }
        for (port, word) in words {
            m.output(format!("{port}_read_data"), &word);
        }
        m.finish()
    }
}

fn memory_module(name: &str, word: u32, depth: u32) -> Result<ModuleBuilder, Error> {
    width(name, word)?;
    within(name, "depth", depth, (2, 1 << 20), "2 to 1048576 words")?;
    let m = ModuleBuilder::new(name);
    m.parameter("WIDTH", word);
    m.parameter("DEPTH", depth);
    m.latency("1 cycle");
    Ok(m)
}
