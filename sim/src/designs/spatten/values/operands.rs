//! Real operands: what arrives in the buffers, and what the units make of it.
//!
//! The vectors of a job lie in memory as the plan says ([`super::image`]). Words come only from the
//! transactions that the fetcher asked for, at their addresses, once they have arrived; a vector that
//! never came, came from elsewhere or came too late is zero or wrong. From these words the passes are
//! computed when they reach the units that need them, and each attention output is compared with the
//! recording.

use std::collections::BTreeMap;
use std::ops::Range;

use attelier_hw::spatten::Spatten;
use attelier_workloads::request::Request;

use super::image::Image;
use super::{Importance, PassId, Probabilities};
use crate::datapath::bitwidth_converter::{Field, merge, words};
use crate::datapath::quant_decision::is_flat;
use crate::designs::spatten::error::ValueError;
use crate::designs::spatten::functional::{HeadWords, Recording, output, probabilities};
use crate::designs::spatten::plan::Job;
use crate::designs::spatten::storage::{CodeBits, Plane};
use crate::units::bitwidth_converter::Target;
use crate::units::line_sram::Plane as BufferPlane;
use crate::units::qkv_fetcher::{Command, Indices};

/// Outputs of the machine against those of the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Words compared.
    pub outputs: u64,
    /// Words that differ.
    pub mismatches: u64,
    /// Passes that left the machine.
    pub passes: u64,
    /// Passes that were found flat.
    pub flat: u64,
    /// Jobs whose keys are not those that the recording selected.
    pub other_keys: u64,
}

/// Importances of a recording, for the planner.
#[derive(Debug)]
pub struct RecordedImportance<'a>(pub &'a Recording);

impl RecordedImportance<'_> {
    /// A selection without recorded importance keeps the first ones; the comparison of keys finds
    /// it.
    fn or_equal(importance: Option<&Vec<u64>>, n: usize) -> Vec<u64> {
        importance.filter(|importance| importance.len() == n).cloned().unwrap_or_else(|| vec![0; n])
    }
}

impl Importance for RecordedImportance<'_> {
    fn decides(&self) -> bool {
        true
    }

    fn pivot_seed(&self) -> u16 {
        1
    }

    fn of_tokens(&self, at: usize, _request: &Request, n: usize) -> Vec<u64> {
        Self::or_equal(self.0.heads[at].token_importance.as_ref(), n)
    }

    fn of_heads(&self, at: usize, _request: &Request, n: usize) -> Vec<u64> {
        Self::or_equal(self.0.heads[at].head_importance.as_ref(), n)
    }

    fn unexplained(&self, _at: usize, _request: &Request, n: usize) -> Vec<u64> {
        vec![0; n]
    }
}

/// Values of a recording, as the machine sees them.
#[derive(Debug)]
pub struct OperandValues<'a> {
    params: &'a Spatten,
    jobs: &'a [Job],
    recording: &'a Recording,
    bits: CodeBits,
    /// Jobs in the machine.
    operands: BTreeMap<u32, Operands>,
    /// Whether all passes of a job have left.
    done: Vec<bool>,
    rows: BTreeMap<PassId, Vec<u16>>,
    kept: BTreeMap<PassId, Vec<u32>>,
    comparison: Comparison,
}

impl<'a> OperandValues<'a> {
    /// Values of `jobs`, which were planned from the requests of `recording`.
    ///
    /// # Errors
    /// Widths that the machine cannot hold.
    pub fn new(
        params: &'a Spatten,
        jobs: &'a [Job],
        recording: &'a Recording,
    ) -> Result<Self, ValueError> {
        let first = recording.requests.first();
        let bits = first.map(|request| CodeBits::of(params, &request.widths)).transpose()?;
        let other_keys = jobs
            .iter()
            .filter(|job| {
                let tokens = &recording.heads[job.request as usize].tokens;
                (0..).zip(tokens.iter()).any(|(at, &token)| index(&job.key_indices, at) != token)
            })
            .count() as u64;
        Ok(Self {
            params,
            jobs,
            recording,
            // Without requests there are no jobs, and nobody asks.
            bits: bits.unwrap_or(CodeBits::NONE),
            operands: BTreeMap::new(),
            done: vec![false; jobs.len()],
            rows: BTreeMap::new(),
            kept: BTreeMap::new(),
            comparison: Comparison { other_keys, ..Comparison::default() },
        })
    }

