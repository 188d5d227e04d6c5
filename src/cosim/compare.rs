//! One unit through all witnesses.

use std::cell::OnceCell;

use anyhow::{Context, Error, Result, bail};
use attelier_rtl::{
    Design,
    mutate::{Mutation, mutate},
    witness::{self, Mismatch, Outcome, Pins, Vectors, Verilated},
};
use clap::ValueEnum;
use serde::Serialize;

use super::{Plan, Recorded, Unit};

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
    /// Beats under Icarus.
    pub icarus_beats: Option<u64>,
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
    /// What came of real requests, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub real: Option<Real>,
    /// What is wrong, a sentence each.
    pub faults: Vec<String>,
}

/// What real requests brought to a unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Real {
    /// This much.
    Compared {
        /// Beats through the model and each witness but Icarus.
        beats: u64,
        /// Cycles of them.
        cycles: u64,
        /// Values compared, by all witnesses together.
        compared: u64,
        /// Comparisons that failed, in all witnesses together.
        mismatches: u64,
        /// Beats under Icarus.
        icarus_beats: Option<u64>,
        /// Undefined outputs under Icarus.
        undefined: Option<u64>,
        /// Designs with one fault.
        mutants: usize,
        /// How many of them were noticed.
        mutants_caught: usize,
        /// What is wrong, a sentence each.
        faults: Vec<String>,
    },
    /// Nothing.
    Nothing {
        /// Why.
        reason: String,
    },
}

impl Row {
    /// Whether everything agreed, and there was something to agree on.
    pub fn passed(&self) -> bool {
        let counts = [self.vectors, self.cycles, self.signals as u64, self.compared];
        let real = self.real.as_ref().is_none_or(Real::passed);
        self.faults.is_empty() && self.mismatches == 0 && !counts.contains(&0) && real
    }
}

impl Real {
    /// Whether everything agreed, if there was anything to agree on.
    pub fn passed(&self) -> bool {
        match self {
            Real::Compared { beats, compared, mismatches, faults, .. } => {
                faults.is_empty() && *mismatches == 0 && ![beats, compared].contains(&&0)
            }
            Real::Nothing { .. } => true,
        }
    }
}

/// Compares a unit with its model on drawn stimulus.
///
/// # Errors
/// Parameters that the hardware cannot be built for, and tools that are missing or object.
pub fn compare(unit: &dyn Unit, options: &Options) -> Result<Row> {
    Bench::new(unit)?.compare(options)
}

/// A unit whose hardware has been built.
pub struct Bench<'a> {
    unit: &'a dyn Unit,
    design: Design,
    pins: Pins,
    /// Building it takes longer than running it.
    verilated: OnceCell<Verilated>,
}

/// What must have been compared.
#[derive(Clone, Copy, PartialEq)]
enum Coverage {
    /// Every output at some time: drawn stimulus that leaves one out is not good enough.
    EveryOutput,
    /// Anything: a few requests need not reach everything.
    SomeOutput,
}

/// Makes the model driver anew for every witness.
type Drive<'a> = &'a dyn Fn(Plan) -> Result<Box<dyn Vectors>>;

impl<'a> Bench<'a> {
    /// Builds the hardware.
    ///
    /// # Errors
    /// Parameters that the hardware cannot be built for.
    pub fn new(unit: &'a dyn Unit) -> Result<Self> {
        let design = unit.design()?;
        let pins = Pins::of(design.module(unit.top())?);
        Ok(Self { unit, design, pins, verilated: OnceCell::new() })
    }

    /// Compares with the model on drawn stimulus.
    ///
    /// # Errors
    /// Tools that are missing or object.
    pub fn compare(&self, options: &Options) -> Result<Row> {
        let drive = |plan| Ok(self.unit.vectors(&self.pins, plan));
        let mut row = self.run(options, &drive, Coverage::EveryOutput)?;
        row.stimulus = self.unit.stimulus(options.plan);
        if options.with.contains(&Witness::Native) {
            let (top, vectors) = (self.unit.top(), &mut *drive(options.plan)?);
            row.native_cycles_per_second =
                witness::native_speed(&self.design, top, vectors, TIMED_CYCLES)?;
            for mutation in self.missed(options.plan, &drive)? {
                row.faults.push(format!("mutant not noticed: {mutation:?}"));
                row.mutants_caught -= 1;
            }
        }
        Ok(row)
    }

