//! ELSA (Ham et al., ISCA 2021): attention to keys whose hash comes near that of the query.
//!
//! * [`arithmetic`]: the numbers of the machine, with [`float`] for exponentials and reciprocals and
//!   [`threshold`] for what a head learns; [`exact`] finds the same candidates in real numbers.
//! * [`pipeline`]: time of one head; [`energy`]: what it costs.
//! * [`drawn`]: heads where a workload has counts only.
//!
//! Hash and candidate selection are units of their own (`units::elsa`). `docs/designs/elsa.md` lists what
//! is published and what is our choice. Heads follow each other. Not modelled: queues between selection and
//! attention, and whatever fills the memories of the matrices.

pub mod arithmetic;
pub mod drawn;
pub mod energy;
pub mod exact;
pub mod float;
pub mod pipeline;
pub mod threshold;

use attelier_hw::elsa::Elsa;
use attelier_workloads::request::Request;
use thiserror::Error;

use self::{
    arithmetic::ElsaArithmetic,
    pipeline::{Head, MODULES},
};
use crate::designs::heads::{HeadWork, QueryWork, dense, layers};
use crate::observe::Observer;
use crate::result::{RunResult, Traffic, UnitReport};

/// Why attention does not fit the machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ElsaError {
    /// Vectors longer than a row of the memories.
    #[error("`head_dim` is {found}: expected at most {most}, the width of the machine")]
    HeadDim {
        /// That of the workload.
        found: u32,
        /// That of the machine.
        most: u32,
    },
    /// More keys than the memories hold.
    #[error("a head has {found} keys: expected at most {most}; help: `--set rows={found}`")]
    Rows {
        /// Those of the workload.
        found: u32,
        /// Those of the machine.
        most: u32,
    },
}

/// Simulates a workload from its counts, nothing of it pruned. Where the machine is approximate, vectors
/// are drawn.
///
/// # Errors
/// Vectors longer than a row of the memories, or more keys than they hold.
pub fn simulate(
    params: &Elsa,
    requests: &[Request],
    seed: u64,
    observer: &mut dyn Observer,
) -> Result<RunResult, ElsaError> {
    let layers = layers(requests);
    check(params, layers.iter().map(|layer| (layer.head_dim, layer.keys)))?;
    let mut notes = Vec::new();
    let heads: Vec<Head> = if params.is_approximate() {
        notes.push(format!(
            "values: only the counts of the workload are used; elements of queries and keys are drawn \
             from a normal distribution (scores with deviation {}), seeded, and hashed",
            drawn::SCORE_DEVIATION
        ));
        drawn::heads(&ElsaArithmetic::new(params), &layers, seed)
    } else {
        dense(&layers).into_iter().map(|work| Head::dense(params, work)).collect()
    };
    let mut result = simulate_heads(params, &heads, observer)?;
    result.notes.extend(notes);
    Ok(result)
}

fn check(params: &Elsa, sizes: impl Iterator<Item = (u32, u32)>) -> Result<(), ElsaError> {
    for (head_dim, keys) in sizes {
        if head_dim > params.head_dim {
            return Err(ElsaError::HeadDim { found: head_dim, most: params.head_dim });
        }
        if keys > params.rows {
            return Err(ElsaError::Rows { found: keys, most: params.rows });
        }
    }
    Ok(())
}

/// Simulates heads whose candidates are known.
///
/// # Errors
/// Vectors longer than a row of the memories, or more keys than they hold.
pub fn simulate_heads(
    params: &Elsa,
    heads: &[Head],
    observer: &mut dyn Observer,
) -> Result<RunResult, ElsaError> {
    check(params, heads.iter().map(|head| (head.work.head_dim, head.work.keys)))?;
    observer.begin(&MODULES, params.clock_hz);
    let (mut now, mut preprocessing) = (0, 0);
    let mut busy = [0; MODULES.len()];
    for (done, head) in (1..).zip(heads) {
        let time = pipeline::head_time(params, head);
        if observer.wants_events() {
            let HeadWork { iteration, layer, head, .. } = head.work;
            let label = format!("I{iteration} L{layer} H{head}");
            observer.span(2, &label, now + time.preprocessing, now + time.cycles);
        }
        now += time.cycles;
        preprocessing += time.preprocessing;
        for (sum, cycles) in busy.iter_mut().zip(time.busy) {
            *sum += cycles;
        }
        observer.progress(now, done, heads.len() as u64);
    }
    observer.end(now);
    Ok(result(params, heads, now, busy, preprocessing))
}

fn result(
    params: &Elsa,
    heads: &[Head],
    cycles: u64,
    busy: [u64; MODULES.len()],
    preprocessing: u64,
) -> RunResult {
    let sum = |of: &dyn Fn(&HeadWork) -> u64| heads.iter().map(|head| of(&head.work)).sum::<u64>();
    let all = |of: fn(&QueryWork) -> u32| {
        sum(&|head| head.queries.iter().map(|query| u64::from(of(query))).sum())
    };
    let keys = sum(&|head| u64::from(head.keys));
    let queries = sum(&|head| head.queries.len() as u64);
    let [visible, candidates] = [all(|query| query.visible), all(|query| query.candidates)];
    let row = params.row_bytes();
    let traffic = Traffic {
        query_bytes: queries * row,
        key_bytes: keys * row,
        key_lsb_bytes: 0,
        value_bytes: keys * row,
        reads: queries + 2 * keys,
    };
    let unit = |name, busy_cycles, beats| UnitReport {
        name,
        busy_cycles,
        starved_cycles: 0,
        blocked_cycles: 0,
        beats,
    };
    let beats = [keys + queries, visible, candidates, queries];
    let mut units: Vec<UnitReport> = MODULES
        .into_iter()
        .zip(busy.into_iter().zip(beats))
        .map(|(name, (busy, beats))| unit(name, busy, beats))
        .collect();
    units.push(unit("norm_computation", keys, keys));
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
        notes: vec![
            "the machine prunes no tokens and no heads: it is given all of them, whatever the workload \
             prunes"
                .to_owned(),
            format!(
                "candidates: {:.1} % of the keys; the threshold of a head is learned from its own queries",
                100.0 * candidates as f64 / visible.max(1) as f64
            ),
            format!("of the cycles {preprocessing} pass before the first query of a head"),
            "queries, keys and values lie in memories on the chip before time is taken, as in the paper; \
             traffic counts each row once"
                .to_owned(),
        ],
    }
}
