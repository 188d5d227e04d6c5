//! A fixed-latency pipeline without back-pressure: what enters leaves `latency` cycles later.

use std::collections::VecDeque;

use super::{FOREVER, clock::Cycle, snapshot::Snapshot};

/// Beats in flight, stored as runs of consecutive cycles.
#[derive(Debug, Clone)]
pub struct Pipe {
    latency: u64,
    /// (cycle in which the run's first beat leaves, beats)
    runs: VecDeque<(Cycle, u64)>,
    in_flight: u64,
    last_push: Option<Cycle>,
    last_take: Option<Cycle>,
}

impl Pipe {
    /// A pipeline of `latency` register stages, at least 1.
    pub fn new(latency: u32) -> Self {
        Self {
            latency: u64::from(latency.max(1)),
            runs: VecDeque::new(),
            in_flight: 0,
            last_push: None,
            last_take: None,
        }
    }

    /// Beats inside.
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// A beat enters in cycle `now`.
    pub fn push(&mut self, now: Cycle) {
        let leaves = now + self.latency;
        self.in_flight += 1;
        self.last_push = Some(now);
        match self.runs.back_mut() {
            Some((start, beats)) if *start + *beats == leaves => *beats += 1,
            _ => self.runs.push_back((leaves, 1)),
        }
    }

    /// Takes the beat that leaves in cycle `now`, if there is one.
    pub fn take(&mut self, now: Cycle) -> bool {
        match self.runs.front_mut() {
            Some((start, beats)) if *start == now => {
                *start = now + 1;
                *beats -= 1;
                if *beats == 0 {
                    self.runs.pop_front();
                }
                self.in_flight -= 1;
                self.last_take = Some(now);
                true
            }
            _ => false,
        }
    }

    /// Whether a beat left in cycle `now`.
    pub fn took(&self, now: Cycle) -> bool {
        self.last_take == Some(now)
    }

    /// Cycles after `now` for which entering and leaving repeat what they did in `now`.
    pub fn steady(&self, now: Cycle) -> u64 {
        let Some(&(start, beats)) = self.runs.front() else {
            return if self.last_take == Some(now) { 0 } else { FOREVER };
        };
        if self.last_take != Some(now) {
            return start.since(now) - 1;
        }
        if start != now + 1 {
            0
        } else if self.runs.len() == 1 && self.last_push == Some(now) {
            FOREVER
        } else {
            beats
        }
    }

    /// Writes the state.
    pub fn snapshot(&self, to: &mut Snapshot) {
        to.length(self.runs.len());
        for &(start, beats) in &self.runs {
            to.cycle(start);
            to.put(beats);
        }
    }

    /// Repeats what happened in `now` for the `n` cycles after it.
    pub fn leap(&mut self, now: Cycle, n: u64) {
        if n == 0 {
            return;
        }
        if self.last_push == Some(now) {
            self.runs.back_mut().expect("the beat pushed in `now` is inside").1 += n;
            self.in_flight += n;
            self.last_push = Some(now + n);
        }
        if self.last_take == Some(now) {
            let front = self.runs.front_mut().expect("a steady pipe that leaves has a run");
            front.0 = front.0 + n;
            front.1 -= n;
            if front.1 == 0 {
                self.runs.pop_front();
            }
            self.in_flight -= n;
            self.last_take = Some(now + n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Random bursts through a pipe: leaping over steady cycles changes no departure.
        #[test]
        fn leaps_keep_every_departure(
            latency in 1u32..9,
            bursts in prop::collection::vec((1u64..12, 0u64..12), 1..8),
        ) {
            let enters = |cycle: u64| {
                let mut at = 0;
                for &(busy, idle) in &bursts {
                    if cycle < at + busy { return (true, at + busy - cycle - 1); }
                    at += busy;
                    if cycle < at + idle { return (false, at + idle - cycle - 1); }
                    at += idle;
                }
                (false, FOREVER)
            };
            let end = bursts.iter().map(|b| b.0 + b.1).sum::<u64>() + u64::from(latency) + 2;
            let run = |leap: bool| {
                let (mut pipe, mut left, mut cycle) = (Pipe::new(latency), vec![], 0u64);
                while cycle < end {
                    let (push, same) = enters(cycle);
                    let took = pipe.take(Cycle(cycle));
                    if push { pipe.push(Cycle(cycle)); }
                    if took { left.push(cycle); }
                    let n = if leap {
                        pipe.steady(Cycle(cycle)).min(same).min(end - cycle - 1)
                    } else { 0 };
                    pipe.leap(Cycle(cycle), n);
                    if took { left.extend(cycle + 1..=cycle + n); }
                    cycle += n + 1;
                }
                left
            };
            prop_assert_eq!(run(true), run(false));
        }
    }
}
