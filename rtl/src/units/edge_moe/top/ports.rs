//! The ports to the memory: addresses of rows, and masters that read and write them.

use super::{
    Top,
    schedule::{Call, Rows, Tensor, Work},
    streams::{Source, sink},
};
use crate::{
    Error, InstanceBuilder, Signal,
    blocks::{AxiReadMaster, AxiWriteMaster},
    ir::Module,
    units::edge_moe::row_addresses::{ADDRESS_BITS, BEATS_BITS, ROW_BITS, row_addresses},
};

/// Names of the ports, in the order of [`Tensor::port`]; the first one has all that is trained.
pub(super) const PORTS: [&str; 5] = ["weights", "inout1", "inout2", "inout3", "inout4"];

/// What a port is asked for while `when`.
pub(super) struct Use {
    pub when: Signal,
    pub start: Signal,
    pub base: Signal,
    pub rows: Rows,
    /// The number of rows, where they come from a list.
    pub listed: Option<Signal>,
}

/// One direction of a port.
pub(super) struct Master {
    pub busy: Signal,
    pub failed: Signal,
}

/// A call that may be under way, and when.
pub(super) struct Activity {
    pub call: Call,
    pub when: Signal,
    /// Its first cycle.
    pub start: Signal,
    /// Rows of a queue, where they are not counted.
    pub listed: Option<Signal>,
}

/// Whether a tensor passes once for each group of queries.
fn passes_again(work: Work, tensor: Tensor) -> bool {
    matches!((work, tensor), (Work::Scores, Tensor::Tmp3) | (Work::Mix, Tensor::Tmp2))
}

impl<'a> Top<'a> {
    /// What the calls ask a port for, in one direction.
    pub(super) fn uses(&self, port: usize, tensors: fn(&Call) -> &'static [Tensor]) -> Vec<Use> {
        let mut uses = Vec::new();
        for activity in &self.activities {
            let of_port = tensors(&activity.call).iter().filter(|tensor| tensor.port() == port);
            uses.extend(of_port.map(|tensor| Use {
                when: activity.when.clone(),
                start: activity.start.clone(),
                base: self.address_of(*tensor),
                rows: tensor.rows(self.sizes, passes_again(activity.call.work, *tensor)),
                listed: activity.listed.clone(),
            }));
        }
        uses
    }

