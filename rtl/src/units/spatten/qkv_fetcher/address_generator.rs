//! Address generator: commands become rows of one transaction per lane.
//!
//! Commands wait in one queue per stream and are served one by one, round robin. A command names
//! vectors that follow each other, or the vectors of a list of value indices that the local-value
//! engine has found.

use std::sync::Arc;

use attelier_hw::spatten::Spatten;

use crate::{
    Error, ModuleBuilder, Signal,
    bits::{Bits, index_width},
    ir::{MemoryStyle, Module},
    units::spatten::{ring::Ring, sizes::Sizes},
};

/// Streams of commands, in the order in which they are served.
pub(super) const STREAMS: [&str; 3] = ["key", "key_lsb", "value"];

/// The stream that can have a list of indices.
const VALUE: usize = 2;

/// Width of the number of a stream \[bits\].
pub(super) const STREAM_BITS: u32 = 2;

/// What a command says, by names of ports.
struct Command {
    base: Signal,
    units: Signal,
    vectors: Signal,
    format: Signal,
    slot: Signal,
    has_list: Signal,
    list_length: Signal,
}

impl Command {
    fn inputs(m: &ModuleBuilder, sizes: &Sizes, stream: usize, slot_bits: u32) -> Self {
        let input =
            |field: &str, width: u32| m.input(format!("{}_{field}", STREAMS[stream]), width);
        let base = input("base", sizes.unit_address_bits).comment("Transaction of vector 0.");
        let units = input("units", sizes.units_bits).comment("Transactions of a vector.");
        let vectors = input("vectors", sizes.count_bits);
        let format = input("format", sizes.format_bits);
        let slot = input("slot", slot_bits);
        let (has_list, list_length) = match stream {
            VALUE => (input("list", 1), input("list_length", sizes.count_bits)),
            _ => (m.constant(0, 1), m.constant(0, sizes.count_bits)),
        };
        Self { base, units, vectors, format, slot, has_list, list_length }
    }

    fn fields(&self) -> [&Signal; 7] {
        let Self { base, units, vectors, format, slot, has_list, list_length } = self;
        [base, units, vectors, format, slot, has_list, list_length]
    }

    /// The parts of a packed command.
    fn unpack(&self, packed: &Signal) -> Self {
        let mut low = packed.width();
        let mut part = |field: &Signal| {
            low -= field.width();
            packed.bits(low..low + field.width())
        };
        let [base, units, vectors, format, slot, has_list, list_length] =
            self.fields().map(&mut part);
        Self { base, units, vectors, format, slot, has_list, list_length }
    }
}

/// Width of the slot of a command: that of a key or a value slot \[bits\].
pub(in crate::units::spatten) fn slot_bits(sizes: &Sizes) -> u32 {
    index_width(sizes.key_slots.max(sizes.value_slots).into())
}

/// Places of the list of indices: survivors wait there until their values are fetched, and no longer
/// than their probabilities wait in front of the array.
fn list_places(params: &Spatten, sizes: &Sizes) -> u32 {
    let rows = params.pv_array.fifo_depth + 4;
    (rows * sizes.lanes + params.topk_value.capacity).next_power_of_two().max(2 * sizes.lanes)
}

