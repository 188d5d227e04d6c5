//! QxK array: orders, lines and queries come at random times, rows leave at random times; what is
//! computed is drawn, or the passes of real requests.

use std::{
    collections::VecDeque,
    iter::{self, Peekable},
};

use attelier_hw::spatten::Spatten;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pin, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::datapath::qk_array::score;
use attelier_sim::kernel::activity::EventLog;
use attelier_sim::kernel::clock::Cycle;
use attelier_sim::kernel::fifo::Fifo;
use attelier_sim::kernel::stream::Stream;
use attelier_sim::units::Pass;
use attelier_sim::units::line_sram::{LineSram, Plane};
use attelier_sim::units::qk_array::{QkArray as Model, QkOrder};

use super::{
    operands::{Line, Row, RowPins, lanes, lines, packed, words},
    requests::{Pass as Real, Requests},
};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

struct QkArray(Spatten);

/// The unit of a machine.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    Box::new(QkArray(params.clone()))
}

impl Unit for QkArray {
    fn name(&self) -> &'static str {
        "qk_array"
    }

    fn parameters(&self) -> String {
        let Spatten { qk_array, head_dim, datapath_bits, .. } = &self.0;
        let keys = qk_array.keys_per_line;
        format!("{keys} keys of {head_dim} words of {datapath_bits} bits")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::spatten::qk_array(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (params, mut random) = (self.0.clone(), Random::new(plan.seed, 6));
        let queries = iter::repeat_with(move || Query::drawn(&params, &mut random));
        Box::new(Driver::new(&self.0, pins, plan, Box::new(queries)))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let width = self.0.qk_array.keys_per_line;
        let query = |pass: &Real| {
            let keys = pass.scores.len() as u32;
            let rows = keys.div_ceil(width);
            let mut lines = lines(&pass.keys, width, self.0.head_dim);
            lines.truncate(rows as usize);
            let last_keep = lanes(keys - (rows - 1) * width);
            Query { query: pass.query.clone(), lines, last_keep }
        };
        let queries: Vec<Query> = requests.passes().map(query).collect();
        Ok(Box::new(Driver::new(&self.0, pins, plan, Box::new(queries.into_iter()))))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let top = |signal, change| Mutation { module: "qk_array", signal, change };
        vec![
            top("has_room", Change::Delayed),
            top("has_line", Change::Exchanged),
            top("last_1", Change::Undelayed),
            top("held_rows", Change::Delayed),
            top("query_register", Change::Delayed),
            Mutation { module: "qk_dot_product", signal: "product_1", change: Change::Undelayed },
            Mutation { module: "qk_dot_product", signal: "key_word_0", change: Change::Inverted },
        ]
    }
}

/// What one order computes on.
#[derive(Clone)]
struct Query {
    query: Vec<i32>,
    lines: Vec<Line>,
    /// Lanes of the last line that hold a key.
    last_keep: u64,
}

impl Query {
    fn drawn(params: &Spatten, random: &mut Random) -> Self {
        let Spatten { qk_array, key_sram, head_dim, datapath_bits, .. } = params;
        let rows = 1 + random.below(u64::from(key_sram.lines.min(9)));
        let keys = 1 + random.below(qk_array.keys_per_line.into()) as u32;
        let query = words(random, *head_dim, *datapath_bits);
        let lines = (0..rows).map(|_| line(params, random)).collect();
        Self { query, lines, last_keep: lanes(keys) }
    }
}

fn line(params: &Spatten, random: &mut Random) -> Line {
    let Spatten { qk_array, head_dim, datapath_bits, .. } = params;
    (0..qk_array.keys_per_line).map(|_| words(random, *head_dim, *datapath_bits)).collect()
}

/// An order with what it computes on.
#[derive(Clone)]
struct Work {
    order: QkOrder,
    on: Query,
}

