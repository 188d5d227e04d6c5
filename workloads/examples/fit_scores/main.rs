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

/// Models whose mean is printed; none of them takes part in the fit.
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
    let layers = (0..layers).map(|layer| search::fit(&measured, layer, layers)).collect();
    let fitted = Fitted { layers, measured };
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
        for (number, real) in (0..).zip(&point.layers) {
            let found = points::measure_generator(&fitted.layers, number, &point.tokens, SEEDS);
            let pairs = real.values().into_iter().zip(found.values());
            let cells = pairs
                .map(|(real, found)| format!("   {real:6.3} {found:6.3} {:+7.3}", found - real));
            println!("{number:>5} {}", cells.collect::<String>());
        }
    }
}
