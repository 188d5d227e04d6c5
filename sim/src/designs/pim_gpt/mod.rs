//! PIM-GPT (Wu, Wang, Lu; npj Unconventional Computing 2024): decoding inside GDDR6 banks.
//!
//! * [`graph`]: operations of a layer and their order.
//! * [`placement`]: rows of weights, keys and values.
//! * [`compile`]: both to a program; [`isa`]: its instructions, as text.
//! * [`machine`]: executes instructions on the DRAM simulator, with the ASIC beside it.
//! * [`steady`]: the same without computing twice what repeats.
//! * [`simulate`]: token after token, layer after layer.
//!
//! `docs/designs/pim-gpt.md` lists what is published and what is our choice. Not modelled: the values
//! themselves, the embedding of tokens, sampling.

pub mod asic;
pub mod compile;
pub mod device;
pub mod energy;
pub mod error;
pub mod functional;
pub mod graph;
pub mod isa;
pub mod machine;
pub mod placement;
pub mod steady;
pub mod stream;

use attelier_hw::pim_gpt::PimGpt;
use attelier_workloads::Decoding;

pub use error::{IsaError, PimError};
pub use machine::{Counts, Machine};

use crate::kernel::run::Mode;
use crate::observe::Observer;
use crate::result::{DramCounts, Phase, RunResult, Stream, Traffic, UnitReport};
use compile::{Compiler, Program, Step};
use placement::Placement;
use steady::Steady;

/// Units of the machine, as observers and reports name them.
pub const UNITS: [&str; 4] = ["bank_mac", "bank_rows", "channel_bus", "asic"];

/// Simulates the tokens of `decoding` on the machine `params`.
///
/// [`Mode::EveryCycle`] executes every row of every layer; the result is the same.
///
/// # Errors
/// A model that does not fit the memory, or timings from which no memory can be built.
pub fn simulate(
    params: &PimGpt,
    decoding: &Decoding,
    mode: Mode,
    observer: &mut dyn Observer,
) -> Result<RunResult, PimError> {
    let shape = &decoding.shape;
    let placement = Placement::new(params, shape, decoding.longest(), decoding.lm_head)?;
    let compiler = Compiler::new(params, shape, &placement);
    let tail = compiler.tail();
    let mut run = Run { execution: Execution::new(params, mode)?, phases: Vec::new() };
    let total = u64::from(decoding.tokens);
    observer.begin(&UNITS, params.command_hz());
    for (done, context) in (1..).zip(decoding.lengths()) {
        let start = run.execution.now();
        let layer = compiler.layer(context);
        for _ in 0..shape.layers {
            run.program(&layer)?;
        }
        run.program(&tail)?;
        let end = run.execution.now();
        if observer.wants_events() {
            observer.span(0, &format!("token {context}"), start, end);
        }
        observer.progress(end, done, total);
    }
    observer.end(run.execution.now());
    Ok(run.result(params, decoding))
}

/// The instructions of all layers for one token, as text with comments.
///
/// # Errors
/// A model that does not fit the memory.
pub fn dump(params: &PimGpt, decoding: &Decoding, context: u32) -> Result<String, PimError> {
    use std::fmt::Write;
    let shape = &decoding.shape;
    let placement = Placement::new(params, shape, decoding.longest(), decoding.lm_head)?;
    let compiler = Compiler::new(params, shape, &placement);
    let mut text = format!("# {}: token {context} of {}\n", params.name, decoding.name);
    let mut write = |program: &Program, first: u32, heading: &str| {
        for section in program {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# {heading}{}", section.name);
            let one = vec![section.clone()];
            for instruction in compile::expand(&one, params.mac.columns, first) {
                let _ = writeln!(text, "{instruction}");
            }
        }
    };
    let layer = compiler.layer(context);
    for index in 0..shape.layers {
        write(&layer, compiler.first_row(index), &format!("layer {index}, "));
    }
    write(&compiler.tail(), 0, "");
    Ok(text)
}

