//! Q-K-V fetcher: address generation, the crossbars around the memory channels, and the bitwidth
//! converter behind them.
//!
//! Queries come on a stream of their own, as in the released RTL and whatever
//! `controller.query_from_dram` says; keys, LSBs of keys and values are fetched (SpAtten section IV-A,
//! table I; row order and vector split as in the released RTL's matrix fetcher).

mod address_crossbar;
mod address_generator;
mod data_crossbar;

use std::sync::Arc;

use attelier_hw::spatten::Spatten;

use self::{
    address_crossbar::address_crossbar,
    address_generator::{STREAM_BITS, STREAMS, address_generator},
    data_crossbar::data_crossbar,
};
use super::{
    bitwidth_converter::{bitwidth_converter, formats},
    line_sram::segments,
    parts::{power_of_two, within},
    ring::Ring,
    sizes::Sizes,
};
use crate::{
    Error, ModuleBuilder, Signal,
    bits::{Bits, index_width},
    ir::{MemoryStyle, Module},
};

pub(super) use self::address_generator::slot_bits;

/// How rows are numbered.
#[derive(Clone, Copy)]
struct Rows {
    /// Places of a lane's FIFOs.
    depth: u32,
    /// Width of the number of a row: as many can wait for issue as for data \[bits\].
    number_bits: u32,
    /// Width of a place in a data FIFO \[bits\].
    place_bits: u32,
}

