//! The simulator's machine, cycle by cycle, with everything that crosses its boundary.

use std::collections::BTreeMap;

use attelier_hw::spatten::Spatten;
use attelier_rtl::units::spatten::PIVOT_SEED;
use attelier_sim::{
    datapath::quant_decision::is_flat,
    designs::spatten::{
        PassId, Probabilities, SpattenMachine,
        functional::{output, probabilities},
    },
    kernel::{clock::Cycle, run::Machine},
};

use super::workload::Workload;
use crate::cosim::{
    Pace, Random,
    spatten::recorder::{Channels, Recorder},
};

/// Cycles recorded after the last job has left.
const IDLE_CYCLES: u64 = 8;

/// What crosses the boundary of the machine in one cycle.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Job that is offered, if there are more, and whether it is taken.
    pub job: Option<(usize, bool)>,
    /// Query that is offered, if one is.
    pub query: Option<usize>,
    /// Whether there is a place for a query.
    pub query_ready: bool,
    /// Result that shows.
    pub result: Option<usize>,
    /// Whether the receiver takes a result.
    pub result_ready: bool,
    /// Byte address that each channel is asked for.
    pub asked: Vec<Option<u64>>,
    /// Byte address whose data each channel answers with.
    pub answered: Vec<Option<u64>>,
    /// Nothing is left to do.
    pub idle: bool,
}

/// A result.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Job.
    pub job: u32,
    /// Words of the output.
    pub words: Vec<i32>,
}

/// A run of the machine.
pub struct Recording {
    /// Cycle by cycle.
    pub steps: Vec<Step>,
    /// Results in the order in which they leave.
    pub finished: Vec<Finished>,
    /// Cycles until all jobs have left.
    pub cycles: u64,
    /// Passes that were found flat and computed again.
    pub flat: u64,
    /// Passes whose values were selected.
    pub selected: u64,
}

/// How the ends of the machine behave.
pub struct Paces {
    /// When queries come; `None`: one in every cycle.
    queries: Option<End>,
    /// When results are taken; `None`: always.
    results: Option<End>,
}

/// An end that is willing at random, and again and again not at all for longer than the machine
/// needs to fill.
struct End {
    pace: Pace,
    random: Random,
    is_open: bool,
    cycles: u64,
}

impl End {
    fn new(seed: u64, purpose: u64) -> Self {
        let (pace, random) = (Pace::new(seed, purpose), Random::new(seed, purpose + 100));
        Self { pace, random, is_open: true, cycles: 0 }
    }

    fn willing(&mut self) -> bool {
        if self.cycles == 0 {
            self.is_open = !self.is_open;
            self.cycles = 1 + self.random.below(if self.is_open { 1500 } else { 700 });
        }
        self.cycles -= 1;
        self.pace.willing() && self.is_open
    }
}

impl Paces {
    /// Both ends always willing.
    pub fn full() -> Self {
        Self { queries: None, results: None }
    }

    /// Both ends willing at random.
    pub fn random(seed: u64) -> Self {
        Self { queries: Some(End::new(seed, 12)), results: Some(End::new(seed, 13)) }
    }
}

/// Values of the passes, computed from the operands with the simulator's arithmetic.
struct Values<'a> {
    params: &'a Spatten,
    workload: &'a Workload,
    rows: BTreeMap<PassId, Vec<u16>>,
    kept: BTreeMap<PassId, Vec<u32>>,
    finished: Vec<Finished>,
    flat: u64,
    selected: u64,
}

impl Values<'_> {
    fn compute(&self, pass: PassId) -> Vec<u16> {
        let all = &self.workload.operands[pass.job as usize];
        let keys = if pass.with_lsb { &all.whole_keys } else { &all.keys };
        probabilities(self.params, &all.query, keys, all.scale)
    }
}

