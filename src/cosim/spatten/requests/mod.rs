//! Real requests as the units of the hardware see them.
//!
//! A functional run of the simulator leaves requests, codes and results. Here they become what crosses
//! each unit: fetches with the bytes that lie in memory, passes with scores, probabilities and
//! verdicts, selections. Everything is computed from the stored bytes with the simulator's arithmetic;
//! outputs that differ from those of the functional run are an error.
//!
//! Two things are not as in the simulator. Vectors of heads that are shorter than those of the machine
//! are stored with zeros behind them, because the hardware knows one length. And keys that survived a
//! token selection lie packed, because the hardware's fetcher takes lists of values only.

mod replay;

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    units::spatten::{Format, segments},
    witness::{Pins, Vectors},
};
use attelier_sim::{
    datapath::{
        bitwidth_converter::{Field, merge, words},
        softmax::Scale,
    },
    designs::spatten::{
        RecordedImportance,
        functional::{Recording, largest},
        plan,
    },
    units::qkv_fetcher::StreamKind,
};
use attelier_workloads::request::{Phase, Request};

pub use self::replay::joined;
use self::replay::widened;
use crate::cosim::{Plan, Recorded, Unit};

/// Values to select from, and how many of them to keep.
pub type Selection = (Vec<u64>, usize);

/// Requests of whole texts.
pub struct Requests {
    /// One head of one layer each, in the order of the machine.
    pub works: Vec<Work>,
    /// Texts, or generated tokens.
    inputs: u64,
}

/// A job of the machine: all queries of one head of one layer.
pub struct Work {
    /// The request, at the head dimension of the machine.
    pub request: Request,
    /// Whether importances start from zero.
    pub begins_text: bool,
    /// Token and head selections that come before it.
    pub selections: Vec<Selection>,
    /// Positions of its keys in the text.
    pub tokens: Arc<[u32]>,
    /// Number of the head in the model.
    pub head: u32,
    /// Lines in the key buffer.
    pub key_lines: u32,
    /// Lines in the value buffer.
    pub value_lines: u32,
    /// What is fetched, in this order.
    pub fetches: Vec<Fetch>,
    /// Values of all its keys.
    pub values: Vec<Vec<i32>>,
    /// First computations of all queries, then the second ones.
    pub passes: Vec<Pass>,
}

/// A fetch.
pub struct Fetch {
    /// Stream of the fetcher.
    pub kind: StreamKind,
    /// Byte address of vector number 0.
    pub base: u64,
    /// Size of a stored vector \[B\].
    pub vector_bytes: u32,
    /// Stored bits of an element.
    pub bits: u32,
    /// Bits of the word above them.
    pub above: u32,
    /// Numbers of the vectors, if they do not follow each other from 0 on. Padding repeats the first.
    pub list: Option<Vec<u32>>,
    /// Stored vectors, padding included.
    pub vectors: Vec<Vec<u8>>,
}

/// One computation of one query.
pub struct Pass {
    /// Words of the query.
    pub query: Vec<i32>,
    /// Words of the key vectors, padding included.
    pub keys: Arc<[Vec<i32>]>,
    /// From scores to exponents.
    pub scale: Scale,
    /// Scores of the keys.
    pub scores: Vec<i64>,
    /// Probability codes of the keys.
    pub probabilities: Vec<u16>,
    /// Threshold of the decision, if there is one.
    pub threshold: Option<u16>,
    /// Whether it is computed again.
    pub is_flat: bool,
    /// Whether the values are selected.
    pub selects: bool,
    /// Positions of the values that are used.
    pub kept: Vec<u32>,
    /// Words of the output; empty if it is computed again.
    pub output: Vec<i32>,
}

