//! Token top-k engine with the accumulators that it reads: load, order, wait for the end, again.

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Error,
    mutate::{Change, Mutation},
    units::spatten::{row_buffer::with_buffer, topk_token::TopKToken as Rtl},
    witness::{Frame, Pin, Pins, Vectors},
};
use attelier_sim::{
    kernel::{activity::EventLog, clock::Cycle, fifo::Fifo},
    units::{
        lfsr::Lfsr,
        quick_select::{filter, quick_select},
        topk_token::{TokenSelection, TopKToken as Model},
    },
};

use super::{
    buffered::{BufferPins, SEED, drawn},
    quick_select::engine,
    requests::{Requests, Selection},
};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

/// Width of an importance accumulator \[bits\].
const WIDTH: u32 = 32;

struct TopKToken(Rtl);

/// The unit.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    let lanes = params.topk_token.lanes;
    Box::new(TopKToken(Rtl { engine: engine(&params.topk_token, WIDTH), lanes }))
}

impl Unit for TopKToken {
    fn name(&self) -> &'static str {
        "topk_token"
    }

    fn parameters(&self) -> String {
        let lanes = self.0.engine.lanes;
        format!(
            "{lanes} lanes of {WIDTH} bits, filter {}, {} elements",
            self.0.lanes, self.0.engine.capacity
        )
    }

    fn top(&self) -> &str {
        "topk_token_with_buffer"
    }

    fn design(&self) -> Result<Design, Error> {
        let engine = &self.0.engine;
        let module = with_buffer(&self.0.module()?, engine.lanes, WIDTH, engine.capacity)?;
        Design::new([&module])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let random = Random::new(plan.seed, 5);
        Box::new(self.driver(pins, plan, drawn(random, self.0.engine.capacity, WIDTH)))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let selections = requests.selections()?;
        if selections.iter().any(|(importance, _)| importance.iter().any(|sum| sum >> WIDTH > 0)) {
            return Err(format!("an importance has more than {WIDTH} bits"));
        }
        Ok(Box::new(self.driver(pins, plan, Box::new(selections.into_iter()))))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |module, signal, change| Mutation { module, signal, change };
        vec![
            of("topk_token", "reads_filter", Change::Zero),
            of("topk_token", "equals_left", Change::Delayed),
            of("topk_token", "last", Change::Inverted),
            of("topk_token", "filtering", Change::Delayed),
            of("topk_filter", "is_equal_0", Change::Zero),
            of("quick_select", "not_smaller", Change::Exchanged),
        ]
    }
}

impl TopKToken {
    fn driver(&self, pins: &Pins, plan: Plan, selections: Source<Selection>) -> Driver {
        let input = |name: &str| pins.input(name);
        let output = |name: &str| pins.output(name);
        Driver {
            unit: self.0.clone(),
            plan,
            pins: Ports {
                buffer: BufferPins::of(pins, self.0.engine.lanes),
                valid: input("s_order_valid"),
                elements: input("s_order_elements"),
                keep: input("s_order_keep"),
                ready: output("s_order_ready"),
                index_valid: output("m_index_valid"),
                index_count: output("m_index_count"),
                indices: pins.output_lanes("m_index", self.0.lanes),
                finished: output("finished"),
            },
            selections,
            pace: Pace::new(plan.seed, 6),
            lfsr: Lfsr::new(SEED),
            model: Model::default(),
            orders: Fifo::new(1),
            finished: Fifo::unbounded(),
            log: EventLog::default(),
            now: Cycle(0),
            values: Vec::new(),
            keep: 1,
            loaded: 0,
            kept: Vec::new(),
            filter_at: None,
        }
    }
}

struct Ports {
    buffer: BufferPins,
    valid: Pin,
    elements: Pin,
    keep: Pin,
    ready: Pin,
    index_valid: Pin,
    index_count: Pin,
    indices: Vec<Pin>,
    finished: Pin,
}

