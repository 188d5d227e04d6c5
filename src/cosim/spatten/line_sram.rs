//! Key and value buffers: planes are written and lines are read at random.
//!
//! The simulator's buffer holds counts of lines, no words; what a line holds is a plain array here.
//! As in the simulator, a line can be read in the cycle after it was written.

use std::sync::Arc;

use attelier_hw::spatten::Spatten;
use attelier_rtl::ir::Module;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};

use super::operands::{lanes, packed, words};
use crate::cosim::{Pace, Plan, Random, Unit};

struct LineSram {
    name: &'static str,
    build: fn(&Spatten) -> Result<Arc<Module>, Error>,
    params: Spatten,
    lines: u32,
    vectors: u32,
}

/// The key buffer of a machine.
pub fn keys(params: &Spatten) -> Box<dyn Unit> {
    Box::new(LineSram {
        name: "key_sram",
        build: units::spatten::key_sram,
        params: params.clone(),
        lines: params.key_sram.lines,
        vectors: params.qk_array.keys_per_line,
    })
}

/// The value buffer of a machine.
pub fn values(params: &Spatten) -> Box<dyn Unit> {
    Box::new(LineSram {
        name: "value_sram",
        build: units::spatten::value_sram,
        params: params.clone(),
        lines: params.value_sram.lines,
        vectors: params.pv_array.values_per_line,
    })
}

impl Unit for LineSram {
    fn name(&self) -> &'static str {
        self.name
    }

    fn parameters(&self) -> String {
        let Spatten { head_dim, datapath_bits, .. } = &self.params;
        let words = self.vectors * head_dim;
        format!("{} lines of {words} words of {datapath_bits} bits", self.lines)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&(self.build)(&self.params)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let Spatten { head_dim, datapath_bits: bits, .. } = self.params;
        let (count, banks) = (self.vectors, self.params.bitwidth_converter.lines_per_cycle);
        let segments = units::spatten::segments(bits);
        let [write_valid, write_banks, write_segments, read_valid, read_line] =
            ["write_valid", "write_banks", "write_segments", "read_valid", "read_line"]
                .map(|name| pins.input(name));
        let write_places = pins.input_lanes("write_place", banks);
        let write_lines: Vec<_> =
            (0..banks).map(|bank| pins.input_lanes(&format!("write_line_{bank}"), count)).collect();
        let outputs = pins.output_lanes("line", count);
        let mut random = Random::new(plan.seed, 1);
        let (mut writes, mut reads) = (Pace::new(plan.seed, 2), Pace::new(plan.seed, 3));
        let elements = count * head_dim;
        // Few groups, at both ends of the buffer, so that lines are read soon after they are written.
        let groups = u64::from(self.lines / banks);
        let used = [0, 1, groups - 1];
        let mut content = vec![vec![0i32; elements as usize]; self.lines as usize];
        let mut shown: Option<Vec<i32>> = None;
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats {
                return false;
            }
            if let Some(line) = &shown {
                for (pin, vector) in outputs.iter().zip(line.chunks(head_dim as usize)) {
                    frame.expect_bits(*pin, &packed(vector, bits));
                }
            }
            let (does_read, line) = (reads.willing(), used[random.below(3) as usize]);
            let line = line * u64::from(banks) + random.below(banks.into());
            frame.drive(read_valid, u64::from(does_read));
            frame.drive(read_line, line);
            if does_read {
                frame.count_beat();
                shown = Some(content[line as usize].clone());
            }

            let (does_write, into) = (writes.willing(), random.bits(banks));
            // All planes, or some below others.
            let all = lanes(segments.len() as u32);
            let chosen = if random.chance(1, 2) { all } else { random.bits(segments.len() as u32) };
            frame.drive(write_valid, u64::from(does_write));
            frame.drive(write_banks, into);
            frame.drive(write_segments, chosen);
            let planes = segments.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
            let mask = planes.fold(0, |mask, (_, &(low, high))| mask | ((1 << high) - (1 << low)));
            for (bank, pins) in write_lines.iter().enumerate() {
                let new = words(&mut random, elements, bits);
                let group = used[random.below(3) as usize];
                frame.drive(write_places[bank], group);
                for (pin, vector) in pins.iter().zip(new.chunks(head_dim as usize)) {
                    frame.drive_bits(*pin, &packed(vector, bits));
                }
                if does_write && into >> bank & 1 == 1 {
                    let old = &mut content[group as usize * banks as usize + bank];
                    for (old, new) in old.iter_mut().zip(new) {
                        *old = *old & !mask | new & mask;
                    }
                }
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let module = self.name;
        let of = |signal, change| Mutation { module, signal, change };
        vec![
            of("writes_0_0", Change::Inverted),
            of("read_group", Change::Zero),
            of("reads_0", Change::Delayed),
        ]
    }
}
