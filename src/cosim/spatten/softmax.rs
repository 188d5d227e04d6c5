//! Softmax: passes of random length, scale and scores, or those of real requests.

use std::{
    collections::VecDeque,
    iter::{self, Peekable},
};

use attelier_hw::spatten::Spatten;
use attelier_hw::spatten::formats::SCALE_BITS;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pin, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::datapath::softmax::{Scale, softmax};
use attelier_sim::kernel::activity::EventLog;
use attelier_sim::kernel::clock::Cycle;
use attelier_sim::kernel::stream::Stream;
use attelier_sim::units::Pass;
use attelier_sim::units::softmax::Softmax as Model;

use super::{
    operands::{Row, RowPins},
    requests::Requests,
};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

struct Softmax(Spatten);

/// The unit of a machine.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    Box::new(Softmax(params.clone()))
}

impl Unit for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn parameters(&self) -> String {
        let Spatten { softmax, datapath_bits, .. } = &self.0;
        format!("{} lanes of {datapath_bits} bits, {} rows", softmax.lanes, softmax.fifo_depth)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::spatten::softmax(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (params, mut random) = (self.0.clone(), Random::new(plan.seed, 4));
        let passes = iter::repeat_with(move || Scores::drawn(&params, &mut random));
        Box::new(Driver::new(&self.0, pins, plan, Box::new(passes)))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let lanes = self.0.softmax.lanes as usize;
        let scores = requests.passes().map(|pass| {
            let (mut scores, keys) = (pass.scores.clone(), pass.scores.len());
            scores.resize(keys.next_multiple_of(lanes), 0);
            Scores { scores, keys: keys as u32, scale: pass.scale }
        });
        let scores: Vec<Scores> = scores.collect();
        Ok(Box::new(Driver::new(&self.0, pins, plan, Box::new(scores.into_iter()))))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |module, signal, change| Mutation { module, signal, change };
        vec![
            of("softmax", "pass_ends", Change::Delayed),
            of("softmax", "leaving_last", Change::Delayed),
            of("softmax", "sum_register", Change::Delayed),
            of("softmax_exponential", "product_again", Change::Undelayed),
            of("softmax_exponential", "fits", Change::Inverted),
            of("softmax_exponential", "sum_2", Change::Undelayed),
            of("softmax_sum", "largest_now", Change::Exchanged),
            of("softmax_sum", "below_0", Change::Zero),
            of("softmax_reciprocal", "bit_3", Change::Inverted),
            of("softmax_reciprocal", "rest_7", Change::Exchanged),
            of("softmax_probability", "overflows", Change::Zero),
            of("softmax_probability", "kept", Change::Inverted),
        ]
    }
}

/// Scales from useful to extreme.
fn scale(random: &mut Random, score_bits: u32) -> Scale {
    let widest = (1 << SCALE_BITS) - 1;
    match random.below(8) {
        0 => Scale { mantissa: 0, shift: 0 },
        1 => Scale { mantissa: widest, shift: 0 },
        2 => Scale { mantissa: widest, shift: 63 },
        _ => {
            // The largest scores become exponents between 1 and 2^16.
            let spread = random.bits(16) as f64 / 4096.0;
            Scale::new((spread - f64::from(score_bits)).exp2())
        }
    }
}

/// Scores that are random, equal, or at the extremes.
fn scores(random: &mut Random, count: u32, bits: u32) -> Vec<i64> {
    let limit = 1i64 << (bits - 1);
    let spread = 1 + random.below(bits.into()) as u32;
    let kind = random.below(8);
    let draw = |random: &mut Random| match kind {
        0 => -limit,
        1 => limit - 1,
        2 => [-limit, 0, limit - 1][random.below(3) as usize],
        _ => random.bits(spread) as i64 - (1 << (spread - 1)),
    };
    (0..count).map(|_| draw(random)).collect()
}

/// A pass.
struct Scores {
    /// Whole rows.
    scores: Vec<i64>,
    /// Scores that count.
    keys: u32,
    scale: Scale,
}

impl Scores {
    /// One pass, most of them short. Lanes without a key hold something as well.
    fn drawn(params: &Spatten, random: &mut Random) -> Self {
        let Spatten { softmax: s, datapath_bits, head_dim, .. } = params;
        let score_bits = 2 * datapath_bits + head_dim.ilog2();
        let most = if random.chance(1, 4) { s.fifo_depth } else { s.fifo_depth.min(4) };
        let rows = 1 + random.below(most.into()) as u32;
        let keys = (rows - 1) * s.lanes + 1 + random.below(s.lanes.into()) as u32;
        let scale = scale(random, score_bits);
        Self { scores: scores(random, rows * s.lanes, score_bits), keys, scale }
    }
}

