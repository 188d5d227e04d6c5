//! SpAtten, figure 14: speedup and energy saving over four platforms on 30 benchmarks.
//!
//! Times of the platforms are those of their models, each calibrated on one published point of GPT-2-Medium
//! (`docs/designs/platforms.md`); everything else is predicted.

use anyhow::Result;
use attelier_sim::observe::Observer;

use super::{
    Outcome, Row,
    measure::{Job, geomean, job, measure, rank_correlation},
};
use crate::published::{self, Number, SPATTEN};

/// Platforms, in the order of the figure.
pub(super) const PLATFORMS: [&str; 4] =
    ["titan-xp", "xeon-e5-2640-v4", "jetson-nano", "raspberry-pi-4"];

/// Names of the 30 benchmarks, in the order of the figure.
pub(super) fn benchmarks() -> Vec<&'static str> {
    let bars = published::of("spatten", "fig14").filter(|bar| bar.item != "geomean");
    let mut names: Vec<&str> = bars.map(|bar| bar.item.as_str()).collect();
    names.dedup();
    names
}

/// Simulates every benchmark on SpAtten and on the platforms.
pub fn reproduce(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let names = benchmarks();
    let designs: Vec<&str> = std::iter::once("spatten").chain(PLATFORMS).collect();
    let jobs: Vec<Job> = designs
        .iter()
        .flat_map(|design| names.iter().map(move |name| job(design, &[], name, &[], seed)))
        .collect::<Result<_>>()?;
    let found = measure(&jobs, seed, observer)?;
    let (ours, platforms) = found.split_at(names.len());
    let mut rows = Vec::new();
    let mut ranks = Vec::new();
    for (platform, found) in PLATFORMS.iter().zip(platforms.chunks(names.len())) {
        for quantity in ["speedup", "energy saving"] {
            let quantity = format!("{quantity} over {platform}");
            let mut pairs = Vec::new();
            for ((name, ours), theirs) in names.iter().zip(ours).zip(found) {
                let ratio = if quantity.starts_with("speedup") {
                    theirs.seconds / ours.seconds
                } else {
                    theirs.joules()? / ours.joules()?
                };
                let number = published::find("spatten", "fig14", name, &quantity)?;
                pairs.push([number.value, ratio]);
                rows.push(Row::beside(number, ratio, why(number, ratio)));
            }
            let ratios: Vec<f64> = pairs.iter().map(|pair| pair[1]).collect();
            let values: Vec<f64> = pairs.iter().map(|pair| pair[0]).collect();
            let number = published::find("spatten", "fig14", "geomean", &quantity)?;
            let mean = geomean(&ratios).unwrap_or(f64::NAN);
            rows.push(Row::beside(number, mean, why(number, mean)));
            let item = format!("rank correlation of 30 benchmarks, {quantity}");
            let correlation = rank_correlation(&values, &ratios);
            let note = "1 where the benchmarks stand in the published order".to_owned();
            ranks.push(Row::new(SPATTEN, item, [1.0, correlation], "1", note));
        }
    }
    rows.extend(ranks);
    Ok(Outcome::of(rows, notes()))
}

/// Why a ratio is where it is.
fn why(number: &Number, ratio: f64) -> String {
    let off = (ratio / number.value - 1.0).abs() > 0.25;
    let family = if number.item.starts_with("bert") { "bert" } else { "gpt2" };
    match (off, number.item.as_str(), family) {
        (false, ..) => "platform calibrated on one point of GPT-2-Medium".to_owned(),
        (true, "geomean", _) => "22 of the 30 benchmarks are BERT, see their rows".to_owned(),
        (true, _, "bert") => {
            "sentence lengths and pruning are not published and assumed; the published times of BERT on the \
             platforms are longer than their rooflines and launches explain (0.02 TFLOPS on the TITAN Xp)"
                .to_owned()
        }
        _ => "pruning of this benchmark is not published, that of WikiText-2 is used; the platform is \
              calibrated on the mean of four GPT-2-Medium runs"
            .to_owned(),
    }
}

fn notes() -> Vec<String> {
    vec![
        "one calibrated number per platform, none per benchmark: time of attention of GPT-2-Medium; power of \
         a platform is one number, from the ratio of both halves of the figure for GPT-2-Medium"
            .to_owned(),
        "SpAtten runs on HBM2 with everything that its preset models; the released harness, whose cycles the \
         paper uses, leaves out softmax arithmetic, token and head top-k and importance"
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_thirty_benchmarks_are_workloads() {
        let names = benchmarks();
        assert_eq!(names.len(), 30);
        for name in names {
            assert!(job("spatten", &[], name, &[], 0).is_ok(), "{name}");
        }
    }
}
