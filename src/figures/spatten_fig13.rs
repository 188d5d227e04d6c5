//! SpAtten, figure 13: area and power on chip by module, from activity and published costs per operation.
//!
//! Area is an estimate from a cost per operation and per bit of memory, of those parts that the design
//! names; registers, wires, control and floating-point units of the softmax are not in it.

use anyhow::Result;
use attelier_hw::spatten::Spatten;
use attelier_sim::observe::Observer;

use super::{
    Outcome, Row,
    measure::{Job, Measured, job, measure},
    spatten_fig14::benchmarks,
};
use crate::published;

/// Area of a multiplier of 8 bits [um2]: Horowitz, ISSCC 2014, 45 nm; recalled, not read again.
const MULTIPLY_8_UM2: f64 = 282.0;
/// Area of an adder of 16 bits [um2], of the same table.
const ADD_16_UM2: f64 = 67.0;
/// Area of a multiplier and an adder in single precision [um2], of the same table.
const FP32_UM2: [f64; 2] = [7700.0, 4184.0];
/// Area of SRAM at 40 nm [mm2/KB]: A3, Table I, 0.350 mm2 for 20 KB.
const SRAM_MM2_PER_KB: f64 = 0.350 / 20.0;

/// Modules of the figure, and the terms of our energy that belong to each.
const MODULES: [(&str, &[&str]); 6] = [
    ("QxK", &["qk_array", "key_sram"]),
    ("ProbxV", &["pv_array", "value_sram"]),
    ("QKV fetcher", &[]),
    ("softmax", &["softmax", "quant_decision"]),
    ("top-k", &["topk"]),
    ("others", &["importance"]),
];

/// Area of the modules [mm2]; `None` where the estimate knows no part.
fn areas(machine: &Spatten) -> [Option<f64>; 6] {
    let bits = f64::from(machine.datapath_bits);
    // The product of the widths, as the energy of a multiplication grows.
    let multiply = MULTIPLY_8_UM2 * (bits / 8.0).powi(2) * 1e-6;
    let add = ADD_16_UM2 * 1e-6;
    let sram = |bytes: u64| bytes as f64 / 1024.0 * SRAM_MM2_PER_KB;
    let array = |multipliers: u32| f64::from(multipliers) * (multiply + add);
    let lanes = f64::from(machine.softmax.lanes);
    // Scale, series of fifth order, division, requantisation; and as many additions.
    let float = lanes * (8.0 * FP32_UM2[0] + 6.0 * FP32_UM2[1]) * 1e-6;
    let comparators = |parallelism: u32| 2.0 * f64::from(parallelism) * add;
    let engines = comparators(machine.topk_value.parallelism)
        + 2.0 * comparators(machine.topk_token.parallelism);
    [
        Some(array(machine.qk_array.multipliers) + sram(machine.key_sram.bytes)),
        Some(array(machine.pv_array.multipliers) + sram(machine.value_sram.bytes)),
        None,
        Some(float),
        Some(engines),
        None,
    ]
}

/// Simulates all benchmarks for the power, and estimates the area.
pub fn reproduce(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let jobs: Vec<Job> = benchmarks()
        .iter()
        .map(|name| job("spatten", &[], name, &[], seed))
        .collect::<Result<_>>()?;
    let found = measure(&jobs, seed, observer)?;
    let machine = Spatten::preset("spatten").map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let mean = |of: &dyn Fn(&Measured) -> f64| {
        found.iter().map(|run| of(run) / run.seconds).sum::<f64>() / found.len() as f64
    };
    let on_chip = mean(&|run| run.joules_of(|name| !name.starts_with("dram")));
    let areas = areas(&machine);
    let area: f64 = areas.iter().flatten().sum();
    let of = |item: &str, quantity: &str| published::find("spatten", "fig13", item, quantity);
    let small =
        "arithmetic and memories only: registers, wires, control and FIFOs are not estimated";
    let activity =
        "activity times cost, mean of 30 benchmarks; without leakage, clock tree and control";
    let missing = "FIFOs, crossbars and control are not modelled";
    let mut rows = Vec::new();
    for ((module, terms), estimate) in MODULES.iter().zip(areas) {
        match estimate {
            Some(estimate) => {
                rows.push(Row::beside(of(module, "area")?, estimate, small));
                let share = 100.0 * estimate / area;
                rows.push(Row::beside(of(module, "share of area")?, share, small));
            }
            None => {
                for quantity in ["area", "share of area"] {
                    rows.push(Row::not_comparable(of(module, quantity)?, None, missing));
                }
            }
        }
        if terms.is_empty() {
            for quantity in ["power", "share of power"] {
                rows.push(Row::not_comparable(of(module, quantity)?, None, missing));
            }
            continue;
        }
        let power = mean(&|run| run.joules_of(|name| terms.contains(&name)));
        rows.push(Row::beside(of(module, "power")?, power, activity));
        rows.push(Row::beside(of(module, "share of power")?, 100.0 * power / on_chip, activity));
    }
    rows.push(Row::beside(of("all", "area")?, area, small));
    rows.push(Row::beside(of("all", "power")?, on_chip, activity));
    let notes = vec![format!(
        "area: multipliers of {MULTIPLY_8_UM2} um2 per 8 x 8 bits (45 nm), SRAM of {SRAM_MM2_PER_KB} mm2 per \
         KB (40 nm, from A3); nothing is scaled or fitted"
    )];
    Ok(Outcome::of(rows, notes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 512 multipliers of 12 bits at 634.5 um2 and adders of 67, and 192 KB at 0.0175 mm2.
    #[test]
    fn areas_are_what_a_hand_calculation_gives() {
        let areas = areas(&Spatten::preset("spatten").unwrap());
        assert!((areas[0].unwrap() - (512.0 * 701.5e-6 + 192.0 * 0.0175)).abs() < 1e-9);
        assert_eq!(areas[0], areas[1]);
        // Three engines of 2 x 16 comparators, of which those of tokens are twice as wide.
        assert!((areas[4].unwrap() - 96.0 * 67e-6).abs() < 1e-9);
    }
}
