//! The vector buffer: writes and reads that meet. The simulator counts its bursts only.

use attelier_hw::pim_gpt::PimGpt;
use attelier_rtl::bits::Bits;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};

use crate::cosim::{Pace, Plan, Random, Unit};

struct GlobalBuffer(PimGpt);

/// The buffer of a machine's channels.
pub fn unit(params: &PimGpt) -> Box<dyn Unit> {
    Box::new(GlobalBuffer(params.clone()))
}

impl GlobalBuffer {
    fn lines(&self) -> u64 {
        let memory = &self.0.memory;
        let halves = if memory.double_buffer { 2 } else { 1 };
        halves * u64::from(memory.buffer_bytes / memory.burst_bytes)
    }
}

impl Unit for GlobalBuffer {
    fn name(&self) -> &'static str {
        "global_buffer"
    }

    fn parameters(&self) -> String {
        format!("{} lines of {} bits", self.lines(), self.0.memory.burst_bytes * 8)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::pim_gpt::global_buffer(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let [write, write_line, write_data, read, read_line] =
            ["write_valid", "write_line", "write_data", "read_valid", "read_line"]
                .map(|name| pins.input(name));
        let data = pins.output("data");
        let (width, lines) = (write_data.width, self.lines());
        let mut model = vec![Bits::zero(width); lines as usize];
        let mut shown = Bits::zero(width);
        let mut random = Random::new(plan.seed, 1);
        let (mut writes, mut reads) = (Pace::new(plan.seed, 2), Pace::new(plan.seed, 3));
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats {
                return false;
            }
            frame.expect_bits(data, &shown);
            // Few lines in one of two cases, so that writes and reads meet.
            let mut line = || {
                let below = if random.chance(1, 2) { 2 } else { lines };
                random.below(below)
            };
            let (to, from) = (line(), line());
            let words: Vec<u64> = (0..width.div_ceil(64)).map(|_| random.bits(64)).collect();
            let value = Bits::from_words(&words, width);
            let (writes, reads) = (writes.willing(), reads.willing());
            frame.drive(write, u64::from(writes));
            frame.drive(write_line, to);
            frame.drive_bits(write_data, &value);
            frame.drive(read, u64::from(reads));
            frame.drive(read_line, from);
            if reads {
                shown.clone_from(&model[from as usize]);
                frame.count_beat();
            }
            if writes {
                model[to as usize] = value;
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        vec![Mutation { module: "global_buffer", signal: "line", change: Change::Delayed }]
    }
}
