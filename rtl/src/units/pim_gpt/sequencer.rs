//! The instruction sequencer of the ASIC: instructions in, commands to all channels out.

mod distances;
mod instruction;

use std::sync::Arc;

use attelier_hw::pim_gpt::{Activation, PimGpt};

use self::{
    distances::{Ages, Kind},
    instruction::{Fields, Opcode},
};
use super::command_decoder::{
    ACTAB, COMMAND_BITS, MACAB, PREAB, RDACC, REFAB, WRVEC, address_bits,
};
use crate::{Error, ModuleBuilder, Signal, bits::Bits, ir::Module};

pub use self::instruction::{EVENT_BITS, INSTRUCTION_BITS};

/// Refreshes that may be owed at a time.
const OWED_BITS: u32 = 8;

/// The module `sequencer`.
///
/// # Errors
/// Rows that are opened by bank group, or more rows and columns than an instruction can name.
pub fn sequencer(params: &PimGpt) -> Result<Arc<Module>, Error> {
    let (name, memory, timing) = ("sequencer", &params.memory, &params.timing);
    if memory.activation != Activation::AllBank {
        let expected = "all-bank: one command opens a row in all banks";
        return Err(Error::parameter(name, "memory.activation", 1, expected));
    }
    let (row_bits, column_bits) = address_bits(name, memory)?;
    if column_bits > instruction::COLUMN_BITS {
        let expected = "at most 2^14 bursts";
        return Err(Error::parameter(name, "memory.row_bytes", memory.row_bytes, expected));
    }

    let m = ModuleBuilder::new(name);
    m.doc("Executes instructions in order and gives at most one command per cycle to the channels, not");
    m.doc("before the distances of the record allow it. An instruction is taken in the cycle of its last");
    m.doc("command. Vectors wait for events, which the ASIC announces with `event_valid`. Refreshes come");
    m.doc("at REF, or with all banks closed while there is nothing else to do. Codes of commands are those");
    m.doc("of `command_decoder`; 6 refreshes, in all channels whatever is selected. Keys and values are not");
    m.doc("written: WRROW and WRELT, and codes that are none, take a cycle and do nothing. Channels are chosen");
    m.doc("while all banks are closed.");
    m.parameter("CHANNELS", memory.channels);
    m.parameter("ROWS", memory.rows);
    m.latency("1 cycle from an instruction to its first command, where distances allow it");
    let valid = m.input("s_axis_tvalid", 1);
    let word = m.input("s_axis_tdata", INSTRUCTION_BITS);
    let event_valid = m.input("event_valid", 1);
    let event = m.input("event_number", EVENT_BITS);

    m.section("instruction");
    let word = Fields::of(&m, &word);
    let is = |name: &str, opcode| m.wire(name, &(&valid & word.opcode.eq(opcode as u64)));
    let (is_channels, is_beat) = (is("is_channels", Opcode::Channels), is("is_beat", Opcode::Beat));
    let (is_asic, is_vector) = (is("is_asic", Opcode::Asic), is("is_vector", Opcode::WriteVector));
    let (is_refresh, is_mac) = (is("is_refresh", Opcode::Refresh), is("is_mac", Opcode::Mac));
    let is_activate = is("is_activate", Opcode::Activate);
    let is_read = is("is_read", Opcode::ReadAccumulators);
    let is_precharge = is("is_precharge", Opcode::Precharge);

    m.section("events that were announced and have not happened");
    let events = 1 << EVENT_BITS;
    let pending = m.register("pending", events);
    let one = m.constant(1, events);
    let announces = m.wire("announces", &(&is_asic & &word.has_event));
    let announced = m.wire("announced", &announces.gate(&(&one << &word.event)));
    let happened = m.wire("happened", &event_valid.gate(&(&one << &event)));
    m.update(&pending, (&pending & !happened) | announced);
    let is_pending = |name: &str, event: &Signal| {
        let bits = m.wire(name, &(&pending >> event));
        m.discard(&bits);
        bits.bit(0)
    };
    let waits = word.has_event.clone() & is_pending("vector_event", &word.event);
    let waits = m.wire("waits", &waits);

    m.section("the vector that is written in the shadow of MACs");
    let shadow = m.register("shadow", 1).comment("There is one.");
    let shadow_half = m.register_without_reset("shadow_half", 1);
    let shadow_last = m.register_without_reset("shadow_last", instruction::COLUMN_BITS);
    let shadow_waits_for = m.register_without_reset("shadow_event", EVENT_BITS);
    let shadow_has_event = m.register_without_reset("shadow_has_event", 1);
    let shadow_next = m.register("shadow_next", instruction::COLUMN_BITS);
    let shadow_waits =
        shadow_has_event.clone() & is_pending("shadow_event_pending", &shadow_waits_for);
    let shadow_waits = m.wire("shadow_waits", &shadow_waits);
    let turn = m.register("turn", 1).comment("A burst of it follows the last MAC.");
    let same_half = m.wire("same_half", &word.half.eq(&shadow_half));
    let flushes = &shadow & (&is_vector | (&is_mac & &same_half & !&turn));
    let flushes =
        m.wire("flushes", &flushes).comment("What is left of it comes before the instruction.");

    m.section("what the instruction asks for");
    let position = m.register("position", 32).comment("Its bursts or MACs that are done.");
    let next_position = m.wire("next_position", &(&position + 1));
    let is_last = m.wire("is_last", &next_position.ge(&word.count));
    let has_more = m.wire("has_more", &position.lt(&word.count));
    let keeps = m.wire("keeps", &m.all_of(&[is_vector.clone(), word.shadow.clone(), !&flushes]));
    let direct = m.wire("direct", &m.all_of(&[is_vector, !&word.shadow, !&flushes]));
    let from_shadow = m.wire("from_shadow", &((&flushes & !&shadow_waits) | &turn));
    let wants_write = m.wire("wants_write", &(&from_shadow | (&direct & !&waits)));
    let free_mac = m.all_of(&[is_mac.clone(), !&flushes, !&turn]);
    let free_mac = m.wire("free_mac", &free_mac);
    let wants_mac = m.wire("wants_mac", &(&free_mac & &has_more));

    m.section("refresh");
    let open = m.register("open", 1).comment("A row is open in all banks.");
    let owes = if memory.refresh {
        let owed = m.register("owed", OWED_BITS).comment("Refreshes that are due.");
        let width = crate::bits::index_width(timing.n_refi.into());
        let timer = m.register("refresh_timer", width);
        let ends = m.wire("interval_ends", &timer.eq(u64::from(timing.n_refi - 1)));
        m.update(&timer, (!&ends).gate(&(&timer + 1)));
        let refreshed = m.forward("refreshed", 1);
        m.update(&owed, &owed + ends.extend(OWED_BITS) - refreshed.extend(OWED_BITS));
        Some((m.wire("owes", &owed.any()), refreshed))
    } else {
        None
    };
    let idle = m.any_of(&[!&valid, &direct & &waits, &flushes & &shadow_waits]);
    let pauses = m.wire("pauses", &(idle & !&open));
    let owes_now = owes.as_ref().map_or_else(|| m.constant(0, 1), |(owes, _)| owes.clone());
    let refreshes = m.wire("refreshes", &(&owes_now & (&is_refresh | pauses)));

    m.section("commands that are wanted and may come");
    let ages = Ages::new(&m, params, &word.half);
    let wants = [
        (Kind::Activate, is_activate.clone()),
        (Kind::Mac, wants_mac),
        (Kind::Write, wants_write),
        (Kind::Read, is_read.clone()),
        (Kind::Precharge, &is_precharge | (&refreshes & &open)),
        (Kind::Refresh, &refreshes & !&open),
    ];
    let write_half = m.wire("write_half", &from_shadow.mux(&shadow_half, &word.half));
    let issued: Vec<(Kind, Signal)> =
        wants.iter().map(|(kind, wanted)| (*kind, ages.issue(&m, *kind, wanted))).collect();
    let comes = |kind: Kind| {
        let found = issued.iter().find(|(known, _)| *known == kind);
        found.map_or_else(|| m.constant(0, 1), |(_, signal)| signal.clone())
    };
    ages.finish(&m, &issued, &write_half);
    let (activates, macs, writes) = (comes(Kind::Activate), comes(Kind::Mac), comes(Kind::Write));
    let (reads, closes, refreshed) =
        (comes(Kind::Read), comes(Kind::Precharge), comes(Kind::Refresh));
    if let Some((_, wire)) = &owes {
        m.drive(wire, &refreshed);
    }

    m.section("the instruction is done");
    let follows = m.wire("follows", &m.all_of(&[macs.clone(), shadow.clone(), !&shadow_waits]));
    let done = m.any_of(&[
        is_channels.clone(),
        is_beat.clone(),
        is_asic.clone(),
        keeps.clone(),
        &direct & &writes & &is_last,
        &is_refresh & !&owes_now,
        activates.clone(),
        reads.clone(),
        &is_precharge & &closes,
        &free_mac & !&has_more,
        m.all_of(&[macs.clone(), is_last, !&follows]),
        m.all_of(&[turn.clone(), writes.clone(), !&has_more]),
        &valid & word.opcode.ge(Opcode::WriteRow as u64),
        &valid & word.opcode.eq(0u64),
    ]);
    let done = m.wire("done", &(&valid & done));
    m.output("s_axis_tready", &done);

    m.section("state");
    let counts = m.wire("counts", &(&macs | (&direct & &writes)));
    m.update_when(&position, &(&counts | &done), (!&done).gate(&next_position));
    m.update(&turn, &follows | (&turn & !&writes));
    m.update(&open, &activates | (&open & !&closes));
    let shadow_writes = m.wire("shadow_writes", &(&from_shadow & &writes));
    let shadow_ends = m.wire("shadow_ends", &(&shadow_writes & shadow_next.eq(&shadow_last)));
    m.update(&shadow, &keeps | (&shadow & !&shadow_ends));
    m.update_when(&shadow_next, &(&shadow_writes | &keeps), (!&keeps).gate(&(&shadow_next + 1)));
    m.update_when(&shadow_half, &keeps, &word.half);
    let last = word.count.bits(0..instruction::COLUMN_BITS) - 1;
    m.update_when(&shadow_last, &keeps, last);
    m.update_when(&shadow_waits_for, &keeps, &word.event);
    m.update_when(&shadow_has_event, &keeps, &word.has_event);
    let channels = memory.channels;
    let select = m.register_from("channel_select_register", Bits::ones(channels));
    let lanes: Vec<Signal> = (0..channels).map(|lane| word.count.gt(u64::from(lane))).collect();
    m.update_when(&select, &is_channels, m.pack(&lanes));

    m.section("command bus");
    let codes = [
        (&activates, ACTAB),
        (&macs, MACAB),
        (&reads, RDACC),
        (&closes, PREAB),
        (&writes, WRVEC),
        (&refreshed, REFAB),
    ];
    let code = codes.iter().fold(m.constant(0, COMMAND_BITS), |code, (comes, value)| {
        code | comes.gate(&m.constant(*value, COMMAND_BITS))
    });
    let command = m.pipe_reset("command_register", &code);
    let column = word.column.clone() + position.bits(0..instruction::COLUMN_BITS);
    let line = from_shadow.mux(&shadow_next, position.bits(0..instruction::COLUMN_BITS));
    let column = m.wire("next_column", &writes.mux(&line, &column));
    m.discard(&column);
    let column = m.pipe("column_register", &column.bits(0..column_bits));
    let half = m.pipe("half_register", &writes.mux(&write_half, &word.half));
    let row = m.pipe("row_register", &word.count.bits(0..row_bits));
    m.discard(&word.count);

    m.output_for("command", &command, "To the decoder of each channel that is selected.");
    m.output("row", &row);
    m.output("column", &column);
    m.output("half", &half);
    // The cells of channels that do not compute need refreshing as well.
    let all = m.pipe_reset("refreshes_all", &refreshed).repeat(channels);
    m.output("channel_select", &m.wire("selected_channels", &(&select | all)));
    m.section("orders to the ASIC");
    m.output_for(
        "asic_valid",
        &m.pipe_reset("asic_valid_register", &is_asic),
        "A function begins.",
    );
    m.output_for(
        "beat_valid",
        &m.pipe_reset("beat_valid_register", &is_beat),
        "What is done with the beats that follow.",
    );
    m.output("function_code", &m.pipe("function_register", &word.function));
    m.output("numbers", &m.pipe("numbers_register", &word.count));
    m.output("has_event", &m.pipe("has_event_register", &word.has_event));
    m.output("announced_event", &m.pipe("event_register", &word.event));
    m.finish()
}
