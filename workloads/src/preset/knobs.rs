//! What a user may change about a preset, as in `--set workload.tokens=8`.

use super::PresetError;
use crate::suggest::nearest;
use crate::vision::Skew;

/// Parameters of a preset. `None` keeps the published value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Knobs {
    /// Seed of the draws that stand in for data, such as which heads need their LSBs.
    pub seed: u64,
    /// Generated tokens (decode workloads).
    pub tokens: Option<u32>,
    /// Tokens before the first generated one (decode) or of the input (prefill).
    pub context: Option<u32>,
    /// Layers (attention of any shape).
    pub layers: Option<u32>,
    /// Heads of a layer (attention of any shape).
    pub heads: Option<u32>,
    /// Numbers of a query, key or value (attention of any shape).
    pub head_dim: Option<u32>,
    /// Whether the product with the vocabulary is computed (decoding with a whole model).
    pub lm_head: Option<bool>,
    /// Experts of a layer (images).
    pub experts: Option<u32>,
    /// Experts of a token (images).
    pub top_k: Option<u32>,
    /// Task, which has gates of its own (images).
    pub task: Option<u32>,
    /// How unequal drawn experts are (images).
    pub skew: Option<Skew>,
    /// Tokens of each expert, in every layer (images).
    pub queues: Option<Vec<u32>>,
}

impl Knobs {
    /// Names that [`Knobs::set`] knows.
    pub const NAMES: [&'static str; 12] = [
        "seed", "tokens", "context", "layers", "heads", "head_dim", "lm_head", "experts", "top_k",
        "task", "skew", "queues",
    ];

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
            "layers" => self.layers = Some(whole("layers", value)?),
            "heads" => self.heads = Some(whole("heads", value)?),
            "head_dim" => self.head_dim = Some(whole("head_dim", value)?),
            "lm_head" => self.lm_head = Some(parse("lm_head", value, "true or false")?),
            "experts" => self.experts = Some(whole("experts", value)?),
            "top_k" => self.top_k = Some(whole("top_k", value)?),
            "task" => self.task = Some(whole("task", value)?),
            "skew" => self.skew = Some(parse("skew", value, "a number from 0 to 20, or `all`")?),
            "queues" => self.queues = Some(list("queues", value)?),
            _ => {
                let near = nearest(name, Self::NAMES).map(str::to_owned).into_iter().collect();
                return Err(PresetError::UnknownKnob { name: name.to_owned(), near });
            }
        }
        Ok(())
    }

    /// The first knob that is set and belongs to text, with its value.
    pub(crate) fn of_text(&self) -> Option<(&'static str, String)> {
        first([
            ("tokens", self.tokens.map(|tokens| tokens.to_string())),
            ("context", self.context.map(|context| context.to_string())),
            ("layers", self.layers.map(|layers| layers.to_string())),
            ("heads", self.heads.map(|heads| heads.to_string())),
            ("head_dim", self.head_dim.map(|head_dim| head_dim.to_string())),
            ("lm_head", self.lm_head.map(|lm_head| lm_head.to_string())),
        ])
    }

    /// Refuses knobs of a shape where there is a model, which has its own.
    pub(crate) fn refuse_shape(&self, name: &str) -> Result<(), PresetError> {
        let of_shape = first([
            ("layers", self.layers.map(|layers| layers.to_string())),
            ("heads", self.heads.map(|heads| heads.to_string())),
            ("head_dim", self.head_dim.map(|head_dim| head_dim.to_string())),
        ]);
        match of_shape {
            None => Ok(()),
            Some((knob, found)) => {
                let expected = format!(
                    "to be left out: `{name}` has the shape of its model, `attention/prefill` and \
                     `attention/decode` have any"
                );
                Err(PresetError::Knob { knob, found, expected })
            }
        }
    }

    /// Refuses knobs of images where something else is computed.
    pub(crate) fn refuse_image(&self, what: &str) -> Result<(), PresetError> {
        let set = || "set".to_owned();
        let of_image = first([
            ("experts", self.experts.map(|experts| experts.to_string())),
            ("top_k", self.top_k.map(|top_k| top_k.to_string())),
            ("task", self.task.map(|task| task.to_string())),
            ("skew", self.skew.map(|_| set())),
            ("queues", self.queues.as_ref().map(|_| set())),
        ]);
        match of_image {
            None => Ok(()),
            Some((knob, found)) => {
                let expected = format!("to be left out: {what} have no experts");
                Err(PresetError::Knob { knob, found, expected })
            }
        }
    }
}

fn first<const N: usize>(
    knobs: [(&'static str, Option<String>); N],
) -> Option<(&'static str, String)> {
    knobs.into_iter().find_map(|(knob, value)| Some((knob, value?)))
}

fn list(knob: &'static str, value: &str) -> Result<Vec<u32>, PresetError> {
    let expected = "whole numbers with commas between";
    let lengths: Result<_, _> = value.split(',').map(|length| length.trim().parse()).collect();
    lengths.map_err(|_| PresetError::Knob {
        knob,
        found: format!("`{value}`"),
        expected: expected.to_owned(),
    })
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
pub(crate) fn within(
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
