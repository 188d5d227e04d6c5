//! The attention of a model of which nothing but its sizes is known: all keys, no pruning, full width.
//!
//! The sizes come from a `config.json` (`config`), an ONNX graph ([`crate::onnx`]), a decoder that another
//! machine computes whole, or from the user.

mod config;

use crate::check::limits;
use crate::decoding::Decoding;
use crate::preset::schedule::{Accumulate, Common, Importance, Step, requests};
use crate::preset::within;
use crate::{Knobs, Phase, PresetError, Request, Widths, Workload};

/// Longest input that a model is given where nobody asks for another \[tokens\].
const USUAL_CONTEXT: u32 = 384;

/// Sizes of the attention of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttentionModel {
    /// Name a user gives on the command line.
    pub name: String,
    /// Name of the model.
    pub model: String,
    /// Where the sizes come from.
    pub provenance: String,
    /// What no source states, each with its reason.
    pub assumptions: Vec<String>,
    /// Heads of each layer.
    pub heads: Vec<u32>,
    /// Elements of a query, key or value.
    pub head_dim: u32,
    /// Whole inputs at once, or tokens one by one.
    pub phase: Phase,
    /// Tokens of the input, or before the first generated one.
    pub context: u32,
    /// Tokens to generate; 1 for whole inputs.
    pub tokens: u32,
    /// Longest input that it was trained for \[tokens\].
    pub positions: Option<u32>,
    /// Whether the input always has `context` tokens, and why.
    pub fixed: Option<String>,
}

impl AttentionModel {
    /// The same model with another length.
    ///
    /// # Errors
    /// Knobs that the model does not have, or a length out of bounds.
    pub fn with(mut self, knobs: &Knobs) -> Result<Self, PresetError> {
        knobs.refuse_image("attention requests")?;
        let refuse = |knob, found: String, expected: &str| {
            Err(PresetError::Knob { knob, found, expected: expected.to_owned() })
        };
        if let Some(lm_head) = knobs.lm_head {
            return refuse(
                "lm_head",
                lm_head.to_string(),
                "to be left out: these are attention requests",
            );
        }
        if let (Phase::Prefill, Some(tokens)) = (self.phase, knobs.tokens) {
            let expected =
                "it absent: this workload generates no tokens; `context` sets its length";
            return refuse("tokens", tokens.to_string(), expected);
        }
        if let (Some(why), Some(context)) = (&self.fixed, knobs.context)
            && context != self.context
        {
            return refuse("context", context.to_string(), &format!("{}: {why}", self.context));
        }
        let bound = "a bound of the trace format";
        self.tokens =
            within("tokens", knobs.tokens.unwrap_or(self.tokens), limits::TOKENS - 1, bound)?;
        let most = limits::TOKENS - self.tokens;
        self.context = knobs.context.unwrap_or(self.context);
        if self.phase == Phase::Prefill || self.context > 0 {
            within("context", self.context, most, bound)?;
        }
        if let Some(positions) = self.positions
            && self.context > positions
        {
            self.assumptions.push(format!(
                "{} tokens, though the model was trained for {positions} positions",
                self.context
            ));
        }
        let heads: u64 = self.heads.iter().copied().map(u64::from).sum();
        let count = heads * u64::from(self.tokens);
        if count > limits::REQUESTS {
            return refuse(
                if self.tokens > 1 { "tokens" } else { "heads" },
                if self.tokens > 1 { self.tokens.to_string() } else { heads.to_string() },
                &format!(
                    "at most {} requests: {} tokens of {heads} heads in all layers are {count}",
                    limits::REQUESTS,
                    self.tokens
                ),
            );
        }
        Ok(self)
    }

