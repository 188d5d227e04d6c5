//! A simulation on the page.

use serde_json::Value;

use super::{
    block::{Block, Cell, Fact, Table},
    deviations,
};
use crate::{
    documents::{quantity, run::Run},
    table::{grouped, percent, with_prefix},
};

/// The parts of a simulation, without its parameters.
pub fn blocks(run: &Run) -> Vec<Block> {
    let parts = [Some(summary(run)), Some(origin(run)), units(run), energy(run), traffic(run)];
    let more = [phases(run), memory(run), published(run), checks(run), fidelity(run)];
    parts.into_iter().chain(more).flatten().collect()
}

/// What a reader must know, last.
pub fn notes(run: &Run) -> Option<Block> {
    let items = run.notes.clone();
    (!items.is_empty()).then(|| Block::Notes { title: "Notes".to_owned(), items })
}

fn summary(run: &Run) -> Block {
    let number =
        |name, path: &str, value: Option<f64>| Some(Fact::new(name, quantity::text(path, value?)));
    let bound = run.bound.as_ref().map(|bound| {
        let text = format!("{} {} ({})", bound.kind, bound.unit, percent(Some(bound.utilisation)));
        Fact::new("Bound by", text)
    });
    let cycles = format!("{} at {}", grouped(run.cycles), with_prefix(run.clock_hz as f64, "Hz"));
    let energy = run.energy_j.get("total").copied().flatten();
    let rows = [
        Some(Fact::new("Design", &run.design)),
        Some(Fact::new("Workload", &run.workload)),
        Some(Fact::new("Cycles", cycles)),
        number("Time", "seconds", Some(run.seconds)),
        number("Throughput, executed", "ops_per_s", run.throughput.executed_ops_per_s),
        number("Throughput, dense-equivalent", "ops_per_s", run.throughput.dense_ops_per_s),
        number("Energy", "energy_j.total", energy),
        number("Power", "power_w", run.power_w),
        number("Area", "area_mm2", run.area_mm2),
        number("Traffic", "total_bytes", Some(run.traffic.total_bytes as f64)),
        number("Bandwidth in use", "utilisation", run.traffic.utilisation),
        number("Row hit rate", "row_hit_rate", run.dram.get("row_hit_rate").copied().flatten()),
        bound,
    ];
    Block::Facts { title: "Summary".to_owned(), rows: rows.into_iter().flatten().collect() }
}

fn origin(run: &Run) -> Block {
    let rows = vec![
        Fact::code("Command", &run.command),
        Fact::new("Version", &run.version),
        Fact::new("Seed", run.seed.to_string()),
        Fact::code("Parameters", &run.config_hash),
        Fact::code("Requests", &run.workload_hash),
    ];
    Block::Facts { title: "To run it again".to_owned(), rows }
}

fn units(run: &Run) -> Option<Block> {
    let share = |cycles: u64| if run.cycles == 0 { 0.0 } else { cycles as f64 / run.cycles as f64 };
    let rows = run.units.iter().map(|(name, unit)| {
        let part = |cycles: u64, class: &'static str| {
            let text = format!(
                "{name} {class}: {}, {} cycles",
                percent(Some(share(cycles))),
                grouped(cycles)
            );
            (share(cycles), class, text)
        };
        let cycles = |value: u64| Cell::number("cycles", Some(value as f64));
        vec![
            Cell::text(name),
            Cell::share(unit.utilisation),
            Cell::bar([
                part(unit.busy_cycles, "busy"),
                part(unit.blocked_cycles, "blocked"),
                part(unit.starved_cycles, "starved"),
            ]),
            cycles(unit.busy_cycles),
            cycles(unit.blocked_cycles),
            cycles(unit.starved_cycles),
            cycles(unit.beats),
        ]
    });
    let legend = [
        ("busy", "busy"),
        ("blocked", "blocked: no room behind it"),
        ("starved", "starved: no input"),
    ];
    Table::new("Units")
        .legend(&legend)
        .text("unit")
        .number("busy")
        .bar("share of all cycles")
        .number("busy cycles")
        .number("blocked cycles")
        .number("starved cycles")
        .number("beats")
        .rows(rows)
        .block()
}

