//! The SpAtten machine: its units, the links between them, and one cycle of all of it.

use std::sync::Arc;

use attelier_hw::spatten::Spatten as Params;
use attelier_workloads::request::{Phase, Request};

use super::controller::{Controller, Links, Ports, Waits};
use super::plan::{Decision, Job, runs};
use super::values::{PassId, Probabilities};
use crate::kernel::FOREVER;
use crate::kernel::activity::{Activity, Counts, EventLog};
use crate::kernel::clock::Cycle;
use crate::kernel::recurrence::Recurrence;
use crate::kernel::run::Machine;
use crate::kernel::snapshot::Snapshot;
use crate::kernel::stream::Stream;
use crate::result::Traffic;
use crate::units::Pass;
use crate::units::bitwidth_converter::{BitwidthConverter, Delivery, Target};
use crate::units::importance::Importance;
use crate::units::lfsr::Lfsr;
use crate::units::line_sram::{LineSram, Plane};
use crate::units::memory::Memory;
use crate::units::pv_array::{PvArray, Source};
use crate::units::qk_array::QkArray;
use crate::units::qkv_fetcher::{Command, QkvFetcher};
use crate::units::quant_decision::{QuantDecision, Rule};
use crate::units::quick_select::{filter, quick_select};
use crate::units::result_queue::ResultQueue;
use crate::units::softmax::Softmax;
use crate::units::topk_token::TopKToken;
use crate::units::topk_value::{Route, Selection, Selector, TopKValue};

/// Units that are evaluated in a cycle; any order gives the same result.
pub const UNITS: usize = 8;

/// Depth of a plain pipeline register between two units: enough for one beat per cycle.
const REGISTER_DEPTH: u32 = 2;

/// The machine.
pub struct SpattenMachine<'a, M, V> {
    pub(super) jobs: &'a [Job],
    pub(super) requests: &'a [Request],
    pub(super) controller: Controller,
    pub(super) fetcher: QkvFetcher<M>,
    keys: LineSram,
    values: LineSram,
    queries: u64,
    staged_queries: u64,
    qk_array: QkArray,
    scores: Stream<Pass>,
    softmax: Softmax,
    probabilities: Stream<Pass>,
    quant_decision: QuantDecision,
    rows: Stream<Pass>,
    token_importance: Importance,
    pub(super) topk_value: TopKValue,
    kept_rows: Stream<Pass>,
    pv_array: PvArray,
    results: ResultQueue,
    head_importance: Importance,
    topk_token: TopKToken,
    links: Links,
    accumulated: u64,
    staged_accumulated: u64,
    selector: EngineSelector<'a, V>,
    selected_now: Option<(u32, Arc<[u32]>)>,
    /// Spans and state changes since they were last taken.
    pub log: EventLog,
    order: [usize; UNITS],
    recurrence: Recurrence<Counters>,
    /// For each job, the range of jobs like it.
    runs: Vec<(u32, u32)>,
    run: (u32, u32),
}

/// Counters that grow by the same amount with every recurrence.
#[derive(Debug, Clone, Copy)]
struct Counters {
    units: [Counts; 11],
    traffic: Traffic,
    waits: Waits,
    jobs_done: u64,
    recomputed: u64,
}

/// Where the values of `job` are, once it has lines.
fn value_source(jobs: &[Job], controller: &Controller, job: u32) -> Option<Source> {
    let slot = controller.value_slot(job)?;
    let job = &jobs[job as usize];
    let in_place = job.prunes_values && job.phase == Phase::Prefill;
    Some(Source { slot, all_rows: in_place.then_some(job.key_rows) })
}

/// What a pass of the machine is to those who know values.
fn pass_id(jobs: &[Job], pass: Pass) -> PassId {
    let Pass { job, head, attempt, query } = pass;
    let with_lsb = attempt > 0 || jobs[job as usize].eager_lsb;
    PassId { job, head, query, with_lsb }
}

/// Runs the local-value selection of passes on their values.
struct EngineSelector<'a, V> {
    params: &'a Params,
    jobs: &'a [Job],
    values: V,
    lfsr: Lfsr,
    /// Survivors of the job, if its other head was selected before.
    taken_over: Option<Arc<[u32]>>,
    /// Survivors found in this cycle.
    found: Option<(u32, Arc<[u32]>)>,
}

