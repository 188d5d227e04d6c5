//! SpAtten (Wang, Zhang, Han; HPCA 2021), cycle by cycle.
//!
//! The data path is the paper's figure 8: fetcher, bitwidth converter, key buffer, QxK array,
//! softmax, progressive-quantization decision, local-value top-k, value buffer, PxV array; beside
//! it the importance accumulators and the token/head top-k engine. `docs/architecture.md` lists
//! where the model follows the paper, where the released RTL, and where neither says anything.

mod controller;
mod error;
pub mod functional;
mod machine;
mod plan;
mod storage;
mod values;

use attelier_hw::spatten::{MemoryKind, Spatten as Params};
use attelier_workloads::request::Request;

pub use error::{PlanError, SimError, ValueError};
pub use machine::{SpattenMachine, UNITS};
pub use plan::{Decision, Job, MAX_COUNT, MAX_INDEX, VECTOR_GRANULE, plan};
pub use storage::{CodeBits, Plane};
pub use values::{
    Comparison, Image, Importance, PassId, Probabilities, RecordedImportance, SCORE_DEVIATION,
};

use crate::kernel::clock::Cycle;
use crate::kernel::run::{Mode, run};
use crate::observe::Observer;
use crate::result::RunResult;
use crate::units::dram_memory::DramMemory;
use crate::units::memory::{IdealMemory, Memory};
use functional::Recording;
use values::{OperandValues, SeededRows, SeededValues};

/// How to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Seed of everything random.
    pub seed: u64,
    /// How time advances.
    pub mode: Mode,
    /// Order in which units are evaluated; only tests change it.
    pub order: Option<[usize; UNITS]>,
}

/// Simulates `requests` on the machine `params` with the memory that it names.
///
/// # Errors
/// [`SimError::Plan`] if the workload does not fit the machine.
pub fn simulate(
    params: &Params,
    requests: &[Request],
    options: Options,
    observer: &mut dyn Observer,
) -> Result<RunResult, SimError> {
    match params.memory.kind {
        MemoryKind::Ideal => {
            let memory = IdealMemory::new(params.memory.channels, params.memory.latency_cycles);
            simulate_with(params, requests, memory, options, observer)
        }
        MemoryKind::Hbm2 => {
            simulate_with(params, requests, DramMemory::new(params), options, observer)
        }
    }
}

/// Simulates with any memory.
///
/// # Errors
/// As [`simulate`].
pub fn simulate_with<M: Memory>(
    params: &Params,
    requests: &[Request],
    memory: M,
    options: Options,
    observer: &mut dyn Observer,
) -> Result<RunResult, SimError> {
    let seeded = SeededValues::new(options.seed);
    let jobs = plan(params, requests, &seeded)?;
    let rows = SeededRows::new(&seeded, &jobs, requests, params.datapath_bits);
    let values = (rows, seeded.pivot_seed());
    let machine = SpattenMachine::new(params, requests, &jobs, values, memory);
    let (mut result, _) = drive(params, machine, options, observer)?;
    if jobs.iter().any(|job| job.prunes_values || job.barrier.is_some()) {
        result.notes.push(format!(
            "values: only the counts of the workload are used; token importance is drawn uniformly \
             and probabilities from normal scores (deviation {SCORE_DEVIATION}), both seeded"
        ));
    }
    if requests.iter().any(|request| request.requant_threshold.is_some()) {
        result.notes.push(
            "progressive quantization: which heads need their LSBs is told by the workload, not \
             found by comparing probabilities with the threshold"
                .into(),
        );
    }
    Ok(result)
}

/// Simulates what a functional run recorded, on its operands: passes are found flat, values and
/// tokens are selected by the numbers that the machine computes from its memory.
///
/// # Errors
/// As [`simulate`], and operands that the machine cannot hold.
pub fn simulate_recording(
    params: &Params,
    recording: &Recording,
    options: Options,
    observer: &mut dyn Observer,
) -> Result<(RunResult, Comparison), SimError> {
    match params.memory.kind {
        MemoryKind::Ideal => {
            let memory = IdealMemory::new(params.memory.channels, params.memory.latency_cycles);
            simulate_recording_with(params, recording, memory, options, observer)
        }
        MemoryKind::Hbm2 => {
            let memory = DramMemory::new(params);
            simulate_recording_with(params, recording, memory, options, observer)
        }
    }
}

/// As [`simulate_recording`] with any memory.
///
/// # Errors
/// As [`simulate_recording`].
pub fn simulate_recording_with<M: Memory>(
    params: &Params,
    recording: &Recording,
    memory: M,
    options: Options,
    observer: &mut dyn Observer,
) -> Result<(RunResult, Comparison), SimError> {
    let requests = &recording.requests;
    let jobs = plan(params, requests, &RecordedImportance(recording))?;
    let values = OperandValues::new(params, &jobs, recording)?;
    let pivot_seed = SeededValues::new(options.seed).pivot_seed();
    let machine = SpattenMachine::new(params, requests, &jobs, (values, pivot_seed), memory);
    let (result, values) = drive(params, machine, options, observer)?;
    Ok((result, values.comparison()))
}

