//! What a machine can be given to do: attention requests, decoding with a whole model, or an image.

use crate::decoding::{self, Decoding};
use crate::preset::{self, Entry, near};
use crate::vision::{self, MoeImage};
use crate::{Knobs, PresetError, Workload};

/// Something to compute.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Attention of one head after the other.
    Attention(Workload),
    /// Tokens one by one through all layers.
    Decoding(Decoding),
    /// One image through a model with experts.
    Image(MoeImage),
}

impl Task {
    /// Name that a user gives on the command line.
    pub fn name(&self) -> &str {
        match self {
            Task::Attention(workload) => &workload.name,
            Task::Decoding(decoding) => &decoding.name,
            Task::Image(image) => &image.name,
        }
    }

    /// What kind of task it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Task::Attention(_) => "attention requests",
            Task::Decoding(_) => "decoding with a whole model",
            Task::Image(_) => "an image through a model with experts",
        }
    }

    /// Where it comes from; empty where the source is silent.
    pub fn provenance(&self) -> &str {
        match self {
            Task::Attention(workload) => &workload.provenance,
            Task::Decoding(decoding) => &decoding.provenance,
            Task::Image(image) => &image.provenance,
        }
    }

    /// What no source states, each with its reason.
    pub fn assumptions(&self) -> &[String] {
        match self {
            Task::Attention(workload) => &workload.assumptions,
            Task::Decoding(decoding) => &decoding.assumptions,
            Task::Image(image) => &image.assumptions,
        }
    }

    /// BLAKE3 of what must be computed.
    pub fn content_hash(&self) -> blake3::Hash {
        match self {
            Task::Attention(workload) => workload.content_hash(),
            Task::Decoding(decoding) => decoding.content_hash(),
            Task::Image(image) => image.content_hash(),
        }
    }
}

impl From<Workload> for Task {
    fn from(workload: Workload) -> Self {
        Task::Attention(workload)
    }
}

impl From<Decoding> for Task {
    fn from(decoding: Decoding) -> Self {
        Task::Decoding(decoding)
    }
}

impl From<MoeImage> for Task {
    fn from(image: MoeImage) -> Self {
        Task::Image(image)
    }
}

/// Every preset of every kind.
///
/// # Errors
/// [`PresetError::Spec`], which the files of this crate do not cause.
pub fn list() -> Result<Vec<Entry>, PresetError> {
    let mut entries = preset::list()?;
    entries.extend(decoding::list()?);
    entries.extend(vision::list()?);
    Ok(entries)
}

/// The preset `name` of any kind, changed by `knobs`.
///
/// ```
/// use attelier_workloads::{Knobs, Task, task};
///
/// let decoding = task::load_with("gpt2-xl", &Knobs::default()).unwrap();
/// assert!(matches!(decoding, Task::Decoding(_)));
/// ```
///
/// # Errors
/// An unknown name, with near misses of all kinds, or a knob that the workload does not have.
pub fn load_with(name: &str, knobs: &Knobs) -> Result<Task, PresetError> {
    if decoding::list()?.iter().any(|entry| entry.name == name) {
        return decoding::load_with(name, knobs).map(Task::Decoding);
    }
    if vision::list()?.iter().any(|entry| entry.name == name) {
        return vision::load_with(name, knobs).map(Task::Image);
    }
    match preset::load_with(name, knobs) {
        Err(PresetError::UnknownWorkload { name, .. }) => {
            let names: Vec<String> = list()?.into_iter().map(|entry| entry.name).collect();
            let near = near(&name, &names);
            Err(PresetError::UnknownWorkload { name, near })
        }
        other => other.map(Task::Attention),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_over_all_kinds_and_each_can_be_loaded() {
        let entries = list().unwrap();
        for (index, entry) in entries.iter().enumerate() {
            assert!(entries[index + 1..].iter().all(|other| other.name != entry.name));
            assert_eq!(load_with(&entry.name, &Knobs::default()).unwrap().name(), entry.name);
        }
    }

    #[test]
    fn attention_has_no_vocabulary() {
        let mut knobs = Knobs::default();
        knobs.set("lm_head", "true").unwrap();
        let error = load_with("gpt2-small/wikitext2", &knobs).unwrap_err().to_string();
        assert!(error.contains("`lm_head` is true: expected to be left out"), "{error}");
        assert!(load_with("gpt2-small", &knobs).is_ok());
    }

    #[test]
    fn near_misses_come_from_all_kinds() {
        for (typed, meant) in
            [("gpt3-xxl", "gpt3-xl"), ("gpt2-smal/wikitext2", "gpt2-small/wikitext2")]
        {
            let error = load_with(typed, &Knobs::default()).unwrap_err().to_string();
            assert!(error.contains(&format!("did you mean `{meant}`?")), "{error}");
        }
    }
}
