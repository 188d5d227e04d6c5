//! The loop over the experts: queues, sequencer and walker, and what they say to ports and units.

use attelier_hw::edge_moe::TopSizes;

use crate::{
    Error, InstanceBuilder, ModuleBuilder, Signal,
    units::edge_moe::{
        expert_queues::expert_queues, expert_sequencer::expert_sequencer,
        queue_walker::queue_walker, row_addresses::ADDRESS_BITS,
    },
};

/// What runs the loop.
pub(super) struct Experts<'a> {
    /// Still to be connected: start and tokens.
    pub queues: InstanceBuilder<'a>,
    sequencer: InstanceBuilder<'a>,
    /// Still to be connected: its receivers.
    pub walker: InstanceBuilder<'a>,
    /// The call of the loop is under way.
    pub is_call: Signal,
    /// Address of the expert that is loaded, beyond that of the first one.
    pub offset: Signal,
    computing: Signal,
    compute_done: Signal,
    loading: Signal,
    load_done: Signal,
}

impl<'a> Experts<'a> {
    /// The loop starts where `is_call` and `begins`.
    pub fn new(
        m: &'a ModuleBuilder,
        sizes: &TopSizes,
        is_call: &Signal,
        begins: &Signal,
    ) -> Result<Self, Error> {
        let units = &sizes.units;
        m.section("loop over the experts");
        let queues = m.instance("queues", &expert_queues(units)?);
        let sequencer = m.instance("expert_loop", &expert_sequencer(units)?);
        let walker = m.instance("walker", &queue_walker(units)?);
        sequencer.input("start", &(is_call & begins)).discard("done");
        for port in ["metaqueue_count", "metaqueue_expert", "metaqueue_length"] {
            sequencer.input(port, queues.output(port));
        }
        queues.input("metaqueue_position", sequencer.output("metaqueue_position"));
        for port in ["read_enable", "read_expert", "read_position"] {
            queues.input(port, walker.output(port));
        }
        let starts = sequencer.output("compute_start");
        walker
            .input("start", &starts)
            .input("expert", sequencer.output("compute_expert"))
            .input("length", sequencer.output("compute_length"))
            .input("weighted", sequencer.output("compute_second"))
            .input("entry_token", queues.output("entry_token"))
            .input("entry_score", queues.output("entry_score"));
        let loads = sequencer.output("load_start");
        let under_way = |name: &str, port: &str, start: &Signal| {
            let done = m.forward(format!("{name}_done"), 1);
            let register = m.register(name, 1);
            m.update(&register, start | (&register & !&done));
            sequencer.input(port, &done);
            (register, done)
        };
        let (computing, compute_done) = under_way("computing", "compute_done", &starts);
        let (loading, load_done) = under_way("loading", "load_done", &loads);
        let bytes = sizes.expert_words().saturating_mul(sizes.word_bytes());
        let offset = sequencer.output("load_expert").mul(&m.constant(bytes.into(), ADDRESS_BITS));
        let offset = m.wire("load_offset", &offset);
        m.discard(&offset);
        let offset = m.pipe_when("expert_offset", &loads, &offset.bits(0..ADDRESS_BITS));
        Ok(Self {
            queues,
            sequencer,
            walker,
            is_call: is_call.clone(),
            offset,
            computing,
            compute_done,
            loading,
            load_done,
        })
    }

    /// One bit for each layer of an expert: it is computed.
    pub fn layers(&self) -> [Signal; 2] {
        [self.sequencer.output("load_second"), self.sequencer.output("compute_second")]
    }

    /// One bit for each matrix of an expert: it is loaded, if something is.
    pub fn loads(&self) -> [Signal; 2] {
        let second = self.sequencer.output("load_second");
        [&self.is_call & !&second, second]
    }

    /// One bit: a layer of an expert begins.
    pub fn compute_start(&self) -> Signal {
        self.sequencer.output("compute_start")
    }

    /// One bit: a matrix of an expert is to be loaded.
    pub fn load_start(&self) -> Signal {
        self.sequencer.output("load_start")
    }

    /// Tokens of the expert that is computed.
    pub fn length(&self) -> Signal {
        self.sequencer.output("compute_length")
    }

    /// One bit: the loop is over.
    pub fn idle(&self) -> Signal {
        self.sequencer.output("idle")
    }

    /// Says whether units and ports are at work for the expert that is computed or loaded.
    pub fn finish(&self, m: &ModuleBuilder, computes: &Signal, loads: &Signal) {
        m.drive(&self.compute_done, &self.computing & !computes);
        m.drive(&self.load_done, &self.loading & !loads);
    }
}
