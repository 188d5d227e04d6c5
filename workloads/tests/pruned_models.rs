//! Rows that attention drops take no part in later layers.
#![allow(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

mod common;

use attelier_workloads::file::open_model;
use attelier_workloads::model::{
    Attended, Attention, AttentionError, Dense, Input, Model, Projected,
};
use common::{python::close, shown, tiny};
use ndarray::{Array2, Axis};

const TOKENS: [u32; 5] = [1, 7, 3, 9, 2];
const KEPT: [usize; 3] = [0, 2, 3];

fn model() -> Model {
    let folder = tempfile::tempdir().unwrap();
    tiny::write(folder.path());
    open_model(folder.path()).unwrap()
}

/// Attends densely and answers with these rows in layer 0.
struct Dropping(Vec<usize>);

impl Attention for Dropping {
    fn attend(&mut self, operands: &Projected<'_>) -> Result<Attended, AttentionError> {
        let kept = (operands.layer == 0).then(|| self.0.clone());
        Ok(Attended { kept, ..Dense::new().attend(operands)? })
    }
}

/// Keeps every row, but after layer 0 overlooks all keys of the text but some; plain loops in f64.
struct Masking(&'static [usize]);

impl Attention for Masking {
    fn attend(&mut self, operands: &Projected<'_>) -> Result<Attended, AttentionError> {
        let mut output = Array2::zeros(operands.q.raw_dim());
        let is_dropped = |key: usize| key < TOKENS.len() && !self.0.contains(&key);
        for head in 0..operands.heads {
            let (q, k, v) = (operands.query(head), operands.key(head), operands.value(head));
            for row in 0..operands.queries() {
                let visible = 0..operands.visible(row);
                let seen = visible.filter(|key| operands.layer == 0 || !is_dropped(*key));
                let seen: Vec<usize> = seen.collect();
                let score = |key: usize| {
                    let products = q
                        .row(row)
                        .iter()
                        .zip(k.row(key))
                        .map(|(a, b)| f64::from(a * b))
                        .sum::<f64>();
                    (products * f64::from(operands.scale)).exp()
                };
                let sum: f64 = seen.iter().map(|key| score(*key)).sum();
                for column in 0..operands.head_dim {
                    let weighted = |key: &usize| score(*key) / sum * f64::from(v[[*key, column]]);
                    output[[row, head * operands.head_dim + column]] =
                        seen.iter().map(weighted).sum::<f64>() as f32;
                }
            }
        }
        Ok(Attended { output, kept: None })
    }
}

#[test]
fn dropping_rows_equals_never_looking_at_them_again() {
    let model = model();
    let dropped = model.encode(Input::Tokens(&TOKENS), &mut Dropping(KEPT.to_vec())).unwrap();
    let masked = model.encode(Input::Tokens(&TOKENS), &mut Masking(&KEPT)).unwrap();
    assert_eq!(dropped.kept, KEPT);
    let expected: Vec<f32> = masked.states.select(Axis(0), &KEPT).iter().copied().collect();
    close("states", &dropped.states, &expected, 1e-5);
    close("pooled", &dropped.pooled.unwrap(), masked.pooled.unwrap().as_slice().unwrap(), 1e-5);
    let dense = model.encode(Input::Tokens(&TOKENS), &mut Dense::new()).unwrap();
    let difference = (&dense.states.select(Axis(0), &KEPT) - &dropped.states).mapv(f32::abs);
    assert!(difference.sum() > 1e-2, "dropping has to change something: {difference}");
}

#[test]
fn a_decoder_steps_on_without_the_keys_of_dropped_rows() {
    const KEPT: [usize; 3] = [1, 2, 4];
    let folder = tempfile::tempdir().unwrap();
    tiny::write_llama(folder.path());
    let model = open_model(folder.path()).unwrap();
    let mut dropped = model.prefill(&TOKENS, &mut Dropping(KEPT.to_vec())).unwrap();
    let mut masked = model.prefill(&TOKENS, &mut Masking(&KEPT)).unwrap();
    close("logits", &dropped.logits, masked.logits.as_slice().unwrap(), 1e-4);
    for token in [3, 8] {
        let found = model.step(&mut dropped.state, token, &mut Dense::new()).unwrap();
        let expected = model.step(&mut masked.state, token, &mut Masking(&KEPT)).unwrap();
        close("step", &found, expected.as_slice().unwrap(), 1e-4);
    }
    assert_eq!(dropped.state.positions(0), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(dropped.state.positions(1), [1, 2, 4, 5, 6]);
    assert_eq!(dropped.state.tokens(), 7);
    let error = shown(&model.prefill(&TOKENS, &mut Dropping(vec![0, 1])).unwrap_err());
    assert!(error.contains("row 4 is dropped"), "{error}");
}

#[test]
fn a_text_cannot_outgrow_its_positions() {
    let folder = tempfile::tempdir().unwrap();
    tiny::write_llama(folder.path());
    let model = open_model(folder.path()).unwrap();
    let mut state = model.prefill(&[1; 8], &mut Dense::new()).unwrap().state;
    model.step(&mut state, 1, &mut Dense::new()).unwrap();
    let error = shown(&model.step(&mut state, 1, &mut Dense::new()).unwrap_err());
    assert_eq!(error, "the number of tokens is 10: expected 1 to 9, the positions of the model");
}

#[test]
fn without_its_first_row_a_text_has_no_pooled_state() {
    let hidden = model().encode(Input::Tokens(&TOKENS), &mut Dropping(vec![1, 4])).unwrap();
    assert_eq!(hidden.kept, [1, 4]);
    assert_eq!(hidden.pooled, None);
}

#[test]
fn an_answer_that_does_not_fit_is_refused_with_its_layer() {
    let refused = |kept: Vec<usize>| {
        let error = model().encode(Input::Tokens(&TOKENS), &mut Dropping(kept)).unwrap_err();
        let text = shown(&error);
        assert!(text.starts_with("attention of layer 0: the kept rows are ["), "{text}");
    };
    refused(vec![]);
    refused(vec![2, 1]);
    refused(vec![1, 1]);
    refused(vec![0, 5]);

    struct Narrow;
    impl Attention for Narrow {
        fn attend(&mut self, _: &Projected<'_>) -> Result<Attended, AttentionError> {
            Ok(Attended { output: Array2::zeros((5, 7)), kept: None })
        }
    }
    let error = shown(&model().encode(Input::Tokens(&TOKENS), &mut Narrow).unwrap_err());
    assert_eq!(error, "attention of layer 0: the output has shape (5, 7): expected (5, 8)");
}
