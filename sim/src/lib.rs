//! When it happens and with which bits: the simulation kernel, hardware units and designs.
//!
//! * [`kernel`]: cycles, streams, pipelines, activity counters and the run loop.
//! * [`datapath`]: the bits that units hold, exact to the last.
//! * [`units`]: one hardware unit per file, named as in `attelier_hw`.
//! * [`designs`]: whole accelerators, built from units.
//! * [`deviation`]: how far numbers are from references.
//! * [`energy`]: what a run costs, from its counts.
//! * [`observe`], [`result`]: what a run tells while it goes and after it ended.
//!
//! Nothing here reads a clock, performs input or output, or iterates a hash map: the same
//! parameters, workload and seed give the same cycles, statistics and events.

pub mod datapath;
pub mod designs;
pub mod deviation;
pub mod energy;
pub mod kernel;
pub mod observe;
pub mod result;
pub mod units;
