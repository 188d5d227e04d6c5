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

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use attelier_hw::spatten::Spatten;
use attelier_rtl::units::spatten::{Format, segments};
use attelier_sim::{
    datapath::{
        bitwidth_converter::{Field, merge, words},
        qk_array,
        quant_decision::is_flat,
        softmax::{Scale, softmax},
    },
    designs::spatten::{
        CodeBits, Decision, Image, Job, Plane, RecordedImportance,
        functional::{Cache, HeadRecord, Recording, largest, output},
        plan,
    },
    units::qkv_fetcher::{Indices, StreamKind},
};
use attelier_workloads::request::{Phase, Request};

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
    /// Numbers of the vectors, if they do not follow each other from 0 on. Padding repeats the last.
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

    /// What they consist of, in a sentence.
    pub fn summary(&self) -> String {
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

/// Reads the fetches of a job.
struct Reader<'a> {
    image: Image,
    job: &'a Job,
}

impl Reader<'_> {
    fn vectors(&self, plane: &Plane, numbers: impl Iterator<Item = u32>) -> Vec<Vec<u8>> {
        let read = |number: u32| {
            let mut bytes = Vec::new();
            let address = plane.base + u64::from(number) * u64::from(plane.vector_bytes);
            self.image.read(address, plane.vector_bytes, &mut bytes);
            bytes
        };
        numbers.map(read).collect()
    }

    /// All keys or all values.
    fn whole(&self, kind: StreamKind, plane: &Plane, above: u32) -> Fetch {
        let Job { keys, key_vectors, .. } = *self.job;
        match &self.job.key_indices {
            Indices::List(list) if kind == StreamKind::Value => {
                self.listed(plane, list, key_vectors)
            }
            Indices::List(list) => {
                let mut vectors = self.vectors(plane, list.iter().copied());
                vectors.resize(key_vectors as usize, vec![0; plane.vector_bytes as usize]);
                fetch(kind, plane, above, None, vectors)
            }
            Indices::From(first) => {
                let base = plane.base + u64::from(*first) * u64::from(plane.vector_bytes);
                let plane = Plane { base, ..*plane };
                debug_assert!(keys <= key_vectors);
                fetch(kind, &plane, above, None, self.vectors(&plane, 0..key_vectors))
            }
        }
    }

    /// Some values.
    fn listed(&self, plane: &Plane, list: &[u32], count: u32) -> Fetch {
        let at = |number: u32| list.get(number as usize).or(list.last()).copied().unwrap_or(0);
        let vectors = self.vectors(plane, (0..count).map(at));
        fetch(StreamKind::Value, plane, 0, Some(list.to_vec()), vectors)
    }

    fn query(&self, number: u32) -> Fetch {
        let plane = &self.job.query[0];
        let number = self.job.query_index(number);
        let base = plane.base + u64::from(number) * u64::from(plane.vector_bytes);
        let vectors = self.vectors(plane, std::iter::once(number));
        fetch(StreamKind::Query, &Plane { base, ..*plane }, 0, None, vectors)
    }
}

