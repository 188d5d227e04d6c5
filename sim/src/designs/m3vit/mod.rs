//! M3ViT's accelerator (Fan et al., NeurIPS 2022): double-buffered computation of a vision transformer
//! with experts.
//!
//! * [`steps`]: what is computed with which weights; [`cache`]: the machine that it is compared with.
//! * [`memory`]: bytes on the chip.
//! * [`simulate`]: one image.
//!
//! While a step computes from one half of the buffer of weights, those of the next step that has some are
//! loaded into the other; both halves swap when both sides are done. `docs/designs/m3vit.md` lists what is published and what
//! is assumed. Not modelled: values, energy, area, rows of the memory.

pub mod cache;
pub mod memory;
pub mod steps;

use attelier_hw::m3vit::M3vit;
use attelier_workloads::vision::{ImageShape, MoeImage};
use thiserror::Error;

use crate::observe::Observer;
use crate::result::{Phase, RunResult, Stream, Traffic, UnitReport};
use steps::Step;

/// Names of the units.
const UNITS: [&str; 2] = ["array", "weight_loader"];

/// Why an image gives no result.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum M3vitError {
    /// A step whose weights exceed half of the buffer.
    #[error(
        "{found} weights of one step do not fit half of the buffer, {holds}: expected no layer larger \
         than a matrix of the dense MLP"
    )]
    Buffer {
        /// Weights of the step.
        found: u64,
        /// Weights of half of the buffer.
        holds: u64,
    },
    /// A cache without knowledge of the experts of each token.
    #[error(
        "a cache of experts needs the experts of each token, and these queues give only their number: \
         expected drawn queues, as with `--set workload.skew=0`"
    )]
    Queues,
}

/// Cycles to load so many weights.
fn load_cycles(machine: &M3vit, weights: u64) -> u64 {
    let bytes = u128::from(weights) * u128::from(machine.numbers.weight_bytes);
    let cycles = bytes * u128::from(machine.clock_hz);
    let cycles = cycles.div_ceil(u128::from(machine.dram.peak_bytes_per_s));
    u64::try_from(cycles).unwrap_or(u64::MAX)
}

/// Cycles in which the array computes.
fn compute_cycles(machine: &M3vit, macs: u64) -> u64 {
    macs.div_ceil(machine.array.multipliers.into())
}

/// Simulates one image.
///
/// # Errors
/// Layers that do not fit the buffer; a cache without the experts of each token.
pub fn simulate(
    machine: &M3vit,
    image: &MoeImage,
    observer: &mut dyn Observer,
) -> Result<RunResult, M3vitError> {
    let shape = &image.shape;
    check(shape)?;
    let steps = steps::steps(machine, shape, &image.routing).ok_or(M3vitError::Queues)?;
    let mut run = Run { machine, phases: Vec::new(), now: 0, busy: [0; 2], observer };
    run.observer.begin(&UNITS, machine.clock_hz);
    run.image(&steps);
    run.observer.end(run.now);
    let Run { phases, now: cycles, busy, .. } = run;
    let bytes = |weights: u64| weights.saturating_mul(machine.numbers.weight_bytes.into());
    let weights = bytes(steps.iter().map(|step| step.weights).fold(0, u64::saturating_add));
    let loads = steps.iter().filter(|step| step.weights > 0).count() as u64;
    let beats = [steps.len() as u64, loads];
    let unit = |(index, name): (usize, &'static str)| UnitReport {
        name,
        busy_cycles: busy[index].min(cycles),
        starved_cycles: 0,
        blocked_cycles: 0,
        beats: beats[index],
    };
    let ops = 2 * image.macs();
    Ok(RunResult {
        cycles,
        clock_hz: machine.clock_hz,
        ops_executed: ops,
        ops_dense: ops,
        traffic: Traffic { reads: loads, ..Traffic::default() },
        streams: vec![Stream { name: "weights", bytes: weights, write: false }],
        writes: 0,
        dram: None,
        admission: None,
        phases,
        units: UNITS.into_iter().enumerate().map(unit).collect(),
        notes: vec![
            "widths of the array, sizes of numbers and what overlaps are assumed: no code is published; \
             `attelier show` marks each"
                .to_owned(),
        ],
    })
}

/// Whether every step of a model fits half of the buffer of weights.
fn check(shape: &ImageShape) -> Result<(), M3vitError> {
    let (found, holds) = (steps::largest_step(shape), steps::half_buffer(shape));
    if found > holds { Err(M3vitError::Buffer { found, holds }) } else { Ok(()) }
}

struct Run<'a> {
    machine: &'a M3vit,
    phases: Vec<Phase>,
    now: u64,
    /// Cycles in which the array computes, and in which weights are loaded.
    busy: [u64; 2],
    observer: &'a mut dyn Observer,
}

impl Run<'_> {
    fn image(&mut self, steps: &[Step]) {
        let mut loaded = steps.first().map_or(0, |step| self.start_load(step));
        for (index, step) in steps.iter().enumerate() {
            if step.weights > 0 {
                let ready = if step.ahead { loaded } else { self.start_load(step) };
                self.advance(step.phase, ready.saturating_sub(self.now));
            }
            // Behind the swap the other half is free.
            if step.holds_weights() {
                let mut later = steps[index + 1..].iter();
                let next = later.find(|step| step.holds_weights()).filter(|step| step.ahead);
                loaded = next.map_or(0, |step| self.start_load(step));
            }
            let cycles = compute_cycles(self.machine, step.macs);
            self.work(0, step.phase, cycles);
            self.advance(step.phase, cycles);
            if index % 64 == 0 {
                self.observer.progress(self.now, index as u64, steps.len() as u64);
            }
        }
    }

    /// Loads the weights of a step from now on; when they are there.
    fn start_load(&mut self, step: &Step) -> u64 {
        let cycles = load_cycles(self.machine, step.weights);
        self.work(1, step.phase, cycles);
        self.now.saturating_add(cycles)
    }

    /// A unit is busy from now on.
    fn work(&mut self, unit: usize, what: &str, cycles: u64) {
        if cycles > 0 && self.observer.wants_events() {
            self.observer.span(unit, what, self.now, self.now.saturating_add(cycles));
        }
        self.busy[unit] = self.busy[unit].saturating_add(cycles);
    }

    /// Time passes, which the report counts to an operation.
    fn advance(&mut self, phase: &'static str, cycles: u64) {
        self.now = self.now.saturating_add(cycles);
        match self.phases.iter_mut().find(|known| known.name == phase) {
            Some(known) => known.cycles = known.cycles.saturating_add(cycles),
            None => self.phases.push(Phase { name: phase, cycles }),
        }
    }
}
