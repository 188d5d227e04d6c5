//! Softmax of one pass: scores of an image, or rows of random length in slots that take turns, scores that
//! climb or fall, some of them twice in a row for the same slot. A beat is a score of all heads.

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::running_softmax::{RunningSoftmax as Model, Scores};
use attelier_sim::units::edge_softmax::SoftmaxInfo;

use super::image::{Image, Traffic};
use super::operands::{Results, number};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

/// No row waits or is divided so many cycles after the last score.
const DRAINED: u32 = 400;

struct RunningSoftmax(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(RunningSoftmax(sizes.clone()))
}

impl Unit for RunningSoftmax {
    fn name(&self) -> &'static str {
        "running_softmax"
    }

    fn parameters(&self) -> String {
        format!("{} rows of {} heads", self.0.queries, self.0.heads)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::running_softmax(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let rows = Box::new(Rows::new(&self.0, plan.seed));
        driver(&self.0, pins, plan, rows, Results::unknown())
    }

    fn image(&self, pins: &Pins, plan: Plan, image: &Image) -> Result<Box<dyn Vectors>, String> {
        let Traffic { given, results } = image.running_softmax.needed()?.clone();
        let (given, results) = (Box::new(given.into_iter()), Results::known(results));
        Ok(driver(&self.0, pins, plan, given, results))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let top = |signal, change| Mutation { module: "running_softmax", signal, change };
        let sum = |signal, change| Mutation { module: "running_sum", signal, change };
        vec![
            top("is_recent", Change::Zero),
            top("has_room", Change::Inverted),
            top("offered", Change::Delayed),
            sum("larger", Change::Inverted),
            sum("maximum_before", Change::Exchanged),
            sum("base", Change::Exchanged),
            sum("term", Change::Exchanged),
            sum("kept", Change::Undelayed),
            Mutation { module: "exponential", signal: "low", change: Change::Zero },
        ]
    }
}

fn driver(
    sizes: &Sizes,
    pins: &Pins,
    plan: Plan,
    mut source: Source<Scores>,
    mut results: Results<Vec<SoftmaxInfo>>,
) -> Box<dyn Vectors> {
    let (heads, queries) = (sizes.heads, u64::from(sizes.queries));
    let [valid, slot, keep, first, last, takes] = [
        "s_axis_tvalid",
        "s_axis_slot",
        "s_axis_keep",
        "s_axis_first",
        "s_axis_last",
        "m_axis_tready",
    ]
    .map(|name| pins.input(name));
    let scores = pins.input_lanes("s_axis_score", heads);
    let [ready, offered, slot_out] =
        ["s_axis_tready", "m_axis_tvalid", "m_axis_slot"].map(|name| pins.output(name));
    let factors = pins.output_lanes("m_axis_factor", heads);
    let maxima = pins.output_lanes("m_axis_maximum", heads);
    let mut model = Model::new(sizes);
    let (mut gives, mut pops) = (Pace::new(plan.seed, 2), Pace::new(plan.seed, 3));
    let mut waiting: Option<Scores> = None;
    let mut noise = Random::new(plan.seed, 4);
    let mut quiet = 0;
    Box::new(move |frame: &mut Frame| {
        quiet += 1;
        if waiting.is_none() && quiet > DRAINED {
            return false;
        }
        if waiting.is_none() && frame.beats() < plan.beats && gives.willing() {
            waiting = source.next();
        }
        let shown = waiting.clone().unwrap_or_else(|| Scores {
            slot: noise.below(queries) as u32,
            keep: noise.chance(1, 2),
            first: noise.chance(1, 2),
            last: noise.chance(1, 2),
            scores: vec![noise.bits(32) as i32; heads as usize],
        });
        frame.drive(valid, u64::from(waiting.is_some()));
        frame.drive(slot, shown.slot.into());
        frame.drive(keep, u64::from(shown.keep));
        frame.drive(first, u64::from(shown.first));
        frame.drive(last, u64::from(shown.last));
        for (pin, score) in scores.iter().zip(&shown.scores) {
            frame.drive(*pin, *score as u32 as u64);
        }
        let taken = pops.willing();
        frame.drive(takes, u64::from(taken));
        let open = model.is_ready(&shown);
        frame.expect(ready, u64::from(open));
        let info = model.offered();
        frame.expect(offered, u64::from(info.is_some_and(|info| results.allow(&info.heads))));
        if let Some(info) = info {
            if taken {
                results.leave();
            }
            frame.expect(slot_out, info.slot.into());
            for (head, info) in info.heads.iter().enumerate() {
                frame.expect(factors[head], info.factor as u32 as u64);
                frame.expect(maxima[head], info.maximum as u32 as u64);
            }
        }
        let enters = if open { waiting.take() } else { None };
        if enters.is_some() {
            frame.count_beat();
            quiet = 0;
        }
        model.tick(enters, taken);
        true
    })
}

/// Rows under way in all slots.
struct Rows {
    random: Random,
    heads: u32,
    /// Scores that are left of each row, and whether one came.
    rows: Vec<(u64, bool)>,
    slot: usize,
    level: i64,
}

impl Rows {
    fn new(sizes: &Sizes, seed: u64) -> Self {
        let rows = vec![(0, false); sizes.queries as usize];
        Self { random: Random::new(seed, 1), heads: sizes.heads, rows, slot: 0, level: 0 }
    }

    fn drawn(&mut self) -> Scores {
        let random = &mut self.random;
        let count = self.rows.len();
        // Mostly in turn, as the product of queries and keys gives them.
        self.slot = match random.below(8) {
            0 => random.below(count as u64) as usize,
            _ => (self.slot + 1) % count,
        };
        let keep = random.chance(15, 16);
        let row = &mut self.rows[self.slot];
        if row.0 == 0 && keep {
            *row = (1 + random.below(24), false);
        }
        let (first, last) = (!row.1, row.0 == 1);
        if keep {
            *row = (row.0 - 1, true);
        }
        let scores = (0..self.heads).map(|_| {
            // Near each other, so that sums and not only maxima are seen.
            self.level = (self.level + number(random, 24)).clamp(-(1 << 29), 1 << 29);
            match random.below(32) {
                0 => number(random, 32) as i32,
                _ => self.level as i32,
            }
        });
        let scores = scores.collect();
        Scores { slot: self.slot as u32, keep, first, last, scores }
    }
}

impl Iterator for Rows {
    type Item = Scores;

    fn next(&mut self) -> Option<Scores> {
        Some(self.drawn())
    }
}
