//! From instructions to read-outs: the sequencer, and a channel with arrays of the driver.

use attelier_hw::pim_gpt::PimGpt;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::pim_decoder::{Command, PimDecoder};
use attelier_sim::units::pim_mac::{self, PimMac};

use super::operands::{noise, packed};
use super::programs;
use super::sequencer::Control;
use crate::cosim::{Plan, Random, Unit};

struct SequencedChannel(PimGpt);

/// The sequencer of a machine with one of its channels.
pub fn unit(params: &PimGpt) -> Box<dyn Unit> {
    Box::new(SequencedChannel(params.clone()))
}

impl Unit for SequencedChannel {
    fn name(&self) -> &'static str {
        "sequenced_channel"
    }

    fn parameters(&self) -> String {
        format!("{} banks of {} multipliers", self.0.memory.banks, self.0.mac.multipliers)
    }

    fn design(&self) -> Result<Design, Error> {
        programs::fit(&self.0)?;
        Design::new([&units::pim_gpt::sequenced_channel(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let banks = self.0.memory.banks;
        let (vector_pin, arrays) =
            (pins.input("vector_data"), pins.input_lanes("array_data", banks));
        let results = pins.output_lanes("result", banks);
        let [vector_read, vector_line, vector_half] =
            ["vector_read", "vector_line", "vector_half"].map(|name| pins.output(name));
        let [valid, illegal, activate, precharge, refresh, read] = [
            "result_valid",
            "illegal_command",
            "array_activate",
            "array_precharge",
            "array_refresh",
            "array_read",
        ]
        .map(|name| pins.output(name));
        let [row_pin, column_pin] = ["array_row", "array_column"].map(|name| pins.output(name));
        let mut control = Control::new(&self.0, pins, plan, true);
        let mut decoder = PimDecoder::new(&self.0);
        // All banks work alike; one tells the cycles.
        let mut pace_maker = PimMac::new(&self.0.mac);
        let mut random = Random::new(plan.seed, 1);
        let (mut open_row, mut fetched, mut burst) = (0, None, None);
        Box::new(move |frame: &mut Frame| {
            let programs = &control.programs;
            if frame.beats() >= plan.beats && programs.is_between() && programs.products.is_empty()
            {
                return false;
            }
            let bus = control.tick(frame);
            let programs = &mut control.programs;
            let data = burst.take().unwrap_or_else(|| noise(&mut random, vector_pin.width));
            frame.drive_bits(vector_pin, &data);
            let mut writes = false;
            if let Some(Command::WriteVector { half, line }) = bus.command {
                writes = true;
                frame.expect(vector_line, line.into());
                frame.expect(vector_half, half.into());
                burst = programs.burst(half, line).map(|burst| packed(burst));
            }
            frame.expect(vector_read, u64::from(writes));
            if bus.command.is_some() {
                frame.count_beat();
            }
            // The first channel gets all commands: it is always selected.
            let shown = decoder.tick(bus.command);
            frame.expect(illegal, 0);
            frame.expect(activate, u64::from(shown.activate.is_some()));
            frame.expect(precharge, u64::from(shown.precharge));
            frame.expect(refresh, u64::from(shown.refresh));
            frame.expect(read, u64::from(shown.access.is_some()));
            if let Some(row) = shown.activate {
                open_row = row;
                frame.expect(row_pin, row.into());
            }
            let access = shown.access.map(|(column, _)| (open_row, column));
            if let Some((_, column)) = access {
                frame.expect(column_pin, column.into());
            }
            // The arrays answer one cycle after they were asked.
            let place = std::mem::replace(&mut fetched, access);
            for (bank, pin) in arrays.iter().enumerate() {
                let stored = place.and_then(|place| programs.arrays.get(&place));
                let stored = stored.map(|banks| packed(&banks[bank]));
                frame.drive_bits(*pin, &stored.unwrap_or_else(|| noise(&mut random, pin.width)));
            }
            let mac = match (shown.mac, shown.read) {
                (_, true) => Some(pim_mac::Command::Read),
                (true, _) => Some(pim_mac::Command::Mac { weights: vec![], inputs: vec![] }),
                _ => None,
            };
            let shows = pace_maker.tick(mac).is_some();
            frame.expect(valid, u64::from(shows));
            if let Some(products) = shows.then(|| programs.products.pop_front()).flatten() {
                for (pin, product) in results.iter().zip(products) {
                    frame.expect(*pin, product.to_bits().into());
                }
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |module, signal, change| Mutation { module, signal, change };
        let mut faults = vec![
            of("sequencer", "next_column", Change::Exchanged),
            of("sequencer", "half_ready", Change::Inverted),
            of("command_decoder", "position", Change::Zero),
            of("mac_unit", "next_accumulator", Change::Exchanged),
            of("global_buffer", "line", Change::Delayed),
        ];
        if self.0.memory.double_buffer {
            faults.push(of("sequencer", "write_half", Change::Exchanged));
        }
        faults
    }
}
