//! From attention requests to jobs: what is stored where, which vectors each fetch reads, and
//! which selections stand between them.
//!
//! Two decode heads of one layer whose 6-bit vectors are stored together ([`super::storage`]) form
//! one job with common keys; the value indices of the head that is decided first serve both. Vector
//! counts are rounded up to 8.

use std::sync::Arc;

use attelier_hw::spatten::Spatten;
use attelier_workloads::request::{Phase, Request, Widths};

use super::error::PlanError;
use super::storage::{Layout, Plane, Profile, stored_bytes};
use super::values::Importance;
use crate::units::lfsr::Lfsr;
use crate::units::qkv_fetcher::Indices;
use crate::units::quick_select::{filter, quick_select};
use crate::units::topk_token::TokenSelection;

/// Vectors are fetched in multiples of this (rows of the released storage format).
pub const VECTOR_GRANULE: u32 = 8;

/// Largest count of a request; keeps every address and counter far from 2^64.
pub const MAX_COUNT: u32 = 1 << 24;

/// Largest layer and head.
pub const MAX_INDEX: u32 = (1 << 12) - 1;

/// One head, or two fused heads, of one layer: the unit of admission.
#[derive(Debug, Clone)]
pub struct Job {
    /// Index of its first request; fused heads follow each other.
    pub request: u32,
    /// Heads, 1 or 2.
    pub heads: u8,
    /// Prefill or decode.
    pub phase: Phase,
    /// Queries per head.
    pub queries: u32,
    /// Query fetch per head.
    pub query: [Plane; 2],
    /// Keys per head.
    pub keys: u32,
    /// Rows of scores per pass.
    pub key_rows: u32,
    /// Lines in the key buffer.
    pub key_lines: u32,
    /// Key fetch.
    pub key: Plane,
    /// Key LSB fetch per head; vectors of 0 bytes if there are none.
    pub key_lsb: [Plane; 2],
    /// Both key planes are fetched first and every pass computes with them.
    pub eager_lsb: bool,
    /// Vectors of a key fetch.
    pub key_vectors: u32,
    /// Which keys.
    pub key_indices: Indices,
    /// Values used per head and query.
    pub values: u32,
    /// Whether local value pruning selects them.
    pub prunes_values: bool,
    /// Lines in the value buffer.
    pub value_lines: u32,
    /// Value fetch.
    pub value: Plane,
    /// Vectors of a value fetch.
    pub value_vectors: u32,
    /// What is decided about the LSBs of the keys, per head.
    pub decisions: [Decision; 2],
    /// Selections that must end before its keys are known.
    pub barrier: Option<Barrier>,
}

impl Job {
    /// Whether the machine treats both jobs alike: same counts, formats and rules, consecutive
    /// vectors, no selection. Addresses differ, but all planes start at the same channel.
    fn looks_like(&self, other: &Job) -> bool {
        let regular = |job: &Job| {
            !job.prunes_values
                && job.barrier.is_none()
                && matches!(job.key_indices, Indices::From(0))
                && !job.decisions.contains(&Decision::Compared)
        };
        let format = |plane: &Plane| (plane.vector_bytes, plane.fused);
        let shape = |job: &Job| {
            let counts = [job.queries, job.key_rows, job.key_lines, job.key_vectors];
            let values = [job.value_lines, job.value_vectors];
            let planes = [&job.key, &job.value, &job.query[0], &job.key_lsb[0]].map(format);
            (job.phase, job.heads, job.eager_lsb, counts, values, planes, job.decisions)
        };
        regular(self) && regular(other) && shape(self) == shape(other)
    }

    /// Where query number `query` is stored. In prefill every surviving token is a query, and lies
    /// where it lay before the others were pruned.
    pub fn query_index(&self, query: u32) -> u32 {
        match &self.key_indices {
            Indices::List(tokens)
                if self.phase == Phase::Prefill && tokens.len() == self.queries as usize =>
            {
                tokens[query as usize]
            }
            _ => query,
        }
    }

    /// Passes without recomputation.
    pub fn passes(&self) -> u32 {
        self.queries * u32::from(self.heads)
    }
}

/// For each job, the jobs around it that look the same to the machine: a range of indices.
pub fn runs(jobs: &[Job]) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::with_capacity(jobs.len());
    for chunk in jobs.chunk_by(Job::looks_like) {
        let start = runs.len() as u32;
        let end = start + chunk.len() as u32;
        runs.extend(chunk.iter().map(|_| (start, end)));
    }
    runs
}

