//! Quick-select engine with the buffer that it reads: load, start, wait for the end, again.

use attelier_hw::spatten::{Spatten, TopK};
use attelier_rtl::{
    Design, Error,
    mutate::{Change, Mutation},
    units::spatten::{quick_select::QuickSelect as Rtl, row_buffer::with_buffer},
    witness::{Frame, Pin, Pins, Vectors},
};
use attelier_sim::units::{
    lfsr::Lfsr,
    quick_select::{Threshold, quick_select},
};

use super::{
    buffered::{BufferPins, SEED, drawn},
    requests::{Requests, Selection},
};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

/// The engine of these parameters.
pub fn engine(params: &TopK, width: u32) -> Rtl {
    Rtl {
        lanes: params.parallelism,
        width,
        capacity: params.capacity,
        round_overhead: params.round_overhead_cycles,
        seed: SEED,
    }
}

struct QuickSelect(Rtl);

/// The unit of the local-value engine.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    Box::new(QuickSelect(engine(&params.topk_value, params.datapath_bits)))
}

impl Unit for QuickSelect {
    fn name(&self) -> &'static str {
        "quick_select"
    }

    fn parameters(&self) -> String {
        let Rtl { lanes, width, capacity, round_overhead, .. } = self.0;
        format!("{lanes} lanes of {width} bits, {capacity} elements, {round_overhead} cycles")
    }

    fn top(&self) -> &str {
        "quick_select_with_buffer"
    }

    fn design(&self) -> Result<Design, Error> {
        let Rtl { lanes, width, capacity, .. } = self.0;
        Design::new([&with_buffer(&self.0.module()?, lanes, width, capacity)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        Box::new(self.driver(pins, plan))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        Ok(Box::new(self.driver(pins, plan).on(requests.value_selections()?)))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |module, signal, change| Mutation { module, signal, change };
        vec![
            of("comparator_array", "is_larger_1", Change::Exchanged),
            of("comparator_array", "is_smaller_0", Change::Zero),
            of("quick_select", "goes_right", Change::Inverted),
            of("quick_select", "reading", Change::Undelayed),
            of("quick_select", "pivot_lane", Change::Delayed),
            of("quick_select", "whole_row", Change::Inverted),
            of("quick_select", "append_count_l", Change::Undelayed),
            of("row_aligner", "is_before_1", Change::Zero),
            of("lfsr", "feedback", Change::Inverted),
        ]
    }
}

impl QuickSelect {
    fn driver(&self, pins: &Pins, plan: Plan) -> Driver {
        let cycles = |_: usize, found: &Threshold<u64>| found.cycles;
        Driver::new(self.0.clone(), pins, plan, Box::new(cycles))
    }
}

/// Cycles of a selection, from the number of elements and what the model found.
pub type Cycles = Box<dyn Fn(usize, &Threshold<u64>) -> u64>;

/// Drives an engine.
pub struct Driver {
    engine: Rtl,
    cycles: Cycles,
    plan: Plan,
    buffer: BufferPins,
    start: Pin,
    elements: Pin,
    rank: Pin,
    done: Pin,
    threshold: Pin,
    equals: Pin,
    last_cycle: Pin,
    selections: Source<Selection>,
    pace: Pace,
    lfsr: Lfsr,
    values: Vec<u64>,
    keep: usize,
    /// Rows written.
    loaded: usize,
    /// What is being found, and the cycles until then.
    running: Option<(Threshold<u64>, u64)>,
}

impl Driver {
    /// A driver with drawn selections.
    pub fn new(engine: Rtl, pins: &Pins, plan: Plan, cycles: Cycles) -> Self {
        Self {
            buffer: BufferPins::of(pins, engine.lanes),
            selections: drawn(Random::new(plan.seed, 3), engine.capacity, engine.width),
            engine,
            cycles,
            plan,
            start: pins.input("start"),
            elements: pins.input("elements"),
            rank: pins.input("rank"),
            done: pins.output("done"),
            threshold: pins.output("threshold"),
            equals: pins.output("equals"),
            last_cycle: pins.output("last_cycle"),
            pace: Pace::new(plan.seed, 4),
            lfsr: Lfsr::new(SEED),
            values: Vec::new(),
            keep: 1,
            loaded: 0,
            running: None,
        }
    }

    /// These selections instead of drawn ones.
    pub fn on(self, selections: Vec<Selection>) -> Self {
        Self { selections: Box::new(selections.into_iter()), ..self }
    }
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        if let Some((found, left)) = &mut self.running {
            frame.drive(self.start, 0);
            self.buffer.drive(frame, &[], None);
            *left -= 1;
            let done = *left == 0;
            frame.expect(self.done, done.into());
            // The rounds end one cycle before, and not in the cycle in which all is known.
            if *left <= 1 {
                frame.expect(self.last_cycle, u64::from(!done));
            }
            if done {
                frame.expect(self.threshold, found.value);
                frame.expect(self.equals, found.equals as u64);
                self.running = None;
                self.values.clear();
            }
            return true;
        }
        if self.values.is_empty() {
            if frame.beats() >= self.plan.beats {
                return false;
            }
            let Some(selection) = self.selections.next() else { return false };
            (self.values, self.keep) = selection;
            self.loaded = 0;
        }
        frame.expect(self.done, 0);
        let acts = self.pace.willing();
        let number = acts.then_some(self.loaded);
        let writes = self.buffer.drive(frame, &self.values, number);
        let starts = acts && !writes;
        self.loaded += usize::from(writes);
        if writes {
            frame.count_beat();
        }
        frame.drive(self.start, starts.into());
        frame.drive(self.elements, self.values.len() as u64);
        frame.drive(self.rank, self.keep as u64);
        if starts {
            let Rtl { lanes, round_overhead, .. } = self.engine;
            let (values, lanes) = (&self.values, lanes as usize);
            let found = quick_select(values, self.keep, lanes, round_overhead, &mut self.lfsr);
            self.running = Some((found, (self.cycles)(values.len(), &found)));
        }
        true
    }
}
