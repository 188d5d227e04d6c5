//! The queries of real requests as decode jobs, the only ones that the hardware's machine takes.
//!
//! Every query of a head becomes a job of its own on the same keys and values. Lower planes that no
//! pass of the head asks for are not stored.

use std::collections::BTreeMap;

use attelier_hw::spatten::Spatten;
use attelier_sim::{
    datapath::bitwidth_converter::pack,
    designs::spatten::{Job, MAX_INDEX, plan},
    units::qkv_fetcher::StreamKind,
};
use attelier_workloads::request::{Phase, Request};

use super::{Operands, Workload, workload::NoSelection};
use crate::cosim::spatten::requests::{Requests, Work, joined};

impl Workload {
    /// All queries, or as many as move at least `vectors` keys and values.
    ///
    /// # Errors
    /// Why the machine cannot take them.
    pub fn real(params: &Spatten, requests: &Requests, vectors: u64) -> Result<Self, String> {
        let mut moved = 0;
        let mut queries: Vec<(u32, &Work, usize)> = Vec::new();
        for (number, work) in (0..).zip(&requests.works) {
            for query in 0..work.queries() {
                if moved < vectors {
                    queries.push((number, work, query));
                    moved += u64::from(work.request.keys + work.request.values);
                }
            }
        }
        let decode: Vec<Request> = (0..)
            .zip(&queries)
            .map(|(iteration, (number, work, _))| Request {
                // An iteration of its own: nothing is selected between them.
                iteration,
                // A plane of its own for each head.
                layer: number % MAX_INDEX,
                head: number / MAX_INDEX,
                phase: Phase::Decode,
                sentence_length: work.request.keys,
                queries: 1,
                token_topk: None,
                ..work.request.clone()
            })
            .collect();
        let jobs = plan(params, &decode, &NoSelection).map_err(|error| error.to_string())?;
        let mut memory = BTreeMap::new();
        let mut operands = Vec::new();
        for (job, (_, work, query)) in jobs.iter().zip(&queries) {
            if *query == 0 {
                store(params, job, work, &mut memory);
            }
            operands.push(operands_of(params, work, *query)?);
        }
        let transaction_bytes = params.memory.transaction_bytes;
        Ok(Self { requests: decode, jobs, operands, memory, transaction_bytes })
    }
}

/// Stores keys and values where the job fetches them.
fn store(params: &Spatten, job: &Job, work: &Work, memory: &mut BTreeMap<u64, Vec<u8>>) {
    let mut put = |base: u64, vectors: &[Vec<u8>]| {
        memory.extend((0..).zip(vectors).map(|(number, vector): (u64, &Vec<u8>)| {
            (base + number * vector.len() as u64, vector.clone())
        }));
    };
    for fetch in &work.fetches {
        let keys = &fetch.vectors[..fetch.vectors.len().min(job.keys as usize)];
        match fetch.kind {
            StreamKind::Key => put(job.key.base, keys),
            StreamKind::KeyLsb => put(job.key_lsb[0].base, keys),
            StreamKind::Value | StreamKind::Query => {}
        }
    }
    // A fetch of selected values would not hold all of them.
    let value = |words: &Vec<i32>| {
        let low = params.datapath_bits - job.value.bits;
        let codes: Vec<i32> = words.iter().map(|word| word >> low).collect();
        let mut vector = vec![0; job.value.vector_bytes as usize];
        pack(&mut vector, job.value.bits, (0, 1), &codes);
        vector
    };
    put(job.value.base, &work.values.iter().map(value).collect::<Vec<_>>());
}

fn operands_of(params: &Spatten, work: &Work, query: usize) -> Result<Operands, String> {
    let words = |kind: StreamKind| {
        let fetch = work.fetches.iter().find(|fetch| fetch.kind == kind);
        let mut words = fetch.map(|fetch| fetch.words(params))?;
        words.truncate(work.request.keys as usize);
        Some(words)
    };
    let keys = words(StreamKind::Key).unwrap_or_default();
    let whole = words(StreamKind::KeyLsb).map_or_else(|| keys.clone(), |low| joined(&keys, &low));
    let pass = work.passes.get(query).ok_or("a query without a pass")?;
    Ok(Operands {
        query: pass.query.clone(),
        keys: keys.concat(),
        whole_keys: whole.concat(),
        values: work.values.concat(),
        scale: pass.scale,
        threshold: pass.threshold.unwrap_or(0),
    })
}