/// The fetcher.
///
/// # Errors
/// Channels, lanes or FIFO depth that are no power of two.
pub fn qkv_fetcher(params: &Spatten) -> Result<Arc<Module>, Error> {
    let name = "qkv_fetcher";
    let channels = power_of_two(name, "memory.channels", params.memory.channels)?;
    let lanes = power_of_two(name, "qkv_fetcher.lanes", params.qkv_fetcher.lanes)?;
    within(name, "qkv_fetcher.lanes", lanes, 1..65, "1 to 64 lanes")?;
    let depth = power_of_two(name, "qkv_fetcher.fifo_depth", params.qkv_fetcher.fifo_depth)?;
    within(name, "qkv_fetcher.fifo_depth", depth, 2..4096, "2 to 2048 places")?;
    let sizes = Sizes::of(params)?;
    let place_bits = index_width(depth.into());
    let rows = Rows { depth, number_bits: place_bits + 2, place_bits };
    let unit_bits = 8 * params.memory.transaction_bytes;
    let formats = formats(params);
    let units = params.bitwidth_converter.buffer_bytes / params.memory.transaction_bytes;
    let group = formats.iter().map(|format| format.vectors * format.vector_units(params)).max();
    if units < group.unwrap_or(0) + lanes {
        let (parameter, bytes) =
            ("bitwidth_converter.buffer_bytes", params.bitwidth_converter.buffer_bytes);
        return Err(Error::parameter(name, parameter, bytes, "a group of vectors and a row"));
    }
    let segments = segments(params.datapath_bits);
    let lines = params.bitwidth_converter.lines_per_cycle;

    let m = ModuleBuilder::new(name);
    m.doc("Fetches keys, LSBs of keys and values. Commands come on three streams without a ready: there is");
    m.doc(
        "a place for every job. `index_*` lists the values that commands with `value_list` fetch.",
    );
    m.doc("`fill_*` says which groups of lines are written in this cycle, and `fill_line_*` holds them.");
    m.doc(
        "Channel C reads single transactions: `arvalid_C`, `araddr_C` [B] and so on, as in AXI4.",
    );
    m.parameter("LANES", lanes);
    m.parameter("CHANNELS", channels);
    m.parameter("TRANSACTION_BYTES", params.memory.transaction_bytes);
    m.parameter("FIFO_DEPTH", depth);
    m.latency(
        "1 cycle from a command to its first address; 2 from the last data of a row to its lines",
    );

    m.section("commands to rows of addresses");
    let module = address_generator(params, &sizes)?;
    let generator = m.instance("generator", &module);
    for (port, ty) in module.inputs() {
        if port != "room" {
            generator.input(port, m.input(port, ty));
        }
    }
    let readies = m.inputs("arready", channels, 1);
    let answers = m.inputs("rvalid", channels, 1);
    let data = m.inputs("rdata", channels, unit_bits);

    m.section("addresses to channels");
    let addresses = m.instance("addresses", &address_crossbar(params, &sizes, rows)?);
    generator.input("room", addresses.output("room"));
    for port in ["row_valid", "row_count"] {
        addresses.input(port, generator.output(port));
    }
    for lane in 0..lanes {
        let port = format!("row_address_{lane}");
        addresses.input(&port, generator.output(&port));
    }

    m.section("data to rows");
    let returns = m.instance("returns", &data_crossbar(params, rows)?);
    for port in ["row_valid", "row_count", "row_last"] {
        returns.input(port, generator.output(port));
    }
    for port in ["oldest_row", "next_row", "retires"] {
        addresses.input(port, returns.output(port));
    }
    for channel in 0..channels as usize {
        addresses.input(&format!("ready_{channel}"), &readies[channel]);
        let taken = addresses.output(&format!("valid_{channel}")) & &readies[channel];
        returns
            .input(&format!("taken_{channel}"), m.wire(format!("taken_{channel}"), &taken))
            .input(&format!("lane_{channel}"), addresses.output(&format!("lane_{channel}")))
            .input(&format!("place_{channel}"), addresses.output(&format!("place_{channel}")))
            .input(&format!("data_valid_{channel}"), &answers[channel])
            .input(&format!("data_{channel}"), &data[channel]);
    }

    m.section("commands under way: where the rows belong, and where the lines that leave do");
    let starts = generator.output("command_starts");
    let converter = m.instance("converter", &bitwidth_converter(params)?);
    let retires = returns.output("retires");
    let row_ends = m.wire("row_ends", &(&retires & returns.output("out_last")));
    let ends = converter.output("ends");
    let format = generator.output("command_format");
    let target = generator.output("command_stream").concat(&generator.output("command_slot"));
    let target = m.wire("command_target", &target);
    // A command has a row under way or transactions in the converter.
    let by_row = Ring::new(&m, "rows_of", 2 * depth + units);
    by_row.advance(&m, &starts, &row_ends);
    let row_format = by_row.memory(&m, "format", MemoryStyle::Distributed, &starts, &format);
    let row_format = row_format.read("row_format", &by_row.address(&by_row.read));
    m.discard(&by_row.write);
    m.discard(&by_row.read);
    let by_line = Ring::new(&m, "lines_of", 2 * depth + units);
    by_line.advance(&m, &starts, &ends);
    let target = by_line.oldest(&m, "line_target", &starts, &target);
    let is_converting = by_line.has_item(&m);

    m.section("rows to lines");
    converter
        .input("row_valid", returns.output("out_valid"))
        .input("row_units", returns.output("out_count"))
        .input("row_last", returns.output("out_last"))
        .input("row_format", &row_format);
    for lane in 0..lanes {
        converter.input(&format!("row_data_{lane}"), returns.output(&format!("out_data_{lane}")));
    }
    returns.input("out_ready", converter.output("row_ready"));
    let groups = converter.output("groups");
    let masks: Vec<Signal> = formats
        .iter()
        .map(|format| {
            // Zeros go below a plane; what lies above it stays.
            let below = params.datapath_bits - format.above.min(params.datapath_bits);
            let named = segments.iter().enumerate().filter(|(_, (_, high))| *high <= below);
            let mask = named.fold(0, |mask, (at, _)| mask | 1 << at);
            m.literal(Bits::new(mask, segments.len() as u32), false)
        })
        .collect();
    let mask = m.wire("fill_mask", &m.select(&converter.output("format_out"), &masks));

    for channel in 0..channels {
        m.output(format!("arvalid_{channel}"), &addresses.output(&format!("valid_{channel}")));
        let bytes = params.memory.transaction_bytes.trailing_zeros();
        let address = addresses.output(&format!("address_{channel}"));
        m.output_for(
            format!("araddr_{channel}"),
            &address.concat(&m.constant(0, bytes)),
            "Byte address.",
        );
        m.output(format!("rready_{channel}"), &returns.output(&format!("data_ready_{channel}")));
    }
    let slot_bits = slot_bits(&sizes);
    let stream = target.bits(slot_bits..slot_bits + STREAM_BITS);
    let fills = m.wire("fills", &groups.any());
    m.output_for("fill", &fills, "Groups are written in this cycle.");
    m.output("fill_groups", &groups);
    for (at, name) in STREAMS.iter().enumerate() {
        m.output(format!("fill_{name}"), &stream.eq(at as u64));
    }
    m.output("fill_slot", &target.bits(0..slot_bits));
    m.output_for("fill_segments", &mask, "Bits of the words that are written.");
    for line in 0..lines {
        for vector in 0..params.qk_array.keys_per_line {
            let value = converter.output(&format!("m_line_{line}_vector_{vector}"));
            m.output(format!("fill_line_{line}_{vector}"), &value);
        }
    }
    let idle = [generator.output("idle"), returns.output("idle"), !is_converting];
    m.output_for("idle", &m.all_of(&idle), "No command waits, no data are under way.");
    m.finish()
}