impl<V: Probabilities> Selector for EngineSelector<'_, V> {
    fn route(&self, pass: Pass) -> Route {
        if self.jobs[pass.job as usize].prunes_values { Route::Through } else { Route::Around }
    }

    fn select(&mut self, pass: Pass) -> Selection {
        let job = &self.jobs[pass.job as usize];
        let engine = &self.params.topk_value;
        let lanes = self.params.softmax.lanes;
        let id = pass_id(self.jobs, pass);
        if let Some(kept) = &self.taken_over {
            self.values.keep(id, kept);
            return Selection::packed(0, kept, job.keys, lanes);
        }
        let row = self.values.row(id);
        let found = quick_select(
            row,
            job.values as usize,
            engine.parallelism as usize,
            engine.round_overhead_cycles,
            &mut self.lfsr,
        );
        let kept: Arc<[u32]> = filter(row, &found, lanes.min(64) as usize).into();
        self.values.keep(id, &kept);
        let selection = match job.phase {
            Phase::Decode => Selection::packed(found.cycles, &kept, job.keys, lanes),
            Phase::Prefill => Selection::in_place(found.cycles, &kept, job.keys, lanes),
        };
        if job.phase == Phase::Decode {
            self.found = Some((pass.job, kept));
        }
        selection
    }
}

impl<'a, M: Memory, V: Probabilities> SpattenMachine<'a, M, V> {
    /// A machine with `params` that has `jobs` to do on `memory`, with `values`. `pivot_seed` starts
    /// the pivot generator of the local-value engine.
    pub fn new(
        params: &'a Params,
        requests: &'a [Request],
        jobs: &'a [Job],
        (values, pivot_seed): (V, u16),
        memory: M,
    ) -> Self {
        let converter = BitwidthConverter::new(&params.bitwidth_converter);
        let softmax_out = params.softmax.divide_cycles + params.softmax.quantise_cycles;
        Self {
            jobs,
            requests,
            controller: Controller::new(&params.controller, params.qk_array.keys_per_line, jobs),
            fetcher: QkvFetcher::new(&params.qkv_fetcher, &params.memory, converter, memory),
            keys: LineSram::new(params.key_sram.lines),
            values: LineSram::new(params.value_sram.lines),
            queries: 0,
            staged_queries: 0,
            qk_array: QkArray::new(&params.qk_array),
            scores: Stream::new(params.qk_array.latency_cycles + REGISTER_DEPTH),
            softmax: Softmax::new(&params.softmax),
            probabilities: Stream::new(softmax_out + REGISTER_DEPTH),
            quant_decision: QuantDecision::new(&params.quant_decision),
            rows: Stream::new(REGISTER_DEPTH),
            token_importance: Importance::new("token_importance"),
            topk_value: TopKValue::default(),
            kept_rows: Stream::new(params.pv_array.fifo_depth),
            pv_array: PvArray::new(&params.pv_array),
            results: ResultQueue::new(&params.pv_array),
            head_importance: Importance::new("head_importance"),
            topk_token: TopKToken::default(),
            links: Links::new(&params.controller),
            accumulated: 0,
            staged_accumulated: 0,
            selector: EngineSelector {
                params,
                jobs,
                values,
                lfsr: Lfsr::new(pivot_seed.rotate_left(5)),
                taken_over: None,
                found: None,
            },
            selected_now: None,
            log: EventLog::default(),
            order: std::array::from_fn(|unit| unit),
            recurrence: Recurrence::default(),
            runs: runs(jobs),
            run: (0, 0),
        }
    }

    /// Gives the values back.
    pub fn into_values(self) -> V {
        self.selector.values
    }

    /// Changes the order in which units are evaluated within a cycle.
    pub fn set_order(&mut self, order: [usize; UNITS]) {
        self.order = order;
    }

    /// Makes passes wait for queries that come through a port; [`query_arrives`](Self::query_arrives)
    /// brings them. Without it queries that are not in DRAM are always there.
    pub fn open_query_port(&mut self) {
        self.controller.open_query_port();
    }

    /// A query comes through the port; it can be used from the next cycle on.
    pub fn query_arrives(&mut self) {
        self.staged_queries += 1;
    }

    /// Whether the receiver of outputs takes one in the next evaluated cycle; it does unless told
    /// otherwise.
    pub fn set_receiver_willing(&mut self, willing: bool) {
        self.results.set_willing(willing);
    }

    /// Outputs that the receiver can see in the next cycle.
    pub fn results_waiting(&self) -> u32 {
        self.results.waiting()
    }

    /// Whether a job was admitted in the last evaluated cycle.
    pub fn admitted(&self) -> bool {
        self.controller.admission().is_some()
    }

