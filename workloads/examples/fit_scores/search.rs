//! Finds parameters whose statistics come closest to measured ones.

use attelier_workloads::synthetic::{LayerParams, Measured, Statistics};

use crate::points::measure_generator;

/// Models per evaluation. All evaluations draw the same numbers, so that they differ by their
/// parameters alone.
const SEEDS: std::ops::Range<u64> = 1000..1002;

/// Rounds of the search; each tries every parameter in both directions.
const ROUNDS: u32 = 24;

/// Where a parameter starts, its first step, and its range.
struct Axis {
    start: f64,
    step: f64,
    most: f64,
}

/// One per parameter, in the order of [`LayerParams::NAMES`].
const AXES: [Axis; 6] = [
    Axis { start: 4.0, step: 1.0, most: 15.0 },
    Axis { start: 1.0, step: 0.4, most: 4.0 },
    Axis { start: 1.0, step: 0.4, most: 4.0 },
    Axis { start: 0.5, step: 0.2, most: 1.0 },
    Axis { start: 2.0, step: 0.8, most: 10.0 },
    Axis { start: 0.3, step: 0.15, most: 1.5 },
];

/// Parameters of layer `layer` of `layers`, by coordinate descent with steps that shrink.
pub fn fit(measured: &[Measured], layer: u32, layers: u32) -> LayerParams {
    let loss = |values: [f64; 6]| {
        let params = vec![LayerParams::from_values(values); layers as usize];
        let points = measured.iter().filter(|point| point.fitted);
        let distance = |point: &Measured| {
            let found = measure_generator(&params, layer, &point.tokens, SEEDS);
            squared_distance(&found, &point.layers[layer as usize])
        };
        points.map(distance).sum::<f64>()
    };
    let mut best = AXES.map(|axis| axis.start);
    let mut least = loss(best);
    let mut steps = AXES.map(|axis| axis.step);
    for _ in 0..ROUNDS {
        for (at, axis) in AXES.iter().enumerate() {
            let mut improved = false;
            for direction in [1.0, -1.0] {
                let mut next = best;
                next[at] = (best[at] + direction * steps[at]).clamp(0.0, axis.most);
                let distance = if next == best { least } else { loss(next) };
                if distance < least {
                    (best, least, improved) = (next, distance, true);
                    break;
                }
            }
            steps[at] *= if improved { 1.3 } else { 0.5 };
        }
        if steps.iter().zip(&AXES).all(|(step, axis)| *step < axis.step / 32.0) {
            break;
        }
    }
    LayerParams::from_values(best.map(|value| (value * 1000.0).round() / 1000.0))
}

/// All statistics count alike but the share of flat rows, which jumps where a row crosses the
/// threshold.
fn squared_distance(a: &Statistics, b: &Statistics) -> f64 {
    let weights = [1.0, 1.0, 1.0, 1.0, 0.25];
    let squares = a.values().into_iter().zip(b.values()).map(|(a, b)| (a - b) * (a - b));
    squares.zip(weights).map(|(square, weight)| square * weight).sum()
}