    /// Compares with the model on all that was recorded of the unit; Icarus sees no more beats than of
    /// drawn stimulus.
    ///
    /// # Errors
    /// Tools that are missing or object.
    pub fn compare_real(&self, options: &Options, recorded: &dyn Recorded) -> Result<Real> {
        let plan = Plan { beats: u64::MAX, ..options.plan };
        if let Err(reason) = recorded.vectors(self.unit, &self.pins, plan) {
            return Ok(Real::Nothing { reason });
        }
        let drive = |plan| recorded.vectors(self.unit, &self.pins, plan).map_err(Error::msg);
        let mut real =
            self.run(&Options { plan, ..options.clone() }, &drive, Coverage::SomeOutput)?;
        if options.with.contains(&Witness::Native) {
            // What a few requests bring cannot show every fault.
            real.mutants_caught -= self.missed(plan, &drive)?.len();
            if real.mutants_caught == 0 {
                real.faults.push("no mutant is noticed".to_owned());
            }
        }
        Ok(Real::Compared {
            beats: real.vectors,
            cycles: real.cycles,
            compared: real.compared,
            mismatches: real.mismatches,
            icarus_beats: real.icarus_beats,
            undefined: real.undefined,
            mutants: real.mutants,
            mutants_caught: real.mutants_caught,
            faults: real.faults,
        })
    }

    /// The hardware through all witnesses.
    fn run(&self, options: &Options, drive: Drive<'_>, coverage: Coverage) -> Result<Row> {
        let Self { unit, design, pins, verilated } = self;
        let mut row = Row {
            unit: unit.name().to_owned(),
            parameters: unit.parameters(),
            stimulus: None,
            witnesses: vec!["model".to_owned()],
            vectors: 0,
            cycles: 0,
            signals: pins.outputs().len(),
            compared: 0,
            mismatches: 0,
            undefined: None,
            icarus_beats: None,
            icarus_cycles: None,
            mutants: 0,
            mutants_caught: 0,
            native_cycles_per_second: None,
            verilator_cycles_per_second: None,
            real: None,
            faults: Vec::new(),
        };
        let (plan, top) = (options.plan, unit.top());
        for witness in &options.with {
            let name = witness.to_possible_value().map(|value| value.get_name().to_owned());
            let name = name.unwrap_or_default();
            let outcome = match witness {
                Witness::Native => {
                    (row.mutants, row.mutants_caught) =
                        (unit.mutations().len(), unit.mutations().len());
                    if row.mutants == 0 {
                        row.faults.push("no mutant shows that the comparison can fail".to_owned());
                    }
                    witness::native(design, top, &mut *drive(plan)?, u64::MAX)?
                }
                Witness::Verilator => {
                    let of = || format!("`{}` under Verilator", unit.name());
                    if verilated.get().is_none() {
                        let built = Verilated::build(design, top).with_context(of)?;
                        verilated.get_or_init(|| built);
                    }
                    let built = verilated.get().with_context(of)?;
                    built.compare(&mut *drive(plan)?).with_context(of)?
                }
                Witness::Icarus => {
                    let plan = Plan { beats: plan.beats.min(options.icarus_beats), ..plan };
                    witness::icarus(design, top, &mut *drive(plan)?)
                        .with_context(|| format!("`{}` under Icarus", unit.name()))?
                }
            };
            row.add(*witness, &name, pins, outcome, coverage);
        }
        if row.witnesses.len() == 1 {
            bail!(
                "nothing to compare with: expected `native`, `icarus` or `verilator` in `--with`"
            );
        }
        Ok(row)
    }

    /// The mutants that run natively to the end without being noticed.
    fn missed(&self, plan: Plan, drive: Drive<'_>) -> Result<Vec<Mutation<'static>>> {
        let mut missed = Vec::new();
        for mutation in self.unit.mutations() {
            let mutant = mutate(&self.design, mutation)?;
            let outcome = witness::native(&mutant, self.unit.top(), &mut *drive(plan)?, 1)?;
            if outcome.mismatches == 0 {
                missed.push(mutation);
            }
        }
        Ok(missed)
    }
}

/// Cycles on which the speed is measured.
const TIMED_CYCLES: u64 = 200_000;

impl Row {
    fn add(
        &mut self,
        witness: Witness,
        name: &str,
        pins: &Pins,
        outcome: Outcome,
        coverage: Coverage,
    ) {
        let compared = outcome.compared.iter().sum::<u64>();
        let is_enough = match coverage {
            Coverage::EveryOutput => outcome.agrees(),
            Coverage::SomeOutput => compared > 0 && outcome.beats > 0 && outcome.undefined == 0,
        };
        if let Some(Mismatch { cycle, output, expected, found }) = &outcome.first {
            self.faults.push(format!(
                "{name}: `{output}` in cycle {cycle}: expected {expected}, found {found}; \
                 {} mismatches and {} undefined outputs in all",
                outcome.mismatches, outcome.undefined
            ));
        } else if !is_enough {
            let never = pins.outputs().zip(&outcome.compared).find(|(_, count)| **count == 0);
            let never = never.map_or_else(
                || format!("{} cycles, {} beats", outcome.cycles, outcome.beats),
                |((output, _), _)| format!("output `{output}` never"),
            );
            self.faults.push(format!("{name}: compared nothing: {never}"));
        }
        self.witnesses.push(name.to_owned());
        self.compared += compared;
        self.mismatches += outcome.mismatches;
        if witness == Witness::Icarus {
            self.undefined = Some(outcome.undefined);
            self.icarus_cycles = Some(outcome.cycles);
            self.icarus_beats = Some(outcome.beats);
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
