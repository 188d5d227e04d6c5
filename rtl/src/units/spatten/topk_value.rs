//! Local-value top-k engine: which probabilities of a pass are worth their values.
//!
//! Three stages, one pass each: *fill* one of two buffers with the rows that arrive, *run* the
//! quick-select rounds, *filter* the buffered copy and hand the survivors on (SpAtten sections
//! III-C, IV-A and IV-B). The filter stage reads the buffer twice at the same time: the *index scan*
//! never waits, so that the fetch of values can begin, while the rows of probabilities wait for whoever
//! takes them. Passes that keep all their values go around the engine.

use std::sync::Arc;

use super::{
    quick_select::{QuickSelect, fit},
    row_aligner::RowAligner,
    row_buffer::RowBuffer,
    topk_filter::TopKFilter,
    topk_token::{compact_indices, lane_mask},
    zero_eliminator::ZeroEliminator,
};
use crate::{Error, ModuleBuilder, Signal, bits::index_width, ir::Module};

/// A local-value top-k engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopKValue {
    /// The rounds.
    pub engine: QuickSelect,
    /// Elements of a row of probabilities; a power of two, at most the lanes of the rounds.
    pub lanes: u32,
}

/// Header of a pass, in registers of one stage.
struct Header {
    elements: Signal,
    keep: Signal,
    in_place: Signal,
    /// Rows of the pass.
    rows: Signal,
}

impl Header {
    /// Takes over `from` where `enable` is 1.
    fn pipe(m: &ModuleBuilder, stage: &str, enable: &Signal, from: &Self) -> Self {
        let pipe =
            |what: &str, value: &Signal| m.pipe_when(format!("{stage}_{what}"), enable, value);
        Self {
            elements: pipe("elements", &from.elements),
            keep: pipe("keep", &from.keep),
            in_place: pipe("in_place", &from.in_place),
            rows: pipe("rows", &from.rows),
        }
    }
}

/// One of the two walks over a buffered pass.
struct Walk<'a> {
    m: &'a ModuleBuilder,
    name: &'static str,
    lanes: u32,
    parallelism: u32,
    /// Width of a step, of a number of elements, of the number of a row of the buffer \[bits\].
    step_width: u32,
    count_width: u32,
    row_width: u32,
    step: Signal,
}

impl Walk<'_> {
    fn group_bits(&self) -> u32 {
        (self.parallelism / self.lanes).trailing_zeros()
    }

    /// Row of the buffer that holds the elements of a step.
    fn address(&self, step: &Signal) -> Signal {
        fit(self.m, &step.bits(self.group_bits()..self.step_width), self.row_width)
    }

    /// The elements of this step, from the row that was read.
    fn elements(&self, buffers: [&[Signal]; 2], second: &Signal) -> Vec<Signal> {
        let lanes = self.lanes as usize;
        let of = |row: &[Signal], lane: usize| match self.group_bits() {
            0 => row[lane].clone(),
            bits => {
                let parts: Vec<Signal> = row.iter().skip(lane).step_by(lanes).cloned().collect();
                self.m.select(&self.step.bits(0..bits), &parts)
            }
        };
        (0..lanes)
            .map(|lane| {
                let element = second.mux(&of(buffers[1], lane), of(buffers[0], lane));
                self.m.wire(format!("{}_element_{lane}", self.name), &element)
            })
            .collect()
    }

    /// Lanes to keep. The count of equals starts with that of the rounds and follows `advance`.
    fn keep(
        &self,
        filter: &Arc<Module>,
        (threshold, equals): (&Signal, &Signal),
        (load, advance): (&Signal, &Signal),
        (elements, valid): (&[Signal], &[Signal]),
    ) -> Signal {
        let instance = self.m.instance(format!("{}_filter", self.name), filter);
        let left =
            self.m.register_without_reset(format!("{}_equals_left", self.name), self.count_width);
        instance.input("threshold", threshold).input("equals_left", &left);
        instance.input("valid", self.m.pack(valid));
        for (lane, element) in elements.iter().enumerate() {
            instance.input(&format!("s_data_{lane}"), element);
        }
        let next = load.mux(equals, instance.output("equals_after"));
        self.m.update_when(&left, &(load | advance), &next);
        instance.output("keep")
    }
}

