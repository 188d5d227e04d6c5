//! Real values on a machine: a model, or recorded operands, with the machine as its attention.
//!
//! Each input is run twice, once with dense attention and once with the machine's, so that what the
//! machine does to the result of the model stands beside its cycles.

mod generate;
mod image;
mod source;

use anyhow::{Result, anyhow, bail};
use attelier_sim::designs::spatten::Comparison;
use attelier_sim::designs::spatten::functional::LayerCheck;
use attelier_sim::deviation::Deviation;
use attelier_sim::kernel::run::Mode;
use attelier_sim::observe::Observer;
use attelier_sim::result::RunResult;
use attelier_workloads::Request;
use attelier_workloads::model::{Attention, Dense, Input, Model, Recorded};
use attelier_workloads::replay::Replay;
use ndarray::{Array1, Array2, ArrayView1};
use serde::Serialize;

pub use generate::{Generated, generate, longest};
pub use image::{ComputedImage, ImageSource};
pub use source::{Source, TextArgs, files, pruning};

/// A machine as the attention of a model: first it computes, then it is simulated.
pub trait ValueRun {
    /// Forgets what was stored: another text comes.
    fn forget(&mut self);
    /// Outputs of dense attention for the input or step to come, one array per layer.
    fn compare_with(&mut self, dense: Vec<Array2<f32>>);
    /// This, as the attention that a model is given.
    fn as_attention(&mut self) -> &mut dyn Attention;
    /// Simulates what was computed.
    ///
    /// # Errors
    /// A workload that does not fit the machine.
    fn simulate(
        self: Box<Self>,
        mode: Mode,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<ValueResult>;
}

/// What a machine did with real values.
pub struct ValueResult {
    /// Cycles and counts.
    pub result: RunResult,
    /// What the machine was given to do.
    pub requests: Vec<Request>,
    /// Hash of all outputs.
    pub digest: String,
    /// Its outputs against those that were computed without it; `None` of a machine whose timing holds no
    /// numbers.
    pub comparison: Option<Comparison>,
    /// Outputs against references, if they were asked for.
    pub layers: Vec<LayerCheck>,
}

/// What a run did to the result of a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Fidelity {
    /// Inputs, or decode steps.
    pub inputs: u64,
    /// Their tokens; for decode one per step.
    pub tokens: u64,
    /// Tokens that reached the last layer.
    pub tokens_kept: u64,
    /// Mean cosine between mean-pooled states, of encoders.
    pub embedding_cosine_mean: Option<f64>,
    /// Smallest of them.
    pub embedding_cosine_min: Option<f64>,
    /// Cosine between the last states of all tokens that were kept (encoders), or between the scores of
    /// the next token (decoders).
    pub output_cosine: f64,
    /// Root mean square of their differences.
    pub output_rms_error: f64,
    /// Largest of their differences.
    pub output_max_error: f64,
    /// Share of decode steps that predict the same token.
    pub same_prediction: Option<f64>,
}

/// Gathers [`Fidelity`].
#[derive(Default)]
struct Gathering {
    inputs: u64,
    tokens: u64,
    kept: u64,
    embeddings: Vec<f64>,
    hidden: Deviation,
    same: Option<u64>,
}

impl Gathering {
    fn states(&mut self, found: ArrayView1<'_, f32>, expected: ArrayView1<'_, f32>) {
        for (&found, &expected) in found.iter().zip(expected) {
            self.hidden.add(f64::from(found), f64::from(expected));
        }
    }

    fn finish(self) -> Fidelity {
        let count = self.embeddings.len() as f64;
        let some = !self.embeddings.is_empty();
        Fidelity {
            inputs: self.inputs,
            tokens: self.tokens,
            tokens_kept: self.kept,
            embedding_cosine_mean: some.then(|| self.embeddings.iter().sum::<f64>() / count),
            embedding_cosine_min: self.embeddings.iter().copied().reduce(f64::min),
            output_cosine: self.hidden.cosine(),
            output_rms_error: self.hidden.rms(),
            output_max_error: self.hidden.max_abs,
            same_prediction: self.same.map(|same| same as f64 / self.inputs as f64),
        }
    }
}

fn outputs(recorded: Vec<Recorded>) -> Vec<Array2<f32>> {
    recorded.into_iter().map(|layer| layer.output).collect()
}

