//! From orders to decided probabilities.

use super::Core;
use crate::{
    Error, InstanceBuilder, Signal,
    bits::index_width,
    units::spatten::{
        qk_array, quant_decision,
        query_buffer::{ELEMENT_BITS, query_buffer},
        quick_select::fit,
        ring::Ring,
        softmax,
    },
};

/// The front of the pipeline.
pub(super) struct Scores<'a> {
    pub array: InstanceBuilder<'a>,
    pub queries: InstanceBuilder<'a>,
    /// The array takes an order, and which.
    pub takes: Signal,
    pub order: Signal,
}

impl Core<'_> {
    /// Orders, queries and keys to scores.
    pub(super) fn scores(
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
    pub(super) fn probabilities(
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
}
