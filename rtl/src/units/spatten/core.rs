//! The whole machine without its bus interfaces: `spatten_core`.
//!
//! Units and the links between them; nothing here decides anything but which job a row belongs to.
//! Passes stay in order between the units, so queues of job numbers run beside them.

use std::sync::Arc;

use attelier_hw::spatten::Spatten;

use super::{
    HANDSHAKE,
    controller::{controller, job_fields},
    key_slots, key_sram,
    parts::reservations,
    pv_array, qk_array, qkv_fetcher, quant_decision,
    query_buffer::{ELEMENT_BITS, query_buffer},
    quick_select::{QuickSelect, fit},
    ring::Ring,
    sizes::{ID_BITS, Sizes},
    softmax,
    topk_value::TopKValue,
    value_slots, value_sram,
};
use crate::{Error, InstanceBuilder, ModuleBuilder, Signal, bits::index_width, ir::Module};

/// State of the pivot generator after a reset.
pub const PIVOT_SEED: u16 = 0x1234;

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

/// The machine.
///
/// # Errors
/// Whatever one of the units refuses; an engine that holds fewer elements than the softmax.
pub fn spatten_core(params: &Spatten) -> Result<Arc<Module>, Error> {
    let name = "spatten_core";
    let sizes = Sizes::of(params)?;
    if params.topk_value.capacity < sizes.keys {
        let (parameter, expected) = ("topk_value.capacity", "as many keys as the softmax holds");
        return Err(Error::parameter(name, parameter, params.topk_value.capacity, expected));
    }
    let m = ModuleBuilder::new(name);
    m.doc("SpAtten: attention of one query per job, with progressive quantization and local value pruning.");
    m.doc("Jobs come on `s_job_*`, their queries, in the same order, on `s_axis_query_*`; attention outputs");
    m.doc("leave on `m_axis_result_*`, HEAD_DIM elements of 16 bits, with the identifier of their job as");
    m.doc("`tid`: a job that was computed again is overtaken. Channel C of the memory is `arvalid_C` and so on.");
    m.parameter("HEAD_DIM", params.head_dim);
    m.parameter("KEYS_PER_LINE", sizes.lanes);
    m.parameter("CHANNELS", params.memory.channels);
    m.parameter("MOST_KEYS", sizes.keys);
    m.latency("that of the simulator, cycle by cycle: see docs/designs/spatten.md");
    let core = Core { m, params, sizes };
    core.build()?;
    core.m.finish()
}

/// The front of the pipeline.
struct Scores<'a> {
    array: InstanceBuilder<'a>,
    queries: InstanceBuilder<'a>,
    /// The array takes an order, and which.
    takes: Signal,
    order: Signal,
}

/// Rows of probabilities that are used.
struct Selected<'a> {
    engine: InstanceBuilder<'a>,
    /// Whoever takes them drives this.
    row_ready: Signal,
    /// A row moves, of this job.
    moves: Signal,
    job: Signal,
}

/// The end of the pipeline.
struct Results {
    /// A result waits for its receiver.
    waits: Signal,
    /// An output leaves the array, of this job.
    finished: Signal,
    finished_job: Signal,
}

struct Core<'a> {
    m: ModuleBuilder,
    params: &'a Spatten,
    sizes: Sizes,
}

