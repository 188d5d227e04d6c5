//! SpAtten, figure 13: area and power on chip by module. Area is that of the cells and memories of the generated
//! hardware; power is activity times published cost, with clock, registers and leakage of the same hardware.

use std::sync::Arc;

use anyhow::{Context, Result};
use attelier_hw::{spatten::Spatten, technology::Hardware};
use attelier_sim::{
    energy::standing::{Standing, Wires},
    observe::Observer,
};

use super::{
    Outcome, Row,
    measure::{Job, Measured, job, measure},
    spatten_fig14::{benchmarks, workload},
};
use crate::{machines, published};

/// A module of the figure.
struct Module {
    /// Its name there.
    name: &'static str,
    /// Units of the hardware that belong to it.
    units: &'static [&'static str],
    /// Terms of our energy that belong to it, beside what its hardware costs for being there.
    terms: &'static [&'static str],
    /// Of the wires between units, those that it drives.
    wires: fn(&Wires) -> f64,
    /// Why ours is what it is, where it is far from the paper's.
    why: &'static str,
}

const MODULES: [Module; 6] = [
    Module {
        name: "QxK",
        units: &["qk_array", "key_sram", "key_slots", "query_buffer"],
        terms: &["qk_array", "key_sram"],
        wires: |wires| wires.keys,
        why: "five sixths of it hold keys and queries, the keys at CACTI's density with a port to write and one \
              to read; A3 prints twice that for such a memory, and the paper's estimate must be larger still. \
              Reads are those of one small memory per bit, the cheap reading",
    },
    Module {
        name: "ProbxV",
        units: &["pv_array", "value_sram", "value_slots"],
        terms: &["pv_array", "value_sram"],
        wires: |wires| wires.values,
        why: "area as in QxK; of the 30 benchmarks 22 prune no local values here, because no such ratio is \
              published for BERT, so that this half computes as much as QxK, where the paper gives it half",
    },
    Module {
        name: "QKV fetcher",
        units: &["qkv_fetcher"],
        terms: &[],
        wires: |wires| wires.pins,
        why: "words of the FIFOs are read in the cycle that asks, so that the generated ones are latches behind \
              multiplexers; the paper takes CACTI for them. Of the power only clock, registers, leakage \
              and the wires from the pins are modelled, no switching of the crossbars",
    },
    Module {
        name: "softmax",
        units: &["softmax", "quant_decision"],
        terms: &["softmax", "quant_decision"],
        wires: |_| 0.0,
        why: "area is that of our fixed-point pipeline, the paper takes floating-point units; power is that of \
              floating-point operations, and over which runs the paper takes it is not said",
    },
    Module {
        name: "top-k",
        units: &["topk_value", "topk_token"],
        terms: &["topk"],
        wires: |_| 0.0,
        why: "two engines with latches between their rounds; power is that of comparisons, clock and registers \
              while they work, without the logic that moves the survivors",
    },
    Module {
        name: "others",
        units: &["controller", "token_importance", "head_importance"],
        terms: &["importance"],
        wires: |_| 0.0,
        why: "what the paper counts here is not said; ours is the controller and the importances with their \
              accumulators",
    },
];

/// The full machine with its hardware, as the modules of the figure.
pub(super) struct Chip {
    machine: Spatten,
    hardware: Arc<Hardware>,
    standing: Standing,
}

impl Chip {
    /// The preset.
    ///
    /// # Errors
    /// A preset that cannot be generated.
    pub(super) fn preset() -> Result<Self> {
        let machine = Spatten::preset("spatten").map_err(|fault| anyhow::anyhow!("{fault}"))?;
        let hardware = machines::spatten::hardware(&machine);
        let hardware = hardware.context("the preset can be generated")?;
        let standing = Standing::of(&hardware);
        Ok(Self { machine, hardware, standing })
    }

    /// Energy of a module in a run \[J\].
    fn joules_of(&self, module: &Module, run: &Measured) -> f64 {
        let being = self.standing.of_units(&run.result, |name| module.units.contains(&name));
        let wires = self.standing.wires(&self.machine, &run.result);
        run.joules_of(|name| module.terms.contains(&name))
            + being.iter().sum::<f64>()
            + (module.wires)(&wires)
    }

    /// Energy of the top-k engines in a run, with clock, registers and leakage \[J\].
    pub(super) fn topk_joules(&self, run: &Measured) -> f64 {
        let engines = MODULES.iter().filter(|module| module.terms.contains(&"topk"));
        engines.map(|module| self.joules_of(module, run)).sum()
    }
}

