//! SpAtten, figure 14: speedup and energy saving over four platforms on 30 benchmarks.
//!
//! Times of the platforms are those of their models, each calibrated on one published time of GPT-2-Medium; powers
//! are calibrated on this figure, its four benchmarks of GPT-2-Medium (`docs/designs/platforms.md`). Everything
//! else is predicted.

mod reasons;

use anyhow::Result;
use attelier_sim::observe::Observer;

use super::{
    Outcome, Row,
    measure::{Job, Measured, geomean, job, measure, rank_correlation},
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

/// The workload of a benchmark with all techniques of the paper. The released trace of GPT-2-Medium is that of
/// the last step but one.
pub(super) fn workload(benchmark: &str) -> String {
    let suffix = if benchmark.starts_with("gpt2-medium") { "/progressive" } else { "" };
    format!("{benchmark}{suffix}")
}

/// Power that the paper gives its machine [W].
const PUBLISHED_WATTS: f64 = 8.30;

/// One benchmark on both sides.
struct Pair<'a> {
    name: &'a str,
    ours: &'a Measured,
    platform: &'a Measured,
}

impl Pair<'_> {
    fn speedup(&self) -> f64 {
        self.platform.seconds / self.ours.seconds
    }

    fn saving(&self) -> Result<f64> {
        Ok(self.platform.joules()? / self.ours.joules()?)
    }

    /// What the published speedup would take on the platform, if the machine were as fast as ours.
    fn note_on_speed(&self, published: f64) -> String {
        let implied = published * self.ours.seconds;
        let calls = self.platform.result.units.iter().find(|unit| unit.name == "calls");
        let calls = calls.map_or(0.0, |unit| unit.busy_cycles as f64);
        format!(
            "{:.4} ms on SpAtten, {:.3} ms on the platform ({:.0} % of it overhead of calls); the published ratio \
             would need {:.3} ms there, {:.4} TFLOPS{}",
            1e3 * self.ours.seconds,
            1e3 * self.platform.seconds,
            100.0 * calls / self.platform.result.cycles.max(1) as f64,
            1e3 * implied,
            self.platform.result.ops_executed as f64 / implied / 1e12,
            self.assumption()
        )
    }

    /// How much of a saving is speed, and how much power.
    fn note_on_energy(&self, speedup: f64, saving: f64) -> Result<String> {
        let watts = |run: &Measured| run.joules().map(|joules| joules / run.seconds);
        Ok(format!(
            "speed {:.2} of the published one; {:.2} W here against {PUBLISHED_WATTS} W, {:.1} W on the platform \
             against the {:.1} W that both published bars imply with {PUBLISHED_WATTS} W",
            self.speedup() / speedup,
            watts(self.ours)?,
            watts(self.platform)?,
            PUBLISHED_WATTS * saving / speedup
        ))
    }

    /// What is not known of the benchmark.
    fn assumption(&self) -> &'static str {
        if self.name.starts_with("bert") {
            "; length and pruning of this task are assumed"
        } else if self.name.ends_with("/wikitext2") && self.name.starts_with("gpt2-small") {
            "; counts are those of the released trace"
        } else if self.name.starts_with("gpt2-medium") {
            "; pruning is that of WikiText-2 one step before the last, with the mean share of LSB reads"
        } else {
            "; pruning is that of WikiText-2"
        }
    }
}

/// Simulates every benchmark on SpAtten and on the platforms.
pub fn reproduce(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let names = benchmarks();
    let designs: Vec<&str> = std::iter::once("spatten").chain(PLATFORMS).collect();
    let jobs: Vec<Job> = designs
        .iter()
        .flat_map(|design| names.iter().map(|name| job(design, &[], &workload(name), &[], seed)))
        .collect::<Result<_>>()?;
    let found = measure(&jobs, seed, observer)?;
    let (ours, platforms) = found.split_at(names.len());
    let mut rows = Vec::new();
    let mut ranks = Vec::new();
    for (platform, found) in PLATFORMS.iter().zip(platforms.chunks(names.len())) {
        let pairs: Vec<Pair<'_>> = names
            .iter()
            .zip(ours.iter().zip(found))
            .map(|(name, (ours, platform))| Pair { name, ours, platform })
            .collect();
        let bars = |quantity: &str| {
            let bar = |pair: &Pair<'_>| published::find("spatten", "fig14", pair.name, quantity);
            pairs.iter().map(bar).collect::<Result<Vec<_>>>()
        };
        let [fast, saving] =
            ["speedup", "energy saving"].map(|what| format!("{what} over {platform}"));
        let (speedups, savings) = (bars(&fast)?, bars(&saving)?);
        let of_speed = pairs.iter().map(|pair| Ok(pair.speedup())).collect::<Result<Vec<_>>>()?;
        let of_energy = pairs.iter().map(Pair::saving).collect::<Result<Vec<_>>>()?;
        for ((pair, number), &ratio) in pairs.iter().zip(&speedups).zip(&of_speed) {
            let why = reasons::of_speedup(platform, pair.name);
            rows.push(Row::beside(number, ratio, why).with_note(pair.note_on_speed(number.value)));
        }
        let of = Series { quantity: &fast, names: &names, bars: &speedups, ratios: &of_speed };
        rows.push(of.mean(reasons::of_mean_speedup(platform))?);
        ranks.push(of.order());
        for (((pair, number), speedup), &ratio) in
            pairs.iter().zip(&savings).zip(&speedups).zip(&of_energy)
        {
            let note = pair.note_on_energy(speedup.value, number.value)?;
            let row = match pair.name.starts_with("gpt2-medium") {
                true => Row::not_comparable(number, Some(ratio), reasons::CALIBRATED),
                false => Row::beside(number, ratio, reasons::of_saving(platform, pair.name)),
            };
            rows.push(row.with_note(note));
        }
        let of = Series { quantity: &saving, names: &names, bars: &savings, ratios: &of_energy };
        rows.push(of.mean(reasons::of_mean_saving(platform))?);
        ranks.push(of.order());
    }
    rows.extend(ranks);
    Ok(Outcome::of(rows, notes()))
}

