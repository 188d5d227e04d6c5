//! Execution that remembers: what follows from a state that was met before is not computed again.
//!
//! A **block** is one row of a stream, or one instruction; its rows and columns do not decide when
//! anything happens. A **state** is what decides about later blocks, with all cycles counted from the
//! last command ([`Machine::relative`]). Distances are constants, so a block takes an equal state to an
//! equal state in an equal number of cycles, with equal counts. Each such **transition** is computed once,
//! by the [`Machine`] itself; meeting it again is an addition.
//!
//! Refresh is the only thing that depends on absolute time. A block that ends before one is due does
//! not see it; any other is executed. So layers, tokens and rows are walked over in whatever phase
//! refresh falls into, and the result is that of executing everything.

use std::collections::BTreeMap;
use std::rc::Rc;

use attelier_hw::pim_gpt::PimGpt;

use super::asic::Span;
use super::compile::Step;
use super::error::PimError;
use super::isa::{Event, Instruction};
use super::machine::{Counts, Machine};
use super::stream::Stream;

/// Where the machines of the states start: late enough for a refresh that is overdue.
const ORIGIN: u64 = 1 << 40;
/// States that are kept: some kilobytes each. Few in tests, so that some are forgotten there.
const MOST_STATES: usize = if cfg!(test) { 40 } else { 1 << 13 };

/// Instructions up to what decides when things happen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Block {
    Row(Vec<Instruction>),
    One(Instruction),
    /// Work of the ASIC: how long it takes, not on how many numbers.
    Asic(Span, Event),
}

/// Number of a block, or of a state.
type Id = usize;

/// What a block does to a state.
#[derive(Debug, Clone, Copy)]
struct Transition {
    to: Id,
    cycles: u64,
    gain: Counts,
}

struct State<'a> {
    /// A machine in it.
    machine: Machine<'a, ()>,
    /// Cycles from the last command until everything is done.
    rest: u64,
    /// Few blocks ever follow one state.
    after: Vec<(Id, Transition)>,
}

/// Blocks of the rows of a stream.
struct Rows {
    /// Of full rows, which look alike after a period.
    full: Vec<Id>,
    /// Of the last row, if it is not full.
    partial: Option<Id>,
}

/// A place in a stream to which it may come back.
struct Round {
    /// States have other numbers after each time that they were forgotten.
    forgotten: u64,
    state: Id,
    last: u64,
    counts: Counts,
}

/// A machine whose steps are remembered.
pub struct Steady<'a> {
    params: &'a PimGpt,
    blocks: BTreeMap<Block, Id>,
    /// By stream, as if it began in the first row.
    rows: BTreeMap<Stream, Rc<Rows>>,
    known: BTreeMap<Vec<i64>, Id>,
    states: Vec<State<'a>>,
    forgotten: u64,
    at: Id,
    /// Cycle of the last command.
    last: u64,
    next_refresh: u64,
    /// Up to the last command.
    counts: Counts,
}

impl<'a> Steady<'a> {
    /// A machine at rest; `None` where its state cannot be compared, because the memory has windows of
    /// several commands.
    ///
    /// # Errors
    /// Timings from which no memory can be built.
    pub fn new(params: &'a PimGpt) -> Result<Option<Self>, PimError> {
        let machine = Machine::starting_at(params, (), ORIGIN)?;
        if machine.relative().is_none() {
            return Ok(None);
        }
        let next_refresh = match machine.next_refresh() {
            u64::MAX => u64::MAX,
            cycle => cycle - ORIGIN,
        };
        let mut steady = Self {
            params,
            blocks: BTreeMap::new(),
            rows: BTreeMap::new(),
            known: BTreeMap::new(),
            states: Vec::new(),
            forgotten: 0,
            at: 0,
            last: 0,
            next_refresh,
            counts: Counts::default(),
        };
        steady.at = steady.enter(machine);
        Ok(Some(steady))
    }

    /// Cycle up to which something happened.
    pub fn now(&self) -> u64 {
        self.last + self.states[self.at].rest
    }

    /// What all channels together did up to now.
    pub fn counts(&self) -> Counts {
        let mut counts = self.counts;
        // Between blocks all banks are closed.
        counts.precharged_cycles += self.states[self.at].rest;
        counts
    }

