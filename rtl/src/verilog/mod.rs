//! Verilog-2005, written to be read.
//!
//! One file per module. Text depends on nothing but the module, so that a difference between two
//! emissions means a change.

mod body;
mod expression;
mod header;
mod layout;

use crate::ir::Module;

/// A file of a design.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// File name: module name and `.v`.
    pub name: String,
    /// Content.
    pub text: String,
}

/// The Verilog of one module, without the modules it instantiates.
pub fn print(module: &Module) -> SourceFile {
    let mut text = String::new();
    header::print(&mut text, module);
    text.push_str("`default_nettype none\n\n");
    body::print(&mut text, module);
    text.push_str("\n`default_nettype wire\n");
    SourceFile { name: format!("{}.v", module.name()), text }
}
