//! A call of Edge-MoE against a simulation of its loops cycle by cycle, with FIFOs between them that can be
//! full.
//!
//! The model of a call ignores full FIFOs: they move waiting from one loop to another. Here a loop whose
//! oldest result finds no room stands still with everything inside it, as a pipeline without slack does.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use std::collections::VecDeque;

use attelier_hw::edge_moe::EdgeMoe;
use attelier_sim::designs::edge_moe::dataflow::{Call, Process};
use attelier_sim::designs::edge_moe::units::Unit;
use proptest::prelude::*;

/// Interval and latency of a loop [cycles].
type Loop = (u64, u64);

/// A loop under way.
#[derive(Default)]
struct State {
    /// Cycles in which it did not stand still.
    clock: u64,
    /// Earliest start of its next iteration, by that clock.
    next: u64,
    started: u64,
    /// Ends of iterations under way, by that clock.
    under_way: VecDeque<u64>,
    /// Results that wait for the next loop.
    fifo: usize,
}

/// Cycle of the last result of the last loop, where each FIFO holds `depth` results.
fn cycle_by_cycle(loops: &[Loop], iterations: u64, depth: usize) -> u64 {
    let mut states: Vec<State> = loops.iter().map(|_| State::default()).collect();
    let mut left = iterations;
    for cycle in 0.. {
        for (index, &(interval, latency)) in loops.iter().enumerate() {
            let input = index.checked_sub(1).map(|before| states[before].fifo);
            let state = &mut states[index];
            if state.under_way.front().is_some_and(|&end| end <= state.clock) {
                if index + 1 == loops.len() {
                    left -= 1;
                } else if state.fifo < depth {
                    state.fifo += 1;
                } else {
                    continue;
                }
                state.under_way.pop_front();
            }
            let ready = input.is_none_or(|waiting| waiting > 0);
            if ready && state.started < iterations && state.clock >= state.next {
                state.started += 1;
                state.next = state.clock + interval;
                state.under_way.push_back(state.clock + latency);
                if index > 0 {
                    states[index - 1].fifo -= 1;
                }
            }
            states[index].clock += 1;
        }
        if left == 0 {
            return cycle;
        }
    }
    unreachable!("every result comes")
}

fn call(loops: &[Loop], iterations: u64) -> Call {
    let process = |(index, &(interval, latency)): (usize, &Loop)| {
        let after: Vec<usize> = index.checked_sub(1).into_iter().collect();
        Process::compute(Unit::Adder, iterations).every(interval).taking(latency).after(&after)
    };
    Call::new(Unit::Adder, loops.iter().enumerate().map(process).collect())
}

/// By hand: a result every 3 cycles from cycle 2 on, each 4 cycles later: 2 + 9 * 3 + 4.
#[test]
fn the_slowest_loop_and_the_depth_behind_it_make_the_time() {
    let loops = [(1, 2), (3, 4)];
    assert_eq!(cycle_by_cycle(&loops, 10, 2), 33);
    assert_eq!(call(&loops, 10).cycles(&EdgeMoe::preset("edge-moe").unwrap()), 33);
}

proptest! {
    #[test]
    fn full_fifos_end_no_call_later(
        loops in prop::collection::vec((1u64..8, 1u64..24), 1..6),
        iterations in 1u64..80,
        depth in 2usize..10,
    ) {
        let machine = EdgeMoe::preset("edge-moe").unwrap();
        let cycles = call(&loops, iterations).cycles(&machine);
        prop_assert_eq!(cycles, cycle_by_cycle(&loops, iterations, depth));
    }
}
