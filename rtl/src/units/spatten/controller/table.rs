//! What the controller keeps about the jobs inside: small memories, written on admission, each with
//! the fields that one reader needs.

use crate::{MemoryBuilder, ModuleBuilder, Signal, ir::MemoryStyle};

/// One memory of fields, a word per job.
pub(super) struct Table<'a> {
    memory: MemoryBuilder<'a>,
    widths: Vec<u32>,
}

impl<'a> Table<'a> {
    /// A memory of `places` words into which `fields` go at `at` where `write` is 1.
    pub fn new(
        m: &'a ModuleBuilder,
        name: &str,
        places: u32,
        (write, at): (&Signal, &Signal),
        fields: &[&Signal],
    ) -> Self {
        let word = m.wire(format!("{name}_entry"), &m.concat(fields.iter().copied()));
        let memory =
            m.memory(format!("{name}_table"), word.width(), places, MemoryStyle::Distributed);
        memory.write(at, &word, write);
        Self { memory, widths: fields.iter().map(|field| field.width()).collect() }
    }

    /// The fields of job `job`, in the order in which they were written, as a word called `name`.
    pub fn read(&self, name: &str, job: &Signal) -> Vec<Signal> {
        let word = self.memory.read(name, job);
        let mut high = word.width();
        let field = |width: &u32| {
            high -= width;
            word.bits(high..high + width)
        };
        self.widths.iter().map(field).collect()
    }
}

/// One bit per job, set and cleared by number.
pub(super) fn flags(
    m: &ModuleBuilder,
    name: &str,
    places: u32,
    (set, set_at): (&Signal, &Signal),
    (clear, clear_at): (&Signal, &Signal),
) -> Signal {
    let flags = m.register(name, places);
    let one = m.constant(1, places);
    let sets = m.wire(format!("{name}_set"), &set.gate(&(&one << set_at)));
    let clears = m.wire(format!("{name}_cleared"), &clear.gate(&(&one << clear_at)));
    m.update(&flags, (&flags & !clears) | sets);
    flags
}

/// The flag of job `job`.
pub(super) fn flag(m: &ModuleBuilder, name: &str, flags: &Signal, job: &Signal) -> Signal {
    let shifted = m.wire(name, &(flags >> job));
    m.discard(&shifted);
    shifted.bit(0)
}
