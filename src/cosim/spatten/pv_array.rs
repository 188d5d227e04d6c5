//! PxV array: rows of probabilities meet lines of values, drawn or of real requests; a pass gives one
//! output.

use std::{collections::VecDeque, iter};

use attelier_hw::spatten::Spatten;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pin, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::datapath::pv_array::{accumulate, round};
use attelier_sim::kernel::activity::EventLog;
use attelier_sim::kernel::clock::Cycle;
use attelier_sim::kernel::fifo::Fifo;
use attelier_sim::kernel::stream::Stream;
use attelier_sim::units::Pass;
use attelier_sim::units::line_sram::LineSram;
use attelier_sim::units::pv_array::{PvArray as Model, Source as Lines};

use super::{
    operands::{Line, lines, packed, words},
    requests::{Pass as Real, Requests, Work},
};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

struct PvArray(Spatten);

/// The unit of a machine.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    Box::new(PvArray(params.clone()))
}

impl Unit for PvArray {
    fn name(&self) -> &'static str {
        "pv_array"
    }

    fn parameters(&self) -> String {
        let Spatten { pv_array, head_dim, datapath_bits, .. } = &self.0;
        let values = pv_array.values_per_line;
        format!("{values} values of {head_dim} words of {datapath_bits} bits")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::spatten::pv_array(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (params, mut random) = (self.0.clone(), Random::new(plan.seed, 4));
        let passes = iter::repeat_with(move || drawn(&params, &mut random));
        Box::new(Driver::new(&self.0, pins, plan, Box::new(passes)))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let passes = requests.accepted().map(|(work, pass)| rows(&self.0, work, pass));
        let passes: Vec<Vec<Row>> = passes.collect();
        Ok(Box::new(Driver::new(&self.0, pins, plan, Box::new(passes.into_iter()))))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |module, signal, change| Mutation { module, signal, change };
        vec![
            of("pv_array", "first", Change::Zero),
            of("pv_array", "rows_has_room", Change::Delayed),
            of("pv_array", "last_1", Change::Undelayed),
            of("pv_array", "probability_0", Change::Undelayed),
            of("pv_weighted_sum", "kept_sum", Change::Zero),
            of("pv_weighted_sum", "fits", Change::Inverted),
            of("pv_weighted_sum", "product_0", Change::Delayed),
        ]
    }
}

/// Probabilities and the values that they belong to.
#[derive(Clone)]
struct Row {
    probabilities: Vec<u16>,
    values: Line,
}

fn line(params: &Spatten, random: &mut Random) -> Line {
    let Spatten { pv_array, head_dim, datapath_bits, .. } = params;
    (0..pv_array.values_per_line).map(|_| words(random, *head_dim, *datapath_bits)).collect()
}

/// Probabilities: random, all at the largest, or zero.
fn probabilities(params: &Spatten, random: &mut Random, kind: u64) -> Vec<u16> {
    let Spatten { pv_array, datapath_bits, .. } = params;
    let one = |random: &mut Random| match kind {
        0 => (1 << datapath_bits) - 1,
        1 => 0,
        _ => random.bits(*datapath_bits),
    };
    (0..pv_array.values_per_line).map(|_| one(random) as u16).collect()
}

/// A pass of random length.
fn drawn(params: &Spatten, random: &mut Random) -> Vec<Row> {
    let longest = params.softmax.fifo_depth;
    let most = if random.chance(1, 16) { longest } else { longest.min(12) };
    let (count, kind) = (1 + random.below(most.into()), random.below(5));
    let row = |_| Row {
        probabilities: probabilities(params, random, kind),
        values: line(params, random),
    };
    (0..count).map(row).collect()
}

/// The rows of a pass of a request: those in place that hold a value that is used, or the survivors of
/// a selection, packed.
fn rows(params: &Spatten, work: &Work, pass: &Real) -> Vec<Row> {
    let width = params.pv_array.values_per_line;
    let packed = pass.selects && !work.in_place();
    let (codes, values): (Vec<u16>, Vec<Vec<i32>>) = (0..)
        .zip(pass.probabilities.iter().zip(&work.values))
        .map(|(at, (code, value))| (pass.kept.binary_search(&at).is_ok(), *code, value.clone()))
        .filter(|(is_kept, ..)| *is_kept || !packed)
        .map(|(is_kept, code, value)| (if is_kept { code } else { 0 }, value))
        .unzip();
    let lines = lines(&values, width, params.head_dim);
    let row = |at: u32| {
        let mut probabilities = codes.chunks(width as usize).nth(at as usize)?.to_vec();
        probabilities.resize(width as usize, 0);
        Some(Row { probabilities, values: lines.get(at as usize)?.clone() })
    };
    work.value_lines_read(pass, width).into_iter().filter_map(row).collect()
}

struct Driver {
    params: Spatten,
    input_valid: Pin,
    input_ready: Pin,
    input_last: Pin,
    input_data: Vec<Pin>,
    line_valid: Pin,
    line_values: Vec<Pin>,
    row_valid: Pin,
    row_last: Pin,
    line_read: Pin,
    output_valid: Pin,
    output_words: Vec<Pin>,
    plan: Plan,
    random: Random,
    gives: Pace,
    lines_come: Pace,
    now: Cycle,
    model: Model,
    rows: Stream<Pass>,
    values: LineSram,
    slot: u64,
    finished: Fifo<Pass>,
    log: EventLog,
    passes: u32,
    source: Source<Vec<Row>>,
    /// Rows of the pass that is given, and how many it has in all.
    giving: VecDeque<Row>,
    count: u32,
    /// Rows in the queue, and whether they are the last of a pass.
    queue: VecDeque<(Row, bool)>,
    /// Values that were read in the last cycle.
    line: Option<Line>,
    sums: Vec<i64>,
    expected: VecDeque<Vec<i32>>,
}