    /// The values.
    pub fn values(&self) -> &V {
        &self.selector.values
    }

    /// The memory.
    pub fn memory(&self) -> &M {
        self.fetcher.memory()
    }

    /// Counters of all units, in the order of the data.
    pub fn activities(&self) -> [&Activity; 11] {
        [
            &self.controller.activity,
            &self.fetcher.activity,
            &self.fetcher.converter.activity,
            &self.qk_array.activity,
            &self.softmax.activity,
            &self.quant_decision.activity,
            &self.token_importance.activity,
            &self.topk_value.activity,
            &self.pv_array.activity,
            &self.head_importance.activity,
            &self.topk_token.activity,
        ]
    }

    fn tick_unit(&mut self, unit: usize, now: Cycle) {
        let jobs = self.jobs;
        match unit {
            0 => self.controller.tick(&mut Ports {
                jobs,
                links: &mut self.links,
                fetcher: &mut self.fetcher,
                keys: &mut self.keys,
                values: &mut self.values,
                accumulated: self.accumulated,
            }),
            1 => {
                self.tick_fetcher(now);
            }
            2 => self.qk_array.tick(
                now,
                &mut self.links.orders,
                &self.keys,
                self.queries,
                &mut self.scores,
                &mut self.log,
            ),
            3 => {
                let (scores, out) = (&mut self.scores, &mut self.probabilities);
                self.softmax.tick(now, scores, out, &mut self.log);
            }
            4 => {
                let values = &mut self.selector.values;
                let rule = |pass: Pass| {
                    let decision = jobs[pass.job as usize].decisions[usize::from(pass.head)];
                    match decision {
                        _ if pass.attempt > 0 => Rule::Accept,
                        Decision::Accept => Rule::Accept,
                        Decision::Told { is_flat } => Rule::Compare { needs_lsb: is_flat },
                        Decision::Compared => {
                            Rule::Compare { needs_lsb: values.is_flat(pass_id(jobs, pass)) }
                        }
                    }
                };
                let (input, verdicts) = (&mut self.probabilities, &mut self.links.verdicts);
                self.quant_decision.tick(now, input, rule, &mut self.rows, verdicts);
            }
            5 => self.tick_topk_value(now),
            6 => {
                let source = |job| value_source(jobs, &self.controller, job);
                let finished = &mut self.links.finished;
                let rows = &mut self.kept_rows;
                let left = rows.front().map_or(0, |(_, left)| left);
                let values = (&self.values, self.results.has_room());
                let done = self.pv_array.tick(now, rows, values, source, finished, &mut self.log);
                if left == 1 && rows.popped() {
                    self.results.reserve();
                }
                if let Some(pass) = done {
                    self.results.push();
                    self.selector.values.finish(pass_id(jobs, pass));
                    self.head_importance.see(pass.job_id());
                }
            }
            _ => {
                let (orders, finished) = (&mut self.links.selections, &mut self.links.selected);
                self.topk_token.tick(now, orders, finished, &mut self.log);
            }
        }
    }

    fn tick_topk_value(&mut self, now: Cycle) {
        let front = self.rows.front();
        // The second head of a fused job takes over what the first one selected.
        let next = self.topk_value.next_to_run();
        self.selector.taken_over =
            next.and_then(|pass| self.controller.survivors(pass.job)).cloned();
        let (rows, out) = (&mut self.rows, &mut self.kept_rows);
        let needs_values = &mut self.links.needs_values;
        self.topk_value.tick(now, rows, &mut self.selector, out, needs_values, &mut self.log);
        if let Some((job, kept)) = self.selector.found.take() {
            self.selected_now = Some((job, kept));
        }
        if let (true, Some((pass, left))) = (self.topk_value.took(), front) {
            let request = &self.requests[self.jobs[pass.job as usize].request as usize];
            if request.accumulate_importance {
                self.token_importance.see(pass.job_id());
            }
            self.staged_accumulated += u64::from(left == 1);
        }
    }

    /// Evaluates the fetcher; returns whether it delivered anything.
    fn tick_fetcher(&mut self, now: Cycle) -> bool {
        let values = &mut self.selector.values;
        let seen = |command: &Command, transactions| values.arrived(command, transactions);
        let delivery = self.fetcher.tick(now, &mut self.log, seen);
        match delivery {
            Some(Delivery { target: Target::Key(slot, plane), groups }) => {
                self.keys.fill(slot, plane, groups);
            }
            Some(Delivery { target: Target::Value(slot), groups }) => {
                self.values.fill(slot, Plane::Msb, groups);
            }
            Some(Delivery { target: Target::Query, groups }) => {
                self.staged_queries += u64::from(groups);
            }
            None => {}
        }
        delivery.is_some()
    }

