//! Time of one head: queries one behind the other through the modules.

use attelier_hw::a3::A3;

use crate::designs::heads::{HeadWork, QueryWork};

/// Modules in the order in which a query passes them.
pub const MODULES: [&str; 4] = ["candidate_search", "dot_product", "exponent", "output"];

/// Cycles of one head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadTime {
    /// From the first query to the last output \[cycles\].
    pub cycles: u64,
    /// Cycles in which each module works.
    pub busy: [u64; MODULES.len()],
}

/// Cycles that each module takes for `query`.
///
/// A module takes a cycle per row and `pipeline.overhead_cycles`; the search takes one per iteration and
/// `search.fill_cycles`, and hands on a candidate per cycle while dot products are computed. Rows beyond
/// the memories on the chip arrive through the port, which both products share.
pub fn module_cycles(machine: &A3, query: &QueryWork) -> [u64; MODULES.len()] {
    let beyond = |rows: u32| {
        let outside = u64::from(query.visible.saturating_sub(machine.rows));
        (u64::from(rows) * outside).div_ceil(u64::from(query.visible.max(1)))
    };
    let streamed = |rows: u32| {
        let bytes = 2 * beyond(rows) * u64::from(machine.head_dim) * machine.element_bytes();
        bytes.div_ceil(u64::from(machine.memory.bytes_per_cycle))
    };
    let product = |rows: u32| machine.module_cycles(rows).max(streamed(rows));
    let search = if machine.search.enabled {
        machine.iterations(query.visible) + u64::from(machine.search.fill_cycles)
    } else {
        0
    };
    [search, product(query.candidates), machine.module_cycles(query.kept), product(query.kept)]
}

/// Time of the queries of a head. A module holds a query until the next module takes it.
pub fn head_time(machine: &A3, head: &HeadWork) -> HeadTime {
    let mut time = HeadTime::default();
    // When each module can take the next query.
    let mut free = [0; MODULES.len()];
    for query in &head.queries {
        let cycles = module_cycles(machine, query);
        let mut now = 0;
        for module in 0..MODULES.len() {
            let start = now.max(free[module]);
            if module > 0 {
                free[module - 1] = start;
            }
            now = start + cycles[module];
            time.busy[module] += cycles[module];
        }
        free[MODULES.len() - 1] = now;
        time.cycles = now;
    }
    time
}

/// Cycles before the first query: the host sorts the keys, and keys and values are copied.
pub fn before(machine: &A3, head: &HeadWork) -> u64 {
    let elements = u64::from(head.keys) * u64::from(machine.head_dim);
    let sorting = if machine.search.enabled {
        let picoseconds = elements * u64::from(machine.search.sort_ps_per_element);
        (u128::from(picoseconds) * u128::from(machine.clock_hz)).div_ceil(1_000_000_000_000) as u64
    } else {
        0
    };
    let held = u64::from(head.keys.min(machine.rows)) * u64::from(machine.head_dim);
    let copies = if machine.memory.preloaded {
        0
    } else {
        (2 * held * machine.element_bytes()).div_ceil(u64::from(machine.memory.bytes_per_cycle))
    };
    sorting + copies
}

#[cfg(test)]
mod tests {
    use attelier_workloads::request::Phase;
    use proptest::prelude::*;

    use super::*;

    fn head(queries: Vec<QueryWork>) -> HeadWork {
        HeadWork {
            iteration: 0,
            layer: 0,
            head: 0,
            phase: Phase::Prefill,
            keys: queries.iter().map(|query| query.visible).max().unwrap_or(1),
            head_dim: 64,
            queries,
        }
    }

    fn all(rows: u32) -> QueryWork {
        QueryWork { visible: rows, candidates: rows, kept: rows }
    }

    /// Section III: 3n + 27 cycles of latency, one query per n + 9 cycles.
    #[test]
    fn base_latency_and_interval_are_the_published_ones() {
        let machine = A3::preset("a3").unwrap();
        for rows in [1, 50, 186, 320] {
            let n = u64::from(rows);
            let one = head_time(&machine, &head(vec![all(rows)]));
            assert_eq!(one.cycles, 3 * n + 27);
            for queries in [2, 3, 10] {
                let time = head_time(&machine, &head(vec![all(rows); queries]));
                assert_eq!(time.cycles, 3 * n + 27 + (queries as u64 - 1) * (n + 9));
            }
        }
    }

