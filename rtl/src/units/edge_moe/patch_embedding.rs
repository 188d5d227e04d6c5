//! Patch embedding: pixels of a row of patches times weights, plus bias and position.

use std::sync::Arc;

use attelier_hw::edge_moe::{
    Sizes,
    formats::{BIAS, FEATURE, PATCH_WEIGHT, PIXEL},
};

use super::outlet::Outlet;
use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::{MemoryStyle, Module},
    units::spatten::parts::{adder_tree, delay, history, within},
};

/// Operands, products: stages of a sum beside the levels of the tree.
const STAGES: u32 = 2;
/// Read, position: stages of what leaves.
const OUTPUT_STAGES: u32 = 2;
/// Places of the output queue.
const PLACES: u32 = 4;
/// Bits of a product that a feature does not have.
const SURPLUS: u32 = PIXEL.fraction + PATCH_WEIGHT.fraction - FEATURE.fraction;

/// Sizes of the loops.
struct Loops {
    /// Patches whose lines lie in one word of pixels.
    pairs: u32,
    /// Words of pixels of a line of all patches of a row.
    groups: u32,
    /// Words of features of a patch.
    words: u32,
    /// Lines of a patch, of all colours.
    lines: u32,
}

fn loops(name: &str, sizes: &Sizes) -> Result<Loops, Error> {
    let line = within(name, "patch", sizes.patch, 2..65, "2 to 64 pixels")?;
    let lanes = within(name, "lanes", sizes.lanes, 2..65, "2 to 64 lanes")?;
    let colours = within(name, "colours", sizes.colours, 1..9, "1 to 8 colours")?;
    let pairs = lanes * FEATURE.bits / PIXEL.bits / line;
    if !line.is_power_of_two() || !lanes.is_power_of_two() || pairs == 0 {
        let expected = "a power of two of pixels, not more than a word holds";
        return Err(Error::parameter(name, "patch", line, expected));
    }
    let groups = sizes.patch_columns / pairs;
    if groups * pairs != sizes.patch_columns || groups < 2 {
        let expected = "at least two words of patches, and whole ones";
        return Err(Error::parameter(name, "patch_columns", sizes.patch_columns, expected));
    }
    let words = sizes.width / lanes;
    // The sum of a step must be written before the same one is read again.
    if words * lanes != sizes.width || words < 2 || groups * words < STAGES + line.ilog2() + 1 {
        let expected = "two words or more, and as many in a row of patches as there are stages";
        return Err(Error::parameter(name, "width", sizes.width, expected));
    }
    Ok(Loops { pairs, groups, words, lines: line * colours })
}

