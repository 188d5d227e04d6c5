//! Recorded operands in place of a model: attention sees them layer by layer, but what it answers
//! changes nothing except which tokens go on.

use std::iter::Peekable;

use ndarray::{Array2, Axis};

use crate::error::{Problem, TraceError};
use crate::model::{Attended, Attention, AttentionError, Projected};
use crate::request::{Phase, Request};
use crate::trace::{Record, TraceReader};

/// Operands of one layer, all heads.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Queries [queries, heads * head_dim].
    pub q: Array2<f32>,
    /// Keys [keys, heads * head_dim].
    pub k: Array2<f32>,
    /// Values, as keys.
    pub v: Array2<f32>,
}

/// Operands of one input (all tokens are queries) or of one decode step (one query).
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// Heads.
    pub heads: usize,
    /// Elements of one vector of one head.
    pub head_dim: usize,
    /// Whether a query sees only tokens up to its own.
    pub causal: bool,
    /// Layers in order.
    pub layers: Vec<Layer>,
}

impl Replay {
    /// Whether this is the prompt of a decoder: many queries, each blind to what follows it.
    pub fn is_prompt(&self) -> bool {
        self.causal && self.layers.first().is_some_and(|layer| layer.q.nrows() > 1)
    }

    /// Runs `attention` over all layers; returns what it answered, a row per query that was left.
    ///
    /// # Errors
    /// Those of `attention`.
    pub fn run(&self, attention: &mut dyn Attention) -> Result<Vec<Attended>, AttentionError> {
        let mut positions: Vec<usize> = Vec::new();
        let mut answers = Vec::with_capacity(self.layers.len());
        for (layer, Layer { q, k, v }) in self.layers.iter().enumerate() {
            let decode = self.causal && q.nrows() == 1;
            if decode || layer == 0 {
                positions = (0..k.nrows()).collect();
            }
            let rows = |matrix: &Array2<f32>| matrix.select(Axis(0), &positions);
            let (q, k, v) = (if decode { q.clone() } else { rows(q) }, rows(k), rows(v));
            let answer = attention.attend(&Projected {
                layer,
                heads: self.heads,
                kv_heads: self.heads,
                head_dim: self.head_dim,
                q: q.view(),
                k: k.view(),
                v: v.view(),
                scale: (self.head_dim as f32).sqrt().recip(),
                causal: self.causal,
                first_position: k.nrows() - q.nrows(),
                positions: &positions,
            })?;
            if let (Some(kept), false) = (&answer.kept, decode) {
                positions = kept.iter().filter_map(|&row| positions.get(row).copied()).collect();
            }
            answers.push(answer);
        }
        Ok(answers)
    }
}

/// The inputs and decode steps of a trace with tensors, one iteration at a time.
///
/// A trace that is replayed is dense: every head of every layer with all its keys and values,
/// because whoever attends prunes itself.
pub struct Replays<'r> {
    file: String,
    records: Peekable<TraceReader<'r>>,
}

