//! What a description must satisfy before anything is printed or run.

mod intermediate;
mod loops;
mod names;
mod reads;

pub use self::{loops::check as paths, names::counter, reads::ranges};

use crate::{
    error::Fault,
    ir::{Item, Module},
};

/// Checks a complete description and fills in what only a complete one knows.
pub fn check(mut module: Module, items: Vec<(usize, Item)>) -> Result<Module, Fault> {
    names::check(&module)?;
    if module.outputs.is_empty() {
        return Err(Fault::NoOutput);
    }
    let reached = reads::reached(&module);
    reads::refuse_unread_signals(&module, &reached)?;
    intermediate::name(&mut module, items, &reached);
    module.unread = reads::unread_bits(&module, &reached)?;
    module.paths = loops::check(&module)?;

    let memory = module.memories.iter().any(|memory| {
        let clocked = |read: &crate::ir::ReadPort| {
            matches!(read.timing, crate::ir::ReadTiming::Synchronous { .. })
        };
        !memory.writes.is_empty() || memory.reads.iter().any(clocked)
    });
    let inside = |has: fn(&Module) -> bool| module.instances.iter().any(|of| has(&of.module));
    module.clocked = !module.registers.is_empty() || memory || inside(Module::is_clocked);
    module.resets = module.registers.iter().any(|register| register.reset.is_some())
        || inside(Module::has_reset);
    Ok(module)
}
