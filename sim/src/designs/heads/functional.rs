//! A machine as the attention of a model: every head is computed with the numbers of the machine.

use attelier_workloads::model::{Attended, Attention, AttentionError, Projected};
use attelier_workloads::request::Phase;
use ndarray::Array2;

use super::{HeadWork, Layer, QueryWork, check};
use crate::designs::spatten::functional::LayerCheck;

/// Operands of one head. The square root of the softmax scale is in both queries and keys, so that a
/// score is a plain dot product.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadOperands {
    /// [queries, head_dim].
    pub queries: Array2<f64>,
    /// [keys, head_dim].
    pub keys: Array2<f64>,
    /// [keys, head_dim].
    pub values: Array2<f64>,
    /// Keys, from the first, that each query sees.
    pub visible: Vec<usize>,
}

/// What the machine makes of one query.
#[derive(Debug, Clone, PartialEq)]
pub struct Attending {
    /// Its output [head_dim].
    pub output: Vec<f64>,
    /// Keys whose values enter it, ascending.
    pub kept: Vec<usize>,
    /// Keys whose dot product was computed.
    pub candidates: usize,
    /// Largest distance of each element of the output from exact attention of the stored operands.
    pub bounds: Vec<f64>,
}

/// Over which keys weights add up to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalisation {
    /// Those whose values enter the output.
    Kept,
    /// All that the query sees.
    Visible,
}

/// The numbers of a machine.
pub trait Arithmetic {
    /// Over which keys weights add up to one.
    const NORMALISATION: Normalisation;
    /// A number as it is stored.
    fn stored(&self, number: f64) -> f64;
    /// Every query of a head, from stored operands.
    fn attend(&self, operands: &HeadOperands) -> Vec<Attending>;
    /// Keys that each query should keep, by another program; `None` where there is none.
    fn expected(&self, _operands: &HeadOperands) -> Option<Vec<Vec<usize>>> {
        None
    }
    /// Longest vector [elements].
    fn most_elements(&self) -> usize;
}

/// What a run leaves behind.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// Work, head by head.
    pub work: Vec<HeadWork>,
    /// Outputs, in the order of the work.
    pub outputs: Vec<f32>,
    /// Comparisons of each layer, if they were asked for.
    pub checks: Vec<LayerCheck>,
}

/// A machine as the attention of a model.
#[derive(Debug)]
pub struct Functional<A> {
    arithmetic: A,
    recorded: Recorded,
    checks: bool,
    /// Inputs and steps so far.
    iteration: u32,
    started: bool,
    /// Outputs of the dense model for the input at hand, layer by layer.
    dense: Vec<Array2<f32>>,
}

impl<A: Arithmetic> Functional<A> {
    /// A run of a model of `layers` layers. `checks` also computes exact attention.
    pub fn new(arithmetic: A, layers: usize, checks: bool) -> Self {
        let mut recorded = Recorded::default();
        if checks {
            recorded.checks = vec![LayerCheck::default(); layers];
        }
        Self { arithmetic, recorded, checks, iteration: 0, started: false, dense: Vec::new() }
    }

    /// Outputs of the dense model for the input or step to come, one array per layer.
    pub fn compare_with(&mut self, dense: Vec<Array2<f32>>) {
        self.dense = dense;
    }

    /// What was computed.
    pub fn finish(self) -> Recorded {
        self.recorded
    }

    fn layer(&mut self, operands: &Projected<'_>) -> Result<Array2<f32>, AttentionError> {
        let most = self.arithmetic.most_elements();
        if operands.head_dim > most {
            return Err(format!(
                "`head_dim` is {}: expected at most {most}, the width of the machine; help: `--set \
                 head_dim={}`",
                operands.head_dim, operands.head_dim
            )
            .into());
        }
        let (queries, keys) = (operands.queries(), operands.keys());
        let phase = if operands.causal && queries == 1 { Phase::Decode } else { Phase::Prefill };
        let layer = Layer {
            iteration: self.iteration,
            layer: operands.layer as u32,
            phase,
            causal: operands.causal,
            heads: operands.heads as u32,
            queries: queries as u32,
            keys: keys as u32,
            head_dim: operands.head_dim as u32,
        };
        let mut output = Array2::zeros((queries, operands.heads * operands.head_dim));
        for head in 0..operands.heads {
            let first = head * operands.head_dim;
            self.head(operands, &layer, head, &mut |query, at, value| {
                output[[query, first + at]] = value;
            });
        }
        if self.checks
            && let Some(dense) = self.dense.get(operands.layer)
            && dense.raw_dim() == output.raw_dim()
            && let Some(check) = self.recorded.checks.get_mut(operands.layer)
        {
            for (&found, &expected) in output.iter().zip(dense) {
                check.pruning.add(f64::from(found), f64::from(expected));
            }
        }
        Ok(output)
    }

    /// Computes one head; `put` takes each element of each query's output.
    fn head(
        &mut self,
        operands: &Projected<'_>,
        layer: &Layer,
        head: usize,
        put: &mut dyn FnMut(usize, usize, f32),
    ) {
        let root = f64::from(operands.scale).max(0.0).sqrt();
        let real = |matrix: ndarray::ArrayView2<'_, f32>, factor: f64| {
            matrix.mapv(|number| f64::from(number) * factor)
        };
        let original = HeadOperands {
            queries: real(operands.query(head), root),
            keys: real(operands.key(head), root),
            values: real(operands.value(head), 1.0),
            visible: (0..operands.queries()).map(|query| operands.visible(query)).collect(),
        };
        let store = |matrix: &Array2<f64>| matrix.mapv(|number| self.arithmetic.stored(number));
        let stored = HeadOperands {
            queries: store(&original.queries),
            keys: store(&original.keys),
            values: store(&original.values),
            visible: original.visible.clone(),
        };
        let results = self.arithmetic.attend(&stored);
        let expected = if self.checks { self.arithmetic.expected(&stored) } else { None };
        let mut work = Vec::with_capacity(results.len());
        for (query, result) in results.iter().enumerate() {
            for (at, &value) in result.output.iter().enumerate() {
                put(query, at, value as f32);
                self.recorded.outputs.push(value as f32);
            }
            work.push(QueryWork {
                visible: stored.visible[query] as u32,
                candidates: result.candidates as u32,
                kept: result.kept.len() as u32,
            });
            if let Some(check) = self.recorded.checks.get_mut(operands.layer) {
                check::add(check, result, query, [&stored, &original], A::NORMALISATION);
                let other = expected.as_ref().is_some_and(|rows| rows[query] != result.kept);
                check.other_decisions += u64::from(other);
            }
        }
        self.recorded.work.push(HeadWork::of(layer, head as u32, work));
    }
}

impl<A: Arithmetic> Attention for Functional<A> {
    fn attend(&mut self, operands: &Projected<'_>) -> Result<Attended, AttentionError> {
        if operands.layer == 0 {
            self.iteration += u32::from(self.started);
            self.started = true;
        }
        Ok(Attended { output: self.layer(operands)?, kept: None })
    }
}
