//! Controller: admits jobs, reserves buffers, gives fetch commands, orders passes.
//!
//! A job is one query of one head against its keys. Its keys are fetched on admission; a pass that is
//! found flat comes back with the LSBs of its keys, before new passes; values are fetched when it is
//! known which of them are needed (SpAtten sections III-D and IV-A; limits of the released RTL).

mod table;

use std::sync::Arc;

use attelier_hw::spatten::{Spatten, formats::SCALE_BITS};

use self::table::{Table, flag, flags};
use super::{
    ring::Ring,
    sizes::{ID_BITS, Sizes, VECTOR_GRANULE},
};
use crate::{Error, ModuleBuilder, Signal, bits::index_width, ir::Module};

/// Width of the shift of a scale \[bits\].
const SHIFT_BITS: u32 = 6;

/// A field of a job.
pub struct JobField {
    /// Name of its port behind `s_job_`.
    pub name: &'static str,
    /// Width \[bits\].
    pub width: u32,
    /// Meaning.
    pub meaning: &'static str,
}

/// The fields of a job, in the order of the ports.
///
/// # Errors
/// Transactions that are no power of two.
pub fn job_fields(params: &Spatten) -> Result<Vec<JobField>, Error> {
    let Sizes { count_bits, units_bits, format_bits, unit_address_bits, .. } = Sizes::of(params)?;
    let word = params.datapath_bits;
    let fields = [
        ("id", ID_BITS, "Comes back with the result."),
        ("keys", count_bits, "Keys, at least 1."),
        ("values", count_bits, "Values that are used; fewer than keys: the most probable ones."),
        ("key_base", unit_address_bits, "Transaction where key 0 begins."),
        ("key_units", units_bits, "Transactions of a stored key."),
        ("key_format", format_bits, "Format of the converter."),
        ("lsb_base", unit_address_bits, "The LSBs of the keys."),
        ("lsb_units", units_bits, ""),
        ("lsb_format", format_bits, ""),
        ("value_base", unit_address_bits, "The values."),
        ("value_units", units_bits, ""),
        ("value_format", format_bits, ""),
        ("compares", 1, "A flat pass is computed again with LSBs."),
        ("threshold", word + 1, "Flat: every probability is below this code."),
        ("scale_mantissa", SCALE_BITS, "score * mantissa / 2^shift is an exponent of two"),
        ("scale_shift", SHIFT_BITS, "with 15 fraction bits."),
    ];
    Ok(fields.map(|(name, width, meaning)| JobField { name, width, meaning }).into())
}

/// Vectors of a fetch, and the groups and lines that hold them.
struct Extent {
    vectors: Signal,
    groups: Signal,
    lines: Signal,
}