    /// Its requests, one per head.
    pub fn requests(&self) -> Vec<Request> {
        let prefill = self.phase == Phase::Prefill;
        let step = |iteration, layer: usize| {
            let length = if prefill { self.context } else { self.context + iteration + 1 };
            Step {
                iteration,
                layer: layer as u32,
                heads: self.heads[layer],
                sentence_length: length,
                queries: if prefill { length } else { 1 },
                keys: length,
                values: length,
            }
        };
        let layers = self.heads.len();
        let steps: Vec<Step> = (0..self.tokens)
            .flat_map(|iteration| (0..layers).map(move |layer| step(iteration, layer)))
            .collect();
        let common = Common {
            phase: self.phase,
            head_dim: self.head_dim,
            widths: Widths::UNQUANTISED,
            requant_threshold: None,
            importance: Importance { accumulate: Accumulate::Never, rescale_from: None },
        };
        requests(&steps, &common, |_, _, _| false)
    }

    /// The workload that it is.
    ///
    /// # Errors
    /// Sizes beyond those of a workload.
    pub fn workload(self) -> Result<Workload, PresetError> {
        let requests = self.requests();
        let length = match self.phase {
            Phase::Prefill => format!("{} tokens at once", self.context),
            Phase::Decode => format!("{} tokens after {}", self.tokens, self.context),
        };
        let layers = match self.heads.len() {
            1 => "1 layer".to_owned(),
            layers => format!("{layers} layers"),
        };
        let workload = Workload {
            description: format!(
                "attention of {}: {layers}, {length}; dense, unquantised",
                self.model
            ),
            name: self.name,
            model: self.model,
            provenance: self.provenance,
            assumptions: self.assumptions,
            requests,
        };
        workload.check()?;
        Ok(workload)
    }
}

impl From<&Decoding> for AttentionModel {
    /// The attention of a decoder, for machines that compute nothing else.
    fn from(decoding: &Decoding) -> Self {
        let shape = &decoding.shape;
        let mut assumptions = decoding.assumptions.clone();
        assumptions
            .push("products with weights are computed elsewhere and are never late".to_owned());
        if shape.kv_heads != shape.heads {
            assumptions.push(format!(
                "{} query heads share {} key and value heads; each fetches them for itself",
                shape.heads, shape.kv_heads
            ));
        }
        Self {
            name: decoding.name.clone(),
            model: decoding.model.clone(),
            provenance: decoding.provenance.clone(),
            assumptions,
            heads: vec![shape.heads; shape.layers as usize],
            head_dim: shape.head_dim,
            phase: Phase::Decode,
            context: decoding.context,
            tokens: decoding.tokens,
            positions: None,
            fixed: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decoding, load};

    fn knobs(sets: &[(&str, &str)]) -> Knobs {
        let mut knobs = Knobs::default();
        for (name, value) in sets {
            knobs.set(name, value).unwrap();
        }
        knobs
    }

    /// The decoding of GPT-2-Small from 992 tokens is what the dense preset holds, which comes from the released
    /// traces.
    #[test]
    fn the_attention_of_a_decoder_is_that_of_the_dense_preset() {
        let whole =
            decoding::load_with("gpt2-small", &knobs(&[("context", "992"), ("tokens", "32")]));
        let ours = AttentionModel::from(&whole.unwrap()).requests();
        let preset = load("gpt2-small/wikitext2/dense").unwrap().requests;
        let sizes = |requests: &[Request]| -> Vec<[u32; 7]> {
            requests
                .iter()
                .map(|r| [r.iteration, r.layer, r.head, r.head_dim, r.queries, r.keys, r.values])
                .collect()
        };
        assert_eq!(sizes(&ours), sizes(&preset));
    }

    #[test]
    fn shared_heads_are_told() {
        let mut whole = decoding::load_with("gpt2-small", &Knobs::default()).unwrap();
        whole.shape.kv_heads = 3;
        let model = AttentionModel::from(&whole);
        assert!(model.assumptions.iter().any(|text| text.contains("share 3 key and value heads")));
    }

    #[test]
    fn more_requests_than_a_workload_may_hold_are_refused() {
        let whole = decoding::load_with("gpt2-xl", &knobs(&[("tokens", "8192")])).unwrap();
        let error = AttentionModel::from(&whole).with(&Knobs::default()).unwrap_err().to_string();
        assert!(error.contains("`tokens` is 8192: expected at most"), "{error}");
    }
}