/// The generator.
pub(super) fn address_generator(params: &Spatten, sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let lanes = params.qkv_fetcher.lanes;
    let lane_count_bits = index_width(u64::from(lanes) + 1);
    let slot_bits = slot_bits(sizes);
    let places = list_places(params, sizes);
    let left_bits = sizes.count_bits + sizes.units_bits;

    let m = ModuleBuilder::new("address_generator");
    m.doc("Commands of three streams become rows of LANES addresses. A command reads `vectors` vectors of");
    m.doc("`units` transactions from transaction `base` on: vectors that follow each other, or, for values,");
    m.doc("those that the next `list_length` indices of the list name; padding reads the first ones again.");
    m.doc("Queues have a place for every job that can have a command, so they are never full.");
    m.parameter("LANES", lanes);
    m.parameter("LIST_PLACES", places);
    m.latency("the first row of a command 1 cycle after it was given, then one row per cycle");
    let depths =
        [params.controller.jobs_in_flight, params.controller.jobs_in_flight, sizes.value_slots];
    let mut given = Vec::new();
    for (stream, name) in STREAMS.iter().enumerate() {
        let valid = m.input(format!("{name}_valid"), 1);
        given.push((valid, Command::inputs(&m, sizes, stream, slot_bits)));
    }
    let indices = List::inputs(&m, params, sizes);
    let room = m.input("room", 1).comment("A row is taken.");

    m.section("commands wait in queues, one per stream");
    let starts = m.forward("starts", 1).comment("A command leaves its queue.");
    let mut queued = Vec::new();
    let rings = ["key_queue", "key_lsb_queue", "value_queue"];
    for (((valid, command), ring), depth) in given.iter().zip(rings).zip(depths) {
        let queue = Ring::new(&m, ring, depth);
        let packed = m.wire(format!("{ring}_command"), &m.concat(command.fields()));
        let oldest = queue.oldest(&m, &format!("{ring}_oldest"), valid, &packed);
        let waits = queue.has_item(&m);
        queued.push((queue, waits, valid, oldest));
    }

    m.section("the next stream, after the one that was served last");
    let served = m.register_from("served", Bits::new(VALUE as u64, STREAM_BITS));
    let waits: Vec<Signal> = queued.iter().map(|(_, waits, _, _)| waits.clone()).collect();
    let any = m.wire("any_waits", &m.any_of(&waits));
    let choices: Vec<Signal> = (0..STREAMS.len())
        .map(|last| {
            let order = (1..STREAMS.len()).map(|step| (last + step) % STREAMS.len());
            let otherwise = m.constant(last as u64, STREAM_BITS);
            let next = order.rev().fold(otherwise, |otherwise, stream| {
                waits[stream].mux(&m.constant(stream as u64, STREAM_BITS), &otherwise)
            });
            m.wire(format!("after_{}", STREAMS[last]), &next)
        })
        .collect();
    let chosen = m.wire("chosen", &m.select(&served, &choices));
    m.update_when(&served, &starts, &chosen);
    for (at, (queue, _, valid, _)) in queued.iter().enumerate() {
        let pop = m.wire(format!("{}_pop", STREAMS[at]), &(&starts & chosen.eq(at as u64)));
        queue.advance(&m, valid, &pop);
    }
    let oldest: Vec<Signal> = queued.into_iter().map(|(_, _, _, oldest)| oldest).collect();
    let next = m.wire("next_command", &m.select(&chosen, &oldest));

    m.section("the command at hand, and how far it is");
    let generating = m.register("generating", 1);
    m.drive(&starts, !&generating & &any);
    let active = m.wire("active", &(&generating | &any));
    let held = m.pipe_when("held_command", &starts, &next);
    let packed = m.wire("command", &generating.mux(&held, &next));
    let command = given[0].1.unpack(&packed);
    let new = given[0].1.unpack(&next);
    m.discard(&packed);
    m.discard(&held);
    let total = m.wire("transactions", &new.vectors.mul(&new.units));
    let held_left = m.register("held_left", left_bits);
    let left = m.wire("left", &generating.mux(&held_left, &total));
    let is_last = m.wire("is_last", &left.le(u64::from(lanes)));
    let all = m.constant(lanes.into(), lane_count_bits);
    let count = m.wire("count", &is_last.mux(&left.bits(0..lane_count_bits), &all));
    let makes = m.wire("makes_row", &(&active & &room));
    m.update(&generating, &active & !(&makes & &is_last));
    m.update(&held_left, makes.mux(&(&left - count.extend(left_bits)), &left));

    m.section("vectors that follow each other");
    let held_address = m.register_without_reset("held_address", sizes.unit_address_bits);
    let address = m.wire("address", &generating.mux(&held_address, &new.base));
    m.update(&held_address, makes.mux(&(&address + u64::from(lanes)), &address));

    m.section("vectors of the list: which vector, and which transaction of it, lane 0 is at");
    let position_bits = sizes.count_bits + 1;
    let held_vector = m.register_without_reset("held_vector", position_bits);
    let held_unit = m.register_without_reset("held_unit", sizes.units_bits);
    let vector = m.wire("vector", &generating.gate(&held_vector));
    let unit = m.wire("unit", &generating.gate(&held_unit));
    let ends_list = m.all_of(&[makes.clone(), is_last.clone(), command.has_list.clone()]);
    let ends_list = m.wire("ends_list", &ends_list);
    let list = indices.build(&m, sizes, places, (&ends_list, &command.list_length));
    let mut addresses = Vec::new();
    let list_length = command.list_length.extend(position_bits);
    let last_entry = m.wire("last_entry", &(&list_length - 1));
    let state = m.wire("list_state", &command.units.concat(&unit));
    for lane in 0..=lanes {
        let (vectors, of_vector) = steps(&m, sizes, &state, lane);
        let at = m.wire(format!("vector_of_{lane}"), &(&vector + vectors.extend(position_bits)));
        let of_vector = m.wire(format!("unit_of_{lane}"), &of_vector);
        if lane == lanes {
            m.update(&held_vector, makes.mux(&at, &vector));
            m.update(&held_unit, makes.mux(&of_vector, &unit));
            continue;
        }
        // Not one vector for all padding: its bank would be asked again and again.
        let behind = m.wire(format!("behind_list_{lane}"), &(&at - &list_length));
        let again = behind.lt(&last_entry).mux(&behind, &last_entry);
        let entry = m.wire(format!("entry_of_{lane}"), &at.lt(&list_length).mux(&at, &again));
        m.discard(&entry);
        let index = list.read(&m, lane, &entry);
        let listed = m.wire(format!("listed_{lane}"), &index.mul(&command.units));
        let listed = &command.base
            + listed.extend(sizes.unit_address_bits)
            + of_vector.extend(sizes.unit_address_bits);
        let follows = &address + u64::from(lane);
        addresses.push(m.wire(format!("lane_{lane}"), &command.has_list.mux(&listed, follows)));
    }

    m.output("row_valid", &makes);
    m.output_for("row_count", &count, "Transactions of the row, from lane 0 on.");
    m.output_for("row_last", &is_last, "It is the last of its command.");
    m.outputs("row_address", &addresses);
    m.output_for("command_starts", &starts, "What follows belongs to the command that starts.");
    m.output("command_stream", &chosen);
    m.output("command_format", &new.format);
    m.output("command_slot", &new.slot);
    m.output_for("idle", &!&active, "No command waits or is at hand.");
    m.finish()
}

