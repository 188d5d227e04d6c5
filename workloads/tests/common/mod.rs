//! What the tests of models share.
#![allow(dead_code, reason = "each test program uses a part")]

pub mod python;
pub mod tiny;