/// How steps are executed.
#[expect(clippy::large_enum_variant, reason = "there is one per simulation")]
enum Execution<'a> {
    /// All of them.
    Every(Machine<'a, ()>),
    /// Those that are not known yet.
    Steady(Steady<'a>),
}

impl<'a> Execution<'a> {
    fn new(params: &'a PimGpt, mode: Mode) -> Result<Self, PimError> {
        if mode == Mode::Jump
            && let Some(steady) = Steady::new(params)?
        {
            return Ok(Self::Steady(steady));
        }
        Ok(Self::Every(Machine::new(params, ())?))
    }

    fn step(&mut self, step: &Step) -> Result<(), PimError> {
        match self {
            Self::Every(machine) => Ok(machine.step(step)?),
            Self::Steady(steady) => steady.step(step),
        }
    }

    fn now(&self) -> u64 {
        match self {
            Self::Every(machine) => machine.now(),
            Self::Steady(steady) => steady.now(),
        }
    }

    fn counts(&self) -> Counts {
        match self {
            Self::Every(machine) => machine.counts(machine.now()),
            Self::Steady(steady) => steady.counts(),
        }
    }
}

/// A simulation under way.
struct Run<'a> {
    execution: Execution<'a>,
    /// Time by operation, in the order in which they first occur.
    phases: Vec<Phase>,
}

impl Run<'_> {
    fn program(&mut self, program: &Program) -> Result<(), PimError> {
        let mut start = self.execution.now();
        for section in program {
            for step in &section.steps {
                self.execution.step(step)?;
            }
            let end = self.execution.now();
            let cycles = end - start;
            start = end;
            match self.phases.iter_mut().find(|phase| phase.name == section.name) {
                Some(phase) => phase.cycles += cycles,
                None => self.phases.push(Phase { name: section.name, cycles }),
            }
        }
        Ok(())
    }

    fn result(self, params: &PimGpt, decoding: &Decoding) -> RunResult {
        let Self { execution, phases } = self;
        let (cycles, counts) = (execution.now(), execution.counts());
        let activity = counts.activity(params.memory.channels);
        let burst = u64::from(params.memory.burst_bytes);
        let stream = |name, bursts, write| Stream { name, bytes: bursts * burst, write };
        let written = counts.vector_bursts + counts.key_bursts + counts.value_bursts;
        let channels = u64::from(params.memory.channels);
        // Shares of one channel: what all did, over how many there are.
        let macs = counts.macs / channels * u64::from(params.mac.interval);
        let single = counts.activates - counts.all_bank_activates * u64::from(params.memory.banks);
        let opened = counts.all_bank_activates + single;
        let opening = u64::from(params.timing.n_rp + params.timing.n_rcd_mac);
        let bus = (written + counts.result_bursts) / channels * u64::from(params.timing.n_bl);
        let unit = |name, busy: u64, beats| UnitReport {
            name,
            busy_cycles: busy.min(cycles),
            starved_cycles: 0,
            blocked_cycles: 0,
            beats,
        };
        let ops = 2 * decoding.macs();
        RunResult {
            cycles,
            clock_hz: params.command_hz(),
            ops_executed: ops,
            ops_dense: ops,
            traffic: Traffic { reads: counts.result_bursts, ..Traffic::default() },
            streams: vec![
                stream("vector", counts.vector_bursts, true),
                stream("result", counts.result_bursts, false),
                stream("key", counts.key_bursts, true),
                stream("value", counts.value_bursts, true),
            ],
            writes: written,
            dram: Some(DramCounts {
                activates: activity.activates,
                precharges: activity.precharges,
                refreshes: activity.refreshes_all_bank,
                row_hits: counts.accesses - counts.activates,
                requests: counts.accesses,
                activity,
            }),
            admission: None,
            phases,
            units: vec![
                unit(UNITS[0], macs, counts.macs),
                unit(UNITS[1], opened / channels * opening, opened),
                unit(UNITS[2], bus, written + counts.result_bursts),
                unit(UNITS[3], counts.asic_cycles, counts.beats),
            ],
            notes: notes(params, decoding, &counts, cycles),
        }
    }
}

fn notes(params: &PimGpt, decoding: &Decoding, counts: &Counts, cycles: u64) -> Vec<String> {
    let share = 100.0 * counts.waited_cycles as f64 / cycles.max(1) as f64;
    let weights = decoding.fetched_bytes();
    let moved =
        counts.vector_bursts + counts.result_bursts + counts.key_bursts + counts.value_bursts;
    let moved = moved * u64::from(params.memory.burst_bytes);
    vec![
        format!(
            "the memory waits for the ASIC in {share:.2} % of the time (published share of everything \
             but products, GPT3-XL: 1.16 %)"
        ),
        format!(
            "a machine without computing banks would move {:.1} times the bytes over the pins \
             (published, over all models: 110 to 259)",
            weights as f64 / moved.max(1) as f64
        ),
        "cycles are those of the command clock; channels work in lock-step".to_owned(),
        "a share of the timings is recalled or assumed: `attelier show` marks each; \
         `pim-gpt-aim` uses public device values only"
            .to_owned(),
    ]
}
