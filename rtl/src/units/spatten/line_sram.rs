//! Key and value buffers: lines of words in block RAM, written plane by plane.
//!
//! A line is one vector for every key or value that an array takes at once. Lines that are written
//! together lie in different banks. Within a word, the bits below the most significant 4, 6, 8 and 10
//! are memories of their own, so that a plane of LSBs can be written below MSBs of any stored width
//! while the MSBs stay.

use std::sync::Arc;

use attelier_hw::spatten::{LineSram, Spatten};

use super::{
    parts::{power_of_two, within},
    widths::check_word,
};
use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::{MemoryStyle, Module},
};

/// Buffer of keys: `key_sram`.
///
/// # Errors
/// Lines per cycle that are no power of two or do not divide the lines; a line that is not that of
/// the array.
pub fn key_sram(params: &Spatten) -> Result<Arc<Module>, Error> {
    line_sram("key_sram", params, &params.key_sram, params.qk_array.keys_per_line)
}

/// Buffer of values: `value_sram`.
///
/// # Errors
/// As [`key_sram`].
pub fn value_sram(params: &Spatten) -> Result<Arc<Module>, Error> {
    line_sram("value_sram", params, &params.value_sram, params.pv_array.values_per_line)
}

/// Bits of a word that are written together: lowest and the one behind the highest, from the top.
pub fn segments(word: u32) -> Vec<(u32, u32)> {
    let mut bounds: Vec<u32> = [4, 6, 8, 10, word].into_iter().filter(|at| *at <= word).collect();
    bounds.dedup();
    let above = std::iter::once(0).chain(bounds.clone());
    above.zip(bounds).map(|(above, below)| (word - below, word - above)).collect()
}

fn line_sram(
    name: &'static str,
    params: &Spatten,
    sram: &LineSram,
    vectors: u32,
) -> Result<Arc<Module>, Error> {
    let word = check_word(name, params)?;
    let head_dim = params.head_dim;
    let banks = params.bitwidth_converter.lines_per_cycle;
    power_of_two(name, "bitwidth_converter.lines_per_cycle", banks)?;
    let expected = "a multiple of bitwidth_converter.lines_per_cycle, at least 2 lines for each";
    let depth = within(name, "lines", sram.lines, 2 * banks..u32::MAX, expected)? / banks;
    if depth * banks != sram.lines {
        return Err(Error::parameter(name, "lines", sram.lines, expected));
    }
    let segments = segments(word);
    let group_bits = index_width(depth.into());
    let bank_bits = banks.ilog2();

    let m = ModuleBuilder::new(name);
    m.doc("Buffer of lines; line BANKS * n + bank is place n of a bank. A write fills, in the banks that");
    m.doc("`write_banks` names, the places `write_place_*`, and of each word the bits that `write_segments`");
    m.doc("names: segment 0 are the");
    m.doc(format!(
        "{} most significant bits, then follow {}.",
        segments.first().map_or(0, |(low, high)| high - low),
        segments[1..]
            .iter()
            .map(|(low, high)| (high - low).to_string())
            .collect::<Vec<_>>()
            .join(", ")
    ));
    m.parameter("LINES", sram.lines);
    m.parameter("BANKS", banks);
    m.parameter("WORDS_PER_LINE", vectors * head_dim);
    m.parameter("DATAPATH_BITS", word);
    m.latency("read 1 cycle; a line can be read in the cycle after it was written");
    let write_valid = m.input("write_valid", 1);
    let write_banks = m.input("write_banks", banks);
    let write_segments = m.input("write_segments", segments.len() as u32);
    let write_places = m.inputs("write_place", banks, group_bits);
    let lines: Vec<Vec<Signal>> = (0..banks)
        .map(|bank| m.inputs(&format!("write_line_{bank}"), vectors, head_dim * word))
        .collect();
    let read_valid = m.input("read_valid", 1);
    let read_line = m.input("read_line", group_bits + bank_bits);
    let read_group = m.wire("read_group", &read_line.bits(bank_bits..group_bits + bank_bits));
    let read_bank = (bank_bits > 0).then(|| m.wire("read_bank", &read_line.bits(0..bank_bits)));

    let mut banked: Vec<Vec<Signal>> = Vec::new();
    for ((bank, line), write_place) in (0..banks).zip(&lines).zip(&write_places) {
        m.section(format!("bank {bank}"));
        let writes = m.wire(format!("writes_{bank}"), &(&write_valid & write_banks.bit(bank)));
        let enables: Vec<Signal> = (0..segments.len() as u32)
            .map(|at| m.wire(format!("writes_{bank}_{at}"), &(&writes & write_segments.bit(at))))
            .collect();
        let reads = match &read_bank {
            Some(read_bank) => &read_valid & read_bank.eq(u64::from(bank)),
            None => read_valid.clone(),
        };
        let reads = m.wire(format!("reads_{bank}"), &reads);
        let vectors = line.iter().enumerate().map(|(at, vector)| {
            let words = vector.lanes(head_dim);
            let parts: Vec<Vec<Signal>> = segments
                .iter()
                .zip(&enables)
                .enumerate()
                .map(|(segment, ((low, high), enable))| {
                    let bits: Vec<Signal> =
                        words.iter().map(|word| word.bits(*low..*high)).collect();
                    let bits = m.pack(&bits);
                    let label = format!("bank_{bank}_vector_{at}_segment_{segment}");
                    let memory = m.memory(
                        format!("{label}_memory"),
                        bits.width(),
                        depth,
                        MemoryStyle::Block,
                    );
                    memory.write(write_place, &bits, enable);
                    memory.read_clocked_when(label, &read_group, &reads).lanes(head_dim)
                })
                .collect();
            let words: Vec<Signal> = (0..head_dim as usize)
                .map(|element| m.concat(parts.iter().map(|part| &part[element])))
                .collect();
            m.wire(format!("bank_{bank}_vector_{at}"), &m.pack(&words))
        });
        banked.push(vectors.collect());
    }

    m.section("the bank that was read");
    let shown = read_bank.map(|bank| m.pipe_when("shown_bank", &read_valid, &bank));
    let vectors: Vec<Signal> = (0..vectors as usize)
        .map(|at| {
            let banks: Vec<Signal> = banked.iter().map(|bank| bank[at].clone()).collect();
            match &shown {
                Some(shown) => m.select(shown, &banks),
                None => banks[0].clone(),
            }
        })
        .collect();
    m.outputs("line", &vectors);
    m.finish()
}
