//! All channels in lock-step, and the ASIC, executing a program.
//!
//! Instructions go to all channels at once, so the channels differ only in which of them an
//! instruction leaves out. One sequencer stands for all: its trace has every command that any channel
//! gets, and a trace stays legal when commands with their row are taken out of it. Memory instructions
//! start in order; so do those of the ASIC. See [`super::isa`] for how the two sides wait for each
//! other.
//!
//! A refresh is issued at the first row that starts when one is due, or in a pause.

use attelier_dram::energy::Activity;
use attelier_dram::error::IllegalCommand;
use attelier_dram::trace::CommandSink;
use attelier_dram::{Sequencer, command::REFA};
use attelier_hw::pim_gpt::{Activation, PimGpt};

use super::asic::{AsicTime, Span};
use super::compile::Step;
use super::device::{self, Commands};
use super::error::PimError;
use super::isa::{Event, Function, Instruction};

/// Bank groups of a channel.
const GROUPS: u32 = 4;

/// What all channels together did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bursts of vectors into buffers.
    pub vector_bursts: u64,
    /// Bursts of results.
    pub result_bursts: u64,
    /// Bursts of keys.
    pub key_bursts: u64,
    /// Bursts of values.
    pub value_bursts: u64,
    /// MAC commands.
    pub macs: u64,
    /// Commands that opened a row in all banks.
    pub all_bank_activates: u64,
    /// Rows opened, counted by bank.
    pub activates: u64,
    /// Columns used, counted by bank.
    pub accesses: u64,
    /// Beats that the ASIC took.
    pub beats: u64,
    /// Command cycles in which the ASIC was busy.
    pub asic_cycles: u64,
    /// Command cycles in which the memory waited for the ASIC.
    pub waited_cycles: u64,
    /// Refreshes of one channel.
    pub refreshes: u64,
    /// Command cycles in which a bank of a channel was open.
    pub active_cycles: u64,
    /// Command cycles in which none was.
    pub precharged_cycles: u64,
    /// Sum over the banks of a channel of the command cycles in which each was open.
    pub bank_active_cycles: u64,
}

impl Counts {
    const LENGTH: usize = 15;

    fn values(&self) -> [u64; Self::LENGTH] {
        let mut copy = *self;
        copy.each().map(|count| *count)
    }

    fn each(&mut self) -> [&mut u64; Self::LENGTH] {
        [
            &mut self.vector_bursts,
            &mut self.result_bursts,
            &mut self.key_bursts,
            &mut self.value_bursts,
            &mut self.macs,
            &mut self.all_bank_activates,
            &mut self.activates,
            &mut self.accesses,
            &mut self.beats,
            &mut self.asic_cycles,
            &mut self.waited_cycles,
            &mut self.refreshes,
            &mut self.active_cycles,
            &mut self.precharged_cycles,
            &mut self.bank_active_cycles,
        ]
    }

    /// What was counted since `before`.
    #[must_use]
    pub fn since(&self, before: &Counts) -> Counts {
        let mut gain = *self;
        for (count, before) in gain.each().into_iter().zip(before.values()) {
            *count -= before;
        }
        gain
    }

    /// Adds `gain`, `times` over.
    pub fn add(&mut self, gain: &Counts, times: u64) {
        for (count, gain) in self.each().into_iter().zip(gain.values()) {
            *count += times * gain;
        }
    }

    /// Activity of the memory over all channels; a channel that is left out counts as open for as long
    /// as the others.
    pub fn activity(&self, channels: u32) -> Activity {
        let channels = u64::from(channels);
        Activity {
            activates: self.activates,
            precharges: self.activates,
            reads: self.result_bursts,
            writes: self.vector_bursts + self.key_bursts + self.value_bursts,
            refreshes_all_bank: channels * self.refreshes,
            active_cycles: channels * self.active_cycles,
            precharged_cycles: channels * self.precharged_cycles,
            bank_active_cycles: channels * self.bank_active_cycles,
            ..Activity::default()
        }
    }
}

/// A vector that is written behind MAC commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shadow {
    half: u32,
    next: u32,
    left: u32,
    not_before: u64,
}

/// What the ASIC has taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asic {
    /// Cycle from which it is free.
    free: u64,
    /// Arrival of the last beat.
    arrived: u64,
    /// Work of beats that wait until the last has arrived.
    held: u64,
}

/// Channels and ASIC.
#[derive(Debug, Clone)]
pub struct Machine<'a, S> {
    params: &'a PimGpt,
    commands: Commands,
    sequencer: Sequencer,
    time: AsicTime<'a>,
    /// Command cycles of one beat at the current function and number of channels.
    beat_cycles: u64,
    function: Function,
    /// Channels that the instructions go to.
    channels: u64,
    asic: Asic,
    events: Vec<Span>,
    half_ready: [u64; 2],
    shadow: Option<Shadow>,
    counts: Counts,
    sink: S,
}