/// The controller.
///
/// # Errors
/// Buffers with fewer lines than the largest job needs.
pub fn controller(params: &Spatten) -> Result<Arc<Module>, Error> {
    let name = "controller";
    let sizes = Sizes::of(params)?;
    let Sizes { lanes, jobs, keys, job_bits, count_bits, .. } = sizes;
    let limit = params.controller.jobs_in_flight;
    let most_lines = keys.next_multiple_of(VECTOR_GRANULE).div_ceil(lanes).next_multiple_of(2);
    for (parameter, sram) in
        [("key_sram.lines", &params.key_sram), ("value_sram.lines", &params.value_sram)]
    {
        if sram.lines < most_lines {
            let expected = "lines for as many keys as the softmax holds";
            return Err(Error::parameter(name, parameter, sram.lines, expected));
        }
    }
    let row_bits = index_width(u64::from(params.key_sram.lines) + 1);
    let key_line_bits = index_width(params.key_sram.lines.into()) + 1;
    let value_line_bits = index_width(params.value_sram.lines.into()) + 1;
    let key_slot_bits = index_width(sizes.key_slots.into());
    let value_slot_bits = index_width(sizes.value_slots.into());

    let m = ModuleBuilder::new(name);
    m.doc("Admits jobs, reserves buffer lines, gives fetch commands, orders passes. A job is one query of one");
    m.doc("head. Inside it is known by a number, the order of admission modulo JOBS.");
    m.doc("At most JOBS_IN_FLIGHT jobs are undecided: their probabilities have not been accepted.");
    m.parameter("JOBS_IN_FLIGHT", limit);
    m.parameter("JOBS", jobs);
    m.latency("acts on what the units said one cycle before; commands are taken in the same cycle");
    let job_valid = m.input("s_job_tvalid", 1);
    let mut fields = Vec::new();
    for JobField { name, width, meaning } in job_fields(params)? {
        let field = m.input(format!("s_job_{name}"), width);
        fields.push((name, if meaning.is_empty() { field } else { field.comment(meaning) }));
    }
    let field = |name: &str| -> &Signal {
        let found = fields.iter().find(|(known, _)| *known == name);
        &found.expect("a field of `job_fields`").1
    };
    let key_fit = m.input("key_fit", 1).comment("The key buffer has `key_lines` free lines.");
    let key_next_slot = m.input("key_next_slot", key_slot_bits);
    let value_fit = m.input("value_fit", 1).comment("As `key_fit`, for `value_lines`.");
    let value_next_slot = m.input("value_next_slot", value_slot_bits);
    let order_ready = m.input("order_ready", 1).comment("The QxK array takes an order.");
    let accepted = m.input("accepted_valid", 1).comment("A pass that is not compared is through.");
    let accepted_job = m.input("accepted_job", job_bits);
    let verdict = m.input("verdict_valid", 1).comment("A pass was compared.");
    let verdict_flat = m.input("verdict_flat", 1);
    let verdict_job = m.input("verdict_job", job_bits);
    let known = m.input("indices_known", 1).comment("The values that a job needs are known.");
    let known_job = m.input("indices_job", job_bits);
    let finished = m.input("finished_valid", 1).comment("An attention output left the array.");
    let finished_job = m.input("finished_job", job_bits);

    m.section("decisions");
    let again = m.wire("again", &(&verdict & &verdict_flat)).comment("A pass is computed again.");
    let passes = m.wire("passes", &(&verdict & !&verdict_flat));

    m.section("admission");
    let in_flight_bits = index_width(u64::from(limit) + 1);
    let in_flight = m.register("in_flight", in_flight_bits).comment("Undecided jobs.");
    let undecided = &in_flight - accepted.extend(in_flight_bits) - passes.extend(in_flight_bits);
    let undecided = m.wire("undecided", &undecided);
    let next = m.register("next_job", job_bits + 1);
    let at = m.wire("next_place", &next.bits(0..job_bits));
    let admits = m.forward("admits", 1);
    let inside = flags(&m, "jobs_inside", jobs, (&admits, &at), (&finished, &finished_job));
    let is_taken = flag(&m, "inside_from_next", &inside, &at);
    let may = m.all_of(&[undecided.lt(u64::from(limit)), key_fit, !is_taken]);
    let may = m.wire("may_admit", &may);
    m.drive(&admits, &job_valid & &may);
    m.update(&in_flight, &undecided + admits.extend(in_flight_bits));
    m.update_when(&next, &admits, &next + 1);
    let (count, kept) = (field("keys"), field("values"));
    let key_extent = extent(&m, "key", count, lanes, key_line_bits);
    let value_extent = extent(&m, "value", kept, lanes, value_line_bits);
    let rounded = m.wire("keys_and_rest", &(count.extend(count_bits + 1) + u64::from(lanes - 1)));
    m.discard(&rounded);
    let rows = m.wire("rows", &part(&rounded, lanes.ilog2(), row_bits));
    let last_keep = m.wire("last_keep", &mask(&m, count, lanes));
    let selects = m.wire("selects", &kept.lt(count)).comment("Values are pruned.");

    m.section("what is kept about the jobs inside");
    let write = (&admits, &at);
    let orders = Table::new(&m, "order", jobs, write, &[&rows, &last_keep]);
    let slots = Table::new(&m, "key_slot", jobs, write, &[&key_next_slot]);
    let scales =
        Table::new(&m, "scale", jobs, write, &[field("scale_mantissa"), field("scale_shift")]);
    let rules = Table::new(&m, "rule", jobs, write, &[field("compares"), field("threshold")]);
    let lsb_fields = [
        field("lsb_base"),
        field("lsb_units"),
        field("lsb_format"),
        &key_extent.vectors,
        &key_extent.groups,
    ];
    let lsbs = Table::new(&m, "lsb", jobs, write, &lsb_fields);
    let selections = Table::new(&m, "selection", jobs, write, &[count, kept, &selects]);
    let value_fields = [
        field("value_base"),
        field("value_units"),
        field("value_format"),
        &value_extent.vectors,
        &value_extent.groups,
        &value_extent.lines,
        &selects,
        kept,
    ];
    let values = Table::new(&m, "value", jobs, write, &value_fields);
    let ids = Table::new(&m, "id", jobs, write, &[field("id")]);

    m.section("values: the oldest job whose needs are known gets lines and a command");
    let needs = Ring::new(&m, "needs", jobs);
    let needing = needs.oldest(&m, "needing_job", &known, &known_job);
    let fetches = m.wire("fetches_values", &(&needs.has_item(&m) & &value_fit));
    needs.advance(&m, &known, &fetches);
    let value = values.read("value_word", &needing);
    let value_slots = Table::new(&m, "value_slot", jobs, (&fetches, &needing), &[&value_next_slot]);
    let has_values =
        flags(&m, "has_values", jobs, (&fetches, &needing), (&finished, &finished_job));

    m.section(
        "orders: passes that are computed again first, then those of the jobs of earlier cycles",
    );
    let issued = m.register("issued_job", job_bits + 1);
    let has_new = m.wire("has_new", &issued.ne(&next));
    let retries = Ring::new(&m, "retries", limit);
    let has_retry = retries.has_item(&m);
    let oldest_retry = retries.oldest(&m, "oldest_retry", &again, &verdict_job);
    let retry = m.wire("retry", &(&has_retry | &again));
    let retry_job = m.wire("retry_job", &has_retry.mux(&oldest_retry, &verdict_job));
    let queue = Ring::new(&m, "orders", limit);
    let issues = m.wire("issues", &(&queue.has_room(&m, limit) & (&retry | &has_new)));
    retries.advance(&m, &again, &m.wire("issues_retry", &(&issues & &retry)));
    m.update_when(&issued, &(&issues & !&retry), &issued + 1);
    let job = retry.mux(&retry_job, issued.bits(0..job_bits));
    let entry = m.wire("issued_order", &retry.concat(&job));
    let oldest = queue.oldest(&m, "oldest_order", &issues, &entry);
    let has_order = queue.has_item(&m);
    queue.advance(&m, &issues, &(&has_order & &order_ready));
    let order_job = oldest.bits(0..job_bits);
    let order = orders.read("order_fields", &order_job);

    m.output_for("s_job_tready", &may, "Not to be looked at without `s_job_tvalid`.");
    let slot_of = |name: &str, job: &Signal| slots.read(name, job).swap_remove(0);
    m.output_for("key_open", &admits, "Takes `key_lines` lines and announces `key_groups` groups.");
    m.output("key_lines", &key_extent.lines);
    m.output("key_groups", &key_extent.groups);
    m.output_for("key_valid", &admits, "Command: fetches the keys.");
    let wide = super::qkv_fetcher::slot_bits(&sizes);
    m.output("key_base", field("key_base"));
    m.output("key_units", field("key_units"));
    m.output("key_vectors", &key_extent.vectors);
    m.output("key_format", field("key_format"));
    m.output("key_slot", &key_next_slot.extend(wide));
    let lsb = lsbs.read("lsb_word", &verdict_job);
    let verdict_slot = slot_of("verdict_slot", &verdict_job);
    m.output_for("key_lsb_valid", &again, "Command: fetches the LSBs; announces `key_lsb_groups`.");
    for (field, value) in ["base", "units", "format", "vectors"].iter().zip(&lsb) {
        m.output(format!("key_lsb_{field}"), value);
    }
    m.output("key_lsb_groups", &lsb[4]);
    m.output("key_lsb_slot", &verdict_slot.extend(wide));
    m.output_for("release_0", &accepted, "The keys of a job are not needed any more.");
    m.output("release_slot_0", &slot_of("accepted_slot", &accepted_job));
    m.output("release_1", &passes);
    m.output("release_slot_1", &verdict_slot);
    m.output_for("value_open", &fetches, "Takes `value_lines` lines; the command goes with it.");
    let names = ["base", "units", "format", "vectors", "groups", "lines", "list", "list_length"];
    for (field, value) in names.iter().zip(&value) {
        m.output(format!("value_{field}"), value);
    }
    m.output("value_slot", &value_next_slot.extend(wide));
    m.output_for("value_release", &finished, "The values of a job are not needed any more.");
    let finished_slot = value_slots.read("finished_slot", &finished_job).swap_remove(0);
    m.output("value_release_slot", &finished_slot);
    m.output("order_valid", &has_order);
    m.output_for("order_again", &oldest.bit(job_bits), "With the LSBs of the keys.");
    m.output("order_job", &order_job);
    m.output("order_rows", &order[0]);
    m.output("order_last_keep", &order[1]);
    m.output("order_slot", &slot_of("order_key_slot", &order_job));

    m.section("what the units ask about jobs");
    let scale_job = m.input("scale_job", job_bits);
    let scale = scales.read("scale_word", &scale_job);
    m.output("scale_mantissa", &scale[0]);
    m.output("scale_shift", &scale[1]);
    let rule = rules.read("rule_word", &m.input("rule_job", job_bits));
    m.output("rule_compares", &rule[0]);
    m.output("rule_threshold", &rule[1]);
    let selection = selections.read("selection_word", &m.input("selection_job", job_bits));
    m.output("selection_elements", &selection[0]);
    m.output("selection_keep", &selection[1]);
    m.output("selection_through", &selection[2]);
    let row_job = m.input("row_job", job_bits).comment("Job of the row in front of the values.");
    m.output("row_has_values", &flag(&m, "has_values_from_row", &has_values, &row_job));
    m.output("row_value_slot", &value_slots.read("row_slot", &row_job).swap_remove(0));
    m.output("finished_id", &ids.read("finished_id_word", &finished_job).swap_remove(0));
    m.output_for("idle", &!inside.any(), "No job is inside.");
    m.finish()
}