/// Runs a machine to its end.
fn drive<M: Memory, V: Probabilities>(
    params: &Params,
    mut machine: SpattenMachine<'_, M, V>,
    options: Options,
    observer: &mut dyn Observer,
) -> Result<(RunResult, V), SimError> {
    let (jobs, requests) = (machine.jobs, machine.requests);
    machine.log.enabled = observer.wants_events();
    if let Some(order) = options.order {
        machine.set_order(order);
    }
    let names = machine.activities().map(|activity| activity.name());
    observer.begin(&names, params.clock_hz);
    // Work of one unit can overlap, a timeline's slices cannot: a slice starts where the last ended.
    let mut ends = [0; 11];
    let mut reported = 0;
    let total = jobs.len() as u64;
    let outcome = run(&mut machine, options.mode, |machine, now| {
        for change in machine.log.changes.drain(..) {
            observer.state(change.cycle.0, change.unit, change.state, change.job);
        }
        for span in machine.log.spans.drain(..) {
            let unit = names.iter().position(|name| *name == span.unit).unwrap_or(0);
            let job = &jobs[span.job as usize];
            let start = span.start.0.max(ends[unit]);
            if start < span.end.0 {
                ends[unit] = span.end.0;
                let what = label(&requests[job.request as usize], job.heads, span.what);
                observer.span(unit, &what, start, span.end.0);
            }
        }
        let done = machine.controller.jobs_done;
        if done >= reported + 64 || done == total {
            reported = done;
            observer.progress(now.0, done, total);
        }
    });
    let cycles = outcome.map_err(|stuck| SimError::Deadlock {
        cycle: stuck.at.0,
        state: format!("{:?}", machine.activities().map(|a| (a.name(), a.state()))),
    })?;
    observer.end(cycles);
    let dram = machine.fetcher.memory_mut().finish(Cycle(cycles));
    let result = RunResult {
        cycles,
        clock_hz: params.clock_hz,
        ops_executed: requests.iter().map(executed_ops).sum(),
        ops_dense: dense_ops(requests),
        traffic: machine.fetcher.traffic,
        streams: Vec::new(),
        writes: 0,
        dram,
        admission: Some(machine.controller.waits.report()),
        phases: Vec::new(),
        units: machine.activities().iter().map(|activity| activity.report()).collect(),
        notes: notes(params, requests, jobs, &machine),
    };
    Ok((result, machine.into_values()))
}

fn label(request: &Request, heads: u8, what: &str) -> String {
    let Request { iteration, layer, head, .. } = request;
    let second = if heads > 1 { format!("+{}", head + 1) } else { String::new() };
    format!("I{iteration} L{layer} H{head}{second} {what}")
}

/// Operations of the kept keys and values: one multiply-accumulate is two. A recomputation after
/// an LSB refetch does not count.
pub fn executed_ops(request: &Request) -> u64 {
    2 * request.macs().expect("a planned request has bounded counts")
}

/// Operations of the same layers with every head, query, key and value.
pub fn dense_ops(requests: &[Request]) -> u64 {
    let heads = requests.iter().map(|request| u64::from(request.head) + 1).max().unwrap_or(0);
    let mut ops = 0;
    let mut last = None;
    for request in requests {
        let layer = (request.iteration, request.layer);
        if last == Some(layer) {
            continue;
        }
        last = Some(layer);
        let head = request.dense_macs().expect("a planned request has bounded counts");
        ops += 2 * heads * head;
    }
    ops
}

fn notes<M: Memory, V: Probabilities>(
    params: &Params,
    requests: &[Request],
    jobs: &[Job],
    machine: &SpattenMachine<'_, M, V>,
) -> Vec<String> {
    let mut notes = vec![];
    if requests.iter().any(|request| request.widths.key.is_none_or(|bits| bits > 8)) {
        notes.push(if params.controller.recompute_wide_keys {
            "keys wider than 8 bits: stored as 8 MSBs and 4 LSBs and, in decode, computed twice, \
             as in the released harness"
                .to_string()
        } else {
            "keys wider than 8 bits: stored as 8 MSBs and 4 LSBs, computed once".to_string()
        });
    }
    if requests.iter().any(|request| request.widths.value.is_none_or(|bits| bits > 8)) {
        notes.push(if params.controller.truncate_wide_values {
            "values wider than 8 bits: stored as 8 bits, as in the released harness".to_string()
        } else {
            format!("values wider than 8 bits: stored with {} bits", params.datapath_bits)
        });
    }
    if jobs.iter().any(|job| job.heads == 2) {
        notes.push(
            "6-bit heads: stored in pairs; the head decided first selects the values of both"
                .into(),
        );
    }
    let passes: u64 = jobs.iter().map(|job| u64::from(job.passes())).sum();
    let again = machine.controller.recomputed;
    notes.push(format!("passes: {passes}, of which {again} were computed again with key LSBs"));
    notes.push("outputs leave on a port; they are not written to DRAM".into());
    notes.push(match params.memory.kind {
        MemoryKind::Ideal => {
            "memory: ideal (fixed latency, one transaction per channel and cycle)".into()
        }
        MemoryKind::Hbm2 => format!(
            "memory: HBM2, command by command (FR-FCFS, open page, per-bank refresh), behind a \
             front end of {} cycles (`memory.latency_cycles` belongs to ideal memory)",
            params.memory.front_end_cycles
        ),
    });
    notes
}
