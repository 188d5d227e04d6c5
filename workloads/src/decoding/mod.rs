//! Decoding with a whole model: tokens generated one by one, with a growing key-value cache.
//!
//! * [`Decoding`]: which model, how many tokens, with or without its last product.
//! * [`DecoderShape`]: sizes of the model; from a preset or a Hugging Face `config.json`.
//! * [`Operation`]: what one layer computes for one token, in order.

mod config;
mod operation;
mod preset;
mod shape;

use serde::Serialize;

pub use operation::{Kind, Operation};
pub use preset::{list, load_with};
pub use shape::{DecoderShape, ShapeError};

use crate::{Knobs, PresetError};

/// Longest text that is generated, the prompt included \[tokens\].
pub const MAX_TOKENS: u32 = 8192;

/// Tokens to generate with a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decoding {
    /// Name a user gives on the command line.
    pub name: String,
    /// Name of the model.
    pub model: String,
    /// One line for listings.
    pub description: String,
    /// Where the sizes come from.
    pub provenance: String,
    /// What no source states, each with its reason.
    pub assumptions: Vec<String>,
    /// Sizes of the model.
    pub shape: DecoderShape,
    /// Tokens whose keys and values are there already.
    pub context: u32,
    /// Tokens to generate.
    pub tokens: u32,
    /// Whether the product with the vocabulary is computed for each token.
    pub lm_head: bool,
}

impl Decoding {
    /// The same model with knobs applied.
    ///
    /// # Errors
    /// No tokens, or more than [`MAX_TOKENS`] with their context; knobs of images or of a shape.
    pub fn with(mut self, knobs: &Knobs) -> Result<Self, PresetError> {
        knobs.refuse_image("decoders")?;
        knobs.refuse_shape(&self.name)?;
        let refuse = |knob, found: u32, expected: String| PresetError::Knob {
            knob,
            found: found.to_string(),
            expected,
        };
        self.context = knobs.context.unwrap_or(self.context);
        if self.context >= MAX_TOKENS {
            let expected = format!("a whole number from 0 to {}", MAX_TOKENS - 1);
            return Err(refuse("context", self.context, expected));
        }
        let most = MAX_TOKENS - self.context;
        self.tokens = knobs.tokens.unwrap_or(self.tokens.min(most));
        if !(1..=most).contains(&self.tokens) {
            let expected = format!(
                "a whole number from 1 to {most} (at most {MAX_TOKENS} tokens with a context of {})",
                self.context
            );
            return Err(refuse("tokens", self.tokens, expected));
        }
        self.lm_head = knobs.lm_head.unwrap_or(self.lm_head);
        let positions = self.shape.positions;
        if self.context + self.tokens > positions {
            self.assumptions.push(format!(
                "{} tokens, though the model was trained for {positions} positions",
                self.context + self.tokens
            ));
        }
        Ok(self)
    }

    /// Lengths of the contexts that the tokens attend to, each with its own token.
    pub fn lengths(&self) -> impl Iterator<Item = u32> {
        let first = self.context + 1;
        first..first + self.tokens
    }

    /// Tokens whose keys and values are kept at the end.
    pub fn longest(&self) -> u32 {
        self.context + self.tokens
    }

    /// Multiply-accumulates of everything.
    pub fn macs(&self) -> u64 {
        let layers = u64::from(self.shape.layers);
        let per_layer = |length: u32| -> u64 {
            self.shape.layer(length).iter().map(|operation| operation.macs()).sum()
        };
        let head = if self.lm_head { self.shape.lm_head_macs() } else { 0 };
        self.lengths().map(|length| layers * per_layer(length) + head).sum()
    }

    /// Bytes that a machine reads which fetches every weight, key and value for each token: two per
    /// multiply-accumulate \[B\].
    pub fn fetched_bytes(&self) -> u64 {
        2 * self.macs()
    }

    /// BLAKE3 of what must be computed; names and provenance do not enter.
    pub fn content_hash(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"attelier-decoding 1\n");
        let s = &self.shape;
        let words = [
            s.layers,
            s.hidden,
            s.heads,
            s.kv_heads,
            s.head_dim,
            s.feed_forward,
            u32::from(s.gated),
            s.vocabulary,
            self.context,
            self.tokens,
            u32::from(self.lm_head),
        ];
        for word in words {
            hasher.update(&word.to_le_bytes());
        }
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(name: &str, set: &[(&str, &str)]) -> Result<Decoding, PresetError> {
        let mut knobs = Knobs::default();
        for (name, value) in set {
            knobs.set(name, value)?;
        }
        load_with(name, &knobs)
    }

    #[test]
    fn contexts_grow_by_one_and_hold_the_token_itself() {
        let run = load("gpt2-xl", &[("context", "5"), ("tokens", "3")]).unwrap();
        assert_eq!(run.lengths().collect::<Vec<_>>(), [6, 7, 8]);
        assert_eq!(run.longest(), 8);
    }

    /// 2 operations per weight and 4 T d L of attention: 2.1 operations per parameter of GPT3-XL,
    /// as the introduction of the PIM-GPT paper states.
    #[test]
    fn the_intensity_of_gpt3_xl_is_the_published_one() {
        let run = load("gpt3-xl", &[]).unwrap();
        let parameters = run.shape.block_weights() as f64;
        let operations = 2.0 * run.macs() as f64 / f64::from(run.tokens);
        assert!((operations / parameters - 2.083).abs() < 0.001, "{}", operations / parameters);
    }

    #[test]
    fn no_tokens_and_too_many_are_refused() {
        for (name, value, expected) in [
            ("tokens", "0", "`tokens` is 0: expected a whole number from 1 to 8192"),
            ("tokens", "8193", "`tokens` is 8193"),
            ("context", "8192", "`context` is 8192: expected a whole number from 0 to 8191"),
            ("lm_head", "maybe", "`lm_head` is `maybe`: expected true or false"),
        ] {
            let error = load("gpt2-xl", &[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(load("gpt2-xl", &[("context", "8000")]).unwrap().tokens, 192);
    }

    #[test]
    fn the_hash_sees_every_size_and_no_name() {
        let base = load("gpt2-xl", &[]).unwrap();
        let renamed = Decoding { name: "x".into(), model: "y".into(), ..base.clone() };
        assert_eq!(renamed.content_hash(), base.content_hash());
        let changes: [fn(&mut Decoding); 11] = [
            |d| d.shape.layers += 1,
            |d| d.shape.hidden += 1,
            |d| d.shape.heads += 1,
            |d| d.shape.kv_heads += 1,
            |d| d.shape.head_dim += 1,
            |d| d.shape.feed_forward += 1,
            |d| d.shape.gated = true,
            |d| d.shape.vocabulary += 1,
            |d| d.context += 1,
            |d| d.tokens += 1,
            |d| d.lm_head = true,
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut other = base.clone();
            change(&mut other);
            assert_ne!(other.content_hash(), base.content_hash(), "change {number}");
        }
    }

    #[test]
    fn gpt2_and_gpt3_of_equal_size_are_the_same_work() {
        for size in ["small", "medium"] {
            let [a, b] = ["gpt2", "gpt3"].map(|family| load(&format!("{family}-{size}"), &[]));
            assert_eq!(a.unwrap().content_hash(), b.unwrap().content_hash());
        }
    }
}
