//! SpAtten with fully connected layers: Table IV and figure 15.
//!
//! SpAtten-e2e computes them on the multipliers of attention. While tokens are generated they are products of
//! a matrix and a vector, whose weights are read once per token: their time is the longer of weights over
//! bandwidth and multiplications over multipliers. Attention is simulated.

use std::sync::Arc;

use anyhow::{Context, Result};
use attelier_hw::spatten::Spatten;
use attelier_sim::observe::Observer;

use super::{
    Outcome, Row,
    measure::{Job, Measured, geomean, job, measure},
    spatten_fig14::workload,
    spatten_platforms::runs,
};
use crate::published::{self, Number};

/// Why the time of fully connected layers is below the published one.
const PEAK: &str = "weights at the whole bandwidth of 512 GB/s; Table IV implies 73 % of it (302 MB a token, 32 \
                    tokens, 25.75 ms), without saying what costs the rest";

/// Fully connected layers of some tokens on the multipliers of SpAtten.
struct FullyConnected {
    /// Multiplications.
    products: f64,
}

impl FullyConnected {
    /// What `model` computes beside `attention`, on any platform.
    fn of([attention, model]: &[Arc<Measured>; 2]) -> Self {
        let ops = model.result.ops_executed.saturating_sub(attention.result.ops_executed);
        Self { products: ops as f64 / 2.0 }
    }

    fn giga_ops(&self) -> f64 {
        2.0 * self.products / 1e9
    }

    /// Time with weights of `bits` bits [s].
    fn seconds(&self, machine: &Spatten, bits: u32) -> f64 {
        let memory = &machine.memory;
        let bytes_per_s = f64::from(memory.channels * memory.transaction_bytes);
        let multipliers = f64::from(machine.qk_array.multipliers + machine.pv_array.multipliers);
        let cycles =
            (self.products * f64::from(bits) / 8.0 / bytes_per_s).max(self.products / multipliers);
        cycles / machine.clock_hz as f64
    }
}

fn machine() -> Result<Spatten> {
    let config = attelier_hw::config::load("spatten", None, &[])?;
    Ok(Spatten::check(&config)?)
}

/// Attention and fully connected layers of GPT-2-Medium.
pub fn table4(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let platform = runs("titan-xp", "gpt2-medium", seed, observer)?;
    let layers = FullyConnected::of(&platform);
    let [attention, model] = &platform;
    let jobs = [job("spatten", &[], &workload("gpt2-medium/wikitext2"), &[], seed)?];
    let spatten = measure(&jobs, seed, observer)?[0].clone();
    let giga = |run: &Measured| run.result.ops_executed as f64 / 1e9;
    let on_machine = layers.seconds(&machine()?, 8);
    // Operations and seconds of fully connected layers, then of attention.
    let gpu = [
        (layers.giga_ops(), model.seconds - attention.seconds),
        (giga(attention), attention.seconds),
    ];
    let ours = [(layers.giga_ops(), on_machine), (giga(&spatten), spatten.seconds)];
    let mut rows = Vec::new();
    for number in published::of("spatten", "table4") {
        let is_gpu = number.item == "titan-xp";
        let parts = if is_gpu { &gpu } else { &ours };
        let at = usize::from(number.quantity.ends_with("of attention"));
        let of_time = number.quantity.contains("time of");
        let part = |of: &(f64, f64)| if of_time { 1e3 * of.1 } else { of.0 };
        let found = if number.quantity.starts_with("share") {
            100.0 * part(&parts[at]) / (part(&parts[0]) + part(&parts[1]))
        } else {
            part(&parts[at])
        };
        rows.push(if is_gpu && number.quantity == "time of attention" {
            let why = "the point that the platform was calibrated on";
            Row::not_comparable(number, Some(found), why)
        } else if number.quantity.starts_with("share") {
            Row::not_comparable(number, Some(found), "the rows of parts in other words")
        } else {
            Row::beside(number, found, table4_why(number))
        });
    }
    Ok(Outcome::of(rows, vec![
        "8-bit weights: 755.0 ms over the 27.88 ms of the table are the 27 that figure 15 gives for them; heads \
         are pruned in ours and not in the table"
            .to_owned(),
    ]))
}