    /// Commits what the fetcher wrote; returns whether buffer lines became free.
    fn commit_fills(&mut self) -> bool {
        self.fetcher.commit();
        self.queries += std::mem::take(&mut self.staged_queries);
        self.keys.commit() | self.values.commit()
    }

    #[inline]
    fn note_states(&mut self, now: Cycle) {
        if self.log.enabled {
            self.note_all_states(now);
        }
    }

    #[cold]
    fn note_all_states(&mut self, now: Cycle) {
        let mut log = std::mem::take(&mut self.log);
        for (unit, activity) in self.activities().into_iter().enumerate() {
            log.note(now, unit, activity);
        }
        self.log = log;
    }

    fn begin(&mut self) {
        self.scores.begin();
        self.probabilities.begin();
        self.rows.begin();
        self.kept_rows.begin();
    }

    fn commit(&mut self) {
        self.token_importance.tick();
        self.head_importance.tick();
        if let Some((job, kept)) = self.selected_now.take() {
            self.controller.set_survivors(job, kept);
        }
        self.scores.commit();
        self.probabilities.commit();
        self.rows.commit();
        self.kept_rows.commit();
        self.results.commit();
        self.links.commit();
        self.commit_fills();
        self.accumulated += std::mem::take(&mut self.staged_accumulated);
    }

    /// Cycles for which both arrays' inputs stay as they are after `leapt` repeated cycles.
    fn inputs_hold(&self, leapt: u64) -> u64 {
        let jobs = self.jobs;
        let source = |job| value_source(jobs, &self.controller, job);
        let qk = self.qk_array.input_holds(leapt, &self.keys, self.queries);
        qk.min(self.pv_array.input_holds(leapt, &self.values, source))
    }
}

impl<M: Memory, V: Probabilities> Machine for SpattenMachine<'_, M, V> {
    fn tick(&mut self, now: Cycle) {
        self.begin();
        for unit in self.order {
            self.tick_unit(unit, now);
        }
        self.commit();
        self.note_states(now);
    }

    /// The fetcher is left out: it leads a leap, cycle by cycle where it moves data, while the
    /// other units follow as long as the lines they read are there.
    fn steady(&self, now: Cycle) -> u64 {
        let (links, jobs) = (&self.links, self.jobs);
        let mut steady =
            self.controller.steady(jobs, links, &self.keys, &self.values, self.accumulated);
        if steady == 0 {
            return 0;
        }
        steady = steady
            .min(self.scores.steady())
            .min(self.probabilities.steady())
            .min(self.rows.steady())
            .min(self.kept_rows.steady())
            .min(self.results.steady())
            .min(self.qk_array.steady(now, &links.orders, &self.scores))
            .min(self.pv_array.steady(now, &self.kept_rows))
            .min(self.topk_token.steady(now, &links.selections));
        if steady == 0 {
            return 0;
        }
        steady = steady
            .min(self.softmax.steady(now, &self.scores, &self.probabilities))
            .min(self.quant_decision.steady(now, &self.probabilities, &self.rows))
            .min(self.topk_value.steady(now, &self.rows, &self.kept_rows, &self.selector));
        let waits = self.fetcher.is_idle() && self.inputs_hold(0) == FOREVER;
        if steady == FOREVER && !waits { steady - 1 } else { steady }
    }

    fn leap(&mut self, now: Cycle, n: u64) -> u64 {
        let mut leapt = 0;
        let mut holds = self.inputs_hold(0);
        while leapt < n {
            let ended = n >= FOREVER - 1 && self.fetcher.is_idle();
            if holds == 0 || ended {
                break;
            }
            let quiet = self.fetcher.quiet(now + leapt).min(holds).min(n - leapt);
            if quiet > 0 {
                self.fetcher.leap(quiet);
                leapt += quiet;
                holds -= quiet;
                continue;
            }
            leapt += 1;
            let delivered = self.tick_fetcher(now + leapt);
            let freed = if delivered {
                self.commit_fills()
            } else {
                self.fetcher.commit();
                false
            };
            self.note_states(now + leapt);
            // The controller may have waited for these lines.
            if freed || self.fetcher.is_idle() {
                break;
            }
            holds = if delivered { self.inputs_hold(leapt) } else { holds - 1 };
        }
        if leapt > 0 {
            self.follow(now, leapt);
        }
        leapt
    }

    /// Skips jobs if the state equals that of an earlier admission and the jobs to come are alike.
    fn recur(&mut self, now: Cycle) -> u64 {
        let Some(next) = self.controller.admission() else { return 0 };
        let Some(&run) = self.runs.get(next as usize) else { return 0 };
        if self.log.enabled || run.1 - run.0 < 3 || !self.selector.values.repeats() {
            return 0;
        }
        let others = self.controller.oldest_job().is_none_or(|oldest| oldest < run.0);
        if run != self.run || others {
            self.run = run;
            self.recurrence.clear();
        }
        if others {
            return 0;
        }
        let mut snapshot = Snapshot::new(now, next, self.recurrence.storage());
        self.snapshot(&mut snapshot);
        let counters = self.counters();
        let Some(period) = self.recurrence.find(snapshot, counters) else { return 0 };
        let times = (run.1 - next) / period.jobs;
        if times == 0 {
            return 0;
        }
        self.repeat_since(&period.before, times);
        self.recurrence.clear();
        period.cycles * u64::from(times)
    }

    fn done(&self) -> bool {
        self.controller.jobs_done == self.jobs.len() as u64
            && self.fetcher.is_idle()
            && self.links.selections.is_empty()
            && self.topk_token.is_idle()
            && self.results.waiting() == 0
    }
}

