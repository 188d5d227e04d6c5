//! What a user may change about a preset, as in `--set workload.tokens=8`.

use super::PresetError;
use crate::suggest::nearest;

/// Parameters of a preset. `None` keeps the published value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Knobs {
    /// Seed of the draws that stand in for data, such as which heads need their LSBs.
    pub seed: u64,
    /// Generated tokens (decode workloads).
    pub tokens: Option<u32>,
    /// Tokens before the first generated one (decode) or of the input (prefill).
    pub context: Option<u32>,
    /// Whether the product with the vocabulary is computed (decoding with a whole model).
    pub lm_head: Option<bool>,
}

impl Knobs {
    /// Names that [`Knobs::set`] knows.
    pub const NAMES: [&'static str; 4] = ["seed", "tokens", "context", "lm_head"];

    /// Sets a knob by name from the text of a command line.
    ///
    /// # Errors
    /// An unknown name, or a value that is not a whole number. Ranges depend on the workload and
    /// are checked by [`crate::load_with`].
    ///
    /// ```
    /// use attelier_workloads::{Knobs, load_with};
    ///
    /// let mut knobs = Knobs::default();
    /// knobs.set("tokens", "8").unwrap();
    /// let workload = load_with("gpt2-small/wikitext2", &knobs).unwrap();
    /// assert_eq!(workload.requests.len(), 8 * 12 * 12);
    /// ```
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), PresetError> {
        match name {
            "seed" => self.seed = whole("seed", value)?,
            "tokens" => self.tokens = Some(whole("tokens", value)?),
            "context" => self.context = Some(whole("context", value)?),
            "lm_head" => self.lm_head = Some(parse("lm_head", value, "true or false")?),
            _ => {
                let near = nearest(name, Self::NAMES).map(str::to_owned).into_iter().collect();
                return Err(PresetError::UnknownKnob { name: name.to_owned(), near });
            }
        }
        Ok(())
    }
}

fn whole<T: std::str::FromStr>(knob: &'static str, value: &str) -> Result<T, PresetError> {
    parse(knob, value, "a whole number")
}

fn parse<T: std::str::FromStr>(
    knob: &'static str,
    value: &str,
    expected: &str,
) -> Result<T, PresetError> {
    value.parse().map_err(|_| PresetError::Knob {
        knob,
        found: format!("`{value}`"),
        expected: expected.to_owned(),
    })
}

/// A knob or its published value, if it lies from 1 to `most`.
pub(super) fn within(
    knob: &'static str,
    value: u32,
    most: u32,
    why: &str,
) -> Result<u32, PresetError> {
    if (1..=most).contains(&value) {
        return Ok(value);
    }
    let expected = format!("a whole number from 1 to {most} ({why})");
    Err(PresetError::Knob { knob, found: value.to_string(), expected })
}
