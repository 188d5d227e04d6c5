//! Leaping over steady cycles changes nothing, and neither does the order of units in a cycle.

mod common;

use attelier_hw::spatten::MemoryKind;
use attelier_sim::designs::spatten::{Options, SimError, UNITS, simulate};
use attelier_sim::kernel::run::Mode;
use attelier_sim::observe::{Nobody, Observer, UnitState};
use attelier_sim::result::RunResult;
use common::{Design, designs, uniform_designs};
use proptest::prelude::*;

/// Everything an observer is told.
#[derive(Debug, Default, PartialEq)]
struct Recorder {
    states: Vec<(u64, usize, UnitState, Option<u64>)>,
    spans: Vec<(usize, String, u64, u64)>,
    end: u64,
}

impl Observer for Recorder {
    fn state(&mut self, cycle: u64, unit: usize, state: UnitState, job: Option<u64>) {
        self.states.push((cycle, unit, state, job));
    }
    fn span(&mut self, unit: usize, what: &str, start: u64, end: u64) {
        self.spans.push((unit, what.to_string(), start, end));
    }
    fn end(&mut self, cycle: u64) {
        self.end = cycle;
    }
}

fn run(design: &Design, options: Options) -> Result<(RunResult, Recorder), SimError> {
    let mut recorder = Recorder::default();
    let result = simulate(&design.params, &design.requests, options, &mut recorder)?;
    Ok((result, recorder))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn jumping_equals_every_cycle(
        design in designs(),
        seed in 0u64..1000,
        order in Just(std::array::from_fn::<usize, UNITS, _>(|i| i).to_vec()).prop_shuffle(),
    ) {
        let options = Options { seed, ..Options::default() };
        let (jump, jump_events) = run(&design, options).expect("a legal design");
        let slow = Options { mode: Mode::EveryCycle, ..options };
        let (every, every_events) = run(&design, slow).expect("a legal design");
        prop_assert_eq!(&jump, &every);
        prop_assert_eq!(&jump_events.states, &every_events.states);
        prop_assert_eq!(&jump_events.spans, &every_events.spans);
        prop_assert_eq!(jump_events.end, every_events.end);

        let order: [usize; UNITS] = order.try_into().expect("a permutation of the units");
        let (shuffled, events) = run(&design, Options { order: Some(order), ..slow })
            .expect("a legal design");
        prop_assert_eq!(&shuffled, &every);
        prop_assert_eq!(&events.states, &every_events.states);
    }

    /// The same in front of HBM2.
    #[test]
    fn jumping_equals_every_cycle_with_hbm2(
        design in prop_oneof![designs(), uniform_designs()],
        watched in any::<bool>(),
        clock in prop::sample::select(vec![700_000_000u64, 1_000_000_000, 1_500_000_000]),
        front_end in 1u32..=30,
    ) {
        let mut design = design;
        design.params.memory.kind = MemoryKind::Hbm2;
        design.params.memory.front_end_cycles = front_end;
        design.params.clock_hz = clock;
        let slow = Options { mode: Mode::EveryCycle, ..Options::default() };
        if watched {
            let (jump, jump_events) = run(&design, Options::default()).expect("a legal design");
            let (every, every_events) = run(&design, slow).expect("a legal design");
            prop_assert_eq!(&jump, &every);
            prop_assert_eq!(&jump_events, &every_events);
        } else {
            let run = |options| simulate(&design.params, &design.requests, options, &mut Nobody);
            let jump = run(Options::default()).expect("a legal design");
            prop_assert_eq!(&jump, &run(slow).expect("a legal design"));
            let dram = jump.dram.expect("HBM2 counts");
            prop_assert_eq!(dram.requests, jump.traffic.reads);
        }
    }

    /// Unwatched runs of many equal heads leap over whole jobs.
    #[test]
    fn leaping_over_jobs_equals_every_cycle(design in uniform_designs()) {
        let run = |mode| {
            let options = Options { mode, ..Options::default() };
            simulate(&design.params, &design.requests, options, &mut Nobody)
        };
        prop_assert_eq!(run(Mode::Jump), run(Mode::EveryCycle));
    }
}
