//! Addresses of the rows of a tensor, for a master that reads or writes them one after the other.

use std::sync::Arc;

use attelier_hw::edge_moe::TopSizes;

use crate::{Error, ModuleBuilder, bits::index_width, ir::Module, units::spatten::parts::within};

/// Width of a byte address \[bits\].
pub const ADDRESS_BITS: u32 = 32;
/// Width of the number of a row \[bits\].
pub const ROW_BITS: u32 = 16;
/// Width of the number of beats of a row \[bits\].
pub const BEATS_BITS: u32 = 24;

/// The module `row_addresses`.
///
/// # Errors
/// Beats that are no power of two of bytes, or of more than 128; more tokens than a row number counts.
pub fn row_addresses(sizes: &TopSizes) -> Result<Arc<Module>, Error> {
    let name = "row_addresses";
    let bytes = within(name, "beat_bytes", sizes.beat_bytes, 1..129, "1 to 128 bytes")?;
    if !bytes.is_power_of_two() {
        return Err(Error::parameter(name, "beat_bytes", bytes, "a power of two"));
    }
    let tokens = within(name, "tokens", sizes.units.tokens, 2..4097, "2 to 4096 tokens")?;
    let token_bits = index_width(tokens.into());

    let m = ModuleBuilder::new(name);
    m.doc("Addresses of rows of `row_beats` beats, the first of which lies at `base`. `start` begins `rows` of");
    m.doc("them. Their numbers are counted: `period` numbers in steps of `stride`, then the same again, or the");
    m.doc("next ones where `advances`. Where `listed` the numbers come on `s_row` instead.");
    m.doc("All that stands beside `start` stays as it is until `busy` is 0.");
    m.parameter("BEAT_BYTES", bytes);
    m.latency(
        "2 cycles from `start`, or 1 from a listed number, to `command_valid`; a row per cycle",
    );
    let start = m.input("start", 1);
    let base = m.input("base", ADDRESS_BITS);
    let rows = m.input("rows", ROW_BITS);
    let row_beats = m.input("row_beats", BEATS_BITS);
    let period = m.input("period", ROW_BITS);
    let stride = m.input("stride", ROW_BITS);
    let advances = m.input("advances", 1);
    let listed = m.input("listed", 1);
    let row_valid = m.input("s_row_tvalid", 1);
    let row = m.input("s_row_tdata", token_bits);
    let command_ready = m.input("command_ready", 1);

    m.section("number of the next row");
    let left = m.register("rows_left", ROW_BITS);
    let has_row = m.wire("has_row", &(left.any() & (!&listed | &row_valid)));
    let held = m.register("held", 1).comment("An address is offered.");
    let moves = m.wire("moves", &(!&held | command_ready));
    let takes = m.wire("takes", &(&has_row & &moves));
    m.update_when(&left, &(&start | &takes), start.mux(&rows, &left - 1));
    let place = m.register("place", ROW_BITS).comment("Of the period.");
    let first = m.register("first", ROW_BITS).comment("Number at the beginning of the period.");
    let number = m.register("number", ROW_BITS);
    let wraps = m.wire("wraps", &(&place + 1).eq(&period));
    let next_first = m.wire("next_first", &(&first + advances.extend(ROW_BITS)));
    let changes = m.wire("changes", &(&start | &takes));
    let counts = m.wire("counts", &(!&start & !&wraps));
    m.update_when(&place, &changes, counts.gate(&(&place + 1)));
    let ends_period = m.wire("ends_period", &(&start | (&takes & &wraps)));
    m.update_when(&first, &ends_period, (!&start).gate(&next_first));
    let next_number = wraps.mux(&next_first, &number + stride);
    m.update_when(&number, &changes, (!&start).gate(&next_number));

    m.section("its address");
    let number = m.wire("row_now", &listed.mux(&row.extend(ROW_BITS), &number));
    let product = m.wire("beats_before", &number.mul(&row_beats));
    let offset = bytes.trailing_zeros();
    let offset_bits = ADDRESS_BITS - offset;
    m.discard(&product);
    let beats = m.pipe_when("offset", &takes, &product.bits(0..offset_bits));
    m.update_when(&held, &moves, &has_row);
    let beats = if offset == 0 { beats } else { beats.concat(&m.constant(0, offset)) };

    m.output("s_row_tready", &m.all_of(&[left.any(), listed, moves]));
    m.output("command_valid", &held);
    m.output("command_address", &(base + beats));
    m.output("command_beats", &row_beats);
    m.output_for("busy", &(left.any() | &held), "Rows are still to be asked for.");
    m.finish()
}
