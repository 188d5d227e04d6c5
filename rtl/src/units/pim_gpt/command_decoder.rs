//! The command decoder of a channel: commands to all banks become strobes of arrays, buffer and
//! multiply-accumulate units.

use std::sync::Arc;

use attelier_hw::pim_gpt::{Memory, PimGpt};

use super::global_buffer::buffer_lines;
use crate::{Error, ModuleBuilder, bits::index_width, ir::Module};

/// Width of the code of a command \[bits\].
pub const COMMAND_BITS: u32 = 3;
/// Opens `row` in all banks.
pub const ACTAB: u64 = 1;
/// Multiplies `column` of all banks with the next line of `half`.
pub const MACAB: u64 = 2;
/// Reads and clears the accumulators; the next MAC begins a vector.
pub const RDACC: u64 = 3;
/// Closes all banks.
pub const PREAB: u64 = 4;
/// Writes line `column` of `half` of the vector buffer.
pub const WRVEC: u64 = 5;

/// Refreshes all banks, which must be closed.
pub const REFAB: u64 = 6;

/// Cycles from a command to its strobe at a multiply-accumulate unit: the decoder's register, and the
/// access to array and buffer.
pub const DECODE_CYCLES: u32 = 2;

/// Bits of a row, and of a column or line, in a command.
///
/// # Errors
/// A row or vector of fewer than two bursts, or fewer than two rows.
pub(super) fn address_bits(module: &str, memory: &Memory) -> Result<(u32, u32), Error> {
    let columns = memory.row_bytes / memory.burst_bytes;
    let lines = memory.buffer_bytes / memory.burst_bytes;
    for (parameter, value, count) in [
        ("memory.row_bytes", memory.row_bytes, columns),
        ("memory.buffer_bytes", memory.buffer_bytes, lines),
        ("memory.rows", memory.rows, memory.rows),
    ] {
        if count < 2 {
            return Err(Error::parameter(module, parameter, value, "at least two rows and bursts"));
        }
    }
    Ok((index_width(memory.rows.into()), index_width(columns.max(lines).into())))
}

/// The module `command_decoder`.
///
/// # Errors
/// A row or vector of fewer than two bursts, or fewer than two rows.
pub fn command_decoder(params: &PimGpt) -> Result<Arc<Module>, Error> {
    let (name, memory) = ("command_decoder", &params.memory);
    let (row_bits, place_bits) = address_bits(name, memory)?;
    let columns = memory.row_bytes / memory.burst_bytes;
    let lines = memory.buffer_bytes / memory.burst_bytes;
    let column_bits = index_width(columns.into());
    let line_bits = index_width(lines.into());
    let line_address_bits = index_width(buffer_lines(params).into());

    let m = ModuleBuilder::new(name);
    m.doc(
        "Command decoder of a channel, one command per cycle: 1 ACTAB, 2 MACAB, 3 RDACC, 4 PREAB,",
    );
    m.doc("5 WRVEC, 6 REFAB; other codes do nothing. MACs since the last RDACC count the lines of the vector, so");
    m.doc("that a dot product may run on across rows. An illegal command has no effect and is remembered.");
    m.parameter("ROWS", memory.rows);
    m.parameter("COLUMNS", columns);
    m.parameter("LINES", lines);
    m.latency("1 cycle to arrays and buffer, 2 to the multiply-accumulate units");
    let command = m.input("command", COMMAND_BITS);
    let row = m.input("row", row_bits);
    let column = m.input("column", place_bits);
    let half = m.input("half", 1);
    m.discard(&column);
    m.discard(&half);

    m.section("legal commands");
    let open = m.register("open", 1).comment("A row is open in all banks.");
    let position = m.register("position", line_bits + 1);
    let is = |name: &str, code: u64| m.wire(name, &command.eq(code));
    let (actab, macab, rdacc) = (is("actab", ACTAB), is("macab", MACAB), is("rdacc", RDACC));
    let (preab, wrvec, refab) = (is("preab", PREAB), is("wrvec", WRVEC), is("refab", REFAB));
    let activates = m.wire("activates", &(&actab & !&open));
    let has_line = m.wire("has_line", &position.lt(u64::from(lines)));
    let multiplies = m.wire("multiplies", &m.all_of(&[macab.clone(), open.clone(), has_line]));
    let closes = m.wire("closes", &(&preab & &open));
    let renews = m.wire("renews", &(&refab & !&open));
    let refused = [actab & !&activates, macab & !&multiplies, preab & !&closes, refab & !&renews];
    let refuses = m.wire("refuses", &m.any_of(&refused));

    m.section("state");
    m.update_when(&open, &m.wire("changes", &(&activates | &closes)), &activates);
    let moves = m.wire("moves", &(&multiplies | &rdacc));
    m.update_when(&position, &moves, (!&rdacc).gate(&(&position + 1)));
    let illegal = m.register("illegal", 1).comment("Some command was illegal.");
    m.update(&illegal, &illegal | &refuses);

    m.section("strobes");
    let line = |line: &crate::Signal| match line_address_bits > line_bits {
        true => half.concat(&line.bits(0..line_bits)),
        false => line.bits(0..line_bits),
    };
    let activate = m.pipe_reset("activate_strobe", &activates);
    let activate_row = m.pipe("activate_row_register", &row);
    let precharge = m.pipe_reset("precharge_strobe", &closes);
    let refresh = m.pipe_reset("refresh_strobe", &renews);
    let bank_read = m.pipe_reset("bank_read_strobe", &multiplies);
    let bank_column = m.pipe("bank_column_register", &column.bits(0..column_bits));
    let read_line = m.pipe("read_line_register", &line(&position));
    let write = m.pipe_reset("buffer_write_strobe", &wrvec);
    let write_line = m.pipe("write_line_register", &line(&column));
    let mac = m.pipe_reset("mac_strobe", &bank_read);
    let decoded = m.pipe_reset("read_out_decoded", &rdacc);
    let read_out = m.pipe_reset("read_out_strobe", &decoded);

    m.output_for("activate", &activate, "Opens a row of the arrays.");
    m.output("activate_row", &activate_row);
    m.output_for("precharge", &precharge, "Closes the arrays.");
    m.output_for("refresh", &refresh, "Refreshes the arrays.");
    m.output_for("bank_read", &bank_read, "Reads a column of the arrays and a line of the buffer.");
    m.output("bank_column", &bank_column);
    m.output("buffer_read_line", &read_line);
    m.output_for("buffer_write", &write, "Writes a line of the buffer.");
    m.output("buffer_write_line", &write_line);
    m.output_for("mac_valid", &mac, "What was read is there.");
    m.output("read_valid", &read_out);
    m.output("illegal_command", &illegal);
    m.finish()
}
