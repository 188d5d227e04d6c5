//! SpAtten, section IV-B: the top-k engine beside a sorter.
//!
//! The paper compares with a sorter after Batcher of 1,024 inputs and says nothing about its bandwidth. Here both
//! take 16 elements in a cycle, find the median of the same 1,024, the worst rank of quick-select, and are
//! executed as they are generated.

use std::sync::Arc;

use anyhow::Result;
use attelier_rtl::{
    Design, Simulator,
    estimate::{Delays, estimate},
    ir::Module,
    units::spatten::{
        bitonic_select::BitonicSelect, quick_select::QuickSelect, row_buffer::with_buffer,
    },
};
use attelier_sim::observe::Observer;
use attelier_workloads::draw::uniform;

use super::{Outcome, Row};
use crate::published::{self, SPATTEN};

const LANES: u32 = 16;
const WIDTH: u32 = 12;
const ELEMENTS: u32 = 1024;
/// Medians that are found.
const SELECTIONS: u32 = 20;

/// Means over all selections of one engine, and its size.
struct Measured {
    /// Time of a selection \[cycles\].
    cycles: f64,
    /// Bits of all values that change in a cycle.
    switched: f64,
    /// Six-input tables.
    tables: f64,
    /// Flip-flops.
    flip_flops: f64,
}

/// Both engines.
pub fn reproduce(seed: u64, _observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let (lanes, width, capacity) = (LANES, WIDTH, ELEMENTS);
    let quick = QuickSelect { lanes, width, capacity, round_overhead: 3, seed: 0x5eed };
    let engine = measured(&quick.module()?, seed)?;
    let sorter = measured(&BitonicSelect { lanes, width, capacity }.module()?, seed)?;
    let of = |quantity| published::find("spatten", "topk", "top-k engine", quantity);
    let faster = "the sorter has the bandwidth of the engine here, 96 comparators; the published one must be larger: all \
                  1,024 inputs at once take 28,160, and at 1.4 times our cycles some 440";
    let power = "switched bits instead of power: the sorter with the bandwidth of the engine switches little more in \
                 a cycle, but over 6 times as many cycles; one that is fast enough for the published 1.4 has more \
                 comparators at work";
    let mut rows = vec![
        Row::beside(of("throughput over a sorter")?, sorter.cycles / engine.cycles, faster),
        Row::beside(of("less power than a sorter")?, sorter.switched / engine.switched, power)
            .with_note("bits of all values of the generated design that change in a cycle"),
    ];
    for (name, of) in [("quick-select", &engine), ("sorter", &sorter)] {
        let row = |what: &str, value, unit| {
            Row::alone(SPATTEN, format!("{name} of 16 elements a cycle: {what}"), value, unit)
        };
        rows.extend([
            row("cycles of a median of 1,024", of.cycles, "cycles"),
            row("bits switched per cycle", of.switched, "bits"),
            row("bits switched per selection", of.switched * of.cycles, "bits"),
            row("tables of six inputs, estimate", of.tables, "1"),
            row("flip-flops", of.flip_flops, "1"),
        ]);
    }
    Ok(Outcome::of(
        rows,
        vec![format!(
            "{SELECTIONS} medians of {ELEMENTS} random numbers of {WIDTH} bits, native execution of the generated hardware; \
         memory cells and glitches are not counted"
        )],
    ))
}

/// Has an engine with its buffer find medians.
fn measured(engine: &Arc<Module>, seed: u64) -> Result<Measured> {
    let whole = with_buffer(engine, LANES, WIDTH, ELEMENTS)?;
    let design = Design::new([&whole])?;
    let size = estimate(&design, whole.name(), &Delays::default())?;
    let mut simulator = Simulator::new(&design, whole.name())?;
    let (mut cycles, mut switched) = (0_u64, 0_u64);
    simulator.reset();
    for selection in 0..SELECTIONS {
        simulator.set("write", 1)?;
        for row in 0..ELEMENTS / LANES {
            simulator.set("write_row", row.into())?;
            for lane in 0..LANES {
                let number = uniform(seed, selection, row, lane) * f64::from(1 << WIDTH);
                simulator.set(&format!("write_{lane}"), number as u64)?;
            }
            simulator.step();
        }
        simulator.set("write", 0)?;
        simulator.set("elements", ELEMENTS.into())?;
        simulator.set("rank", u64::from(ELEMENTS / 2))?;
        simulator.set("start", 1)?;
        let mut before = simulator.snapshot();
        while simulator.get("done")? == 0 {
            simulator.step();
            simulator.set("start", 0)?;
            cycles += 1;
            switched += simulator.switched(&mut before);
        }
        simulator.step();
    }
    let per_cycle = switched as f64 / u64::max(cycles, 1) as f64;
    Ok(Measured {
        cycles: cycles as f64 / f64::from(SELECTIONS),
        switched: per_cycle,
        tables: (size.lut + size.lutram) as f64,
        flip_flops: size.ff as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A median of n elements in rows of L: each round of quick-select reads what is left, half of it on average
    /// or more, so that all rounds read between one and four times the n / L rows; the sorter passes over the
    /// rows once for every stage.
    #[test]
    fn the_engine_reads_a_few_times_what_there_is_and_the_sorter_once_per_stage() {
        let (lanes, width, capacity) = (LANES, WIDTH, ELEMENTS);
        let rows = f64::from(ELEMENTS / LANES);
        let quick = QuickSelect { lanes, width, capacity, round_overhead: 3, seed: 0x5eed };
        let engine = measured(&quick.module().unwrap(), 1).unwrap();
        assert!((1.0..5.0).contains(&(engine.cycles / rows)), "{}", engine.cycles);
        let sorter = BitonicSelect { lanes, width, capacity };
        let sorter = measured(&sorter.module().unwrap(), 1).unwrap();
        assert!(sorter.cycles > 4.0 * engine.cycles, "{}", sorter.cycles);
        assert!(sorter.flip_flops > engine.flip_flops);
    }
}
