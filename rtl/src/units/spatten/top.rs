//! The machine with its bus interfaces: `spatten`. AXI4-Lite for control, AXI4-Stream for queries and
//! results, one AXI4 read port per memory channel.

use std::sync::Arc;

use attelier_hw::spatten::Spatten;

use super::{
    controller::job_fields,
    core::spatten_core,
    query_buffer::ELEMENT_BITS,
    quick_select::fit,
    sizes::{ADDRESS_BITS, ID_BITS},
};
use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    blocks::{AxiLiteRegisters, Fifo},
    ir::Module,
};

/// Jobs that wait for admission.
pub const QUEUED_JOBS: u32 = 64;

/// Control register that lets jobs go: bit 0.
pub const ENABLE: u32 = 0;

/// Control register of the first field of a job; the others follow, then the one that submits it.
pub const FIRST_FIELD: u32 = 1;

/// Width of a register \[bits\].
const REGISTER_BITS: u32 = 32;

/// Status words behind the control registers: results taken; state.
pub const STATUSES: u32 = 2;

/// The register that submits a job when it is written, whatever the value.
///
/// # Errors
/// As [`job_fields`].
pub fn submit_register(params: &Spatten) -> Result<u32, Error> {
    Ok(FIRST_FIELD + job_fields(params)?.len() as u32)
}

