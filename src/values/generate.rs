//! A model that a machine computes as a whole, beside its exact decode.

use anyhow::{Result, bail};
use attelier_sim::designs::pim_gpt::functional::Functional;
use attelier_sim::designs::pim_gpt::functional::check::OperationCheck;
use attelier_sim::deviation::Deviation;
use attelier_workloads::Knobs;
use attelier_workloads::decoding::{DecoderShape, Decoding};
use attelier_workloads::model::{ExactDecode, Gpt, Model};
use ndarray::Array1;

use super::{Fidelity, Gathering, largest};

/// What a machine made of a model.
pub struct Generated {
    /// Scores of all tokens beside those of the exact decode.
    pub fidelity: Fidelity,
    /// States after each layer beside those of the exact decode.
    pub states: Vec<Deviation>,
    /// Operations of each layer against exact arithmetic on their operands, if asked for.
    pub operations: Vec<OperationCheck>,
    /// Hash of all scores.
    pub digest: blake3::Hash,
}

/// Lets the machine read each text token by token and generate `steps` more. Both sides read the
/// tokens that the exact decode predicts. `tick` is called after each token.
///
/// # Errors
/// What the model refuses.
pub fn generate(
    model: &Gpt<'_>,
    texts: &[Vec<u32>],
    steps: usize,
    machine: &mut Functional<'_, '_>,
    tick: &mut dyn FnMut(),
) -> Result<Generated> {
    let mut gathering = Gathering { same: Some(0), ..Gathering::default() };
    let mut states = vec![Deviation::default(); model.layers.len()];
    let mut digest = blake3::Hasher::new();
    for text in texts {
        machine.forget();
        let mut exact = ExactDecode::new(model);
        let mut predicted = 0;
        for index in 0..text.len() + steps {
            let token = text.get(index).copied().unwrap_or(predicted);
            let (expected, found) = (exact.step(token)?, machine.step(token)?);
            for (deviation, (found, expected)) in
                states.iter_mut().zip(found.states.iter().zip(&expected.states))
            {
                for (found, expected) in found.iter().zip(expected) {
                    deviation.add(found.to_f64(), *expected);
                }
            }
            let scores: Array1<f32> = found.logits.iter().map(|score| score.to_f32()).collect();
            for score in &found.logits {
                digest.update(&score.to_bits().to_le_bytes());
            }
            let expected = expected.logits.mapv(|score| score as f32);
            gathering.inputs += 1;
            gathering.tokens += 1;
            gathering.kept += 1;
            gathering.states(scores.view(), expected.view());
            predicted = largest(expected.view())?;
            let same = largest(scores.view())? == predicted;
            gathering.same = gathering.same.map(|count| count + u64::from(same));
            tick();
        }
    }
    Ok(Generated {
        fidelity: gathering.finish(),
        states,
        operations: machine.checks().to_vec(),
        digest: digest.finalize(),
    })
}

/// The longest text with what follows it, as work for a machine: tokens one by one, each with the
/// product with the vocabulary.
///
/// # Errors
/// No text, or sizes that the simulator does not take.
pub fn longest(
    name: &str,
    model: &Model,
    gpt: &Gpt<'_>,
    texts: &[Vec<u32>],
    steps: usize,
) -> Result<Decoding> {
    let tokens = texts.iter().map(|text| text.len() + steps).max().unwrap_or(0);
    let Some(layer) = gpt.layers.first() else { bail!("the model has no layers") };
    let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    let shape = model.shape();
    let shape = DecoderShape {
        layers: size(shape.layers),
        hidden: size(shape.hidden),
        heads: size(shape.heads),
        kv_heads: size(shape.kv_heads),
        head_dim: size(shape.head_dim),
        feed_forward: size(layer.up.weight.ncols()),
        gated: false,
        vocabulary: size(gpt.words.nrows()),
        positions: size(shape.positions),
    };
    shape.check()?;
    let decoding = Decoding {
        name: name.to_owned(),
        model: model.family().to_owned(),
        description: String::new(),
        provenance: format!(
            "{} texts of a model folder; cycles are those of the longest, {tokens} tokens one by one",
            texts.len()
        ),
        assumptions: Vec::new(),
        shape,
        context: 0,
        tokens: size(tokens),
        lm_head: true,
    };
    let knobs = Knobs { tokens: Some(size(tokens)), lm_head: Some(true), ..Knobs::default() };
    Ok(decoding.with(&knobs)?)
}
