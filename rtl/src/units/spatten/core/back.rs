//! From decided probabilities to results.

use attelier_hw::spatten::Spatten;

use super::{Core, PIVOT_SEED};
use crate::{
    Error, InstanceBuilder, Signal,
    bits::index_width,
    units::spatten::{
        HANDSHAKE,
        parts::reservations,
        pv_array,
        query_buffer::ELEMENT_BITS,
        quick_select::{QuickSelect, fit},
        ring::Ring,
        sizes::ID_BITS,
        topk_value::TopKValue,
    },
};

/// The local-value engine of a machine.
fn selection_engine(params: &Spatten) -> TopKValue {
    let topk = &params.topk_value;
    let engine = QuickSelect {
        lanes: topk.parallelism,
        width: params.datapath_bits,
        capacity: topk.capacity,
        round_overhead: topk.round_overhead_cycles,
        seed: PIVOT_SEED,
    };
    TopKValue { engine, lanes: topk.lanes }
}

/// Rows of probabilities that are used.
pub(super) struct Selected<'a> {
    pub engine: InstanceBuilder<'a>,
    /// Whoever takes them drives this.
    pub row_ready: Signal,
    /// A row moves, of this job.
    pub moves: Signal,
    pub job: Signal,
}

/// The end of the pipeline.
pub(super) struct Results {
    /// A result waits for its receiver.
    pub waits: Signal,
    /// An output leaves the array, of this job.
    pub finished: Signal,
    pub finished_job: Signal,
}

