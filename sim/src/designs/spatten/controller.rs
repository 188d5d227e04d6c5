//! Controller: admits jobs, reserves buffers, gives fetch commands, orders passes.
//!
//! Keys are fetched once per job; every query of a head is one pass over them. A rejected pass
//! comes back with the LSBs of its keys, before new passes. Local value pruning decides which
//! values of a decode job are fetched; a prefill job loads all of them with its keys.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use attelier_hw::spatten::Controller as Params;
use attelier_workloads::request::Phase;

use super::plan::Job;
use crate::kernel::FOREVER;
use crate::kernel::activity::Activity;
use crate::kernel::fifo::Fifo;
use crate::kernel::snapshot::Snapshot;
use crate::observe::UnitState;
use crate::result::Admission;
use crate::units::Pass;
use crate::units::bitwidth_converter::Target;
use crate::units::line_sram::{LineSram, Plane};
use crate::units::memory::Memory;
use crate::units::qk_array::QkOrder;
use crate::units::qkv_fetcher::{Command, Indices, QkvFetcher, StreamKind};
use crate::units::quant_decision::Verdict;
use crate::units::topk_token::TokenSelection;

/// What the controller keeps about a job in the machine.
#[derive(Debug, Clone)]
struct Progress {
    key_slot: u64,
    value_slot: Option<u64>,
    values_asked: bool,
    /// Heads whose key LSBs have been asked for.
    lsb_asked: [bool; 2],
    undecided: u32,
    unfinished: u32,
}

/// Links between the controller and the units.
#[derive(Debug, Clone)]
pub struct Links {
    /// Orders to the QxK array.
    pub orders: Fifo<QkOrder>,
    /// Verdicts of the decision unit.
    pub verdicts: Fifo<Verdict>,
    /// Passes whose survivors are known, or that keep all values.
    pub needs_values: Fifo<Pass>,
    /// Passes that left the PxV array.
    pub finished: Fifo<Pass>,
    /// Orders to the token top-k engine.
    pub selections: Fifo<TokenSelection>,
    /// Finished selections.
    pub selected: Fifo<u32>,
}

impl Links {
    /// Empty links.
    pub fn new(params: &Params) -> Self {
        // A query is asked for with its order, so the depth is how far the memory may lag behind.
        let orders =
            if params.query_from_dram { params.queries_ahead } else { params.jobs_in_flight };
        Self {
            orders: Fifo::new(orders as usize),
            verdicts: Fifo::unbounded(),
            needs_values: Fifo::unbounded(),
            finished: Fifo::unbounded(),
            selections: Fifo::unbounded(),
            selected: Fifo::unbounded(),
        }
    }

    /// Writes the state between two cycles.
    pub fn snapshot(&self, first_key_slot: u64, queries: u64, to: &mut Snapshot) {
        let Self { orders, verdicts, needs_values, finished, selections, selected } = self;
        orders.snapshot(to, |order, to| order.snapshot(first_key_slot, queries, to));
        verdicts.snapshot(to, |verdict, to| {
            verdict.pass.snapshot(to);
            to.put(verdict.accepted);
        });
        needs_values.snapshot(to, Pass::snapshot);
        finished.snapshot(to, Pass::snapshot);
        if !selections.is_empty() || !selected.is_empty() {
            to.irregular();
        }
    }

    /// Ends the cycle.
    pub fn commit(&mut self) {
        self.orders.commit();
        self.verdicts.commit();
        self.needs_values.commit();
        self.finished.commit();
        self.selections.commit();
        self.selected.commit();
    }
}

/// What the next job can wait for, in the order in which it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Selection,
    InFlight,
    KeySram,
    ValueSram,
}

/// Cycles per [`Wait`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Waits {
    cycles: [u64; 4],
    last: Option<Wait>,
}

impl Waits {
    fn record(&mut self, wait: Option<Wait>) {
        self.last = wait;
        self.leap(1);
    }

    fn leap(&mut self, n: u64) {
        if let Some(wait) = self.last {
            self.cycles[wait as usize] += n;
        }
    }

    /// Repeats `n` times what was counted since `before`.
    pub fn repeat_since(&mut self, before: &Waits, n: u64) {
        for (count, before) in self.cycles.iter_mut().zip(before.cycles) {
            *count += n * (*count - before);
        }
    }

