//! Real operands: what lies in memory, what arrives in the buffers, what the units make of it.
//!
//! For every job the stored bytes of its vectors are written at the addresses of the plan, read with
//! the key and query numbers of the job, and converted to words; from these the passes are computed
//! when they reach the units that need them. Each attention output is compared with the recording
//! it came from. What the fetcher asks of the memory is not looked at here: `sim/tests/fetcher.rs`
//! and `mechanisms.rs` hold its addresses against closed forms.

use std::collections::BTreeMap;

use attelier_hw::spatten::Spatten;
use attelier_workloads::request::{Phase, Request};

use super::{Importance, PassId, Probabilities};
use crate::datapath::bitwidth_converter::{Field, merge, pack, split, words};
use crate::datapath::quant_decision::is_flat;
use crate::designs::spatten::error::ValueError;
use crate::designs::spatten::functional::{HeadWords, Recording, output, probabilities};
use crate::designs::spatten::plan::Job;
use crate::designs::spatten::storage::{CodeBits, Plane};
use crate::units::qkv_fetcher::Indices;

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
    /// Words of the heads of the jobs in the machine, and passes that have not left.
    words: BTreeMap<u32, (Vec<HeadWords>, u32)>,
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
            words: BTreeMap::new(),
            rows: BTreeMap::new(),
            kept: BTreeMap::new(),
            comparison: Comparison { other_keys, ..Comparison::default() },
        })
    }

    /// What the comparison found.
    pub fn comparison(&self) -> Comparison {
        self.comparison
    }

    fn heads(&mut self, job: u32) -> &[HeadWords] {
        let entry = self.words.entry(job).or_insert_with(|| {
            let planned = &self.jobs[job as usize];
            (fetch(self.params, &self.bits, self.recording, planned), planned.passes())
        });
        &entry.0
    }

    fn compute(&mut self, pass: PassId) -> Vec<u16> {
        let job = &self.jobs[pass.job as usize];
        let record = &self.recording.heads[job.request as usize + usize::from(pass.head)];
        let (scale, params) = (record.scale, self.params);
        let words = &self.heads(pass.job)[usize::from(pass.head)];
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
        let words = &self.heads(pass.job)[usize::from(pass.head)];
        let computed = output(params, &row, &words.values, &kept);
        let dim = computed.len();
        let expected = record.outputs.get(pass.query as usize * dim..).unwrap_or(&[]);
        let equal = computed.iter().zip(expected).filter(|(a, b)| a == b).count();
        self.comparison.passes += 1;
        self.comparison.outputs += dim as u64;
        self.comparison.mismatches += (dim - equal) as u64;
        if let Some((_, left)) = self.words.get_mut(&pass.job) {
            *left -= 1;
            if *left == 0 {
                self.words.remove(&pass.job);
            }
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

/// Bytes of memory by address, written vector by vector.
#[derive(Debug, Default)]
struct Image(BTreeMap<u64, Vec<u8>>);

impl Image {
    /// Writes the codes of one head into vector `number` of a plane.
    fn write(&mut self, plane: &Plane, number: u32, head: u32, codes: &[i32]) {
        let address = plane.base + u64::from(number) * u64::from(plane.vector_bytes);
        let vector = self.0.entry(address).or_insert_with(|| vec![0; plane.vector_bytes as usize]);
        pack(vector, plane.bits, (head, plane.fused), codes);
    }

    /// The bytes of one vector; what was never written is 0.
    fn read(&self, plane: &Plane, number: u32) -> &[u8] {
        let address = plane.base + u64::from(number) * u64::from(plane.vector_bytes);
        self.0.get(&address).map_or(&[0; 1 << 12][..], Vec::as_slice)
    }
}

/// Stores the operands of a job and fetches them.
fn fetch(params: &Spatten, bits: &CodeBits, recording: &Recording, job: &Job) -> Vec<HeadWords> {
    let mut image = Image::default();
    let first = job.request as usize;
    let requests = &recording.requests[first..first + usize::from(job.heads)];
    for (head, record) in (0..).zip(&recording.heads[first..first + usize::from(job.heads)]) {
        let dim = requests[0].head_dim as usize;
        let cache = &recording.caches[record.cache];
        let fused = if job.heads > 1 { head } else { 0 };
        for &token in record.tokens.iter() {
            let widen = |code: i16, from: u32, to: u32| i32::from(code) << (to - from);
            let keys = Recording::row(&cache.keys, dim, token);
            let keys = keys.iter().map(|&k| widen(k, bits.key, bits.key_stored));
            let (high, low): (Vec<i32>, Vec<i32>) =
                keys.map(|code| split(code, bits.key_lsb)).unzip();
            image.write(&job.key, token, fused, &high);
            if bits.key_lsb > 0 {
                image.write(&job.key_lsb[head as usize], token, 0, &low);
            }
            let values = Recording::row(&cache.values, dim, token);
            let values: Vec<i32> =
                values.iter().map(|&v| widen(v, bits.value, bits.value_stored)).collect();
            image.write(&job.value, token, fused, &values);
        }
        for (number, query) in (0..).zip(record.queries.chunks_exact(dim)) {
            let codes: Vec<i32> =
                query.iter().map(|&q| i32::from(q) << (bits.query_stored - bits.query)).collect();
            // Prefill stores a query where its token lies, decode has one.
            let position = match requests[0].phase {
                Phase::Prefill => record.tokens[number as usize],
                Phase::Decode => number,
            };
            image.write(&job.query[head as usize], position, 0, &codes);
        }
    }
    (0..u32::from(job.heads))
        .map(|head| read(params, bits, &image, job, (head, requests)))
        .collect()
}

/// Words of one head of a job, read from memory.
fn read(
    params: &Spatten,
    bits: &CodeBits,
    image: &Image,
    job: &Job,
    (head, requests): (u32, &[Request]),
) -> HeadWords {
    let (dim, word) = (requests[0].head_dim, params.datapath_bits);
    let fused = |plane: &Plane| (if plane.fused > 1 { head } else { 0 }, plane.fused);
    let fetched = |plane: &Plane, number: u32| -> Vec<i32> {
        words(image.read(plane, number), plane.bits, fused(plane), dim, word).collect()
    };
    let mut all = HeadWords::default();
    for at in 0..job.keys {
        let number = index(&job.key_indices, at);
        let mut key = fetched(&job.key, number);
        all.keys.extend_from_slice(&key);
        if bits.key_lsb > 0 {
            let plane = &job.key_lsb[head as usize];
            let field = Field { bits: plane.bits, above: job.key.bits };
            merge(&mut key, image.read(plane, number), field, word);
        }
        all.whole_keys.extend_from_slice(&key);
        all.values.extend(fetched(&job.value, number));
    }
    for query in 0..job.queries {
        let plane = Plane { fused: 1, ..job.query[head as usize] };
        all.queries.extend(fetched(&plane, job.query_index(query)));
    }
    all
}
