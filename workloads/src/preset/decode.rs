//! GPT-2 presets: tokens generated one by one against a growing context.

use serde::Deserialize;

use super::knobs::within;
use super::schedule::{Common, Importance, Step, requests};
use super::spec::{Model, Note, StoredWidths, assumptions, parse, sources};
use super::{Entry, Knobs, Preset, PresetError, Variant};
use crate::draw;
use crate::{Phase, Widths, Workload};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    model: Model,
    run: Run,
    pruning: Pruning,
    widths: StoredWidths,
    requant: Option<Requant>,
    /// Quantization that the source of `widths` does not have yet; a workload of its own.
    progressive: Option<Progressive>,
    benchmarks: Vec<Benchmark>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progressive {
    widths: StoredWidths,
    requant: Requant,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    /// Tokens before the first generated one.
    prompt: u32,
    /// Generated tokens.
    tokens: u32,
    note: Note,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pruning {
    first_token_unpruned: bool,
    /// Share of the kept keys whose value is read.
    value_keep: f64,
    tokens: Vec<TokenStep>,
    heads: Vec<HeadStep>,
    importance: Importance,
    note: Note,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenStep {
    from_layer: u32,
    keep: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadStep {
    from_layer: u32,
    heads: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requant {
    threshold: f64,
    rates: Vec<Rate>,
    note: Note,
}

/// Share of heads that need their LSBs; ranges include both ends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rate {
    tokens: [u32; 2],
    layers: [u32; 2],
    rate: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Benchmark {
    name: String,
    title: String,
    pruned: Note,
    dense: Note,
    dense_importance: Importance,
}

struct DecodePreset {
    spec: Spec,
    benchmark: Benchmark,
    variant: Variant,
    /// Behind the name of the benchmark.
    suffix: &'static str,
}

pub(super) fn presets(text: &str) -> Result<Vec<Box<dyn Preset>>, PresetError> {
    let spec: Spec = parse(text)?;
    let mut presets: Vec<Box<dyn Preset>> = Vec::new();
    for benchmark in &spec.benchmarks {
        for variant in Variant::ALL {
            let (spec, benchmark) = (spec.clone(), benchmark.clone());
            presets.push(Box::new(DecodePreset { spec, benchmark, variant, suffix: "" }));
        }
    }
    if let Some(Progressive { widths, requant }) = spec.progressive.clone() {
        let spec = Spec { widths, requant: Some(requant), ..spec };
        for benchmark in spec.benchmarks.clone() {
            let (spec, variant, suffix) = (spec.clone(), Variant::Pruned, "/progressive");
            presets.push(Box::new(DecodePreset { spec, benchmark, variant, suffix }));
        }
    }
    Ok(presets)
}

impl DecodePreset {
    fn notes(&self) -> Vec<&Note> {
        let Spec { model, run, pruning, widths, requant, .. } = &self.spec;
        let mut notes = vec![&model.note, &run.note];
        match self.variant {
            Variant::Pruned => {
                notes.extend([&self.benchmark.pruned, &pruning.note, &widths.note]);
                notes.extend(requant.as_ref().map(|requant| &requant.note));
            }
            Variant::Dense => notes.push(&self.benchmark.dense),
        }
        notes
    }

    /// What one layer computes for one generated token, whose context has `length` tokens.
    fn step(&self, iteration: u32, layer: u32, length: u32) -> Step {
        let Spec { model, pruning, .. } = &self.spec;
        let dense = Step {
            iteration,
            layer,
            heads: model.heads,
            sentence_length: length,
            queries: 1,
            keys: length,
            values: length,
        };
        if self.variant == Variant::Dense {
            return dense;
        }
        let heads = pruning.heads.iter().rfind(|step| step.from_layer <= layer);
        let heads = heads.map_or(model.heads, |step| step.heads);
        let keep = if iteration == 0 && pruning.first_token_unpruned {
            1.0
        } else {
            pruning.tokens.iter().rfind(|step| step.from_layer <= layer).map_or(1.0, |s| s.keep)
        };
        let budget = share(keep, model.positions);
        // A context within its budget is not pruned, and its values get a budget of their own.
        if budget >= length {
            let values = share(pruning.value_keep, model.positions).min(length);
            return Step { heads, values, ..dense };
        }
        Step { heads, keys: budget, values: share(pruning.value_keep, budget), ..dense }
    }

    fn needs_lsb(&self, seed: u64, iteration: u32, layer: u32, head: u32) -> bool {
        let Some(requant) = self.spec.requant.as_ref().filter(|_| self.variant == Variant::Pruned)
        else {
            return false;
        };
        let covers = |range: [u32; 2], at: u32| (range[0]..=range[1]).contains(&at);
        let rate = requant
            .rates
            .iter()
            .find(|rate| covers(rate.tokens, iteration) && covers(rate.layers, layer))
            .map_or(0.0, |rate| rate.rate);
        draw::uniform(seed, iteration, layer, head) < rate
    }

    fn common(&self) -> Common {
        let Spec { model, pruning, widths, requant, .. } = &self.spec;
        let pruned = self.variant == Variant::Pruned;
        Common {
            phase: Phase::Decode,
            head_dim: model.head_dim,
            widths: if pruned { widths.widths() } else { Widths::UNQUANTISED },
            requant_threshold: requant.as_ref().filter(|_| pruned).map(|r| r.threshold),
            importance: if pruned { pruning.importance } else { self.benchmark.dense_importance },
        }
    }
}

impl Preset for DecodePreset {
    fn entry(&self) -> Entry {
        let Spec { model, run, .. } = &self.spec;
        let what = match self.variant {
            Variant::Dense => "dense, unquantised",
            Variant::Pruned if self.spec.requant.is_some() => {
                "cascade pruning, progressive quantization"
            }
            Variant::Pruned => "cascade pruning, static quantization",
        };
        Entry {
            name: self
                .variant
                .name(&format!("{}/{}{}", model.name, self.benchmark.name, self.suffix)),
            description: format!(
                "{} on {}: {} tokens after {}; {what}",
                model.title, self.benchmark.title, run.tokens, run.prompt
            ),
            assumed: !assumptions(self.notes()).is_empty(),
        }
    }

    fn generate(&self, knobs: &Knobs) -> Result<Workload, PresetError> {
        let Spec { model, run, .. } = &self.spec;
        let most = model.positions - 1;
        let why = format!("{} positions less one token", model.positions);
        let context = within("context", knobs.context.unwrap_or(run.prompt), most, &why)?;
        let most = model.positions - context;
        let why = format!("{} positions less a context of {context}", model.positions);
        let tokens = within("tokens", knobs.tokens.unwrap_or(run.tokens.min(most)), most, &why)?;

        let mut steps = Vec::new();
        for iteration in 0..tokens {
            let length = context + iteration + 1;
            steps.extend((0..model.layers).map(|layer| self.step(iteration, layer, length)));
        }
        let entry = self.entry();
        let mut assumed = assumptions(self.notes());
        if (context, tokens) != (run.prompt, run.tokens) {
            assumed.push(format!(
                "{tokens} tokens after {context} instead of the published {} after {}: the budgets stay fractions of {} positions",
                run.tokens, run.prompt, model.positions
            ));
        }
        Ok(Workload {
            name: entry.name,
            model: model.name.clone(),
            description: entry.description,
            provenance: sources(self.notes()),
            assumptions: assumed,
            requests: requests(&steps, &self.common(), |iteration, layer, head| {
                self.needs_lsb(knobs.seed, iteration, layer, head)
            }),
        })
    }
}

/// `keep` of `count`, rounded down, at least 1. The released traces round down: 0.7 of 1024 is 716.
fn share(keep: f64, count: u32) -> u32 {
    // The small addition keeps a product that is whole in decimal, such as 0.3 * 10, whole.
    ((keep * f64::from(count) + 1e-9).floor() as u32).clamp(1, count)
}