impl<'a, S: CommandSink> Machine<'a, S> {
    /// A machine at rest; `sink` hears of every command.
    ///
    /// # Errors
    /// Timings from which no memory can be built.
    pub fn new(params: &'a PimGpt, sink: S) -> Result<Self, PimError> {
        Self::starting_at(params, sink, 0)
    }

    /// A machine at rest that does nothing before `cycle`, refreshes included.
    ///
    /// # Errors
    /// As [`Machine::new`].
    pub fn starting_at(params: &'a PimGpt, sink: S, cycle: u64) -> Result<Self, PimError> {
        let device = device::device(params)?;
        let commands = device::commands(&device)?;
        let mut sequencer = device::sequencer(params, &device)?;
        sequencer.wait_until(cycle);
        sequencer.set_next_refresh(sequencer.next_refresh().saturating_add(cycle));
        let channels = u64::from(params.memory.channels);
        Ok(Self {
            params,
            commands,
            sequencer,
            time: AsicTime::new(params),
            beat_cycles: 0,
            function: Function::PartialSum,
            channels,
            asic: Asic { free: cycle, arrived: cycle, held: 0 },
            events: Vec::new(),
            half_ready: [cycle; 2],
            shadow: None,
            counts: Counts::default(),
            sink,
        })
    }

    /// Cycle up to which something happened.
    pub fn now(&self) -> u64 {
        let t = &self.params.timing;
        let last = self.sequencer.last_cycle();
        last.max(self.asic.free).max(self.asic.arrived).saturating_add(u64::from(t.n_bl))
    }

    /// Cycle of the last command.
    pub fn last_cycle(&self) -> u64 {
        self.sequencer.last_cycle()
    }

    /// Cycle of the next refresh.
    pub fn next_refresh(&self) -> u64 {
        self.sequencer.next_refresh()
    }

    /// Sets the cycle of the next refresh.
    pub fn set_next_refresh(&mut self, cycle: u64) {
        self.sequencer.set_next_refresh(cycle);
    }

    /// What all channels together did up to `cycle`, which is not before the last command.
    pub fn counts(&self, cycle: u64) -> Counts {
        let engine = self.sequencer.engine();
        let mut counts = self.counts;
        counts.refreshes = engine.counts()[REFA.index()];
        for rank in engine.residency(cycle).ranks() {
            counts.active_cycles += rank.active;
            counts.precharged_cycles += rank.precharged;
            counts.bank_active_cycles += rank.bank_active;
        }
        counts
    }

    /// Everything that decides about what later instructions do but refresh, with cycles counted from
    /// the last command. `None` where the memory has windows of several commands.
    pub fn relative(&self) -> Option<Vec<i64>> {
        let last = self.sequencer.last_cycle();
        // Cycles are far below 2^63. The ASIC may have been done before the last command, which
        // matters to what it starts next; events and buffers that are ready do not.
        let ahead = |cycle: u64| cycle.saturating_sub(last) as i64;
        let signed = |cycle: u64| cycle as i64 - last as i64;
        let memory = self.sequencer.relative()?;
        let mut state: Vec<i64> = memory.into_iter().map(|cycles| cycles as i64).collect();
        let Asic { free, arrived, held } = self.asic;
        state.extend([signed(free), signed(arrived), held as i64]);
        state.extend([self.function as i64, self.beat_cycles as i64, self.channels as i64]);
        state.extend(self.half_ready.map(ahead));
        state.extend(self.shadow.map_or([0; 5], |Shadow { half, next, left, not_before }| {
            [1, half.into(), next.into(), left.into(), ahead(not_before)]
        }));
        state.extend(self.events.iter().flat_map(|span| [ahead(span.first), ahead(span.last)]));
        // Events that have happened are as if they had never been.
        while state.last() == Some(&0) {
            state.pop();
        }
        Some(state)
    }

    /// What received the commands.
    pub fn into_sink(self) -> S {
        self.sink
    }

    /// When the ASIC would be done with `numbers` numbers that it started at once.
    pub fn span(&self, function: Function, numbers: u32) -> Span {
        self.time.span(function, numbers.into())
    }

    /// Executes a step.
    ///
    /// # Errors
    /// A command that its bank cannot take, which a compiled program does not give.
    pub fn step(&mut self, step: &Step) -> Result<(), IllegalCommand> {
        let columns = self.params.mac.columns;
        match step {
            Step::One(instruction) => self.execute(instruction),
            Step::Stream(stream) => (0..stream.rows(columns)).try_for_each(|row| {
                stream.row(row, columns).try_for_each(|instruction| self.execute(&instruction))
            }),
        }
    }