    /// Executes a step.
    ///
    /// # Errors
    /// A command that its bank cannot take, which a compiled program does not give.
    pub fn step(&mut self, step: &Step) -> Result<(), PimError> {
        match step {
            Step::Stream(stream) => self.stream(stream),
            Step::One(instruction) => {
                let block = match *instruction {
                    Instruction::Asic { function, numbers, event } => {
                        let span = self.states[self.at].machine.span(function, numbers);
                        Block::Asic(span, event)
                    }
                    other => Block::One(placeless(other)),
                };
                let block = self.block(block);
                self.run(block, || vec![*instruction])
            }
        }
    }

    fn stream(&mut self, stream: &Stream) -> Result<(), PimError> {
        let columns = self.params.mac.columns;
        let (rows, full) = (stream.rows(columns), stream.full_rows(columns));
        let period = stream.period(columns);
        let shapes = self.rows(stream);
        let mut round = self.round();
        let mut row = 0;
        while row < rows {
            if row % period == 0 && row < full {
                row += period * self.repeat(&round, (full - row) / period);
                round = self.round();
            }
            let block = match shapes.partial {
                Some(block) if row + 1 == rows => block,
                _ if row < rows => shapes.full[(row % period) as usize],
                _ => break,
            };
            self.run(block, || stream.row(row, columns).collect())?;
            row += 1;
        }
        Ok(())
    }

    fn rows(&mut self, stream: &Stream) -> Rc<Rows> {
        let key = Stream { row: 0, ..*stream };
        if let Some(rows) = self.rows.get(&key) {
            return Rc::clone(rows);
        }
        let columns = self.params.mac.columns;
        let (rows, full) = (stream.rows(columns), stream.full_rows(columns));
        let mut block =
            |row| self.block(Block::Row(key.row(row, columns).map(placeless).collect()));
        let shapes = Rc::new(Rows {
            full: (0..stream.period(columns).min(full)).map(&mut block).collect(),
            partial: (full < rows).then(|| block(rows - 1)),
        });
        self.rows.insert(key, Rc::clone(&shapes));
        shapes
    }

    fn round(&self) -> Round {
        let &Self { forgotten, at: state, last, counts, .. } = self;
        Round { forgotten, state, last, counts }
    }

    /// If the round since `before` came back to its state without a refresh, repeats it at most `most`
    /// times, but not into the next refresh; returns how often.
    fn repeat(&mut self, before: &Round, most: u32) -> u32 {
        let cycles = self.last - before.last;
        let gain = self.counts.since(&before.counts);
        let same = (self.forgotten, self.at) == (before.forgotten, before.state);
        if !same || cycles == 0 || gain.refreshes > 0 {
            return 0;
        }
        let pause = self.next_refresh.saturating_sub(self.last + 1);
        let times = u64::from(most).min(pause / cycles);
        self.counts.add(&gain, times);
        self.last += times * cycles;
        // At most `most`.
        times as u32
    }

    fn block(&mut self, block: Block) -> Id {
        let next = self.blocks.len();
        *self.blocks.entry(block).or_insert(next)
    }

    /// Runs `block`, of which `instance` gives instructions.
    fn run(&mut self, block: Id, instance: impl Fn() -> Vec<Instruction>) -> Result<(), PimError> {
        let after = &self.states[self.at].after;
        let known = after.iter().find(|(known, _)| *known == block);
        let transition = match known {
            Some(&(_, transition)) => transition,
            None => self.learn(block, &instance())?,
        };
        if self.next_refresh > self.last + transition.cycles {
            self.last += transition.cycles;
            self.counts.add(&transition.gain, 1);
            self.at = transition.to;
            return Ok(());
        }
        self.execute(&instance())
    }

    /// Computes what `block` does to the current state while no refresh is due.
    fn learn(&mut self, block: Id, instructions: &[Instruction]) -> Result<Transition, PimError> {
        if self.states.len() >= MOST_STATES {
            self.forget();
        }
        let from = self.at;
        let mut machine = self.states[from].machine.clone();
        machine.set_next_refresh(u64::MAX);
        let (cycles, gain) = follow(&mut machine, instructions)?;
        let transition = Transition { to: self.enter(machine), cycles, gain };
        self.states[from].after.push((block, transition));
        Ok(transition)
    }

