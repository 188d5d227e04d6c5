//! Published figures and tables, reproduced: ours beside theirs, good or bad.
//!
//! A new one is a module with a function and one line in [`FIGURES`].

mod a3;
mod a3_accuracy;
mod attending;
mod edge_moe_ablation;
pub mod files;
mod m3vit_table4;
mod measure;
mod mnnfast;
mod pim_gpt_platforms;
mod pim_gpt_sensitivity;
mod spatten_e2e;
mod spatten_fidelity;
mod spatten_fig13;
mod spatten_fig14;
mod spatten_fig19;
mod spatten_fig20;
mod spatten_headline;
mod spatten_platforms;
mod spatten_quantization;
mod spatten_table1;
mod spatten_table3;
mod spatten_topk;
mod vision;

use anyhow::Result;
use attelier_sim::observe::Observer;
use serde::Serialize;

use crate::{
    published::{self, Number},
    table::{
        Align::{Left, Right},
        significant, table,
    },
};

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
        paper: "spatten",
        name: "headline",
        summary: "throughput, work and traffic over the 30 benchmarks",
        reproduce: spatten_headline::reproduce,
    },
    Figure {
        paper: "spatten",
        name: "table1",
        summary: "parameters of the machine",
        reproduce: spatten_table1::reproduce,
    },
    Figure {
        paper: "spatten",
        name: "table2",
        summary: "power and its parts",
        reproduce: spatten_headline::table2,
    },
    Figure {
        paper: "spatten",
        name: "table3",
        summary: "SpAtten-1/8 beside A3 and MnnFast, operations counted in two ways",
        reproduce: spatten_table3::reproduce,
    },
    Figure {
        paper: "spatten",
        name: "table4",
        summary: "attention and fully connected layers of GPT-2-Medium",
        reproduce: spatten_e2e::table4,
    },
    Figure {
        paper: "spatten",
        name: "fig2",
        summary: "time of GPT-2 on platforms, and of its attention by call",
        reproduce: spatten_platforms::fig2,
    },
    Figure {
        paper: "spatten",
        name: "fig7",
        summary: "error of quantised probabilities over their maximum, on real attention",
        reproduce: spatten_quantization::fig7,
    },
    Figure {
        paper: "spatten",
        name: "topk",
        summary: "the top-k engine beside a sorter of the same bandwidth",
        reproduce: spatten_topk::reproduce,
    },
    Figure {
        paper: "spatten",
        name: "fig13",
        summary: "area and power on chip by module",
        reproduce: spatten_fig13::reproduce,
    },
    Figure {
        paper: "spatten",
        name: "fig14",
        summary: "speedup and energy saving over two GPUs and two CPUs on 30 benchmarks",
        reproduce: spatten_fig14::reproduce,
    },
    Figure {
        paper: "spatten",
        name: "fig15",
        summary: "speedup with fully connected layers, weights of 12 and 8 bits",
        reproduce: spatten_e2e::fig15,
    },
    Figure {
        paper: "spatten",
        name: "fig18",
        summary: "operations per byte and throughput under the roofs",
        reproduce: spatten_headline::fig18,
    },
    Figure {
        paper: "spatten",
        name: "fig20",
        summary: "speedup over the TITAN Xp as techniques are added",
        reproduce: spatten_fig20::reproduce,
    },
    Figure {
        paper: "spatten",
        name: "fig21",
        summary: "accuracy over pruning, beside embeddings of a small encoder",
        reproduce: spatten_fidelity::fig21,
    },
    Figure {
        paper: "a3",
        name: "latency",
        summary: "latency of a query and cycles between queries",
        reproduce: a3::latency,
    },
    Figure {
        paper: "a3",
        name: "settings",
        summary: "what the conservative and the aggressive setting gain",
        reproduce: a3::settings,
    },
    Figure {
        paper: "a3",
        name: "accuracy",
        summary: "what search and selection keep of real attention, and what they gain there",
        reproduce: a3_accuracy::reproduce,
    },
    Figure {
        paper: "a3",
        name: "table1",
        summary: "area and power of the modules",
        reproduce: a3::table1,
    },
    Figure {
        paper: "mnnfast",
        name: "skipping",
        summary: "products with values that zero skipping spares",
        reproduce: mnnfast::skipping,
    },
    Figure {
        paper: "pim-gpt",
        name: "sensitivity",
        summary: "latency and energy over channels, multipliers, clocks, tokens and LM head",
        reproduce: pim_gpt_sensitivity::reproduce,
    },
    Figure {
        paper: "pim-gpt",
        name: "platforms",
        summary: "speedup and energy efficiency over a GPU and a CPU on eight models",
        reproduce: pim_gpt_platforms::platforms,
    },
    Figure {
        paper: "pim-gpt",
        name: "memory",
        summary: "row hits, data movement, and the share of everything but products",
        reproduce: pim_gpt_platforms::memory,
    },
    Figure {
        paper: "edge-moe",
        name: "ablation",
        summary: "time of an image as the six techniques are added",
        reproduce: edge_moe_ablation::reproduce,
    },
    Figure {
        paper: "edge-moe",
        name: "platforms",
        summary: "time and energy of an image beside a CPU and a GPU",
        reproduce: vision::edge_moe_platforms,
    },
    Figure {
        paper: "m3vit",
        name: "table4",
        summary: "time, energy and memory: the FPGA dense, with a cache of experts and reordered; a GPU",
        reproduce: m3vit_table4::reproduce,
    },
    Figure {
        paper: "rivals",
        name: "lines",
        summary: "later accelerators of the same model beside Edge-MoE",
        reproduce: vision::rivals,
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

impl Outcome {
    /// Rows with a table of all of them.
    pub fn of(rows: Vec<Row>, notes: Vec<String>) -> Self {
        let number = |value: Option<f64>| value.map_or("-".to_owned(), significant);
        let cells = rows.iter().map(|row| {
            let ours = number(row.ours);
            vec![row.item.clone(), number(row.published), ours, row.unit.clone(), row.judged()]
        });
        let columns =
            [("", Left), ("published", Right), ("ours", Right), ("unit", Left), ("verdict", Left)];
        let mut text = table(&columns, cells);
        let notes: Vec<String> = notes.into_iter().chain(reasons(&rows)).collect();
        text.push('\n');
        Self { rows, text, notes }
    }
}

/// Every reason of the rows that are off or cannot be compared, once each.
fn reasons(rows: &[Row]) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    let told = [Closeness::Off, Closeness::NotComparable];
    for row in rows.iter().filter(|row| told.contains(&row.verdict) && !row.why.is_empty()) {
        let reason = format!("{}: {}", row.verdict.text(), row.why);
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    reasons
}

/// One published number beside ours.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Who published it.
    pub paper: &'static str,
    /// What is compared.
    pub item: String,
    /// The published number; `None` where none can be read.
    pub published: Option<f64>,
    /// Ours; `None` where there is none.
    pub ours: Option<f64>,
    /// Unit of both.
    pub unit: String,
    /// Relative deviation of ours; `None` where the two cannot be compared.
    pub deviation: Option<f64>,
    /// How close it is.
    pub verdict: Closeness,
    /// Why ours deviates, or why the two cannot be compared.
    pub why: String,
    /// What was simulated, and what the number is made of.
    pub note: String,
    /// Whether it sums up other rows, as a mean does.
    pub summary: bool,
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
    /// Not the same quantity, or none of ours.
    #[serde(rename = "not comparable")]
    NotComparable,
    /// Ours, beside which no published number can be read.
    #[serde(rename = "ours alone")]
    Alone,
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
            Self::NotComparable => "not comparable",
            Self::Alone => "ours alone",
        }
    }
}