impl TopKValue {
    /// The module.
    ///
    /// Rows arrive on `s_axis_*`; beside every beat of a pass stand `s_axis_through` (0: around the
    /// engine), `s_axis_in_place`, `s_axis_elements` and `s_axis_keep`. Survivors leave on `m_axis_*`: packed,
    /// or in place with `m_axis_row`, rows without survivor dropped. Indices leave on `m_index_*` and cannot be
    /// held up; `m_index_done` says that all indices of a pass are known.
    ///
    /// # Errors
    /// Parameters outside their range.
    pub fn module(&self) -> Result<Arc<Module>, Error> {
        let Self { ref engine, lanes } = *self;
        engine.check("topk_value")?;
        if !lanes.is_power_of_two() || lanes > engine.lanes {
            let expected = "a power of two, at most the parallelism";
            return Err(Error::parameter("topk_value", "lanes", lanes, expected));
        }
        let QuickSelect { width, capacity, lanes: parallelism, .. } = *engine;
        let (count_width, row_width) = (engine.count_width(), engine.row_width());
        let short_width = index_width(u64::from(capacity / lanes));
        let step_width = index_width(u64::from(capacity / lanes) + 2);
        let m = ModuleBuilder::new("topk_value");
        m.doc("Local-value top-k engine. Three stages, one pass each: fill one of two buffers, run the");
        m.doc("quick-select rounds, filter the buffered copy. Passes that keep all go around.");
        m.parameter("parallelism", parallelism);
        m.parameter("lanes", lanes);
        m.parameter("element width", width);
        m.parameter("capacity", capacity);
        m.latency(
            "1 cycle, all rounds, 1 cycle, then one row per cycle; around the engine 0 cycles",
        );
        let in_valid = m.input("s_axis_tvalid", 1);
        let in_last = m.input("s_axis_tlast", 1);
        let in_data = m.inputs("s_axis_tdata", lanes, width);
        let in_keep = m.input("s_axis_tkeep", lanes).comment("one bit per lane, read only around");
        let through = m.input("s_axis_through", 1).comment("0: the pass goes around the engine");
        let in_place = m.input("s_axis_in_place", 1).comment("survivors keep their place");
        let elements = m.input("s_axis_elements", count_width).comment("elements of the pass");
        let keep_count = m.input("s_axis_keep", count_width).comment("how many survive");
        let out_ready = m.input("m_axis_tready", 1);

        m.section("Stages: which of them hold a pass.");
        let entering = m.register("entering", 1).comment("Some rows of a pass have been taken.");
        let filled = m.register("filled", 1);
        let running = m.register("running", 1);
        let filtering = m.register("filtering", 1);
        let two =
            m.wire("two_in_use", &((&filled & (&running | &filtering)) | (&running & &filtering)));
        let none = m.wire("none_in_use", &!(&filled | (&running | &filtering)));
        let may_begin = through.mux(&!&two, &(&none & &out_ready));
        let may_continue = &through | &out_ready;
        let in_ready = m.wire("in_ready", &entering.mux(&may_continue, &may_begin));
        let takes = m.wire("takes", &(&in_valid & &in_ready));
        m.update_when(&entering, &takes, !&in_last);

        m.section("Fill.");
        let fill_buffer = m.register("fill_buffer", 1);
        let fill_row = m.register("fill_row", short_width);
        let fills = m.wire("fills", &(&takes & &through));
        let fills_last = m.wire("fills_last", &(&fills & &in_last));
        m.update_when(&fill_row, &fills, (!&in_last).gate(&(&fill_row + 1)));
        m.update_when(&fill_buffer, &fills_last, !&fill_buffer);
        let rows = fill_row.extend(step_width) + m.constant(1, step_width);
        let arriving = Header { elements, keep: keep_count, in_place: in_place.clone(), rows };
        let waiting = Header::pipe(&m, "filled", &fills_last, &arriving);

        m.section("Run.");
        let start = m.wire("start", &(&filled & !&running));
        m.update(&filled, &fills_last | (&filled & !&start));
        let select = m.instance("select", &engine.module()?);
        select.discard("last_cycle");
        select
            .input("start", &start)
            .input("elements", &waiting.elements)
            .input("rank", &waiting.keep);
        // From here on only the length of the last row matters.
        let tail = waiting.elements.bits(0..lanes.trailing_zeros().max(1));
        let started = Header { elements: tail, ..waiting };
        let inside = Header::pipe(&m, "run", &start, &started);
        let held =
            m.register("held", 1).comment("The rounds are done, the filter is not free yet.");
        let found = m.wire("found", &(select.output("done") | &held));
        let moves = m.wire("moves", &(&found & !&filtering));
        m.update(&held, &found & !&moves);
        m.update(&running, &start | (&running & !&moves));
        let run_buffer = m.register("run_buffer", 1);
        m.update_when(&run_buffer, &moves, !&run_buffer);

        m.section("Filter: index scan and rows of survivors.");
        let pass = Header::pipe(&m, "filter", &moves, &inside);
        m.discard(&pass.elements);
        let filter_buffer = m.register("filter_buffer", 1);
        let threshold = m.pipe_when("threshold", &moves, &select.output("threshold"));
        let lane_bits = lanes.trailing_zeros();
        let packed_tail = match lane_bits {
            0 => m.constant(0, 1),
            bits => pass.keep.bits(0..bits).any() & !&pass.in_place,
        };
        let flushes =
            m.wire("flushes", &packed_tail).comment("The last step empties a partial row.");
        let steps = m.wire("steps", &(&pass.rows + flushes.extend(step_width)));
        let walk = |name: &'static str| Walk {
            m: &m,
            name,
            lanes,
            parallelism,
            step_width,
            count_width,
            row_width,
            step: m.register(format!("{name}_step"), step_width),
        };
        let (scan, output) = (walk("scan"), walk("output"));
        let scanning = m.register("scanning", 1);
        let advance = m.forward("advance", 1).comment("The rows of survivors go on by a step.");
        let is_last_of = |walk: &Walk<'_>| {
            let next = &walk.step + 1;
            let last = m.wire(format!("{}_is_last", walk.name), &next.eq(&steps));
            let last_row = next.eq(&pass.rows);
            let in_rows = m.wire(format!("{}_in_rows", walk.name), &walk.step.lt(&pass.rows));
            (last, last_row, in_rows)
        };
        let (scan_last, scan_last_row, scan_in_rows) = is_last_of(&scan);
        let (output_last, output_last_row, output_in_rows) = is_last_of(&output);
        let ends = m.wire("filter_ends", &(&advance & &output_last));
        m.update(&filtering, &moves | (&filtering & !&ends));
        m.update_when(&filter_buffer, &ends, !&filter_buffer);
        let scan_ends = m.wire("scan_ends", &(&scanning & &scan_last));
        m.update(&scanning, &moves | (&scanning & !&scan_ends));
        let scan_next = m.wire("scan_next", &(!&moves).gate(&(&scan.step + 1)));
        m.update_when(&scan.step, &(&moves | &scanning), &scan_next);
        let following = advance.mux(&(&output.step + 1), &output.step);
        let output_next = m.wire("output_next", &(!&moves).gate(&following));
        m.update(&output.step, &output_next);

        m.section("Buffers.");
        let readers = vec!["select", "output"];
        let buffer = RowBuffer { lanes: parallelism, write_lanes: lanes, width, capacity, readers };
        let buffer = buffer.module()?;
        let scans = m.wire("filter_reads", &(&moves | &filtering));
        let scan_row = m.wire("scan_row", &scan.address(&scan_next));
        let output_row = m.wire("output_row", &output.address(&output_next));
        let mut select_rows: Vec<Vec<Signal>> = Vec::new();
        let mut output_rows: Vec<Vec<Signal>> = Vec::new();
        for number in 0..2u64 {
            let instance = m.instance(format!("buffer_{number}"), &buffer);
            let is = |pointer: &Signal| if number == 0 { !pointer } else { pointer.clone() };
            instance.input("write", &fills & is(&fill_buffer)).input("write_row", &fill_row);
            for (lane, element) in in_data.iter().enumerate() {
                instance.input(&format!("write_{lane}"), element);
            }
            let belongs = &scans & is(&filter_buffer);
            instance.input("select_address", belongs.mux(&scan_row, select.output("row_address")));
            instance.input("output_address", &output_row);
            let read = |reader: &str| -> Vec<Signal> {
                (0..parallelism).map(|lane| instance.output(&format!("{reader}_{lane}"))).collect()
            };
            select_rows.push(read("select"));
            output_rows.push(read("output"));
        }
        for (lane, (first, second)) in select_rows[0].iter().zip(&select_rows[1]).enumerate() {
            let element = run_buffer.mux(second, first);
            let element = m.wire(format!("run_element_{lane}"), &element);
            select.input(&format!("row_{lane}"), &element);
        }

        m.section("Index scan: one row per cycle.");
        let filter = TopKFilter { lanes, width, count_width }.module()?;
        let found_pair = (&threshold, &select.output("equals"));
        let scan_elements = scan.elements([&select_rows[0], &select_rows[1]], &filter_buffer);
        let scan_valid =
            lane_mask(&pass.elements, &(&scanning & &scan_in_rows), &scan_last_row, lanes);
        let scan_keep =
            scan.keep(&filter, found_pair, (&moves, &scanning), (&scan_elements, &scan_valid));
        let indices = compact_indices(&m, "index", &scan_keep, &scan.step, lanes, count_width)?;

        m.section("Rows of survivors.");
        let output_elements = output.elements([&output_rows[0], &output_rows[1]], &filter_buffer);
        let output_valid =
            lane_mask(&pass.elements, &(&filtering & &output_in_rows), &output_last_row, lanes);
        let output_keep =
            output.keep(&filter, found_pair, (&moves, &advance), (&output_elements, &output_valid));
        let packed = pack(&m, lanes, width, (&moves, &advance), &output_keep, &output_elements)?;
        let kept =
            m.register("kept", count_width).comment("Survivors in the rows before this one.");
        let kept_after = m.wire("kept_after", &(&kept + packed.count.extend(count_width)));
        let next_kept = (!&moves).gate(&kept_after);
        m.update_when(&kept, &(&moves | &advance), &next_kept);
        let all_kept = m.wire("all_kept", &kept_after.eq(&pass.keep));
        let flush = m.wire("flush", &(&filtering & !&output_in_rows));
        let has_row = pass.in_place.mux(&output_keep.any(), &(&flush | &packed.full));
        let emits = m.wire("emits", &(&filtering & has_row));
        m.drive(&advance, &filtering & (!&emits | &out_ready));
        let is_final = m.wire("is_final", &(&all_kept & (&pass.in_place | &flush | &packed.exact)));

        m.section("Around the engine, or out of it.");
        let around = m.wire("around", &(!&through & &in_valid & (&entering | &none)));
        let out_valid = m.wire("out_valid", &(&around | &emits));
        m.output_for("s_axis_tready", &in_ready, "");
        m.output("m_axis_tvalid", &out_valid);
        m.output(
            "m_axis_tlast",
            &m.wire("out_last", &(&out_valid & around.mux(&in_last, &is_final))),
        );
        let mut mask: Vec<Signal> = Vec::new();
        for (lane, at) in (0..lanes).zip(0..) {
            let at: usize = at;
            let survives = pass.in_place.mux(&output_keep.bit(lane), &packed.mask[at]);
            let shows = &out_valid & around.mux(&in_keep.bit(lane), &survives);
            let shows = m.wire(format!("out_keep_{lane}"), &shows);
            let survivor = pass.in_place.mux(&output_elements[at], &packed.data[at]);
            let data = shows.gate(&around.mux(&in_data[at], &survivor));
            m.output(format!("m_axis_tdata_{lane}"), &m.wire(format!("out_data_{lane}"), &data));
            mask.push(shows);
        }
        m.output_for("m_axis_tkeep", &m.pack(&mask), "one bit per lane: there is an element");
        m.output_for("m_axis_row", &output.step, "number of the row, for survivors in place");
        let valid = m.wire("index_valid", &(&scanning & &indices.valid));
        m.output_for("m_index_valid", &valid, "at least one index");
        m.output_for("m_index_count", &indices.count, "number of indices");
        let shown: Vec<Signal> = indices.lanes.iter().map(|index| valid.gate(index)).collect();
        m.outputs("m_index", &shown);
        let all_known = &scan_ends | (&takes & !&through & !&entering);
        let all_known = m.wire("all_known", &all_known);
        m.output_for(
            "m_index_done",
            &all_known,
            "all indices of a pass are known, or it goes around",
        );
        m.finish()
    }
}

