//! Fetcher with converter: commands of all streams, drawn or of real requests, an ideal memory on the
//! other side.

use std::{
    collections::{BTreeMap, VecDeque},
    iter::{self, Peekable},
};

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Error,
    mutate::{Change, Mutation},
    units::{
        self,
        spatten::{Format, formats, segments},
    },
    witness::{Frame, Pin, Pins, Vectors},
};
use attelier_sim::{
    datapath::bitwidth_converter::{Field, merge, words},
    kernel::{activity::EventLog, clock::Cycle},
    units::{
        bitwidth_converter::{BitwidthConverter, Delivery, Target},
        line_sram::Plane,
        qkv_fetcher::{Command, Indices, QkvFetcher as Model, StreamKind},
    },
};

use super::{
    operands::packed,
    recorder::{Channels, Recorder},
    requests::{Fetch, Requests},
    top::bytes,
};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

/// Streams of the hardware, and of the simulator.
const STREAMS: [(&str, StreamKind); 3] =
    [("key", StreamKind::Key), ("key_lsb", StreamKind::KeyLsb), ("value", StreamKind::Value)];

/// The stream that can have a list of indices.
const VALUE: usize = 2;

/// Commands of one stream that are under way at most.
const UNDER_WAY: usize = 4;

struct QkvFetcher(Spatten);

/// The unit of a machine whose queries come on a stream.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    Box::new(QkvFetcher(params.clone()))
}

impl Unit for QkvFetcher {
    fn name(&self) -> &'static str {
        "qkv_fetcher"
    }

    fn parameters(&self) -> String {
        let Spatten { qkv_fetcher, memory, .. } = &self.0;
        let (lanes, depth) = (qkv_fetcher.lanes, qkv_fetcher.fifo_depth);
        format!("{lanes} lanes, {} channels, {depth} places", memory.channels)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::spatten::qkv_fetcher(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (params, mut random) = (self.0.clone(), Random::new(plan.seed, 4));
        let transfers = iter::repeat_with(move || Transfer::drawn(&params, &mut random));
        Box::new(Driver::new(&self.0, pins, plan, Box::new(transfers)))
    }

    /// Without queries, which come on a stream.
    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let fetches = requests.works.iter().flat_map(|work| &work.fetches);
        let fetches = fetches.filter(|fetch| fetch.kind != StreamKind::Query);
        let transfers = fetches.map(|fetch| Transfer::of(&self.0, fetch));
        let transfers = transfers.collect::<Result<Vec<_>, String>>()?;
        Ok(Box::new(Driver::new(&self.0, pins, plan, Box::new(transfers.into_iter()))))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |module, signal, change| Mutation { module, signal, change };
        vec![
            of("address_generator", "served", Change::Zero),
            of("address_generator", "ends_list", Change::Zero),
            of("address_generator", "held_unit", Change::Zero),
            of("address_crossbar", "lane_0_before_1", Change::Inverted),
            of("address_crossbar", "blocks_0", Change::Inverted),
            of("address_crossbar", "may_go_1", Change::Delayed),
            of("data_crossbar", "written_place_0", Change::Zero),
            of("data_crossbar", "arrived_0", Change::Zero),
            of("qkv_fetcher", "row_ends", Change::Delayed),
            of("qkv_fetcher", "fill_mask", Change::Inverted),
        ]
    }
}

/// What one command is to bring.
struct Transfer {
    stream: usize,
    /// Number of the format.
    format: usize,
    /// Byte address of vector 0.
    base: u64,
    /// Vectors, padding included.
    vectors: u64,
    list: Option<Vec<u32>>,
    /// Stored vectors; empty where memory is noise.
    stored: Vec<Vec<u8>>,
}

