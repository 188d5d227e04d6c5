//! The whole machine without its bus interfaces: `spatten_core`.
//!
//! Units and the links between them; nothing here decides anything but which job a row belongs to.
//! Passes stay in order between the units, so queues of job numbers run beside them.

mod back;
mod front;

use std::sync::Arc;

use attelier_hw::spatten::Spatten;

use self::back::Results;
use super::{
    controller::{controller, job_fields},
    key_slots, key_sram, qkv_fetcher,
    quick_select::fit,
    sizes::Sizes,
    value_slots, value_sram,
};
use crate::{Error, InstanceBuilder, ModuleBuilder, Signal, bits::index_width, ir::Module};

/// State of the pivot generator after a reset.
pub const PIVOT_SEED: u16 = 0x1234;

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
}