impl<M: Memory, V: Probabilities> SpattenMachine<'_, M, V> {
    fn snapshot(&self, to: &mut Snapshot) {
        let (keys, values) = (&self.keys, &self.values);
        self.controller.snapshot((keys, values), (self.queries, self.accumulated), to);
        self.links.snapshot(keys.first_slot(), self.queries, to);
        keys.snapshot(to);
        values.snapshot(to);
        self.fetcher.snapshot(to, &|target, to| match target {
            Target::Query => to.put(0u64),
            Target::Key(slot, plane) => {
                to.put(1 + plane as u64);
                to.put(slot - keys.first_slot());
            }
            Target::Value(slot) => {
                to.put(9u64);
                to.put(slot - values.first_slot());
            }
        });
        self.qk_array.snapshot(keys.first_slot(), self.queries, to);
        self.softmax.snapshot(to);
        self.quant_decision.snapshot(to);
        self.topk_value.snapshot(to);
        self.pv_array.snapshot(to);
        self.results.snapshot(to);
        for stream in [&self.scores, &self.probabilities, &self.rows, &self.kept_rows] {
            stream.snapshot(to, Pass::snapshot);
        }
        if !self.topk_token.is_idle() {
            to.irregular();
        }
    }

    fn counters(&self) -> Counters {
        Counters {
            units: self.activities().map(Activity::counts),
            traffic: self.fetcher.traffic,
            waits: self.controller.waits,
            jobs_done: self.controller.jobs_done,
            recomputed: self.controller.recomputed,
        }
    }

    /// Adds `times` times what was counted since `before`.
    fn repeat_since(&mut self, before: &Counters, times: u32) {
        let now = self.counters();
        let n = u64::from(times);
        for (activity, before) in self.activities_mut().into_iter().zip(before.units) {
            activity.repeat_since(before, n);
        }
        self.fetcher.traffic.repeat_since(&before.traffic, n);
        self.controller.waits.repeat_since(&before.waits, n);
        let done = now.jobs_done - before.jobs_done;
        let recomputed = now.recomputed - before.recomputed;
        self.controller.skip(times * done as u32, n * done, n * recomputed);
    }

    fn activities_mut(&mut self) -> [&mut Activity; 11] {
        [
            &mut self.controller.activity,
            &mut self.fetcher.activity,
            &mut self.fetcher.converter.activity,
            &mut self.qk_array.activity,
            &mut self.softmax.activity,
            &mut self.quant_decision.activity,
            &mut self.token_importance.activity,
            &mut self.topk_value.activity,
            &mut self.pv_array.activity,
            &mut self.head_importance.activity,
            &mut self.topk_token.activity,
        ]
    }

    fn follow(&mut self, now: Cycle, n: u64) {
        self.controller.leap(n);
        self.qk_array.leap(now, n);
        self.scores.leap(n);
        self.softmax.leap(now, n);
        self.probabilities.leap(n);
        self.quant_decision.leap(n);
        self.rows.leap(n);
        self.token_importance.activity.leap(n);
        self.topk_value.leap(n);
        self.kept_rows.leap(n);
        self.pv_array.leap(now, n);
        self.head_importance.activity.leap(n);
        self.topk_token.leap(n);
    }
}
