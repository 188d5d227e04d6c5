//! Local-value top-k engine between two streams: packed passes, passes in place, passes around it.

use std::{collections::VecDeque, iter};

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Error,
    mutate::{Change, Mutation},
    units::spatten::topk_value::TopKValue as Rtl,
    witness::{Frame, Pin, Pins, Vectors},
};
use attelier_sim::{
    kernel::{activity::EventLog, clock::Cycle, fifo::Fifo, stream::Stream},
    units::{
        Pass,
        lfsr::Lfsr,
        quick_select::{filter, quick_select},
        topk_value::{Route, Selection as Selected, Selector, TopKValue as Model},
    },
};

use super::{
    buffered::{SEED, elements},
    quick_select::engine,
    requests::{Requests, Selection},
};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

/// Beats that the streams hold.
const DEPTH: u32 = 2;

struct TopKValue(Rtl);

/// The unit.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    let lanes = params.topk_value.lanes;
    Box::new(TopKValue(Rtl { engine: engine(&params.topk_value, params.datapath_bits), lanes }))
}

impl Unit for TopKValue {
    fn name(&self) -> &'static str {
        "topk_value"
    }

    fn parameters(&self) -> String {
        let engine = &self.0.engine;
        format!(
            "{} lanes of {} bits, rows of {}, {} elements",
            engine.lanes, engine.width, self.0.lanes, engine.capacity
        )
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&self.0.module()?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (unit, mut random) = (self.0.clone(), Random::new(plan.seed, 7));
        let contents = iter::repeat_with(move || {
            let selection = elements(&mut random, unit.engine.capacity, unit.engine.width);
            let route = if random.chance(1, 5) { Route::Around } else { Route::Through };
            Content::new(selection, route, random.chance(1, 2), unit.lanes)
        });
        Box::new(self.driver(pins, plan, Box::new(contents)))
    }

    /// As in the simulator, survivors of several queries stay in place.
    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let contents: Vec<Content> = requests
            .accepted()
            .map(|(work, pass)| {
                let route = if pass.selects { Route::Through } else { Route::Around };
                let selection = (pass.elements(), pass.kept.len());
                Content::new(selection, route, work.in_place(), self.0.lanes)
            })
            .collect();
        Ok(Box::new(self.driver(pins, plan, Box::new(contents.into_iter()))))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |module, signal, change| Mutation { module, signal, change };
        let mut mutations = vec![
            of("topk_value", "two_in_use", Change::Zero),
            of("topk_value", "held", Change::Zero),
            of("topk_value", "filter_buffer", Change::Zero),
            of("topk_value", "scan_is_last", Change::Inverted),
            of("topk_value", "is_final", Change::Inverted),
            of("topk_value", "advance", Change::Delayed),
            of("topk_filter", "is_equal_0", Change::Zero),
            of("comparator_array", "is_larger_1", Change::Exchanged),
        ];
        if self.0.lanes > 1 {
            mutations.push(of("topk_value", "left_over", Change::Zero));
            mutations.push(of("row_eliminator", "layer_0_leaves_1", Change::Zero));
        }
        mutations
    }
}

impl TopKValue {
    fn driver(&self, pins: &Pins, plan: Plan, contents: Source<Content>) -> Driver {
        let mut log = EventLog::default();
        log.enabled = true;
        Driver {
            plan,
            ports: Ports::of(pins, self.0.lanes),
            contents: Some(contents),
            source: Pace::new(plan.seed, 8),
            sink: Pace::new(plan.seed, 9),
            passes: Passes {
                unit: self.0.clone(),
                lfsr: Lfsr::new(SEED),
                first: 0,
                passes: VecDeque::new(),
            },
            model: Model::default(),
            rows: Stream::new(DEPTH),
            out: Stream::new(DEPTH),
            needs_values: Fifo::unbounded(),
            log,
            now: Cycle(0),
            entering: (0, 0),
            leaving: (0, 0),
            scan: None,
        }
    }
}

