//! The three top-k engines side by side: `cargo run --release -p attelier-rtl --example topk_back_ends`.
//!
//! Each finds the median of 1,024 random 12-bit elements, the worst rank for quick-select and the case in
//! which the paper measures its engine against a Batcher sorter (SpAtten section V-B: 1.4 times the
//! throughput, 3.5 times less power).

#![allow(clippy::print_stdout, reason = "what it is for")]

use std::{error::Error, sync::Arc};

use attelier_rtl::{
    Design, Simulator,
    estimate::{Delays, estimate},
    ir::Module,
    units::spatten::{
        bitonic_select::BitonicSelect, quick_select::QuickSelect, radix_select::RadixSelect,
        row_buffer::with_buffer,
    },
};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

const LANES: u32 = 16;
const WIDTH: u32 = 12;
const ELEMENTS: u32 = 1024;
const SELECTIONS: u64 = 200;

/// Cycles and switched bits of all selections.
fn measure(engine: &Arc<Module>) -> Result<[u64; 2], Box<dyn Error>> {
    let mut simulator = Simulator::new(&Design::new([engine])?, engine.name())?;
    let mut random = Pcg64Mcg::seed_from_u64(1024);
    let (mut cycles, mut switched) = (0, 0);
    simulator.reset();
    for _ in 0..SELECTIONS {
        simulator.set("write", 1)?;
        for row in 0..ELEMENTS / LANES {
            simulator.set("write_row", row.into())?;
            for lane in 0..LANES {
                simulator.set(&format!("write_{lane}"), random.random_range(0..1 << WIDTH))?;
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
    Ok([cycles, switched])
}

fn main() -> Result<(), Box<dyn Error>> {
    let (lanes, width, capacity) = (LANES, WIDTH, ELEMENTS);
    let quick = QuickSelect { lanes, width, capacity, round_overhead: 3, seed: 0x5eed };
    let radix = RadixSelect { lanes, width, capacity, digit_bits: 4 };
    let bitonic = BitonicSelect { lanes, width, capacity };
    println!("engine           cycles   tables   flip-flops   bits/cycle   bits/selection");
    for engine in [quick.module()?, radix.module()?, bitonic.module()?] {
        let whole = with_buffer(&engine, lanes, width, capacity)?;
        let [cycles, switched] = measure(&whole)?;
        let area = estimate(&Design::new([&whole])?, whole.name(), &Delays::default())?;
        println!(
            "{:15} {:7.0} {:8} {:12} {:12.0} {:16.0}",
            engine.name(),
            cycles as f64 / SELECTIONS as f64,
            area.lut + area.lutram,
            area.ff,
            switched as f64 / cycles as f64,
            switched as f64 / SELECTIONS as f64,
        );
    }
    Ok(())
}
