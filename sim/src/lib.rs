//! When it happens: the simulation kernel, hardware units and designs.

pub mod observe;
pub mod result;