struct Ports {
    in_valid: Pin,
    in_last: Pin,
    in_data: Vec<Pin>,
    in_keep: Pin,
    through: Pin,
    in_place: Pin,
    elements: Pin,
    keep: Pin,
    in_ready: Pin,
    out_valid: Pin,
    out_ready: Pin,
    out_last: Pin,
    out_data: Vec<Pin>,
    out_keep: Pin,
    out_row: Pin,
    index_valid: Pin,
    index_count: Pin,
    indices: Vec<Pin>,
    index_done: Pin,
}

impl Ports {
    fn of(pins: &Pins, lanes: u32) -> Self {
        let (input, output) = (|name: &str| pins.input(name), |name: &str| pins.output(name));
        Self {
            in_valid: input("s_axis_tvalid"),
            in_last: input("s_axis_tlast"),
            in_data: pins.input_lanes("s_axis_tdata", lanes),
            in_keep: input("s_axis_tkeep"),
            through: input("s_axis_through"),
            in_place: input("s_axis_in_place"),
            elements: input("s_axis_elements"),
            keep: input("s_axis_keep"),
            in_ready: output("s_axis_tready"),
            out_valid: output("m_axis_tvalid"),
            out_ready: input("m_axis_tready"),
            out_last: output("m_axis_tlast"),
            out_data: pins.output_lanes("m_axis_tdata", lanes),
            out_keep: output("m_axis_tkeep"),
            out_row: output("m_axis_row"),
            index_valid: output("m_index_valid"),
            index_count: output("m_index_count"),
            indices: pins.output_lanes("m_index", lanes),
            index_done: output("m_index_done"),
        }
    }
}

/// A row that leaves.
#[derive(Debug, Clone)]
struct Row {
    /// Number, for survivors in place.
    number: Option<u64>,
    /// Elements by lane.
    lanes: Vec<Option<u64>>,
}

/// What one pass brings, and what comes of it.
#[derive(Debug, Clone)]
struct Content {
    values: Vec<u64>,
    keep: usize,
    route: Route,
    in_place: bool,
    /// Survivors, when they have been selected.
    kept: Vec<u32>,
    /// Rows that leave.
    rows: Vec<Row>,
}

impl Content {
    fn new((values, keep): Selection, route: Route, in_place: bool, lanes: u32) -> Self {
        let rows = match route {
            Route::Through => Vec::new(),
            Route::Around => values
                .chunks(lanes as usize)
                .map(|row| Row { number: None, lanes: row.iter().copied().map(Some).collect() })
                .collect(),
        };
        Self { values, keep, route, in_place, kept: Vec::new(), rows }
    }
}

/// The passes under way, the oldest first.
struct Passes {
    unit: Rtl,
    lfsr: Lfsr,
    /// Number of the oldest.
    first: u32,
    passes: VecDeque<Content>,
}

impl Passes {
    fn get(&self, number: u32) -> Option<&Content> {
        self.passes.get(number.checked_sub(self.first)? as usize)
    }

    fn id(number: u32) -> Pass {
        Pass { job: number, head: 0, attempt: 0, query: 0 }
    }

    /// One more pass; returns the rows that it has.
    fn push(&mut self, content: Content) -> u32 {
        let rows = content.values.len().div_ceil(self.unit.lanes as usize) as u32;
        self.passes.push_back(content);
        rows
    }
}

impl Selector for Passes {
    fn route(&self, pass: Pass) -> Route {
        self.get(pass.job).map_or(Route::Around, |content| content.route)
    }