    /// Section IV: latency M + C + 2K + alpha, one query per M cycles as long as C is smaller.
    #[test]
    fn approximate_latency_has_the_published_form() {
        let machine = A3::preset("a3-conservative").unwrap();
        let query = QueryWork { visible: 320, candidates: 100, kept: 20 };
        let one = head_time(&machine, &head(vec![query])).cycles;
        assert_eq!(one, 160 + 100 + 2 * 20 + 4 + 27);
        let ten = head_time(&machine, &head(vec![query; 10])).cycles;
        assert_eq!(ten, one + 9 * 164);
    }

    /// Queries of 2 and 3 rows, then 9, by hand: modules of 11, 12, 18 cycles behind each other. The
    /// second waits in front of no module; the third holds each for 18.
    #[test]
    fn unequal_queries_worked_by_hand() {
        let machine = A3::preset("a3").unwrap();
        let queries = vec![all(2), all(3), all(9)];
        // Dot products end at 11, 23, 41; exponents at 22, 35, 59; outputs at 33, 47, 77.
        assert_eq!(head_time(&machine, &head(queries)).cycles, 77);
    }

    #[test]
    fn rows_beyond_the_memory_arrive_through_the_port() {
        let machine = A3::preset("a3").unwrap();
        // 320 of 640 rows, keys and values, at a row of either per cycle.
        assert_eq!(module_cycles(&machine, &all(640))[1], 649);
        let narrow = A3 {
            memory: attelier_hw::a3::Memory { bytes_per_cycle: 16, ..machine.memory.clone() },
            ..machine
        };
        assert_eq!(module_cycles(&narrow, &all(640))[1], 320 * 2 * 64 / 16);
    }

    #[test]
    fn copies_count_only_where_keys_are_not_there_already() {
        let machine = A3::preset("a3").unwrap();
        let work = head(vec![all(320)]);
        assert_eq!(before(&machine, &work), 0);
        let copied = A3 {
            memory: attelier_hw::a3::Memory { preloaded: false, ..machine.memory.clone() },
            ..machine
        };
        assert_eq!(before(&copied, &work), 2 * 320 * 64 / 64);
        let sorted = A3::preset("a3-aggressive").unwrap();
        assert_eq!(before(&sorted, &work), (320u64 * 64 * 193).div_ceil(1000));
    }

    /// The same machine, evaluated every cycle: each module holds a query and counts down.
    fn every_cycle(machine: &A3, head: &HeadWork) -> u64 {
        let costs: Vec<_> =
            head.queries.iter().map(|query| module_cycles(machine, query)).collect();
        // Of each module, the query in it and the cycles left.
        let mut held: [Option<(usize, u64)>; 4] = [None; 4];
        let (mut next, mut done, mut now) = (0, 0, 0);
        while done < costs.len() {
            // From the last module to the first, so that a place freed now can be taken now; again
            // until nothing moves, as modules may take no time at all.
            loop {
                let mut moved = false;
                for module in (0..4).rev() {
                    if let Some((query, 0)) = held[module] {
                        if module == 3 {
                            held[3] = None;
                            done += 1;
                            moved = true;
                        } else if held[module + 1].is_none() {
                            held[module] = None;
                            held[module + 1] = Some((query, costs[query][module + 1]));
                            moved = true;
                        }
                    }
                }
                if held[0].is_none() && next < costs.len() {
                    held[0] = Some((next, costs[next][0]));
                    next += 1;
                    moved = true;
                }
                if !moved {
                    break;
                }
            }
            if done == costs.len() {
                break;
            }
            for (_, left) in held.iter_mut().flatten() {
                *left = left.saturating_sub(1);
            }
            now += 1;
        }
        now
    }

    proptest! {
        #[test]
        fn queries_take_the_time_of_a_machine_evaluated_every_cycle(
            queries in prop::collection::vec((1..60u32, 0..60u32, 0..60u32), 1..12),
            search: bool,
        ) {
            let machine = A3::preset(if search { "a3-aggressive" } else { "a3" }).unwrap();
            let query = |&(visible, candidates, kept): &(u32, u32, u32)| {
                let candidates = candidates.min(visible);
                QueryWork { visible, candidates, kept: kept.min(candidates) }
            };
            let work = head(queries.iter().map(query).collect());
            prop_assert_eq!(head_time(&machine, &work).cycles, every_cycle(&machine, &work));
        }
    }
}
