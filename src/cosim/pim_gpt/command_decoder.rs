//! The command decoder: programs as a channel gets them, and now and then a command that is illegal.

use attelier_hw::pim_gpt::PimGpt;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::units::pim_gpt::command_decoder::{self as rtl, command_decoder};
use attelier_rtl::witness::{Frame, Pin, Pins, Vectors};
use attelier_rtl::{Design, Error};
use attelier_sim::units::pim_decoder::{Command, PimDecoder, Strobes};

use crate::cosim::{Pace, Plan, Random, Unit};

struct CommandDecoder(PimGpt);

/// The decoder of a machine's channels.
pub fn unit(params: &PimGpt) -> Box<dyn Unit> {
    Box::new(CommandDecoder(params.clone()))
}

/// Input pins of a command.
pub struct CommandPins([Pin; 4]);

impl CommandPins {
    pub fn of(pins: &Pins) -> Self {
        Self(["command", "row", "column", "half"].map(|name| pins.input(name)))
    }

    /// Drives a command; noise where its fields mean nothing.
    pub fn drive(&self, frame: &mut Frame, command: Option<Command>, noise: &mut Random) {
        let mut fields = [0, noise.bits(64), noise.bits(64), noise.bits(64)];
        match command {
            // Codes that mean nothing do nothing.
            None => fields[0] = [0, 7][noise.below(2) as usize],
            Some(Command::Activate { row }) => {
                (fields[0], fields[1]) = (rtl::ACTAB, row.into());
            }
            Some(Command::Mac { half, column }) => {
                (fields[0], fields[2], fields[3]) = (rtl::MACAB, column.into(), half.into());
            }
            Some(Command::Read) => fields[0] = rtl::RDACC,
            Some(Command::Precharge) => fields[0] = rtl::PREAB,
            Some(Command::Refresh) => fields[0] = rtl::REFAB,
            Some(Command::WriteVector { half, line }) => {
                (fields[0], fields[2], fields[3]) = (rtl::WRVEC, line.into(), half.into());
            }
        }
        for (pin, value) in self.0.iter().zip(fields) {
            frame.drive(*pin, value);
        }
    }
}

impl Unit for CommandDecoder {
    fn name(&self) -> &'static str {
        "command_decoder"
    }

    fn parameters(&self) -> String {
        let memory = &self.0.memory;
        format!("{} rows of {} bursts", memory.rows, memory.row_bytes / memory.burst_bytes)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&command_decoder(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let memory = self.0.memory.clone();
        let (columns, lines) = (
            u64::from(memory.row_bytes / memory.burst_bytes),
            u64::from(memory.buffer_bytes / memory.burst_bytes),
        );
        let command_pins = CommandPins::of(pins);
        let bits = [
            "activate",
            "precharge",
            "refresh",
            "bank_read",
            "buffer_write",
            "mac_valid",
            "read_valid",
        ]
        .map(|name| pins.output(name));
        let illegal = pins.output("illegal_command");
        let [row, column, read_line, write_line] =
            ["activate_row", "bank_column", "buffer_read_line", "buffer_write_line"]
                .map(|name| pins.output(name));
        let mut model = PimDecoder::new(&self.0);
        let (mut random, mut gives) = (Random::new(plan.seed, 1), Pace::new(plan.seed, 2));
        let mut open = false;
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats {
                return false;
            }
            let half = random.below(2) as u32;
            // Legal for the first half of the beats, so that the bit that remembers is seen as 0.
            let careless = frame.beats() > plan.beats / 2 && random.chance(1, 16);
            let command = gives.willing().then(|| match random.below(64) {
                0 if open && !careless => Command::Precharge,
                0 => Command::Activate { row: random.below(memory.rows.into()) as u32 },
                1 if careless => Command::Precharge,
                1 if !open => Command::Refresh,
                2 if careless => Command::Refresh,
                1..4 => Command::Read,
                4..10 => Command::WriteVector { half, line: random.below(lines) as u32 },
                _ if open || careless => {
                    Command::Mac { half, column: random.below(columns) as u32 }
                }
                _ => Command::Activate { row: random.below(memory.rows.into()) as u32 },
            });
            match command {
                Some(Command::Activate { .. }) => open = true,
                Some(Command::Precharge) => open = false,
                _ => {}
            }
            if command.is_some() {
                frame.count_beat();
            }
            command_pins.drive(frame, command, &mut random);
            let shown: Strobes = model.tick(command);
            let values = [
                shown.activate.is_some(),
                shown.precharge,
                shown.refresh,
                shown.access.is_some(),
                shown.write.is_some(),
                shown.mac,
                shown.read,
            ];
            for (pin, value) in bits.iter().zip(values) {
                frame.expect(*pin, u64::from(value));
            }
            frame.expect(illegal, u64::from(shown.illegal));
            let access = shown.access.map(|(column, _)| column);
            let line = shown.access.map(|(_, line)| line);
            let numbers = [(row, shown.activate), (column, access), (read_line, line)];
            for (pin, value) in numbers.into_iter().chain([(write_line, shown.write)]) {
                if let Some(value) = value {
                    frame.expect(pin, value.into());
                }
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "command_decoder", signal, change };
        vec![
            of("open", Change::Inverted),
            of("position", Change::Zero),
            of("illegal", Change::Zero),
            of("has_line", Change::Inverted),
            of("read_out_strobe", Change::Undelayed),
            of("mac_strobe", Change::Delayed),
            of("renews", Change::Zero),
            of("bank_column_register", Change::Undelayed),
        ]
    }
}
