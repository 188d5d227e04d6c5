//! A3: latency of a query, and what its two settings gain.

use anyhow::{Context, Result};
use attelier_hw::a3::A3;
use attelier_sim::{
    designs::{
        a3::simulate_work,
        heads::{HeadWork, QueryWork},
    },
    observe::{Nobody, Observer},
};
use attelier_workloads::Phase;

use super::{
    Outcome, Row,
    measure::{Job, job, measure},
};
use crate::published;

/// Attention of BERT with 320 rows, the size of the paper, all heads of one model.
const WORKLOAD: &str = "bert-base/squad-v1";
const KNOBS: [&str; 1] = ["context=320"];

/// Latency of one query and cycles between queries, simulated.
pub fn latency(_seed: u64, _observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let machine = A3::preset("a3").map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let cycles = |rows: u32, queries: usize| {
        let query = QueryWork { visible: rows, candidates: rows, kept: rows };
        let head = HeadWork {
            iteration: 0,
            layer: 0,
            head: 0,
            phase: Phase::Prefill,
            keys: rows,
            head_dim: machine.head_dim,
            queries: vec![query; queries],
        };
        simulate_work(&machine, &[head], &mut Nobody).map(|result| result.cycles as f64)
    };
    let mut rows = Vec::new();
    for number in published::of("a3", "latency") {
        let size = number.item.strip_suffix(" rows").context("rows of a query")?.parse()?;
        let ours = match number.quantity.as_str() {
            "latency" => cycles(size, 1)?,
            _ => cycles(size, 5)? - cycles(size, 4)?,
        };
        rows.push(Row::beside(number, ours, "simulated"));
    }
    Ok(Outcome::of(rows, Vec::new()))
}

/// Throughput and operations per joule of both settings over the base machine.
pub fn settings(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let designs = ["a3", "a3-conservative", "a3-aggressive"];
    let jobs: Vec<Job> = designs
        .iter()
        .map(|design| job(design, &[], WORKLOAD, &KNOBS, seed))
        .collect::<Result<_>>()?;
    let found = measure(&jobs, seed, observer)?;
    let base = &found[0];
    let mut rows = Vec::new();
    for number in published::of("a3", "settings") {
        let run = designs.iter().position(|design| *design == number.item);
        let run = run.and_then(|index| found.get(index));
        let quantity = number.quantity.as_str();
        // Energy of the chip alone: the paper has no memory in it.
        let row = match (run, quantity) {
            (Some(run), "throughput over base, BERT") => Row::beside(
                number,
                base.seconds / run.seconds,
                "sorting included; its time is calibrated on the 7 % of the conservative setting",
            ),
            (Some(run), "operations per joule over base, BERT") => {
                let chip = |run: &super::measure::Measured| {
                    run.joules_of(|name| name != "dram") / run.result.ops_dense as f64
                };
                let why = "candidates and survivors of drawn vectors; power of a waiting module is static";
                Row::beside(number, chip(base) / chip(run), why)
            }
            (Some(run), "loss of throughput by sorting") => Row::beside(
                number,
                loss(run),
                "calibrated for the conservative setting, predicted for the other",
            ),
            (_, quantity) if quantity.starts_with("accuracy") || quantity.starts_with("F1") => {
                let why = "a fine-tuned model on its task, which is not here; `attelier reproduce a3 accuracy` has \
                           what is kept of real attention, `attelier run a3-aggressive MODEL` the outputs of \
                           a model";
                Row::not_comparable(number, None, why)
            }
            _ => Row::not_comparable(number, None, "memory networks are no workload here"),
        };
        rows.push(row);
    }
    let note = format!("`{WORKLOAD}` with {} tokens: 144 heads, nothing pruned", 320);
    let mut notes = vec![note];
    notes.extend(found[1].result.notes.iter().filter(|n| n.starts_with("candidates")).cloned());
    notes.extend(found[2].result.notes.iter().filter(|n| n.starts_with("candidates")).cloned());
    Ok(Outcome::of(rows, notes))
}

/// Share of the time in which the host sorts [%].
fn loss(run: &super::measure::Measured) -> f64 {
    // Searching is the longest stage, so its busy cycles are those of the machine without sorting.
    let search = run.result.units.iter().find(|unit| unit.name == "candidate_search");
    let search = search.map_or(0, |unit| unit.busy_cycles) as f64;
    100.0 * (1.0 - search / run.result.cycles as f64)
}

/// Area and power of the modules: the inputs of the energy model, as they are published.
pub fn table1(_seed: u64, _observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let machine = A3::preset("a3-conservative").map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let mut rows = Vec::new();
    for number in published::of("a3", "table1") {
        let (modules, scale) = match number.quantity.as_str() {
            "area" => (&machine.area_um2, 1e-6),
            "dynamic power" => (&machine.dynamic_uw, 1e-3),
            _ => (&machine.static_uw, 1e-3),
        };
        let all = [
            ("dot product", modules.dot_product),
            ("exponent", modules.exponent),
            ("output", modules.output),
            ("candidate selection", modules.candidate_search),
            ("post-scoring", modules.post_scoring),
            ("key SRAM", modules.key_sram),
            ("value SRAM", modules.value_sram),
            ("sorted key SRAM", modules.sorted_key_sram),
        ];
        let one = all.iter().find(|(name, _)| *name == number.item).map(|(_, value)| *value);
        let value = one.unwrap_or_else(|| all.iter().map(|(_, value)| value).sum());
        rows.push(Row::beside(number, f64::from(value) * scale, "an input of the energy model"));
    }
    Ok(Outcome::of(rows, Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_the_published_ones_exactly() {
        let outcome = latency(0, &mut Nobody).unwrap();
        assert_eq!(outcome.rows.len(), 8);
        assert!(outcome.rows.iter().all(|row| row.ours == row.published));
    }

    #[test]
    fn the_table_is_the_published_one() {
        let outcome = table1(0, &mut Nobody).unwrap();
        assert_eq!(outcome.rows.len(), 27);
        assert!(outcome.rows.iter().all(|row| row.deviation.unwrap().abs() < 1e-4));
    }
}
