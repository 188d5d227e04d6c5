//! Decision unit: passes with and without a threshold, drawn or of real requests; flat ones are
//! dropped.

use std::{
    collections::VecDeque,
    iter::{self, Peekable},
};

use attelier_hw::spatten::Spatten;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pin, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::datapath::quant_decision::is_flat;
use attelier_sim::kernel::clock::Cycle;
use attelier_sim::kernel::fifo::Fifo;
use attelier_sim::kernel::stream::Stream;
use attelier_sim::units::Pass;
use attelier_sim::units::quant_decision::{QuantDecision as Model, Rule, Verdict};

use super::{
    operands::{Row, RowPins},
    requests::Requests,
};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

struct QuantDecision(Spatten);

/// The unit of a machine.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    Box::new(QuantDecision(params.clone()))
}

impl Unit for QuantDecision {
    fn name(&self) -> &'static str {
        "quant_decision"
    }

    fn parameters(&self) -> String {
        let Spatten { softmax, datapath_bits, quant_decision, .. } = &self.0;
        let (lanes, depth) = (softmax.lanes, quant_decision.fifo_depth);
        format!("{lanes} lanes of {datapath_bits} bits, {depth} rows")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::spatten::quant_decision(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (params, mut random) = (self.0.clone(), Random::new(plan.seed, 4));
        let passes = iter::repeat_with(move || Probabilities::drawn(&params, &mut random));
        Box::new(Driver::new(&self.0, pins, plan, Box::new(passes)))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let passes = requests.passes().map(|pass| Probabilities {
            codes: pass.probabilities.clone(),
            threshold: pass.threshold,
        });
        let passes: Vec<Probabilities> = passes.collect();
        Ok(Box::new(Driver::new(&self.0, pins, plan, Box::new(passes.into_iter()))))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "quant_decision", signal, change };
        vec![
            of("below_0", Change::Exchanged),
            of("not_flat", Change::Zero),
            of("behind", Change::Delayed),
            of("two_wait", Change::Inverted),
            of("drops", Change::Zero),
            of("accepted", Change::Zero),
            of("decided", Change::Undelayed),
        ]
    }
}

/// A pass.
struct Probabilities {
    codes: Vec<u16>,
    /// What they are compared with, if they are.
    threshold: Option<u16>,
}

impl Probabilities {
    /// Values around the threshold, so that both verdicts are frequent.
    fn drawn(params: &Spatten, random: &mut Random) -> Self {
        let Spatten { softmax, quant_decision, datapath_bits, .. } = params;
        let depth = quant_decision.fifo_depth;
        let compares = random.chance(2, 3);
        let most = match (compares, random.chance(1, 16)) {
            (true, true) => depth,
            (true, false) => depth.min(6),
            (false, _) => 10,
        };
        let count = 1 + random.below(most.into()) as u32;
        let keys = (count - 1) * softmax.lanes + 1 + random.below(softmax.lanes.into()) as u32;
        let one = 1u64 << datapath_bits;
        let threshold = [0, 1, one / 20, one / 2, one - 1, one][random.below(6) as usize];
        let threshold = threshold.min(u16::MAX.into());
        let limit = [threshold.max(1), (threshold + 1).min(one), one][random.below(3) as usize];
        let code = |_| {
            if random.chance(1, 8) { limit - 1 } else { random.below(limit) }
        };
        let codes = (0..keys).map(code).map(|code| code as u16).collect();
        Self { codes, threshold: compares.then_some(threshold as u16) }
    }
}

/// A pass under way.
#[derive(Clone)]
struct Job {
    pass: Pass,
    rows: Vec<Row>,
    rule: Rule,
    threshold: u16,
    /// Dropped, or its last row has left.
    through: bool,
}

impl Job {
    fn compares(&self) -> bool {
        self.rule != Rule::Accept
    }
}

struct Driver {
    params: Spatten,
    input: RowPins,
    compare: Pin,
    threshold: Pin,
    accepted_valid: Pin,
    verdict_valid: Pin,
    verdict_flat: Pin,
    /// Job of a row that enters or leaves, and of a pass that is accepted or judged.
    users: [Pin; 4],
    output: RowPins,
    plan: Plan,
    random: Random,
    gives: Pace,
    takes: Pace,
    now: Cycle,
    model: Model,
    probabilities: Stream<Pass>,
    rows: Stream<Pass>,
    verdicts: Fifo<Verdict>,
    source: Peekable<Source<Probabilities>>,
    /// Passes that are not through, the oldest of which has number `first`.
    jobs: VecDeque<Job>,
    first: u32,
    /// Pass and row that enter the stream next.
    next: (u32, u32),
    /// Passes and rows in the stream.
    offered: VecDeque<(u32, u32)>,
}

impl Driver {
    fn new(params: &Spatten, pins: &Pins, plan: Plan, source: Source<Probabilities>) -> Self {
        let lanes = params.softmax.lanes;
        Self {
            params: params.clone(),
            input: RowPins::input(pins, lanes),
            compare: pins.input("compare"),
            threshold: pins.input("threshold"),
            accepted_valid: pins.output("accepted_valid"),
            verdict_valid: pins.output("verdict_valid"),
            verdict_flat: pins.output("verdict_flat"),
            users: [
                pins.input("s_axis_tuser"),
                pins.output("m_axis_tuser"),
                pins.output("accepted_user"),
                pins.output("verdict_user"),
            ],
            output: RowPins::output(pins, lanes),
            plan,
            random: Random::new(plan.seed, 1),
            gives: Pace::new(plan.seed, 2),
            takes: Pace::new(plan.seed, 3),
            now: Cycle(0),
            model: Model::new(&params.quant_decision),
            probabilities: Stream::new(3),
            rows: Stream::new(2),
            verdicts: Fifo::unbounded(),
            source: source.peekable(),
            jobs: VecDeque::new(),
            first: 0,
            next: (0, 0),
            offered: VecDeque::new(),
        }
    }