    fn select(&mut self, pass: Pass) -> Selected {
        let (engine, lanes) = (&self.unit.engine, self.unit.lanes);
        let content = &mut self.passes[(pass.job - self.first) as usize];
        let (values, parallelism) = (&content.values, engine.lanes as usize);
        let overhead = engine.round_overhead;
        let found = quick_select(values, content.keep, parallelism, overhead, &mut self.lfsr);
        let kept = filter(values, &found, lanes as usize);
        let count = values.len() as u32;
        let value = |at: &u32| Some(values[*at as usize]);
        let selection = if content.in_place {
            let numbers = (0..count.div_ceil(lanes)).map(|row| row * lanes..(row + 1) * lanes);
            let row = |places: std::ops::Range<u32>| Row {
                number: Some((places.start / lanes).into()),
                lanes: places.map(|at| kept.contains(&at).then(|| values[at as usize])).collect(),
            };
            content.rows =
                numbers.map(row).filter(|row| row.lanes.iter().any(Option::is_some)).collect();
            Selected::in_place(found.cycles, &kept, count, lanes)
        } else {
            let rows = kept.chunks(lanes as usize);
            let row = |row: &[u32]| Row { number: None, lanes: row.iter().map(value).collect() };
            content.rows = rows.map(row).collect();
            Selected::packed(found.cycles, &kept, count, lanes)
        };
        content.kept = kept;
        selection
    }
}

/// Stands in for the passes where only the moves of a cycle are asked for.
struct Unselected<'a>(&'a Passes);

impl Selector for Unselected<'_> {
    fn route(&self, pass: Pass) -> Route {
        self.0.route(pass)
    }

    fn select(&mut self, _: Pass) -> Selected {
        Selected { cycles: 1, steps: 1, emits: vec![0] }
    }
}

struct Driver {
    plan: Plan,
    ports: Ports,
    /// What comes; `None` at the end.
    contents: Option<Source<Content>>,
    source: Pace,
    sink: Pace,
    passes: Passes,
    model: Model,
    rows: Stream<Pass>,
    out: Stream<Pass>,
    needs_values: Fifo<Pass>,
    log: EventLog,
    now: Cycle,
    /// Rows of the newest pass that the source has yet to push, and all of them.
    entering: (u32, u32),
    /// The pass that leaves, and its rows that have left.
    leaving: (u32, usize),
    /// The pass whose indices are scanned, and the cycle of its first row.
    scan: Option<(u32, Cycle)>,
}

impl Driver {
    /// Drives the visible beat of the input stream.
    fn drive(&self, frame: &mut Frame) {
        let ports = &self.ports;
        let front =
            self.rows.front().and_then(|(pass, left)| Some((self.passes.get(pass.job)?, left)));
        frame.drive(ports.in_valid, front.is_some().into());
        let Some((content, left)) = front else { return };
        let lanes = ports.in_data.len();
        let row = content.values.len().div_ceil(lanes) - left as usize;
        let row = &content.values[row * lanes..content.values.len().min((row + 1) * lanes)];
        for (lane, pin) in ports.in_data.iter().enumerate() {
            // Beyond the end of a pass there may be anything.
            frame.drive(*pin, row.get(lane).copied().unwrap_or(u64::MAX));
        }
        frame.drive(ports.in_last, u64::from(left == 1));
        frame.drive(ports.in_keep, (1u64 << row.len()) - 1);
        frame.drive(ports.through, u64::from(content.route == Route::Through));
        frame.drive(ports.in_place, content.in_place.into());
        frame.drive(ports.elements, content.values.len() as u64);
        frame.drive(ports.keep, content.keep as u64);
    }

    /// Whether the unit would give a beat if the output were free.
    fn offers(&self) -> bool {
        let mut model = self.model.clone();
        let (mut rows, mut out) = (self.rows.clone(), Stream::new(1));
        let (mut needs, mut log) = (Fifo::unbounded(), EventLog::default());
        // The header of a packet under way must be known to its further beats.
        let mut selector = Unselected(&self.passes);
        model.tick(self.now, &mut rows, &mut selector, &mut out, &mut needs, &mut log);
        out.commit();
        out.level() > 0
    }