impl Transfer {
    /// A list is padded with its last index.
    fn drawn(params: &Spatten, random: &mut Random) -> Self {
        let stream = random.below(STREAMS.len() as u64) as usize;
        let is_lower = STREAMS[stream].1 == StreamKind::KeyLsb;
        let list: Option<Vec<u32>> = (stream == VALUE && random.chance(1, 2)).then(|| {
            let (count, mut index) = (1 + random.below(24), 0);
            let indices = (0..count).map(|_| {
                index += 1 + random.below(5) as u32;
                index
            });
            indices.collect()
        });
        let fits: Vec<usize> = (0..)
            .zip(formats(params))
            .filter(|(_, format)| {
                let keys = format.vectors == params.qk_array.keys_per_line;
                keys && format.heads == 1 && (format.above > 0) == is_lower
            })
            .map(|(at, _)| at)
            .collect();
        let least = list.as_ref().map_or(1, |list| list.len() as u64);
        Self {
            stream,
            format: fits[random.below(fits.len() as u64) as usize],
            base: random.bits(20) * u64::from(params.memory.transaction_bytes),
            vectors: least + random.below(if list.is_some() { 8 } else { 40 }),
            list,
            stored: Vec::new(),
        }
    }

    fn of(params: &Spatten, fetch: &Fetch) -> Result<Self, String> {
        let known = formats(params);
        let stream = STREAMS.iter().position(|(_, kind)| *kind == fetch.kind);
        Ok(Self {
            stream: stream.ok_or("the hardware has no stream for it")?,
            format: fetch.format(params, &known)?,
            base: fetch.base,
            vectors: fetch.vectors.len() as u64,
            list: fetch.list.clone(),
            stored: fetch.vectors.clone(),
        })
    }
}

/// A command that has not delivered everything.
struct Given {
    stream: usize,
    slot: u64,
    format: Format,
    /// Byte address of each vector that has not been delivered.
    vectors: VecDeque<u64>,
    vector_bytes: u64,
}

struct Ports {
    valid: [Pin; 3],
    base: [Pin; 3],
    units: [Pin; 3],
    vectors: [Pin; 3],
    format: [Pin; 3],
    slot: [Pin; 3],
    list: Pin,
    list_length: Pin,
    index_valid: Pin,
    index_count: Pin,
    indices: Vec<Pin>,
    /// Asked, ready, address; answered, accepted, data.
    channels: Vec<[Pin; 6]>,
    fill: Pin,
    fill_groups: Pin,
    fill_streams: [Pin; 3],
    fill_slot: Pin,
    fill_segments: Pin,
    fill_lines: Vec<Vec<Pin>>,
    idle: Pin,
}

impl Ports {
    fn of(params: &Spatten, pins: &Pins) -> Self {
        let of = |field: &str| STREAMS.map(|(name, _)| pins.input(&format!("{name}_{field}")));
        let keys = params.qk_array.keys_per_line;
        let lines = params.bitwidth_converter.lines_per_cycle;
        let channel = |at: u32| {
            let (input, output) = (
                |name: &str| pins.input(&format!("{name}_{at}")),
                |name: &str| pins.output(&format!("{name}_{at}")),
            );
            [
                output("arvalid"),
                input("arready"),
                output("araddr"),
                input("rvalid"),
                output("rready"),
                input("rdata"),
            ]
        };
        Self {
            valid: of("valid"),
            base: of("base"),
            units: of("units"),
            vectors: of("vectors"),
            format: of("format"),
            slot: of("slot"),
            list: pins.input("value_list"),
            list_length: pins.input("value_list_length"),
            index_valid: pins.input("index_valid"),
            index_count: pins.input("index_count"),
            indices: pins.input_lanes("index", keys),
            channels: (0..params.memory.channels).map(channel).collect(),
            fill: pins.output("fill"),
            fill_groups: pins.output("fill_groups"),
            fill_streams: STREAMS.map(|(name, _)| pins.output(&format!("fill_{name}"))),
            fill_slot: pins.output("fill_slot"),
            fill_segments: pins.output("fill_segments"),
            fill_lines: (0..lines)
                .map(|line| pins.output_lanes(&format!("fill_line_{line}"), keys))
                .collect(),
            idle: pins.output("idle"),
        }
    }
}

struct Driver {
    params: Spatten,
    formats: Vec<Format>,
    ports: Ports,
    plan: Plan,
    random: Random,
    gives: Pace,
    now: Cycle,
    model: Model<Recorder>,
    channels: Channels,
    log: EventLog,
    given: Vec<Given>,
    commands: u64,
    source: Peekable<Source<Transfer>>,
    /// The next command with a list, and how many of its indices have been given.
    listed: Option<(Transfer, usize)>,
    /// Stored transactions by address, where memory is no noise.
    memory: BTreeMap<u64, Vec<u8>>,
}

