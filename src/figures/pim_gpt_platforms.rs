//! PIM-GPT: speedup and energy efficiency over the T4 and the Xeon on eight models, row hits, data movement
//! and the share of everything but products. Only ends of ranges and means can be read of the paper.

use std::sync::Arc;

use anyhow::{Context, Result};
use attelier_sim::observe::Observer;
use attelier_workloads::Task;

use super::{
    Outcome, Row,
    measure::{Job, Measured, job, measure},
    pim_gpt_sensitivity::ALL_MODELS,
};
use crate::published::{self, Number};

fn runs(
    design: &str,
    sets: &[&str],
    seed: u64,
    observer: &mut (dyn Observer + Send),
) -> Result<Vec<Arc<Measured>>> {
    let jobs: Vec<Job> = ALL_MODELS
        .iter()
        .map(|model| job(design, sets, model, &[], seed))
        .collect::<Result<_>>()?;
    measure(&jobs, seed, observer)
}

/// Least and most of the models, with the name of each.
fn ends(values: &[f64]) -> Option<[(&'static str, f64); 2]> {
    let named = ALL_MODELS.iter().zip(values).map(|(name, value)| (*name, *value));
    let least = named.clone().min_by(|a, b| a.1.total_cmp(&b.1))?;
    let most = named.max_by(|a, b| a.1.total_cmp(&b.1))?;
    Some([least, most])
}

fn rows_of_ends(figure: &str, quantity: &str, values: &[f64], why: &str) -> Result<Vec<Row>> {
    let ends = ends(values).context("there are models")?;
    ["least of 8 models", "most of 8 models"]
        .iter()
        .zip(ends)
        .map(|(item, (model, value))| {
            let number = published::find("pim-gpt", figure, item, quantity)?;
            Ok(Row::beside(number, value, format!("{model}; {why}")))
        })
        .collect()
}

/// Speedup and energy efficiency.
pub fn platforms(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let second = runs("pim-gpt", &[], seed, observer)?;
    let first = runs("pim-gpt", &["energy.setting=v1"], seed, observer)?;
    let mut rows = Vec::new();
    let mut each = Vec::new();
    for platform in ["t4", "xeon-gold-6154"] {
        let theirs = runs(platform, &[], seed, observer)?;
        let ratios = |of: &dyn Fn(&Measured) -> Result<f64>, ours: &[Arc<Measured>]| {
            let pairs = theirs.iter().zip(ours);
            pairs.map(|(theirs, ours)| Ok(of(theirs)? / of(ours)?)).collect::<Result<Vec<f64>>>()
        };
        let speed = ratios(&|run| Ok(run.seconds), &second)?;
        let why = "the platform is calibrated on the upper end, taken for GPT2-small; the lower end is \
                   predicted";
        rows.extend(rows_of_ends("platforms", &format!("speedup over {platform}"), &speed, why)?);
        let why = "power of the platform is one number, not measured in the paper's way";
        for (runs, version) in [(&second, ""), (&first, ", first version")] {
            let quantity = format!("energy efficiency over {platform}{version}");
            let energy = ratios(&|run| run.joules(), runs)?;
            rows.extend(rows_of_ends("platforms", &quantity, &energy, why)?);
        }
        let models = ALL_MODELS.iter().zip(&speed);
        let models: Vec<String> =
            models.map(|(model, ratio)| format!("{model} {ratio:.0}")).collect();
        each.push(format!("speedup over {platform}, model by model: {}", models.join(", ")));
    }
    Ok(Outcome::of(rows, each))
}

/// Row hits, data movement, the share of everything but products, and sizes of models.
pub fn memory(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let found = runs("pim-gpt", &[], seed, observer)?;
    let hits: Vec<f64> = found
        .iter()
        .map(|run| {
            let dram = run.result.dram.context("PIM-GPT has a DRAM")?;
            Ok(100.0 * dram.row_hits as f64 / dram.requests.max(1) as f64)
        })
        .collect::<Result<_>>()?;
    let mean = hits.iter().sum::<f64>() / hits.len() as f64;
    let find = |figure, item, quantity| published::find("pim-gpt", figure, item, quantity);
    let mut rows =
        vec![Row::beside(find("row-hits", "mean", "row hits")?, mean, "mean of 8 models")];
    let mut movement = Vec::new();
    for (model, run) in ALL_MODELS.iter().zip(&found) {
        let task = crate::workload::task(model, &[], seed)?;
        let Task::Decoding(decoding) = task else { continue };
        movement.push(decoding.fetched_bytes() as f64 / run.bytes() as f64);
    }
    rows.extend(rows_of_ends("traffic", "reduction of data movement", &movement, "predicted")?);
    let number = find("breakdown", "gpt3-xl", "share of everything but products")?;
    rows.push(other_than_products(number, found.last().context("gpt3-xl is the last model")?));
    for number in published::of("pim-gpt", "hardware") {
        rows.push(Row::not_comparable(number, None, "an input of the preset"));
    }
    for number in published::of("pim-gpt", "models") {
        let why = "checked by the tests of the workloads";
        rows.push(Row::not_comparable(number, None, why));
    }
    Ok(Outcome::of(rows, Vec::new()))
}

/// Time in which the memory waits for the ASIC: the part of other operations that is not hidden.
fn other_than_products(number: &Number, run: &Measured) -> Row {
    let products = ["qkv", "scores", "mix", "projection", "ffn_1", "ffn_2", "lm_head"];
    let phases = run.result.phases.iter().filter(|phase| !products.contains(&phase.name));
    let cycles: u64 = phases.map(|phase| phase.cycles).sum();
    let share = 100.0 * cycles as f64 / run.result.cycles.max(1) as f64;
    Row::beside(number, share, "time of sections of the program that are not products")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_name_their_models() {
        let values = [5.0, 2.0, 3.0, 9.0, 4.0, 6.0, 7.0, 8.0];
        let [least, most] = ends(&values).unwrap();
        assert_eq!((least, most), (("gpt2-medium", 2.0), ("gpt2-xl", 9.0)));
        let rows = rows_of_ends("traffic", "reduction of data movement", &values, "x").unwrap();
        assert_eq!((rows[0].published, rows[0].ours), (Some(110.0), Some(2.0)));
        assert_eq!((rows[1].published, rows[1].ours), (Some(259.0), Some(9.0)));
    }
}
