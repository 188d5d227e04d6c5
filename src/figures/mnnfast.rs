//! MnnFast: how many products with values its zero skipping spares.

use anyhow::{Context, Result};
use attelier_hw::mnnfast::MnnFast as Params;
use attelier_sim::{
    designs::{heads::HeadOperands, mnnfast::arithmetic::MnnFastArithmetic},
    observe::Observer,
};

use super::{
    Outcome, Row,
    attending::{attend, passage, weights},
    measure::{Job, job, measure},
};
use crate::published::{self, MNNFAST, Number};

/// Thresholds in thousandths, by the name of their row.
const THRESHOLDS: [(&str, u32); 2] = [("threshold 0.1", 100), ("threshold 0.01", 10)];

/// Quantity of the published rows.
const SKIPPED: &str = "output work skipped, bAbI mean";

/// Sentences of a story of bAbI, the task of the published rates, on average and at most (A3, section VI).
const STORIES: [usize; 2] = [20, 50];

/// Tokens of the passage.
const PASSAGE: usize = 320;

/// Both thresholds on real attention and on drawn scores.
pub fn skipping(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let mut rows = Vec::new();
    for (item, permille) in THRESHOLDS {
        let number = published::find("mnnfast", "skipping", item, SKIPPED)?;
        for keys in STORIES {
            rows.extend(real(number, permille, keys, Some("as many as a story of bAbI has"))?);
        }
        rows.extend(real(number, permille, PASSAGE, None)?);
    }
    rows.extend(drawn(seed, observer)?);
    for figure in ["skipping", "speedup", "cache"] {
        for number in published::of("mnnfast", figure) {
            if number.quantity != SKIPPED {
                rows.push(Row::not_comparable(number, None, why(number)));
            }
        }
    }
    Ok(Outcome::of(rows, vec![
        "real values: one head of each layer of all-MiniLM-L6-v2, 64 queries each, over its first keys; `weight` \
         skips what softmax makes small, the rule of the CPU; `exponential` skips what is small beside the \
         largest so far, the rule of the FPGA as this machine has it"
            .to_owned(),
    ]))
}

/// Shares that both rules skip of the first `keys` keys; beside the published one where `like` says why.
fn real(number: &Number, permille: u32, keys: usize, like: Option<&str>) -> Result<Vec<Row>> {
    let heads = passage(keys)?;
    let mut machine = Params::preset("mnnfast").map_err(|fault| anyhow::anyhow!("{fault}"))?;
    machine.skip.threshold_permille = permille;
    let (quality, _) = attend(&MnnFastArithmetic::new(&machine), &heads);
    let rules = [
        ("weight", small_weights(&heads, f64::from(permille) / 1000.0)),
        ("exponential", 1.0 - quality.kept),
    ];
    let row = |(rule, share): (&str, f64)| {
        let item = format!("{}, real values, {keys} keys, {rule}: {SKIPPED}", number.item);
        let note = "384 queries of a sentence model, not of a memory network";
        match like {
            Some(like) => {
                let pair = [number.value, 100.0 * share];
                Row::new(MNNFAST, item, pair, "%", "").with_note(format!("{note}; {like}"))
            }
            None => Row::alone(MNNFAST, item, 100.0 * share, "%").with_note(note),
        }
    };
    Ok(rules.map(row).into())
}

/// Share of the weights that are at most `threshold`.
fn small_weights(heads: &[HeadOperands], threshold: f64) -> f64 {
    let (mut small, mut all) = (0, 0);
    for head in heads {
        for query in 0..head.queries.nrows() {
            let weights = weights(head, query);
            small += weights.iter().filter(|&&weight| weight <= threshold).count();
            all += weights.len();
        }
    }
    small as f64 / f64::from(u32::max(all as u32, 1))
}

/// Attention of BERT from counts.
fn drawn(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Vec<Row>> {
    let jobs: Vec<Job> = THRESHOLDS
        .iter()
        .map(|(_, permille)| {
            let set = format!("skip.threshold_permille={permille}");
            job("mnnfast", &[&set], "bert-base/squad-v1", &[], seed)
        })
        .collect::<Result<_>>()?;
    let found = measure(&jobs, seed, observer)?;
    let row = |((item, _), run): (&(&str, u32), &std::sync::Arc<super::measure::Measured>)| {
        let unit = |name| {
            let unit = run.result.units.iter().find(|unit| unit.name == name);
            unit.map(|unit| unit.busy_cycles as f64).with_context(|| format!("no unit {name}"))
        };
        let share = 1.0 - unit("weighted_sum")? / unit("inner_product")?;
        let note = "what a workload of counts gives: scores of a deviation of one nat, e^-2 and e^-5 below the \
                    largest of 177, which is 2.6 deviations above the mean";
        let item = format!("{item}, drawn scores, exponential: {SKIPPED}");
        Ok(Row::alone(MNNFAST, item, 100.0 * share, "%").with_note(note))
    };
    THRESHOLDS.iter().zip(&found).map(row).collect()
}

/// Why a number has none of ours beside it.
fn why(number: &Number) -> &'static str {
    match (number.figure.as_str(), number.item.as_str()) {
        ("skipping", _) => {
            "accuracy of a trained memory network on bAbI, which is no workload here; `attelier run mnnfast \
             MODEL` compares outputs with those of dense attention"
        }
        ("cache", _) => {
            "a cache of word embeddings on an FPGA: it serves the layer in front of attention, which this \
             machine does not have"
        }
        (_, "FPGA" | "FPGA, at most") => {
            "against software on the same board and a Xeon E5-2650 v4; lanes and resources of the FPGA are not \
             published, so neither side can be simulated"
        }
        _ => {
            "software with and without the technique on the same CPU or GPU, on 100 million sentences: no \
             accelerator is in it"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of real weights over as many keys as a story has, as many are small as the paper finds in memory
    /// networks, within 10 %; longer texts have more small weights.
    #[test]
    fn real_weights_are_skipped_as_often_as_published() {
        for (item, permille) in THRESHOLDS {
            let number = published::find("mnnfast", "skipping", item, SKIPPED).unwrap();
            let share =
                |keys| 100.0 * small_weights(&passage(keys).unwrap(), f64::from(permille) / 1000.0);
            let [mean, most, passage] = [share(STORIES[0]), share(STORIES[1]), share(PASSAGE)];
            assert!((most / number.value - 1.0).abs() < 0.1, "{most}");
            assert!(mean < most && most < passage, "{mean} {most} {passage}");
        }
    }

    /// Weights 0.8, 0.1, 0.1 (scores ln 8, 0, 0): two of three are at most 0.1.
    #[test]
    fn a_weight_at_the_threshold_is_skipped() {
        let head = HeadOperands {
            queries: ndarray::Array2::ones((1, 1)),
            keys: ndarray::array![[8f64.ln()], [0.0], [0.0]],
            values: ndarray::Array2::zeros((3, 1)),
            visible: vec![3],
        };
        assert!((small_weights(&[head], 0.1 + 1e-12) - 2.0 / 3.0).abs() < 1e-12);
    }
}
