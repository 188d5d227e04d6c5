//! M3ViT: time, energy and memory of the FPGA, Table 4 of the paper.

use anyhow::Result;
use attelier_hw::{config, m3vit::M3vit};
use attelier_sim::{
    designs::m3vit::memory::OnChip,
    observe::{Nobody, Observer},
};
use attelier_workloads::{Knobs, vision};

use super::{Outcome, Row};
use crate::{
    published::{M3VIT, M3VIT_JOULES, M3VIT_MIB, M3VIT_MS, M3VIT_WATTS},
    table::{
        Align::{Left, Right},
        significant, table,
    },
};

/// Images of both columns.
const IMAGES: [&str; 2] = ["pascal-context", "nyud-v2"];
/// Model and assignments of each row.
const ROWS: [(&str, &[&str]); M3VIT_MS.len()] =
    [("vit-small", &[]), ("m3vit-small", &["experts.reordering=false"]), ("m3vit-small", &[])];
/// Bytes of a MiB.
const MIB: f64 = 1_048_576.0;

/// Simulates every row; the observer hears of progress.
pub fn reproduce(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let mut rows = Vec::new();
    observer.begin(&[], 1);
    for (index, ((item, published), (model, sets))) in M3VIT_MS.into_iter().zip(ROWS).enumerate() {
        for (column, image) in IMAGES.into_iter().enumerate() {
            let ms = simulate(&format!("{model}/{image}"), sets, seed)?;
            let note = [&[model, image][..], sets].concat().join(" ");
            let time = [published[column], ms];
            let joules = [M3VIT_JOULES[index][column], ms * 1e-3 * M3VIT_WATTS];
            rows.push(Row::new(M3VIT, format!("{item}, {image}"), time, "ms", note.clone()));
            rows.push(Row::new(M3VIT, format!("{item}, {image}"), joules, "J", note));
        }
        observer.progress(0, index as u64 + 1, ROWS.len() as u64);
    }
    rows.extend(memory()?);
    observer.end(0);
    Ok(Outcome { text: text(&rows), rows, notes: notes() })
}

fn machine(sets: &[&str]) -> Result<M3vit> {
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    Ok(M3vit::check(&config::load("m3vit", None, &sets)?)?)
}

fn simulate(workload: &str, sets: &[&str], seed: u64) -> Result<f64> {
    let image = vision::load_with(workload, &Knobs { seed, ..Knobs::default() })?;
    let result = attelier_sim::designs::m3vit::simulate(&machine(sets)?, &image, &mut Nobody)?;
    Ok(result.cycles as f64 / result.clock_hz as f64 * 1e3)
}

/// Memory on the chip for the larger of both images: the paper gives one number.
fn memory() -> Result<Vec<Row>> {
    let machine = machine(&[])?;
    let shape = |model| vision::load_with(model, &Knobs::default()).map(|image| image.shape);
    let (dense, sparse) = (shape("vit-small/nyud-v2")?, shape("m3vit-small/nyud-v2")?);
    let bytes = [
        OnChip::of(&machine, &dense).total(),
        OnChip::of(&machine, &sparse).total(),
        OnChip::with_all_experts(&machine, &sparse),
    ];
    let row = |((item, published), bytes): ((&str, f64), u64)| {
        let note = "sized for NYUD-v2, the larger image".to_owned();
        Row::new(M3VIT, item.to_owned(), [published, bytes as f64 / MIB], "MiB", note)
    };
    Ok(M3VIT_MIB.into_iter().zip(bytes).map(row).collect())
}

fn text(rows: &[Row]) -> String {
    let columns = [
        ("item", Left),
        ("ours", Right),
        ("published", Right),
        ("unit", Left),
        ("deviation", Left),
    ];
    let lines = rows.iter().map(|row| {
        vec![
            row.item.clone(),
            significant(row.ours),
            significant(row.published),
            row.unit.to_owned(),
            format!("{:+.2} %", row.deviation * 100.0),
        ]
    });
    table(&columns, lines)
}

fn notes() -> Vec<String> {
    vec![
        "one set of constants for all rows, none fitted; which are assumed is in docs/designs/m3vit.md"
            .to_owned(),
        "energy is the published 10 W times our time, as the paper computes its own".to_owned(),
        "authors of Edge-MoE call the published FPGA numbers an optimistic estimate: they are modelled, not \
         measured"
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use attelier_sim::observe::Nobody;

    use super::*;

    #[test]
    fn rows_are_close_and_experts_cost_less_than_one_percent() {
        let outcome = reproduce(0, &mut Nobody).unwrap();
        assert_eq!(outcome.rows.len(), 2 * 2 * 3 + 3);
        for row in &outcome.rows {
            assert!(row.deviation.abs() < 0.02, "{}: {}", row.item, row.judged());
        }
        let ms = |item: &str| {
            let rows = outcome.rows.iter().filter(|row| row.unit == "ms");
            let row = rows.filter(|row| row.item.contains(item)).map(|row| row.ours);
            row.collect::<Vec<_>>()
        };
        for (dense, sparse) in ms("dense").into_iter().zip(ms("reordered")) {
            assert!(sparse > dense && sparse < 1.01 * dense, "{sparse} over {dense}");
        }
    }
}
