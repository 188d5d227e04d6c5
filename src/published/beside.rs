//! Published numbers that stand beside one run.

use attelier_sim::designs::edge_moe::schedule::phase;
use attelier_workloads::{Phase, Workload};

use super::{Number, find};
use crate::report::{Published, Report};

/// A row for a published number, if there is one; ours in its unit.
fn row(item: &str, number: anyhow::Result<&Number>, ours: f64) -> Option<Published> {
    // A number that is not in the files has nothing to stand beside.
    let number = number.ok()?;
    Some(Published::new(item, number.value, ours, &number.unit, &number.source))
}

/// Beside one image: time, and where it goes.
pub fn beside_image(design: &str, report: &Report) -> Vec<Published> {
    if design != "edge-moe" || report.cycles == 0 {
        return Vec::new();
    }
    let share = |names: &[&str]| {
        let phases = report.phases.iter().filter(|phase| names.contains(&phase.name));
        100.0 * phases.map(|phase| phase.cycles).sum::<u64>() as f64 / report.cycles as f64
    };
    let linear = [phase::LINEAR, phase::MLP, phase::GATING, phase::EXPERTS];
    let of = |figure, item, quantity| find("edge-moe", figure, item, quantity);
    [
        row(
            "time of an image",
            of("platforms", "edge-moe", "time of an image"),
            report.seconds * 1e3,
        ),
        row(
            "products of attention",
            of("breakdown", "products of attention", "share of the time"),
            share(&[phase::QK, phase::PV]),
        ),
        row(
            "linear layers and experts",
            of("breakdown", "linear layers and experts", "share of the time"),
            share(&linear),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Beside a run of attention: for the full SpAtten on pruned workloads of the two model families that it
/// was measured on.
pub fn beside(design: &str, workload: &Workload, report: &Report) -> Vec<Published> {
    let pruned = report.ops_executed < report.ops_dense;
    let Some(ours) = report.throughput.executed_ops_per_s.filter(|_| pruned) else {
        return Vec::new();
    };
    if design != "spatten" {
        return Vec::new();
    }
    let is = |family: &str| workload.model.starts_with(family) || workload.name.contains(family);
    let decode = workload.requests.iter().all(|request| request.phase == Phase::Decode);
    let (item, family) = if decode && is("gpt2") {
        ("executed, mean of 8 GPT-2 tasks", "gpt2")
    } else if !decode && is("bert") {
        ("executed, mean of 22 BERT tasks", "bert")
    } else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    if let Ok(number) = find("spatten", "headline", family, "executed") {
        let published = 1e3 * number.value;
        rows.push(Published::new(item, published, ours / 1e9, "GOP/s", &number.source));
    }
    if let (Some(total), Some(power)) = (report.energy_j.total, report.power_w) {
        let dram = report.energy_j.terms.iter().filter(|(name, _)| name.starts_with("dram"));
        let dram = dram.map(|(_, joules)| joules * power / total).sum::<f64>();
        let items = [
            ("power", "total", power),
            ("power without DRAM", "on chip", power - dram),
            ("power of DRAM", "DRAM", dram),
        ];
        let power = |(name, item, ours)| row(name, find("spatten", "table2", item, "power"), ours);
        rows.extend(items.into_iter().filter_map(power));
    }
    rows
}

/// Beside a run with real values: the share of passes that needed the LSBs of their keys.
pub fn beside_values(design: &str, report: &Report) -> Vec<Published> {
    let share = report.progressive.filter(|progressive| progressive.flat > 0);
    let Some(ours) = share.and_then(|progressive| progressive.share) else { return Vec::new() };
    if design != "spatten" {
        return Vec::new();
    }
    let number = find("spatten", "headline", "all", "inputs that need LSBs");
    row("passes that read key LSBs", number, ours * 100.0)
        .map(|row| Published {
            source: format!("{}: GPT-2 decoding; depends on length", row.source),
            ..row
        })
        .into_iter()
        .collect()
}
