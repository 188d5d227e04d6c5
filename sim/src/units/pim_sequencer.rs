//! Sequencer of the PIM-GPT ASIC: instructions in, commands to the channels out, one per cycle at most.
//!
//! Instructions are those of [`crate::designs::pim_gpt::isa`], in order. Commands keep the distances of
//! the DRAM simulator's tables. What differs from [`crate::designs::pim_gpt::machine`], which knows the
//! future:
//!
//! * An instruction without a command takes a cycle; mostly one in which the banks are closing anyway.
//! * A vector waits until its event has happened; the machine knows when the last number will come
//!   and begins so early that the bus just does not run dry.
//! * Whether a burst of a vector in the shadow follows a MAC is decided at each MAC.
//! * A refresh that is due in a pause comes when the pause is noticed, with all banks closed.
//!
//! Keys and values are not written: `WRROW` and `WRELT` take a cycle and do nothing.

use std::collections::BTreeSet;

use attelier_dram::Sequencer;
use attelier_dram::command::{CommandId, REFA};
use attelier_hw::pim_gpt::PimGpt;

use crate::designs::pim_gpt::device::{self, Commands};
use crate::designs::pim_gpt::error::PimError;
use crate::designs::pim_gpt::isa::{Event, Function, Instruction};

use super::pim_decoder::Command;

/// What shows in the cycle after a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown {
    /// A command on the bus.
    pub command: Option<Command>,
    /// Function and amount of numbers that the ASIC begins.
    pub asic: Option<(Function, u32, Event)>,
    /// What the ASIC does with the beats that follow.
    pub beat: Option<Function>,
    /// Channels that commands go to.
    pub channels: u32,
}

/// A vector that is written in the shadow of MACs.
#[derive(Debug, Clone, Copy)]
struct Shadow {
    half: u32,
    next: u32,
    bursts: u32,
    after: Event,
}

/// The unit.
#[derive(Debug, Clone)]
pub struct PimSequencer {
    commands: Commands,
    memory: Sequencer,
    cycle: u64,
    refresh_interval: Option<u64>,
    next_refresh: u64,
    /// From the last write of a half to the first MAC that reads it.
    written: u64,
    half_ready: [u64; 2],
    shadow: Option<Shadow>,
    /// A burst of the shadow follows the last MAC.
    turn: bool,
    open: bool,
    /// Bursts or MACs of the instruction under way that are done.
    position: u32,
    pending: BTreeSet<u32>,
    shown: Shown,
}

impl PimSequencer {
    /// A sequencer at rest.
    ///
    /// # Errors
    /// Timings from which no memory can be built.
    pub fn new(params: &PimGpt) -> Result<Self, PimError> {
        let device = device::device(params)?;
        let timing = &params.timing;
        let refresh_interval = params.memory.refresh.then_some(timing.n_refi.into());
        Ok(Self {
            commands: device::commands(&device)?,
            memory: Sequencer::new(&device, 0, None)?,
            cycle: 0,
            refresh_interval,
            next_refresh: refresh_interval.unwrap_or(u64::MAX),
            written: u64::from(timing.n_cwl) + u64::from(timing.n_bl),
            half_ready: [0; 2],
            shadow: None,
            turn: false,
            open: false,
            position: 0,
            pending: BTreeSet::new(),
            shown: Shown { channels: params.memory.channels, ..Shown::default() },
        })
    }

    /// One cycle: an instruction is offered, and an event may happen. Returns whether the instruction is
    /// taken, which it is in the cycle of its last command, and what the cycle before decided.
    pub fn tick(&mut self, offered: Option<Instruction>, happened: Event) -> (bool, Shown) {
        let shown = self.shown;
        self.shown = Shown { channels: shown.channels, ..Shown::default() };
        let taken = match offered {
            Some(instruction) => self.execute(instruction),
            None => {
                self.pause();
                false
            }
        };
        if taken {
            self.position = 0;
        }
        // An event that happens while it is announced anew stays announced.
        let announced = self.shown.asic.and_then(|(.., event)| event);
        if let Some(event) = happened.filter(|event| announced != Some(*event)) {
            self.pending.remove(&event);
        }
        self.pending.extend(announced);
        self.cycle += 1;
        (taken, shown)
    }

