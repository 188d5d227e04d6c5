//! Published figures and tables, reproduced: ours beside theirs, good or bad.
//!
//! A new one is a module with a function and one line in [`FIGURES`].

mod edge_moe_ablation;
mod m3vit_table4;
mod pim_gpt_sensitivity;
mod spatten_fig19;

use anyhow::Result;
use attelier_sim::observe::Observer;
use serde::Serialize;

/// A published figure or table that can be reproduced.
pub struct Figure {
    /// Short name of the paper.
    pub paper: &'static str,
    /// Name of the figure within the paper.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// Simulates every point; the observer hears of progress.
    pub reproduce: fn(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome>,
}

/// Every figure, in the order in which lists show them.
pub const FIGURES: &[Figure] = &[
    Figure {
        paper: "spatten",
        name: "fig19",
        summary: "throughput over parallelism of the top-k engines and over size of the buffers",
        reproduce: spatten_fig19::reproduce,
    },
    Figure {
        paper: "pim-gpt",
        name: "sensitivity",
        summary: "latency and energy over channels, multipliers, clocks, tokens and LM head",
        reproduce: pim_gpt_sensitivity::reproduce,
    },
    Figure {
        paper: "edge-moe",
        name: "ablation",
        summary: "time of an image as the six techniques are added",
        reproduce: edge_moe_ablation::reproduce,
    },
    Figure {
        paper: "m3vit",
        name: "table4",
        summary: "time, energy and memory of dense, cached and reordered models on the FPGA",
        reproduce: m3vit_table4::reproduce,
    },
];

/// A figure made again.
pub struct Outcome {
    /// One row per compared number.
    pub rows: Vec<Row>,
    /// The rows as tables for people.
    pub text: String,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// One published number beside ours.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Who published it.
    pub paper: &'static str,
    /// What is compared.
    pub item: String,
    /// The published number.
    pub published: f64,
    /// Ours.
    pub ours: f64,
    /// Unit of both.
    pub unit: &'static str,
    /// Relative deviation of ours.
    pub deviation: f64,
    /// How close it is.
    pub verdict: Closeness,
    /// What was simulated.
    pub note: String,
}

/// How close two numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Closeness {
    /// Within a tenth.
    #[serde(rename = "within 10 %")]
    Tenth,
    /// Within a quarter.
    #[serde(rename = "within 25 %")]
    Quarter,
    /// Further away.
    #[serde(rename = "off")]
    Off,
    /// Not beyond a published bound.
    #[serde(rename = "within the bound")]
    Bounded,
}

impl Closeness {
    /// Of a relative deviation.
    pub fn of(deviation: f64) -> Self {
        match deviation.abs() {
            size if size <= 0.10 => Self::Tenth,
            size if size <= 0.25 => Self::Quarter,
            _ => Self::Off,
        }
    }

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Tenth => "within 10 %",
            Self::Quarter => "within 25 %",
            Self::Off => "off",
            Self::Bounded => "within the bound",
        }
    }
}

impl Row {
    /// Compares; both numbers in `unit`.
    pub fn new(
        paper: &'static str,
        item: String,
        [published, ours]: [f64; 2],
        unit: &'static str,
        note: String,
    ) -> Self {
        let deviation = ours / published - 1.0;
        let verdict = Closeness::of(deviation);
        Self { paper, item, published, ours, unit, deviation, verdict, note }
    }

    /// Compares with a published upper bound.
    pub fn at_most(
        paper: &'static str,
        item: String,
        [bound, ours]: [f64; 2],
        unit: &'static str,
        note: String,
    ) -> Self {
        let row = Self::new(paper, item, [bound, ours], unit, note);
        let verdict = if ours <= bound { Closeness::Bounded } else { row.verdict };
        Self { verdict, ..row }
    }

    /// Deviation and verdict, for people.
    pub fn judged(&self) -> String {
        format!("{:+.0} %, {}", self.deviation * 100.0, self.verdict.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_follows_from_the_deviation() {
        let row = |ours| Row::new("p", "i".into(), [100.0, ours], "W", String::new());
        assert_eq!(row(109.0).judged(), "+9 %, within 10 %");
        assert_eq!(row(80.0).verdict, Closeness::Quarter);
        assert_eq!(row(130.0).verdict, Closeness::Off);
        let bounded = |ours| Row::at_most("p", "i".into(), [20.0, ours], "%", String::new());
        assert_eq!(bounded(3.0).judged(), "-85 %, within the bound");
        assert_eq!(bounded(21.0).verdict, Closeness::Tenth);
        assert_eq!(bounded(30.0).verdict, Closeness::Off);
        let json = serde_json::to_value(row(50.0)).unwrap();
        assert_eq!((&json["verdict"], &json["deviation"]), (&"off".into(), &(-0.5).into()));
    }
}
