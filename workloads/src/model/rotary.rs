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
        let error = |name: &str, expected: &str| {
            let found = scaling.get(name).cloned().unwrap_or_default();
            config.error(&format!("{field}.{name}"), &found, expected)
        };
        let required = |name: &str| {
            let number = number(name).filter(|number| number.is_finite() && *number > 0.0);
            number.ok_or_else(|| error(name, "a number above 0"))
        };
        let theta = match scaling.get("rope_theta") {
            Some(_) => required("rope_theta")?,
            None => config.positive_or("rope_theta", 10_000.0)?,
        };
        let mut rotary = Rotary::new(head_dim, theta);
        let kind = scaling.get("rope_type").or(scaling.get("type")).and_then(Value::as_str);
        match kind.unwrap_or("default") {
            "default" => {}
            "linear" => {
                let factor = required("factor")?;
                rotary.frequencies.iter_mut().for_each(|frequency| *frequency /= factor);
            }
            "llama3" => {
                let (factor, low) = (required("factor")?, required("low_freq_factor")?);
                let high = required("high_freq_factor")?;
                if high <= low {
                    return Err(error("high_freq_factor", "more than `low_freq_factor`"));
                }
                let original = required("original_max_position_embeddings")?;
                rotary.stretch(factor, low, high, original);
            }
            _ => return Err(error("rope_type", "one of default, linear, llama3")),
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

    #[track_caller]
    fn configured(text: &str) -> Result<Vec<f32>, String> {
        let config = Config::parse("c.json", text).unwrap();
        let rotary = Rotary::configured(&config, 4).map_err(|error| error.to_string())?;
        Ok(rotary.frequencies)
    }

    #[test]
    fn both_ways_to_write_a_configuration_are_read() {
        assert_eq!(configured("{}").unwrap(), [1.0, 0.01]);
        assert_eq!(configured(r#"{"rope_theta":100}"#).unwrap(), [1.0, 0.1]);
        let new = r#"{"rope_parameters":{"rope_type":"linear","factor":2,"rope_theta":100}}"#;
        assert_eq!(configured(new).unwrap(), [0.5, 0.05]);
        let old = r#"{"rope_theta":100,"rope_scaling":{"type":"linear","factor":2}}"#;
        assert_eq!(configured(old).unwrap(), [0.5, 0.05]);
    }

    #[test]
    fn a_variant_that_is_not_known_is_refused() {
        assert_eq!(
            configured(r#"{"rope_scaling":{"rope_type":"yarn"}}"#).unwrap_err(),
            "c.json: `rope_scaling.rope_type` is \"yarn\": expected one of default, linear, llama3"
        );
        assert_eq!(
            configured(r#"{"rope_scaling":{"rope_type":"linear"}}"#).unwrap_err(),
            "c.json: `rope_scaling.factor` is null: expected a number above 0"
        );
        let equal = r#"{"rope_scaling":{"rope_type":"llama3","factor":8,"low_freq_factor":1,
            "high_freq_factor":1,"original_max_position_embeddings":8192}}"#;
        assert!(configured(equal).unwrap_err().contains("more than `low_freq_factor`"));
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
