//! Operands of real attention that come with this crate, for results that need no model folder.
//!
//! One head of each of the six layers of all-MiniLM-L6-v2 (Apache-2.0) reading the first passage of
//! `tests/data/passages.txt`: keys and values of its first [`KEYS`] tokens, as many as the memories of A3
//! hold, and every [`QUERY_STEP`]th query, rounded to bfloat16. `workloads/examples/cut_sample` makes it.

use ndarray::Array2;

use crate::error::TraceError;
use crate::trace::{Record, TraceReader};

/// The head of each layer.
pub const HEADS: [u32; 6] = [2, 7, 0, 5, 10, 3];

/// Keys and values of a head.
pub const KEYS: u32 = 320;

/// Of so many queries one is there.
pub const QUERY_STEP: u32 = 5;

/// The file.
const PASSAGE: &[u8] = include_bytes!("../samples/passage.jsonl.gz");

/// One head, as real numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Layer of the model.
    pub layer: u32,
    /// Head of the layer.
    pub head: u32,
    /// Queries [queries, head_dim]; scores are `q k^T / sqrt(head_dim)`.
    pub queries: Array2<f64>,
    /// Keys [keys, head_dim].
    pub keys: Array2<f64>,
    /// Values, as keys.
    pub values: Array2<f64>,
}

/// Heads of the passage, layer by layer.
///
/// # Errors
/// A damaged file, which a test excludes.
pub fn passage() -> Result<Vec<Sample>, TraceError> {
    let reader = TraceReader::new("samples/passage.jsonl.gz", PASSAGE)?;
    reader.map(|record| Ok(sample(&record?))).collect()
}

fn sample(record: &Record) -> Sample {
    let dim = record.request.head_dim as usize;
    let matrix = |name: &str| {
        let tensor = record.tensors.as_ref().and_then(|tensors| tensors.get(name));
        let data = tensor.map_or(&[][..], |tensor| tensor.data());
        Array2::from_shape_fn((data.len() / dim, dim), |(row, at)| f64::from(data[row * dim + at]))
    };
    Sample {
        layer: record.request.layer,
        head: record.request.head,
        queries: matrix("q"),
        keys: matrix("k"),
        values: matrix("v"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_has_one_head_of_full_size() {
        let heads = passage().unwrap();
        assert_eq!(heads.iter().map(|head| head.head).collect::<Vec<_>>(), HEADS);
        for (layer, head) in (0..).zip(&heads) {
            assert_eq!(head.layer, layer);
            assert_eq!(head.queries.dim(), ((KEYS / QUERY_STEP) as usize, 32));
            assert_eq!((head.keys.dim(), head.values.dim()), ((320, 32), (320, 32)));
        }
    }
}
