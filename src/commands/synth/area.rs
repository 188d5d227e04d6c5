//! What units take on a chip: cells and memories of their hardware at the node of the design.

use anyhow::{Context, Result, bail};
use attelier_hw::technology::Unit;
use attelier_rtl::estimate::cells::inventory;
use serde::Serialize;

use crate::{
    cli::Common,
    commands::write_document,
    cosim::Selection,
    exit::Verdict,
    output,
    table::{
        Align::{Left, Right},
        grouped, significant, table,
    },
};

/// Area and leakage of one unit.
#[derive(Debug, Serialize)]
struct Row {
    unit: String,
    parameters: String,
    /// Cells without state [mm2].
    logic_mm2: f64,
    /// Flip-flops, latches and clock gates [mm2].
    registers_mm2: f64,
    /// Memories [mm2].
    memory_mm2: f64,
    /// All [mm2].
    area_mm2: f64,
    flip_flops: u64,
    /// Bits in memories.
    memory_bits: u64,
    /// Leakage of cells and memories [W].
    leakage_w: f64,
}

#[derive(Serialize)]
struct Outcome<'a> {
    design: &'a str,
    config_hash: &'a str,
    process: &'a str,
    rows: &'a [Row],
}

/// Prints area and leakage of each unit; units may hold others, so there is no sum.
pub fn run(selection: &Selection, common: &Common) -> Result<Verdict> {
    let Some(node) = selection.node else {
        bail!(
            "`{}` is a design on an FPGA, which has no area: expected `attelier synth {}` without `--area`",
            selection.design,
            selection.design
        );
    };
    let mut rows = Vec::new();
    for unit in &selection.units {
        let of = || format!("`{}` of `{}`", unit.name(), selection.design);
        let design = unit.design().with_context(of)?;
        let counted = inventory(design.module(unit.top()).with_context(of)?);
        let memories: Vec<_> = counted.memories.into_iter().collect();
        let memory_bits = memories.iter().map(|(memory, n)| memory.capacity_bits() * n).sum();
        let found = Unit { name: unit.name(), cells: counted.cells, memories };
        let area = found.area(node);
        rows.push(Row {
            unit: unit.name().to_owned(),
            parameters: unit.parameters(),
            logic_mm2: area.logic * 1e-6,
            registers_mm2: area.registers * 1e-6,
            memory_mm2: area.memory * 1e-6,
            area_mm2: area.total() * 1e-6,
            flip_flops: found.cells.flip_flop,
            memory_bits,
            leakage_w: found.leakage_w(node).iter().sum(),
        });
    }
    let outcome = Outcome {
        design: selection.design,
        config_hash: &selection.config_hash,
        process: node.name(),
        rows: &rows,
    };
    write_document(common.json.as_deref(), "attelier-area-1", &outcome)?;
    let columns = [
        ("unit", Left),
        ("parameters", Left),
        ("logic [mm2]", Right),
        ("registers", Right),
        ("memory", Right),
        ("all", Right),
        ("flip-flops", Right),
        ("leakage [mW]", Right),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.unit.clone(),
            row.parameters.clone(),
            significant(row.logic_mm2),
            significant(row.registers_mm2),
            significant(row.memory_mm2),
            significant(row.area_mm2),
            grouped(row.flip_flops),
            significant(row.leakage_w * 1e3),
        ]
    });
    let title =
        format!("Cells and memories of the hardware at {}, before placement\n", node.name());
    output::print(&(title + &table(&columns, cells)))?;
    Ok(Verdict::Passed)
}
