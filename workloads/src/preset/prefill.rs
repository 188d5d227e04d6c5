//! BERT presets: a whole sentence at once, with tokens and heads pruned layer by layer.

use serde::Deserialize;

use super::knobs::within;
use super::schedule::{Accumulate, Common, Importance, Step, requests};
use super::spec::{Model, Note, StoredWidths, assumptions, parse, sources};
use super::{Entry, Knobs, Preset, PresetError, Variant};
use crate::{Phase, Widths, Workload};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    models: Vec<Model>,
    tokens: Ramp,
    heads: Ramp,
    values: Notes,
    widths: StoredWidths,
    lengths: Notes,
    tasks: Vec<Task>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Notes {
    note: Note,
}

/// What the layers keep of something.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ramp {
    /// Share of the layers, from the first, that keep everything.
    front: f64,
    front_note: Note,
    /// Mean reduction over all layers.
    reduction: f64,
    reduction_note: Note,
    /// How far the pruned share lies from its average at both ends, relative to it.
    spread: f64,
    spread_note: Note,
}

impl Ramp {
    /// Kept share of `layer` of `layers`.
    fn keep(&self, layer: u32, layers: u32) -> f64 {
        let front = (self.front * f64::from(layers)).ceil() as u32;
        if layer < front || layers <= front {
            return 1.0;
        }
        let ramp = layers - front;
        // The front keeps everything, so the others prune more than the mean.
        let mean = (1.0 - 1.0 / self.reduction) * f64::from(layers) / f64::from(ramp);
        let position = if ramp == 1 { 0.5 } else { f64::from(layer - front) / f64::from(ramp - 1) };
        let pruned = mean * (1.0 + self.spread * (2.0 * position - 1.0));
        (1.0 - pruned).clamp(0.0, 1.0)
    }

    /// [`Ramp::keep`] of `count`, to the nearest whole, at least 1.
    fn kept(&self, count: u32, layer: u32, layers: u32) -> u32 {
        ((self.keep(layer, layers) * f64::from(count)).round() as u32).clamp(1, count)
    }

    fn notes(&self) -> [&Note; 3] {
        [&self.front_note, &self.reduction_note, &self.spread_note]
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Task {
    name: String,
    title: String,
    /// Tokens of the sentence.
    length: u32,
}

struct PrefillPreset {
    spec: Spec,
    model: Model,
    task: Task,
    variant: Variant,
}

pub(super) fn presets(text: &str) -> Result<Vec<Box<dyn Preset>>, PresetError> {
    let spec: Spec = parse(text)?;
    let mut presets: Vec<Box<dyn Preset>> = Vec::new();
    for model in &spec.models {
        for task in &spec.tasks {
            for variant in Variant::ALL {
                let (spec, model, task) = (spec.clone(), model.clone(), task.clone());
                presets.push(Box::new(PrefillPreset { spec, model, task, variant }));
            }
        }
    }
    Ok(presets)
}

impl PrefillPreset {
    fn notes(&self) -> Vec<&Note> {
        let Spec { tokens, heads, values, widths, .. } = &self.spec;
        let mut notes = vec![&self.model.note];
        if self.variant == Variant::Pruned {
            notes.extend(tokens.notes());
            notes.extend(heads.notes());
            notes.extend([&values.note, &widths.note]);
        }
        notes
    }

    fn step(&self, layer: u32, length: u32) -> Step {
        let Spec { tokens, heads, .. } = &self.spec;
        let layers = self.model.layers;
        let (kept, heads) = match self.variant {
            Variant::Dense => (length, self.model.heads),
            Variant::Pruned => {
                (tokens.kept(length, layer, layers), heads.kept(self.model.heads, layer, layers))
            }
        };
        // A pruned token is gone as query, key and value.
        Step {
            iteration: 0,
            layer,
            heads,
            sentence_length: length,
            queries: kept,
            keys: kept,
            values: kept,
        }
    }
}

impl Preset for PrefillPreset {
    fn entry(&self) -> Entry {
        let what = match self.variant {
            Variant::Dense => "dense, unquantised",
            Variant::Pruned => "cascade pruning, static quantization",
        };
        let (model, task) = (&self.model, &self.task);
        Entry {
            name: self.variant.name(&format!("{}/{}", model.name, task.name)),
            description: format!(
                "{} on {}: {} tokens; {what}",
                model.title, task.title, task.length
            ),
            // The sentence length is assumed in every variant.
            assumed: true,
        }
    }

    fn generate(&self, knobs: &Knobs) -> Result<Workload, PresetError> {
        if let Some(tokens) = knobs.tokens {
            return Err(PresetError::Knob {
                knob: "tokens",
                found: tokens.to_string(),
                expected: "it absent: this workload generates no tokens; `context` sets the sentence length"
                    .to_owned(),
            });
        }
        let positions = self.model.positions;
        let wanted = knobs.context.unwrap_or(self.task.length);
        let length = within("context", wanted, positions, "the positions of the model")?;
        let pruned = self.variant == Variant::Pruned;
        let steps: Vec<Step> =
            (0..self.model.layers).map(|layer| self.step(layer, length)).collect();
        let common = Common {
            phase: Phase::Prefill,
            head_dim: self.model.head_dim,
            widths: if pruned { self.spec.widths.widths() } else { Widths::UNQUANTISED },
            requant_threshold: None,
            importance: Importance { accumulate: Accumulate::WhileUsed, rescale_from: None },
        };
        let entry = self.entry();
        let mut assumed = match knobs.context {
            Some(length) => vec![format!("sentence length {length}: chosen by the user")],
            None => {
                let text = self.spec.lengths.note.text();
                vec![text.replace("{length}", &length.to_string())]
            }
        };
        assumed.extend(assumptions(self.notes()));
        Ok(Workload {
            name: entry.name,
            model: self.model.name.clone(),
            description: entry.description,
            provenance: sources(self.notes()),
            assumptions: assumed,
            requests: requests(&steps, &common, |_, _, _| false),
        })
    }
}