impl Driver {
    fn new(params: &Spatten, pins: &Pins, plan: Plan, source: Source<Vec<Row>>) -> Self {
        let lanes = params.pv_array.values_per_line;
        let mut values = LineSram::new(params.value_sram.lines);
        let slot = values.allocate(1);
        Self {
            params: params.clone(),
            input_valid: pins.input("s_axis_tvalid"),
            input_ready: pins.output("s_axis_tready"),
            input_last: pins.input("s_axis_tlast"),
            input_data: pins.input_lanes("s_axis_tdata", lanes),
            line_valid: pins.input("line_valid"),
            line_values: pins.input_lanes("line_value", lanes),
            row_valid: pins.output("row_valid"),
            row_last: pins.output("row_last"),
            line_read: pins.output("line_read"),
            output_valid: pins.output("output_valid"),
            output_words: pins.output_lanes("output_word", params.head_dim),
            plan,
            random: Random::new(plan.seed, 1),
            gives: Pace::new(plan.seed, 2),
            lines_come: Pace::new(plan.seed, 3),
            now: Cycle(0),
            model: Model::new(&params.pv_array),
            rows: Stream::new(params.pv_array.fifo_depth),
            values,
            slot,
            finished: Fifo::unbounded(),
            log: EventLog::default(),
            passes: 0,
            source,
            giving: VecDeque::new(),
            count: 0,
            queue: VecDeque::new(),
            line: None,
            sums: vec![0; params.head_dim as usize],
            expected: VecDeque::new(),
        }
    }

    /// A line was read: its products join the sums.
    fn read(&mut self) {
        let Some((Row { probabilities, values }, last)) = self.queue.pop_front() else { return };
        for (probability, value) in probabilities.iter().zip(&values) {
            accumulate(&mut self.sums, *probability, value);
        }
        self.line = Some(values);
        if last {
            let bits = self.params.datapath_bits;
            self.expected.push_back(self.sums.iter().map(|sum| round(*sum, bits)).collect());
            self.sums.fill(0);
        }
    }

    /// A row was given.
    fn advance(&mut self) {
        let Some(row) = self.giving.pop_front() else { return };
        let pass = Pass { job: self.passes, head: 0, attempt: 0, query: 0 };
        let left = self.giving.len() as u32;
        self.rows.push_beat(pass, self.count - left - 1, self.count);
        self.queue.push_back((row, left == 0));
        self.passes += u32::from(left == 0);
    }

    /// Whether there is a row to give.
    fn has_row(&mut self) -> bool {
        if self.giving.is_empty()
            && let Some(rows) = self.source.next()
        {
            self.count = rows.len() as u32;
            self.giving = rows.into();
        }
        !self.giving.is_empty()
    }
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        let is_through = !self.has_row() && self.queue.is_empty() && self.expected.is_empty();
        if frame.beats() >= self.plan.beats || is_through {
            return false;
        }
        self.rows.begin();
        let Self { line: read, params, random, .. } = self;
        let line = read.take().unwrap_or_else(|| line(params, random));
        for (pin, value) in self.line_values.iter().zip(&line) {
            frame.drive_bits(*pin, &packed(value, self.params.datapath_bits));
        }
        let gives = self.gives.willing() && !self.giving.is_empty();
        frame.drive(self.input_valid, u64::from(gives));
        frame.drive(self.input_last, u64::from(self.giving.len() == 1));
        let noise = || probabilities(&self.params, &mut self.random, 2);
        let given = self.giving.front().map_or_else(noise, |row| row.probabilities.clone());
        for (pin, probability) in self.input_data.iter().zip(given) {
            frame.drive(*pin, probability.into());
        }
        let has_line = self.lines_come.willing();
        frame.drive(self.line_valid, u64::from(has_line));

        let done = self.finished.pop();
        let room = self.rows.can_push();
        let visible = self.rows.level() > 0;
        let slot = self.slot;
        let source = |_| has_line.then_some(Lines { slot, all_rows: Some(0) });
        let Self { rows, values, finished, log, .. } = self;
        self.model.tick(self.now, rows, (values, true), source, finished, log);
        let reads = self.rows.popped();

        frame.expect(self.input_ready, u64::from(room));
        frame.expect(self.row_valid, u64::from(visible));
        if let (true, Some((_, last))) = (visible, self.queue.front()) {
            frame.expect(self.row_last, u64::from(*last));
        }
        frame.expect(self.line_read, u64::from(reads));
        frame.expect(self.output_valid, u64::from(done.is_some()));
        if let Some(words) = done.and_then(|_| self.expected.pop_front()) {
            for (pin, word) in self.output_words.iter().zip(words) {
                frame.expect(*pin, i64::from(word).cast_unsigned());
            }
        }
        if reads {
            frame.count_beat();
            self.read();
        }
        if gives && room {
            self.advance();
        }
        self.rows.commit();
        self.finished.commit();
        self.values.commit();
        self.now = self.now + 1;
        true
    }
}