struct Ports {
    order_valid: Pin,
    order_ready: Pin,
    order_rows: Pin,
    order_keep: Pin,
    query_valid: Pin,
    query: Pin,
    lines_filled: Pin,
    keys: Vec<Pin>,
    line_read: Pin,
    line_row: Pin,
    output: RowPins,
}

struct Driver {
    params: Spatten,
    ports: Ports,
    plan: Plan,
    random: Random,
    asks: Pace,
    fills: Pace,
    queries_come: Pace,
    takes: Pace,
    now: Cycle,
    model: Model,
    orders: Fifo<QkOrder>,
    buffer: LineSram,
    scores: Stream<Pass>,
    log: EventLog,
    /// What is computed next.
    source: Peekable<Source<Query>>,
    /// Query vectors that have arrived, and those that were ordered.
    queries: u64,
    tickets: u64,
    waiting: VecDeque<Work>,
    current: Option<Work>,
    row: u32,
    /// Slots that wait for lines, and for how many.
    filling: VecDeque<(u64, u32)>,
    /// Keys that were read in the last cycle.
    line: Option<Line>,
    expected: VecDeque<Row>,
}

impl Driver {
    fn new(params: &Spatten, pins: &Pins, plan: Plan, source: Source<Query>) -> Self {
        let keys = params.qk_array.keys_per_line;
        Self {
            params: params.clone(),
            ports: Ports {
                order_valid: pins.input("s_order_tvalid"),
                order_ready: pins.output("s_order_tready"),
                order_rows: pins.input("s_order_rows"),
                order_keep: pins.input("s_order_last_keep"),
                query_valid: pins.input("query_valid"),
                query: pins.input("query"),
                lines_filled: pins.input("lines_filled"),
                keys: pins.input_lanes("line_key", keys),
                line_read: pins.output("line_read"),
                line_row: pins.output("line_row"),
                output: RowPins::output(pins, keys),
            },
            plan,
            random: Random::new(plan.seed, 1),
            asks: Pace::new(plan.seed, 2),
            fills: Pace::new(plan.seed, 3),
            queries_come: Pace::new(plan.seed, 4),
            takes: Pace::new(plan.seed, 5),
            now: Cycle(0),
            model: Model::new(&params.qk_array),
            orders: Fifo::new(2),
            buffer: LineSram::new(params.key_sram.lines),
            scores: Stream::new(params.qk_array.latency_cycles + 2),
            log: EventLog::default(),
            source: source.peekable(),
            queries: 0,
            tickets: 0,
            waiting: VecDeque::new(),
            current: None,
            row: 0,
            filling: VecDeque::new(),
            line: None,
            expected: VecDeque::new(),
        }
    }

    /// The line that was read in the last cycle; noise if none was.
    fn drive_line(&mut self, frame: &mut Frame) {
        let Self { line: read, params, random, .. } = self;
        let line = read.take().unwrap_or_else(|| line(params, random));
        for (pin, key) in self.ports.keys.iter().zip(&line) {
            frame.drive_bits(*pin, &packed(key, self.params.datapath_bits));
        }
    }

    /// What belongs to the order at hand, or to the one that is offered; noise if there is none.
    fn drive_order(&mut self, frame: &mut Frame, offered: Option<&Work>) {
        let (ports, random) = (&self.ports, &mut self.random);
        let [rows, keep] = offered.map_or_else(
            || [random.bits(32), random.bits(32)],
            |work| [u64::from(work.order.rows), work.on.last_keep],
        );
        frame.drive(ports.order_valid, u64::from(offered.is_some()));
        frame.drive(ports.order_rows, rows);
        frame.drive(ports.order_keep, keep);
        let at_hand = self.current.as_ref().or(offered);
        let filled = at_hand.map_or_else(
            || random.bits(32),
            |work| u64::from(self.buffer.filled(work.order.slot, Plane::Msb)),
        );
        frame.drive(ports.lines_filled, filled);
        let known = at_hand.filter(|work| work.order.query_ticket <= self.queries);
        let valid = known.is_some() || at_hand.is_none() && random.chance(1, 2);
        frame.drive(ports.query_valid, u64::from(valid));
        let bits = self.params.datapath_bits;
        let query = match known {
            Some(work) => packed(&work.on.query, bits),
            None => packed(&words(random, self.params.head_dim, bits), bits),
        };
        frame.drive_bits(ports.query, &query);
    }

