//! Command-level, event-driven DRAM simulation.
//!
//! * Devices are data: organisation, timings under their JEDEC names, rules, currents, each number
//!   with its source ([`Device`], `devices/*.toml`).
//! * Timing rules are a table of (scope, preceding, following, distance, window, sibling)
//!   ([`constraint`]), interpreted by one engine ([`engine`]).
//! * Two published controllers are policies on that engine ([`policy`]): queues with an active list
//!   as in Ramulator 2, and per-bank queues as in DRAMsim3. [`case::run_case`] reproduces their
//!   command traces.
//! * [`Memory`] puts several channels behind a core clock for a streaming accelerator;
//!   [`sequencer`] issues the commands of in-memory designs under the same tables.
//! * Statistics ([`stats`]), energy ([`energy`]), command traces ([`trace`]) and waveforms
//!   ([`wave`]) come from the commands issued.
//!
//! Ignored: power-down and self-refresh entry, on-die ECC, read training, command parity; data are
//! not stored. The model reads no clock and does no input or output except through `io::Read`,
//! `io::Write` and the case folders of the `files` feature.
//!
//! # Example
//!
//! Stream 4 KiB from one channel of SpAtten's HBM2, one 32-byte read per core cycle:
//!
//! ```
//! use attelier_dram::{ClockRatio, Device, Memory, Op};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = Device::builtin("spatten-hbm2")?;
//! let ratio = ClockRatio::new(1, 1)?;
//! let mut memory = Memory::new(&device, &device.default_controller(), ratio)?;
//! let (mut next, mut done) = (0, 0);
//! while done < 128 {
//!     if next < 128 && memory.can_accept(0, Op::Read) {
//!         memory.submit_to(0, Op::Read, next * 32, next)?;
//!         next += 1;
//!     }
//!     let core = if next < 128 { memory.now() + 1 } else { memory.next_event().unwrap_or(0) };
//!     memory.advance_to(core, &mut ());
//!     while memory.pop_completion(0).is_some() {
//!         done += 1;
//!     }
//! }
//! assert!(memory.now() < 200);
//! # Ok(())
//! # }
//! ```

// Field docs give units in brackets, which rustdoc would take for links.
#![allow(rustdoc::broken_intra_doc_links)]

pub mod case;
pub mod channel;
pub mod command;
pub mod constraint;
pub mod device;
pub mod energy;
pub mod engine;
pub mod error;
pub mod mapping;
pub mod memory;
pub mod organization;
pub mod policy;
mod request;
pub mod residency;
mod rules;
pub mod sequencer;
pub mod stats;
pub mod timing;
pub mod trace;
pub mod wave;

pub use channel::Channel;
pub use device::Device;
pub use mapping::{AddressMapping, Location};
pub use memory::{ClockRatio, Memory};
pub use organization::Organization;
pub use request::{Completion, Op};
pub use sequencer::Sequencer;
