//! Where attention is measured: on a real model, and on the generator at the same lengths.

use std::path::Path;

use attelier_workloads::file::{open_model, open_texts, open_tokenizer};
use attelier_workloads::model::{Dense, Input, Model, ModelError};
use attelier_workloads::synthetic::{Generator, LayerParams, Measured, Statistics, measure};

/// Heads of a layer of MiniLM; the generator is measured with as many.
const HEADS: u32 = 12;

/// Lengths of the pieces into which the passages are cut as well \[tokens\].
const PIECES: [usize; 4] = [32, 64, 128, 256];

/// Measures the model in `folder` on the texts in `texts`: sentences, whole passages, and pieces of
/// the passages.
pub fn measure_model(folder: &Path, texts: &Path) -> Result<Vec<Measured>, ModelError> {
    let model = open_model(folder)?;
    let tokenizer = open_tokenizer(folder, &model)?;
    let tokens = |name: &str| -> Result<Vec<Vec<u32>>, ModelError> {
        let lines = open_texts(&texts.join(name), true)?;
        lines.iter().map(|line| tokenizer.encode(line)).collect()
    };
    let (sentences, passages) = (tokens("sentences.txt")?, tokens("passages.txt")?);
    let mut all = vec![
        measure_texts("sentences", true, &model, &sentences)?,
        measure_texts("passages", true, &model, &passages)?,
    ];
    for length in PIECES {
        let pieces: Vec<Vec<u32>> = passages.iter().flat_map(|p| cut(p, length)).collect();
        let name = format!("passages in pieces of {length}");
        all.push(measure_texts(&name, false, &model, &pieces)?);
    }
    Ok(all)
}

/// Pieces of this length, each between the tokens that begin and end every text.
fn cut(tokens: &[u32], length: usize) -> Vec<Vec<u32>> {
    let [first, inner @ .., last] = tokens else { return Vec::new() };
    let piece = |inner: &[u32]| [&[*first], inner, &[*last]].concat();
    inner.chunks_exact(length - 2).map(piece).collect()
}

fn measure_texts(
    texts: &str,
    fitted: bool,
    model: &Model,
    inputs: &[Vec<u32>],
) -> Result<Measured, ModelError> {
    let mut layers = vec![Vec::new(); model.shape().layers];
    for tokens in inputs {
        let mut attention = Dense::recording();
        model.encode(Input::Tokens(tokens), &mut attention)?;
        for recorded in attention.take_recorded() {
            layers[recorded.layer].push(measure(&recorded.probabilities));
        }
    }
    Ok(Measured {
        texts: texts.to_owned(),
        fitted,
        tokens: inputs.iter().map(|tokens| tokens.len() as u32).collect(),
        layers: layers.iter().map(|texts| Statistics::mean(texts)).collect(),
    })
}

/// Measures one layer of the generator on texts of these lengths, as the mean of several models.
/// Every fourth query stands for all in texts that are long.
pub fn measure_generator(
    params: &[LayerParams],
    layer: u32,
    tokens: &[u32],
    seeds: std::ops::Range<u64>,
) -> Statistics {
    let mut texts = Vec::new();
    for seed in seeds {
        let generator = Generator::new(params.to_vec(), seed);
        for (text, &length) in (0..).zip(tokens) {
            let step = if length > 100 { 4 } else { 1 };
            let queries: Vec<u32> = (0..length).step_by(step).collect();
            let head = |head| generator.head((layer, params.len() as u32), (head, HEADS), text);
            let heads = (0..HEADS).map(|number| head(number).matrix(&queries, length));
            texts.push(measure(&heads.collect::<Vec<_>>()));
        }
    }
    Statistics::mean(&texts)
}