/// Vectors of a fetch of `count` vectors, padding included, and what holds them.
fn extent(m: &ModuleBuilder, name: &str, count: &Signal, lanes: u32, line_bits: u32) -> Extent {
    let (bits, granule) = (count.width(), VECTOR_GRANULE.ilog2());
    let padded = m.wire(format!("{name}_padded"), &(count + u64::from(VECTOR_GRANULE - 1)));
    m.discard(&padded);
    let vectors = padded.bits(granule..bits).concat(&m.constant(0, granule));
    let vectors = m.wire(format!("{name}_fetched"), &vectors);
    let rounded = vectors.extend(bits + 1) + u64::from(lanes - 1);
    let rounded = m.wire(format!("{name}_fetched_and_rest"), &rounded);
    m.discard(&rounded);
    // A buffer has room for the lines of the largest job, so no bit is lost.
    let groups = m.wire(format!("{name}_group_count"), &part(&rounded, lanes.ilog2(), line_bits));
    let pairs = m.wire(format!("{name}_even"), &(&groups + 1));
    m.discard(&pairs);
    let lines = pairs.bits(1..line_bits).concat(&m.constant(0, 1));
    Extent { vectors, groups, lines: m.wire(format!("{name}_line_count"), &lines) }
}

/// `width` bits of `value` from bit `low` on, zeros beyond its end.
fn part(value: &Signal, low: u32, width: u32) -> Signal {
    value.bits(low..value.width().min(low + width)).extend(width)
}

/// One bit per lane that holds a key in the last row of `count` keys.
fn mask(m: &ModuleBuilder, count: &Signal, lanes: u32) -> Signal {
    if lanes == 1 {
        return m.constant(1, 1);
    }
    let rest = count.bits(0..lanes.ilog2());
    let is_whole = !rest.any();
    let keeps: Vec<Signal> = (0..u64::from(lanes))
        .map(|lane| if lane == 0 { m.constant(1, 1) } else { &is_whole | rest.gt(lane) })
        .collect();
    m.pack(&keeps)
}