/// Survivors packed into rows.
struct Packed {
    /// Survivors of the step.
    count: Signal,
    /// A row is full in this step, and whether nothing is left over then.
    full: Signal,
    exact: Signal,
    data: Vec<Signal>,
    mask: Vec<Signal>,
}

/// Packs the kept elements behind those that are left over from the steps before.
fn pack(
    m: &ModuleBuilder,
    lanes: u32,
    width: u32,
    (load, advance): (&Signal, &Signal),
    keep: &Signal,
    elements: &[Signal],
) -> Result<Packed, Error> {
    let bits = lanes.trailing_zeros();
    if bits == 0 {
        let (full, mask) = (keep.clone(), vec![keep.clone()]);
        return Ok(Packed {
            count: keep.clone(),
            exact: full.clone(),
            full,
            data: elements.to_vec(),
            mask,
        });
    }
    let eliminator = ZeroEliminator { name: "row_eliminator".into(), lanes, width }.module()?;
    let eliminator = m.instance("compact", &eliminator);
    eliminator.input("keep", keep);
    let aligner = RowAligner { name: "survivor_aligner".into(), lanes, width }.module()?;
    let aligner = m.instance("align", &aligner);
    let left = m.register("left_over", bits).comment("Survivors of earlier steps that wait.");
    aligner.input("offset", &left).input("count", eliminator.output("count"));
    for (lane, element) in elements.iter().enumerate() {
        eliminator.input(&format!("s_data_{lane}"), element);
        aligner.input(&format!("s_data_{lane}"), eliminator.output(&format!("m_data_{lane}")));
    }
    let count = eliminator.output("count");
    let total = m.wire("survivors", &(left.extend(bits + 1) + &count));
    let full = total.bit(bits);
    let exact = m.wire("leaves_none", &(&full & !total.bits(0..bits).any()));
    m.update_when(&left, &(load | advance), (!load).gate(&total.bits(0..bits)));
    m.discard(&aligner.output("writes"));
    let wraps = aligner.output("wraps");
    let (mut data, mut mask) = (Vec::new(), Vec::new());
    for lane in 0..lanes {
        let held = m.register(format!("left_over_{lane}"), width);
        let new = aligner.output(&format!("m_data_{lane}"));
        let row = wraps.bit(lane).mux(&held, &new);
        let row = m.wire(format!("packed_{lane}"), &row);
        m.update_when(&held, advance, full.mux(&new, &row));
        mask.push(m.wire(format!("packed_keep_{lane}"), &(&full | left.gt(u64::from(lane)))));
        data.push(row);
    }
    Ok(Packed { count, full, exact, data, mask })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(parallelism: u32, lanes: u32) -> TopKValue {
        let capacity = 8 * parallelism;
        let engine =
            QuickSelect { lanes: parallelism, width: 12, capacity, round_overhead: 3, seed: 1 };
        TopKValue { engine, lanes }
    }

    #[test]
    fn rows_may_be_as_long_as_the_comparator_arrays_or_shorter() {
        for (parallelism, lanes) in [(16, 16), (16, 8), (16, 2), (16, 1), (2, 2), (2, 1)] {
            let built = unit(parallelism, lanes).module();
            assert!(built.is_ok(), "{parallelism} {lanes}: {:?}", built.err());
        }
    }

    #[test]
    fn illegal_parameters_are_refused() {
        for (unit, expected) in [
            (unit(8, 16), "lanes = 16: expected a power of two, at most the parallelism"),
            (unit(16, 3), "lanes = 3"),
            (unit(16, 0), "lanes = 0"),
            (unit(12, 4), "parallelism = 12"),
            (unit(128, 4), "parallelism = 128"),
        ] {
            let text = unit.module().unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
    }
}