    /// The counts.
    pub fn report(&self) -> Admission {
        let [selection_cycles, in_flight_cycles, key_sram_cycles, value_sram_cycles] = self.cycles;
        Admission { selection_cycles, in_flight_cycles, key_sram_cycles, value_sram_cycles }
    }
}

/// What stands between the machine and the next job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    /// Nothing, or not looked at yet.
    Open,
    /// This many selections must still finish.
    Waiting(u32),
}

/// The controller.
#[derive(Debug, Clone)]
pub struct Controller {
    /// Counters; a beat is one action.
    pub activity: Activity,
    /// Jobs that have left the machine.
    pub jobs_done: u64,
    /// What the next job waited for.
    pub waits: Waits,
    /// Passes computed a second time.
    pub recomputed: u64,
    params: Params,
    keys_per_line: u32,
    /// Whether a job gets its value lines when it is admitted. Otherwise it gets them in the order
    /// in which PxV needs them: decode jobs with their first decided pass, prefill jobs on
    /// admission. A fused job can hold lines while its second head is still recomputed behind jobs
    /// that wait for lines, and a prefill job can take the lines an older decode job needs:
    /// without reservation both are deadlocks.
    reserves_values: bool,
    next_job: usize,
    in_flight: u32,
    gate: Gate,
    gate_passed: Option<usize>,
    /// Prefill jobs whose values have not been asked for.
    loads: VecDeque<u32>,
    issuing: VecDeque<(u32, u32)>,
    retries: VecDeque<QkOrder>,
    progress: BTreeMap<u32, Progress>,
    survivors: BTreeMap<u32, Arc<[u32]>>,
    admitted_passes: u64,
    finished_passes: u64,
    query_tickets: u64,
    /// Whether passes wait for their query; otherwise queries are always there.
    counts_queries: bool,
    acted: bool,
    admitted: bool,
}

/// Everything the controller touches in one cycle.
pub struct Ports<'a, M> {
    /// All jobs.
    pub jobs: &'a [Job],
    /// Links.
    pub links: &'a mut Links,
    /// Fetcher.
    pub fetcher: &'a mut QkvFetcher<M>,
    /// Key buffer.
    pub keys: &'a mut LineSram,
    /// Value buffer.
    pub values: &'a mut LineSram,
    /// Passes whose probabilities have entered the importance accumulator.
    pub accumulated: u64,
}

impl Controller {
    /// A controller with these parameters.
    pub fn new(params: &Params, keys_per_line: u32, jobs: &[Job]) -> Self {
        Self {
            activity: Activity::new("controller"),
            jobs_done: 0,
            waits: Waits::default(),
            recomputed: 0,
            params: params.clone(),
            keys_per_line,
            reserves_values: jobs.iter().any(|job| job.heads > 1)
                || jobs.iter().any(|job| job.phase != jobs[0].phase),
            next_job: 0,
            in_flight: 0,
            gate: Gate::Open,
            gate_passed: None,
            loads: VecDeque::new(),
            issuing: VecDeque::new(),
            retries: VecDeque::new(),
            progress: BTreeMap::new(),
            survivors: BTreeMap::new(),
            admitted_passes: 0,
            finished_passes: 0,
            query_tickets: 0,
            counts_queries: params.query_from_dram,
            acted: false,
            admitted: false,
        }
    }

    /// Makes passes wait for queries that come through a port.
    pub fn open_query_port(&mut self) {
        self.counts_queries = true;
    }

    /// Value slot of a job, once it has one.
    pub fn value_slot(&self, job: u32) -> Option<u64> {
        self.progress.get(&job).and_then(|progress| progress.value_slot)
    }

    /// Survivors of the first head of a job that was selected, as positions among its keys.
    pub fn survivors(&self, job: u32) -> Option<&Arc<[u32]>> {
        self.survivors.get(&job)
    }

    /// Notes the survivors of a job.
    pub fn set_survivors(&mut self, job: u32, kept: Arc<[u32]>) {
        self.survivors.insert(job, kept);
    }

