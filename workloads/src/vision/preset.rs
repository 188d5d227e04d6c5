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
    /// Tasks, each with gates of its own.
    tasks: usize,
    /// Tokens of each expert, by task, where they are known.
    #[serde(default)]
    queues: Vec<Vec<u32>>,
    /// Source of the sizes.
    sizes: String,
    /// What is assumed of `queues`.
    #[serde(default)]
    measured: String,
    /// What is assumed of drawn queues.
    drawn: String,
}

/// Sizes of a preset with what says which numbers it has.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageModel {
    /// Name a user gives on the command line.
    pub name: String,
    /// Where the sizes come from.
    pub provenance: String,
    /// Sizes.
    pub shape: ImageShape,
    /// Tasks, each with gates of its own.
    pub tasks: usize,
    /// The one that is computed.
    pub task: usize,
    /// Seed of whatever is drawn.
    pub seed: u64,
}

impl Model {
    /// Sizes and task, changed by `knobs`.
    fn sizes(&self, knobs: &Knobs) -> Result<ImageModel, PresetError> {
        if let Some((knob, found)) = knobs.of_text() {
            let expected = "to be left out: this is one image".to_owned();
            return Err(PresetError::Knob { knob, found, expected });
        }
        let mut shape = self.shape.clone();
        shape.experts = knobs.experts.unwrap_or(shape.experts);
        shape.top_k = knobs.top_k.unwrap_or(shape.top_k);
        shape.check()?;
        Ok(ImageModel {
            name: self.name.clone(),
            provenance: self.sizes.clone(),
            shape,
            tasks: self.tasks,
            task: routing::task(knobs.task.unwrap_or(0), self.tasks)?,
            seed: knobs.seed,
        })
    }

    fn image(&self, knobs: &Knobs) -> Result<MoeImage, PresetError> {
        let ImageModel { shape, task, .. } = self.sizes(knobs)?;
        let measured = self.queues.get(task).filter(|_| shape == self.shape);
        let (routing, assumption) = match (&knobs.queues, knobs.skew, measured) {
            (Some(_), Some(_), _) => {
                return Err(PresetError::Knob {
                    knob: "skew",
                    found: "set beside `queues`".to_owned(),
                    expected: "one of both".to_owned(),
                });
            }
            (Some(queues), None, _) => {
                let given = Routing::new(queues.clone(), &shape)?;
                (self.repeated(given), "the given queues are those of every layer")
            }
            (None, None, Some(queues)) => {
                let measured = Routing::new(queues.clone(), &shape)?;
                (self.repeated(measured), self.measured.as_str())
            }
            (None, skew, _) => {
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
    find(name)?.image(knobs)
}

/// Sizes and task of the image `name`, whose queues follow from its numbers.
///
/// # Errors
/// As [`load_with`].
pub fn model(name: &str, knobs: &Knobs) -> Result<ImageModel, PresetError> {
    find(name)?.sizes(knobs)
}

fn find(name: &str) -> Result<Model, PresetError> {
    let Spec { mut models } = parse(SPEC)?;
    if let Some(at) = models.iter().position(|model| model.name == name) {
        return Ok(models.swap_remove(at));
    }
    let names: Vec<String> = models.into_iter().map(|model| model.name).collect();
    Err(PresetError::UnknownWorkload { name: name.to_owned(), near: near(name, &names) })
}
