//! The expert loop (`src/moe.cpp` of the released code): each expert is read once, and while one matrix is
//! used the next one is loaded into the other buffer.
//!
//! In the released code a queue that holds every token is taken for the dense mode, whose writer then waits
//! for token numbers that never come. Here a length is nothing but a length.

use std::collections::VecDeque;

/// A matrix of an expert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matrix {
    /// The expert.
    pub expert: u32,
    /// Whether it is that of the second layer; the first and second have buffers of their own.
    pub second: bool,
}

/// What starts in one cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Started {
    /// A matrix is loaded.
    pub load: Option<Matrix>,
    /// A layer is computed, of so many tokens.
    pub compute: Option<(Matrix, u32)>,
    /// The loop is over.
    pub done: bool,
}

/// What goes on at the same time.
#[derive(Debug, Clone, Copy)]
struct Phase {
    load: Option<Matrix>,
    compute: Option<(Matrix, u32)>,
}

/// The unit.
#[derive(Debug, Clone, Default)]
pub struct ExpertSequencer {
    /// Phases that have not begun.
    phases: VecDeque<Phase>,
    /// What the phase at hand waits for: loader, linear unit.
    waits: Option<[bool; 2]>,
    /// Something starts in this cycle.
    started: Started,
}

impl ExpertSequencer {
    /// No loop under way.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a loop may start.
    pub fn is_idle(&self) -> bool {
        self.waits.is_none()
    }

    /// One cycle: `start` gives the experts that have tokens with the lengths of their queues, in order;
    /// then loader and linear unit say when they are done. Returns what starts in this cycle.
    pub fn tick(
        &mut self,
        start: Option<&[(u32, u32)]>,
        load_done: bool,
        compute_done: bool,
    ) -> Started {
        let shown = std::mem::take(&mut self.started);
        if let Some(waits) = &mut self.waits {
            let begins = shown.load.is_some() || shown.compute.is_some();
            if !begins {
                waits[0] &= !load_done;
                waits[1] &= !compute_done;
                if *waits == [false; 2] {
                    self.begin();
                }
            }
        } else if let Some(experts) = start {
            self.phases = plan(experts);
            self.begin();
        }
        shown
    }

    fn begin(&mut self) {
        let phase = self.phases.pop_front();
        self.waits = phase.map(|phase| [phase.load.is_some(), phase.compute.is_some()]);
        self.started = phase.map_or(Started { done: true, ..Started::default() }, |phase| {
            Started { load: phase.load, compute: phase.compute, done: false }
        });
    }
}

/// All phases of a loop.
fn plan(experts: &[(u32, u32)]) -> VecDeque<Phase> {
    let first =
        |at: usize| experts.get(at).map(|(expert, _)| Matrix { expert: *expert, second: false });
    let mut phases = VecDeque::new();
    phases.extend(first(0).map(|load| Phase { load: Some(load), compute: None }));
    for (at, (expert, tokens)) in experts.iter().enumerate() {
        let [own, second] = [false, true].map(|second| Matrix { expert: *expert, second });
        phases.push_back(Phase { load: Some(second), compute: Some((own, *tokens)) });
        phases.push_back(Phase { load: first(at + 1), compute: Some((second, *tokens)) });
    }
    phases
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a loop with a loader and a linear unit that take so many cycles; all that starts, and how long
    /// it takes.
    fn run(experts: &[(u32, u32)], load: u64, per_token: u64) -> (Vec<Started>, u64) {
        let mut unit = ExpertSequencer::new();
        let (mut loads, mut computes) = (None, None);
        let mut log = Vec::new();
        for cycle in 0u64.. {
            let ends = |until: &mut Option<u64>| until.take_if(|until| *until == cycle).is_some();
            let (load_done, compute_done) = (ends(&mut loads), ends(&mut computes));
            let started = unit.tick((cycle == 0).then_some(experts), load_done, compute_done);
            if started.load.is_some() {
                loads = Some(cycle + load);
            }
            if let Some((_, tokens)) = started.compute {
                computes = Some(cycle + per_token * u64::from(tokens));
            }
            if started != Started::default() {
                log.push(started);
            }
            if started.done {
                return (log, cycle);
            }
        }
        unreachable!("a loop ends");
    }

    /// L + sum over experts of max(c q, L) twice, the last without a load: the rule of the expert loop,
    /// and a cycle for each of its phases.
    #[test]
    fn the_loop_takes_as_long_as_the_longer_of_loading_and_computing() {
        let (load, token) = (46, 3);
        let experts = [(1, 4), (4, 40), (7, 1), (9, 16)];
        let compute = |tokens: u32| token * u64::from(tokens);
        let phases = experts.iter().enumerate().map(|(at, (_, tokens))| {
            let last = if at + 1 == experts.len() { 0 } else { load };
            compute(*tokens).max(load) + compute(*tokens).max(last)
        });
        let (log, cycles) = run(&experts, load, token);
        assert_eq!(cycles, load + phases.sum::<u64>() + 1 + 2 * experts.len() as u64 + 1);
        assert_eq!(log.len(), 2 + 2 * experts.len());
    }

    #[test]
    fn no_expert_and_all_tokens_on_one_expert_end() {
        assert_eq!(run(&[], 10, 10), (vec![Started { done: true, ..Started::default() }], 1));
        let (log, _) = run(&[(5, 129)], 10, 10);
        let computed: Vec<_> = log.iter().filter_map(|started| started.compute).collect();
        let matrix = |second| Matrix { expert: 5, second };
        assert_eq!(computed, [(matrix(false), 129), (matrix(true), 129)]);
    }
}