    fn job(&self, number: u32) -> Option<&Job> {
        self.jobs.get((number - self.first) as usize)
    }

    /// One more pass.
    fn add_job(&mut self, Probabilities { codes, threshold }: Probabilities) {
        let lanes = self.params.softmax.lanes;
        let keys = codes.len() as u32;
        let rows = keys.div_ceil(lanes);
        let mut all: Vec<i64> = codes.iter().copied().map(i64::from).collect();
        all.resize((rows * lanes) as usize, 0);
        let rule = match threshold {
            Some(threshold) => Rule::Compare { needs_lsb: is_flat(&codes, threshold) },
            None => Rule::Accept,
        };
        let number = self.first + self.jobs.len() as u32;
        self.jobs.push_back(Job {
            pass: Pass { job: number, head: 0, attempt: 0, query: 0 },
            rows: (0..rows).map(|at| Row::of(&all, lanes, at, keys)).collect(),
            rule,
            threshold: threshold.unwrap_or_else(|| self.random.bits(16) as u16),
            through: false,
        });
    }

    /// What was decided in the last cycle shows in this one.
    fn expect_verdicts(&mut self, frame: &mut Frame) {
        let (mut accepted, mut decided) = (false, None);
        while let Some(verdict) = self.verdicts.pop() {
            match self.job(verdict.pass.job) {
                Some(job) if job.compares() => {
                    decided = Some(!verdict.accepted);
                    frame.expect(self.users[3], verdict.pass.job.into());
                }
                _ => {
                    accepted = true;
                    frame.expect(self.users[2], verdict.pass.job.into());
                }
            }
            if !verdict.accepted {
                self.retire(verdict.pass.job);
            }
        }
        frame.expect(self.accepted_valid, u64::from(accepted));
        frame.expect(self.verdict_valid, u64::from(decided.is_some()));
        if let Some(flat) = decided {
            frame.expect(self.verdict_flat, u64::from(flat));
        }
    }

    /// A pass is through; an older one may still wait behind the unit.
    fn retire(&mut self, number: u32) {
        if let Some(job) = self.jobs.get_mut((number - self.first) as usize) {
            job.through = true;
        }
        while self.jobs.front().is_some_and(|job| job.through) {
            self.jobs.pop_front();
            self.first += 1;
        }
    }

    fn tick(&mut self) {
        let (jobs, first) = (&self.jobs, self.first);
        let rule = |pass: Pass| jobs[(pass.job - first) as usize].rule;
        let (input, output) = (&mut self.probabilities, &mut self.rows);
        self.model.tick(self.now, input, rule, output, &mut self.verdicts);
    }

    fn supply(&mut self) {
        if !self.gives.willing() || !self.probabilities.can_push() {
            return;
        }
        if self.job(self.next.0).is_none()
            && let Some(pass) = self.source.next()
        {
            self.add_job(pass);
        }
        let (number, row) = self.next;
        let Some(job) = self.jobs.get((number - self.first) as usize) else { return };
        let rows = job.rows.len() as u32;
        self.probabilities.push_beat(job.pass, row, rows);
        self.offered.push_back(self.next);
        self.next = if row + 1 == rows { (number + 1, 0) } else { (number, row + 1) };
    }
}

impl Vectors for Driver {
    fn next(&mut self, frame: &mut Frame) -> bool {
        let is_through = self.jobs.is_empty() && self.source.peek().is_none();
        if frame.beats() >= self.plan.beats || is_through {
            return false;
        }
        self.probabilities.begin();
        self.rows.begin();
        self.expect_verdicts(frame);
        let offers = self.probabilities.level() > 0;
        let offered = self.offered.front().filter(|_| offers);
        let offered = offered.and_then(|&(number, row)| Some((self.job(number)?.clone(), row)));
        let row = offered.as_ref().map(|(job, row)| &job.rows[*row as usize]);
        self.input.offer(frame, row, &mut self.random);
        let user = offered.as_ref().map_or(0, |(job, _)| job.pass.job);
        frame.drive(self.users[0], user.into());
        let (compares, threshold) = match &offered {
            Some((job, _)) => (u64::from(job.compares()), job.threshold.into()),
            None => (self.random.bits(1), self.random.bits(16)),
        };
        frame.drive(self.compare, compares);
        frame.drive(self.threshold, threshold);
        let takes = self.takes.willing();
        self.output.take(frame, takes);

        let front = self.rows.front();
        let row = front.and_then(|(pass, left)| {
            let rows = &self.job(pass.job)?.rows;
            rows.get(rows.len() - left as usize)
        });
        self.output.expect(frame, row);
        if let Some((pass, _)) = front {
            frame.expect(self.users[1], pass.job.into());
        }
        let taken = front.filter(|_| takes).map(|(pass, _)| pass.job);
        let is_through = taken.is_some() && self.rows.pop();
        self.tick();
        if let Some(number) = taken {
            frame.count_beat();
            if is_through {
                self.retire(number);
            }
        }
        if offers {
            // The model says whether it has room only by taking a row.
            self.input.expect_ready(frame, self.probabilities.popped());
        }
        if self.probabilities.popped() {
            self.offered.pop_front();
        }
        self.supply();
        self.probabilities.commit();
        self.rows.commit();
        self.verdicts.commit();
        self.now = self.now + 1;
        true
    }
}