    fn happened(&self, event: Event) -> bool {
        event.is_none_or(|event| !self.pending.contains(&event))
    }

    /// Issues a command if it may be issued in this cycle.
    fn issue(&mut self, id: CommandId, command: Command) -> bool {
        if self.memory.engine().earliest(id, 0) > self.cycle {
            return false;
        }
        let row = match command {
            Command::Activate { row } => Some(row),
            _ => None,
        };
        let issued = self.memory.issue(id, 0, row, None, self.cycle, &mut ());
        // What the banks cannot take is not a program.
        if issued.ok() != Some(self.cycle) {
            return false;
        }
        self.shown.command = Some(command);
        true
    }

    fn execute(&mut self, instruction: Instruction) -> bool {
        let Commands { actab, rdmac, prea, .. } = self.commands;
        match instruction {
            Instruction::Channels { count } => {
                self.shown.channels = count;
                true
            }
            Instruction::Beat { function } => {
                self.shown.beat = Some(function);
                true
            }
            Instruction::Asic { function, numbers, event } => {
                self.shown.asic = Some((function, numbers, event));
                true
            }
            Instruction::WriteRow { .. } | Instruction::WriteElement { .. } => true,
            Instruction::WriteVector { half, bursts, after, shadow } => {
                if self.shadow.is_some() {
                    self.write_shadow();
                    return false;
                }
                if shadow {
                    self.shadow = Some(Shadow { half, next: 0, bursts, after });
                    return true;
                }
                if !self.happened(after) {
                    self.pause();
                    return false;
                }
                let line = self.position;
                let writes = self.write(half, line);
                self.position += u32::from(writes);
                writes && self.position >= bursts
            }
            Instruction::Refresh => {
                if self.cycle >= self.next_refresh {
                    self.refresh();
                    return false;
                }
                true
            }
            Instruction::Activate { row } => {
                let opens = self.issue(actab, Command::Activate { row });
                self.open |= opens;
                opens
            }
            Instruction::Mac { half, column, count } => self.mac(half, column, count),
            Instruction::ReadAccumulators => self.issue(rdmac, Command::Read),
            Instruction::Precharge => {
                let closes = self.issue(prea, Command::Precharge);
                self.open &= !closes;
                closes
            }
        }
    }

    fn mac(&mut self, half: u32, column: u32, count: u32) -> bool {
        if self.turn {
            if self.write_shadow() {
                self.turn = false;
                return self.position >= count;
            }
            return false;
        }
        if self.shadow.is_some_and(|shadow| shadow.half == half) {
            self.write_shadow();
            return false;
        }
        if self.position >= count {
            return true;
        }
        if self.cycle < self.half_ready[(half & 1) as usize] {
            return false;
        }
        let command = Command::Mac { half, column: column + self.position };
        if !self.issue(self.commands.macab, command) {
            return false;
        }
        self.position += 1;
        self.turn = self.shadow.is_some_and(|shadow| self.happened(shadow.after));
        self.position >= count && !self.turn
    }

    /// The next burst of the vector in the shadow, if its event has happened.
    fn write_shadow(&mut self) -> bool {
        let Some(Shadow { half, next, bursts, after }) = self.shadow else { return false };
        if !self.happened(after) {
            self.pause();
            return false;
        }
        let writes = self.write(half, next);
        if writes {
            let next = next + 1;
            self.shadow = (next < bursts).then_some(Shadow { half, next, bursts, after });
        }
        writes
    }

    fn write(&mut self, half: u32, line: u32) -> bool {
        let writes = self.issue(self.commands.wrgb, Command::WriteVector { half, line });
        if writes {
            self.half_ready[(half & 1) as usize] = self.cycle + self.written;
        }
        writes
    }

    /// Nothing else can be done in this cycle.
    fn pause(&mut self) {
        if !self.open && self.cycle >= self.next_refresh {
            self.refresh();
        }
    }