/// Bars of one quantity, and ours.
struct Series<'a> {
    quantity: &'a str,
    names: &'a [&'a str],
    bars: &'a [&'a Number],
    ratios: &'a [f64],
}

impl Series<'_> {
    /// Published and ours of the benchmarks that this holds for.
    fn of(&self, is: impl Fn(&str) -> bool) -> (Vec<f64>, Vec<f64>) {
        let all = self.names.iter().zip(self.bars.iter().zip(self.ratios));
        all.filter(|(name, _)| is(name)).map(|(_, (bar, ratio))| (bar.value, *ratio)).unzip()
    }

    /// The geometric mean, and what its parts say.
    fn mean(&self, why: &str) -> Result<Row> {
        let number = published::find("spatten", "fig14", "geomean", self.quantity)?;
        let mean = |values: &[f64]| geomean(values).unwrap_or(f64::NAN);
        let part = |is: &dyn Fn(&str) -> bool| {
            let (theirs, ours) = self.of(is);
            mean(&ours) / mean(&theirs)
        };
        let note = format!(
            "ours over theirs: {:.2} on 18 short BERT benchmarks, {:.2} on the four of SQuAD, {:.2} on GPT-2",
            part(&|name| name.starts_with("bert") && !name.contains("/squad")),
            part(&|name| name.contains("/squad")),
            part(&|name| name.starts_with("gpt2"))
        );
        Ok(Row::beside(number, mean(self.ratios), why).with_note(note).summing_up())
    }

    /// How well the benchmarks stand in the published order.
    fn order(&self) -> Row {
        let order = |is: &dyn Fn(&str) -> bool| {
            let (theirs, ours) = self.of(is);
            rank_correlation(&theirs, &ours)
        };
        let note = format!(
            "1 where the benchmarks stand in the published order; {:.2} within BERT, {:.2} within GPT-2",
            order(&|name| name.starts_with("bert")),
            order(&|name| name.starts_with("gpt2"))
        );
        let item = format!("rank correlation of 30 benchmarks, {}", self.quantity);
        let why = "four benchmarks of a GPT-2 model share one workload here, lengths of BERT tasks are assumed, \
                   and each platform has one power, where the bars imply others by family";
        Row::new(SPATTEN, item, [1.0, order(&|_| true)], "1", why).with_note(note).summing_up()
    }
}

fn notes() -> Vec<String> {
    vec![
        "two calibrated numbers per platform, none per benchmark: time of attention of GPT-2-Medium, which is \
         published elsewhere, and power, which is the geometric mean over GPT-2-Medium of saving over speedup \
         in this very figure, times 8.30 W"
            .to_owned(),
        "SpAtten runs on HBM2 with everything that its preset models; the released harness, whose cycles the \
         paper uses, leaves out softmax arithmetic, token and head top-k and importance"
            .to_owned(),
        "published savings over published speedups are 6.25 to 6.62 on 21 of 22 BERT benchmarks over the TITAN Xp, \
         11.0 to 11.8 on all over the Xeon: one power on each side, where that of ours follows what a benchmark \
         keeps busy"
            .to_owned(),
        "SQuAD is the one task that fits no length: at the published ratio the TITAN Xp would take six to seven times \
         what its calls and copies do, and a longer text slows the machine down by more than the platform"
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a note says of the published bars.
    #[test]
    fn published_bars_of_bert_have_one_power_on_each_side() {
        let within = |platform: &str, low: f64, high: f64| {
            let bert = benchmarks().into_iter().filter(|name| name.starts_with("bert"));
            let value = |name: &str, what: &str| {
                published::value("spatten", "fig14", name, &format!("{what} over {platform}"))
            };
            let ratio =
                |name| value(name, "energy saving").unwrap() / value(name, "speedup").unwrap();
            bert.map(ratio).filter(|ratio| (low..=high).contains(ratio)).count()
        };
        assert_eq!(within("titan-xp", 6.25, 6.62), 21);
        assert_eq!(within("xeon-e5-2640-v4", 11.0, 11.8), 22);
    }

    #[test]
    fn all_thirty_benchmarks_are_workloads() {
        let names = benchmarks();
        assert_eq!(names.len(), 30);
        for name in names {
            assert!(job("spatten", &[], &workload(name), &[], 0).is_ok(), "{name}");
        }
    }
}
