//! A row in two passes: beats come and are kept, then they are read back once something of all of them
//! is known, such as their maximum.

use attelier_hw::pim_gpt::PimGpt;

use crate::{Error, ModuleBuilder, Signal, bits::index_width, ir::MemoryStyle};

/// Lanes that are built; an ASIC with more of them has several such slices.
const SLICE: u32 = 8;

/// Beats of the longest row that a memory is made for.
const MOST_BEATS: u32 = 1 << 12;

/// Lanes of a slice of an ASIC with this many.
pub(super) fn slice(lanes: u32) -> u32 {
    lanes.min(SLICE)
}

/// Beats of all lanes that the memory of the ASIC holds, down to a power of two.
pub(super) fn row_beats(module: &str, params: &PimGpt, number_bytes: u64) -> Result<u32, Error> {
    let asic = &params.asic;
    let beats = asic.sram_bytes / number_bytes / u64::from(asic.multipliers);
    match beats.checked_ilog2() {
        Some(bits @ 1..) => Ok(1 << bits.min(MOST_BEATS.ilog2())),
        _ => {
            let expected = "at least two beats of all lanes";
            Err(Error::parameter(module, "asic.sram_bytes", asic.sram_bytes, expected))
        }
    }
}

/// A one-bit value some cycles later; registers `name_1`, `name_2`, ... are zero after a reset.
pub(super) fn strobe_after(m: &ModuleBuilder, name: &str, value: &Signal, cycles: u32) -> Signal {
    (1..=cycles).fold(value.clone(), |value, at| m.pipe_reset(format!("{name}_{at}"), &value))
}

/// A value some cycles later, without reset.
pub(super) fn after(m: &ModuleBuilder, name: &str, value: &Signal, cycles: u32) -> Signal {
    (1..=cycles).fold(value.clone(), |value, at| m.pipe(format!("{name}_{at}"), &value))
}

/// Joins neighbours, level by level, with a register behind each: `name_level_at`.
pub(super) fn tree(
    m: &ModuleBuilder,
    name: &str,
    mut terms: Vec<Signal>,
    join: impl Fn(String, &Signal, &Signal) -> Signal,
) -> Signal {
    let mut level = 0;
    while terms.len() > 1 {
        level += 1;
        let joined = terms.chunks(2).enumerate().map(|(at, pair)| {
            let of_pair =
                join(format!("{name}_unit_{level}_{at}"), &pair[0], &pair[pair.len() - 1]);
            m.pipe(format!("{name}_{level}_{at}"), &of_pair)
        });
        terms = joined.collect();
    }
    terms.swap_remove(0)
}

/// The first pass: beats of a row, a stage behind the input.
pub(super) struct FirstPass {
    /// A beat is there.
    pub valid: Signal,
    /// Its lanes that hold a number.
    pub keep: Signal,
    /// The row ended one cycle before: all that is gathered per lane is complete.
    pub gathered: Signal,
    depth: u32,
    place: Signal,
    ends: Signal,
    /// The last beat of a row is taken.
    pub taken: Signal,
    busy: Signal,
}

impl FirstPass {
    /// The input stream but its numbers.
    pub fn new(m: &ModuleBuilder, lanes: u32, depth: u32) -> Self {
        m.section("first pass: one row, then the input is closed until it is read back");
        let valid = m.input("s_axis_tvalid", 1);
        let last = m.input("s_axis_tlast", 1);
        let keep = m.input("s_axis_tkeep", lanes);
        let busy = m.register("busy", 1).comment("A row waits for its second pass or is in it.");
        let ready = m.wire("ready", &!&busy);
        let enters = m.wire("enters", &(valid & &ready));
        let taken = m.wire("taken", &(&enters & last));
        m.output("s_axis_tready", &ready);
        let valid = m.pipe_reset("entered", &enters);
        let ends = m.pipe_reset("row_ends", &taken);
        let gathered = m.pipe_reset("row_gathered", &ends);
        let place = m.register("place", index_width(depth.into()));
        m.update_when(&place, &valid, (!&ends).gate(&(&place + 1)));
        Self {
            valid,
            keep: m.pipe("entered_keep", &keep),
            gathered,
            depth,
            place,
            ends,
            busy,
            taken,
        }
    }

    /// The second pass, from the cycle after `starts` on.
    pub fn second(self, m: &ModuleBuilder, starts: &Signal) -> SecondPass {
        m.section("second pass: the row is read back");
        let final_place = m.pipe_when("final_place", &self.ends, &self.place);
        let reads = m.register("reads", 1);
        let position = m.register("position", self.place.width());
        let is_final = m.wire("is_final", &position.eq(&final_place));
        m.update(&reads, starts | (&reads & !&is_final));
        m.update_when(&position, &reads, (!&is_final).gate(&(&position + 1)));
        let finishes = m.wire("finishes", &(&reads & &is_final));
        m.update(&self.busy, &self.taken | (&self.busy & !&finishes));
        SecondPass { first: self, reads, position, finishes }
    }
}

/// The second pass.
pub(super) struct SecondPass {
    first: FirstPass,
    /// A beat is read; it is there in the next cycle.
    pub reads: Signal,
    /// Its place in the row.
    pub position: Signal,
    /// It is the last.
    pub finishes: Signal,
}

impl SecondPass {
    /// What the first pass had in the stage of [`FirstPass::valid`], one cycle after its beat is read.
    pub fn stored(&self, m: &ModuleBuilder, name: &str, value: &Signal) -> Signal {
        let FirstPass { depth, place, valid, .. } = &self.first;
        let memory = m.memory(format!("{name}_memory"), value.width(), *depth, MemoryStyle::Block);
        memory.write(place, value, valid);
        memory.read_clocked_when(name, &self.position, &self.reads)
    }

    /// The lanes of a beat that hold a number, one cycle after it is read.
    pub fn stored_keep(&self, m: &ModuleBuilder) -> Signal {
        self.stored(m, "stored_keep", &self.first.keep)
    }
}
