//! One unit through all witnesses.

use anyhow::{Context, Result, bail};
use attelier_rtl::{
    Design,
    mutate::mutate,
    witness::{self, Mismatch, Outcome, Pins},
};
use clap::ValueEnum;
use serde::Serialize;

use super::{Plan, Unit};

/// Who is compared with the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Witness {
    /// The RTL, run natively.
    Native,
    /// Its Verilog under Icarus, which also finds undefined outputs.
    Icarus,
    /// Its Verilog under Verilator.
    Verilator,
}

/// How to compare.
#[derive(Debug, Clone)]
pub struct Options {
    /// Witnesses beside the model.
    pub with: Vec<Witness>,
    /// Stimulus of all but Icarus.
    pub plan: Plan,
    /// Beats for Icarus, which is a thousand times slower than the others.
    pub icarus_beats: u64,
}

/// What was compared, and what was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Unit.
    pub unit: String,
    /// Its parameters in a few words.
    pub parameters: String,
    /// What the stimulus consisted of, where beats do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stimulus: Option<String>,
    /// Witnesses, the model first.
    pub witnesses: Vec<String>,
    /// Beats through the model and each witness but Icarus.
    pub vectors: u64,
    /// Cycles of them.
    pub cycles: u64,
    /// Outputs.
    pub signals: usize,
    /// Values compared, by all witnesses together.
    pub compared: u64,
    /// Comparisons that failed, in all witnesses together.
    pub mismatches: u64,
    /// Undefined outputs under Icarus; `None` where it did not run.
    pub undefined: Option<u64>,
    /// Cycles under Icarus.
    pub icarus_cycles: Option<u64>,
    /// Designs with one fault.
    pub mutants: usize,
    /// How many of them were noticed.
    pub mutants_caught: usize,
    /// Speed of native execution [cycles/s].
    pub native_cycles_per_second: Option<f64>,
    /// Speed of Verilator's C++ [cycles/s].
    pub verilator_cycles_per_second: Option<f64>,
    /// What is wrong, a sentence each.
    pub faults: Vec<String>,
}

impl Row {
    /// Whether everything agreed, and there was something to agree on.
    pub fn passed(&self) -> bool {
        let counts = [self.vectors, self.cycles, self.signals as u64, self.compared];
        self.faults.is_empty() && self.mismatches == 0 && !counts.contains(&0)
    }
}

/// Compares a unit with its model.
///
/// # Errors
/// Parameters that the hardware cannot be built for, and tools that are missing or object.
pub fn compare(unit: &dyn Unit, options: &Options) -> Result<Row> {
    let design = unit.design()?;
    let pins = Pins::of(design.module(unit.top())?);
    let mut row = Row {
        unit: unit.name().to_owned(),
        parameters: unit.parameters(),
        stimulus: unit.stimulus(options.plan),
        witnesses: vec!["model".to_owned()],
        vectors: 0,
        cycles: 0,
        signals: pins.outputs().len(),
        compared: 0,
        mismatches: 0,
        undefined: None,
        icarus_cycles: None,
        mutants: 0,
        mutants_caught: 0,
        native_cycles_per_second: None,
        verilator_cycles_per_second: None,
        faults: Vec::new(),
    };
    for witness in &options.with {
        let name = witness.to_possible_value().map(|value| value.get_name().to_owned());
        let name = name.unwrap_or_default();
        let plan = options.plan;
        let outcome = match witness {
            Witness::Native => {
                let vectors = &mut *unit.vectors(&pins, plan);
                let outcome = witness::native(&design, unit.top(), vectors, u64::MAX)?;
                row.native_cycles_per_second = native_speed(unit, &design, &pins, plan)?;
                mutants(unit, &design, &pins, plan, &mut row)?;
                outcome
            }
            Witness::Verilator => {
                witness::verilator(&design, unit.top(), &mut *unit.vectors(&pins, plan))
                    .with_context(|| format!("`{}` under Verilator", unit.name()))?
            }
            Witness::Icarus => {
                let plan = Plan { beats: plan.beats.min(options.icarus_beats), ..plan };
                witness::icarus(&design, unit.top(), &mut *unit.vectors(&pins, plan))
                    .with_context(|| format!("`{}` under Icarus", unit.name()))?
            }
        };
        row.add(*witness, &name, &pins, outcome);
    }
    if row.witnesses.len() == 1 {
        bail!("nothing to compare with: expected `native`, `icarus` or `verilator` in `--with`");
    }
    Ok(row)
}

impl Row {
    fn add(&mut self, witness: Witness, name: &str, pins: &Pins, outcome: Outcome) {
        if let Some(Mismatch { cycle, output, expected, found }) = &outcome.first {
            self.faults.push(format!(
                "{name}: `{output}` in cycle {cycle}: expected {expected}, found {found}; \
                 {} mismatches and {} undefined outputs in all",
                outcome.mismatches, outcome.undefined
            ));
        } else if !outcome.agrees() {
            let never = pins.outputs().zip(&outcome.compared).find(|(_, count)| **count == 0);
            let never = never.map_or_else(
                || format!("{} cycles, {} beats", outcome.cycles, outcome.beats),
                |((output, _), _)| format!("output `{output}` never"),
            );
            self.faults.push(format!("{name}: compared nothing: {never}"));
        }
        self.witnesses.push(name.to_owned());
        self.compared += outcome.compared.iter().sum::<u64>();
        self.mismatches += outcome.mismatches;
        if witness == Witness::Icarus {
            self.undefined = Some(outcome.undefined);
            self.icarus_cycles = Some(outcome.cycles);
        }
        if witness == Witness::Verilator {
            self.verilator_cycles_per_second = outcome.cycles_per_second;
        }
        if witness != Witness::Icarus || self.cycles == 0 {
            if self.cycles > outcome.cycles {
                self.faults
                    .push(format!("{name}: saw {} of {} cycles", outcome.cycles, self.cycles));
            }
            (self.vectors, self.cycles) = (outcome.beats, outcome.cycles);
        }
    }
}

/// Cycles on which the speed is measured.
const TIMED_CYCLES: u64 = 200_000;

fn native_speed(unit: &dyn Unit, design: &Design, pins: &Pins, plan: Plan) -> Result<Option<f64>> {
    let vectors = &mut *unit.vectors(pins, plan);
    Ok(witness::native_speed(design, unit.top(), vectors, TIMED_CYCLES)?)
}

/// Runs the mutants natively until each is noticed.
fn mutants(unit: &dyn Unit, design: &Design, pins: &Pins, plan: Plan, row: &mut Row) -> Result<()> {
    for mutation in unit.mutations() {
        let mutant = mutate(design, mutation)?;
        let vectors = &mut *unit.vectors(pins, plan);
        let outcome = witness::native(&mutant, unit.top(), vectors, 1)?;
        row.mutants += 1;
        if outcome.mismatches > 0 {
            row.mutants_caught += 1;
        } else {
            row.faults.push(format!("mutant not noticed: {mutation:?}"));
        }
    }
    if row.mutants == 0 {
        row.faults.push("no mutant shows that the comparison can fail".to_owned());
    }
    Ok(())
}
