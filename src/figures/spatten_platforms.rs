//! SpAtten, figure 2: where the time of GPT-2 goes on the platforms.

use anyhow::Result;
use attelier_sim::observe::Observer;

use super::{
    Outcome, Row,
    measure::{Job, Measured, job, measure},
    spatten_fig14::PLATFORMS,
};
use crate::published::{self, Number};

/// The tokens that the paper generates, and the ones before.
const KNOBS: [&str; 2] = ["context=992", "tokens=32"];

/// Attention of `model` on a platform, and the same tokens through the whole model.
pub(super) fn runs(
    design: &str,
    model: &str,
    seed: u64,
    observer: &mut (dyn Observer + Send),
) -> Result<[std::sync::Arc<Measured>; 2]> {
    let attention = format!("{model}/wikitext2/dense");
    let jobs: [Job; 2] =
        [job(design, &[], &attention, &[], seed)?, job(design, &[], model, &KNOBS, seed)?];
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
        let [attention, model] = runs(platform, "gpt2-medium", seed, observer)?;
        for number in published::of("spatten", "fig2").filter(|number| number.item == platform) {
            rows.push(fig2_row(number, &attention, &model));
        }
    }
    for number in published::of("spatten", "fig2").filter(|number| number.item == "gpt2") {
        rows.push(task_row(number));
    }
    Ok(Outcome::of(rows, vec![
        "time of attention is what each platform was calibrated on; its parts, and that of the whole model, \
         are predicted"
            .to_owned(),
    ]))
}

/// What is said of the task itself.
fn task_row(number: &Number) -> Row {
    if number.quantity == "operations per byte of generation" {
        // An element of a key or a value: a multiplication and an addition over 4 bytes.
        let why = "two operations per element of 32 bits: arithmetic, nothing is simulated";
        return Row::not_comparable(number, Some(2.0 / 4.0), why);
    }
    let why = "a share of the time with the prompt of 992 tokens, whose layers run as products of matrices; the \
               platforms here decode only";
    Row::not_comparable(number, None, why)
}

fn fig2_row(number: &Number, attention: &Measured, model: &Measured) -> Row {
    let calls: &[&str] = match number.quantity.as_str() {
        "share of attention" => {
            let ours = 100.0 * attention.seconds / model.seconds;
            let why = "the latency in other words, since the time of attention is calibrated";
            return Row::not_comparable(number, Some(ours), why);
        }
        "latency of GPT-2" => {
            let why = "ours decodes 32 tokens; theirs has a prompt of 992 tokens, embedding and vocabulary in it, and is \
                       read off a bar";
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
    let why = "one overhead for every call gives each of the eleven about the same time, where a product must take \
               longer than a split; and which calls the paper counts where is assumed";
    Row::beside(number, share(attention, calls), why)
}
