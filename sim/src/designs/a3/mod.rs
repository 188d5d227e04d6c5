//! A3 (Ham et al., HPCA 2020): attention with approximation, one head at a time.
//!
//! * [`search`]: candidates by greedy search over sorted key columns.
//! * [`arithmetic`]: the numbers of the machine.
//! * [`pipeline`]: time of one head; [`energy`]: what it costs.
//! * [`drawn`]: work where a workload has counts only.
//!
//! `docs/designs/a3.md` lists what is published and what is our choice. Heads follow each other: keys and
//! values of one fill the memories on the chip, so the next begins when the last output has left. Not
//! modelled: rows of the memory, the host.

pub mod arithmetic;
pub mod drawn;
pub mod energy;
pub mod pipeline;
pub mod search;

use attelier_hw::a3::A3 as Params;
use attelier_workloads::request::Request;
use thiserror::Error;

use crate::designs::heads::{HeadWork, dense, layers};
use crate::observe::Observer;
use crate::result::{RunResult, Traffic, UnitReport};

/// Candidates that are compared with the largest score per cycle (section V).
const COMPARISONS: u64 = 16;

/// Why attention does not fit the machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum A3Error {
    /// Vectors longer than a row of the memories.
    #[error("`head_dim` is {found}: expected at most {most}; help: `--set head_dim={found}`")]
    HeadDim {
        /// That of the workload.
        found: u32,
        /// That of the machine.
        most: u32,
    },
}

/// Simulates a workload from its counts, nothing of it pruned. Where the machine searches, vectors are
/// drawn.
///
/// # Errors
/// Vectors longer than a row of the memories.
pub fn simulate(
    params: &Params,
    requests: &[Request],
    seed: u64,
    observer: &mut dyn Observer,
) -> Result<RunResult, A3Error> {
    let layers = layers(requests);
    check(params, layers.iter().map(|layer| layer.head_dim))?;
    let mut notes = Vec::new();
    let work = if params.search.enabled {
        notes.push(format!(
            "values: only the counts of the workload are used; elements of queries and keys are drawn \
             from a normal distribution (scores with deviation {}), seeded, and searched",
            drawn::SCORE_DEVIATION
        ));
        drawn::work(params, &layers, seed)
    } else {
        dense(&layers)
    };
    let mut result = simulate_work(params, &work, observer)?;
    result.notes.extend(notes);
    Ok(result)
}

fn check(params: &Params, dims: impl Iterator<Item = u32>) -> Result<(), A3Error> {
    match dims.max() {
        Some(found) if found > params.head_dim => {
            Err(A3Error::HeadDim { found, most: params.head_dim })
        }
        _ => Ok(()),
    }
}

/// Simulates heads whose rows are known.
///
/// # Errors
/// Vectors longer than a row of the memories.
pub fn simulate_work(
    params: &Params,
    work: &[HeadWork],
    observer: &mut dyn Observer,
) -> Result<RunResult, A3Error> {
    check(params, work.iter().map(|head| head.head_dim))?;
    observer.begin(&pipeline::MODULES, params.clock_hz);
    let (mut now, mut waited) = (0, 0);
    let mut busy = [0; pipeline::MODULES.len()];
    let mut compared = 0;
    for (done, head) in (1..).zip(work) {
        let before = pipeline::before(params, head);
        let time = pipeline::head_time(params, head);
        waited += before;
        if observer.wants_events() {
            let label = format!("I{} L{} H{}", head.iteration, head.layer, head.head);
            observer.span(1, &label, now + before, now + before + time.cycles);
        }
        now += before + time.cycles;
        for (sum, cycles) in busy.iter_mut().zip(time.busy) {
            *sum += cycles;
        }
        let rows = head.queries.iter().map(|query| u64::from(query.candidates));
        compared += rows.map(|rows| rows.div_ceil(COMPARISONS)).sum::<u64>();
        observer.progress(now, done, work.len() as u64);
    }
    observer.end(now);
    Ok(result(params, work, now, busy, compared, waited))
}

fn result(
    params: &Params,
    work: &[HeadWork],
    cycles: u64,
    busy: [u64; pipeline::MODULES.len()],
    compared: u64,
    waited: u64,
) -> RunResult {
    let sum = |of: &dyn Fn(&HeadWork) -> u64| work.iter().map(of).sum::<u64>();
    let queries = sum(&|head| head.queries.len() as u64);
    let vector = u64::from(params.head_dim) * params.element_bytes();
    let keys = sum(&|head| u64::from(head.keys)) * vector;
    let traffic = Traffic {
        query_bytes: queries * vector,
        key_bytes: keys,
        key_lsb_bytes: 0,
        value_bytes: keys,
        reads: (queries * vector + 2 * keys).div_ceil(u64::from(params.memory.bytes_per_cycle)),
    };
    let unit = |name, busy_cycles| UnitReport {
        name,
        busy_cycles,
        starved_cycles: 0,
        blocked_cycles: 0,
        beats: queries,
    };
    let modules = pipeline::MODULES.into_iter().zip(busy);
    let mut units: Vec<UnitReport> = modules
        .filter(|(name, _)| params.search.enabled || *name != "candidate_search")
        .map(|(name, busy)| unit(name, busy))
        .collect();
    if params.search.enabled {
        units.push(unit("post_scoring", compared.min(cycles)));
    }
    RunResult {
        cycles,
        clock_hz: params.clock_hz,
        ops_executed: sum(&HeadWork::executed_ops),
        ops_dense: sum(&HeadWork::dense_ops),
        traffic,
        streams: Vec::new(),
        writes: 0,
        dram: None,
        admission: None,
        phases: Vec::new(),
        units,
        notes: notes(params, work, waited),
    }
}

fn notes(params: &Params, work: &[HeadWork], waited: u64) -> Vec<String> {
    let mut notes = vec![
        "the machine prunes no tokens and no heads: it is given all of them, whatever the workload \
         prunes"
            .to_owned(),
    ];
    if params.search.enabled {
        let all = |of: fn(&crate::designs::heads::QueryWork) -> u32| {
            let queries = work.iter().flat_map(|head| &head.queries);
            queries.map(|query| u64::from(of(query))).sum::<u64>() as f64
        };
        let visible = all(|query| query.visible).max(1.0);
        notes.push(format!(
            "candidates: {:.1} % of the keys; values kept: {:.1} %",
            100.0 * all(|query| query.candidates) / visible,
            100.0 * all(|query| query.kept) / visible
        ));
        notes.push(format!(
            "of the cycles {waited} pass while the host sorts keys and copies operands"
        ));
    }
    notes.push(if params.memory.preloaded {
        "keys and values lie in the machine before time is taken, as in the paper; \
         `--set memory.preloaded=false` counts their copies"
            .to_owned()
    } else {
        "keys and values of a head are copied before its first query".to_owned()
    });
    notes
}