    /// What the comparison found.
    pub fn comparison(&self) -> Comparison {
        self.comparison
    }

    fn operands(&mut self, job: u32) -> &mut Operands {
        self.operands.entry(job).or_insert_with(|| {
            let planned = &self.jobs[job as usize];
            Operands::new(self.params, &self.bits, self.recording, planned)
        })
    }

    fn compute(&mut self, pass: PassId) -> Vec<u16> {
        let job = &self.jobs[pass.job as usize];
        let record = &self.recording.heads[job.request as usize + usize::from(pass.head)];
        let (scale, params) = (record.scale, self.params);
        let words = &self.operands(pass.job).heads[usize::from(pass.head)];
        let keys = if pass.with_lsb { &words.whole_keys } else { &words.keys };
        let dim = keys.len() / job.keys as usize;
        let query = &words.queries[pass.query as usize * dim..][..dim];
        probabilities(params, query, keys, scale)
    }
}

impl Probabilities for OperandValues<'_> {
    fn repeats(&self) -> bool {
        false
    }

    fn arrived(&mut self, command: &Command, transactions: Range<u64>) {
        let job = &self.jobs[command.job as usize];
        let (bits, params) = (self.bits, self.params);
        // Padding can come when the last pass has left.
        if !self.done[command.job as usize] {
            self.operands(command.job).arrived(params, &bits, job, command, transactions);
        }
    }

    fn row(&mut self, pass: PassId) -> &[u16] {
        if !self.rows.contains_key(&pass) {
            let row = self.compute(pass);
            self.rows.insert(pass, row);
        }
        &self.rows[&pass]
    }

    fn is_flat(&mut self, pass: PassId) -> bool {
        let job = &self.jobs[pass.job as usize];
        let at = job.request as usize + usize::from(pass.head);
        let threshold = self.recording.heads[at].threshold;
        let flat = is_flat(self.row(pass), threshold);
        if flat {
            self.rows.remove(&pass);
            self.comparison.flat += 1;
        }
        flat
    }

    fn keep(&mut self, pass: PassId, kept: &[u32]) {
        self.kept.insert(pass, kept.to_vec());
    }

    fn finish(&mut self, pass: PassId) {
        let job = &self.jobs[pass.job as usize];
        let row = self.rows.remove(&pass).unwrap_or_else(|| self.compute(pass));
        let kept = self.kept.remove(&pass).unwrap_or_else(|| (0..job.keys).collect());
        let record = &self.recording.heads[job.request as usize + usize::from(pass.head)];
        let params = self.params;
        let words = &self.operands(pass.job).heads[usize::from(pass.head)];
        let computed = output(params, &row, &words.values, &kept);
        let dim = computed.len();
        let expected = record.outputs.get(pass.query as usize * dim..).unwrap_or(&[]);
        let equal = computed.iter().zip(expected).filter(|(a, b)| a == b).count();
        self.comparison.passes += 1;
        self.comparison.outputs += dim as u64;
        self.comparison.mismatches += (dim - equal) as u64;
        let operands = self.operands(pass.job);
        operands.left -= 1;
        if operands.left == 0 {
            self.operands.remove(&pass.job);
            self.done[pass.job as usize] = true;
        }
    }
}

/// The vector number that fetch number `at` reads.
fn index(indices: &Indices, at: u32) -> u32 {
    match indices {
        Indices::From(first) => first + at,
        Indices::List(list) => list[at as usize],
    }
}

/// Which key of a job a vector number is.
fn position(indices: &Indices, number: u32) -> Option<usize> {
    match indices {
        Indices::From(first) => number.checked_sub(*first).map(|at| at as usize),
        // Kept tokens stay in order.
        Indices::List(list) => list.binary_search(&number).ok(),
    }
}

/// What a job has in memory, and what of it has arrived.
#[derive(Debug)]
struct Operands {
    image: Image,
    /// Zero until fetched.
    heads: Vec<HeadWords>,
    dim: u32,
    /// Queries fetched so far, of all heads.
    queries: u32,
    /// Passes that have not left the machine.
    left: u32,
}