    /// Evaluates a cycle.
    pub fn tick<M: Memory>(&mut self, ports: &mut Ports<'_, M>) {
        let mut actions = 0;
        while let Some(verdict) = ports.links.verdicts.pop() {
            self.on_verdict(verdict, ports);
            actions += 1;
        }
        while let Some(pass) = ports.links.finished.pop() {
            self.on_finished(pass, ports.values);
            actions += 1;
        }
        while ports.links.selected.pop().is_some() {
            self.on_selected();
            actions += 1;
        }
        if self.can_fetch_values(ports.jobs, ports.links, ports.values) {
            self.fetch_values(ports);
            actions += 1;
        }
        if self.can_order_selections(ports.jobs, ports.accumulated) {
            self.order_selections(ports);
            actions += 1;
        }
        // A pass is issued from the jobs of earlier cycles.
        if self.can_issue(ports.links) {
            self.issue(ports);
            actions += 1;
        }
        let wait = self.wait(ports.jobs, ports.keys, ports.values);
        self.waits.record(wait);
        self.admitted = self.next_job < ports.jobs.len() && wait.is_none();
        if self.admitted {
            self.admit(ports);
            actions += 1;
        }
        self.acted = actions > 0;
        let job = self.progress.keys().next_back().map(|&job| u64::from(job));
        let state = if self.acted {
            UnitState::Busy
        } else if self.next_job < ports.jobs.len() {
            UnitState::Blocked
        } else if self.progress.is_empty() {
            UnitState::Idle
        } else {
            UnitState::Starved
        };
        self.activity.record(state, actions, job);
    }

    /// Cycles after this one that repeat it as long as the links do.
    pub fn steady(
        &self,
        jobs: &[Job],
        links: &Links,
        keys: &LineSram,
        values: &LineSram,
        accumulated: u64,
    ) -> u64 {
        let acts = self.acted
            || !links.verdicts.is_empty()
            || !links.finished.is_empty()
            || !links.selected.is_empty()
            || self.can_fetch_values(jobs, links, values)
            || self.can_order_selections(jobs, accumulated)
            || self.can_issue(links)
            || self.can_admit(jobs, keys, values);
        if acts { 0 } else { FOREVER }
    }

    /// Repeats a cycle without action `n` times.
    pub fn leap(&mut self, n: u64) {
        self.activity.leap(n);
        self.waits.leap(n);
    }

    /// Whether a job was admitted in the last cycle, and the next job.
    pub fn admission(&self) -> Option<u32> {
        self.admitted.then_some(self.next_job as u32)
    }

    /// Oldest job in the machine.
    pub fn oldest_job(&self) -> Option<u32> {
        self.progress.keys().next().copied()
    }

    /// Skips `jobs` jobs that would do what the last ones did; `done` of them leave.
    pub fn skip(&mut self, jobs: u32, done: u64, recomputed: u64) {
        self.next_job += jobs as usize;
        self.jobs_done += done;
        self.recomputed += recomputed;
    }

    /// Writes the state between two cycles. `arrived` are the queries and passes that have come
    /// and gone: queries, passes accumulated.
    pub fn snapshot(
        &self,
        (keys, values): (&LineSram, &LineSram),
        (queries, accumulated): (u64, u64),
        to: &mut Snapshot,
    ) {
        if self.gate != Gate::Open || !self.survivors.is_empty() {
            to.irregular();
        }
        to.put(self.in_flight);
        to.length(self.loads.len());
        self.loads.iter().for_each(|&job| to.job(job));
        to.length(self.issuing.len());
        for &(job, number) in &self.issuing {
            to.job(job);
            to.put(number);
        }
        to.length(self.retries.len());
        self.retries.iter().for_each(|order| order.snapshot(keys.first_slot(), queries, to));
        to.length(self.progress.len());
        for (&job, progress) in &self.progress {
            let Progress { key_slot, value_slot, values_asked, lsb_asked, undecided, unfinished } =
                progress;
            to.job(job);
            // A released key slot can be gone; nobody reads it any more.
            to.put(if *undecided > 0 { key_slot - keys.first_slot() } else { 0 });
            to.put(value_slot.map_or(u64::MAX, |slot| slot - values.first_slot()));
            to.put(*values_asked);
            lsb_asked.iter().for_each(|&asked| to.put(asked));
            to.put(*undecided);
            to.put(*unfinished);
        }
        to.put(self.admitted_passes - accumulated);
        to.put(self.admitted_passes - self.finished_passes);
        to.put(self.query_tickets - queries);
    }

