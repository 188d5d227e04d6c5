//! SpAtten, figure 21: accuracy over pruning, beside that of a small encoder.

use anyhow::{Context, Result};
use attelier_sim::observe::Observer;

use super::{Outcome, Row};
use crate::published::{self, SPATTEN};

/// What `attelier fidelity spatten MODEL` found with all-MiniLM-L6-v2 and 60 sentences; it needs the model, so
/// it is read here. `docs/validation.md` has the command.
const MEASURED: &str = include_str!("../../docs/figures/spatten-minilm.csv");

/// Ours beside the published points.
pub fn fig21(_seed: u64, _observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let why = "accuracy of a fine-tuned model on its task; the rows of ours are embeddings of another model, \
               without fine-tuning";
    let theirs =
        published::of("spatten", "fig21").map(|number| Row::not_comparable(number, None, why));
    let mut rows: Vec<Row> = theirs.collect();
    for sweep in ["tokens", "heads"] {
        rows.extend(measured(sweep)?.into_iter().map(|(keep, cosine)| {
            let item = format!("fig21, {sweep} / {:.2}: cosine of embeddings", 1.0 / keep);
            let note = "mean of 60 sentences of 9 to 25 tokens, all-MiniLM-L6-v2; tokens of so short a sentence \
                        carry most of it";
            Row::alone(SPATTEN, item, cosine, "1").with_note(note)
        }));
    }
    Ok(Outcome::of(rows, Vec::new()))
}

/// Kept shares of a sweep and the mean cosine of embeddings.
fn measured(sweep: &str) -> Result<Vec<(f64, f64)>> {
    let mut reader = csv::Reader::from_reader(MEASURED.as_bytes());
    let names = reader.headers()?.clone();
    let column = |name: &str| {
        let place = names.iter().position(|found| found == name);
        place.with_context(|| format!("docs/figures/spatten-minilm.csv has no column `{name}`"))
    };
    let [kind, point, cosine] =
        [column("sweep")?, column("point")?, column("embedding_cosine_mean")?];
    let mut points = Vec::new();
    for line in reader.records() {
        let line = line?;
        if line.get(kind) == Some(sweep) {
            let number = |at: usize| line.get(at).unwrap_or_default().parse::<f64>();
            points.push((number(point)?, number(cosine)?));
        }
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sweep_falls_from_almost_one() {
        for (sweep, points) in [("tokens", 9), ("heads", 6)] {
            let found = measured(sweep).unwrap();
            assert_eq!(found.len(), points);
            assert!(found[0].1 > 0.999);
            assert!(found.is_sorted_by(|a, b| a.1 > b.1), "{found:?}");
        }
    }
}
