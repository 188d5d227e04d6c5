//! Command-level DRAM simulation.

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
pub mod stats;
pub mod timing;
pub mod trace;

pub use channel::Channel;
pub use device::Device;
pub use mapping::{AddressMapping, Location};
pub use memory::{ClockRatio, Memory};
pub use organization::Organization;
pub use request::{Completion, Op};