/// The machine.
///
/// # Errors
/// As [`spatten_core`].
pub fn spatten(params: &Spatten) -> Result<Arc<Module>, Error> {
    let fields = job_fields(params)?;
    let submit = submit_register(params)?;
    let m = ModuleBuilder::new("spatten");
    m.doc("SpAtten with its bus interfaces. AXI4-Lite registers (32 bits):");
    m.doc("0: bit 0 lets queued jobs go;");
    for (at, field) in (FIRST_FIELD..).zip(&fields) {
        let (name, width) = (field.name, field.width);
        let meaning =
            if field.meaning.is_empty() { String::new() } else { format!(": {}", field.meaning) };
        m.doc(format!("{at}: job field {name} ({width} bits){meaning}"));
    }
    m.doc(format!("{submit}: a write queues a job of the fields, if fewer than QUEUED_JOBS wait;"));
    m.doc(format!("{} (read only): results taken;", submit + 1));
    m.doc(format!(
        "{} (read only): bit 0 idle, bit 1 a job was lost, bit 2 a read failed,",
        submit + 2
    ));
    m.doc("bits 31..16 queued jobs. Queries and results are streams of one vector per beat, an element in 16");
    m.doc("bits. Every read is one beat of TRANSACTION_BYTES.");
    m.parameter("HEAD_DIM", params.head_dim);
    m.parameter("CHANNELS", params.memory.channels);
    m.parameter("TRANSACTION_BYTES", params.memory.transaction_bytes);
    m.parameter("QUEUED_JOBS", QUEUED_JOBS);
    m.latency("a job can be admitted 2 cycles after it was submitted; inside as `spatten_core`");

    m.section("registers");
    let block = AxiLiteRegisters { controls: submit + 1, statuses: STATUSES };
    let module = block.build()?;
    let registers = m.instance("registers", &module);
    for (port, ty) in module.inputs().filter(|(port, _)| port.starts_with("s_axi_")) {
        registers.input(port, m.input(port, ty));
    }
    for (port, _) in module.outputs().filter(|(port, _)| port.starts_with("s_axi_")) {
        m.output(port, &registers.output(port));
    }
    let control = |at: u32| registers.output(&format!("control_{at}"));
    let enable = control(ENABLE);
    m.discard(&enable);
    let enabled = m.wire("enabled", &enable.bit(0));
    let written = registers.output("written");
    m.discard(&written);
    let submits = m.wire("submits", &written.bit(submit));
    m.discard(&control(submit));

    m.section("jobs that wait for admission");
    let parts: Vec<Signal> = (FIRST_FIELD..)
        .zip(&fields)
        .map(|(at, field)| fit(&m, &control(at), field.width))
        .collect();
    let job = m.wire("submitted_job", &m.concat(&parts));
    let queue = m.instance("jobs", &Fifo { width: job.width(), depth: QUEUED_JOBS }.build()?);
    queue.input("s_axis_tvalid", &submits).input("s_axis_tdata", &job);
    let loses = m.wire("loses_job", &(&submits & !queue.output("s_axis_tready")));
    let lost = m.register("lost_job", 1);
    m.update(&lost, &lost | &loses);
    let offered = m.wire("offers_job", &(queue.output("m_axis_tvalid") & &enabled));

    m.section("the machine");
    let module = spatten_core(params)?;
    let core = m.instance("core", &module);
    core.input("s_job_tvalid", &offered);
    let mut high = job.width();
    let oldest = queue.output("m_axis_tdata");
    for field in &fields {
        high -= field.width;
        core.input(&format!("s_job_{}", field.name), oldest.bits(high..high + field.width));
    }
    queue.input("m_axis_tready", m.wire("admits", &(core.output("s_job_tready") & &enabled)));
    for port in ["s_axis_query_tvalid", "s_axis_query_tdata"] {
        let width = if port.ends_with("tdata") { params.head_dim * ELEMENT_BITS } else { 1 };
        core.input(port, m.input(port, width));
    }
    m.output("s_axis_query_tready", &core.output("s_axis_query_tready"));
    let result_ready = m.input("m_axis_result_tready", 1);
    core.input("m_axis_result_tready", &result_ready);
    let result_valid = core.output("m_axis_result_tvalid");
    m.output("m_axis_result_tvalid", &result_valid);
    m.output_for("m_axis_result_tdata", &core.output("m_axis_result_tdata"), "One vector.");
    let id = core.output("m_axis_result_tid");
    debug_assert_eq!(id.width(), ID_BITS, "the identifier of a job goes through");
    m.output_for("m_axis_result_tid", &id, "Identifier of its job.");
    m.output_for("m_axis_result_tlast", &m.constant(1, 1), "Every vector is a packet.");

    m.section("memory");
    let mut failures = Vec::new();
    let bytes = params.memory.transaction_bytes;
    for channel in 0..params.memory.channels {
        let name = |port: &str| format!("m_axi_{channel}_{port}");
        let answers = m.input(name("rvalid"), 1);
        core.input(&format!("rvalid_{channel}"), &answers);
        for (port, width) in [("arready", 1), ("rdata", 8 * bytes)] {
            core.input(&format!("{port}_{channel}"), m.input(name(port), width));
        }
        let response = m.input(name("rresp"), 2);
        for port in ["rid", "rlast"] {
            // One identifier, and every read is one beat.
            m.discard(&m.input(name(port), 1));
        }
        let accepted = core.output(&format!("rready_{channel}"));
        let answered = m.wire(format!("answered_{channel}"), &(&answers & &accepted));
        failures.push(m.wire(format!("fails_{channel}"), &(&answered & response.any())));
        m.output(name("arvalid"), &core.output(&format!("arvalid_{channel}")));
        let address = core.output(&format!("araddr_{channel}"));
        debug_assert_eq!(address.width(), ADDRESS_BITS, "byte addresses");
        m.output(name("araddr"), &address);
        m.output_for(name("arid"), &m.constant(0, 1), "Answers come in order.");
        m.output_for(name("arlen"), &m.constant(0, 8), "One beat.");
        let size = bytes.trailing_zeros();
        m.output_for(name("arsize"), &m.constant(size.into(), 3), "log2 of its bytes.");
        m.output_for(name("arburst"), &m.constant(1, 2), "INCR.");
        m.output(name("rready"), &accepted);
    }

    m.section("status");
    let failed = m.register("failed_read", 1);
    m.update(&failed, &failed | &m.any_of(&failures));
    let taken = m.wire("result_taken", &(&result_valid & &result_ready));
    let results = m.register("results_taken", REGISTER_BITS);
    m.update_when(&results, &taken, &results + 1);
    let level = queue.output("level");
    let level_bits = index_width(u64::from(QUEUED_JOBS) + 1);
    debug_assert_eq!(level.width(), level_bits, "jobs in the queue");
    let idle = core.output("idle") & !queue.output("m_axis_tvalid");
    let idle = m.wire("is_idle", &idle);
    let gap = m.constant(0, REGISTER_BITS / 2 - 3);
    let state = m.concat([&level.extend(REGISTER_BITS / 2), &gap, &failed, &lost, &idle]);
    registers.input("status_0", &results).input("status_1", m.wire("state", &state));
    m.output_for("idle", &idle, "Nothing is queued, inside or waiting.");
    m.finish()
}