    /// The addresses that are asked for.
    fn addresses(
        &self,
        name: &str,
        uses: &[Use],
        listed: Option<(&Signal, &Source)>,
    ) -> Result<InstanceBuilder<'a>, Error> {
        let m = self.m;
        let unit = m.instance(format!("{name}_rows"), &row_addresses(self.sizes)?);
        let starts: Vec<Signal> = uses.iter().map(|one| one.start.clone()).collect();
        let chosen = |of: &dyn Fn(&Use) -> Signal| -> Signal {
            let (others, last) = uses.split_at(uses.len().saturating_sub(1));
            let last = last.first().map_or_else(|| m.constant(0, 1), of);
            others.iter().fold(last, |other, one| one.when.mux(&of(one), &other))
        };
        let constant = |width: u32, of: &dyn Fn(&Use) -> u64| -> Signal {
            let first = uses.first().map_or(0, of);
            if uses.iter().all(|one| of(one) == first) {
                m.constant(first, width)
            } else {
                chosen(&|one| m.constant(of(one), width))
            }
        };
        let rows = chosen(&|one| match &one.listed {
            Some(count) => count.extend(ROW_BITS),
            None => m.constant(one.rows.rows, ROW_BITS),
        });
        let is_listed = constant(1, &|one| one.listed.is_some().into());
        unit.input("start", m.wire(format!("{name}_start"), &m.any_of(&starts)))
            .input("base", m.wire(format!("{name}_base"), &chosen(&|one| one.base.clone())))
            .input("rows", m.wire(format!("{name}_row_count"), &rows))
            .input("row_beats", constant(BEATS_BITS, &|one| one.rows.row_beats))
            .input("period", constant(ROW_BITS, &|one| one.rows.period))
            .input("stride", constant(ROW_BITS, &|one| one.rows.stride))
            .input("advances", constant(1, &|one| one.rows.advances.into()))
            .input("listed", is_listed);
        match listed {
            Some((when, list)) => {
                let ready = unit.output("s_row_tready");
                let (valid, row) =
                    sink(m, &format!("{name}_list"), &ready, &[(when.clone(), list)]);
                unit.input("s_row_tvalid", &valid).input("s_row_tdata", &row);
            }
            None => {
                unit.input("s_row_tvalid", 0u64).input("s_row_tdata", 0u64);
                unit.discard("s_row_tready");
            }
        }
        Ok(unit)
    }

    /// The reader of a port: its beats, and whether it is at work.
    pub(super) fn reader(
        &self,
        port: usize,
        uses: &[Use],
        listed: Option<(&Signal, &Source)>,
    ) -> Result<(Source, Master), Error> {
        let (m, name) = (self.m, format!("{}_read", PORTS[port]));
        m.section(format!("port {}: reads", PORTS[port]));
        let rows = self.addresses(&name, uses, listed)?;
        let module = AxiReadMaster {
            address_width: ADDRESS_BITS,
            beat_bytes: self.sizes.beat_bytes,
            burst_beats: self.sizes.burst_beats,
            length_width: BEATS_BITS,
            outstanding_beats: self.sizes.outstanding_beats,
        };
        let module = module.build()?;
        let master = m.instance(format!("{name}_master"), &module);
        self.command(&rows, &master);
        self.bus(port, &module, &master);
        let source = Source::of(m, &name, &master, "m_axis");
        let busy = rows.output("busy") | !master.output("idle");
        let busy = m.wire(format!("{name}_busy"), &busy);
        Ok((source, Master { busy, failed: master.output("error") }))
    }

    /// The writer of a port: the master, whose beats are still to be connected, and whether it is at work.
    pub(super) fn writer(
        &self,
        port: usize,
        uses: &[Use],
        listed: Option<(&Signal, &Source)>,
    ) -> Result<(InstanceBuilder<'a>, Master), Error> {
        let (m, name) = (self.m, format!("{}_write", PORTS[port]));
        m.section(format!("port {}: writes", PORTS[port]));
        let rows = self.addresses(&name, uses, listed)?;
        let module = AxiWriteMaster {
            address_width: ADDRESS_BITS,
            beat_bytes: self.sizes.beat_bytes,
            burst_beats: self.sizes.burst_beats,
            length_width: BEATS_BITS,
        };
        let module = module.build()?;
        let master = m.instance(format!("{name}_master"), &module);
        self.command(&rows, &master);
        self.bus(port, &module, &master);
        let busy = rows.output("busy") | !master.output("idle");
        let busy = m.wire(format!("{name}_busy"), &busy);
        let failed = master.output("error");
        Ok((master, Master { busy, failed }))
    }

    fn command(&self, rows: &InstanceBuilder<'_>, master: &InstanceBuilder<'_>) {
        for port in ["command_valid", "command_address", "command_beats"] {
            master.input(port, rows.output(port));
        }
        rows.input("command_ready", master.output("command_ready"));
    }

    /// The channels of a master become ports of the machine.
    fn bus(&self, port: usize, module: &Module, master: &InstanceBuilder<'_>) {
        let named = |channel: &str| {
            channel.strip_prefix("m_axi_").map(|signal| format!("m_axi_{}_{signal}", PORTS[port]))
        };
        for (channel, ty) in module.inputs() {
            if let Some(name) = named(channel) {
                master.input(channel, self.m.input(name, ty));
            }
        }
        for (channel, _) in module.outputs() {
            if let Some(name) = named(channel) {
                self.m.output(name, &master.output(channel));
            }
        }
    }
}