impl Driver {
    fn new(params: &Spatten, pins: &Pins, plan: Plan, source: Source<Transfer>) -> Self {
        let converter = BitwidthConverter::new(&params.bitwidth_converter);
        let memory = Recorder::new(params);
        Self {
            params: params.clone(),
            formats: formats(params),
            ports: Ports::of(params, pins),
            plan,
            random: Random::new(plan.seed, 1),
            gives: Pace::new(plan.seed, 2),
            now: Cycle(0),
            model: Model::new(&params.qkv_fetcher, &params.memory, converter, memory),
            channels: Channels::new(params),
            log: EventLog::default(),
            given: Vec::new(),
            commands: 0,
            source: source.peekable(),
            listed: None,
            memory: BTreeMap::new(),
        }
    }

    /// Gives the next row of indices of a list, or begins one; true when the list is complete.
    fn list(&mut self, frame: &mut Frame) -> bool {
        let keys = self.params.qk_array.keys_per_line as usize;
        frame.drive(self.ports.index_valid, 0);
        let Some((transfer, at)) = &mut self.listed else { return false };
        let indices = transfer.list.as_deref().unwrap_or_default();
        let count = (1 + self.random.below(keys as u64) as usize).min(indices.len() - *at);
        frame.drive(self.ports.index_valid, 1);
        frame.drive(self.ports.index_count, count as u64);
        for (pin, index) in self.ports.indices.iter().zip(&indices[*at..*at + count]) {
            frame.drive(*pin, (*index).into());
        }
        *at += count;
        *at == indices.len()
    }

    fn give(&mut self, frame: &mut Frame) {
        for stream in 0..STREAMS.len() {
            frame.drive(self.ports.valid[stream], 0);
        }
        if self.list(frame) {
            if let Some((transfer, _)) = self.listed.take() {
                self.command(frame, transfer);
            }
            return;
        }
        let Some(Transfer { stream, list, .. }) = self.source.peek() else { return };
        let (stream, is_listed) = (*stream, list.is_some());
        let under_way = self.given.iter().filter(|given| given.stream == stream).count();
        // Values come in order, so that a list does not wait for ever.
        let behind_list = stream == VALUE && self.listed.is_some();
        if !self.gives.willing() || under_way >= UNDER_WAY || behind_list {
            return;
        }
        let Some(transfer) = self.source.next() else { return };
        if is_listed {
            self.listed = Some((transfer, 0));
        } else {
            self.command(frame, transfer);
        }
    }

    /// Gives a command.
    fn command(&mut self, frame: &mut Frame, transfer: Transfer) {
        let Transfer { stream, format: number, base, vectors, list, stored } = transfer;
        let (params, ports) = (&self.params, &self.ports);
        let format = self.formats[number];
        let unit = u64::from(params.memory.transaction_bytes);
        let units = format.vector_units(params);
        let vector_bytes = u64::from(units) * unit;
        let slots = if stream == VALUE { 1 << 4 } else { 1 << 3 };
        let slot = self.commands;
        self.commands += 1;
        frame.drive(ports.valid[stream], 1);
        frame.drive(ports.base[stream], base / unit);
        frame.drive(ports.units[stream], units.into());
        frame.drive(ports.vectors[stream], vectors);
        frame.drive(ports.format[stream], number as u64);
        frame.drive(ports.slot[stream], slot % slots);
        if stream == VALUE {
            frame.drive(ports.list, list.is_some().into());
            frame.drive(ports.list_length, list.as_ref().map_or(0, |list| list.len() as u64));
        }
        let indices = list.map_or(Indices::From(0), |list| Indices::List(list.into()));
        let at = |number: u64| u64::from(indices.at(number as u32));
        for (number, vector) in (0..).zip(&stored) {
            let address = base + at(number) * vector_bytes;
            let transactions = (address..).step_by(unit as usize).zip(vector.chunks(unit as usize));
            self.memory.extend(transactions.map(|(address, bytes)| (address, bytes.to_vec())));
        }
        self.given.push(Given {
            stream,
            slot,
            format,
            vectors: (0..vectors).map(|number| base + at(number) * vector_bytes).collect(),
            vector_bytes,
        });
        self.model.command(Command {
            job: slot as u32,
            kind: STREAMS[stream].1,
            target: match STREAMS[stream].1 {
                StreamKind::KeyLsb => Target::Key(slot, Plane::LsbFirst),
                StreamKind::Value => Target::Value(slot),
                _ => Target::Key(slot, Plane::Msb),
            },
            base,
            vector_bytes: vector_bytes as u32,
            vectors: vectors as u32,
            vectors_per_group: params.qk_array.keys_per_line,
            lines_per_group: 1,
            indices,
        });
    }