    /// A line was read: what its scores will be.
    fn read(&mut self) {
        let Some(Work { order, on }) = &self.current else { return };
        let (rows, slot) = (order.rows, order.slot);
        let line = on.lines[self.row as usize].clone();
        self.row += 1;
        let last = self.row == rows;
        let keep = if last { on.last_keep } else { lanes(self.params.qk_array.keys_per_line) };
        let data = line.iter().map(|key| score(&on.query, key)).collect();
        self.expected.push_back(Row { data, keep, last });
        self.line = Some(line);
        if last {
            self.buffer.release(slot);
            self.current = None;
            self.row = 0;
        }
    }

    /// Whether all there is has been computed.
    fn is_through(&mut self) -> bool {
        let nothing_waits = self.waiting.is_empty() && self.current.is_none();
        nothing_waits && self.expected.is_empty() && self.source.peek().is_none()
    }

    /// New orders, lines and queries.
    fn supply(&mut self) {
        let rows = self.source.peek().map(|query| query.lines.len() as u32);
        if self.asks.willing()
            && self.orders.can_push()
            && let Some(rows) = rows.filter(|rows| self.buffer.can_allocate(*rows))
            && let Some(on) = self.source.next()
        {
            let slot = self.buffer.allocate(rows);
            self.buffer.expect(slot, rows);
            self.filling.push_back((slot, rows));
            self.tickets += 1;
            let pass = Pass { job: slot as u32, head: 0, attempt: 0, query: 0 };
            let query_ticket = self.tickets;
            let order = QkOrder { pass, slot, needs_lsb: false, rows, query_ticket };
            self.orders.push(order);
            self.waiting.push_back(Work { order, on });
        }
        if let (true, Some((slot, missing))) = (self.fills.willing(), self.filling.front_mut()) {
            let groups = (1 + self.random.below(2) as u32).min(*missing);
            self.buffer.fill(*slot, Plane::Msb, groups);
            *missing -= groups;
            if *missing == 0 {
                self.filling.pop_front();
            }
        }
        self.queries += u64::from(self.queries_come.willing() && self.queries < self.tickets);
    }
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        if frame.beats() >= self.plan.beats || self.is_through() {
            return false;
        }
        self.scores.begin();
        let offers = self.orders.front().is_some();
        let offered = self.waiting.front().filter(|_| offers).cloned();
        self.drive_line(frame);
        self.drive_order(frame, offered.as_ref());
        let takes = self.takes.willing();
        self.ports.output.take(frame, takes);

        let visible = self.scores.level() > 0;
        self.ports.output.expect(frame, self.expected.front().filter(|_| visible));
        if visible && takes {
            self.scores.pop();
            self.expected.pop_front();
            frame.count_beat();
        }
        let lines = self.model.activity.counts().1;
        let Self { orders, buffer, queries, scores, log, .. } = self;
        self.model.tick(self.now, orders, buffer, *queries, scores, log);
        let reads = self.model.activity.counts().1 > lines;
        let open = self.current.is_none();
        frame.expect(self.ports.order_ready, u64::from(open));
        frame.expect(self.ports.line_read, u64::from(reads));
        frame.expect(self.ports.line_row, self.row.into());
        if open && offers {
            self.current = self.waiting.pop_front();
        }
        if reads {
            self.read();
        }
        self.supply();
        self.scores.commit();
        self.orders.commit();
        self.buffer.commit();
        self.now = self.now + 1;
        true
    }
}
