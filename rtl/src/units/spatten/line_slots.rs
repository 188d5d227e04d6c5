//! Who holds which lines of a key or value buffer: a ring of lines, taken in order, given back in any
//! order, free again in order.
//!
//! A slot keeps its lines until it is released and all groups that were announced for it have come:
//! padding can arrive after the last read. Every slot is a [`line_slot`] of its own, because all of
//! them are looked at at once when lines become free.

use std::sync::Arc;

use attelier_hw::spatten::{LineSram, Spatten};

use super::{parts::power_of_two, sizes::Sizes};
use crate::{Error, ModuleBuilder, Signal, bits::index_width, ir::Module};

/// Lines of the key buffer: `key_slots`. Two planes, two releases in a cycle.
///
/// # Errors
/// Lines or slots that are no power of two.
pub fn key_slots(params: &Spatten) -> Result<Arc<Module>, Error> {
    let slots = Sizes::of(params)?.key_slots;
    line_slots("key_slots", params, &params.key_sram, Kind { slots, has_lower: true, releases: 2 })
}

/// Lines of the value buffer: `value_slots`. One plane, one release in a cycle.
///
/// # Errors
/// As [`key_slots`].
pub fn value_slots(params: &Spatten) -> Result<Arc<Module>, Error> {
    let slots = Sizes::of(params)?.value_slots;
    let kind = Kind { slots, has_lower: false, releases: 1 };
    line_slots("value_slots", params, &params.value_sram, kind)
}

#[derive(Clone, Copy)]
struct Kind {
    slots: u32,
    has_lower: bool,
    releases: u32,
}

/// Widths of one buffer.
#[derive(Clone, Copy)]
struct Widths {
    /// A number of lines, or of groups.
    lines: u32,
    /// Groups of one cycle.
    groups: u32,
}

fn line_slots(
    name: &'static str,
    params: &Spatten,
    sram: &LineSram,
    kind: Kind,
) -> Result<Arc<Module>, Error> {
    let Kind { slots, has_lower, releases } = kind;
    let lines = power_of_two(name, "lines", sram.lines)?;
    let address_bits = index_width(lines.into());
    let line_bits = address_bits + 1;
    let slot_bits = index_width(slots.into());
    let group_bits = index_width(u64::from(params.bitwidth_converter.lines_per_cycle) + 1);
    let widths = Widths { lines: line_bits, groups: group_bits };
    let slot_module = line_slot(&format!("{name}_slot"), widths, has_lower)?;

    let m = ModuleBuilder::new(name);
    m.doc("Lines of a buffer by slot. `open` takes `open_lines` lines for the slot `next_slot`, if they");
    m.doc("`fit`, and announces `open_groups` groups; `announce` announces more. `fill` counts groups that");
    m.doc("are written from line `fill_line` on. A released slot gives its lines back when all announced");
    m.doc("groups have come and all older slots have given theirs.");
    m.parameter("LINES", lines);
    m.parameter("SLOTS", slots);
    m.latency("every event is seen in the next cycle");
    let open = m.input("open", 1);
    let open_lines = m.input("open_lines", line_bits);
    let open_groups = m.input("open_groups", line_bits);
    let more = has_lower.then(|| {
        [
            m.input("announce", 1),
            m.input("announce_slot", slot_bits),
            m.input("announce_groups", line_bits),
        ]
    });
    let fill = m.input("fill", 1);
    let fill_lower = has_lower.then(|| m.input("fill_lower", 1).comment("The plane below."));
    let fill_slot = m.input("fill_slot", slot_bits);
    let fill_groups = m.input("fill_groups", group_bits);
    let released: Vec<[Signal; 2]> = (0..releases)
        .map(|at| {
            [
                m.input(format!("give_back_{at}"), 1),
                m.input(format!("give_back_slot_{at}"), slot_bits),
            ]
        })
        .collect();
    let look_slot = m.input("look_slot", slot_bits).comment("Slot that is looked at.");

    m.section(
        "pointers: the oldest slot that was in use in the last cycle, the next slot, the next line",
    );
    let first = m.register("first", slot_bits + 1);
    let next = m.register("next", slot_bits + 1);
    let next_line = m.register("next_line", line_bits);
    let at = next.bits(0..slot_bits);

    m.section("the slots");
    let mut free = Vec::new();
    let (mut starts, mut uppers, mut lowers) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..slots {
        let is = |slot: &Signal| slot.eq(u64::from(number));
        let instance = m.instance(format!("slot_{number}"), &slot_module);
        instance
            .input("open", &open & is(&at))
            .input("open_line", &next_line)
            .input("open_groups", &open_groups)
            .input("fill_groups", &fill_groups);
        let fills = m.wire(format!("fills_{number}"), &(&fill & is(&fill_slot)));
        match (&more, &fill_lower) {
            (Some([expect, slot, groups]), Some(lower)) => {
                instance
                    .input("announce", expect & is(slot))
                    .input("announce_groups", groups)
                    .input("fill_upper", &fills & !lower)
                    .input("fill_lower", &fills & lower);
                lowers.push(instance.output("lower"));
            }
            _ => {
                instance.input("fill_upper", &fills);
            }
        }
        let releases: Vec<Signal> =
            released.iter().map(|[release, slot]| release & is(slot)).collect();
        instance.input("give_back", m.any_of(&releases));
        free.push(instance.output("free"));
        starts.push(instance.output("start"));
        uppers.push(instance.output("upper"));
    }

    m.section("slots that are free again: those from the oldest on up to the first that is not");
    let in_use = m.wire("slots_in_use", &(&next - &first));
    let free = m.pack(&free);
    let twice = m.wire("free_twice", &free.concat(&free));
    let turned = m.wire("free_from_first", &(&twice >> &first.bits(0..slot_bits)));
    m.discard(&turned);
    let leading = (0..slots).rev().fold(m.constant(slots.into(), slot_bits + 1), |beyond, at| {
        let count = turned.bit(at).mux(&beyond, u64::from(at));
        m.wire(format!("leading_free_from_{at}"), &count)
    });
    let freed = m.wire("freed", &leading.lt(&in_use).mux(&leading, &in_use));
    let oldest = m.wire("oldest", &(&first + &freed));
    m.update(&first, &oldest);
    m.update_when(&next, &open, &next + 1);

    m.section("lines in use: from the first line of the oldest slot to the next line");
    let is_empty = m.wire("is_empty", &oldest.eq(&next));
    let is_full = (&next - &oldest).eq(u64::from(slots));
    let is_full = m.wire("is_full", &is_full);
    let start = m.wire("oldest_start", &m.select(&oldest.bits(0..slot_bits), &starts));
    let used = m.wire("used", &(!&is_empty).gate(&(&next_line - &start)));
    let wanted = m.wire("wanted", &used.add_full(&open_lines));
    let fits = m.wire("fits", &(!&is_full & wanted.le(u64::from(lines))));
    m.update_when(&next_line, &open, &next_line + &open_lines);

    m.output_for("fit", &fits, "`open_lines` lines are free.");
    m.output_for("next_slot", &at, "Slot that `open` takes.");
    let select =
        |name: &str, slot: &Signal, values: &[Signal]| m.wire(name, &m.select(slot, values));
    let fill_start = select("fill_start", &fill_slot, &starts);
    let fill_upper = select("fill_slot_upper", &fill_slot, &uppers);
    let filled = match &fill_lower {
        Some(lower) => lower.mux(&select("fill_slot_lower", &fill_slot, &lowers), &fill_upper),
        None => fill_upper,
    };
    let fill_line = m.wire("fill_position", &(fill_start + filled));
    m.discard(&fill_line);
    m.output("fill_line", &fill_line.bits(0..address_bits));
    let look_start = select("look_position", &look_slot, &starts);
    m.discard(&look_start);
    m.output_for("look_start", &look_start.bits(0..address_bits), "First line of the slot.");
    m.output_for("look_upper", &select("looked_upper", &look_slot, &uppers), "Groups it holds.");
    if has_lower {
        let lower = select("looked_lower", &look_slot, &lowers);
        m.output_for("look_lower", &lower, "Groups of its lower plane.");
    }
    m.finish()
}

