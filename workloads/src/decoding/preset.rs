//! Decoders by name.

use serde::Deserialize;

use super::{DecoderShape, Decoding};
use crate::preset::spec::{Note, assumptions, parse, sources};
use crate::preset::{Entry, near};
use crate::{Knobs, PresetError};

const SPEC: &str = include_str!("../../presets/decoders.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    run: Run,
    models: Vec<Model>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    tokens: u32,
    note: Note,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Model {
    name: String,
    title: String,
    layers: u32,
    hidden: u32,
    heads: u32,
    note: Note,
}

impl Model {
    fn decoding(&self, run: &Run) -> Result<Decoding, PresetError> {
        let shape = DecoderShape::gpt(self.layers, self.hidden, self.heads);
        let notes = [&self.note, &run.note];
        Ok(Decoding {
            name: self.name.clone(),
            model: self.name.clone(),
            description: format!("{}, all layers: {} tokens one by one", self.title, run.tokens),
            provenance: sources(notes),
            assumptions: assumptions(notes),
            shape: shape.map_err(|error| PresetError::Spec(error.to_string()))?,
            context: 0,
            tokens: run.tokens,
            lm_head: false,
        })
    }
}

/// Every decoder, in the order of the file.
///
/// # Errors
/// [`PresetError::Spec`], which the file of this crate does not cause.
pub fn list() -> Result<Vec<Entry>, PresetError> {
    let spec: Spec = parse(SPEC)?;
    let entries = spec.models.iter().map(|model| {
        let Decoding { name, description, assumptions, .. } = model.decoding(&spec.run)?;
        Ok(Entry { name, description, assumed: !assumptions.is_empty() })
    });
    entries.collect()
}

/// The decoder `name`, changed by `knobs`.
///
/// # Errors
/// An unknown name, or a knob outside its range.
pub fn load_with(name: &str, knobs: &Knobs) -> Result<Decoding, PresetError> {
    let spec: Spec = parse(SPEC)?;
    let Some(model) = spec.models.iter().find(|model| model.name == name) else {
        let names: Vec<String> = spec.models.into_iter().map(|model| model.name).collect();
        let near = near(name, &names);
        return Err(PresetError::UnknownWorkload { name: name.to_owned(), near });
    };
    model.decoding(&spec.run)?.with(knobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decoder_of_the_list_can_be_made() {
        let names: Vec<_> = list().unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), 8);
        for name in names {
            let run = load_with(&name, &Knobs::default()).unwrap();
            assert_eq!((run.context, run.tokens, run.lm_head), (0, 1024, false));
            assert!(!run.provenance.is_empty() || !run.assumptions.is_empty());
        }
    }

    #[test]
    fn a_near_miss_is_suggested() {
        let error = load_with("gpt3-xxl", &Knobs::default()).unwrap_err().to_string();
        assert!(error.contains("did you mean `gpt3-xl`?"), "{error}");
    }
}