    /// Executes one instruction.
    ///
    /// # Errors
    /// A command that its bank cannot take.
    pub fn execute(&mut self, instruction: &Instruction) -> Result<(), IllegalCommand> {
        match *instruction {
            Instruction::Channels { count } => {
                self.channels = count.into();
                self.settle_beat();
            }
            Instruction::WriteVector { half, bursts, after, shadow } => {
                return self.write_vector(half, bursts, after, shadow);
            }
            Instruction::Refresh => {
                self.sequencer.refresh_if_due(0, &mut self.sink)?;
            }
            Instruction::Activate { row } => self.activate(row, 0)?,
            Instruction::Mac { half, column, count } => self.mac(half, column, count)?,
            Instruction::ReadAccumulators => self.read()?,
            Instruction::Precharge => {
                self.sequencer.issue(self.commands.prea, 0, None, None, 0, &mut self.sink)?;
            }
            Instruction::WriteRow { bank, row, column, bursts, after, .. } => {
                self.write_row(bank, row, column..column + bursts, after)?;
            }
            Instruction::WriteElement { row, column, after } => {
                self.write_element(row, column, after)?;
            }
            Instruction::Beat { function } => {
                self.function = function;
                self.settle_beat();
            }
            Instruction::Asic { function, numbers, event } => {
                self.asic_work(function, numbers, event);
            }
        }
        Ok(())
    }

    fn settle_beat(&mut self) {
        let numbers = self.channels * u64::from(self.params.memory.banks);
        self.beat_cycles = self.time.busy(self.function, numbers);
    }

    fn happens(&self, event: Event) -> Span {
        let known = event.and_then(|event| self.events.get(event as usize));
        known.copied().unwrap_or(Span { first: 0, last: 0 })
    }

    /// Refreshes in the pause before `cycle`, and notes that the memory waited for the ASIC.
    fn wait_until(&mut self, cycle: u64) -> Result<(), IllegalCommand> {
        while self.sequencer.next_refresh() <= cycle {
            let due = self.sequencer.next_refresh();
            self.sequencer.refresh_if_due(due, &mut self.sink)?;
        }
        self.counts.waited_cycles += cycle.saturating_sub(self.sequencer.last_cycle() + 1);
        Ok(())
    }

    fn write_vector(
        &mut self,
        half: u32,
        bursts: u32,
        after: Event,
        shadow: bool,
    ) -> Result<(), IllegalCommand> {
        self.finish_shadow()?;
        self.counts.vector_bursts += u64::from(bursts) * self.channels;
        let Span { first, last } = self.happens(after);
        if shadow {
            self.shadow = Some(Shadow { half, next: 0, left: bursts, not_before: last });
            return Ok(());
        }
        // Numbers leave while later ones are computed, as long as they do not run dry.
        let length = u64::from(bursts) * u64::from(self.params.timing.n_ccd);
        let start = first.max(last.saturating_sub(length));
        self.wait_until(start)?;
        let written =
            self.sequencer.issue_run(self.commands.wrgb, 0, 0..bursts, start, &mut self.sink)?;
        self.half_ready[(half & 1) as usize] = self.behind(written.1);
        Ok(())
    }

    /// Cycle from which data of a write command can be used.
    fn behind(&self, write: u64) -> u64 {
        write + u64::from(self.params.timing.n_cwl) + u64::from(self.params.timing.n_bl)
    }

    /// Writes what is left of a vector that was to be written in the shadow.
    fn finish_shadow(&mut self) -> Result<(), IllegalCommand> {
        let Some(Shadow { half, next, left, not_before }) = self.shadow.take() else {
            return Ok(());
        };
        let columns = next..next + left;
        let wrgb = self.commands.wrgb;
        let written = self.sequencer.issue_run(wrgb, 0, columns, not_before, &mut self.sink)?;
        self.half_ready[(half & 1) as usize] = self.behind(written.1);
        Ok(())
    }

    fn activate(&mut self, row: u32, not_before: u64) -> Result<(), IllegalCommand> {
        let banks = self.params.memory.banks;
        let row = Some(row);
        match self.params.memory.activation {
            Activation::AllBank => {
                let actab = self.commands.actab;
                self.sequencer.issue(actab, 0, row, None, not_before, &mut self.sink)?;
            }
            Activation::BankGroup => {
                for group in 0..GROUPS {
                    let bank = (group * banks / GROUPS) as usize;
                    let act4 = self.commands.act4;
                    self.sequencer.issue(act4, bank, row, None, not_before, &mut self.sink)?;
                }
            }
        }
        self.counts.all_bank_activates += self.channels;
        self.counts.activates += u64::from(banks) * self.channels;
        Ok(())
    }

