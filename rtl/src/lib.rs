//! Register-transfer level: hardware described in Rust, printed as Verilog-2005, run natively.
//!
//! * [`ModuleBuilder`] and [`Signal`] describe a module; [`ModuleBuilder::finish`] checks it.
//! * [`Design`] collects a module and what it instantiates, and prints one Verilog file for each.
//! * [`Simulator`] runs a design inside the calling program.
//! * [`witness`] compares a design with a model, cycle by cycle: natively, under Verilator and under
//!   Icarus. [`mutate`] gives designs that such a comparison must refuse.
//! * `bench` compares native execution with Verilog simulators.
//!
//! # Example
//!
//! The larger of two numbers, one cycle later:
//!
//! ```
//! use attelier_rtl::{Design, ModuleBuilder, Simulator};
//!
//! let m = ModuleBuilder::new("larger");
//! m.doc("The larger of two numbers.");
//! m.latency("1 cycle");
//! let (a, b) = (m.input("a", 12), m.input("b", 12));
//! let a_wins = m.wire("a_wins", &a.gt(&b)).comment("First comparator.");
//! let larger = m.pipe("larger_of_both", &a_wins.mux(&a, &b));
//! m.output("y", &larger);
//! let design = Design::new([&m.finish()?])?;
//!
//! let mut simulator = Simulator::new(&design, "larger")?;
//! simulator.set("a", 7)?;
//! simulator.set("b", 2000)?;
//! simulator.step();
//! assert_eq!(simulator.get("y")?, 2000);
//!
//! let verilog = &design.verilog()[0].text;
//! assert!(verilog.contains("wire a_wins = b < a;"));
//! assert!(verilog.contains("larger_of_both <= a_wins ? a : b;"));
//! # Ok::<(), attelier_rtl::Error>(())
//! ```
//!
//! # What is checked
//!
//! [`ModuleBuilder::finish`] refuses, with the module and the signal: operands of unequal widths or
//! signedness, widths outside 1 to 4096 bits, bits that do not exist, literals that do not fit;
//! wires, registers and instance inputs with no driver or two; inputs, wires and single bits that
//! nothing reads, unless [`ModuleBuilder::discard`] says so; combinational loops, also through
//! instances; names that are illegal, reserved or given twice.

#[cfg(feature = "bench")]
pub mod bench;
pub mod bits;
pub mod blocks;
mod build;
mod check;
mod design;
mod error;
pub mod estimate;
pub mod ir;
pub mod mutate;
mod native;
pub mod netlist;
pub mod units;
pub mod verilog;
pub mod witness;
mod words;

pub use self::{
    build::{InstanceBuilder, MemoryBuilder, ModuleBuilder, Operand, Signal},
    design::Design,
    error::{Error, Fault},
    native::{Port, Simulator},
};
