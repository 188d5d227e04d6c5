//! PxV array: rows of probabilities meet lines of values; a pass gives one output.

use std::collections::VecDeque;

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
use attelier_sim::units::pv_array::{PvArray as Model, Source};

use super::operands::{packed, words};
use crate::cosim::{Pace, Plan, Random, Unit};

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
        Box::new(Driver::new(&self.0, pins, plan))
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
    /// Row of the pass that is given next, of how many, and of which kind.
    row: u32,
    count: u32,
    kind: u64,
    /// Probabilities in the queue, and whether they are the last of a pass.
    queue: VecDeque<(Vec<u16>, bool)>,
    /// Values that were read in the last cycle.
    line: Option<Vec<Vec<i32>>>,
    sums: Vec<i64>,
    expected: VecDeque<Vec<i32>>,
}

impl Driver {
    fn new(params: &Spatten, pins: &Pins, plan: Plan) -> Self {
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
            row: 0,
            count: 1,
            kind: 2,
            queue: VecDeque::new(),
            line: None,
            sums: vec![0; params.head_dim as usize],
            expected: VecDeque::new(),
        }
    }

    fn vectors_of_line(&mut self) -> Vec<Vec<i32>> {
        let Spatten { pv_array, head_dim, datapath_bits, .. } = &self.params;
        (0..pv_array.values_per_line)
            .map(|_| words(&mut self.random, *head_dim, *datapath_bits))
            .collect()
    }

    /// Probabilities: random, all at the largest, or zero.
    fn probabilities(&mut self) -> Vec<u16> {
        let Spatten { pv_array, datapath_bits, .. } = &self.params;
        let one = |random: &mut Random| match self.kind {
            0 => (1 << datapath_bits) - 1,
            1 => 0,
            _ => random.bits(*datapath_bits),
        };
        (0..pv_array.values_per_line).map(|_| one(&mut self.random) as u16).collect()
    }

    /// A line was read: its products join the sums.
    fn read(&mut self) {
        let line = self.vectors_of_line();
        let Some((probabilities, last)) = self.queue.pop_front() else { return };
        for (probability, value) in probabilities.iter().zip(&line) {
            accumulate(&mut self.sums, *probability, value);
        }
        self.line = Some(line);
        if last {
            let bits = self.params.datapath_bits;
            self.expected.push_back(self.sums.iter().map(|sum| round(*sum, bits)).collect());
            self.sums.fill(0);
        }
    }

    /// A row was given.
    fn advance(&mut self, probabilities: Vec<u16>) {
        let pass = Pass { job: self.passes, head: 0, attempt: 0, query: 0 };
        self.rows.push_beat(pass, self.row, self.count);
        self.row += 1;
        self.queue.push_back((probabilities, self.row == self.count));
        if self.row == self.count {
            let longest = self.params.softmax.fifo_depth;
            let most = if self.random.chance(1, 16) { longest } else { longest.min(12) };
            (self.row, self.passes) = (0, self.passes + 1);
            self.count = 1 + self.random.below(most.into()) as u32;
            self.kind = self.random.below(5);
        }
    }
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        if frame.beats() >= self.plan.beats {
            return false;
        }
        self.rows.begin();
        let line = self.line.take().unwrap_or_else(|| self.vectors_of_line());
        for (pin, value) in self.line_values.iter().zip(&line) {
            frame.drive_bits(*pin, &packed(value, self.params.datapath_bits));
        }
        let gives = self.gives.willing();
        let probabilities = self.probabilities();
        frame.drive(self.input_valid, u64::from(gives));
        frame.drive(self.input_last, u64::from(self.row + 1 == self.count));
        for (pin, probability) in self.input_data.iter().zip(&probabilities) {
            frame.drive(*pin, (*probability).into());
        }
        let has_line = self.lines_come.willing();
        frame.drive(self.line_valid, u64::from(has_line));

        let done = self.finished.pop();
        let room = self.rows.can_push();
        let visible = self.rows.level() > 0;
        let slot = self.slot;
        let source = |_| has_line.then_some(Source { slot, all_rows: Some(0) });
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
            self.advance(probabilities);
        }
        self.rows.commit();
        self.finished.commit();
        self.values.commit();
        self.now = self.now + 1;
        true
    }
}
