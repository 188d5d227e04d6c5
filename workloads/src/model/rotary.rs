//! Rotary position embeddings (Su et al., 2021), in the order that Llama checkpoints use.

use ndarray::{Array2, ArrayViewMut1, Axis};
use serde_json::{Map, Value};

use super::ModelError;
use super::config::Config;

/// Turns each pair (j, j + head_dim / 2) of a head by its position times a frequency.
#[derive(Debug, Clone)]
pub(super) struct Rotary {
    /// Angle per position of each pair \[rad\].
    pub frequencies: Vec<f32>,
}

impl Rotary {
    /// Frequencies `theta^(-2j / head_dim)`.
    pub fn new(head_dim: usize, theta: f32) -> Rotary {
        let frequency = |j: usize| theta.powf(-((2 * j) as f32) / head_dim as f32);
        Rotary { frequencies: (0..head_dim / 2).map(frequency).collect() }
    }

    /// Frequencies as a configuration describes them; older ones call `rope_parameters`
    /// `rope_scaling` and keep `rope_theta` outside.
    pub fn configured(config: &Config, head_dim: usize) -> Result<Rotary, ModelError> {
        let none = Map::new();
        let (field, scaling) = ["rope_parameters", "rope_scaling"]
            .into_iter()
            .find_map(|field| Some((field, config.get(field)?.as_object()?)))
            .unwrap_or(("rope_scaling", &none));
        let number = |name: &str| scaling.get(name).and_then(Value::as_f64).map(|n| n as f32);
        let theta = match number("rope_theta") {
            Some(theta) => theta,
            None => config.positive_or("rope_theta", 10_000.0)?,
        };
        let mut rotary = Rotary::new(head_dim, theta);
        let kind = scaling.get("rope_type").or(scaling.get("type")).and_then(Value::as_str);
        let required = |name: &str| {
            number(name).filter(|number| number.is_finite() && *number > 0.0).ok_or_else(|| {
                let found = scaling.get(name).cloned().unwrap_or_default();
                config.error(&format!("{field}.{name}"), &found, "a number above 0")
            })
        };
        match kind.unwrap_or("default") {
            "default" => {}
            "linear" => {
                let factor = required("factor")?;
                rotary.frequencies.iter_mut().for_each(|frequency| *frequency /= factor);
            }
            "llama3" => rotary.stretch(
                required("factor")?,
                required("low_freq_factor")?,
                required("high_freq_factor")?,
                required("original_max_position_embeddings")?,
            ),
            other => {
                let expected = "one of default, linear, llama3";
                return Err(config.error(&format!("{field}.rope_type"), &other.into(), expected));
            }
        }
        Ok(rotary)
    }

    /// Context extension of Llama 3.1: pairs that turn fewer than `low` times in the `original`
    /// context turn `factor` times slower, those that turn more than `high` times stay, and
    /// between the two it is interpolated.
    fn stretch(&mut self, factor: f32, low: f32, high: f32, original: f32) {
        for frequency in &mut self.frequencies {
            let turns = original * *frequency / std::f32::consts::TAU;
            let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
            *frequency *= (1.0 - kept) / factor + kept;
        }
    }

    /// Turns the heads of each row [rows, heads * head_dim], one position per row.
    pub fn apply(&self, rows: &mut Array2<f32>, positions: &[usize]) {
        let head_dim = 2 * self.frequencies.len();
        for (mut row, position) in rows.axis_iter_mut(Axis(0)).zip(positions) {
            for head in row.axis_chunks_iter_mut(Axis(0), head_dim) {
                self.turn(head, *position as f32);
            }
        }
    }

    fn turn(&self, head: ArrayViewMut1<'_, f32>, position: f32) {
        let (mut first, mut second) = head.split_at(Axis(0), self.frequencies.len());
        for ((a, b), frequency) in first.iter_mut().zip(&mut second).zip(&self.frequencies) {
            let (sin, cos) = (position * frequency).sin_cos();
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn scores_depend_on_the_distance_of_positions_only() {
        let rotary = Rotary::new(4, 10_000.0);
        let score = |at: usize, to: usize| {
            let mut q = array![[0.3, -1.0, 0.8, 0.5]];
            let mut k = array![[1.0, 0.2, -0.7, 0.4]];
            rotary.apply(&mut q, &[at]);
            rotary.apply(&mut k, &[to]);
            q.row(0).dot(&k.row(0))
        };
        assert!((score(7, 2) - score(25, 20)).abs() < 1e-5);
        assert!((score(7, 2) - score(7, 5)).abs() > 1e-2);
    }

    #[test]
    fn the_first_pair_turns_by_one_radian_per_position() {
        // Pair 0 of two heads; pair 1 has frequency 100^(-1/2) = 0.1.
        let mut rows = array![[1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]];
        Rotary::new(4, 100.0).apply(&mut rows, &[2]);
        let expected = [2f32.cos(), 0.0, 2f32.sin(), 0.0, 0.0, 0.2f32.cos(), 0.0, 0.2f32.sin()];
        for (found, expected) in rows.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{rows}");
        }
    }
}