fn fetch(
    kind: StreamKind,
    plane: &Plane,
    above: u32,
    list: Option<Vec<u32>>,
    vectors: Vec<Vec<u8>>,
) -> Fetch {
    let Plane { base, bits, vector_bytes, .. } = *plane;
    Fetch { kind, base, vector_bytes, bits, above, list, vectors }
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

    /// Fetches and passes of the job.
    fn compute(&mut self, params: &Spatten, recording: &Recording, job: &Job) -> Result<()> {
        let record = &recording.heads[job.request as usize];
        let bits = CodeBits::of(params, &self.request.widths)?;
        let reader = Reader { image: Image::of(&bits, recording, job), job };
        let decode = job.phase == Phase::Decode;
        let key = reader.whole(StreamKind::Key, &job.key, 0);
        let values = reader.whole(StreamKind::Value, &job.value, 0);
        let keys = key.words(params);
        self.values = values.words(params);
        self.values.truncate(job.keys as usize);
        self.fetches.push(key);
        let lower = (job.key_lsb[0].bits > 0)
            .then(|| reader.whole(StreamKind::KeyLsb, &job.key_lsb[0], job.key.bits));
        let whole: Arc<[Vec<i32>]> = match &lower {
            Some(lower) => joined(&keys, &lower.words(params)).into(),
            None => keys.clone().into(),
        };
        let first = if job.eager_lsb { Arc::clone(&whole) } else { keys.into() };
        let queries = record.queries.chunks_exact(params.head_dim as usize);
        let queries = queries.map(|codes| {
            codes
                .iter()
                .map(|code| i32::from(*code) << (params.datapath_bits - bits.query))
                .collect()
        });
        let mut passes: Vec<Pass> =
            queries.map(|query| self.pass(params, job, record, query, &first, true)).collect();
        let flat: Vec<(usize, Vec<i32>)> = (0..)
            .zip(&passes)
            .filter(|(_, pass)| pass.is_flat)
            .map(|(at, pass)| (at, pass.query.clone()))
            .collect();
        if job.eager_lsb || !flat.is_empty() {
            self.fetches.extend(lower);
        }
        self.fetches.extend((0..job.queries).map(|number| reader.query(number)));
        let mut results: Vec<usize> = (0..passes.len()).collect();
        for (at, query) in flat {
            results[at] = passes.len();
            passes.push(self.pass(params, job, record, query, &whole, false));
        }
        let listed = |kept: &[u32]| match &job.key_indices {
            Indices::From(first) => kept.iter().map(|at| first + at).collect(),
            Indices::List(tokens) => kept.iter().map(|at| tokens[*at as usize]).collect::<Vec<_>>(),
        };
        self.fetches.push(match results.first().map(|at| &passes[*at]) {
            Some(pass) if decode && pass.selects => {
                reader.listed(&job.value, &listed(&pass.kept), job.value_vectors)
            }
            _ => values,
        });
        let outputs = results.iter().flat_map(|at| &passes[*at].output);
        if !outputs.eq(&record.outputs) {
            bail!("the machine would compute other outputs than its functional run");
        }
        self.passes = passes;
        Ok(())
    }

    /// One computation of a query against keys; the `first` one may be decided to be flat.
    fn pass(
        &self,
        params: &Spatten,
        job: &Job,
        record: &HeadRecord,
        query: Vec<i32>,
        keys: &Arc<[Vec<i32>]>,
        first: bool,
    ) -> Pass {
        let scores: Vec<i64> =
            keys[..job.keys as usize].iter().map(|key| qk_array::score(&query, key)).collect();
        let (lanes, bits) = (params.softmax.lanes as usize, params.datapath_bits);
        let probabilities = softmax(&scores, record.scale, lanes, bits);
        let threshold = match job.decisions[0] {
            _ if !first => None,
            Decision::Compared => Some(record.threshold),
            // No probability reaches it.
            Decision::Told { is_flat: true } => {
                Some(u16::try_from(1u32 << bits).unwrap_or(u16::MAX))
            }
            Decision::Told { is_flat: false } | Decision::Accept => None,
        };
        let is_flat = threshold.is_some_and(|threshold| is_flat(&probabilities, threshold));
        let selects = job.prunes_values && !is_flat;
        let kept = largest(&probabilities, job.values as usize);
        let values = self.values.concat();
        let output =
            if is_flat { Vec::new() } else { output(params, &probabilities, &values, &kept) };
        let keys = Arc::clone(keys);
        let scale = record.scale;
        Pass {
            query,
            keys,
            scale,
            scores,
            probabilities,
            threshold,
            is_flat,
            selects,
            kept,
            output,
        }
    }
}

/// Words whose upper and lower bits came apart.
pub fn joined(upper: &[Vec<i32>], lower: &[Vec<i32>]) -> Vec<Vec<i32>> {
    let join = |(upper, lower): (&Vec<i32>, &Vec<i32>)| -> Vec<i32> {
        upper.iter().zip(lower).map(|(upper, lower)| upper | lower).collect()
    };
    upper.iter().zip(lower).map(join).collect()
}

/// The recording with vectors of `dim` elements, zeros behind those that there are.
fn widened(recording: &Recording, dim: usize) -> Result<Recording> {
    let own = recording.requests.first().map_or(dim, |request| request.head_dim as usize);
    if own > dim {
        bail!("heads of {own} elements do not fit the machine: expected at most {dim}");
    }
    fn wide<T: Copy + Default>(codes: &[T], own: usize, dim: usize) -> Vec<T> {
        let zeros = vec![T::default(); dim - own];
        codes.chunks_exact(own).flat_map(|vector| vector.iter().chain(&zeros).copied()).collect()
    }
    let mut recording = recording.clone();
    for request in &mut recording.requests {
        request.head_dim = dim as u32;
    }
    for cache in &mut recording.caches {
        let Cache { keys, values } = cache;
        (*keys, *values) = (wide(keys, own, dim), wide(values, own, dim));
    }
    for head in &mut recording.heads {
        head.queries = wide(&head.queries, own, dim);
        head.outputs = wide(&head.outputs, own, dim);
    }
    Ok(recording)
}
