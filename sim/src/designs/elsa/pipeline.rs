//! Time of one head (section IV-D of the paper): a closed form for each query.
//!
//! While the modules of all banks select and attend for one query, the next one is hashed and the last one
//! divided. A query takes as long as the slowest of the four; filling and draining are ignored, as in the
//! paper.

use attelier_hw::elsa::Elsa;

use crate::designs::heads::{HeadWork, QueryWork};

/// Modules in the order in which a query passes them.
pub const MODULES: [&str; 4] =
    ["hash_computation", "candidate_selection", "attention_computation", "output_division"];

/// A head and how its candidates lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Rows that its queries meet.
    pub work: HeadWork,
    /// Candidates of each query in the bank that has most.
    pub busiest: Vec<u32>,
}

/// Cycles of one head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeadTime {
    /// Before the first query: hashes and norms of the keys, hash of that query \[cycles\].
    pub preprocessing: u64,
    /// All cycles.
    pub cycles: u64,
    /// Cycles in which each module works.
    pub busy: [u64; MODULES.len()],
}

impl Head {
    /// A head in which every query attends to every key that it sees.
    pub fn dense(machine: &Elsa, work: HeadWork) -> Self {
        let bank = |query: &QueryWork| query.visible.div_ceil(machine.pipeline.banks);
        Self { busiest: work.queries.iter().map(bank).collect(), work }
    }
}

/// Cycles that each module takes for a query. Where all keys are candidates, they are hashed and selected
/// all the same: the threshold alone differs.
pub fn module_cycles(machine: &Elsa, query: &QueryWork, busiest: u32) -> [u64; MODULES.len()] {
    let pipeline = &machine.pipeline;
    let bank = query.visible.div_ceil(pipeline.banks);
    [
        machine.hash.vector_cycles,
        bank.div_ceil(pipeline.selectors),
        busiest,
        machine.head_dim.div_ceil(pipeline.output_multipliers),
    ]
    .map(u64::from)
}

/// Time of a head.
pub fn head_time(machine: &Elsa, head: &Head) -> HeadTime {
    let preprocessing = machine.preprocessing_cycles(head.work.keys);
    // The hash of the first query belongs to the preprocessing.
    let hashed = u64::from(machine.hash.vector_cycles) * u64::from(head.work.keys);
    let mut time = HeadTime { preprocessing, cycles: preprocessing, busy: [hashed, 0, 0, 0] };
    for (query, &busiest) in head.work.queries.iter().zip(&head.busiest) {
        let cycles = module_cycles(machine, query, busiest);
        time.cycles += cycles.into_iter().max().unwrap_or(0);
        for (sum, cycles) in time.busy.iter_mut().zip(cycles) {
            *sum += cycles;
        }
    }
    time
}

#[cfg(test)]
mod tests {
    use attelier_workloads::request::Phase;

    use super::*;

    fn elsa() -> Elsa {
        Elsa::preset("elsa").unwrap()
    }

    fn head(keys: u32, queries: &[(u32, u32, u32)]) -> Head {
        let query = |&(visible, candidates, _): &(u32, u32, u32)| QueryWork {
            visible,
            candidates,
            kept: candidates,
        };
        Head {
            work: HeadWork {
                iteration: 0,
                layer: 0,
                head: 0,
                phase: Phase::Prefill,
                keys,
                head_dim: 64,
                queries: queries.iter().map(query).collect(),
            },
            busiest: queries.iter().map(|&(_, _, busiest)| busiest).collect(),
        }
    }

    /// 3 d^(4/3) (n + 1) / m_h with d = 64, n = 512, m_h = 256.
    #[test]
    fn preprocessing_takes_the_published_cycles() {
        assert_eq!(head_time(&elsa(), &head(512, &[])).cycles, 1539);
    }

    /// Each stage is the slowest once: 3 of hash, 512 / 4 / 8 of selection, candidates of the fullest bank,
    /// 64 / 16 of division.
    #[test]
    fn a_query_takes_its_slowest_stage() {
        let machine = elsa();
        let time = |machine: &Elsa, query| {
            let time = head_time(machine, &head(512, &[query]));
            time.cycles - time.preprocessing
        };
        assert_eq!(time(&machine, (512, 40, 10)), 512 / 4 / 8);
        assert_eq!(time(&machine, (512, 100, 40)), 40);
        assert_eq!(time(&machine, (32, 8, 2)), 64 / 16);
        let mut slow = machine.clone();
        slow.hash.vector_cycles = 12;
        assert_eq!(time(&slow, (32, 8, 2)), 12);
    }

    /// Three queries by hand: 16 of selection, 128 of attention, 16 again; 1539 before.
    #[test]
    fn queries_follow_each_other() {
        let all = head(512, &[(512, 4, 1), (512, 512, 128), (512, 64, 16)]);
        let time = head_time(&elsa(), &all);
        assert_eq!(time.cycles, 1539 + 16 + 128 + 16);
        assert_eq!(time.busy, [512 * 3 + 9, 48, 145, 12]);
    }

    /// Without approximation all keys of a bank are attended to.
    #[test]
    fn a_dense_query_takes_a_cycle_for_each_key_of_a_bank() {
        let machine = elsa();
        let work = head(511, &[(511, 511, 0), (1, 1, 0)]).work;
        assert_eq!(Head::dense(&machine, work).busiest, [128, 1]);
    }
}
