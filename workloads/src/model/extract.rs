//! The attention of a real model on real text, as a trace with tensors.

use std::io::Write;

use ndarray::{Array1, ArrayView2, Axis};

use super::attention::{Attended, Attention, AttentionError, Dense, Projected};
use super::{Input, Model, ModelError};
use crate::trace::{Content, Header, Record, Tensors, TraceWriter};
use crate::{Phase, Request, Tensor, TraceError, Widths};

/// What to extract.
#[derive(Debug, Clone)]
pub struct Extraction<'a> {
    /// Tokens of each text, or of each window of one.
    pub windows: &'a [Vec<u32>],
    /// Tokens that a decoder generates after each, always the most probable one.
    pub steps: usize,
}

/// Why a trace could not be extracted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// The model refused its input, or the trace an operand of it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The trace could not be written.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

impl Extraction<'_> {
    /// Calls of attention that it takes: one per layer, window and step.
    pub fn calls(&self, model: &Model) -> u64 {
        let iterations = (self.windows.len() as u64).saturating_mul(self.steps as u64 + 1);
        iterations.saturating_mul(model.shape().layers as u64)
    }

    /// Runs the model over all windows and writes one record per iteration, layer and head, as
    /// each layer is computed; only the counts stay in memory. `progress` gets the calls so far.
    /// `file` names the target in errors, `header` describes it; content and number of requests
    /// are filled in here.
    ///
    /// # Errors
    /// Steps of an encoder, a window that does not fit, values that are not finite, more requests
    /// than a trace may hold, or a failed write.
    pub fn write<W: Write>(
        &self,
        model: &Model,
        file: &str,
        target: W,
        header: Header,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(W, Vec<Request>), ExtractError> {
        if self.steps > 0 && !model.is_decoder() {
            return Err(model.wrong_kind("a decoder, because an encoder takes no steps").into());
        }
        let requests = self.calls(model).saturating_mul(model.shape().heads as u64);
        let header = Header { content: Content::Tensors, requests, ..header };
        let mut recorder = Recorder {
            writer: TraceWriter::new(file, target, header)?,
            tokens: Vec::new(),
            iteration: 0,
            calls: 0,
            requests: Vec::new(),
            progress,
        };
        for window in self.windows {
            recorder.tokens.clone_from(window);
            if !model.is_decoder() {
                model.encode(Input::Tokens(window), &mut recorder)?;
                recorder.iteration += 1;
                continue;
            }
            let prefilled = model.prefill(window, &mut recorder)?;
            recorder.iteration += 1;
            let (mut state, mut logits) = (prefilled.state, prefilled.logits);
            for _ in 0..self.steps {
                let token = most_probable(&logits);
                recorder.tokens = vec![token];
                logits = model.step(&mut state, token, &mut recorder)?;
                recorder.iteration += 1;
            }
        }
        Ok((recorder.writer.finish()?, recorder.requests))
    }
}

/// The first of the largest scores.
fn most_probable(logits: &Array1<f32>) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, score) in (0u32..).zip(logits) {
        if *score > best.1 {
            best = (token, *score);
        }
    }
    best.0
}

/// Writes down what it is given and attends densely.
struct Recorder<'a, W: Write> {
    writer: TraceWriter<W>,
    /// Tokens of the queries.
    tokens: Vec<u32>,
    iteration: u32,
    calls: u64,
    requests: Vec<Request>,
    progress: &'a mut dyn FnMut(u64),
}

impl<W: Write> Attention for Recorder<'_, W> {
    fn attend(&mut self, operands: &Projected<'_>) -> Result<Attended, AttentionError> {
        for head in 0..operands.heads {
            let request = request(self.iteration, operands, head)?;
            self.requests.push(request.clone());
            let tensors = Some(self.tensors(operands, head)?);
            self.writer.write(&Record { request, tensors })?;
        }
        self.calls += 1;
        (self.progress)(self.calls);
        Dense::new().attend(operands)
    }
}

impl<W: Write> Recorder<'_, W> {
    fn tensors(&self, operands: &Projected<'_>, head: usize) -> Result<Tensors, AttentionError> {
        let mut tensors = Tensors::new();
        // A trace scores with head_dim^-0.5; a model with another factor has it in its queries.
        let factor = operands.scale * (operands.head_dim as f32).sqrt();
        let q = operands.query(head).mapv(|value| value * factor);
        for (name, rows) in
            [("q", q.view()), ("k", operands.key(head)), ("v", operands.value(head))]
        {
            tensors.insert(name.to_owned(), tensor(name, rows)?);
        }
        if operands.layer == 0 && head == 0 {
            let tokens: Array1<f32> = self.tokens.iter().map(|token| *token as f32).collect();
            let row = tokens.view().insert_axis(Axis(0));
            tensors.insert("tokens".to_owned(), tensor("tokens", row)?);
        }
        Ok(tensors)
    }
}

fn request(
    iteration: u32,
    operands: &Projected<'_>,
    head: usize,
) -> Result<Request, std::num::TryFromIntError> {
    let keys = u32::try_from(operands.keys())?;
    // A prefill starts at position 0; what follows it is decode.
    let phase = if operands.first_position == 0 { Phase::Prefill } else { Phase::Decode };
    Ok(Request {
        iteration,
        layer: u32::try_from(operands.layer)?,
        head: u32::try_from(head)?,
        phase,
        causal: operands.causal && operands.queries() > 1,
        head_dim: u32::try_from(operands.head_dim)?,
        sentence_length: keys,
        queries: u32::try_from(operands.queries())?,
        keys,
        values: keys,
        widths: Widths::UNQUANTISED,
        requant_threshold: None,
        requant: false,
        accumulate_importance: false,
        rescale_importance: false,
        token_topk: None,
    })
}

fn tensor(name: &str, rows: ArrayView2<'_, f32>) -> Result<Tensor, AttentionError> {
    let shape = [u32::try_from(rows.nrows())?, u32::try_from(rows.ncols())?];
    let tensor = Tensor::new(shape.to_vec(), rows.iter().copied().collect());
    tensor.map_err(|fault| {
        format!("`{name}`: {} is {}: expected {}", fault.field, fault.found, fault.expected).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equal_scores_is_taken_and_a_score_that_is_no_number_never() {
        assert_eq!(most_probable(&Array1::from_vec(vec![1.0, 3.0, f32::NAN, 3.0])), 1);
    }
}