fn cosine(a: &Array1<f32>, b: &Array1<f32>) -> f64 {
    let mut deviation = Deviation::default();
    for (&a, &b) in a.iter().zip(b) {
        deviation.add(f64::from(a), f64::from(b));
    }
    deviation.cosine()
}

/// Refuses results that cannot be compared.
fn finite<'a>(what: &str, values: impl IntoIterator<Item = &'a f32>) -> Result<()> {
    if values.into_iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    bail!(
        "the last {what} of the model hold infinity or NaN: expected finite numbers, so either its \
         weights are damaged or it does not fit 32-bit floats"
    )
}

/// Runs every text of an encoder. `tick` is called after each.
///
/// # Errors
/// What the model or the machine refuses.
pub fn encode(
    model: &Model,
    texts: &[Vec<u32>],
    run: &mut dyn ValueRun,
    tick: &mut dyn FnMut(),
) -> Result<Fidelity> {
    let mut gathering = Gathering::default();
    for tokens in texts {
        let mut dense = Dense::recording();
        let expected = model.encode(Input::Tokens(tokens), &mut dense)?;
        run.compare_with(outputs(dense.take_recorded()));
        let found = model.encode(Input::Tokens(tokens), run.as_attention())?;
        finite("states", expected.states.iter().chain(&found.states))?;
        gathering.inputs += 1;
        gathering.tokens += tokens.len() as u64;
        gathering.kept += found.kept.len() as u64;
        let embeddings = [&found, &expected].map(|hidden| hidden.sentence_embedding());
        gathering.embeddings.push(cosine(&embeddings[0], &embeddings[1]));
        for (row, &position) in found.kept.iter().enumerate() {
            gathering.states(found.states.row(row), expected.states.row(position));
        }
        tick();
    }
    Ok(gathering.finish())
}

/// Runs a decoder: each prompt on the host, `steps` further tokens on the machine. Both models read
/// the tokens that the dense one predicts. `tick` is called after each step.
///
/// # Errors
/// What the model or the machine refuses.
pub fn decode(
    model: &Model,
    prompts: &[Vec<u32>],
    steps: usize,
    run: &mut dyn ValueRun,
    tick: &mut dyn FnMut(),
) -> Result<Fidelity> {
    let mut gathering = Gathering { same: Some(0), ..Gathering::default() };
    for prompt in prompts {
        run.forget();
        decode_one(model, prompt, steps, run, &mut gathering, tick)?;
    }
    Ok(gathering.finish())
}

fn decode_one(
    model: &Model,
    prompt: &[u32],
    steps: usize,
    run: &mut dyn ValueRun,
    gathering: &mut Gathering,
    tick: &mut dyn FnMut(),
) -> Result<()> {
    let prefilled = model.prefill(prompt, &mut Dense::new())?;
    let mut token = largest(prefilled.logits.view())?;
    let mut expected_state = prefilled.state.clone();
    let mut found_state = prefilled.state;
    for _ in 0..steps {
        let mut dense = Dense::recording();
        let expected = model.step(&mut expected_state, token, &mut dense)?;
        run.compare_with(outputs(dense.take_recorded()));
        let found = model.step(&mut found_state, token, run.as_attention())?;
        gathering.inputs += 1;
        gathering.tokens += 1;
        gathering.kept += 1;
        finite("scores", expected.iter().chain(&found))?;
        gathering.states(found.view(), expected.view());
        token = largest(expected.view())?;
        let same = largest(found.view())? == token;
        gathering.same = gathering.same.map(|count| count + u64::from(same));
        tick();
    }
    Ok(())
}

/// Runs recorded operands; nothing comes after attention, so there is no fidelity of a model.
///
/// # Errors
/// What the machine refuses.
pub fn replay(replay: &Replay, run: &mut dyn ValueRun) -> Result<()> {
    let refused = |error: attelier_workloads::model::AttentionError| anyhow!(error);
    let mut dense = Dense::recording();
    replay.run(&mut dense).map_err(refused)?;
    run.compare_with(outputs(dense.take_recorded()));
    replay.run(run.as_attention()).map_err(refused)?;
    Ok(())
}

/// Number of the largest score, the first of equal ones.
fn largest(scores: ArrayView1<'_, f32>) -> Result<u32> {
    let mut best = 0;
    for (at, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = at;
        }
    }
    u32::try_from(best).map_err(|_| anyhow!("a vocabulary beyond 2^32 tokens"))
}