    /// What lies in memory: what was stored, or a function of the address.
    fn data(&self, address: u64) -> Vec<u8> {
        if let Some(stored) = self.memory.get(&address) {
            return stored.clone();
        }
        let byte = |at: u64| {
            let mixed = (address + at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed >> 40) as u8
        };
        (0..u64::from(self.params.memory.transaction_bytes)).map(byte).collect()
    }

    fn vector(&self, address: u64, bytes: u64) -> Vec<u8> {
        let step = self.params.memory.transaction_bytes as usize;
        (address..address + bytes).step_by(step).flat_map(|address| self.data(address)).collect()
    }

    fn expect_fill(&mut self, frame: &mut Frame, delivery: Option<Delivery>) {
        frame.expect(self.ports.fill, delivery.is_some().into());
        let Some(Delivery { target, groups }) = delivery else { return };
        let slot = match target {
            Target::Key(slot, _) | Target::Value(slot) => slot,
            Target::Query => return,
        };
        let Some(at) = self.given.iter().position(|given| given.slot == slot) else { return };
        let given = &self.given[at];
        let Format { bits, above, .. } = given.format;
        let (dim, word) = (self.params.head_dim, self.params.datapath_bits);
        let slots = if given.stream == VALUE { 1 << 4 } else { 1 << 3 };
        frame.expect(self.ports.fill_groups, groups.into());
        frame.expect(self.ports.fill_slot, slot % slots);
        for (stream, pin) in self.ports.fill_streams.iter().enumerate() {
            frame.expect(*pin, (stream == given.stream).into());
        }
        let below = segments(word);
        let written = below.iter().enumerate().filter(|(_, (_, high))| *high <= word - above);
        frame.expect(self.ports.fill_segments, written.fold(0, |mask, (at, _)| mask | 1 << at));
        let keys = self.params.qk_array.keys_per_line as usize;
        let places = self.ports.fill_lines.iter().take(groups as usize).flatten();
        for (pin, address) in places.zip(given.vectors.iter()) {
            let stored = self.vector(*address, given.vector_bytes);
            let words: Vec<i32> = match above {
                0 => words(&stored, bits, (0, 1), dim, word).collect(),
                above => {
                    let mut lower = vec![0; dim as usize];
                    merge(&mut lower, &stored, Field { bits, above }, word);
                    lower
                }
            };
            frame.expect_bits(*pin, &packed(&words, word));
        }
        let given = &mut self.given[at];
        let left = given.vectors.len().saturating_sub(groups as usize * keys);
        given.vectors.drain(..given.vectors.len() - left);
        if given.vectors.is_empty() {
            self.given.remove(at);
        }
    }
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        let nothing_waits = self.given.is_empty() && self.listed.is_none();
        let is_through = nothing_waits && self.model.is_idle() && self.source.peek().is_none();
        if frame.beats() >= self.plan.beats || is_through {
            return false;
        }
        frame.expect(self.ports.idle, self.model.is_idle().into());
        self.give(frame);
        let answered = self.channels.answered();
        let delivery = self.model.tick(self.now, &mut self.log, |_, _| {});
        let asked = self.channels.asked(self.model.memory());
        for (at, [valid, ready, address, answer, accepted, data]) in
            self.ports.channels.iter().enumerate()
        {
            frame.drive(*ready, 1);
            frame.expect(*valid, asked[at].is_some().into());
            if let Some(asked) = asked[at] {
                frame.expect(*address, asked);
            }
            frame.drive(*answer, answered[at].is_some().into());
            if let Some(answered) = answered[at] {
                frame.drive_bits(*data, &bytes(&self.data(answered)));
                frame.expect(*accepted, 1);
                frame.count_beat();
            }
        }
        self.expect_fill(frame, delivery);
        self.model.commit();
        self.now = self.now + 1;
        true
    }
}