    /// What the output stream shows, and whether it is taken.
    fn expect_row(&mut self, frame: &mut Frame, offered: bool, taken: bool) {
        let ports = &self.ports;
        frame.expect(ports.out_valid, offered.into());
        if !offered {
            return;
        }
        let (number, row) = self.leaving;
        let Some(content) = self.passes.get(number) else { return };
        let last = row + 1 == content.rows.len();
        frame.expect(ports.out_last, last.into());
        let shown = &content.rows[row];
        let mut keep = 0u64;
        for (lane, pin) in ports.out_data.iter().enumerate() {
            if let Some(element) = shown.lanes.get(lane).copied().flatten() {
                keep |= 1 << lane;
                frame.expect(*pin, element);
            }
        }
        frame.expect(ports.out_keep, keep);
        if let Some(number) = shown.number {
            frame.expect(ports.out_row, number);
        }
        if taken {
            self.leaving = if last { (number + 1, 0) } else { (number, row + 1) };
        }
    }

    /// What the index port shows.
    fn expect_indices(&mut self, frame: &mut Frame, done: bool) {
        let lanes = self.ports.indices.len() as u32;
        let mut row = Vec::new();
        if let Some((number, start)) = self.scan
            && start <= self.now
            && let Some(content) = self.passes.get(number)
        {
            let step = self.now.since(start);
            row = content.kept.iter().copied().filter(|at| u64::from(at / lanes) == step).collect();
        }
        frame.expect(self.ports.index_done, done.into());
        frame.expect(self.ports.index_valid, u64::from(!row.is_empty()));
        if !row.is_empty() {
            frame.expect(self.ports.index_count, row.len() as u64);
        }
        for (pin, index) in self.ports.indices.iter().zip(row) {
            frame.expect(*pin, index.into());
        }
    }

    /// Source and sink of the streams, one cycle.
    fn surroundings(&mut self, plan_done: bool) {
        self.rows.begin();
        self.out.begin();
        let (left, all) = &mut self.entering;
        if *left == 0 && !plan_done {
            match self.contents.as_mut().and_then(Iterator::next) {
                Some(content) => {
                    let rows = self.passes.push(content);
                    (*left, *all) = (rows, rows);
                }
                None => self.contents = None,
            }
        }
        if *left > 0 && self.source.willing() && self.rows.can_push() {
            let newest = self.passes.first + self.passes.passes.len() as u32 - 1;
            self.rows.push_beat(Passes::id(newest), *all - *left, *all);
            *left -= 1;
        }
        if self.out.level() > 0 && self.sink.willing() {
            self.out.pop();
        }
    }
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        let plan_done = frame.beats() >= self.plan.beats || self.contents.is_none();
        let nothing_left = self.leaving.0 == self.passes.first + self.passes.passes.len() as u32;
        if plan_done && nothing_left && self.rows.level() == 0 {
            return false;
        }
        self.surroundings(plan_done);
        self.drive(frame);
        let ready = self.out.can_push();
        frame.drive(self.ports.out_ready, ready.into());
        let offered_anyway = !ready && self.offers();
        let valid = self.rows.level() > 0;

        let Self { model, rows, out, passes, needs_values, log, .. } = self;
        let pushed_before = out.clone();
        model.tick(self.now, rows, passes, out, needs_values, log);
        if valid {
            frame.expect(self.ports.in_ready, model.took().into());
        }
        if model.took() {
            frame.count_beat();
        }
        // A beat more than the sink alone would have left.
        let mut without = pushed_before;
        without.commit();
        rows.commit();
        out.commit();
        let pushed = out.level() > without.level();
        needs_values.commit();
        let done = needs_values.pop().is_some();
        needs_values.commit();
        self.expect_row(frame, pushed || offered_anyway, pushed);
        self.expect_indices(frame, done);
        for span in self.log.spans.drain(..).filter(|span| span.what == "top-k") {
            self.scan = Some((span.job, span.end));
        }
        while self.passes.first < self.leaving.0 && self.passes.passes.len() > 4 {
            self.passes.passes.pop_front();
            self.passes.first += 1;
        }
        self.now = self.now + 1;
        true
    }
}