fn table4_why(number: &Number) -> &'static str {
    match (number.item.as_str(), number.quantity.as_str()) {
        ("titan-xp", "operations of attention") => "4 n d per head and token, n from 993 to 1,024",
        ("titan-xp", "time of fully connected layers") => {
            "the overhead per call is that of attention, and products with weights run at 0.85 of the bandwidth"
        }
        ("spatten-e2e", "operations of attention") => {
            "counts of one released trace, heads pruned too; the table is a mean of four runs without"
        }
        ("spatten-e2e", "time of fully connected layers") => PEAK,
        ("spatten-e2e", "time of attention") => {
            "one run of four, heads pruned too; softmax, top-k of tokens and importance take their time in ours \
             and not in the released harness"
        }
        _ => "12 d^2 weights per layer, 32 tokens",
    }
}

/// Speedup with fully connected layers.
pub fn fig15(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let machine = machine()?;
    let mut rows = Vec::new();
    for platform in ["titan-xp", "xeon-e5-2640-v4"] {
        for bits in [12, 8] {
            let quantity = format!("{bits}-bit weights over {platform}");
            let mut speedups = Vec::new();
            for number in published::of("spatten", "fig15").filter(|n| n.quantity == quantity) {
                if number.item == "geomean" {
                    let mean = geomean(&speedups).context("benchmarks stand before their mean")?;
                    rows.push(Row::beside(number, mean, PEAK).summing_up());
                    continue;
                }
                let model = number.item.split('/').next().context("a benchmark has a model")?;
                let both = runs(platform, model, seed, observer)?;
                let jobs: [Job; 1] = [job("spatten", &[], &workload(&number.item), &[], seed)?];
                let attention = measure(&jobs, seed, observer)?[0].seconds;
                let layers = FullyConnected::of(&both).seconds(&machine, bits);
                let speedup = both[1].seconds / (attention + layers);
                let split = format!(
                    "ours: {:.3} ms attention, {:.2} ms weights; platform {:.0} ms",
                    1e3 * attention,
                    1e3 * layers,
                    1e3 * both[1].seconds
                );
                rows.push(Row::beside(number, speedup, PEAK).with_note(split));
                speedups.push(speedup);
            }
        }
    }
    Ok(Outcome::of(rows, vec![
        "attention of a benchmark is simulated with all techniques, heads pruned too, which the figure leaves \
         out; it is a tenth of the time"
            .to_owned(),
    ]))
}

#[cfg(test)]
mod tests {
    use attelier_sim::observe::Nobody;

    use super::*;

    /// 24 layers of 12 x 1024^2 weights and 32 tokens are 19.3 GFLOP (Table IV); in 8 bits 302 MB a token, at
    /// 512 GB/s 18.9 ms; in 12 bits half as much again.
    #[test]
    fn fully_connected_layers_take_the_time_of_their_weights() {
        let platform = runs("titan-xp", "gpt2-medium", 0, &mut Nobody).unwrap();
        let layers = FullyConnected::of(&platform);
        let machine = machine().unwrap();
        let weights = 24.0 * 12.0 * 1024.0 * 1024.0 * 32.0;
        assert!((layers.products / weights - 1.0).abs() < 0.01, "{}", layers.products);
        let eight = layers.seconds(&machine, 8);
        assert!((eight / (layers.products / 512e9) - 1.0).abs() < 1e-9 && eight > 18.8e-3);
        assert!((layers.seconds(&machine, 12) / eight - 1.5).abs() < 1e-9);
        // With weights of 2 bits the multipliers are busier than the memory.
        assert!((layers.seconds(&machine, 2) / (layers.products / 1024e9) - 1.0).abs() < 1e-9);
    }
}