    fn on_verdict<M: Memory>(&mut self, verdict: Verdict, ports: &mut Ports<'_, M>) {
        let Pass { job: id, head, .. } = verdict.pass;
        let job = &ports.jobs[id as usize];
        let progress = self.progress.get_mut(&id).expect("a decided pass belongs to a job inside");
        if verdict.accepted {
            progress.undecided -= 1;
            if progress.undecided == 0 {
                ports.keys.release(progress.key_slot);
                self.in_flight -= 1;
            }
            return;
        }
        self.recomputed += 1;
        let slot = progress.key_slot;
        // The first flat query of a head brings them, later ones find them in the buffer.
        if !std::mem::replace(&mut progress.lsb_asked[usize::from(head)], true) {
            ports.keys.expect(slot, job.key_vectors.div_ceil(self.keys_per_line));
            ports.fetcher.command(lsb_command(id, job, head, slot, self.keys_per_line));
        }
        let pass = Pass { attempt: 1, ..verdict.pass };
        let rows = job.key_rows;
        self.retries.push_back(QkOrder { pass, slot, needs_lsb: true, rows, query_ticket: 0 });
    }

    fn on_finished(&mut self, pass: Pass, values: &mut LineSram) {
        self.finished_passes += 1;
        let progress = self.progress.get_mut(&pass.job).expect("a finished pass was inside");
        progress.unfinished -= 1;
        if progress.unfinished == 0 {
            values.release(progress.value_slot.expect("a finished job had values"));
            self.progress.remove(&pass.job);
            self.survivors.remove(&pass.job);
            self.jobs_done += 1;
        }
    }

    fn on_selected(&mut self) {
        self.gate = match self.gate {
            Gate::Waiting(left) if left > 1 => Gate::Waiting(left - 1),
            _ => Gate::Open,
        };
    }

    /// The job whose values come next: a prefill job, which needs all of them, or the job of the
    /// oldest pass whose survivors are known.
    fn next_values(&self, links: &Links) -> Option<u32> {
        self.loads.front().copied().or_else(|| links.needs_values.front().map(|pass| pass.job))
    }

    fn can_fetch_values(&self, jobs: &[Job], links: &Links, values: &LineSram) -> bool {
        let Some(job) = self.next_values(links) else { return false };
        let Some(progress) = self.progress.get(&job) else { return true };
        progress.values_asked
            || progress.value_slot.is_some()
            || values.can_allocate(jobs[job as usize].value_lines)
    }

    fn fetch_values<M: Memory>(&mut self, ports: &mut Ports<'_, M>) {
        let Some(id) = self.next_values(ports.links) else { return };
        if self.loads.pop_front().is_none() {
            ports.links.needs_values.pop();
        }
        let Some(progress) = self.progress.get_mut(&id) else { return };
        if progress.values_asked {
            return;
        }
        progress.values_asked = true;
        let job = &ports.jobs[id as usize];
        let lines = job.value_lines;
        let slot = *progress.value_slot.get_or_insert_with(|| ports.values.allocate(lines));
        let indices = match (self.survivors.get(&id), &job.key_indices) {
            (Some(kept), Indices::From(first)) if job.phase == Phase::Decode => {
                Indices::List(kept.iter().map(|at| first + at).collect())
            }
            (Some(kept), Indices::List(tokens)) if job.phase == Phase::Decode => {
                Indices::List(kept.iter().map(|&at| tokens[at as usize]).collect())
            }
            (_, all) => all.clone(),
        };
        ports.values.expect(slot, job.value_vectors.div_ceil(self.keys_per_line));
        ports.fetcher.command(Command {
            job: id,
            kind: StreamKind::Value,
            target: Target::Value(slot),
            base: job.value.base,
            vector_bytes: job.value.vector_bytes,
            vectors: job.value_vectors,
            vectors_per_group: self.keys_per_line,
            lines_per_group: job.value.fused,
            indices,
        });
    }

    /// Whether the selections before the next job can start: everything they read is there.
    fn can_order_selections(&self, jobs: &[Job], accumulated: u64) -> bool {
        let Some(barrier) = jobs.get(self.next_job).and_then(|job| job.barrier) else {
            return false;
        };
        if self.gate_passed == Some(self.next_job) {
            return false;
        }
        !self.params.cascade_dependency
            || (accumulated == self.admitted_passes
                && (barrier.heads.is_none() || self.finished_passes == self.admitted_passes))
    }

    fn order_selections<M: Memory>(&mut self, ports: &mut Ports<'_, M>) {
        let barrier = ports.jobs[self.next_job].barrier.expect("checked by the caller");
        let mut ordered = 0;
        for selection in [barrier.tokens, barrier.heads].into_iter().flatten() {
            ports.links.selections.push(selection);
            ordered += 1;
        }
        self.gate_passed = Some(self.next_job);
        if self.params.cascade_dependency {
            self.gate = Gate::Waiting(ordered);
        }
    }

