//! Bitwidth converter: commands of random format and length, or the fetches of real requests; rows and
//! gaps.

use std::{collections::VecDeque, iter};

use attelier_hw::spatten::Spatten;
use attelier_rtl::bits::Bits;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::units::spatten::{Format, formats};
use attelier_rtl::witness::{Frame, Pin, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::datapath::bitwidth_converter::{Field, merge, words};
use attelier_sim::kernel::activity::EventLog;
use attelier_sim::kernel::clock::Cycle;
use attelier_sim::units::bitwidth_converter::{BitwidthConverter as Model, Conversion, Target};

use super::{operands::packed, requests::Requests};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

struct BitwidthConverter(Spatten);

/// The unit of a machine.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    Box::new(BitwidthConverter(params.clone()))
}

impl Unit for BitwidthConverter {
    fn name(&self) -> &'static str {
        "bitwidth_converter"
    }

    fn parameters(&self) -> String {
        let Spatten { qkv_fetcher, bitwidth_converter, .. } = &self.0;
        let (lanes, lines) = (qkv_fetcher.lanes, bitwidth_converter.lines_per_cycle);
        format!("{lanes} lanes, {lines} lines, {} B", bitwidth_converter.buffer_bytes)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::spatten::bitwidth_converter(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (params, mut random) = (self.0.clone(), Random::new(plan.seed, 4));
        let formats = formats(&params);
        let commands = iter::repeat_with(move || Command::drawn(&params, &formats, &mut random));
        Box::new(Driver::new(&self.0, pins, plan, Box::new(commands)))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let formats = formats(&self.0);
        let fetches = requests.works.iter().flat_map(|work| &work.fetches);
        let commands = fetches.map(|fetch| {
            let format = fetch.format(&self.0, &formats)?;
            Ok(Command { format, vectors: fetch.vectors.clone(), left: 0 })
        });
        let commands = commands.collect::<Result<Vec<_>, String>>()?;
        Ok(Box::new(Driver::new(&self.0, pins, plan, Box::new(commands.into_iter()))))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "bitwidth_converter", signal, change };
        vec![
            of("closes", Change::Zero),
            of("left_1", Change::Inverted),
            of("in_by_1_0", Change::Exchanged),
            of("out_by_1_0", Change::Exchanged),
            of("pops", Change::Delayed),
            of("line_0_vector_0", Change::Inverted),
        ]
    }
}

/// A command with all its stored vectors.
struct Command {
    format: usize,
    /// One entry per vector.
    vectors: Vec<Vec<u8>>,
    /// Vectors that have left.
    left: usize,
}

impl Command {
    fn drawn(params: &Spatten, formats: &[Format], random: &mut Random) -> Self {
        let number = random.below(formats.len() as u64) as usize;
        let format = formats[number];
        let vector_bytes = format.vector_units(params) * params.memory.transaction_bytes;
        let count = match format.vectors {
            1 => 1,
            vectors => 1 + random.below(u64::from(5 * vectors)),
        };
        let mut byte = || random.bits(8) as u8;
        let vectors = (0..count).map(|_| (0..vector_bytes).map(|_| byte()).collect()).collect();
        Self { format: number, vectors, left: 0 }
    }
}

/// One row on its way.
struct Row {
    units: Vec<Vec<u8>>,
    last: bool,
    format: usize,
}

struct Driver {
    params: Spatten,
    formats: Vec<Format>,
    row_valid: Pin,
    row_units: Pin,
    row_last: Pin,
    row_format: Pin,
    row_data: Vec<Pin>,
    row_ready: Pin,
    groups: Pin,
    format_out: Pin,
    ends: Pin,
    lines: Vec<Vec<Pin>>,
    plan: Plan,
    random: Random,
    gives: Pace,
    now: Cycle,
    model: Model,
    log: EventLog,
    source: Source<Command>,
    commands: VecDeque<Command>,
    rows: VecDeque<Row>,
}

impl Driver {
    fn new(params: &Spatten, pins: &Pins, plan: Plan, source: Source<Command>) -> Self {
        let (keys, lines) =
            (params.qk_array.keys_per_line, params.bitwidth_converter.lines_per_cycle);
        Self {
            params: params.clone(),
            formats: formats(params),
            row_valid: pins.input("row_valid"),
            row_units: pins.input("row_units"),
            row_last: pins.input("row_last"),
            row_format: pins.input("row_format"),
            row_data: pins.input_lanes("row_data", params.qkv_fetcher.lanes),
            row_ready: pins.output("row_ready"),
            groups: pins.output("groups"),
            format_out: pins.output("format_out"),
            ends: pins.output("ends"),
            lines: (0..lines)
                .map(|line| pins.output_lanes(&format!("m_line_{line}_vector"), keys))
                .collect(),
            plan,
            random: Random::new(plan.seed, 1),
            gives: Pace::new(plan.seed, 2),
            now: Cycle(0),
            model: Model::new(&params.bitwidth_converter),
            log: EventLog::default(),
            source,
            commands: VecDeque::new(),
            rows: VecDeque::new(),
        }
    }

