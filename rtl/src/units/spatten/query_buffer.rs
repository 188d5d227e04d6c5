//! Query buffer: queries come on a stream, one per job, and stay until their job has left.

use std::sync::Arc;

use attelier_hw::spatten::Spatten;

use super::{sizes::Sizes, widths::check_word};
use crate::{
    Error, ModuleBuilder, Signal,
    ir::{MemoryStyle, Module},
};

/// Width of an element on a stream \[bits\].
pub(super) const ELEMENT_BITS: u32 = 16;

/// The buffer.
///
/// # Errors
/// Vectors above 4096 bits.
pub fn query_buffer(params: &Spatten) -> Result<Arc<Module>, Error> {
    let name = "query_buffer";
    let word = check_word(name, params)?;
    let Sizes { jobs, job_bits, .. } = Sizes::of(params)?;
    let m = ModuleBuilder::new(name);
    m.doc("Queries in the order of the jobs, a vector of HEAD_DIM elements of 16 bits per beat; a word is in");
    m.doc("the lowest bits of its element. The query of job `read_job` shows in the same cycle.");
    m.parameter("JOBS", jobs);
    m.parameter("HEAD_DIM", params.head_dim);
    m.parameter("DATAPATH_BITS", word);
    m.latency("a query can be read in the cycle after it came");
    let valid = m.input("s_axis_tvalid", 1);
    let data = m.input("s_axis_tdata", params.head_dim * ELEMENT_BITS);
    m.discard(&data);
    let read_job = m.input("read_job", job_bits);
    let leave = m.input("leave_valid", 1).comment("A job has left.");
    let leave_job = m.input("leave_job", job_bits);

    let next = m.register("next_job", job_bits).comment("Job whose query comes next.");
    let held = m.register("held", jobs).comment("Jobs whose query is here.");
    let of = |name: &str, job: &Signal| {
        let shifted = m.wire(format!("held_from_{name}"), &(&held >> job));
        m.discard(&shifted);
        shifted.bit(0)
    };
    let ready = m.wire("ready", &!of("next", &next));
    let takes = m.wire("takes", &(&valid & &ready));
    m.update_when(&next, &takes, &next + 1);
    let one = m.constant(1, jobs);
    let set = m.wire("set", &takes.gate(&(&one << &next)));
    let cleared = m.wire("cleared", &leave.gate(&(&one << &leave_job)));
    m.update(&held, (&held & !cleared) | set);
    let words: Vec<Signal> =
        data.lanes(params.head_dim).iter().map(|element| element.bits(0..word)).collect();
    let words = m.wire("words", &m.pack(&words));
    let memory = m.memory("query_memory", words.width(), jobs, MemoryStyle::Distributed);
    memory.write(&next, &words, &takes);
    m.output("s_axis_tready", &ready);
    m.output_for("query_valid", &of("read", &read_job), "The query of `read_job` is here.");
    m.output("query", &memory.read("read_query", &read_job));
    m.finish()
}