impl Row {
    /// Compares; both numbers in `unit`. Where they differ by more than a quarter, `why` must say why.
    pub fn new(
        paper: &'static str,
        item: String,
        [published, ours]: [f64; 2],
        unit: &str,
        why: impl Into<String>,
    ) -> Self {
        let deviation = ours / published - 1.0;
        Self {
            paper,
            item,
            published: Some(published),
            ours: Some(ours),
            unit: unit.to_owned(),
            deviation: Some(deviation),
            verdict: Closeness::of(deviation),
            why: why.into(),
            note: String::new(),
            summary: false,
        }
    }

    /// Compares ours, in its unit, with a number of the published files.
    pub fn beside(number: &Number, ours: f64, why: impl Into<String>) -> Self {
        let paper = published::title(number.paper).unwrap_or(number.paper);
        let item = format!("{}: {}", number.item, number.quantity);
        Self::new(paper, item, [number.value, ours], &number.unit, why)
    }

    /// A published number that ours, if there is one, cannot be compared with, and why.
    pub fn not_comparable(number: &Number, ours: Option<f64>, why: impl Into<String>) -> Self {
        Self::beside(number, f64::NAN, why).unscored(ours)
    }

    /// A result of ours that belongs to a published figure, none of whose numbers can be read.
    pub fn alone(paper: &'static str, item: String, ours: f64, unit: &str) -> Self {
        let row = Self::new(paper, item, [f64::NAN, ours], unit, "");
        Self { published: None, deviation: None, verdict: Closeness::Alone, ..row }
    }

    /// The same numbers without a verdict, for the reason that the row has.
    pub fn unscored(self, ours: Option<f64>) -> Self {
        Self { ours, deviation: None, verdict: Closeness::NotComparable, ..self }
    }

    /// With what was simulated, or what the number is made of.
    pub fn with_note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// As a row that sums up others; a page that leaves rows out shows it.
    pub fn summing_up(self) -> Self {
        Self { summary: true, ..self }
    }

    /// Deviation and verdict, for people.
    pub fn judged(&self) -> String {
        match self.deviation {
            Some(deviation) => format!("{:+.0} %, {}", deviation * 100.0, self.verdict.text()),
            None => self.verdict.text().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_follows_from_the_deviation() {
        let row = |ours| Row::new("p", "i".into(), [100.0, ours], "W", "");
        assert_eq!(row(109.0).judged(), "+9 %, within 10 %");
        assert_eq!(row(80.0).verdict, Closeness::Quarter);
        assert_eq!(row(130.0).verdict, Closeness::Off);
        let json = serde_json::to_value(row(50.0)).unwrap();
        assert_eq!((&json["verdict"], &json["deviation"]), (&"off".into(), &(-0.5).into()));
        let unscored = row(50.0).unscored(Some(50.0));
        assert_eq!((unscored.judged().as_str(), unscored.ours), ("not comparable", Some(50.0)));
    }

    #[test]
    fn the_page_of_the_project_counts_the_figures() {
        let figures = format!("{} figures and tables", FIGURES.len());
        assert!(include_str!("../README.md").contains(&figures), "{figures}");
    }

    #[test]
    fn reasons_are_told_once_and_conditions_are_no_reasons() {
        let row = |ours, why: &str| Row::new("p", "i".into(), [100.0, ours], "W", why);
        let rows = vec![
            row(300.0, "too few banks"),
            row(400.0, "too few banks").with_note("--set a=1"),
            row(101.0, "close anyway"),
            row(100.0, "an input").unscored(None),
            row(500.0, "").with_note("--set a=2"),
        ];
        let outcome = Outcome::of(rows, vec!["seed 0".to_owned()]);
        assert_eq!(outcome.notes, ["seed 0", "off: too few banks", "not comparable: an input"]);
    }
}
