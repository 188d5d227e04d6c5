//! FIFO queue with a registered output.

use std::sync::Arc;

use super::{StreamIn, StreamOut, width, within};
use crate::{
    ModuleBuilder, Signal,
    bits::index_width,
    error::Error,
    ir::{MemoryStyle, Module},
};

/// Words up to which the queue is kept in look-up tables.
const DISTRIBUTED_WORDS: u32 = 64;

/// A queue. Ports: stream `s_axis` in, stream `m_axis` out, `level`.
///
/// The oldest beat waits in a register, the others in a memory: look-up tables up to 64 words,
/// block RAM above. Full throughput; a beat is offered one cycle after it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fifo {
    /// Width of a beat \[bits\].
    pub width: u32,
    /// Capacity \[beats\], 3 to 65,536.
    pub depth: u32,
}

impl Fifo {
    /// The module `fifo_wWIDTH_dDEPTH`.
    ///
    /// # Errors
    /// A parameter outside its range.
    pub fn build(&self) -> Result<Arc<Module>, Error> {
        let name = format!("fifo_w{}_d{}", self.width, self.depth);
        width(&name, self.width)?;
        within(&name, "depth", self.depth, (3, 1 << 16), "3 to 65536 beats")?;
        let words = self.depth - 1;
        let m = ModuleBuilder::new(name);
        m.doc("FIFO queue. The oldest beat waits in a register, the others in a memory.");
        m.parameter("WIDTH", self.width);
        m.parameter("DEPTH", self.depth);
        m.latency("a beat is offered 1 cycle after it was taken; 1 beat per cycle");

        let input = StreamIn::new(&m, "s_axis", self.width);
        let output = StreamOut::new(&m, "m_axis");
        let address = index_width(words.into());
        let count_width = index_width(u64::from(words) + 1);
        let head = m.register("head", address).comment("Word that leaves next.");
        let tail = m.register("tail", address).comment("Word that is written next.");
        let count = m.register("count", count_width).comment("Words in the memory.");
        let valid = m.register("output_valid", 1).comment("The output register holds a beat.");

        m.section("what moves in this cycle");
        let ready = m.wire("input_ready", &count.ne(u64::from(words)));
        let push = m.wire("push", &(&input.valid & &ready));
        let free = m.wire("output_free", &(&output.ready | !&valid));
        let empty = m.wire("memory_empty", &count.eq(0));
        let store = m.wire("store", &(&push & !(&empty & &free))).comment("Into the memory.");
        let take = m.wire("take", &(&free & !&empty)).comment("Out of the memory.");
        let bypass = m.wire("bypass", &(&push & &empty & &free)).comment("Past the memory.");

        m.section("state");
        m.update_when(&head, &take, next_word(&head, words));
        m.update_when(&tail, &store, next_word(&tail, words));
        let change = store.ne(&take);
        m.update_when(&count, &change, store.mux(&(&count + 1), &count - 1));
        m.update_when(&valid, &free, &take | &bypass);

        m.section("memory and output register");
        let data = if words <= DISTRIBUTED_WORDS {
            let memory = m.memory("memory", self.width, words, MemoryStyle::Distributed);
            memory.write(&tail, &input.data, &store);
            let oldest = memory.read("oldest", &head);
            m.pipe_when("output_data", &(&take | &bypass), &take.mux(&oldest, &input.data))
        } else {
            let memory = m.memory("memory", self.width, words, MemoryStyle::Block);
            memory.write(&tail, &input.data, &store);
            let oldest = memory.read_clocked_when("oldest", &head, &take);
            let passed = m.pipe_when("passed", &bypass, &input.data);
            let from_memory = m.pipe_when("from_memory", &(&take | &bypass), &take);
            m.wire("output_data", &from_memory.mux(&oldest, &passed))
        };
        let level_width = index_width(u64::from(self.depth) + 1);
        let level = count.extend(level_width) + valid.extend(level_width);
        input.ready(&m, &ready);
        output.offer(&m, &valid, &data);
        m.output_for("level", &level, "Beats inside.");
        m.finish()
    }
}

/// The word after `at` in a ring.
fn next_word(at: &Signal, words: u32) -> Signal {
    if words.is_power_of_two() { at + 1 } else { at.ne(u64::from(words - 1)).gate(&(at + 1)) }
}
