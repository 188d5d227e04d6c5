//! Numbers that others published, each with its source.
//!
//! They lie in `published/PAPER.csv`, are printed beside ours, and read by nothing that simulates. What is
//! known to be published but could not be read is listed in `published/missing.csv`.

mod beside;

use std::sync::LazyLock;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub use beside::{beside, beside_image, beside_values};

/// The SpAtten paper, as rows of a table of results call it.
pub const SPATTEN: &str = "SpAtten, HPCA 2021";

/// The A3 paper, as rows of a table of results call it.
pub const A3: &str = "A3, HPCA 2020";

/// The MnnFast paper, as rows of a table of results call it.
pub const MNNFAST: &str = "MnnFast, ISCA 2019";

/// The PIM-GPT paper, as rows of a table of results call it.
pub const PIM_GPT: &str = "PIM-GPT, npj Unconv. Comput. 2024";

/// The Edge-MoE paper, as rows of a table of results call it.
pub const EDGE_MOE: &str = "Edge-MoE, ICCAD 2023";

/// The M3ViT paper, as rows of a table of results call it.
pub const M3VIT: &str = "M3ViT, NeurIPS 2022";

/// Later accelerators of the same model, as rows of a table of results call them.
pub const RIVALS: &str = "UbiMoE, CoQMoE and later";

/// Short name, full name and numbers of every paper.
const FILES: [(&str, &str, &str); 7] = [
    ("spatten", SPATTEN, include_str!("../published/spatten.csv")),
    ("a3", A3, include_str!("../published/a3.csv")),
    ("mnnfast", MNNFAST, include_str!("../published/mnnfast.csv")),
    ("pim-gpt", PIM_GPT, include_str!("../published/pim-gpt.csv")),
    ("edge-moe", EDGE_MOE, include_str!("../published/edge-moe.csv")),
    ("m3vit", M3VIT, include_str!("../published/m3vit.csv")),
    ("rivals", RIVALS, include_str!("../published/rivals.csv")),
];

const MISSING: &str = include_str!("../published/missing.csv");

/// A published number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Number {
    /// Short name of the paper.
    pub paper: &'static str,
    /// Figure or table, or a subject.
    pub figure: String,
    /// Which row, bar or point.
    pub item: String,
    /// What is measured of it.
    pub quantity: String,
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// Paper and place.
    pub source: String,
}

/// What is published but could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// Short name of the paper.
    pub paper: String,
    /// Figure or table, as far as its number is known.
    pub figure: String,
    /// What it shows.
    pub what: String,
    /// Why it is missing.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    figure: String,
    item: String,
    quantity: String,
    value: f64,
    unit: String,
    source: String,
}

fn read(paper: &'static str, text: &str) -> Result<Vec<Number>, csv::Error> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader
        .deserialize::<Line>()
        .map(|line| {
            let Line { figure, item, quantity, value, unit, source } = line?;
            Ok(Number { paper, figure, item, quantity, value, unit, source })
        })
        .collect()
}

static NUMBERS: LazyLock<Vec<Number>> = LazyLock::new(|| {
    let papers = FILES.iter();
    papers
        .flat_map(|(paper, _, text)| read(paper, text).expect("a test reads the embedded files"))
        .collect()
});

/// Every number, paper by paper.
pub fn numbers() -> &'static [Number] {
    &NUMBERS
}

/// Numbers of one figure, in its order.
pub fn of(paper: &str, figure: &str) -> impl Iterator<Item = &'static Number> {
    numbers().iter().filter(move |number| number.paper == paper && number.figure == figure)
}

/// One number.
///
/// # Errors
/// A number that is not in the files.
pub fn find(paper: &str, figure: &str, item: &str, quantity: &str) -> Result<&'static Number> {
    of(paper, figure)
        .find(|number| number.item == item && number.quantity == quantity)
        .with_context(|| format!("published/{paper}.csv has no {figure}, {item}, {quantity}"))
}

/// The value of one number.
///
/// # Errors
/// As [`find`].
pub fn value(paper: &str, figure: &str, item: &str, quantity: &str) -> Result<f64> {
    find(paper, figure, item, quantity).map(|number| number.value)
}

