//! The `attelier` command line.
fn main() {}
