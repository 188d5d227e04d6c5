//! Bitwidth converter: rows of DRAM transactions become lines of data path words.
//!
//! Transactions wait in a ring of registers, into which a row is rotated and from whose oldest end a
//! window is rotated out. A group is one line of vectors for every fused head. Which bits of the
//! window make a word depends on the format alone, so the conversion is wires and one multiplexer.

use std::sync::Arc;

use attelier_hw::spatten::Spatten;

use super::{parts::power_of_two, ring::Ring, widths::check_word};
use crate::{Error, ModuleBuilder, Signal, bits::index_width, ir::Module};

/// How vectors of a command are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Width of a stored code \[bits\].
    pub bits: u32,
    /// Heads whose vectors are interleaved.
    pub heads: u32,
    /// Bits of the word above the code; 0 for a code with sign.
    pub above: u32,
    /// Vectors of one line.
    pub vectors: u32,
}

impl Format {
    /// Transactions of one vector, of all heads.
    pub fn vector_units(&self, params: &Spatten) -> u32 {
        let bytes = (params.head_dim * self.bits * self.heads).div_ceil(8);
        bytes.div_ceil(params.memory.transaction_bytes)
    }

    /// Groups that leave in one cycle at most.
    pub fn groups_per_cycle(&self, params: &Spatten) -> u32 {
        (params.bitwidth_converter.lines_per_cycle / self.heads).max(1)
    }
}

/// The formats that a machine converts; their positions are the values of `row_format`.
pub fn formats(params: &Spatten) -> Vec<Format> {
    let (word, keys) = (params.datapath_bits, params.qk_array.keys_per_line);
    let mut formats = Vec::new();
    let mut add = |bits: u32, heads: u32, above: u32, vectors: u32| {
        let format = Format { bits, heads, above, vectors };
        // Queries may be stored wider than a word; lower planes lie inside it.
        let fits = above + bits <= word || above == 0 && vectors == 1;
        let lines_fit = heads <= params.bitwidth_converter.lines_per_cycle;
        if fits && lines_fit && !formats.contains(&format) {
            formats.push(format);
        }
    };
    // Keys and values; the second plane of keys; queries.
    for (bits, heads) in [(4, 1), (6, 1), (6, 2), (8, 1), (word, 1)] {
        add(bits, heads, 0, keys);
    }
    for above in [4, 6, 8] {
        add(4, 1, above, keys);
    }
    for bits in [8, 12, 16] {
        add(bits, 1, 0, 1);
    }
    formats
}