impl Requests {
    /// The requests of some runs of a model on the machine.
    ///
    /// # Errors
    /// A run that does not fit the machine, or whose outputs the machine would not compute.
    pub fn new(params: &Spatten, recordings: &[Recording]) -> Result<Self> {
        let mut requests = Self { works: Vec::new(), inputs: 0 };
        for recording in recordings {
            requests.add(params, &widened(recording, params.head_dim as usize)?)?;
        }
        Ok(requests)
    }

    fn add(&mut self, params: &Spatten, recording: &Recording) -> Result<()> {
        let jobs = plan(params, &recording.requests, &RecordedImportance(recording))?;
        // Numbers of the heads that are left.
        let mut alive: Vec<u32> = Vec::new();
        let mut before: Option<&Request> = None;
        for job in &jobs {
            let at = job.request as usize;
            let request = &recording.requests[at];
            if job.heads > 1 {
                bail!(
                    "layer {}: the vectors of two 6-bit heads lie together, which the hardware does not \
                     take: expected another width, as with `--set workload.key_bits=8`",
                    request.layer
                );
            }
            let next_input = before.is_none_or(|last| last.iteration != request.iteration);
            let longer = before.is_some_and(|last| last.sentence_length < request.sentence_length);
            let begins_text = next_input && !(request.phase == Phase::Decode && longer);
            let mut selections = Vec::new();
            if next_input {
                alive = (0..heads_of_layer(&recording.requests[at..])).collect();
                self.inputs += 1;
            }
            if let Some(last) = at.checked_sub(1).filter(|_| job.barrier.is_some()) {
                let (last, record) = (&recording.requests[last], &recording.heads[last]);
                if let (Some(importance), Some(kept)) = (&record.token_importance, last.token_topk)
                {
                    selections.push((importance.clone(), kept as usize));
                }
                if let Some(importance) = record.head_importance.clone().filter(|_| !next_input) {
                    let kept = heads_of_layer(&recording.requests[at..]) as usize;
                    let left = largest(&importance, kept);
                    alive = left.iter().filter_map(|at| alive.get(*at as usize).copied()).collect();
                    selections.push((importance, kept));
                }
            }
            let head = alive.get(request.head as usize).copied().unwrap_or(request.head);
            let mut work = Work {
                request: request.clone(),
                begins_text,
                selections,
                tokens: Arc::clone(&recording.heads[at].tokens),
                head,
                key_lines: job.key_lines,
                value_lines: job.value_lines,
                fetches: Vec::new(),
                values: Vec::new(),
                passes: Vec::new(),
            };
            work.compute(params, recording, job)
                .with_context(|| format!("layer {}, head {}", request.layer, request.head))?;
            self.works.push(work);
            before = Some(request);
        }
        Ok(())
    }

    /// All passes in order.
    pub fn passes(&self) -> impl Iterator<Item = &Pass> {
        self.works.iter().flat_map(|work| &work.passes)
    }

    /// All passes that go on behind the decision, with their jobs.
    pub fn accepted(&self) -> impl Iterator<Item = (&Work, &Pass)> {
        let passes = |work| Work::accepted(work).map(move |pass| (work, pass));
        self.works.iter().flat_map(passes)
    }

    /// All selections of values.
    ///
    /// # Errors
    /// Why there is none.
    pub fn value_selections(&self) -> Result<Vec<Selection>, String> {
        let selects = self.accepted().filter(|(_, pass)| pass.selects);
        let selections: Vec<Selection> =
            selects.map(|(_, pass)| (pass.elements(), pass.kept.len())).collect();
        if selections.is_empty() {
            return Err("no values are pruned: see `--set workload.value_keep`".into());
        }
        Ok(selections)
    }

    /// All selections of tokens and heads.
    ///
    /// # Errors
    /// Why there is none.
    pub fn selections(&self) -> Result<Vec<Selection>, String> {
        let all = self.works.iter().flat_map(|work| &work.selections);
        let selections: Vec<Selection> = all.cloned().collect();
        if selections.is_empty() {
            let knobs = "`--set workload.token_keep` and `workload.head_keep`";
            return Err(format!("no tokens and no heads are pruned: see {knobs}"));
        }
        Ok(selections)
    }
}