/// The module `patch_embedding`, and in it one `patch_feature` per lane of a word.
///
/// # Errors
/// Lines of patches that are no power of two of pixels or do not fit a word; rows of less than two words;
/// tokens of less than two words.
pub fn patch_embedding(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let name = "patch_embedding";
    let Loops { pairs, groups, words, lines } = loops(name, sizes)?;
    let lanes = sizes.lanes;
    let [word_bits, group_bits, line_bits, lane_bits, pair_bits] =
        [words, groups, lines, lanes, pairs].map(|count| index_width(count.into()));
    let depth = groups * words;
    let place_bits = index_width(depth.into());
    let weight_bits = index_width(u64::from(lines) * u64::from(words));
    let sums_at = STAGES + sizes.patch.ilog2();
    let feature = patch_feature(sizes, lines * words, pairs)?;

    let m = ModuleBuilder::new(name);
    m.doc("Patch embedding of rows of patches. A word of pixels holds a line of PAIRS patches; it meets the");
    m.doc("weights of all features, a word of them in each cycle. Lines come one after the other, all");
    m.doc(
        "colours; then the patches leave while the next row comes, with bias and position added.",
    );
    m.parameter("PATCH", sizes.patch);
    m.parameter("PATCH_COLUMNS", sizes.patch_columns);
    m.parameter("COLOURS", sizes.colours);
    m.parameter("TOKEN_WORDS", words);
    m.parameter("LANES", lanes);
    m.latency(format!(
        "{} cycles from the last step of a row to its first word, {} from a position to `m_axis_tvalid`",
        sums_at + 1,
        OUTPUT_STAGES + 1
    ));
    let pixel_valid = m.input("s_pixel_tvalid", 1);
    let pixels = m.input("s_pixel_tdata", pairs * sizes.patch * PIXEL.bits);
    let position_valid = m.input("s_position_tvalid", 1);
    let position = m.input("s_position_tdata", lanes * FEATURE.bits);
    let weight_write = m.input("weight_write", 1);
    let weight_lane = m.input("weight_lane", lane_bits);
    let weight_address = m.input("weight_address", weight_bits);
    let weight_data = m.input("weight_data", sizes.patch * PATCH_WEIGHT.bits);
    let bias_write = m.input("bias_write", 1);
    let bias_address = m.input("bias_address", word_bits);
    let bias_data = m.input("bias_data", lanes * BIAS.bits);

    m.section("steps: word of features, word of pixels, line");
    let bank = m.register("bank", 1).comment("Sums of the row that comes.");
    let is_full: Vec<Signal> = (0..2).map(|at| m.forward(format!("is_full_{at}"), 1)).collect();
    let word = m.register("word", word_bits);
    let group = m.register("group", group_bits);
    let line = m.register("line", line_bits);
    let place = m.register("place", place_bits).comment("Sums of this step.");
    let base = m.register("weight_base", weight_bits).comment("Weights of this line.");
    let first_word = m.wire("first_word", &!word.any());
    let begins_row = m.wire("begins_row", &!(line.any() | place.any()));
    let blocked = m.wire("blocked", &(begins_row & m.select(&bank, &is_full)));
    let ready = m.wire("ready", &(&first_word & !blocked));
    let step = m.wire("step", &(!&first_word | (&ready & pixel_valid)));
    let last_word = m.wire("last_word", &word.eq(u64::from(words - 1)));
    let word_ends = m.wire("word_ends", &(&step & last_word));
    m.update_when(&word, &step, (!&word_ends).gate(&(&word + 1)));
    let last_group = group.eq(u64::from(groups - 1));
    let line_ends = m.wire("line_ends", &(&word_ends & last_group));
    m.update_when(&group, &word_ends, (!&line_ends).gate(&(&group + 1)));
    m.update_when(&place, &step, (!&line_ends).gate(&(&place + 1)));
    let last_line = line.eq(u64::from(lines - 1));
    let row_ends = m.wire("row_ends", &(&line_ends & last_line));
    m.update_when(&line, &line_ends, (!&row_ends).gate(&(&line + 1)));
    m.update_when(&base, &line_ends, (!&row_ends).gate(&(&base + u64::from(words))));
    m.update_when(&bank, &row_ends, !&bank);
    let address = m.wire("address", &(&base + word.extend(weight_bits)));

    m.section("a word of pixels stays for all features");
    let takes = m.wire("takes", &(&step & &first_word));
    let operand = m.pipe_when("pixel_register", &takes, &pixels);

    m.section("place of the step in each stage");
    let steps = history(&m, "step", &step, sums_at);
    let place_then = delay(&m, "place", &place, sums_at - 1);
    let place_now = m.pipe("place_now", &place_then);
    let word_now = delay(&m, "word", &word, sums_at);
    let bank_then = delay(&m, "bank", &bank, sums_at - 1);
    let bank_now = m.pipe("bank_now", &bank_then);
    let first_line = delay(&m, "first_line", &m.wire("is_first_line", &!line.any()), sums_at);
    let row_ended = history(&m, "row_ended", &row_ends, sums_at);

    let gives = m.forward("gives", 1);
    let outlet = Outlet::new(&m, "m_axis", PLACES, &gives);
    m.section("what leaves: patch after patch, each with its position");
    let out_bank = m.register("out_bank", 1);
    let out_word = m.register("out_word", word_bits);
    let out_pair = m.register("out_pair", pair_bits);
    let out_base = m.register("out_base", place_bits);
    let offers = m.select(&out_bank, &is_full);
    let position_ready = m.wire("position_ready", &(offers & &outlet.has_room));
    m.drive(&gives, &position_ready & position_valid);
    let patch_ends = m.wire("patch_ends", &(&gives & out_word.eq(u64::from(words - 1))));
    m.update_when(&out_word, &gives, (!&patch_ends).gate(&(&out_word + 1)));
    let last_pair = out_pair.eq(u64::from(pairs - 1));
    let pairs_end = m.wire("pairs_end", &(&patch_ends & last_pair));
    m.update_when(&out_pair, &patch_ends, (!&pairs_end).gate(&(&out_pair + 1)));
    let all_left = m.wire("all_left", &(&pairs_end & out_base.eq(u64::from(depth - words))));
    m.update_when(&out_base, &pairs_end, (!&all_left).gate(&(&out_base + u64::from(words))));
    m.update_when(&out_bank, &all_left, !&out_bank);
    let out_place = m.wire("out_place", &(&out_base + out_word.extend(place_bits)));
    for (at, full) in (0u64..).zip(&is_full) {
        let register = m.register(format!("full_{at}"), 1);
        let fills = &row_ended[sums_at as usize] & bank_now.eq(at);
        let empties = m.wire(format!("empties_{at}"), &(&all_left & out_bank.eq(at)));
        m.update(&register, fills | (&register & !empties));
        m.drive(full, &register);
    }

    let bias = m.memory("bias_words", bias_data.width(), words, MemoryStyle::Distributed);
    bias.write(&bias_address, &bias_data, &bias_write);
    let bias = bias.read("bias_now", &word_now);
    let pair_then = m.pipe("pair_then", &out_pair);
    let out_bank_then = m.pipe("out_bank_then", &out_bank);
    let position = m.pipe("position_register", &position);
    let results: Vec<Signal> = (0..lanes)
        .zip(bias.lanes(lanes))
        .map(|(lane, bias)| {
            let write = &weight_write & weight_lane.eq(u64::from(lane));
            let write = m.wire(format!("weight_write_{lane}"), &write);
            let instance = m.instance(format!("feature_{lane}"), &feature);
            instance
                .input("pixels", &operand)
                .input("address", &address)
                .input("weight_write", &write)
                .input("weight_address", &weight_address)
                .input("weight_data", &weight_data)
                .input("bias", &bias)
                .input("first_line", &first_line)
                .input("adds", &steps[sums_at as usize])
                .input("bank_then", &bank_then)
                .input("place_then", &place_then)
                .input("bank_now", &bank_now)
                .input("place_now", &place_now)
                .input("out_place", &out_place)
                .input("out_bank", &out_bank_then);
            let sums = m.select(&pair_then, &instance.output("sums").lanes(pairs));
            let position = position.bits(lane * FEATURE.bits..(lane + 1) * FEATURE.bits);
            m.pipe(format!("result_{lane}"), &(sums + position))
        })
        .collect();
    let given = history(&m, "gave", &gives, OUTPUT_STAGES);
    outlet.offer(&m, &given[OUTPUT_STAGES as usize], &[("tdata", m.pack(&results))]);

    m.output("s_pixel_tready", &ready);
    m.output("s_position_tready", &position_ready);
    m.finish()
}