/// Numbers of one figure whose items are whole numbers, such as sizes that are swept.
///
/// # Errors
/// Items that are none, or no numbers at all.
pub fn sweep(paper: &str, figure: &str, quantity: &str) -> Result<Vec<(u32, f64)>> {
    let point = |number: &Number| {
        let size = number.item.parse().with_context(|| format!("{figure}: {}", number.item))?;
        Ok((size, number.value))
    };
    of(paper, figure).filter(|number| number.quantity == quantity).map(point).collect()
}

/// Full name of a paper.
pub fn title(paper: &str) -> Option<&'static str> {
    FILES.iter().find(|(name, ..)| *name == paper).map(|(_, title, _)| *title)
}

/// What is published of a paper but could not be read.
pub fn missing(paper: &str) -> Vec<Missing> {
    let mut reader = csv::Reader::from_reader(MISSING.as_bytes());
    let lines = reader.deserialize::<Missing>();
    lines
        .map(|line| line.expect("a test reads the embedded files"))
        .filter(|missing| missing.paper == paper)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_is_finite_named_once_and_has_a_source() {
        let mut keys = BTreeSet::new();
        for number in numbers() {
            let key = (number.paper, &number.figure, &number.item, &number.quantity);
            assert!(keys.insert(key), "{key:?} stands twice");
            assert!(number.value.is_finite() && !number.unit.is_empty(), "{key:?}");
            assert!(number.source.contains(", ") && number.source.len() > 8, "{key:?}");
        }
        assert!(keys.len() >= 800, "{}", keys.len());
    }

    #[test]
    fn what_is_missing_belongs_to_a_paper_and_is_in_no_figure() {
        let all: usize = FILES.iter().map(|(paper, ..)| missing(paper).len()).sum();
        assert_eq!(all, MISSING.lines().count() - 1);
    }

    /// The printed geometric means of figure 14, computed from its 240 printed bars: a digit that was
    /// typed wrong would move one of them.
    #[test]
    fn the_bars_of_figure_14_have_the_printed_geometric_means() {
        let geomeans = of("spatten", "fig14").filter(|number| number.item == "geomean");
        let mut checked = 0;
        for geomean in geomeans {
            let bars: Vec<f64> = of("spatten", "fig14")
                .filter(|bar| bar.item != "geomean" && bar.quantity == geomean.quantity)
                .map(|bar| bar.value.ln())
                .collect();
            assert_eq!(bars.len(), 30);
            let mean = (bars.iter().sum::<f64>() / 30.0).exp();
            // The paper cuts or rounds, and its bars are rounded: less than one in the last printed digit.
            assert!((mean - geomean.value).abs() < 1.0, "{}: {mean}", geomean.quantity);
            checked += 1;
        }
        assert_eq!(checked, 8);
    }

    /// Columns that the papers add up, and products that they form.
    #[test]
    fn published_sums_and_products_hold() {
        let sum = |paper, figure, quantity: &str, total: &str| -> f64 {
            of(paper, figure)
                .filter(|number| number.quantity == quantity && number.item != total)
                .map(|number| number.value)
                .sum()
        };
        assert!((sum("spatten", "fig13", "area", "all") - 18.71).abs() < 1e-9);
        assert!((sum("spatten", "fig13", "power", "all") - 2.60).abs() < 1e-9);
        for (quantity, total) in
            [("area", 2.082), ("dynamic power", 98.917), ("static power", 11.502)]
        {
            let found = sum("a3", "table1", quantity, "total");
            assert!((found - total).abs() < 1e-9, "{quantity}: {found}");
        }
        for platform in ["xeon-6226r", "rtx-a6000", "edge-moe"] {
            let get = |quantity| value("edge-moe", "platforms", platform, quantity).unwrap();
            let energy = get("time of an image") * get("power") * 1e-3;
            assert!((energy / get("energy of an image") - 1.0).abs() < 2e-3, "{platform}");
        }
    }

    #[test]
    fn an_unknown_number_names_its_file() {
        let error = value("spatten", "fig14", "bert-base/none", "x").unwrap_err().to_string();
        assert!(error.contains("published/spatten.csv has no fig14"), "{error}");
    }
}