    /// Executes instructions with the refreshes that fall due.
    fn execute(&mut self, instructions: &[Instruction]) -> Result<(), PimError> {
        let mut machine = self.states[self.at].machine.clone();
        // A refresh is overdue by less than a block takes, which is far less than the origin.
        let due = machine.last_cycle() + self.next_refresh - self.last;
        machine.set_next_refresh(due);
        let (cycles, gain) = follow(&mut machine, instructions)?;
        self.next_refresh += machine.next_refresh() - due;
        self.last += cycles;
        self.counts.add(&gain, 1);
        self.at = self.enter(machine);
        Ok(())
    }

    /// The state that `machine` is in.
    fn enter(&mut self, machine: Machine<'a, ()>) -> Id {
        // Whether there is one depends on the device alone, and was asked for at the beginning.
        let relative = machine.relative().unwrap_or_default();
        let next = self.states.len();
        let id = *self.known.entry(relative).or_insert(next);
        if id == next {
            let rest = machine.now() - machine.last_cycle();
            self.states.push(State { machine, rest, after: Vec::new() });
        }
        id
    }

    /// Forgets all states but the current one.
    fn forget(&mut self) {
        let machine = self.states[self.at].machine.clone();
        self.states.clear();
        self.known.clear();
        self.forgotten += 1;
        self.at = self.enter(machine);
    }
}

/// Follows instructions; returns the cycles between the last commands before and after, and what was
/// counted.
fn follow(
    machine: &mut Machine<'_, ()>,
    instructions: &[Instruction],
) -> Result<(u64, Counts), PimError> {
    let start = machine.last_cycle();
    let before = machine.counts(start);
    for instruction in instructions {
        machine.execute(instruction)?;
    }
    let end = machine.last_cycle();
    Ok((end - start, machine.counts(end).since(&before)))
}

/// An instruction without what does not decide when anything happens: rows, columns, and which channel
/// alone is meant.
fn placeless(instruction: Instruction) -> Instruction {
    match instruction {
        Instruction::Activate { .. } => Instruction::Activate { row: 0 },
        Instruction::Mac { half, count, .. } => Instruction::Mac { half, column: 0, count },
        Instruction::WriteRow { bank, bursts, after, .. } => {
            Instruction::WriteRow { channel: 0, bank, row: 0, column: 0, bursts, after }
        }
        Instruction::WriteElement { after, .. } => {
            Instruction::WriteElement { row: 0, column: 0, after }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use attelier_workloads::decoding::DecoderShape;

    use super::*;
    use crate::designs::pim_gpt::compile::Compiler;
    use crate::designs::pim_gpt::placement::Placement;

    /// After every step, whatever was forgotten and wherever refreshes fall.
    #[test]
    fn every_step_ends_when_it_would_and_with_what_it_would_count() {
        for refresh in ["timing.n_refi=1500", "timing.n_refi=13650", "memory.refresh=false"] {
            let config = attelier_hw::config::load("pim-gpt", None, &[refresh.into()]).unwrap();
            let params = PimGpt::check(&config).unwrap();
            let shape = DecoderShape::gpt(3, 1152, 18).unwrap();
            let placement = Placement::new(&params, &shape, 300, false).unwrap();
            let compiler = Compiler::new(&params, &shape, &placement);
            let mut machine = Machine::new(&params, ()).unwrap();
            let mut steady = Steady::new(&params).unwrap().unwrap();
            for context in [127, 128, 129, 300] {
                let layer = compiler.layer(context);
                for step in (0..3).flat_map(|_| &layer).flat_map(|section| &section.steps) {
                    machine.step(step).unwrap();
                    steady.step(step).unwrap();
                    assert_eq!(machine.now(), steady.now(), "{refresh}: {step:?}");
                    assert_eq!(
                        machine.counts(machine.now()),
                        steady.counts(),
                        "{refresh}: {step:?}"
                    );
                }
            }
            assert!(steady.forgotten > 0, "{refresh}");
        }
    }

    #[test]
    fn windows_of_several_commands_are_not_remembered() {
        let sets = ["memory.activation=bank-group".to_owned()];
        let config = attelier_hw::config::load("pim-gpt", None, &sets).unwrap();
        assert!(Steady::new(&PimGpt::check(&config).unwrap()).unwrap().is_none());
    }
}
