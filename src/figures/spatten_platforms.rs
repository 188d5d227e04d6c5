//! SpAtten, figure 2, Table IV and figure 15: where the time of GPT-2 goes on the platforms, and what fully
//! connected layers add.

use anyhow::Result;
use attelier_sim::observe::Observer;

use super::{
    Outcome, Row,
    measure::{Job, Measured, job, measure},
    spatten_fig14::PLATFORMS,
};
use crate::published::{self, Number};

/// Attention of GPT-2-Medium, and the same tokens through the whole model.
const ATTENTION: &str = "gpt2-medium/wikitext2/dense";
const MODEL: (&str, [&str; 2]) = ("gpt2-medium", ["context=992", "tokens=32"]);

const NO_LAYERS: &str = "fully connected layers are not part of the simulated machine";

fn runs(
    design: &str,
    seed: u64,
    observer: &mut (dyn Observer + Send),
) -> Result<[std::sync::Arc<Measured>; 2]> {
    let jobs: [Job; 2] =
        [job(design, &[], ATTENTION, &[], seed)?, job(design, &[], MODEL.0, &MODEL.1, seed)?];
    let found = measure(&jobs, seed, observer)?;
    Ok([found[0].clone(), found[1].clone()])
}

/// Share of the time in calls of these names [%].
fn share(run: &Measured, names: &[&str]) -> f64 {
    let phases = run.result.phases.iter().filter(|phase| names.contains(&phase.name));
    let cycles: u64 = phases.map(|phase| phase.cycles).sum();
    100.0 * cycles as f64 / run.result.cycles.max(1) as f64
}

/// Time of GPT-2 on three platforms, and of attention by call on the TITAN Xp.
pub fn fig2(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let mut rows = Vec::new();
    for platform in PLATFORMS {
        let [attention, model] = runs(platform, seed, observer)?;
        for number in published::of("spatten", "fig2").filter(|number| number.item == platform) {
            rows.push(fig2_row(number, &attention, &model));
        }
    }
    for number in published::of("spatten", "fig2").filter(|number| number.item == "gpt2") {
        rows.push(Row::not_comparable(number, None, "a property of the task, with its prompt"));
    }
    Ok(Outcome::of(rows, vec![
        "time of attention is what each platform was calibrated on; its parts, and that of the whole model, \
         are predicted"
            .to_owned(),
    ]))
}

fn fig2_row(number: &Number, attention: &Measured, model: &Measured) -> Row {
    let calls: &[&str] = match number.quantity.as_str() {
        "share of attention" => {
            let ours = 100.0 * attention.seconds / model.seconds;
            return Row::beside(number, ours, "the rest is predicted");
        }
        "latency of GPT-2" => {
            let why = "ours has no prompt of 992 tokens in it and no embedding or vocabulary";
            return Row::beside(number, model.seconds, why);
        }
        "share of QxK in attention" => &["scores"],
        "share of ProbxV in attention" => &["mix"],
        "share of split, concatenate, reshape in attention" => {
            &["split", "concatenate", "present", "merge"]
        }
        "share of transpose and softmax in attention" => {
            &["transpose", "softmax", "scale and mask"]
        }
        "share of data movement in attention" => {
            &["split", "concatenate", "present", "merge", "transpose", "softmax", "scale and mask"]
        }
        _ => {
            let why = "the point that the platform was calibrated on, or the same in other words";
            return Row::not_comparable(number, Some(attention.seconds * 1e3), why);
        }
    };
    Row::beside(number, share(attention, calls), "which calls the paper counts where is assumed")
}

/// Attention and fully connected layers of GPT-2-Medium.
pub fn table4(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let [attention, model] = runs("titan-xp", seed, observer)?;
    let jobs = [job("spatten", &[], "gpt2-medium/wikitext2", &[], seed)?];
    let spatten = measure(&jobs, seed, observer)?[0].clone();
    let giga = |run: &Measured| run.result.ops_executed as f64 / 1e9;
    let layers = [giga(&model) - giga(&attention), 1e3 * (model.seconds - attention.seconds)];
    let mut rows = Vec::new();
    for number in published::of("spatten", "table4") {
        let gpu = number.item == "titan-xp";
        let row = match (gpu, number.quantity.as_str()) {
            (true, "operations of fully connected layers") => {
                Row::beside(number, layers[0], "12 d^2 weights per layer, 32 tokens")
            }
            (_, "operations of attention") => {
                let run = if gpu { &attention } else { &spatten };
                let why = "ours prunes heads too, which this table does not";
                let why = if gpu { "4 n d per head and token" } else { why };
                Row::beside(number, giga(run), why)
            }
            (true, "time of fully connected layers") => Row::beside(
                number,
                layers[1],
                "predicted: the overhead per call is that of attention",
            ),
            (true, "time of attention") => {
                let why = "the point that the platform was calibrated on";
                Row::not_comparable(number, Some(attention.seconds * 1e3), why)
            }
            (false, "time of attention") => {
                let why = "the paper leaves out softmax arithmetic, top-k of tokens and importance";
                Row::beside(number, spatten.seconds * 1e3, why)
            }
            (true, "share of time of attention") => {
                Row::beside(number, 100.0 * attention.seconds / model.seconds, "predicted")
            }
            _ => Row::not_comparable(number, None, NO_LAYERS),
        };
        rows.push(row);
    }
    Ok(Outcome::of(rows, Vec::new()))
}

/// SpAtten with fully connected layers: published lines.
pub fn fig15(_seed: u64, _observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let rows = published::of("spatten", "fig15");
    Ok(Outcome::of(
        rows.map(|number| Row::not_comparable(number, None, NO_LAYERS)).collect(),
        Vec::new(),
    ))
}

/// Accuracy over pruning: published points.
pub fn fig21(_seed: u64, _observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let why = "needs the models and data of the paper, fine-tuned; `attelier fidelity spatten MODEL` sweeps \
               the same ratios on a model folder, without fine-tuning";
    let rows = published::of("spatten", "fig21");
    Ok(Outcome::of(rows.map(|number| Row::not_comparable(number, None, why)).collect(), Vec::new()))
}
