//! The instruction sequencer: programs at a random pace, an ASIC that takes its time.

use std::collections::BTreeSet;

use attelier_hw::pim_gpt::PimGpt;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::units::pim_gpt::command_decoder as codes;
use attelier_rtl::witness::{Frame, Pin, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::designs::pim_gpt::isa::Instruction;
use attelier_sim::units::pim_decoder::Command;
use attelier_sim::units::pim_sequencer::{PimSequencer, Shown};

use super::programs::{self, Programs};
use crate::cosim::{Pace, Plan, Random, Unit};

struct Sequencer(PimGpt);

/// The sequencer of a machine.
pub fn unit(params: &PimGpt) -> Box<dyn Unit> {
    Box::new(Sequencer(params.clone()))
}

impl Unit for Sequencer {
    fn name(&self) -> &'static str {
        "sequencer"
    }

    fn parameters(&self) -> String {
        format!("{} channels, {} rows", self.0.memory.channels, self.0.memory.rows)
    }

    fn design(&self) -> Result<Design, Error> {
        programs::fit(&self.0)?;
        Design::new([&units::pim_gpt::sequencer(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let mut control = Control::new(&self.0, pins, plan, false);
        let [command, row, column, half, select] =
            ["command", "row", "column", "half", "channel_select"].map(|name| pins.output(name));
        let all = self.0.memory.channels;
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats && control.programs.is_between() {
                return false;
            }
            let shown = control.tick(frame);
            // Refreshes go everywhere.
            let to = match shown.command {
                Some(Command::Refresh) => all,
                _ => shown.channels,
            };
            frame.expect(select, u64::MAX.checked_shr(64 - to.min(64)).unwrap_or(0));
            if shown.command.is_some() {
                frame.count_beat();
            }
            let (code, fields) = match shown.command {
                None => (0, [None; 3]),
                Some(Command::Activate { row }) => (codes::ACTAB, [Some(row), None, None]),
                Some(Command::Mac { half, column }) => {
                    (codes::MACAB, [None, Some(column), Some(half)])
                }
                Some(Command::Read) => (codes::RDACC, [None; 3]),
                Some(Command::Precharge) => (codes::PREAB, [None; 3]),
                Some(Command::Refresh) => (codes::REFAB, [None; 3]),
                Some(Command::WriteVector { half, line }) => {
                    (codes::WRVEC, [None, Some(line), Some(half)])
                }
            };
            frame.expect(command, code);
            for (pin, value) in [row, column, half].iter().zip(fields) {
                if let Some(value) = value {
                    frame.expect(*pin, value.into());
                }
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "sequencer", signal, change };
        let mut faults = vec![
            of("since_activate", Change::Zero),
            of("since_mac", Change::Zero),
            of("half_ready", Change::Inverted),
            of("happened", Change::Zero),
            of("announced", Change::Zero),
            of("is_last", Change::Inverted),
            of("next_column", Change::Exchanged),
            of("command_register", Change::Undelayed),
        ];
        if self.0.memory.double_buffer {
            faults.push(of("turn", Change::Zero));
        }
        if self.0.memory.refresh {
            faults.push(of("refreshes", Change::Zero));
            faults.push(of("refreshes_all", Change::Zero));
        }
        faults
    }
}

/// Instructions into a sequencer, and the answers of an ASIC.
pub struct Control {
    pub programs: Programs,
    model: PimSequencer,
    /// Beats after which no program begins.
    most: u64,
    offers: Pace,
    offered: bool,
    random: Random,
    /// When events happen, and which.
    later: BTreeSet<(u64, u32)>,
    cycle: u64,
    inputs: [Pin; 4],
    ready: Pin,
    orders: [Pin; 6],
}

impl Control {
    /// Nothing has begun.
    pub fn new(params: &PimGpt, pins: &Pins, plan: Plan, values: bool) -> Self {
        Self {
            programs: Programs::new(params, plan.seed, values),
            model: PimSequencer::new(params).expect("the selection of units has asked for one"),
            most: plan.beats,
            offers: Pace::new(plan.seed, 5),
            offered: false,
            random: Random::new(plan.seed, 6),
            later: BTreeSet::new(),
            cycle: 0,
            inputs: ["s_axis_tvalid", "s_axis_tdata", "event_valid", "event_number"]
                .map(|name| pins.input(name)),
            ready: pins.output("s_axis_tready"),
            orders: [
                "asic_valid",
                "beat_valid",
                "function_code",
                "numbers",
                "has_event",
                "announced_event",
            ]
            .map(|name| pins.output(name)),
        }
    }

    /// One cycle; what shows on the command bus.
    pub fn tick(&mut self, frame: &mut Frame) -> Shown {
        self.offered |= self.offers.willing();
        let ends = frame.beats() >= self.most && self.programs.is_between();
        let head = if ends { None } else { self.programs.head() };
        let head = head.filter(|_| self.offered);
        let [valid, word, event_valid, event_pin] = self.inputs;
        frame.drive(valid, u64::from(head.is_some()));
        frame.drive(word, head.map_or_else(|| self.random.bits(64), encode));
        let due = self.later.first().copied().filter(|(cycle, _)| *cycle <= self.cycle);
        if let Some(due) = &due {
            self.later.remove(due);
        }
        let happened = due.map(|(_, event)| event);
        frame.drive(event_valid, u64::from(happened.is_some()));
        frame.drive(event_pin, happened.map_or_else(|| self.random.bits(7), u64::from));

        let (taken, shown) = self.model.tick(head, happened);
        frame.expect(self.ready, u64::from(taken));
        if taken {
            self.programs.advance();
            self.offered = false;
        }
        let [asic, beat, function, numbers, has_event, announced] = self.orders;
        frame.expect(asic, u64::from(shown.asic.is_some()));
        frame.expect(beat, u64::from(shown.beat.is_some()));
        if let Some(kind) = shown.beat {
            frame.expect(function, kind as u64);
        }
        if let Some((kind, amount, event)) = shown.asic {
            frame.expect(function, kind as u64);
            frame.expect(numbers, amount.into());
            frame.expect(has_event, u64::from(event.is_some()));
            if let Some(event) = event {
                frame.expect(announced, event.into());
                let wait = if self.random.chance(1, 4) { 400 } else { 30 };
                self.later.insert((self.cycle + 1 + self.random.below(wait), event));
            }
        }
        self.cycle += 1;
        shown
    }
}

/// An instruction as the word of 64 bits that `docs/designs/pim-gpt.md` documents.
pub fn encode(instruction: Instruction) -> u64 {
    let event = |event: Option<u32>| event.map_or(0, |event| 1 << 6 | u64::from(event & 127) << 7);
    let upper = |value: u32| u64::from(value) << 32;
    let column = |column: u32| u64::from(column & 0x3fff) << 18;
    let half = |half: u32| u64::from(half & 1) << 4;
    match instruction {
        Instruction::Channels { count } => 1 | upper(count),
        Instruction::WriteVector { half: to, bursts, after, shadow } => {
            2 | half(to) | u64::from(shadow) << 5 | event(after) | upper(bursts)
        }
        Instruction::Refresh => 3,
        Instruction::Activate { row } => 4 | upper(row),
        Instruction::Mac { half: of, column: first, count } => {
            5 | half(of) | column(first) | upper(count)
        }
        Instruction::ReadAccumulators => 6,
        Instruction::Precharge => 7,
        Instruction::Beat { function } => 8 | (function as u64) << 14,
        Instruction::Asic { function, numbers, event: done } => {
            9 | event(done) | (function as u64) << 14 | upper(numbers)
        }
        Instruction::WriteRow { row, column: first, after, .. } => {
            10 | event(after) | column(first) | upper(row)
        }
        Instruction::WriteElement { row, column: first, after } => {
            11 | event(after) | column(first) | upper(row)
        }
    }
}