impl Operands {
    fn new(params: &Spatten, bits: &CodeBits, recording: &Recording, job: &Job) -> Self {
        let first = job.request as usize;
        let dim = recording.requests[first].head_dim;
        let zeros = |vectors: u32| vec![0; vectors as usize * dim as usize];
        let mut heads: Vec<HeadWords> = (0..job.heads)
            .map(|_| HeadWords {
                queries: zeros(job.queries),
                keys: zeros(job.keys),
                whole_keys: zeros(job.keys),
                values: zeros(job.keys),
            })
            .collect();
        if !params.controller.query_from_dram {
            // The port brings words, left aligned.
            for (head, record) in heads.iter_mut().zip(&recording.heads[first..]) {
                let word = |code: &i16| i32::from(*code) << (params.datapath_bits - bits.query);
                head.queries = record.queries.iter().map(word).collect();
            }
        }
        let image = Image::of(bits, recording, job);
        Self { image, heads, dim, queries: 0, left: job.passes() }
    }

    /// Converts the vectors that end in these transactions of a command.
    fn arrived(
        &mut self,
        params: &Spatten,
        bits: &CodeBits,
        job: &Job,
        command: &Command,
        transactions: Range<u64>,
    ) {
        let grain = params.memory.transaction_bytes;
        let per_vector = u64::from(command.vector_bytes / grain);
        for vector in transactions.start / per_vector..transactions.end / per_vector {
            let mut bytes = Vec::with_capacity(command.vector_bytes as usize);
            for transaction in vector * per_vector..(vector + 1) * per_vector {
                self.image.read(command.address(transaction, grain), grain, &mut bytes);
            }
            // Vectors of a command are counted in 32 bits.
            self.convert(params.datapath_bits, bits, job, command, vector as u32, &bytes);
        }
    }

    /// Converts one vector.
    fn convert(
        &mut self,
        word: u32,
        bits: &CodeBits,
        job: &Job,
        command: &Command,
        vector: u32,
        bytes: &[u8],
    ) {
        let dim = self.dim;
        let place = |at: usize| at * dim as usize..(at + 1) * dim as usize;
        let of_head = |head: usize, plane: &Plane| {
            let lane = if plane.fused > 1 { head as u32 } else { 0 };
            words(bytes, plane.bits, (lane, plane.fused), dim, word)
        };
        match command.target {
            Target::Key(_, BufferPlane::Msb) if vector < job.keys => {
                for (head, operands) in self.heads.iter_mut().enumerate() {
                    let range = place(vector as usize);
                    let key: Vec<i32> = of_head(head, &job.key).collect();
                    for (whole, word) in operands.whole_keys[range.clone()].iter_mut().zip(&key) {
                        *whole |= word;
                    }
                    operands.keys[range].copy_from_slice(&key);
                }
            }
            Target::Key(_, plane) if vector < job.keys => {
                let head = usize::from(plane == BufferPlane::LsbSecond);
                let field = Field { bits: bits.key_lsb, above: job.key.bits };
                let whole = &mut self.heads[head].whole_keys[place(vector as usize)];
                merge(whole, bytes, field, word);
            }
            // Padding.
            Target::Key(..) => {}
            Target::Value(_) => {
                let listed = match &command.indices {
                    Indices::List(list) => (vector as usize) < list.len(),
                    Indices::From(_) => vector < job.keys,
                };
                let number = listed.then(|| index(&command.indices, vector));
                let at = number.and_then(|number| position(&job.key_indices, number));
                if let Some(at) = at.filter(|&at| at < job.keys as usize) {
                    for (head, operands) in self.heads.iter_mut().enumerate() {
                        let value: Vec<i32> = of_head(head, &job.value).collect();
                        operands.values[place(at)].copy_from_slice(&value);
                    }
                }
            }
            Target::Query => {
                // Queries are asked for in the order of the passes.
                let (head, query) = (self.queries / job.queries, self.queries % job.queries);
                self.queries += 1;
                let stored = bits.query_stored;
                let fetched = words(bytes, stored, (0, 1), dim, word);
                let queries = &mut self.heads[head as usize].queries;
                queries[place(query as usize)].iter_mut().zip(fetched).for_each(|(w, f)| *w = f);
            }
        }
    }
}