    /// What the next job waits for; `None` if there is no job or nothing to wait for.
    fn wait(&self, jobs: &[Job], keys: &LineSram, values: &LineSram) -> Option<Wait> {
        let job = jobs.get(self.next_job)?;
        let gated = job.barrier.is_some() && self.gate_passed != Some(self.next_job);
        if gated || self.gate != Gate::Open {
            Some(Wait::Selection)
        } else if self.in_flight >= self.params.jobs_in_flight {
            Some(Wait::InFlight)
        } else if !keys.can_allocate(job.key_lines) {
            Some(Wait::KeySram)
        } else if self.reserves_values && !values.can_allocate(job.value_lines) {
            Some(Wait::ValueSram)
        } else {
            None
        }
    }

    fn can_admit(&self, jobs: &[Job], keys: &LineSram, values: &LineSram) -> bool {
        self.next_job < jobs.len() && self.wait(jobs, keys, values).is_none()
    }

    fn admit<M: Memory>(&mut self, ports: &mut Ports<'_, M>) {
        let id = self.next_job as u32;
        let job = &ports.jobs[self.next_job];
        let slot = ports.keys.allocate(job.key_lines);
        let passes = job.passes();
        self.progress.insert(
            id,
            Progress {
                key_slot: slot,
                value_slot: self.reserves_values.then(|| ports.values.allocate(job.value_lines)),
                values_asked: false,
                lsb_asked: [false; 2],
                undecided: passes,
                unfinished: passes,
            },
        );
        let groups = job.key_vectors.div_ceil(self.keys_per_line);
        ports.keys.expect(slot, groups);
        ports.fetcher.command(Command {
            job: id,
            kind: StreamKind::Key,
            target: Target::Key(slot, Plane::Msb),
            base: job.key.base,
            vector_bytes: job.key.vector_bytes,
            vectors: job.key_vectors,
            vectors_per_group: self.keys_per_line,
            lines_per_group: job.key.fused,
            indices: job.key_indices.clone(),
        });
        if job.eager_lsb {
            for head in 0..job.heads {
                ports.keys.expect(slot, groups);
                ports.fetcher.command(lsb_command(id, job, head, slot, self.keys_per_line));
            }
        }
        if job.phase == Phase::Prefill {
            self.loads.push_back(id);
        }
        self.issuing.push_back((id, 0));
        self.admitted_passes += u64::from(passes);
        self.in_flight += 1;
        self.next_job += 1;
    }

    fn can_issue(&self, links: &Links) -> bool {
        links.orders.can_push() && (!self.retries.is_empty() || !self.issuing.is_empty())
    }

    fn issue<M: Memory>(&mut self, ports: &mut Ports<'_, M>) {
        if let Some(order) = self.retries.pop_front() {
            ports.links.orders.push(order);
            return;
        }
        let Some((id, number)) = self.issuing.front_mut() else { return };
        let (id, at) = (*id, *number);
        let job = &ports.jobs[id as usize];
        let head = (at / job.queries) as u8;
        *number += 1;
        if *number == job.passes() {
            self.issuing.pop_front();
        }
        self.query_tickets += u64::from(self.counts_queries);
        if self.params.query_from_dram {
            ports.fetcher.command(Command {
                job: id,
                kind: StreamKind::Query,
                target: Target::Query,
                base: job.query[usize::from(head)].base,
                vector_bytes: job.query[usize::from(head)].vector_bytes,
                vectors: 1,
                vectors_per_group: 1,
                lines_per_group: 1,
                indices: Indices::From(job.query_index(at % job.queries)),
            });
        }
        ports.links.orders.push(QkOrder {
            pass: Pass { job: id, head, attempt: 0, query: at % job.queries },
            slot: self.progress[&id].key_slot,
            needs_lsb: job.eager_lsb,
            rows: job.key_rows,
            query_ticket: self.query_tickets,
        });
    }
}

fn lsb_command(id: u32, job: &Job, head: u8, slot: u64, keys_per_line: u32) -> Command {
    let plane = job.key_lsb[usize::from(head)];
    Command {
        job: id,
        kind: StreamKind::KeyLsb,
        target: Target::Key(slot, Plane::lsb(head)),
        base: plane.base,
        vector_bytes: plane.vector_bytes,
        vectors: job.key_vectors,
        vectors_per_group: keys_per_line,
        lines_per_group: 1,
        indices: job.key_indices.clone(),
    }
}
