//! From text to tokens, in windows that fit a model.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Model, ModelError};

/// Rows of an embedding that no token needs: padding to a multiple of a power of two, in released
/// models at most 943.
const MOST_PADDING: usize = 1024;

/// The tokenizer of one model.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    /// Longest window \[tokens\].
    positions: usize,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`; `file` names it in errors.
    ///
    /// Truncation and padding that it asks for are turned off: every token of a text counts, and
    /// none is invented.
    ///
    /// # Errors
    /// Text that is no tokenizer, a model of images, and a tokenizer that knows more tokens than
    /// the model's embedding has rows.
    pub fn parse(file: &str, json: &[u8], model: &Model) -> Result<Tokenizer, ModelError> {
        let format = |error: tokenizers::Error| ModelError::Format {
            file: file.to_owned(),
            expected: "a tokenizer",
            reason: error.to_string(),
        };
        let rows = model.vocabulary()?;
        // The library panics on some damaged files instead of refusing them.
        let mut inner = catch_unwind(|| tokenizers::Tokenizer::from_bytes(json))
            .unwrap_or_else(|_| Err("its library cannot read it".into()))
            .map_err(format)?;
        inner.with_padding(None).with_truncation(None).map_err(format)?;
        // Numbers may have gaps, so the largest one counts.
        let last = inner.get_vocab(true).into_values().max();
        let tokens = last.map_or(0, |last| last as usize + 1);
        if tokens > rows || rows - tokens > MOST_PADDING {
            return Err(ModelError::Vocabulary { file: file.to_owned(), tokens, rows });
        }
        let tokenizer = Tokenizer { inner, positions: model.shape().positions };
        let probe = tokenizer.encode("a").map_err(|error| ModelError::Format {
            file: file.to_owned(),
            expected: "a tokenizer",
            reason: error.to_string(),
        })?;
        if let Some(start) = tokenizer.inner.token_to_id("[CLS]")
            && model.family() == "bert"
            && probe.first() != Some(&start)
        {
            return Err(ModelError::Format {
                file: file.to_owned(),
                expected: "the tokenizer of a BERT model",
                reason: "it puts no `[CLS]` before a text".to_owned(),
            });
        }
        Ok(tokenizer)
    }

    /// Tokens of a text, with the special ones that the model expects around them.
    ///
    /// # Errors
    /// A text that the tokenizer cannot split.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        Ok(self.split(text)?.0)
    }

    /// Tokens of a text in windows that leave room for `reserve` further tokens. Each window has
    /// the special tokens of a text of its own, e.g. `[CLS]` and `[SEP]`.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`]; a reserve that leaves no room for a token of text.
    pub fn windows(&self, text: &str, reserve: usize) -> Result<Vec<Vec<u32>>, ModelError> {
        let (tokens, special) = self.split(text)?;
        let most = self.positions.saturating_sub(reserve);
        windows(&tokens, &special, most).ok_or_else(|| ModelError::Input {
            what: "the room for text in a window",
            found: format!("{most} tokens, special ones included"),
            expected: format!("more, of {} with {reserve} reserved for steps", self.positions),
        })
    }

    /// Tokens, and for each whether the tokenizer added it to the text.
    fn split(&self, text: &str) -> Result<(Vec<u32>, Vec<bool>), ModelError> {
        // As in reading: damage that was not found there makes the library panic here.
        let encode = AssertUnwindSafe(|| self.inner.encode_fast(text, true));
        let encoded = catch_unwind(encode).unwrap_or_else(|_| Err("its file is damaged".into()));
        let encoding = encoded.map_err(|error| ModelError::Input {
            what: "the text",
            found: format!("refused by the tokenizer ({error})"),
            expected: "text in the tokenizer's alphabet".to_owned(),
        })?;
        let special = encoding.get_special_tokens_mask().iter().map(|mask| *mask == 1).collect();
        Ok((encoding.get_ids().to_vec(), special))
    }
}

/// Cuts what lies between the first and last special tokens, and puts those around each piece.
fn windows(tokens: &[u32], special: &[bool], most: usize) -> Option<Vec<Vec<u32>>> {
    let leading = special.iter().take_while(|special| **special).count();
    let trailing = special[leading..].iter().rev().take_while(|special| **special).count();
    let (head, rest) = tokens.split_at(leading);
    let (body, tail) = rest.split_at(rest.len() - trailing);
    let room = most.checked_sub(leading + trailing).filter(|room| *room > 0)?;
    Some(body.chunks(room).map(|piece| [head, piece, tail].concat()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_has_the_special_tokens_and_none_is_too_long() {
        let tokens = [1, 10, 11, 12, 13, 14, 2];
        let special = [true, false, false, false, false, false, true];
        let cut = windows(&tokens, &special, 4).unwrap();
        assert_eq!(cut, [vec![1, 10, 11, 2], vec![1, 12, 13, 2], vec![1, 14, 2]]);
        assert_eq!(windows(&tokens, &special, 7).unwrap(), [tokens.to_vec()]);
        assert_eq!(windows(&tokens, &special, 2), None);
    }

    #[test]
    fn text_without_special_tokens_is_only_cut() {
        let cut = windows(&[5, 6, 7], &[false; 3], 2).unwrap();
        assert_eq!(cut, [vec![5, 6], vec![7]]);
        assert_eq!(windows(&[1, 2], &[true, true], 8).unwrap(), [[0; 0]; 0]);
    }
}