/// A table of amounts with bars, the largest first; all of them make up `total`.
fn amounts(
    title: &str,
    what: &str,
    path: &str,
    amounts: &[(String, f64)],
    total: f64,
) -> Option<Block> {
    let mut amounts: Vec<&(String, f64)> = amounts.iter().collect();
    amounts.sort_by(|a, b| b.1.total_cmp(&a.1));
    let most = amounts.first().map_or(0.0, |(_, amount)| *amount);
    let rows = amounts.into_iter().map(|(name, amount)| {
        let share = (total > 0.0).then(|| amount / total);
        let text = format!("{name}: {}, {}", quantity::text(path, *amount), percent(share));
        let length = if most > 0.0 { amount / most } else { 0.0 };
        vec![
            Cell::text(name),
            Cell::number(path, Some(*amount)),
            Cell::share(share),
            Cell::bar([(length, "busy", text)]),
        ]
    });
    let rows: Vec<_> = rows.collect();
    Table::new(title).text(what).number("amount").number("share").bar("").rows(rows).block()
}

fn energy(run: &Run) -> Option<Block> {
    let terms = run.energy_j.iter().filter(|(name, _)| *name != "total");
    let terms: Vec<_> =
        terms.filter_map(|(name, joules)| Some((name.clone(), (*joules)?))).collect();
    let total = run.energy_j.get("total").copied().flatten()?;
    amounts("Energy", "term", "energy_j.", &terms, total)
}

fn traffic(run: &Run) -> Option<Block> {
    let streams = run.traffic.by_stream().into_iter();
    let streams: Vec<_> = streams.map(|(name, bytes)| (name.to_owned(), bytes as f64)).collect();
    amounts("Traffic", "stream", "bytes", &streams, run.traffic.total_bytes as f64)
}

fn phases(run: &Run) -> Option<Block> {
    let phases = run.phases.iter().map(|(name, cycles)| (name.clone(), *cycles as f64));
    let phases: Vec<_> = phases.collect();
    amounts("Operations", "operation", "cycles", &phases, run.cycles as f64)
}

fn memory(run: &Run) -> Option<Block> {
    let counts = run
        .dram
        .iter()
        .filter_map(|(name, value)| Some(Fact::new(name, quantity::text(name, (*value)?))));
    let waits = run.admission.iter().flatten();
    let waits = waits.map(|(name, cycles)| Fact::new(&format!("waited, {name}"), grouped(*cycles)));
    let rows: Vec<Fact> = counts.chain(waits).collect();
    (!rows.is_empty()).then(|| Block::Facts { title: "Memory".to_owned(), rows })
}

fn published(run: &Run) -> Option<Block> {
    let rows = run.published.iter().map(|row| deviations::Row {
        names: vec![&row.item],
        published: Some(row.published),
        ours: Some(row.ours),
        unit: &row.unit,
        deviation: Some(row.deviation),
        remark: &row.source,
    });
    deviations::table("Published beside ours", &["number"], "source", rows)
}

fn checks(run: &Run) -> Option<Block> {
    let rows = facts(run.checks.iter());
    (!rows.is_empty()).then(|| Block::Facts { title: "Checks".to_owned(), rows })
}

fn fidelity(run: &Run) -> Option<Block> {
    let rows = facts(run.fidelity.iter().flatten());
    (!rows.is_empty()).then(|| Block::Facts { title: "Fidelity".to_owned(), rows })
}

/// The numbers among these values.
fn facts<'a>(values: impl Iterator<Item = (&'a String, &'a Value)>) -> Vec<Fact> {
    let fact = |(name, value): (&String, &Value)| {
        Some(Fact::new(name, quantity::text(name, value.as_f64()?)))
    };
    values.filter_map(fact).collect()
}
