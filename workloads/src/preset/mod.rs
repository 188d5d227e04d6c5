//! Named workloads, generated from published facts.
//!
//! The facts are data in `presets/*.toml`, each with its source or the reason it is assumed; the
//! generators only apply the published rules to them. A name is `model/benchmark`, with `/dense`
//! for the same benchmark without pruning and quantization. A new GPT-2-like or BERT-like
//! benchmark is an entry in a file; a new file is one line in this module.

mod decode;
mod knobs;
mod prefill;
pub(crate) mod schedule;
pub(crate) mod spec;
mod uniform;

use crate::suggest::nearest;
use crate::{Workload, WorkloadError};

pub use knobs::Knobs;
pub(crate) use knobs::within;

/// Workload of a run that names none.
pub const DEFAULT: &str = "gpt2-small/wikitext2";

const DECODE_SPECS: [&str; 3] = [
    include_str!("../../presets/gpt2-small.toml"),
    include_str!("../../presets/gpt2-medium.toml"),
    include_str!("../../presets/small-decoder.toml"),
];
const PREFILL_SPECS: [&str; 1] = [include_str!("../../presets/bert.toml")];

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Entry {
    /// Name to pass to [`load`].
    pub name: String,
    /// One line.
    pub description: String,
    /// Whether any of its values is assumed rather than published.
    pub assumed: bool,
}

/// A preset that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresetError {
    /// No such name.
    #[error("unknown workload `{name}`: expected a preset name{}", suggestion(.near))]
    UnknownWorkload {
        /// What was asked for.
        name: String,
        /// Names it may have meant.
        near: Vec<String>,
    },
    /// No such knob.
    #[error(
        "unknown knob `{name}`: expected one of {}{}{}",
        Knobs::NAMES.join(", "),
        suggestion(.near),
        of_values(.name)
    )]
    UnknownKnob {
        /// What was asked for.
        name: String,
        /// Knobs it may have meant.
        near: Vec<String>,
    },
    /// A knob outside its range, or one that this workload does not have.
    #[error("workload knob `{knob}` is {found}: expected {expected}")]
    Knob {
        /// The knob.
        knob: &'static str,
        /// Its value.
        found: String,
        /// Its range.
        expected: String,
    },
    /// A preset file that does not parse; tests exclude it for the files of this crate.
    #[error("preset file: {0}")]
    Spec(String),
    /// Generated requests that break a rule.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
}

/// What belongs to a model is looked for in the wrong place.
fn of_values(name: &str) -> &'static str {
    if crate::pruning::NAMES.contains(&name) {
        "; this one is for model folders and traces with tensors"
    } else {
        ""
    }
}

fn suggestion(near: &[String]) -> String {
    if near.is_empty() {
        return "; `attelier list workloads` prints them".to_owned();
    }
    format!("; did you mean `{}`?", near.join("` or `"))
}

/// Pruned and quantised as published, or everything computed at full width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    Pruned,
    Dense,
}

impl Variant {
    const ALL: [Variant; 2] = [Variant::Pruned, Variant::Dense];

    fn name(self, base: &str) -> String {
        match self {
            Variant::Pruned => base.to_owned(),
            Variant::Dense => format!("{base}/dense"),
        }
    }
}

/// One workload that a preset file describes.
trait Preset {
    fn entry(&self) -> Entry;
    fn generate(&self, knobs: &Knobs) -> Result<Workload, PresetError>;
}

fn presets() -> Result<Vec<Box<dyn Preset>>, PresetError> {
    let mut all = Vec::new();
    for text in DECODE_SPECS {
        all.extend(decode::presets(text)?);
    }
    for text in PREFILL_SPECS {
        all.extend(prefill::presets(text)?);
    }
    all.extend(uniform::presets());
    Ok(all)
}

/// Every preset, in the order of the files.
///
/// # Errors
/// [`PresetError::Spec`], which the files of this crate do not cause.
pub fn list() -> Result<Vec<Entry>, PresetError> {
    Ok(presets()?.iter().map(|preset| preset.entry()).collect())
}

/// The preset `name` as published.
///
/// # Errors
/// An unknown name, with its near misses.
///
/// ```
/// let workload = attelier_workloads::load("gpt2-small/wikitext2").unwrap();
/// assert_eq!(workload.requests.len(), 32 * 12 * 12);
/// ```
pub fn load(name: &str) -> Result<Workload, PresetError> {
    load_with(name, &Knobs::default())
}

/// The preset `name`, changed by `knobs`.
///
/// # Errors
/// An unknown name, or a knob outside what the workload allows.
pub fn load_with(name: &str, knobs: &Knobs) -> Result<Workload, PresetError> {
    let presets = presets()?;
    let Some(preset) = presets.iter().find(|preset| preset.entry().name == name) else {
        let names: Vec<String> = presets.iter().map(|preset| preset.entry().name).collect();
        return Err(PresetError::UnknownWorkload {
            name: name.to_owned(),
            near: near(name, &names),
        });
    };
    if let Some(lm_head) = knobs.lm_head {
        let expected = "to be left out: these are attention requests".to_owned();
        return Err(PresetError::Knob { knob: "lm_head", found: lm_head.to_string(), expected });
    }
    knobs.refuse_image("attention requests")?;
    if !name.starts_with("attention/") {
        knobs.refuse_shape(name)?;
    }
    let workload = preset.generate(knobs)?;
    workload.check()?;
    Ok(workload)
}

/// The nearest name or, for an unfinished one, the first few that continue it.
pub(crate) fn near(name: &str, names: &[String]) -> Vec<String> {
    const MOST: usize = 4;
    let mut continued: Vec<String> = names
        .iter()
        .filter(|full| !name.is_empty() && full.starts_with(name) && !full.ends_with("/dense"))
        .cloned()
        .collect();
    if !continued.is_empty() {
        // What lacks least comes first.
        continued.sort_by_key(String::len);
        continued.truncate(MOST);
        return continued;
    }
    nearest(name, names.iter().map(String::as_str)).map(str::to_owned).into_iter().collect()
}
