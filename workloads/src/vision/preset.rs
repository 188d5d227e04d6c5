//! Images by name.

use serde::Deserialize;

use super::routing::{self, Routing, Skew};
use super::{ImageShape, MoeImage};
use crate::preset::spec::parse;
use crate::preset::{Entry, near};
use crate::{Knobs, PresetError};

const SPEC: &str = include_str!("../../presets/vision.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    models: Vec<Model>,
}

#[derive(Debug, Deserialize)]
struct Model {
    name: String,
    title: String,
    #[serde(flatten)]
    shape: ImageShape,
    /// Tokens of each expert, by task; empty where none were measured, and they are drawn.
    queues: Vec<Vec<u32>>,
    /// Source of the sizes.
    sizes: String,
    /// What is assumed of `queues`.
    measured: String,
    /// What is assumed of drawn queues.
    drawn: String,
}

impl Model {
    fn image(&self, knobs: &Knobs) -> Result<MoeImage, PresetError> {
        if let Some((knob, found)) = knobs.of_text() {
            let expected = "to be left out: this is one image".to_owned();
            return Err(PresetError::Knob { knob, found, expected });
        }
        let mut shape = self.shape.clone();
        shape.experts = knobs.experts.unwrap_or(shape.experts);
        shape.top_k = knobs.top_k.unwrap_or(shape.top_k);
        shape.check()?;
        let task = routing::task(knobs.task.unwrap_or(0), self.queues.len().max(1))?;
        let changed = shape != self.shape;
        let (routing, assumption) = match (&knobs.queues, knobs.skew) {
            (Some(_), Some(_)) => {
                return Err(PresetError::Knob {
                    knob: "skew",
                    found: "set beside `queues`".to_owned(),
                    expected: "one of both".to_owned(),
                });
            }
            (Some(queues), None) => {
                let given = Routing::new(queues.clone(), &shape)?;
                (self.repeated(given), "the given queues are those of every layer")
            }
            (None, None) if !changed && !self.queues.is_empty() => {
                let measured = Routing::new(self.queues[task].clone(), &shape)?;
                (self.repeated(measured), self.measured.as_str())
            }
            (None, skew) => {
                let skew = skew.unwrap_or(Skew::Zipf(0));
                // Another task has another gate, so other draws.
                let layers = (0..shape.expert_layers()).map(|layer| layer * 2 + 1);
                let first = shape.layers.saturating_mul(task as u32);
                let drawn =
                    layers.map(|layer| Routing::draw(skew, &shape, knobs.seed, first + layer));
                (drawn.collect(), self.drawn.as_str())
            }
        };
        Ok(MoeImage {
            name: self.name.clone(),
            provenance: self.sizes.clone(),
            assumptions: vec![assumption.to_owned()],
            shape,
            routing,
        })
    }

    fn repeated(&self, routing: Routing) -> Vec<Routing> {
        vec![routing; self.shape.expert_layers() as usize]
    }
}

/// Every image, in the order of the file.
///
/// # Errors
/// [`PresetError::Spec`], which the file of this crate does not cause.
pub fn list() -> Result<Vec<Entry>, PresetError> {
    let spec: Spec = parse(SPEC)?;
    let entries = spec.models.into_iter().map(|model| Entry {
        name: model.name,
        description: format!("{}: one image", model.title),
        assumed: true,
    });
    Ok(entries.collect())
}

/// The image `name`, changed by `knobs`.
///
/// # Errors
/// An unknown name, a knob that an image does not have, sizes or queues that contradict each other.
pub fn load_with(name: &str, knobs: &Knobs) -> Result<MoeImage, PresetError> {
    let spec: Spec = parse(SPEC)?;
    let Some(model) = spec.models.iter().find(|model| model.name == name) else {
        let names: Vec<String> = spec.models.into_iter().map(|model| model.name).collect();
        let near = near(name, &names);
        return Err(PresetError::UnknownWorkload { name: name.to_owned(), near });
    };
    model.image(knobs)
}