    fn mac(&mut self, half: u32, column: u32, count: u32) -> Result<(), IllegalCommand> {
        if self.shadow.is_some_and(|shadow| shadow.half == half) {
            self.finish_shadow()?;
        }
        let banks = u64::from(self.params.memory.banks);
        self.counts.macs += u64::from(count) * self.channels;
        self.counts.accesses += u64::from(count) * banks * self.channels;
        let ready = self.half_ready[(half & 1) as usize];
        let Commands { macab, wrgb, .. } = self.commands;
        let mut done = 0;
        if let Some(shadow) = &mut self.shadow
            && self.sequencer.last_cycle() >= shadow.not_before
            && shadow.left > 0
        {
            done = count.min(shadow.left);
            let (first, second) = ((macab, column), (wrgb, shadow.next));
            let [_, written] =
                self.sequencer.issue_pairs(first, second, 0, done, ready, &mut self.sink)?;
            shadow.next += done;
            shadow.left -= done;
            if shadow.left == 0 {
                let half = shadow.half;
                self.half_ready[(half & 1) as usize] = self.behind(written);
                self.shadow = None;
            }
        }
        if done < count {
            let columns = column + done..column + count;
            self.sequencer.issue_run(macab, 0, columns, ready, &mut self.sink)?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), IllegalCommand> {
        let rdmac = self.commands.rdmac;
        let read = self.sequencer.issue(rdmac, 0, None, None, 0, &mut self.sink)?;
        let t = &self.params.timing;
        let arrived = read + u64::from(t.n_cl) + u64::from(t.n_bl);
        self.counts.result_bursts += self.channels * self.bursts_of_a_beat();
        self.counts.asic_cycles += self.beat_cycles;
        self.asic.arrived = arrived;
        self.counts.beats += 1;
        if self.params.overlap.stream_results {
            self.asic.free = self.asic.free.max(arrived) + self.beat_cycles;
        } else {
            self.asic.held += self.beat_cycles;
        }
        Ok(())
    }

    /// Bursts that carry one number of every bank.
    fn bursts_of_a_beat(&self) -> u64 {
        let memory = &self.params.memory;
        u64::from(memory.banks.div_ceil(memory.burst_elements()))
    }

    fn write_row(
        &mut self,
        bank: u32,
        row: u32,
        columns: std::ops::Range<u32>,
        after: Event,
    ) -> Result<(), IllegalCommand> {
        self.finish_shadow()?;
        let bursts = u64::from(columns.end - columns.start);
        let start = self.happens(after).last;
        self.wait_until(start)?;
        self.sequencer.refresh_if_due(0, &mut self.sink)?;
        let Commands { act, wr, pre, .. } = self.commands;
        let (bank, sink) = (bank as usize, &mut self.sink);
        self.sequencer.issue(act, bank, Some(row), None, start, sink)?;
        self.sequencer.issue_run(wr, bank, columns, 0, sink)?;
        self.sequencer.issue(pre, bank, None, None, 0, sink)?;
        self.counts.key_bursts += bursts;
        self.counts.accesses += bursts;
        self.counts.activates += 1;
        Ok(())
    }

    fn write_element(&mut self, row: u32, column: u32, after: Event) -> Result<(), IllegalCommand> {
        self.finish_shadow()?;
        let start = self.happens(after).last;
        self.wait_until(start)?;
        self.sequencer.refresh_if_due(0, &mut self.sink)?;
        self.activate(row, start)?;
        let Commands { wrab, prea, .. } = self.commands;
        self.sequencer.issue(wrab, 0, None, Some(column), 0, &mut self.sink)?;
        self.sequencer.issue(prea, 0, None, None, 0, &mut self.sink)?;
        self.counts.value_bursts += self.channels * self.bursts_of_a_beat();
        self.counts.accesses += u64::from(self.params.memory.banks) * self.channels;
        Ok(())
    }

    fn asic_work(&mut self, function: Function, numbers: u32, event: Event) {
        let streaming = self.params.overlap.stream_results;
        let mut start = self.asic.free;
        if !streaming {
            start = start.max(self.asic.arrived) + self.asic.held;
            self.asic.held = 0;
        }
        let span = self.span(function, numbers);
        self.asic.free = start + span.last;
        self.counts.asic_cycles += span.last;
        if let Some(event) = event {
            let index = event as usize;
            if self.events.len() <= index {
                self.events.resize(index + 1, Span { first: 0, last: 0 });
            }
            let first = if streaming { span.first } else { span.last };
            self.events[index] = Span { first: start + first, last: start + span.last };
        }
    }
}
