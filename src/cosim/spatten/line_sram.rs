//! Key and value buffers: planes are written and lines are read at random, or as real requests do.
//!
//! The simulator's buffer holds counts of lines, no words; what a line holds is a plain array here.
//! As in the simulator, a line can be read in the cycle after it was written.

use std::{collections::VecDeque, sync::Arc};

use attelier_hw::spatten::Spatten;
use attelier_rtl::ir::Module;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::qkv_fetcher::StreamKind;

use super::{
    operands::{lanes, lines, packed, words},
    requests::{Fetch, Requests, Work},
};
use crate::cosim::{Pace, Plan, Random, Unit};

struct LineSram {
    name: &'static str,
    build: fn(&Spatten) -> Result<Arc<Module>, Error>,
    stages: fn(&Work, &Spatten) -> Vec<Stage>,
    params: Spatten,
    lines: u32,
    vectors: u32,
}

/// The key buffer of a machine.
pub fn keys(params: &Spatten) -> Box<dyn Unit> {
    Box::new(LineSram {
        name: "key_sram",
        build: units::spatten::key_sram,
        stages: key_stages,
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
        stages: value_stages,
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
        let Spatten { head_dim, datapath_bits: bits, bitwidth_converter, .. } = &self.params;
        let banks = bitwidth_converter.lines_per_cycle;
        let groups = u64::from(self.lines / banks);
        let drawn = Drawn {
            random: Random::new(plan.seed, 1),
            banks,
            elements: self.vectors * head_dim,
            bits: *bits,
            used: [0, 1, groups - 1],
        };
        self.driver(pins, plan, Box::new(drawn))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let mut stages = VecDeque::new();
        let mut first_line = 0;
        for work in &requests.works {
            let lines = if self.name == "key_sram" { work.key_lines } else { work.value_lines };
            for mut stage in (self.stages)(work, &self.params) {
                let place = |line: u64| (first_line + line) % u64::from(self.lines);
                stage.reads.iter_mut().for_each(|line| *line = place(*line));
                stage.writes.iter_mut().flat_map(|write| &mut write.lines).for_each(|(line, _)| {
                    *line = place(*line);
                });
                stages.push_back(stage);
            }
            first_line += u64::from(lines);
        }
        Ok(self.driver(pins, plan, Box::new(Real(stages))))
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

/// Lines that are written in one cycle.
struct Write {
    /// Numbers and words, one line per bank at most.
    lines: Vec<(u64, Vec<i32>)>,
    /// Segments of the words that are written.
    segments: u64,
}

/// What is done to a buffer.
trait Accesses {
    /// A line to read, if there is one now.
    fn read(&mut self) -> Option<u64>;
    /// Lines to write, if there are any now.
    fn write(&mut self) -> Option<Write>;
    /// Whether nothing is left.
    fn is_through(&self) -> bool;
}

struct Drawn {
    random: Random,
    banks: u32,
    elements: u32,
    bits: u32,
    /// Few groups, at both ends of the buffer, so that lines are read soon after they are written.
    used: [u64; 3],
}

impl Drawn {
    fn line(&mut self, bank: u64) -> u64 {
        self.used[self.random.below(3) as usize] * u64::from(self.banks) + bank
    }
}

impl Accesses for Drawn {
    fn read(&mut self) -> Option<u64> {
        let bank = self.random.below(self.banks.into());
        Some(self.line(bank))
    }

    fn write(&mut self) -> Option<Write> {
        let into = self.random.bits(self.banks);
        // All planes, or some below others.
        let count = units::spatten::segments(self.bits).len() as u32;
        let segments =
            if self.random.chance(1, 2) { lanes(count) } else { self.random.bits(count) };
        let banks = (0..u64::from(self.banks)).filter(|bank| into >> bank & 1 == 1);
        let lines = banks.map(|bank| {
            let line = self.line(bank);
            (line, words(&mut self.random, self.elements, self.bits))
        });
        Some(Write { lines: lines.collect(), segments })
    }

    fn is_through(&self) -> bool {
        false
    }
}

/// Lines that are written, and then read.
#[derive(Default)]
struct Stage {
    writes: VecDeque<Write>,
    reads: VecDeque<u64>,
}

impl Stage {
    fn write(&mut self, fetch: &Fetch, params: &Spatten, width: u32) {
        let banks = params.bitwidth_converter.lines_per_cycle as usize;
        let lines = lines(&fetch.words(params), width, params.head_dim);
        let lines: Vec<(u64, Vec<i32>)> =
            (0..).zip(lines).map(|(at, line)| (at, line.concat())).collect();
        let segments = fetch.segments(params);
        self.writes
            .extend(lines.chunks(banks).map(|lines| Write { lines: lines.to_vec(), segments }));
    }
}

/// Keys, their first computations, lower planes, the second ones.
fn key_stages(work: &Work, params: &Spatten) -> Vec<Stage> {
    let width = params.qk_array.keys_per_line;
    let mut stages = [Stage::default(), Stage::default()];
    let again = work.passes.iter().any(|pass| pass.is_flat);
    for fetch in &work.fetches {
        match fetch.kind {
            StreamKind::Key => stages[0].write(fetch, params, width),
            StreamKind::KeyLsb => stages[usize::from(again)].write(fetch, params, width),
            StreamKind::Value | StreamKind::Query => {}
        }
    }
    let first = work.queries();
    for (at, pass) in work.passes.iter().enumerate() {
        let rows = pass.scores.len().div_ceil(width as usize) as u64;
        stages[usize::from(at >= first)].reads.extend(0..rows);
    }
    stages.into()
}

/// Values, then all reads.
fn value_stages(work: &Work, params: &Spatten) -> Vec<Stage> {
    let width = params.pv_array.values_per_line;
    let mut stage = Stage::default();
    let values = work.fetches.iter().filter(|fetch| fetch.kind == StreamKind::Value);
    values.for_each(|fetch| stage.write(fetch, params, width));
    for pass in work.accepted() {
        stage.reads.extend(work.value_lines_read(pass, width).into_iter().map(u64::from));
    }
    vec![stage]
}

/// Lines of the next stage are written while those of this one are read.
struct Real(VecDeque<Stage>);

impl Accesses for Real {
    fn read(&mut self) -> Option<u64> {
        while self.0.front().is_some_and(|stage| stage.writes.is_empty() && stage.reads.is_empty())
        {
            self.0.pop_front();
        }
        let stage = self.0.front_mut().filter(|stage| stage.writes.is_empty())?;
        stage.reads.pop_front()
    }

    fn write(&mut self) -> Option<Write> {
        self.0.iter_mut().take(2).find_map(|stage| stage.writes.pop_front())
    }

    fn is_through(&self) -> bool {
        self.0.iter().all(|stage| stage.writes.is_empty() && stage.reads.is_empty())
    }
}

impl LineSram {
    fn driver(&self, pins: &Pins, plan: Plan, mut accesses: Box<dyn Accesses>) -> Box<dyn Vectors> {
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
        let mut noise = Random::new(plan.seed, 4);
        let (mut writes, mut reads) = (Pace::new(plan.seed, 2), Pace::new(plan.seed, 3));
        let elements = count * head_dim;
        let mut content = vec![vec![0i32; elements as usize]; self.lines as usize];
        let mut shown: Option<Vec<i32>> = None;
        Box::new(move |frame: &mut Frame| {
            // One more cycle shows the last line.
            if frame.beats() >= plan.beats || accesses.is_through() && shown.is_none() {
                return false;
            }
            if let Some(line) = &shown {
                for (pin, vector) in outputs.iter().zip(line.chunks(head_dim as usize)) {
                    frame.expect_bits(*pin, &packed(vector, bits));
                }
            }
            if accesses.is_through() {
                shown = None;
            }
            let read = if reads.willing() { accesses.read() } else { None };
            frame.drive(read_valid, u64::from(read.is_some()));
            frame.drive(read_line, read.unwrap_or_else(|| noise.bits(32)));
            if let Some(line) = read {
                frame.count_beat();
                shown = Some(content[line as usize].clone());
            }

            let write = if writes.willing() { accesses.write() } else { None };
            frame.drive(write_valid, u64::from(write.is_some()));
            let Write { lines, segments: chosen } =
                write.unwrap_or_else(|| Write { lines: Vec::new(), segments: noise.bits(64) });
            frame.drive(write_segments, chosen);
            let planes = segments.iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1);
            let mask = planes.fold(0, |mask, (_, &(low, high))| mask | ((1 << high) - (1 << low)));
            let mut into = 0;
            for (line, new) in lines {
                let bank = (line % u64::from(banks)) as usize;
                into |= 1 << bank;
                frame.drive(write_places[bank], line / u64::from(banks));
                for (pin, vector) in write_lines[bank].iter().zip(new.chunks(head_dim as usize)) {
                    frame.drive_bits(*pin, &packed(vector, bits));
                }
                for (old, new) in content[line as usize].iter_mut().zip(new) {
                    *old = *old & !mask | new & mask;
                }
            }
            frame.drive(write_banks, into);
            true
        })
    }
}