impl Probabilities for Values<'_> {
    fn repeats(&self) -> bool {
        false
    }

    fn row(&mut self, pass: PassId) -> &[u16] {
        if !self.rows.contains_key(&pass) {
            let row = self.compute(pass);
            self.rows.insert(pass, row);
        }
        &self.rows[&pass]
    }

    fn is_flat(&mut self, pass: PassId) -> bool {
        let threshold = self.workload.operands[pass.job as usize].threshold;
        let flat = is_flat(self.row(pass), threshold);
        self.flat += u64::from(flat);
        flat
    }

    fn keep(&mut self, pass: PassId, kept: &[u32]) {
        self.selected += 1;
        self.kept.insert(pass, kept.to_vec());
    }

    fn finish(&mut self, pass: PassId) {
        let all = &self.workload.operands[pass.job as usize];
        let row = self.rows.remove(&pass).unwrap_or_else(|| self.compute(pass));
        let kept = self.kept.remove(&pass).unwrap_or_else(|| (0..row.len() as u32).collect());
        let words = output(self.params, &row, &all.values, &kept);
        self.finished.push(Finished { job: pass.job, words });
    }
}

impl Recording {
    /// Requests, outputs and cycles in a sentence.
    pub fn summary(&self) -> String {
        let Self { finished, cycles, flat, selected, .. } = self;
        let words: usize = finished.iter().map(|finished| finished.words.len()).sum();
        format!(
            "{} requests, {flat} computed again, {selected} with pruned values; {words} outputs; done \
             after {cycles} cycles",
            finished.len()
        )
    }

    /// Runs `workload` until all jobs have left. A query has one of `query_places` places until its
    /// job has left.
    pub fn of(params: &Spatten, workload: &Workload, paces: Paces, query_places: usize) -> Self {
        let Workload { requests, jobs, .. } = workload;
        let values = Values {
            params,
            workload,
            rows: BTreeMap::new(),
            kept: BTreeMap::new(),
            finished: Vec::new(),
            flat: 0,
            selected: 0,
        };
        // The machine turns the seed before it starts the generator with it.
        let seed = PIVOT_SEED.rotate_right(5);
        let mut machine =
            SpattenMachine::new(params, requests, jobs, (values, seed), Recorder::new(params));
        machine.open_query_port();
        let Paces { mut queries, mut results } = paces;
        let mut steps: Vec<Step> = Vec::new();
        let mut channels = Channels::new(params);
        let (mut next_job, mut next_query, mut shown) = (0, 0usize, 0);
        let mut left: Vec<Option<u64>> = vec![None; jobs.len()];
        let mut cycles = None;
        for now in 0.. {
            if cycles.is_some_and(|end| now >= end + IDLE_CYCLES) {
                break;
            }
            let mut step = Step { idle: now == 0 || cycles.is_some(), ..Step::default() };
            step.result_ready = results.as_mut().is_none_or(End::willing);
            machine.set_receiver_willing(step.result_ready);
            if machine.results_waiting() > 0 {
                step.result = Some(shown);
                shown += usize::from(step.result_ready);
            }
            // A place is free in the cycle after its job was seen to leave.
            step.query_ready = match next_query.checked_sub(query_places) {
                Some(older) => {
                    left.get(older).is_none_or(|at| at.is_some_and(|at: u64| at + 2 <= now))
                }
                None => true,
            };
            let offers = queries.as_mut().is_none_or(End::willing) && next_query < jobs.len();
            step.query = offers.then_some(next_query);
            if offers && step.query_ready {
                machine.query_arrives();
                next_query += 1;
            }
            step.answered = channels.answered();
            let done = machine.values().finished.len();
            if cycles.is_none() {
                machine.tick(Cycle(now));
            }
            for finished in &machine.values().finished[done..] {
                left[finished.job as usize] = Some(now);
            }
            if next_job < jobs.len() {
                let taken = machine.admitted();
                step.job = Some((next_job, taken));
                next_job += usize::from(taken);
            }
            step.asked = channels.asked(machine.memory());
            if cycles.is_none() && machine.done() {
                cycles = Some(now + 1);
            }
            steps.push(step);
        }
        let values = machine.into_values();
        Self {
            steps,
            finished: values.finished,
            cycles: cycles.unwrap_or(0),
            flat: values.flat,
            selected: values.selected,
        }
    }
}