/// The converter.
///
/// # Errors
/// Lanes or buffered transactions that are no power of two; a buffer smaller than one cycle's lines.
pub fn bitwidth_converter(params: &Spatten) -> Result<Arc<Module>, Error> {
    let name = "bitwidth_converter";
    check_word(name, params)?;
    let lanes = power_of_two(name, "qkv_fetcher.lanes", params.qkv_fetcher.lanes)?;
    let unit_bits = params.memory.transaction_bytes * 8;
    let buffer_bytes = params.bitwidth_converter.buffer_bytes;
    let units = buffer_bytes / params.memory.transaction_bytes.max(1);
    power_of_two(name, "bitwidth_converter.buffer_bytes", buffer_bytes)?;
    power_of_two(name, "memory.transaction_bytes", params.memory.transaction_bytes)?;
    let formats = formats(params);
    let largest = |format: &Format| {
        format.groups_per_cycle(params) * format.vectors * format.vector_units(params)
    };
    let window = formats.iter().map(largest).max().unwrap_or(1);
    if units < window.max(lanes) || units < 2 {
        let expected = "a row and the lines of one cycle, as they are stored";
        let parameter = "bitwidth_converter.buffer_bytes";
        return Err(Error::parameter(name, parameter, buffer_bytes, expected));
    }
    let keys = params.qk_array.keys_per_line;
    let lines = params.bitwidth_converter.lines_per_cycle;
    let format_bits = index_width(formats.len() as u64);
    let count_bits = index_width(u64::from(units) + 1);

    let m = ModuleBuilder::new(name);
    m.doc(
        "Rows of up to LANES transactions become lines of words. `row_units` transactions of a row",
    );
    m.doc("count, from lane 0 on; `row_last` ends a command; `row_format` belongs to the command:");
    for (at, format) in formats.iter().enumerate() {
        let Format { bits, heads, above, vectors } = format;
        m.doc(format!(
            "{at}: codes of {bits} bits below {above}, {heads} heads, {vectors} vectors a line"
        ));
    }
    m.doc("Lines of fused heads follow each other. The last group of a command may lack vectors.");
    m.parameter("LANES", lanes);
    m.parameter("BUFFER_TRANSACTIONS", units);
    m.parameter("LINES_PER_CYCLE", lines);
    m.latency("a row can leave in the cycle after it has come");
    let row_valid = m.input("row_valid", 1);
    let row_units = m.input("row_units", index_width(u64::from(lanes) + 1));
    let row_last = m.input("row_last", 1);
    let row_format = m.input("row_format", format_bits);
    let row = m.inputs("row_data", lanes, unit_bits);

    m.section("the oldest command: its format, what it has in the buffer, whether that is all");
    let take = m.forward("take", 1);
    let ends = m.forward("command_ends", 1);
    let first = m.register_from("first", crate::bits::Bits::ones(1));
    m.update_when(&first, &take, &row_last);
    let opens = m.wire("opens", &(&take & &first));
    let closes = m.wire("closes", &(&take & &row_last));
    let buffer = Ring::new(&m, "buffer", units);
    let behind = m.wire("behind_row", &(&buffer.write + row_units.extend(buffer.pointer_bits())));
    let open = Ring::new(&m, "open", units);
    open.advance(&m, &opens, &ends);
    let has_command = open.has_item(&m);
    let format = open.oldest(&m, "format", &opens, &row_format);
    let closed = Ring::new(&m, "closed", units);
    closed.advance(&m, &closes, &ends);
    let is_whole = closed.has_item(&m);
    let end = closed.oldest(&m, "end_of_command", &closes, &behind);
    let known = m.wire("known_end", &is_whole.mux(&end, &buffer.write));
    let buffered = m.wire("buffered", &(&known - &buffer.read));

    m.section("how many groups leave");
    let most = formats.iter().map(|format| format.groups_per_cycle(params)).max().unwrap_or(1);
    let wide = count_bits.max(buffered.width()) + 1;
    let have = buffered.extend(wide);
    let mut groups = m.constant(0, index_width(u64::from(most) + 1));
    let mut left = have.clone();
    for group in 1..=most {
        // Formats of fewer groups per cycle ask for more than the buffer can hold.
        let needs: Vec<Signal> = formats
            .iter()
            .map(|format| {
                let whole = group * format.vectors * format.vector_units(params);
                let may = group <= format.groups_per_cycle(params);
                m.constant(if may { whole.into() } else { (1 << wide) - 1 }, wide)
            })
            .collect();
        let needs = m.wire(format!("units_of_{group}"), &m.select(&format, &needs));
        let before: Vec<Signal> = formats
            .iter()
            .map(|format| {
                let whole = (group - 1) * format.vectors * format.vector_units(params);
                let may = group <= format.groups_per_cycle(params);
                m.constant(if may { whole.into() } else { (1 << wide) - 1 }, wide)
            })
            .collect();
        let before = m.wire(format!("units_before_{group}"), &m.select(&format, &before));
        let whole = m.wire(format!("group_{group}_whole"), &have.ge(&needs));
        let part = &is_whole & have.gt(&before);
        let leaves = m.wire(format!("group_{group}_leaves"), &(&has_command & (&whole | &part)));
        groups = m.wire(format!("groups_{group}"), &(&groups + leaves.extend(groups.width())));
        let rest = m.wire(format!("rest_{group}"), &whole.mux(&(&have - &needs), 0));
        left = m.wire(format!("left_{group}"), &leaves.mux(&rest, &left));
    }
    m.drive(&ends, m.all_of(&[has_command, is_whole, left.eq(0)]));
    let pops = m.wire("pops", &(&have - &left));
    m.discard(&pops);
    m.update(&buffer.read, &buffer.read + pops.bits(0..buffer.pointer_bits()));

    m.section("a row enters if a whole one has room beside what stays");
    let stays = &buffer.write - &buffer.read - pops.bits(0..buffer.pointer_bits());
    let stays = m.wire("stays", &stays);
    let ready = m.wire("row_has_room", &stays.le(u64::from(units - lanes)));
    m.drive(&take, &row_valid & &ready);
    m.update_when(&buffer.write, &take, &behind);

    m.section("the row, rotated to where the buffer ends");
    let rotated = rotate_in(&m, &row, &buffer.write);
    let row_count = row_units.extend(buffer.pointer_bits());
    let held: Vec<Signal> = (0..units)
        .map(|at| {
            let here = m.constant(at.into(), buffer.pointer_bits() - 1);
            let lane = m.wire(format!("lane_of_{at}"), &(here - buffer.address(&buffer.write)));
            let loads = lane.extend(buffer.pointer_bits()).lt(&row_count);
            let loads = m.wire(format!("loads_{at}"), &(&take & loads));
            m.pipe_when(format!("unit_{at}"), &loads, &rotated[(at % lanes) as usize])
        })
        .collect();

    m.section("the window, rotated from where the buffer begins");
    let window = rotate_out(&m, &held, &buffer.address(&buffer.read), window);

    m.section("words of each format");
    let mut converted = Vec::new();
    for line in 0..lines {
        for vector in 0..keys {
            let choices: Vec<Signal> = formats
                .iter()
                .map(|format| words_of(&m, params, format, &window, line, vector))
                .collect();
            let name = format!("line_{line}_vector_{vector}");
            converted.push((name.clone(), m.wire(name, &m.select(&format, &choices))));
        }
    }
    for unit in &window {
        m.discard(unit);
    }
    m.output_for("row_ready", &ready, "Not to be waited for with `row_valid` low.");
    m.output_for("groups", &groups, "Groups that leave in this cycle.");
    m.output_for("format_out", &format, "Their format.");
    m.output_for("ends", &ends, "They end their command.");
    for (name, vector) in &converted {
        m.output(format!("m_{name}"), vector);
    }
    m.finish()
}