impl Recorded for Requests {
    fn vectors(
        &self,
        unit: &dyn Unit,
        pins: &Pins,
        plan: Plan,
    ) -> Result<Box<dyn Vectors>, String> {
        unit.real(pins, plan, self)
    }

    fn summary(&self) -> String {
        let count = |of: fn(&Pass) -> bool| self.passes().filter(|pass| of(pass)).count();
        format!(
            "{} inputs: {} heads, {} passes, {} of them computed again; {} selections of tokens or \
             heads, {} of values",
            self.inputs,
            self.works.len(),
            count(|_| true),
            count(|pass| pass.is_flat),
            self.works.iter().map(|work| work.selections.len()).sum::<usize>(),
            count(|pass| pass.selects),
        )
    }
}

/// Heads of the layer that begins with the first of these requests.
fn heads_of_layer(requests: &[Request]) -> u32 {
    let of = |request: &Request| (request.iteration, request.layer);
    let first = requests.first().map(of);
    requests.iter().take_while(|request| Some(of(request)) == first).count() as u32
}

impl Pass {
    /// Probabilities as elements of a selection.
    pub fn elements(&self) -> Vec<u64> {
        self.probabilities.iter().map(|code| u64::from(*code)).collect()
    }
}

impl Fetch {
    /// The number of its format among those of the hardware.
    ///
    /// # Errors
    /// A format that the hardware does not know.
    pub fn format(&self, params: &Spatten, known: &[Format]) -> Result<usize, String> {
        let Self { bits, above, kind, .. } = *self;
        let vectors = if kind == StreamKind::Query { 1 } else { params.qk_array.keys_per_line };
        let wanted = Format { bits, heads: 1, above, vectors };
        known.iter().position(|format| *format == wanted).ok_or_else(|| {
            format!("the hardware has no format for {bits} bits below {above} others")
        })
    }

    /// Which segments of a word it brings, by the boundaries of all.
    pub fn segments(&self, params: &Spatten) -> u64 {
        let word = params.datapath_bits;
        let written = segments(word).into_iter().map(|(_, high)| high <= word - self.above);
        (0..).zip(written).fold(0, |mask, (at, written)| mask | u64::from(written) << at)
    }

    /// The vectors, each one word per element; bits that it does not bring are zero.
    pub fn words(&self, params: &Spatten) -> Vec<Vec<i32>> {
        let (dim, word) = (params.head_dim, params.datapath_bits);
        let of = |stored: &Vec<u8>| match self.above {
            0 => words(stored, self.bits, (0, 1), dim, word).collect(),
            above => {
                let mut lower = vec![0; dim as usize];
                merge(&mut lower, stored, Field { bits: self.bits, above }, word);
                lower
            }
        };
        self.vectors.iter().map(of).collect()
    }
}

impl Work {
    /// Whether all values lie in the buffer, so that survivors of a selection stay in place.
    pub fn in_place(&self) -> bool {
        self.request.phase == Phase::Prefill
    }

    /// Passes that go on behind the decision.
    pub fn accepted(&self) -> impl Iterator<Item = &Pass> {
        self.passes.iter().filter(|pass| !pass.is_flat)
    }

    /// Queries, each of which has one pass or two.
    pub fn queries(&self) -> usize {
        self.request.queries as usize
    }

    /// Lines of the value buffer, counted from the first of the job, that a pass reads.
    pub fn value_lines_read(&self, pass: &Pass, width: u32) -> Vec<u32> {
        if pass.selects && !self.in_place() {
            return (0..(pass.kept.len() as u32).div_ceil(width)).collect();
        }
        let mut lines: Vec<u32> = pass.kept.iter().map(|at| at / width).collect();
        lines.dedup();
        lines
    }
}
