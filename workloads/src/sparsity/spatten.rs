//! Cascade pruning of SpAtten (Wang et al., HPCA 2021, arXiv 2012.09852, sections III-A to III-C).

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::{Head, ModelShape, Needs, Sparsity};
use crate::reference::{
    Cascade, OperandError, RatioSchedule, expect_value, head_importance, kept_count, local_values,
};

/// Tokens and heads that proved unimportant are left out of later layers, and values of small
/// probability are not read.
///
/// Ratios are shares of all tokens, or heads, of the model, as the budgets of the released traces
/// are, not of those that the layer before had left. A layer prunes by what was learnt before it,
/// so the first layer of the first step prunes nothing. The queries of dropped tokens are skipped.
///
/// Not stated in the paper, and assumed here: tokens of the current decode step survive it, for
/// nothing is known of them yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spatten {
    /// Share of tokens dropped, by layer.
    #[serde(default = "none")]
    pub tokens: RatioSchedule,
    /// Share of heads dropped, by layer.
    #[serde(default = "none")]
    pub heads: RatioSchedule,
    /// Share of the values that a query does not read, 0 to less than 1.
    #[serde(default)]
    pub values: f64,
    /// Whether each step starts again from all tokens and heads, ranked by all that was learnt. The
    /// released traces do; the text reads as if what is dropped never returned.
    #[serde(default = "yes")]
    pub restart: bool,
}

fn none() -> RatioSchedule {
    RatioSchedule::NONE
}

fn yes() -> bool {
    true
}

impl Spatten {
    pub(super) fn check(&self) -> Result<(), OperandError> {
        self.tokens.check()?;
        self.heads.check()?;
        let in_range = (0.0..1.0).contains(&self.values);
        expect_value(in_range, "values", self.values, "a share from 0 to less than 1")
    }

    pub(super) fn state(&self, shape: ModelShape) -> Result<State, OperandError> {
        Ok(State {
            token_ratios: self.tokens.ratios(shape.layers as usize)?,
            head_ratios: self.heads.ratios(shape.layers as usize)?,
            values: self.values,
            restart: self.restart,
            tokens: Cascade::new(0),
            heads: Cascade::new(shape.heads as usize),
            at: None,
        })
    }
}

/// The policy with what it remembers.
pub(super) struct State {
    token_ratios: Vec<f64>,
    head_ratios: Vec<f64>,
    values: f64,
    restart: bool,
    tokens: Cascade,
    heads: Cascade,
    /// Step and layer that were entered last.
    at: Option<(u32, u32)>,
}

impl State {
    fn enter_layer(&mut self, head: &Head<'_>) -> Result<(), OperandError> {
        let layers = self.token_ratios.len();
        let layer = head.layer as usize;
        let expected = format!("below {layers}, the layers of the model");
        expect_value(layer < layers, "layer", layer, expected)?;
        let seen = self.tokens.importance().len();
        let expected = format!("at least the {seen} of the step before");
        expect_value(head.keys >= seen, "keys", head.keys, expected)?;
        let new_step = self.at.is_none_or(|(step, _)| step != head.step);
        if new_step && self.restart {
            self.tokens.restart();
            self.heads.restart();
        }
        self.tokens.extend(head.keys - seen);
        if self.at.is_some() {
            // A step that is not a prefill computes the newest tokens only.
            let current = if head.queries < head.keys { head.queries } else { 0 };
            let kept = kept_count(head.keys, self.token_ratios[layer]);
            self.tokens.keep_with_newest(kept, current);
            let heads = self.heads.importance().len();
            self.heads.keep(kept_count(heads, self.head_ratios[layer]));
        }
        self.at = Some((head.step, head.layer));
        Ok(())
    }
}

impl Sparsity for State {
    fn needs(&self) -> Needs {
        Needs::Counts
    }

    fn begin(&mut self, head: &Head<'_>) -> Result<(), OperandError> {
        head.check(self.needs())?;
        let heads = self.heads.importance().len();
        let known = (head.head as usize) < heads;
        let expected = format!("below {heads}, the heads of a layer");
        expect_value(known, "head", head.head, expected)?;
        if self.at == Some((head.step, head.layer)) {
            let tokens = self.tokens.importance().len();
            let expected = format!("{tokens}, as in the other heads of the layer");
            return expect_value(head.keys == tokens, "keys", head.keys, expected);
        }
        self.enter_layer(head)
    }

    fn skips(&self, head: &Head<'_>, query: usize) -> bool {
        let dropped = |cascade: &Cascade, item| cascade.survivors().binary_search(&item).is_err();
        dropped(&self.heads, head.head as usize) || dropped(&self.tokens, head.position(query))
    }

    fn select(
        &mut self,
        head: &Head<'_>,
        query: usize,
        keys: &mut Vec<usize>,
    ) -> Result<(), OperandError> {
        let visible = head.visible(query);
        keys.clear();
        keys.extend(self.tokens.survivors().iter().take_while(|&&key| key < visible));
        Ok(())
    }

    fn observe(
        &mut self,
        _head: &Head<'_>,
        keys: &[usize],
        probabilities: &[f64],
    ) -> Result<(), OperandError> {
        self.tokens.credit(keys, probabilities)
    }

    fn values(&self, probabilities: &[f64], kept: &mut Vec<usize>) {
        let keep = kept_count(probabilities.len(), self.values);
        *kept = local_values(probabilities, keep);
    }

    fn end(&mut self, head: &Head<'_>, output: ArrayView2<'_, f64>) -> Result<(), OperandError> {
        self.heads.credit(&[head.head as usize], &head_importance(&[output]))
    }
}
