//! Fits the synthetic attention scores to a real model; `cargo xtask fit-scores` runs it.
//!
//! Usage: `fit_scores MODEL_FOLDER TEXT_FOLDER [PARAMETER_FILE]`. Prints measured and synthetic
//! statistics side by side; with a file, writes parameters and measurements to it.
#![allow(clippy::print_stdout, reason = "a terminal tool: its output is its purpose")]

#[path = "../../tests/common/points.rs"]
mod points;
mod search;

use std::error::Error;
use std::path::Path;

use attelier_workloads::synthetic::{Fitted, LayerParams, Statistics};

/// Models that are printed; none of them takes part in the fit.
const SEEDS: std::ops::Range<u64> = 0..8;

const HEADER: &str = "\
# Parameters of the synthetic attention scores, fitted to all-MiniLM-L6-v2 (6 layers, 12 heads) on
# tests/data/sentences.txt and tests/data/passages.txt, and what was measured there.
# Written by `cargo xtask fit-scores --write`; do not edit.

";

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (model, texts, file) = match &args[..] {
        [model, texts] => (model, texts, None),
        [model, texts, file] => (model, texts, Some(file)),
        _ => return Err("usage: fit_scores MODEL_FOLDER TEXT_FOLDER [PARAMETER_FILE]".into()),
    };
    let measured = points::measure_model(Path::new(model), Path::new(texts))?;
    let layers = measured.first().map_or(0, |point| point.layers.len()) as u32;
    let texts_measured = &measured;
    let layers: Result<_, _> = std::thread::scope(|scope| {
        let fit = |layer| scope.spawn(move || search::fit(texts_measured, layer, layers));
        let running: Vec<_> = (0..layers).map(fit).collect();
        running.into_iter().map(|layer| layer.join().map_err(|_| "a search panicked")).collect()
    });
    let fitted = Fitted { layers: layers?, measured };
    print(&fitted);
    if let Some(file) = file {
        let fitted = rounded(fitted);
        std::fs::write(file, format!("{HEADER}{}", toml::to_string(&fitted)?))?;
        println!("written  {file}");
    }
    Ok(())
}

/// With as many decimals as a reader can use.
fn rounded(mut fitted: Fitted) -> Fitted {
    for layer in fitted.measured.iter_mut().flat_map(|point| &mut point.layers) {
        *layer = Statistics::from_values(layer.values().map(|v| (v * 1e4).round() / 1e4));
    }
    fitted
}

fn print(fitted: &Fitted) {
    println!("parameters\nlayer {}", LayerParams::NAMES.map(|name| format!("{name:>12}")).concat());
    for (number, layer) in fitted.layers.iter().enumerate() {
        println!("{number:>5} {}", layer.values().map(|value| format!("{value:12.3}")).concat());
    }
    for point in &fitted.measured {
        let kind = if point.fitted { "fitted" } else { "predicted" };
        println!(
            "\n{} ({} texts), {kind}: real, synthetic, deviation",
            point.texts,
            point.tokens.len()
        );
        println!("layer {}", Statistics::NAMES.map(|name| format!("{name:>24}")).concat());
        let mut largest = Largest::default();
        for (number, real) in (0..).zip(&point.layers) {
            let one = |seed| {
                let seeds = seed..seed + 1;
                points::measure_generator(&fitted.layers, number, &point.tokens, seeds)
            };
            let models: Vec<Statistics> = SEEDS.map(one).collect();
            let mean = Statistics::mean(&models);
            largest.add(real, &mean, &models);
            let pairs = real.values().into_iter().zip(mean.values());
            let cells = pairs
                .map(|(real, found)| format!("   {real:6.3} {found:6.3} {:+7.3}", found - real));
            println!("{number:>5} {}", cells.collect::<String>());
        }
        let cells = |values: [f64; 5]| values.map(|value| format!("{value:24.3}")).concat();
        println!("worst {}  mean of {} models", cells(largest.mean), SEEDS.count());
        println!("worst {}  any one model", cells(largest.one));
    }
}

/// Largest deviations from the real model over the layers.
#[derive(Default)]
struct Largest {
    /// Of the mean of all synthetic models.
    mean: [f64; 5],
    /// Of the one that deviates most.
    one: [f64; 5],
}

impl Largest {
    fn add(&mut self, real: &Statistics, mean: &Statistics, models: &[Statistics]) {
        widen(&mut self.mean, real, mean);
        models.iter().for_each(|model| widen(&mut self.one, real, model));
    }
}

fn widen(largest: &mut [f64; 5], real: &Statistics, found: &Statistics) {
    for (at, (real, found)) in real.values().into_iter().zip(found.values()).enumerate() {
        largest[at] = largest[at].max((found - real).abs());
    }
}