impl<'r> Replays<'r> {
    /// Inputs of the trace that `reader` reads; `file` names it in errors.
    pub fn new(file: &str, reader: TraceReader<'r>) -> Replays<'r> {
        Replays { file: file.to_owned(), records: reader.peekable() }
    }

    /// Records up to the next iteration.
    fn iteration(&mut self) -> Result<Vec<Record>, TraceError> {
        let mut records: Vec<Record> = Vec::new();
        while let Some(next) = self.records.peek() {
            let first = records.first().map(|record| record.request.iteration);
            if let (Ok(next), Some(first)) = (next, first)
                && next.request.iteration != first
            {
                break;
            }
            match self.records.next() {
                Some(record) => records.push(record?),
                None => break,
            }
        }
        Ok(records)
    }

    fn replay(&self, records: &[Record]) -> Result<Replay, TraceError> {
        let first = &records[0].request;
        let layer_of = |record: &Record| record.request.layer;
        let layers: Vec<&[Record]> = records.chunk_by(|a, b| layer_of(a) == layer_of(b)).collect();
        let heads = layers[0].len();
        let refuse = |request: &Request, expected: String| {
            let Request { iteration, layer, head, .. } = request;
            let problem = Problem::Value {
                field: "tensors".to_owned(),
                found: format!("iteration {iteration}, layer {layer}, head {head}"),
                expected,
            };
            Err(TraceError::new(problem, &self.file))
        };
        for (number, layer) in (0..).zip(&layers) {
            for (head, record) in (0..).zip(layer.iter()) {
                let request = &record.request;
                if (request.layer, request.head) != (number, head) || layer.len() != heads {
                    let expected = format!("layers from 0 without gaps, of {heads} heads each");
                    return refuse(request, expected);
                }
                let all = request.sentence_length;
                let queries = if request.phase == Phase::Prefill { all } else { 1 };
                let counts = (request.keys, request.values, request.queries);
                if counts != (all, all, queries)
                    || (request.phase, request.causal) != (first.phase, first.causal)
                {
                    return refuse(
                        request,
                        format!("nothing pruned: {queries} queries, {all} keys and {all} values"),
                    );
                }
            }
        }
        let matrix = |layer: &[Record], name: &str, rows: u32| {
            let dim = first.head_dim as usize;
            Array2::from_shape_fn((rows as usize, heads * dim), |(row, column)| {
                let tensors = layer[column / dim].tensors.as_ref();
                // The reader has seen to it that `q`, `k` and `v` are there and have these shapes.
                let values = tensors.and_then(|tensors| tensors.get(name)).map(|t| t.data());
                values.and_then(|v| v.get(row * dim + column % dim)).copied().unwrap_or(0.0)
            })
        };
        let layers = layers.into_iter().map(|layer| Layer {
            q: matrix(layer, "q", first.queries),
            k: matrix(layer, "k", first.keys),
            v: matrix(layer, "v", first.keys),
        });
        Ok(Replay {
            heads,
            head_dim: first.head_dim as usize,
            causal: first.causal || first.phase == Phase::Decode,
            layers: layers.collect(),
        })
    }
}

impl Iterator for Replays<'_> {
    type Item = Result<Replay, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.iteration() {
            Ok(records) if records.is_empty() => None,
            Ok(records) => Some(self.replay(&records)),
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    /// Keeps every other row and notes the positions it saw.
    #[derive(Default)]
    struct EveryOther(Vec<Vec<usize>>);

    impl Attention for EveryOther {
        fn attend(&mut self, operands: &Projected<'_>) -> Result<Attended, AttentionError> {
            self.0.push(operands.positions.to_vec());
            assert_eq!(operands.q.column(0).to_vec(), operands.k.column(0).to_vec());
            let kept = (0..operands.queries()).step_by(2).collect();
            Ok(Attended { output: operands.q.to_owned(), kept: Some(kept) })
        }
    }

    #[test]
    fn dropped_tokens_are_neither_queries_nor_keys_of_later_layers() {
        let matrix = Array2::from_shape_fn((5, 2), |(row, _)| row as f32);
        let layer = Layer { q: matrix.clone(), k: matrix.clone(), v: matrix };
        let replay = Replay { heads: 1, head_dim: 2, causal: false, layers: vec![layer; 3] };
        let mut seen = EveryOther::default();
        let answers = replay.run(&mut seen).unwrap();
        assert_eq!(seen.0, [vec![0, 1, 2, 3, 4], vec![0, 2, 4], vec![0, 4]]);
        assert_eq!(answers[2].output.column(0).to_vec(), [0.0, 4.0]);
    }

    fn trace(keys: u32) -> Vec<u8> {
        use crate::request::Widths;
        use crate::trace::{Content, Header, TraceWriter};
        let header = Header {
            content: Content::Tensors,
            name: "two inputs".to_owned(),
            model: "none".to_owned(),
            description: String::new(),
            provenance: String::new(),
            assumptions: Vec::new(),
            requests: 8,
        };
        let mut writer = TraceWriter::new("t.jsonl", Vec::new(), header).unwrap();
        for number in 0..8u32 {
            let (iteration, layer, head) = (number / 4, number / 2 % 2, number % 2);
            let request = Request {
                iteration,
                layer,
                head,
                phase: Phase::Prefill,
                head_dim: 2,
                sentence_length: 3,
                queries: 3,
                keys,
                values: keys,
                widths: Widths::UNQUANTISED,
                requant_threshold: None,
                requant: false,
                accumulate_importance: false,
                causal: false,
                rescale_importance: false,
                token_topk: None,
            };
            let tensor = |first: f32, rows: u32| {
                let data = (0..rows * 2).map(|at| first + at as f32).collect();
                crate::Tensor::new(vec![rows, 2], data).unwrap()
            };
            let first = number as f32 * 100.0;
            let tensors = [("q", 0.0, 3), ("k", 10.0, keys), ("v", 20.0, keys)]
                .map(|(name, offset, rows)| (name.to_owned(), tensor(first + offset, rows)));
            writer.write(&Record { request, tensors: Some(tensors.into()) }).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn heads_lie_side_by_side() {
        let bytes = trace(3);
        let reader = TraceReader::new("t.jsonl", &bytes[..]).unwrap();
        let replays: Vec<Replay> =
            Replays::new("t.jsonl", reader).collect::<Result<_, _>>().unwrap();
        assert_eq!((replays.len(), replays[0].layers.len(), replays[0].heads), (2, 2, 2));
        // Input 1, layer 0: requests 4 and 5; row 1 of the keys is elements 2 and 3 of each head.
        assert_eq!(replays[1].layers[0].k.row(1).to_vec(), [412.0, 413.0, 512.0, 513.0]);
        assert_eq!(replays[0].layers[1].q.row(0).to_vec(), [200.0, 201.0, 300.0, 301.0]);
    }

    #[test]
    fn a_pruned_trace_is_not_replayed() {
        let bytes = trace(2);
        let reader = TraceReader::new("t.jsonl", &bytes[..]).unwrap();
        let error = Replays::new("t.jsonl", reader).next().unwrap().unwrap_err();
        assert!(error.to_string().contains("nothing pruned: 3 queries, 3 keys"), "{error}");
    }
}