/// Simulates all benchmarks for the power, and counts the hardware for the area.
pub fn reproduce(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let jobs: Vec<Job> = benchmarks()
        .iter()
        .map(|name| job("spatten", &[], &workload(name), &[], seed))
        .collect::<Result<_>>()?;
    let found = measure(&jobs, seed, observer)?;
    let chip = Chip::preset()?;
    let mean = |of: &dyn Fn(&Measured) -> f64| {
        found.iter().map(|run| of(run) / run.seconds).sum::<f64>() / found.len() as f64
    };
    let on_chip = mean(&|run| run.joules_of(|name| !name.starts_with("dram")));
    let area = chip.hardware.area().total() * 1e-6;
    let of = |item: &str, quantity: &str| published::find("spatten", "fig13", item, quantity);
    let mut rows = Vec::new();
    for module in &MODULES {
        let ours = chip.hardware.area_of(module.units) * 1e-6;
        let power = mean(&|run| chip.joules_of(module, run));
        for (quantity, ours) in [
            ("area", ours),
            ("share of area", 100.0 * ours / area),
            ("power", power),
            ("share of power", 100.0 * power / on_chip),
        ] {
            rows.push(Row::beside(of(module.name, quantity)?, ours, module.why));
        }
    }
    let dominate =
        "cells and memories of 15 units before placement; buffers dominate, see QxK and ProbxV";
    rows.push(Row::beside(of("all", "area")?, area, dominate).summing_up());
    let note = "mean of 30 benchmarks, which wait much of their time; logic of control and crossbars only clocked";
    rows.push(Row::beside(of("all", "power")?, on_chip, "").with_note(note).summing_up());
    let notes = vec![
        "nothing is fitted: standard cells of 45 nm scaled to 40 nm, memories fitted to points of CACTI \
         (`attelier_hw::technology`); wires between units belong to the module that drives them or waits for them"
            .to_owned(),
    ];
    Ok(Outcome::of(rows, notes))
}

#[cfg(test)]
mod tests {
    use attelier_sim::observe::Nobody;

    use super::*;

    /// What is on the chip and in no module would be missing from the sum.
    #[test]
    fn modules_hold_all_of_the_power_on_the_chip() {
        let jobs = ["bert-base/cola", "gpt2-small/wikitext2"]
            .map(|name| job("spatten", &[], name, &["tokens=2"], 0));
        let jobs: Vec<Job> = jobs.into_iter().flatten().collect();
        let chip = Chip::preset().unwrap();
        for run in measure(&jobs, 0, &mut Nobody).unwrap() {
            let all = run.joules_of(|name| !name.starts_with("dram"));
            let modules: f64 = MODULES.iter().map(|module| chip.joules_of(module, &run)).sum();
            assert!((modules / all - 1.0).abs() < 1e-9, "{modules} of {all}");
            assert!(chip.topk_joules(&run) > run.joules_of(|name| name == "topk"));
        }
        assert!(!jobs.is_empty());
    }

    /// A unit that a module forgot would be missing from the shares.
    #[test]
    fn every_unit_belongs_to_one_module() {
        let machine = Spatten::preset("spatten").unwrap();
        let hardware = machines::spatten::hardware(&machine).unwrap();
        for unit in &hardware.units {
            let holds = MODULES.iter().filter(|module| module.units.contains(&unit.name));
            assert_eq!(holds.count(), 1, "{}", unit.name);
        }
        let sum: f64 = MODULES.iter().map(|module| hardware.area_of(module.units)).sum();
        assert!((sum / hardware.area().total() - 1.0).abs() < 1e-12);
    }

    /// By hand: an array of 512 products of 12 x 12 bits has 144 conjunctions and 132 full adders for each,
    /// 715 um2 at 45 nm, and a buffer holds 1,572,864 bits of at least 0.552 um2 with two ports.
    #[test]
    fn arrays_and_buffers_hold_at_least_what_a_hand_calculation_gives() {
        let machine = Spatten::preset("spatten").unwrap();
        let hardware = machines::spatten::hardware(&machine).unwrap();
        let products = 512.0 * (144.0 * 1.064 + 132.0 * 4.256) * hardware.node.area();
        let array = hardware.area_of(&["qk_array"]);
        assert!((products..1.8 * products).contains(&array), "{array} over {products}");
        let bits = 2.0 * 0.552 * 1_572_864.0 * hardware.node.area();
        let buffer = hardware.area_of(&["key_sram"]);
        assert!((bits..2.0 * bits).contains(&buffer), "{buffer} over {bits}");
    }
}
