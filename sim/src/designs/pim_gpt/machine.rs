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
use super::stream::Stream;

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
    /// Command cycles in which the ASIC was busy.
    pub asic_cycles: u64,
    /// Command cycles in which the memory waited for the ASIC.
    pub waited_cycles: u64,
}

impl Counts {
    /// Adds `rounds` times what was counted since `before`.
    fn repeat_since(&mut self, before: &Counts, rounds: u64) {
        let grow = |count: &mut u64, before: u64| *count += rounds * (*count - before);
        grow(&mut self.vector_bursts, before.vector_bursts);
        grow(&mut self.result_bursts, before.result_bursts);
        grow(&mut self.key_bursts, before.key_bursts);
        grow(&mut self.value_bursts, before.value_bursts);
        grow(&mut self.macs, before.macs);
        grow(&mut self.all_bank_activates, before.all_bank_activates);
        grow(&mut self.activates, before.activates);
        grow(&mut self.accesses, before.accesses);
        grow(&mut self.asic_cycles, before.asic_cycles);
        grow(&mut self.waited_cycles, before.waited_cycles);
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Asic {
    /// Cycle from which it is free.
    free: u64,
    /// Arrival of the last beat.
    arrived: u64,
    /// Work of beats that wait until the last has arrived.
    held: u64,
    /// Beats taken.
    beats: u64,
}

/// State from which rows or layers may be found to repeat.
#[derive(Debug, Clone)]
pub struct Snapshot {
    sequencer: Sequencer,
    asic: Asic,
    counts: Counts,
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
        let device = device::device(params)?;
        let commands = device::commands(&device)?;
        let sequencer = device::sequencer(params, &device)?;
        let channels = u64::from(params.memory.channels);
        Ok(Self {
            params,
            commands,
            sequencer,
            time: AsicTime::new(params),
            beat_cycles: 0,
            function: Function::PartialSum,
            channels,
            asic: Asic::default(),
            events: Vec::new(),
            half_ready: [0; 2],
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

    /// What all channels together did.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Beats that the ASIC took.
    pub fn beats(&self) -> u64 {
        self.asic.beats
    }

    /// What received the commands.
    pub fn into_sink(self) -> S {
        self.sink
    }

    /// Activity of the memory up to now, over all channels; a channel that is left out counts as
    /// open for as long as the others.
    pub fn activity(&self) -> Activity {
        let channels = u64::from(self.params.memory.channels);
        let engine = self.sequencer.engine();
        let counts = &self.counts;
        let mut activity = Activity {
            activates: counts.activates,
            precharges: counts.activates,
            reads: counts.result_bursts,
            writes: counts.vector_bursts + counts.key_bursts + counts.value_bursts,
            refreshes_all_bank: channels * engine.counts()[REFA.index()],
            ..Activity::default()
        };
        for rank in engine.residency(self.now()).ranks() {
            activity.active_cycles += channels * rank.active;
            activity.precharged_cycles += channels * rank.precharged;
            activity.bank_active_cycles += channels * rank.bank_active;
        }
        activity
    }

    /// Executes a step; with `leap`, rows that repeat are not executed one by one.
    ///
    /// # Errors
    /// A command that its bank cannot take, which a compiled program does not give.
    pub fn step(&mut self, step: &Step, leap: bool) -> Result<(), IllegalCommand> {
        match step {
            Step::One(instruction) => self.execute(instruction),
            Step::Stream(stream) => self.stream(stream, leap),
        }
    }

    fn stream(&mut self, stream: &Stream, leap: bool) -> Result<(), IllegalCommand> {
        let columns = self.params.mac.columns;
        let (rows, full) = (stream.rows(columns), stream.full_rows(columns));
        let period = stream.period(columns);
        let mut row = 0;
        while row < rows {
            let rounds = full.saturating_sub(row) / period;
            if !leap || rounds < 3 || self.shadow.is_some() {
                self.rows(stream, row..row + 1)?;
                row += 1;
                continue;
            }
            self.rows(stream, row..row + period)?;
            let before = self.snapshot();
            self.rows(stream, row + period..row + 2 * period)?;
            let leapt = self.leap(&before, u64::from(rounds - 2));
            // At most the rows that are left, which fit 32 bits.
            row += period * (2 + leapt as u32);
        }
        Ok(())
    }

    fn rows(&mut self, stream: &Stream, rows: std::ops::Range<u32>) -> Result<(), IllegalCommand> {
        let columns = self.params.mac.columns;
        for row in rows {
            for instruction in stream.row(row, columns) {
                self.execute(&instruction)?;
            }
        }
        Ok(())
    }

    /// State to compare a later one with.
    pub fn snapshot(&self) -> Snapshot {
        let (sequencer, asic, counts) = (self.sequencer.clone(), self.asic, self.counts);
        Snapshot { sequencer, asic, counts }
    }

    /// If everything since `before` would repeat itself, repeats it up to `most` times, but not into
    /// the next refresh; returns how often.
    pub fn leap(&mut self, before: &Snapshot, most: u64) -> u64 {
        let now = self.sequencer.last_cycle();
        let period = now.saturating_sub(before.sequencer.last_cycle());
        if period == 0 || self.shadow.is_some() {
            return 0;
        }
        let pause = self.sequencer.next_refresh().saturating_sub(now.max(self.asic.free) + 1);
        let rounds = most.min(pause / period);
        let free = self.asic.free - before.asic.free;
        let beats = self.asic.beats - before.asic.beats;
        let held = self.asic.held - before.asic.held;
        // The ASIC keeps pace with the memory, or it was never idle and falls behind evenly.
        let streaming = self.params.overlap.stream_results;
        let steady = free == period || (streaming && free == beats * self.beat_cycles);
        let holding = !streaming && free == 0;
        if rounds == 0 || !(steady || holding) {
            return 0;
        }
        if self.sequencer.leap(&before.sequencer, rounds).is_none() {
            return 0;
        }
        self.asic.free += rounds * free;
        self.asic.arrived += rounds * (self.asic.arrived - before.asic.arrived);
        self.asic.held += rounds * held;
        self.asic.beats += rounds * beats;
        self.counts.repeat_since(&before.counts, rounds);
        rounds
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

    fn span(&self, event: Event) -> Span {
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
        let Span { first, last } = self.span(after);
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
        self.asic.beats += 1;
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
        let start = self.span(after).last;
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
        let start = self.span(after).last;
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
        let span = self.time.span(function, numbers.into());
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
