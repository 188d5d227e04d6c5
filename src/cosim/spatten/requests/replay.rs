//! What the machine makes of the stored operands of a job.

use std::sync::Arc;

use anyhow::{Result, bail};
use attelier_hw::spatten::Spatten;
use attelier_sim::{
    datapath::{qk_array, quant_decision::is_flat, softmax::softmax},
    designs::spatten::{
        CodeBits, Decision, Image, Job, Plane,
        functional::{Cache, HeadRecord, Recording, largest, output},
    },
    units::qkv_fetcher::{Indices, StreamKind},
};
use attelier_workloads::request::Phase;

use super::{Fetch, Pass, Work};

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
        let indices = Indices::List(list.into());
        let vectors = self.vectors(plane, (0..count).map(|position| indices.at(position)));
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
    /// Fetches and passes of the job.
    pub(super) fn compute(
        &mut self,
        params: &Spatten,
        recording: &Recording,
        job: &Job,
    ) -> Result<()> {
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
pub(super) fn widened(recording: &Recording, dim: usize) -> Result<Recording> {
    let own = recording.requests.first().map_or(dim, |request| request.head_dim as usize);
    if own > dim {
        bail!(
            "heads of {own} elements do not fit the machine: expected at most {dim}, or another machine, \
             as with `--set head_dim={own}`"
        );
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