/// Whether the passes of a head need the LSBs of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// No threshold: never.
    Accept,
    /// Every pass is compared with the threshold; the workload tells the outcome.
    Told {
        /// All probabilities are below the threshold.
        is_flat: bool,
    },
    /// Every pass is compared with the threshold; its probabilities tell the outcome.
    Compared,
}

/// Selections between jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Barrier {
    /// Token top-k over the accumulated importance of all earlier jobs.
    pub tokens: Option<TokenSelection>,
    /// Head top-k over the outputs of all earlier jobs.
    pub heads: Option<TokenSelection>,
}

/// Jobs of `requests` on the machine `params`; `importance` says which tokens survive a selection.
///
/// # Errors
/// [`PlanError`] if a request does not fit the machine.
pub fn plan(
    params: &Spatten,
    requests: &[Request],
    importance: &dyn Importance,
) -> Result<Vec<Job>, PlanError> {
    let mut planner = Planner::new(params, requests, importance)?;
    let mut jobs = Vec::new();
    let mut at = 0;
    while at < requests.len() {
        let job = planner.job(at, jobs.len() as u32)?;
        at += usize::from(job.heads);
        jobs.push(job);
    }
    Ok(jobs)
}

struct Planner<'a> {
    params: &'a Spatten,
    requests: &'a [Request],
    importance: &'a dyn Importance,
    layout: Layout,
    lfsr: Lfsr,
    /// Surviving tokens of the current iteration and their context; `None` means all.
    survivors: Option<Arc<[u32]>>,
}

impl<'a> Planner<'a> {
    fn new(
        params: &'a Spatten,
        requests: &'a [Request],
        importance: &'a dyn Importance,
    ) -> Result<Self, PlanError> {
        if requests.is_empty() {
            return Err(PlanError::Empty);
        }
        if params.qk_array.keys_per_line != params.pv_array.values_per_line {
            return Err(PlanError::UnequalArrays {
                keys: params.qk_array.keys_per_line,
                values: params.pv_array.values_per_line,
            });
        }
        let layout = Layout::new(params, requests);
        let lfsr = Lfsr::new(importance.pivot_seed());
        Ok(Self { params, requests, importance, layout, lfsr, survivors: None })
    }

    fn job(&mut self, at: usize, number: u32) -> Result<Job, PlanError> {
        let request = &self.requests[at];
        self.check(at, request)?;
        let (key, value) = self.profiles(at, request)?;
        let heads = if self.fuses(at, key, value) { 2 } else { 1 };
        let barrier = self.barrier(at, number);
        let key_indices = self.key_indices(at, request);

        let params = self.params;
        let per_line = params.qk_array.keys_per_line;
        let key_vectors = request.keys.next_multiple_of(VECTOR_GRANULE);
        let value_vectors = match request.phase {
            Phase::Decode => request.values.next_multiple_of(VECTOR_GRANULE),
            Phase::Prefill => key_vectors,
        };
        let lines =
            |vectors: u32, fused: u32| vectors.div_ceil(per_line).next_multiple_of(2) * fused;
        let [key_base, lsb_base, value_base] = self.layout.planes(request.layer, request.head);
        let lsb_bits = key.lsb_bits(&request.widths);
        let lsb = |base: u64| Plane {
            base,
            bits: lsb_bits,
            vector_bytes: stored_bytes(params, request.head_dim * lsb_bits),
            fused: 1,
        };
        let second_lsb = self.layout.planes(request.layer, request.head + 1)[1];
        let decode = request.phase == Phase::Decode;
        let eager_lsb = key.wide && !(decode && params.controller.recompute_wide_keys);
        let real = self.importance.decides();
        let decision = |request: &Request| match request.requant_threshold {
            _ if key.wide && !eager_lsb => Decision::Told { is_flat: true },
            Some(_) if !key.wide && real => Decision::Compared,
            threshold if !key.wide && (threshold.is_some() || request.requant) => {
                Decision::Told { is_flat: request.requant }
            }
            _ => Decision::Accept,
        };
        let query_bits = request.widths.query.unwrap_or(params.datapath_bits);
        let job = Job {
            request: at as u32,
            heads,
            phase: request.phase,
            queries: request.queries,
            query: [0, 1].map(|second| Plane {
                base: self.layout.queries(request.layer, request.head + second),
                bits: query_bits,
                vector_bytes: stored_bytes(params, request.head_dim * query_bits),
                fused: 1,
            }),
            keys: request.keys,
            key_rows: request.keys.div_ceil(per_line),
            key_lines: lines(key_vectors, u32::from(heads)),
            key: Plane {
                base: key_base,
                bits: key.bits,
                vector_bytes: key.vector_bytes(params, request.head_dim, heads),
                fused: u32::from(heads),
            },
            key_lsb: [lsb(lsb_base), lsb(second_lsb)],
            eager_lsb,
            key_vectors,
            key_indices,
            values: request.values,
            prunes_values: request.values < request.keys,
            value_lines: lines(value_vectors, u32::from(heads)),
            value: Plane {
                base: value_base,
                bits: value.bits,
                vector_bytes: value.vector_bytes(params, request.head_dim, heads),
                fused: u32::from(heads),
            },
            value_vectors,
            decisions: [decision(request), decision(&self.requests[at + usize::from(heads) - 1])],
            barrier,
        };
        self.fits(at, &job)?;
        Ok(job)
    }

