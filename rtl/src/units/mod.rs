//! Hardware units, one per file, named as in `attelier_hw` and in the simulator.

pub mod spatten;