/// One slot: where its lines begin, what it holds, what is still to come.
fn line_slot(name: &str, widths: Widths, has_lower: bool) -> Result<Arc<Module>, Error> {
    let Widths { lines, groups } = widths;
    let m = ModuleBuilder::new(name);
    m.doc("One allocation of a line buffer. It is free when it was released and all groups have come.");
    m.latency("every event is seen in the next cycle");
    let open = m.input("open", 1);
    let open_line = m.input("open_line", lines);
    let open_groups = m.input("open_groups", lines);
    let more = has_lower.then(|| (m.input("announce", 1), m.input("announce_groups", lines)));
    let fill_upper = m.input("fill_upper", 1);
    let fill_lower = has_lower.then(|| m.input("fill_lower", 1));
    let fill_groups = m.input("fill_groups", groups);
    let release = m.input("give_back", 1);

    let start = m.pipe_when("start_line", &open, &open_line);
    let fill_count = m.wire("fill_count", &fill_groups.extend(lines));
    let filled = |name: &str, fill: &Signal| {
        let count = m.register(name, lines);
        let next = (!&open).gate(&(&count + &fill_count));
        m.update_when(&count, &(&open | fill), next);
        count
    };
    let upper = filled("upper_groups", &fill_upper);
    let lower = fill_lower.as_ref().map(|fill| filled("lower_groups", fill));
    let fills = match &fill_lower {
        Some(lower) => &fill_upper | lower,
        None => fill_upper.clone(),
    };
    let to_come = m.register("to_come", lines).comment("Announced groups that have not come.");
    let announced = match &more {
        Some((expect, groups)) => &to_come + expect.gate(groups),
        None => to_come.clone(),
    };
    let left = announced - fills.gate(&fill_count);
    m.update(&to_come, open.mux(&open_groups, left));
    let released = m.register("released", 1);
    m.update(&released, !&open & (&released | &release));

    m.output("free", &(&released & !to_come.any()));
    m.output("start", &start);
    m.output("upper", &upper);
    if let Some(lower) = &lower {
        m.output("lower", lower);
    }
    m.finish()
}