/// A row of scores with its scale and its place in the model's packet.
struct Scored {
    row: Row,
    scale: Scale,
    pass: Pass,
    at: u32,
    rows: u32,
}

struct Driver {
    params: Spatten,
    input: RowPins,
    scale_mantissa: Pin,
    scale_shift: Pin,
    output: RowPins,
    plan: Plan,
    random: Random,
    gives: Pace,
    takes: Pace,
    now: Cycle,
    model: Model,
    scores: Stream<Pass>,
    probabilities: Stream<Pass>,
    log: EventLog,
    source: Peekable<Source<Scores>>,
    passes: u32,
    to_come: VecDeque<Scored>,
    offered: VecDeque<Scored>,
    expected: VecDeque<Row>,
}

impl Driver {
    fn new(params: &Spatten, pins: &Pins, plan: Plan, source: Source<Scores>) -> Self {
        let s = &params.softmax;
        Self {
            params: params.clone(),
            input: RowPins::input(pins, s.lanes),
            scale_mantissa: pins.input("scale_mantissa"),
            scale_shift: pins.input("scale_shift"),
            output: RowPins::output(pins, s.lanes),
            plan,
            random: Random::new(plan.seed, 1),
            gives: Pace::new(plan.seed, 2),
            takes: Pace::new(plan.seed, 3),
            now: Cycle(0),
            model: Model::new(s),
            scores: Stream::new(3),
            probabilities: Stream::new(s.divide_cycles + s.quantise_cycles + 2),
            log: EventLog::default(),
            source: source.peekable(),
            passes: 0,
            to_come: VecDeque::new(),
            offered: VecDeque::new(),
            expected: VecDeque::new(),
        }
    }

    /// The rows of one more pass.
    fn add(&mut self, Scores { scores, keys, scale }: Scores) {
        let Spatten { softmax: s, datapath_bits, .. } = &self.params;
        let rows = keys.div_ceil(s.lanes);
        let pass = Pass { job: self.passes, head: 0, attempt: 0, query: 0 };
        self.passes += 1;
        let keyed = &scores[..keys as usize];
        let probabilities = softmax(keyed, scale, s.lanes as usize, *datapath_bits);
        let mut probabilities: Vec<i64> = probabilities.into_iter().map(i64::from).collect();
        probabilities.resize(scores.len(), 0);
        for at in 0..rows {
            let row = Row::of(&scores, s.lanes, at, keys);
            self.to_come.push_back(Scored { row, scale, pass, at, rows });
            self.expected.push_back(Row::of(&probabilities, s.lanes, at, keys));
        }
    }
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        let is_through = self.expected.is_empty() && self.source.peek().is_none();
        if frame.beats() >= self.plan.beats || is_through {
            return false;
        }
        self.scores.begin();
        self.probabilities.begin();
        let offers = self.scores.level() > 0;
        let offered = self.offered.front().filter(|_| offers);
        self.input.offer(frame, offered.map(|scored| &scored.row), &mut self.random);
        let scale = offered.map_or_else(|| scale(&mut self.random, 30), |scored| scored.scale);
        frame.drive(self.scale_mantissa, scale.mantissa.cast_unsigned());
        frame.drive(self.scale_shift, scale.shift.into());
        let takes = self.takes.willing();
        self.output.take(frame, takes);

        let visible = self.probabilities.level() > 0;
        self.output.expect(frame, self.expected.front().filter(|_| visible));
        if visible && takes {
            self.probabilities.pop();
            self.expected.pop_front();
            frame.count_beat();
        }
        self.model.tick(self.now, &mut self.scores, &mut self.probabilities, &mut self.log);
        if offers {
            // The model says whether it has room only by taking a row.
            self.input.expect_ready(frame, self.scores.popped());
        }
        if self.scores.popped() {
            self.offered.pop_front();
        }

        if self.to_come.is_empty()
            && let Some(pass) = self.source.next()
        {
            self.add(pass);
        }
        if self.gives.willing()
            && self.scores.can_push()
            && let Some(scored) = self.to_come.pop_front()
        {
            self.scores.push_beat(scored.pass, scored.at, scored.rows);
            self.offered.push_back(scored);
        }
        self.scores.commit();
        self.probabilities.commit();
        self.now = self.now + 1;
        true
    }
}