    fn refresh(&mut self) {
        if self.open {
            let closes = self.issue(self.commands.prea, Command::Precharge);
            self.open &= !closes;
        } else if self.issue(REFA, Command::Refresh) {
            let interval = self.refresh_interval.unwrap_or(u64::MAX);
            self.next_refresh = self.next_refresh.saturating_add(interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use attelier_dram::trace::Issued;
    use attelier_hw::config;
    use attelier_workloads::decoding::DecoderShape;

    use super::*;
    use crate::designs::pim_gpt::compile::{Compiler, expand};
    use crate::designs::pim_gpt::machine::Machine;
    use crate::designs::pim_gpt::placement::Placement;

    fn machine(set: &[&str]) -> PimGpt {
        let sets: Vec<String> = set.iter().map(ToString::to_string).collect();
        PimGpt::check(&config::load("pim-gpt", None, &sets).unwrap()).unwrap()
    }

    /// Cycles of all commands of a program whose events happen at once.
    fn run(params: &PimGpt, program: &[Instruction]) -> Vec<(u64, Command)> {
        let mut unit = PimSequencer::new(params).unwrap();
        let (mut at, mut cycle, mut commands) = (0, 0, Vec::new());
        while at < program.len() || unit.shown.command.is_some() {
            let happened = unit.pending.first().copied();
            let (taken, shown) = unit.tick(program.get(at).copied(), happened);
            at += usize::from(taken);
            commands.extend(shown.command.map(|command| (cycle - 1, command)));
            cycle += 1;
        }
        commands
    }

    /// A row by hand: tRCD 24, MACs 2 apart, read-outs 1 behind, tRTP 2, tRP 24.
    #[test]
    fn a_row_keeps_the_distances_of_the_record() {
        let params = machine(&[]);
        let program = [
            Instruction::Activate { row: 9 },
            Instruction::Mac { half: 0, column: 3, count: 2 },
            Instruction::ReadAccumulators,
            Instruction::Precharge,
            Instruction::Activate { row: 10 },
        ];
        let cycles: Vec<u64> = run(&params, &program).iter().map(|(cycle, _)| *cycle).collect();
        assert_eq!(cycles, [0, 24, 26, 27, 48, 72]);
    }

    /// A refresh that is due: 910 cycles until a row opens.
    #[test]
    fn a_refresh_is_given_where_the_program_allows_one() {
        let params = machine(&["timing.n_refi=1000"]);
        let row = [
            Instruction::Refresh,
            Instruction::Activate { row: 9 },
            Instruction::Mac { half: 0, column: 0, count: 64 },
            Instruction::Precharge,
        ];
        let commands = run(&params, &row.repeat(8));
        let refreshes: Vec<usize> =
            (0..commands.len()).filter(|at| commands[*at].1 == Command::Refresh).collect();
        assert!(!refreshes.is_empty());
        for at in refreshes {
            assert_eq!(commands[at + 1].0 - commands[at].0, 910);
        }
    }

    /// The products of a layer, with vectors in the shadow of MACs: the same commands in the same order
    /// as the machine, and at most two cycles per row later.
    #[test]
    fn a_layer_takes_as_long_as_in_the_machine_and_little_more() {
        let params = machine(&["memory.refresh=false"]);
        let shape = DecoderShape::gpt(1, 2048, 16).unwrap();
        let placement = Placement::new(&params, &shape, 2048, false).unwrap();
        let layer = Compiler::new(&params, &shape, &placement).layer(200);
        // Nothing computes, so events never happen and are no obstacle.
        let program: Vec<Instruction> = expand(&layer, params.mac.columns, 0)
            .filter(|instruction| {
                !matches!(
                    instruction,
                    Instruction::Asic { .. }
                        | Instruction::WriteRow { .. }
                        | Instruction::WriteElement { .. }
                )
            })
            .collect();
        let mut reference = Machine::new(&params, Vec::<Issued>::new()).unwrap();
        program.iter().for_each(|instruction| reference.execute(instruction).unwrap());
        let theirs = reference.into_sink();
        let ours = run(&params, &program);
        let rows = |commands: &[(u64, Command)]| -> Vec<u32> {
            let row = |command: &(u64, Command)| match command.1 {
                Command::Activate { row } => Some(row),
                _ => None,
            };
            commands.iter().filter_map(row).collect()
        };
        let opened: Vec<u32> = theirs.iter().filter_map(|issued| issued.row).collect();
        assert_eq!(rows(&ours), opened);
        assert_eq!(ours.len(), theirs.len());
        let (ours, theirs) = (ours.last().unwrap().0, theirs.last().unwrap().cycle);
        assert!(ours >= theirs && ours <= theirs + 2 * opened.len() as u64, "{ours} for {theirs}");
    }
}