    fn check(&self, at: usize, request: &Request) -> Result<(), PlanError> {
        if request.head_dim > self.params.head_dim {
            return Err(PlanError::HeadDim {
                request: at,
                workload: request.head_dim,
                machine: self.params.head_dim,
            });
        }
        let counts = [request.queries, request.keys, request.values, request.sentence_length];
        if counts.contains(&0) || request.values > request.keys {
            return Err(PlanError::Counts { request: at });
        }
        if request.keys > request.sentence_length {
            return Err(PlanError::Counts { request: at });
        }
        let indices = [request.layer, request.head, request.iteration >> 12];
        let large = counts.iter().any(|&count| count > MAX_COUNT);
        if large || indices.iter().any(|&index| index > MAX_INDEX) {
            return Err(PlanError::Large { request: at });
        }
        if request.causal && request.queries > 1 {
            return Err(PlanError::Causal { request: at, queries: request.queries });
        }
        // One verdict per request cannot tell which of its queries are flat.
        if request.phase == Phase::Prefill
            && !self.importance.decides()
            && (request.requant_threshold.is_some() || request.requant)
        {
            return Err(PlanError::ProgressivePrefill { request: at });
        }
        Ok(())
    }

    fn profiles(&self, at: usize, request: &Request) -> Result<(Profile, Profile), PlanError> {
        let Widths { key, value, .. } = request.widths;
        let refuse = |operand, width: Option<u32>| PlanError::Width {
            request: at,
            operand,
            bits: width.unwrap_or(0),
            datapath: self.params.datapath_bits,
        };
        let key = Profile::of_key(self.params, key).ok_or_else(|| refuse("key", key))?;
        let value = Profile::of_value(self.params, value).ok_or_else(|| refuse("value", value))?;
        Ok((key, value))
    }

    /// Whether request `at` and the next one share a job.
    fn fuses(&self, at: usize, key: Profile, value: Profile) -> bool {
        let request = &self.requests[at];
        let Some(next) = self.requests.get(at + 1) else { return false };
        key.fused == 2
            && value.fused == 2
            && request.phase == Phase::Decode
            && request.head.is_multiple_of(2)
            && request.token_topk.is_none()
            && (next.iteration, next.layer, next.head)
                == (request.iteration, request.layer, request.head + 1)
            && (next.phase, next.queries, next.keys, next.values, next.widths)
                == (request.phase, request.queries, request.keys, request.values, request.widths)
            && (next.sentence_length, next.head_dim) == (request.sentence_length, request.head_dim)
    }

    /// The selections between request `at`, the first of job number `job`, and the one before it.
    fn barrier(&mut self, at: usize, job: u32) -> Option<Barrier> {
        let before = at.checked_sub(1).map(|before| &self.requests[before])?;
        let request = &self.requests[at];
        let mut barrier = Barrier::default();
        if let Some(kept) = before.token_topk {
            let next_iteration = request.iteration != before.iteration;
            let candidates = if next_iteration { before.sentence_length } else { before.keys };
            let kept = kept.min(candidates);
            let importance = self.importance.of_tokens(at - 1, before, candidates as usize);
            let (cycles, positions) = self.select_tokens(&importance, kept);
            barrier.tokens = Some(TokenSelection { job, what: "token top-k", cycles });
            self.survivors = Some(match &self.survivors {
                Some(tokens) if !next_iteration && tokens.len() == candidates as usize => {
                    positions.iter().map(|&position| tokens[position as usize]).collect()
                }
                _ => positions.into(),
            });
        } else if request.iteration != before.iteration {
            self.survivors = None;
        }
        let same_iteration = request.iteration == before.iteration;
        if same_iteration && request.layer != before.layer {
            let heads = before.head + 1;
            let next = self.requests[at..]
                .iter()
                .take_while(|r| (r.iteration, r.layer) == (request.iteration, request.layer))
                .count() as u32;
            if next < heads {
                let outputs = self.importance.of_heads(at - 1, before, heads as usize);
                let (cycles, _) = self.select_tokens(&outputs, next);
                barrier.heads = Some(TokenSelection { job, what: "head top-k", cycles });
            }
        }
        (barrier != Barrier::default()).then_some(barrier)
    }