/// Lane `k` of the result is what belongs to places `k` modulo the number of lanes.
fn rotate_in(m: &ModuleBuilder, row: &[Signal], write: &Signal) -> Vec<Signal> {
    let lanes = row.len();
    (0..lanes.ilog2()).fold(row.to_vec(), |row, level| {
        let by = 1usize << level;
        let moves = write.bit(level);
        let lane = |at: usize| moves.mux(&row[(at + lanes - by) % lanes], &row[at]);
        (0..lanes).map(|at| m.wire(format!("in_by_{by}_{at}"), &lane(at))).collect()
    })
}

/// The `window` units from `read` on.
fn rotate_out(m: &ModuleBuilder, held: &[Signal], read: &Signal, window: u32) -> Vec<Signal> {
    let units = held.len();
    (0..units.ilog2()).rev().fold(held.to_vec(), |held, level| {
        let by = 1usize << level;
        let moves = read.bit(level);
        let keep = (window as usize + by - 1).min(units);
        let unit = |at: usize| moves.mux(&held[(at + by) % held.len()], &held[at]);
        (0..keep).map(|at| m.wire(format!("out_by_{by}_{at}"), &unit(at))).collect()
    })
}

/// One vector of a line of words; zeros where the format has no such line or vector.
fn words_of(
    m: &ModuleBuilder,
    params: &Spatten,
    format: &Format,
    window: &[Signal],
    line: u32,
    vector: u32,
) -> Signal {
    let (head_dim, word) = (params.head_dim, params.datapath_bits);
    let Format { bits, heads, above, vectors } = *format;
    let (group, head) = (line / heads, line % heads);
    if group >= format.groups_per_cycle(params) || vector >= vectors {
        return m.constant(0, head_dim * word);
    }
    let units = format.vector_units(params);
    let first = ((group * vectors + vector) * units) as usize;
    let stored = m.pack(&window[first..first + units as usize]);
    let words: Vec<Signal> = (0..head_dim)
        .map(|element| {
            let low = (element * heads + head) * bits;
            let code = stored.bits(low..low + bits);
            let code = if bits > word { code.bits(bits - word..bits) } else { code };
            let below = word - above - code.width();
            let zeros = |width: u32| (width > 0).then(|| m.constant(0, width));
            let parts = [zeros(above), Some(code), zeros(below)];
            m.concat(parts.iter().flatten())
        })
        .collect();
    m.pack(&words)
}