struct Driver {
    unit: Rtl,
    plan: Plan,
    pins: Ports,
    selections: Source<Selection>,
    pace: Pace,
    lfsr: Lfsr,
    model: Model,
    orders: Fifo<TokenSelection>,
    finished: Fifo<u32>,
    log: EventLog,
    now: Cycle,
    values: Vec<u64>,
    keep: usize,
    /// Rows written.
    loaded: usize,
    /// Surviving positions of the order under way.
    kept: Vec<u32>,
    /// Cycle of the first step of the filter.
    filter_at: Option<Cycle>,
}

impl Driver {
    /// The order for the loaded elements, with the cycles that the machine gives it.
    fn order(&mut self) -> (TokenSelection, u64) {
        let engine = &self.unit.engine;
        let (parallelism, overhead) = (engine.lanes as usize, engine.round_overhead);
        let found = quick_select(&self.values, self.keep, parallelism, overhead, &mut self.lfsr);
        self.kept = filter(&self.values, &found, self.unit.lanes as usize);
        let steps = self.values.len().div_ceil(self.unit.lanes as usize) as u64;
        let order = TokenSelection { job: 0, what: "token top-k", cycles: found.cycles + steps };
        (order, found.cycles)
    }

    /// What the index port shows in this cycle.
    fn expect_indices(&self, frame: &mut Frame) {
        let lanes = self.unit.lanes;
        let step = self.filter_at.filter(|at| *at <= self.now).map(|at| self.now.since(at));
        let row: Vec<u32> = match step {
            Some(step) => {
                let in_row = |at: &u32| u64::from(at / lanes) == step;
                self.kept.iter().copied().filter(in_row).collect()
            }
            None => Vec::new(),
        };
        frame.expect(self.pins.index_valid, u64::from(!row.is_empty()));
        if !row.is_empty() {
            frame.expect(self.pins.index_count, row.len() as u64);
        }
        for (pin, index) in self.pins.indices.iter().zip(&row) {
            frame.expect(*pin, (*index).into());
        }
    }
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        let idle = self.model.is_idle();
        if idle && self.orders.is_empty() && self.values.is_empty() {
            if frame.beats() >= self.plan.beats {
                return false;
            }
            let Some(selection) = self.selections.next() else { return false };
            (self.values, self.keep) = selection;
            self.loaded = 0;
        }
        // Rows are written, then the order is given; it is taken when the engine is free.
        let may_write = idle && self.orders.is_empty() && self.pace.willing();
        let writes = self.pins.buffer.drive(frame, &self.values, may_write.then_some(self.loaded));
        self.loaded += usize::from(writes);
        if writes {
            frame.count_beat();
        }
        frame.drive(self.pins.valid, u64::from(!self.orders.is_empty()));
        frame.drive(self.pins.elements, self.values.len() as u64);
        frame.drive(self.pins.keep, self.keep as u64);
        frame.expect(self.pins.ready, idle.into());

        let taken = idle && !self.orders.is_empty();
        if taken {
            let cycles = self.filter_at.map_or(0, |at| at.0);
            self.filter_at = Some(self.now + cycles);
        }
        self.model.tick(self.now, &mut self.orders, &mut self.finished, &mut self.log);
        if may_write && !writes {
            let (order, cycles) = self.order();
            self.orders.push(order);
            // Until it is taken: the cycles of the rounds.
            self.filter_at = Some(Cycle(cycles));
        }
        self.orders.commit();
        self.finished.commit();
        let waiting = !self.orders.is_empty();
        if waiting {
            frame.expect(self.pins.index_valid, 0);
        } else {
            self.expect_indices(frame);
        }
        let finished = self.finished.pop().is_some();
        self.finished.commit();
        frame.expect(self.pins.finished, finished.into());
        if finished {
            self.values.clear();
            self.filter_at = None;
        }
        self.now = self.now + 1;
        true
    }
}
