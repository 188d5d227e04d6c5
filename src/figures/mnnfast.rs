//! MnnFast: how many products with values its zero skipping spares.

use anyhow::Result;
use attelier_sim::observe::Observer;

use super::{
    Outcome, Row,
    measure::{Job, job, measure},
};
use crate::published;

/// Thresholds in thousandths, by the name of their row.
const THRESHOLDS: [(&str, &str); 2] = [
    ("threshold 0.1", "skip.threshold_permille=100"),
    ("threshold 0.01", "skip.threshold_permille=10"),
];

/// Simulates attention of BERT at both thresholds.
pub fn skipping(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let jobs: Vec<Job> = THRESHOLDS
        .iter()
        .map(|(_, set)| job("mnnfast", &[set], "bert-base/squad-v1", &[], seed))
        .collect::<Result<_>>()?;
    let found = measure(&jobs, seed, observer)?;
    let mut rows = Vec::new();
    for ((item, _), run) in THRESHOLDS.iter().zip(&found) {
        let number =
            published::find("mnnfast", "skipping", item, "output work skipped, bAbI mean")?;
        let busy = |unit: usize| run.result.units[unit].busy_cycles as f64;
        let why = "memory networks answer from few of many sentences; scores of attention are drawn with a \
                   deviation of one nat, where few keys are that far below the largest";
        rows.push(Row::beside(number, 100.0 * (1.0 - busy(1) / busy(0)), why));
    }
    for figure in ["skipping", "speedup", "cache"] {
        for number in published::of("mnnfast", figure) {
            if number.quantity.starts_with("output work") {
                continue;
            }
            let why = "memory networks, their accuracy, and the CPUs, GPUs and board of the paper are no \
                       designs here";
            rows.push(Row::not_comparable(number, None, why));
        }
    }
    Ok(Outcome::of(rows, Vec::new()))
}
