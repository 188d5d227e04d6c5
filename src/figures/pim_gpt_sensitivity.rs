//! PIM-GPT: what channels, multipliers, clocks, tokens and the LM head do to latency and energy.
//!
//! Only bounds of the published curves can be read; the rows compare with those.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use attelier_sim::{
    kernel::run::Mode,
    observe::{Nobody, Observer},
};
use rayon::prelude::*;

use super::{Outcome, Row};
use crate::{
    cli::Overrides,
    machines,
    published::{PIM_GPT, PIM_GPT_SLOW_ASIC},
    table::{
        Align::{Left, Right},
        significant, table,
    },
    workload,
};

const DESIGN: &str = "pim-gpt";

/// The smallest model and the widest.
const MODELS: [&str; 2] = ["gpt2-small", "gpt3-xl"];

/// 64 tokens around the mean context of 1,024 generated ones.
const AROUND_512: &[&str] = &["context=480", "tokens=64"];

/// One machine and one workload.
struct Point {
    label: &'static str,
    sets: &'static [&'static str],
    knobs: &'static [&'static str],
}

const fn machine(label: &'static str, sets: &'static [&'static str]) -> Point {
    Point { label, sets, knobs: AROUND_512 }
}

const fn text(label: &'static str, knobs: &'static [&'static str]) -> Point {
    Point { label, sets: &[], knobs }
}

/// Label of the point with the slow ASIC.
const SLOW_ASIC: &str = "ASIC at 100 MHz";

const POINTS: [Point; 19] = [
    machine("as published", &[]),
    machine("4 channels", &["memory.channels=4"]),
    machine("16 channels", &["memory.channels=16"]),
    machine("32 channels", &["memory.channels=32"]),
    machine("4 multipliers per bank", &["mac.multipliers=4"]),
    machine("8 multipliers per bank", &["mac.multipliers=8"]),
    machine("32 multipliers per bank", &["mac.multipliers=32"]),
    machine("MAC at 500 MHz", &["mac.clock_hz=500_000_000"]),
    machine("ASIC at 500 MHz", &["asic.clock_hz=500_000_000"]),
    machine("ASIC at 200 MHz", &["asic.clock_hz=200_000_000"]),
    machine(SLOW_ASIC, &["asic.clock_hz=100_000_000"]),
    machine("rows opened by bank group", &["memory.activation=bank-group"]),
    machine("one buffer", &["memory.double_buffer=false"]),
    machine("results not streamed", &["overlap.stream_results=false"]),
    machine("no refresh", &["memory.refresh=false"]),
    machine("energy setting v1", &["energy.setting=v1"]),
    text("context of 2,048", &["context=2016", "tokens=64"]),
    text("context of 8,000", &["context=7968", "tokens=64"]),
    text("with LM head", &["context=480", "tokens=64", "lm_head=true"]),
];

/// Latency and energy of one token.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    joules: f64,
}

/// Simulates all points of both models.
pub fn reproduce(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let jobs: Vec<(&str, &Point)> =
        MODELS.iter().flat_map(|&model| POINTS.iter().map(move |point| (model, point))).collect();
    let total = jobs.len() as u64;
    observer.begin(&[], 1);
    let (done, observer) = (AtomicU64::new(0), Mutex::new(observer));
    let costs: Vec<Cost> = jobs
        .par_iter()
        .map(|(model, point)| {
            let cost = simulate(model, point, seed)?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            observer.lock().unwrap_or_else(PoisonError::into_inner).progress(0, done, total);
            Ok(cost)
        })
        .collect::<Result<_>>()?;
    observer.lock().unwrap_or_else(PoisonError::into_inner).end(0);
    let mut outcome = Outcome { rows: Vec::new(), text: String::new(), notes: notes() };
    for (model, costs) in MODELS.iter().zip(costs.chunks(POINTS.len())) {
        compare(&mut outcome, model, costs);
    }
    Ok(outcome)
}

fn simulate(model: &str, point: &Point, seed: u64) -> Result<Cost> {
    let set = point.sets.iter().map(ToString::to_string).collect();
    let loaded = machines::load(DESIGN, &Overrides { config: None, set })?;
    let task = workload::task(model, point.knobs, seed)?;
    let result = loaded.machine.simulate(&task, Mode::Jump, seed, &mut Nobody)?;
    // Every point generates 64 tokens.
    let seconds = result.cycles as f64 / result.clock_hz as f64 / 64.0;
    Ok(Cost { seconds, joules: loaded.machine.energy(&result).total() / 64.0 })
}

/// Adds the table of one model, and the row of the published bound.
fn compare(outcome: &mut Outcome, model: &str, costs: &[Cost]) {
    let Some(base) = costs.first() else { return };
    let rows = POINTS.iter().zip(costs).map(|(point, cost)| {
        vec![
            point.label.to_owned(),
            significant(cost.seconds * 1e6),
            format!("{:.3}", base.seconds / cost.seconds),
            significant(cost.joules * 1e3),
            significant(cost.joules / cost.seconds),
        ]
    });
    let columns =
        [("", Left), ("us/token", Right), ("speed", Right), ("mJ/token", Right), ("W", Right)];
    outcome.text += &format!("{model}\n{}\n", table(&columns, rows));
    let slow = POINTS.iter().zip(costs).find(|(point, _)| point.label == SLOW_ASIC);
    if let Some((point, cost)) = slow {
        let item = format!("{model}, {SLOW_ASIC}: longer latency, published as an upper bound");
        let ours = 100.0 * (cost.seconds / base.seconds - 1.0);
        let note = format!("--set {}", point.sets.join(" --set "));
        outcome.rows.push(Row::new(PIM_GPT, item, [PIM_GPT_SLOW_ASIC, ours], "%", note));
    }
}

fn notes() -> Vec<String> {
    vec![
        "64 tokens around a context of 512, the mean of 1,024 generated tokens; speed is relative to \
         the first row"
            .to_owned(),
        "the published curves could not be read; known are a slowdown of at most 20 % at 100 MHz, and \
         a nearly linear gain with channels"
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_a_legal_machine_and_generates_64_tokens() {
        for point in &POINTS {
            let set = point.sets.iter().map(ToString::to_string).collect();
            let overrides = Overrides { config: None, set };
            assert!(machines::load(DESIGN, &overrides).is_ok(), "{}", point.label);
            let task = workload::task("gpt2-small", point.knobs, 0).unwrap();
            let attelier_workloads::Task::Decoding(decoding) = task else { panic!("decoding") };
            assert_eq!(decoding.tokens, 64, "{}", point.label);
        }
    }

    #[test]
    fn points_are_compared_with_the_first() {
        let mut outcome = Outcome { rows: Vec::new(), text: String::new(), notes: Vec::new() };
        let mut costs = vec![Cost { seconds: 1e-4, joules: 2e-3 }; POINTS.len()];
        costs[10].seconds = 1.1e-4;
        compare(&mut outcome, "m", &costs);
        assert_eq!(outcome.rows.len(), 1);
        assert!((outcome.rows[0].ours - 10.0).abs() < 1e-9);
        assert!(outcome.text.contains("0.909"), "{}", outcome.text);
    }
}