    /// Cycles of the shared engine and the positions it keeps.
    fn select_tokens(&mut self, importance: &[u64], kept: u32) -> (u64, Vec<u32>) {
        let engine = &self.params.topk_token;
        let found = quick_select(
            importance,
            kept as usize,
            engine.parallelism as usize,
            engine.round_overhead_cycles,
            &mut self.lfsr,
        );
        let positions = filter(importance, &found, engine.lanes.min(64) as usize);
        (found.cycles + importance.len().div_ceil(engine.lanes as usize) as u64, positions)
    }

    /// The keys of request `at`: all, the current survivors, or a seeded choice among them if the
    /// workload does not say when it was made.
    fn key_indices(&mut self, at: usize, request: &Request) -> Indices {
        if request.keys == request.sentence_length {
            return Indices::From(0);
        }
        let in_context = |tokens: &&Arc<[u32]>| {
            tokens.len() >= request.keys as usize
                && tokens.last().is_some_and(|&last| last < request.sentence_length)
        };
        let survivors = self.survivors.as_ref().filter(in_context).cloned();
        let pool: Arc<[u32]> = survivors.unwrap_or_else(|| (0..request.sentence_length).collect());
        let tokens = if pool.len() == request.keys as usize {
            pool
        } else {
            let importance = self.importance.unexplained(at, request, pool.len());
            let kept = request.keys as usize;
            let found = quick_select(&importance, kept, 1, 0, &mut Lfsr::new(1));
            filter(&importance, &found, 64).iter().map(|&at| pool[at as usize]).collect()
        };
        self.survivors = Some(Arc::clone(&tokens));
        Indices::List(tokens)
    }

    fn fits(&self, at: usize, job: &Job) -> Result<(), PlanError> {
        let params = self.params;
        let too_small = |unit, needs: u64, has: u64, parameter| {
            Err(PlanError::TooSmall { request: at, unit, needs, has, parameter })
        };
        let sram = [
            ("key_sram", job.key_lines, &params.key_sram, "key_sram.bytes"),
            ("value_sram", job.value_lines, &params.value_sram, "value_sram.bytes"),
        ];
        for (unit, lines, sram, parameter) in sram {
            if lines > sram.lines {
                let line = u64::from(sram.line_bytes);
                return too_small(unit, u64::from(lines) * line, sram.bytes, parameter);
            }
        }
        let rows = u64::from(job.key_rows);
        let softmax = u64::from(params.softmax.fifo_depth);
        if rows > softmax {
            return too_small("softmax", rows, softmax, "softmax.fifo_depth");
        }
        let decision = u64::from(params.quant_decision.fifo_depth);
        let compares = job.decisions.iter().any(|decision| *decision != Decision::Accept);
        if compares && rows > decision {
            return too_small("quant_decision", rows, decision, "quant_decision.fifo_depth");
        }
        let keys = u64::from(job.keys);
        let engine = u64::from(params.topk_value.capacity);
        if job.prunes_values && keys > engine {
            return too_small("topk_value", keys, engine, "topk_value.capacity");
        }
        let tokens = u64::from(self.requests[at].sentence_length);
        let engine = u64::from(params.topk_token.capacity);
        if job.barrier.is_some_and(|barrier| barrier.tokens.is_some()) && tokens > engine {
            return too_small("topk_token", tokens, engine, "topk_token.capacity");
        }
        let group = |plane: &Plane| {
            u64::from(plane.vector_bytes) * u64::from(params.qk_array.keys_per_line)
        };
        let row = u64::from(params.qkv_fetcher.lanes) * u64::from(params.memory.transaction_bytes);
        let needs =
            group(&job.key).max(group(&job.value)).max(u64::from(job.query[0].vector_bytes)) + row;
        let buffer = u64::from(params.bitwidth_converter.buffer_bytes);
        if needs > buffer {
            let parameter = "bitwidth_converter.buffer_bytes";
            return too_small("bitwidth_converter", needs, buffer, parameter);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