impl Core<'_> {
    /// Probabilities to rows of those that are used.
    pub(super) fn selection(
        &self,
        control: &InstanceBuilder<'_>,
        fetcher: &InstanceBuilder<'_>,
        decision: &InstanceBuilder<'_>,
    ) -> Result<Selected<'_>, Error> {
        let (m, params, sizes) = (&self.m, self.params, &self.sizes);
        m.section("local value pruning");
        let unit = selection_engine(params);
        let engine = m.instance("topk", &unit.module()?);
        let job = decision.output("m_axis_tuser");
        control.input("selection_job", &job);
        for field in ["tvalid", "tlast", "tkeep"] {
            engine.input(&format!("s_axis_{field}"), decision.output(&format!("m_axis_{field}")));
        }
        for lane in 0..sizes.lanes {
            let port = format!("tdata_{lane}");
            engine.input(&format!("s_axis_{port}"), decision.output(&format!("m_axis_{port}")));
        }
        let count = |field: &str| {
            fit(m, &control.output(&format!("selection_{field}")), unit.engine.count_width())
        };
        engine
            .input("s_axis_through", control.output("selection_through"))
            .input("s_axis_in_place", 0u64)
            .input("s_axis_elements", count("elements"))
            .input("s_axis_keep", count("keep"));
        let ready = engine.output("s_axis_tready");
        decision.input("m_axis_tready", &ready);
        let takes = m.wire("takes_row", &(decision.output("m_axis_tvalid") & ready));
        let in_pass = m.register("in_pass", 1).comment("Some rows of a pass have been taken.");
        m.update_when(&in_pass, &takes, !decision.output("m_axis_tlast"));
        let begins = m.wire("pass_begins", &(&takes & !&in_pass));

        m.section("whose indices are found, and whose rows leave; a pass may go around the engine at once");
        let first_of = |name: &str, pop: &Signal| {
            let queue = Ring::new(m, name, 4);
            let oldest = queue.oldest(m, &format!("{name}_oldest"), &begins, &job);
            let first = m.wire(format!("{name}_job"), &queue.has_item(m).mux(&oldest, &job));
            queue.advance(m, &begins, pop);
            first
        };
        let known = engine.output("m_index_done");
        control.input("indices_known", &known).input("indices_job", first_of("listing", &known));
        fetcher
            .input("index_valid", engine.output("m_index_valid"))
            .input("index_count", engine.output("m_index_count"));
        for lane in 0..sizes.lanes {
            fetcher.input(&format!("index_{lane}"), engine.output(&format!("m_index_{lane}")));
        }
        engine.discard("m_axis_tkeep").discard("m_axis_row");
        let row_ready = m.forward("row_ready", 1);
        engine.input("m_axis_tready", &row_ready);
        let moves = m.wire("row_moves", &(engine.output("m_axis_tvalid") & &row_ready));
        let ends = m.wire("pass_leaves_topk", &(&moves & engine.output("m_axis_tlast")));
        let job = first_of("leaving", &ends);
        Ok(Selected { engine, row_ready, moves, job })
    }

    /// Rows and values to outputs.
    pub(super) fn outputs(
        &self,
        control: &InstanceBuilder<'_>,
        selected: &Selected<'_>,
        slots: &InstanceBuilder<'_>,
        values: &InstanceBuilder<'_>,
    ) -> Result<Results, Error> {
        let (m, params, sizes) = (&self.m, self.params, &self.sizes);
        let Selected { engine, row_ready, moves, job } = selected;
        let word = params.datapath_bits;
        m.section("probability times value; the last row waits for a place among the results");
        let array = m.instance("pv", &pv_array(params)?);
        array
            .input("s_axis_tvalid", engine.output("m_axis_tvalid"))
            .input("s_axis_tlast", engine.output("m_axis_tlast"));
        for lane in 0..sizes.lanes {
            array.input(
                &format!("s_axis_tdata_{lane}"),
                engine.output(&format!("m_axis_tdata_{lane}")),
            );
        }
        m.drive(row_ready, array.output("s_axis_tready"));
        let waiting = Ring::new(m, "row_jobs", params.pv_array.fifo_depth);
        let row_job = waiting.oldest(m, "row_job", moves, job);
        let reads = array.output("line_read");
        waiting.advance(m, moves, &reads);
        let line_bits = index_width(params.value_sram.lines.into());
        let row =
            m.register("value_row", line_bits + 1).comment("Line of the pass that is read next.");
        let is_last = array.output("row_last");
        m.update_when(&row, &reads, (!&is_last).gate(&(&row + 1)));
        control.input("row_job", &row_job);
        slots.input("look_slot", control.output("row_value_slot"));
        let has_line = control.output("row_has_values") & slots.output("look_upper").gt(&row);
        let has_place = m.forward("result_has_place", 1);
        let line_valid = m.wire("line_valid", &(has_line & (!&is_last | &has_place)));
        array.input("line_valid", &line_valid);
        let line = slots.output("look_start") + row.bits(0..line_bits);
        values.input("read_valid", &reads).input("read_line", m.wire("value_line", &line));
        array.discard("row_valid");
        for lane in 0..sizes.lanes {
            array.input(&format!("line_value_{lane}"), values.output(&format!("line_{lane}")));
        }

        m.section("results");
        let depth = params.pv_array.latency_cycles + HANDSHAKE;
        let taken = m.forward("result_taken", 1);
        let ends = m.wire("pass_ends", &(&reads & &is_last));
        let reserved = reservations(m, "results_reserved", depth, &ends, &taken)
            .comment("Results in the array and in the queue.");
        m.drive(&has_place, reserved.lt(u64::from(depth)));
        let finishing = Ring::new(m, "finishing", depth);
        let finished_job = finishing.oldest(m, "finished_job", &ends, &row_job);
        let finished = array.output("output_valid");
        finishing.advance(m, &ends, &finished);
        control.input("finished_valid", &finished).input("finished_job", &finished_job);
        let words: Vec<Signal> =
            (0..params.head_dim).map(|at| array.output(&format!("output_word_{at}"))).collect();
        let result = m.concat([&control.output("finished_id"), &m.pack(&words)]);
        let result = m.wire("result", &result);
        let queue = Ring::new(m, "results", depth);
        let oldest = queue.oldest(m, "oldest_result", &finished, &result);
        let waits = queue.has_item(m);
        let shown = m.wire("shown_result", &waits.mux(&oldest, &result));
        let valid = m.wire("result_valid", &(&waits | &finished));
        m.drive(&taken, &valid & m.input("m_axis_result_tready", 1));
        queue.advance(m, &finished, &taken);
        let vector_bits = params.head_dim * word;
        let elements: Vec<Signal> = shown
            .bits(0..vector_bits)
            .lanes(params.head_dim)
            .iter()
            .map(|element| element.as_signed().extend(ELEMENT_BITS).as_unsigned())
            .collect();
        m.output("m_axis_result_tvalid", &valid);
        m.output_for(
            "m_axis_result_tdata",
            &m.pack(&elements),
            "Words, each with its sign extended.",
        );
        m.output("m_axis_result_tid", &shown.bits(vector_bits..vector_bits + ID_BITS));
        Ok(Results { waits, finished, finished_job })
    }
}