    /// Announces a command to the model and cuts it into rows.
    fn add_command(&mut self, command: Command) {
        let params = &self.params;
        let format = self.formats[command.format];
        let bytes: Vec<u8> = command.vectors.concat();
        let vector_bytes = format.vector_units(params) * params.memory.transaction_bytes;
        self.model.expect(Conversion {
            job: 0,
            what: "",
            start: self.now,
            target: Target::Query,
            group_bytes: u64::from(vector_bytes * format.vectors),
            lines_per_group: format.heads,
            groups_per_cycle: 0,
            expected: bytes.len() as u64,
            buffered: 0,
        });
        let units: Vec<Vec<u8>> =
            bytes.chunks(params.memory.transaction_bytes as usize).map(<[u8]>::to_vec).collect();
        let rows = units.chunks(params.qkv_fetcher.lanes as usize);
        let all = rows.len();
        self.rows.extend(rows.enumerate().map(|(at, units)| Row {
            units: units.to_vec(),
            last: at + 1 == all,
            format: command.format,
        }));
        self.commands.push_back(command);
    }

    fn drive_row(&mut self, frame: &mut Frame, gives: bool) {
        let row = self.rows.front().filter(|_| gives);
        frame.drive(self.row_valid, u64::from(row.is_some()));
        let noise = &mut self.random;
        let count = row.map_or_else(|| noise.bits(8), |row| row.units.len() as u64);
        frame.drive(self.row_units, count);
        frame.drive(self.row_last, row.map_or_else(|| noise.bits(1), |row| u64::from(row.last)));
        frame.drive(self.row_format, row.map_or(0, |row| row.format as u64));
        let width = self.params.memory.transaction_bytes * 8;
        for (lane, pin) in self.row_data.iter().enumerate() {
            let unit = row.and_then(|row| row.units.get(lane));
            let words: Vec<u64> = match unit {
                Some(bytes) => bytes.chunks(8).map(little_endian).collect(),
                None => (0..width.div_ceil(64)).map(|_| noise.bits(64)).collect(),
            };
            frame.drive_bits(*pin, &Bits::from_words(&words, width));
        }
    }

    /// Groups leave: every vector that exists shows in the line of its head.
    fn expect_lines(&mut self, frame: &mut Frame, groups: u32) {
        let Some(command) = self.commands.front_mut() else { return };
        let format = self.formats[command.format];
        let (head_dim, bits) = (self.params.head_dim, self.params.datapath_bits);
        for group in 0..groups {
            let left = command.vectors.len() - command.left;
            for vector in 0..left.min(format.vectors as usize) {
                let stored = &command.vectors[command.left + vector];
                for head in 0..format.heads {
                    let line = match format.above {
                        0 => words(stored, format.bits, (head, format.heads), head_dim, bits)
                            .collect(),
                        above => {
                            let mut line = vec![0; head_dim as usize];
                            merge(&mut line, stored, Field { bits: format.bits, above }, bits);
                            line
                        }
                    };
                    let pin = self.lines[(group * format.heads + head) as usize][vector];
                    frame.expect_bits(pin, &packed(&line, bits));
                }
            }
            command.left += left.min(format.vectors as usize);
        }
        let ends = command.left == command.vectors.len();
        frame.expect(self.format_out, command.format as u64);
        frame.expect(self.ends, u64::from(ends));
        if ends {
            self.commands.pop_front();
        }
    }
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        if frame.beats() >= self.plan.beats {
            return false;
        }
        while self.rows.len() < 2
            && let Some(command) = self.source.next()
        {
            self.add_command(command);
        }
        if self.commands.is_empty() {
            return false;
        }
        let gives = self.gives.willing();
        self.drive_row(frame, gives);
        let groups = self.model.tick(self.now, &mut self.log).map_or(0, |delivery| delivery.groups);
        frame.expect(self.groups, groups.into());
        if groups > 0 {
            self.expect_lines(frame, groups);
        }
        let Spatten { memory, qkv_fetcher, .. } = &self.params;
        let row_bytes = u64::from(qkv_fetcher.lanes * memory.transaction_bytes);
        let room = self.model.has_room(row_bytes);
        frame.expect(self.row_ready, u64::from(room));
        if gives
            && room
            && let Some(row) = self.rows.pop_front()
        {
            frame.count_beat();
            self.model.accept(row.units.len() as u64 * u64::from(memory.transaction_bytes));
        }
        self.now = self.now + 1;
        true
    }
}
