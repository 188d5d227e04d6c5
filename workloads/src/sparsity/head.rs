//! What a policy is told about one head of one layer in one step.

use std::fmt;

use ndarray::ArrayView2;

use crate::reference::{OperandError, expect_shape, expect_value};

/// What is known of a head beside its counts.
#[derive(Debug, Clone, Copy)]
pub enum Evidence<'a> {
    /// Nothing: a trace without tensors.
    Counts,
    /// Scores as they enter the softmax, scaled, (queries, keys). Those that are not visible are
    /// not looked at.
    Scores(ArrayView2<'a, f64>),
    /// Everything.
    Vectors {
        /// (queries, head dim).
        queries: ArrayView2<'a, f64>,
        /// (keys, head dim).
        keys: ArrayView2<'a, f64>,
        /// What the dot products are multiplied by.
        scale: f64,
    },
}

/// The least evidence that a policy can work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// The numbers of queries and keys.
    Counts,
    /// Scores, or vectors to compute them from.
    Scores,
    /// Query and key vectors.
    Vectors,
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Needs::Counts => "counts only",
            Needs::Scores => "scores",
            Needs::Vectors => "query and key vectors",
        })
    }
}

/// One head of one layer in one step: its place, its counts and what is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// 0 for prefill, then one for each generated token.
    pub step: u32,
    /// Layer of the model.
    pub layer: u32,
    /// Head of the layer.
    pub head: u32,
    /// Number of queries.
    pub queries: usize,
    /// Number of keys: all tokens so far, whatever was dropped before.
    pub keys: usize,
    /// Whether a query must not attend to keys after its own position.
    pub causal: bool,
    /// What else is known.
    pub evidence: Evidence<'a>,
}

fn lacking(known: Needs, needs: Needs) -> OperandError {
    let (found, expected) = (known.to_string(), needs.to_string());
    OperandError { operand: "evidence", found, expected }
}

impl<'a> Head<'a> {
    /// Key at which a query stands. The last query stands at the last key; queries without a key of
    /// their own (more queries than keys) stand at it too.
    pub fn position(&self, query: usize) -> usize {
        let position = query.saturating_add(self.keys.saturating_sub(self.queries));
        position.min(self.keys.saturating_sub(1))
    }

    /// How many keys, from the first, a query may attend to.
    pub fn visible(&self, query: usize) -> usize {
        if self.causal { self.keys.min(self.position(query) + 1) } else { self.keys }
    }

    /// Checks counts and evidence.
    ///
    /// # Errors
    /// A head without keys, with more causal queries than keys, with arrays of another shape, or
    /// with less evidence than `needs`.
    pub fn check(&self, needs: Needs) -> Result<(), OperandError> {
        expect_value(self.keys > 0, "keys", self.keys, "at least one")?;
        let fits = !self.causal || self.queries <= self.keys;
        let expected = format!("at most {}, one for each key, in a causal model", self.keys);
        expect_value(fits, "queries", self.queries, expected)?;
        let known = match self.evidence {
            Evidence::Counts => Needs::Counts,
            Evidence::Scores(scores) => {
                expect_shape("scores", scores.shape(), &[self.queries, self.keys])?;
                Needs::Scores
            }
            Evidence::Vectors { queries, keys, .. } => {
                let head_dim = queries.ncols();
                expect_shape("query vectors", queries.shape(), &[self.queries, head_dim])?;
                expect_shape("key vectors", keys.shape(), &[self.keys, head_dim])?;
                Needs::Vectors
            }
        };
        if known < needs { Err(lacking(known, needs)) } else { Ok(()) }
    }

    /// Score of a query with one key.
    ///
    /// # Errors
    /// Indices outside the evidence, or no scores in it.
    pub fn score(&self, query: usize, key: usize) -> Result<f64, OperandError> {
        let Self { queries, keys, .. } = *self;
        let in_range = query < queries && key < keys;
        let expected = format_args!("below ({queries}, {keys})");
        expect_value(in_range, "(query, key)", format_args!("({query}, {key})"), expected)?;
        match self.evidence {
            Evidence::Counts => Err(lacking(Needs::Counts, Needs::Scores)),
            Evidence::Scores(scores) => Ok(scores[[query, key]]),
            Evidence::Vectors { queries, keys, scale } => {
                Ok(scale * queries.row(query).dot(&keys.row(key)))
            }
        }
    }

    /// Query and key vectors.
    ///
    /// # Errors
    /// No vectors in the evidence.
    pub fn vectors(&self) -> Result<(ArrayView2<'a, f64>, ArrayView2<'a, f64>), OperandError> {
        match self.evidence {
            Evidence::Counts => Err(lacking(Needs::Counts, Needs::Vectors)),
            Evidence::Scores(_) => Err(lacking(Needs::Scores, Needs::Vectors)),
            Evidence::Vectors { queries, keys, .. } => Ok((queries, keys)),
        }
    }

    /// Scores of a query with all keys that it may attend to.
    ///
    /// # Errors
    /// As [`score`](Self::score).
    pub fn visible_scores(&self, query: usize) -> Result<Vec<f64>, OperandError> {
        (0..self.visible(query)).map(|key| self.score(query, key)).collect()
    }
}