/// Vectors and transactions behind `state`, the transactions of a vector and those of it that are
/// done, after `lane` more transactions.
fn steps(m: &ModuleBuilder, sizes: &Sizes, state: &Signal, lane: u32) -> (Signal, Signal) {
    let width = index_width(u64::from(lane) + 2);
    let mut vectors = Vec::new();
    let mut units = Vec::new();
    for per_vector in 1..=sizes.vector_units {
        for done in 0..per_vector {
            let label = u64::from(per_vector << sizes.units_bits | done);
            let at = done + lane;
            vectors.push((label, m.constant((at / per_vector).into(), width)));
            units.push((label, m.constant((at % per_vector).into(), sizes.units_bits)));
        }
    }
    let arms = |values: &[(u64, Signal)]| {
        m.case(state, values.iter().map(|(label, value)| (*label, value)), 0)
    };
    (arms(&vectors), arms(&units))
}

/// Ports of the list of indices.
struct List {
    valid: Signal,
    count: Signal,
    indices: Vec<Signal>,
}

/// The list: a bank for every index of a row.
struct BankedList<'a> {
    banks: Vec<crate::MemoryBuilder<'a>>,
    begin: Signal,
    bank_bits: u32,
    place_bits: u32,
}

impl List {
    fn inputs(m: &ModuleBuilder, params: &Spatten, sizes: &Sizes) -> Self {
        let width = index_width(u64::from(params.topk_value.capacity) + 1);
        let count_bits = if sizes.lanes == 1 { 1 } else { index_width(u64::from(sizes.lanes) + 1) };
        Self {
            valid: m.input("index_valid", 1),
            count: m.input("index_count", count_bits),
            indices: m.inputs("index", sizes.lanes, width),
        }
    }

    /// Rows of indices side by side; `ends` drops the oldest `length` ones.
    fn build<'a>(
        &self,
        m: &'a ModuleBuilder,
        sizes: &Sizes,
        places: u32,
        (ends, length): (&Signal, &Signal),
    ) -> BankedList<'a> {
        let (bank_bits, place_bits) = (sizes.lanes.ilog2(), places.ilog2());
        let end = m.register("list_end", place_bits).comment("Where the next index goes.");
        let begin = m.register("list_begin", place_bits).comment("Index of the command at hand.");
        let fit = |value: &Signal| match value.width() > place_bits {
            true => value.bits(0..place_bits),
            false => value.extend(place_bits),
        };
        m.update_when(&end, &self.valid, &end + fit(&self.count));
        let behind = &begin + fit(length);
        m.update_when(&begin, ends, &behind);
        let banks = (0..sizes.lanes)
            .map(|bank| {
                let width = self.indices[0].width();
                let memory = m.memory(
                    format!("list_{bank}"),
                    width,
                    places >> bank_bits,
                    MemoryStyle::Distributed,
                );
                if bank_bits == 0 {
                    memory.write(&end, &self.indices[0], &self.valid);
                    return memory;
                }
                let here = m.constant(bank.into(), bank_bits);
                let number = m.wire(format!("list_index_{bank}"), &(here - end.bits(0..bank_bits)));
                let place = &end + number.extend(place_bits);
                let place = m.wire(format!("list_place_{bank}"), &place);
                m.discard(&place);
                let writes = &self.valid & self.count.gt(number.extend(self.count.width()));
                let index = m.select(&number, &self.indices);
                memory.write(&place.bits(bank_bits..place_bits), &index, &writes);
                memory
            })
            .collect();
        BankedList { banks, begin, bank_bits, place_bits }
    }
}

impl BankedList<'_> {
    /// Index number `entry` of the command at hand.
    fn read(&self, m: &ModuleBuilder, lane: u32, entry: &Signal) -> Signal {
        let entry = match entry.width() > self.place_bits {
            true => entry.bits(0..self.place_bits),
            false => entry.extend(self.place_bits),
        };
        let place = m.wire(format!("place_of_{lane}"), &(&self.begin + entry));
        let of_bank: Vec<Signal> = self
            .banks
            .iter()
            .enumerate()
            .map(|(bank, memory)| {
                let address = place.bits(self.bank_bits..self.place_bits);
                memory.read(format!("index_of_{lane}_bank_{bank}"), &address)
            })
            .collect();
        match self.bank_bits {
            0 => of_bank[0].clone(),
            bits => m.wire(format!("index_of_{lane}"), &m.select(&place.bits(0..bits), &of_bank)),
        }
    }
}