/// One feature of a word: its weights, products with a line of each patch, and the sums of all patches.
fn patch_feature(sizes: &Sizes, weights: u32, pairs: u32) -> Result<Arc<Module>, Error> {
    let line = sizes.patch;
    let words = sizes.width / sizes.lanes;
    let depth = sizes.patch_columns / pairs * words;
    let (weight_bits, place_bits) = (index_width(weights.into()), index_width(depth.into()));
    let m = ModuleBuilder::new("patch_feature");
    m.doc("One feature: products of a line of PAIRS patches with its weights, cut to features, and the sums of");
    m.doc("a row of patches in each of two banks.");
    m.parameter("PAIRS", pairs);
    m.parameter("PATCH", line);
    m.latency(format!("{} cycles from a line to its sums", STAGES + line.ilog2() + 1));
    let pixels = m.input("pixels", pairs * line * PIXEL.bits).comment("One cycle behind.");
    let address = m.input("address", weight_bits);
    let weight_write = m.input("weight_write", 1);
    let weight_address = m.input("weight_address", weight_bits);
    let weight_data = m.input("weight_data", line * PATCH_WEIGHT.bits);
    let bias = m.input("bias", BIAS.bits);
    let first_line = m.input("first_line", 1);
    let adds = m.input("adds", 1);
    let bank_then = m.input("bank_then", 1);
    let place_then = m.input("place_then", place_bits);
    let bank_now = m.input("bank_now", 1);
    let place_now = m.input("place_now", place_bits);
    let out_place = m.input("out_place", place_bits);
    let out_bank = m.input("out_bank", 1).comment("One cycle behind.");

    m.section("products, cut to features");
    let memory = m.memory("weights", weight_data.width(), weights, MemoryStyle::Block);
    memory.write(&weight_address, &weight_data, &weight_write);
    let weights = memory.read_clocked("weights_now", &address).lanes(line);
    let sums: Vec<Signal> = (0u32..)
        .zip(pixels.lanes(pairs))
        .map(|(pair, pixels)| {
            let products = (0u32..)
                .zip(pixels.lanes(line).iter().zip(&weights))
                .map(|(at, (pixel, weight))| {
                    let pixel = pixel.extend(PIXEL.bits + 1).as_signed();
                    let exact = pixel.mul(&weight.as_signed());
                    let exact = m.wire(format!("exact_{pair}_{at}"), &exact);
                    m.discard(&exact);
                    let cut = exact.bits(SURPLUS..exact.width()).as_signed();
                    m.pipe(format!("product_{pair}_{at}"), &cut)
                })
                .collect();
            adder_tree(&m, &format!("sum_{pair}"), products).extend(FEATURE.bits).as_unsigned()
        })
        .collect();

    m.section("sums of both banks; a bank that is not added to is read by what leaves");
    let bias = bias.concat(&m.constant(0, FEATURE.fraction - BIAS.fraction));
    let bias = m.wire("bias_feature", &bias.as_signed().extend(FEATURE.bits).as_unsigned());
    let next = m.forward("next_sums", pairs * FEATURE.bits);
    let banks = [0u64, 1].map(|at| {
        let memory = m.memory(format!("bank_{at}"), next.width(), depth, MemoryStyle::Block);
        let write = m.wire(format!("bank_{at}_write"), &(&adds & bank_now.eq(at)));
        memory.write(&place_now, &next, &write);
        let is_added = m.wire(format!("bank_{at}_is_added"), &bank_then.eq(at));
        let read = m.wire(format!("bank_{at}_place"), &is_added.mux(&place_then, &out_place));
        memory.read_clocked(format!("bank_{at}_sums"), &read)
    });
    let kept = m.wire("kept", &m.select(&bank_now, &banks));
    let now: Vec<Signal> = kept
        .lanes(pairs)
        .iter()
        .zip(&sums)
        .map(|(kept, sum)| first_line.mux(&bias, kept) + sum)
        .collect();
    m.drive(&next, m.pack(&now));
    m.output("sums", &m.select(&out_bank, &banks));
    m.finish()
}