impl Core<'_> {
    fn build(&self) -> Result<(), Error> {
        let (m, params, sizes) = (&self.m, self.params, &self.sizes);
        m.section("controller");
        let control = m.instance("control", &controller(params)?);
        control.input("s_job_tvalid", m.input("s_job_tvalid", 1));
        for field in job_fields(params)? {
            let port = format!("s_job_{}", field.name);
            let input = m.input(&port, field.width);
            let input = if field.meaning.is_empty() { input } else { input.comment(field.meaning) };
            control.input(&port, input);
        }
        m.output("s_job_tready", &control.output("s_job_tready"));

        m.section("fetcher");
        let fetcher = m.instance("fetcher", &qkv_fetcher(params)?);
        self.connect_commands(&control, &fetcher);
        self.connect_channels(&fetcher);

        m.section("key buffer");
        let key_slots = m.instance("keys_held", &key_slots(params)?);
        control
            .input("key_fit", key_slots.output("fit"))
            .input("key_next_slot", key_slots.output("next_slot"));
        let key_slot_bits = index_width(sizes.key_slots.into());
        key_slots
            .input("open", control.output("key_open"))
            .input("open_lines", control.output("key_lines"))
            .input("open_groups", control.output("key_groups"))
            .input("announce", control.output("key_lsb_valid"))
            .input("announce_slot", fit(m, &control.output("key_lsb_slot"), key_slot_bits))
            .input("announce_groups", control.output("key_lsb_groups"))
            .input("fill_lower", fetcher.output("fill_key_lsb"));
        for at in 0..2 {
            key_slots
                .input(&format!("give_back_{at}"), control.output(&format!("release_{at}")))
                .input(
                    &format!("give_back_slot_{at}"),
                    control.output(&format!("release_slot_{at}")),
                );
        }
        let of_keys = fetcher.output("fill_key") | fetcher.output("fill_key_lsb");
        let keys = m.instance("keys", &key_sram(params)?);
        self.fill("key", &of_keys, &fetcher, &key_slots, &keys, sizes.key_slots);

        m.section("value buffer");
        let value_slots = m.instance("values_held", &value_slots(params)?);
        control
            .input("value_fit", value_slots.output("fit"))
            .input("value_next_slot", value_slots.output("next_slot"));
        value_slots
            .input("open", control.output("value_open"))
            .input("open_lines", control.output("value_lines"))
            .input("open_groups", control.output("value_groups"))
            .input("give_back_0", control.output("value_release"))
            .input("give_back_slot_0", control.output("value_release_slot"));
        let values = m.instance("values", &value_sram(params)?);
        let of_values = fetcher.output("fill_value");
        self.fill("value", &of_values, &fetcher, &value_slots, &values, sizes.value_slots);

        let scores = self.scores(&control, &key_slots, &keys)?;
        let decided = self.probabilities(&control, &scores)?;
        let selected = self.selection(&control, &fetcher, &decided)?;
        let results = self.outputs(&control, &selected, &value_slots, &values)?;
        let Results { waits, finished, finished_job } = results;
        scores.queries.input("leave_valid", &finished).input("leave_job", &finished_job);
        m.output_for(
            "idle",
            &m.all_of(&[control.output("idle"), fetcher.output("idle"), !waits]),
            "No job is inside, no data are under way, no result waits.",
        );
        Ok(())
    }

    fn connect_commands(&self, control: &InstanceBuilder<'_>, fetcher: &InstanceBuilder<'_>) {
        for stream in ["key", "key_lsb", "value"] {
            for field in ["base", "units", "vectors", "format", "slot"] {
                let port = format!("{stream}_{field}");
                fetcher.input(&port, control.output(&port));
            }
        }
        fetcher
            .input("key_valid", control.output("key_valid"))
            .input("key_lsb_valid", control.output("key_lsb_valid"))
            .input("value_valid", control.output("value_open"))
            .input("value_list", control.output("value_list"))
            .input("value_list_length", control.output("value_list_length"));
    }

    fn connect_channels(&self, fetcher: &InstanceBuilder<'_>) {
        let m = &self.m;
        for channel in 0..self.params.memory.channels {
            let bits = 8 * self.params.memory.transaction_bytes;
            for (port, width) in [("arready", 1), ("rvalid", 1), ("rdata", bits)] {
                let port = format!("{port}_{channel}");
                fetcher.input(&port, m.input(&port, width));
            }
            for port in ["arvalid", "araddr", "rready"] {
                let port = format!("{port}_{channel}");
                m.output(&port, &fetcher.output(&port));
            }
        }
    }

    /// Groups from the converter into the banks of a buffer.
    fn fill(
        &self,
        name: &str,
        is_target: &Signal,
        fetcher: &InstanceBuilder<'_>,
        slots: &InstanceBuilder<'_>,
        sram: &InstanceBuilder<'_>,
        slot_count: u32,
    ) {
        let (m, params) = (&self.m, self.params);
        let banks = params.bitwidth_converter.lines_per_cycle;
        let bank_bits = banks.ilog2();
        let fills = m.wire(format!("{name}_fills"), &(fetcher.output("fill") & is_target));
        let groups = fetcher.output("fill_groups");
        slots
            .input("fill", &fills)
            .input(
                "fill_slot",
                fit(m, &fetcher.output("fill_slot"), index_width(slot_count.into())),
            )
            .input("fill_groups", fit(m, &groups, index_width(u64::from(banks) + 1)));
        let first = slots.output("fill_line");
        let mut writes = Vec::new();
        for bank in 0..banks {
            let number = match bank_bits {
                0 => m.constant(0, 1),
                bits => m.constant(bank.into(), bits) - first.bits(0..bits),
            };
            let number = m.wire(format!("{name}_number_for_{bank}"), &number);
            let place = &first + number.extend(first.width());
            let place = m.wire(format!("{name}_place_of_{bank}"), &place);
            m.discard(&place);
            let written = groups.gt(number.extend(groups.width()));
            writes.push(m.wire(format!("{name}_writes_{bank}"), &written));
            sram.input(&format!("write_place_{bank}"), place.bits(bank_bits..first.width()));
            for vector in 0..self.sizes.lanes {
                let lines: Vec<Signal> = (0..banks)
                    .map(|line| fetcher.output(&format!("fill_line_{line}_{vector}")))
                    .collect();
                let line = if banks == 1 { lines[0].clone() } else { m.select(&number, &lines) };
                sram.input(&format!("write_line_{bank}_{vector}"), &line);
            }
        }
        sram.input("write_valid", &fills)
            .input("write_banks", m.pack(&writes))
            .input("write_segments", fetcher.output("fill_segments"));
    }

    /// Orders, queries and keys to scores.
    fn scores(
        &self,
        control: &InstanceBuilder<'_>,
        slots: &InstanceBuilder<'_>,
        keys: &InstanceBuilder<'_>,
    ) -> Result<Scores<'_>, Error> {
        let (m, params, sizes) = (&self.m, self.params, &self.sizes);
        m.section("the order that the QxK array works on, or the next one");
        let array = m.instance("qk", &qk_array(params)?);
        let is_open = array.output("s_order_tready");
        let takes = m.wire("takes_order", &(control.output("order_valid") & &is_open));
        control.input("order_ready", &is_open);
        let at_hand = |field: &str| {
            let offered = control.output(&format!("order_{field}"));
            let held = m.pipe_when(format!("held_{field}"), &takes, &offered);
            m.wire(format!("{field}_at_hand"), &is_open.mux(&offered, &held))
        };
        let (job, slot, again) = (at_hand("job"), at_hand("slot"), at_hand("again"));
        slots.input("look_slot", &slot);
        let (upper, lower) = (slots.output("look_upper"), slots.output("look_lower"));
        let is_behind = m.wire("lower_is_behind", &(again & lower.lt(&upper)));
        let filled = is_behind.mux(&lower, &upper);

        m.section("queries");
        let queries = m.instance("queries", &query_buffer(params)?);
        let elements = params.head_dim * ELEMENT_BITS;
        queries
            .input("s_axis_tvalid", m.input("s_axis_query_tvalid", 1))
            .input("s_axis_tdata", m.input("s_axis_query_tdata", elements))
            .input("read_job", &job);
        m.output("s_axis_query_tready", &queries.output("s_axis_tready"));

        m.section("query times key");
        array
            .input("s_order_tvalid", control.output("order_valid"))
            .input("s_order_rows", control.output("order_rows"))
            .input("s_order_last_keep", control.output("order_last_keep"))
            .input("query_valid", queries.output("query_valid"))
            .input("query", queries.output("query"))
            .input(
                "lines_filled",
                fit(m, &filled, index_width(u64::from(params.key_sram.lines) + 1)),
            );
        let start = slots.output("look_start");
        let line = &start + fit(m, &array.output("line_row"), start.width());
        keys.input("read_valid", array.output("line_read"))
            .input("read_line", m.wire("key_line", &line));
        for key in 0..sizes.lanes {
            array.input(&format!("line_key_{key}"), keys.output(&format!("line_{key}")));
        }
        let order = m.wire(
            "order_taken",
            &control.output("order_again").concat(&control.output("order_job")),
        );
        Ok(Scores { array, queries, takes, order })
    }

    /// Scores to decided probabilities.
    fn probabilities(
        &self,
        control: &InstanceBuilder<'_>,
        scores: &Scores<'_>,
    ) -> Result<InstanceBuilder<'_>, Error> {
        let (m, params, sizes) = (&self.m, self.params, &self.sizes);
        let limit = params.controller.jobs_in_flight;
        let Scores { array, takes, order, .. } = scores;
        let ends_of = |name: &str, from: &InstanceBuilder<'_>, to: &InstanceBuilder<'_>| {
            let moves = from.output("m_axis_tvalid") & to.output("s_axis_tready");
            m.wire(name, &(moves & from.output("m_axis_tlast")))
        };
        let connect = |from: &InstanceBuilder<'_>, to: &InstanceBuilder<'_>| {
            for field in ["tvalid", "tlast", "tkeep"] {
                to.input(&format!("s_axis_{field}"), from.output(&format!("m_axis_{field}")));
            }
            for lane in 0..sizes.lanes {
                let data = from.output(&format!("m_axis_tdata_{lane}"));
                to.input(&format!("s_axis_tdata_{lane}"), data);
            }
            from.input("m_axis_tready", to.output("s_axis_tready"));
        };
        m.section("softmax; the scale is that of the job");
        let softmax = m.instance("softmax_pipeline", &softmax(params)?);
        connect(array, &softmax);
        let scored = Ring::new(m, "scored", limit);
        let scored_order = scored.oldest(m, "scored_order", takes, order);
        let enters = ends_of("pass_enters_softmax", array, &softmax);
        scored.advance(m, takes, &enters);
        control.input("scale_job", scored_order.bits(0..sizes.job_bits));
        for field in ["scale_mantissa", "scale_shift"] {
            softmax.input(field, control.output(field));
        }

        m.section("decision; a pass that is computed again is not compared again");
        let decision = m.instance("decision", &quant_decision(params)?);
        connect(&softmax, &decision);
        let normal = Ring::new(m, "normal", limit);
        let order = normal.oldest(m, "normal_order", &enters, &scored_order);
        normal.advance(m, &enters, &ends_of("pass_enters_decision", &softmax, &decision));
        let job = order.bits(0..sizes.job_bits);
        control.input("rule_job", &job);
        decision
            .input("s_axis_tuser", &job)
            .input("compare", control.output("rule_compares") & !order.bit(sizes.job_bits))
            .input("threshold", control.output("rule_threshold"));
        control
            .input("accepted_valid", decision.output("accepted_valid"))
            .input("accepted_job", decision.output("accepted_user"));
        for field in ["valid", "flat"] {
            let port = format!("verdict_{field}");
            control.input(&port, decision.output(&port));
        }
        control.input("verdict_job", decision.output("verdict_user"));
        Ok(decision)
    }

    /// Probabilities to rows of those that are used.
    fn selection(
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
    fn outputs(
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
