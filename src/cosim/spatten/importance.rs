//! Importance accumulators: additions that collide, follow each other and saturate.
//!
//! The simulator counts their beats only; when a sum can be read is stated by the hardware.

use std::collections::VecDeque;

use attelier_hw::spatten::Spatten;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pin, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::datapath::importance::{add_output, add_tokens};

use super::operands::{lanes, words};
use crate::cosim::{Pace, Plan, Random, Unit};

struct TokenImportance(Spatten);
struct HeadImportance(Spatten);

/// The token unit of a machine.
pub fn token(params: &Spatten) -> Box<dyn Unit> {
    Box::new(TokenImportance(params.clone()))
}

/// The head unit of a machine.
pub fn head(params: &Spatten) -> Box<dyn Unit> {
    Box::new(HeadImportance(params.clone()))
}

impl Unit for TokenImportance {
    fn name(&self) -> &'static str {
        "token_importance"
    }

    fn parameters(&self) -> String {
        let Spatten { softmax, topk_token, .. } = &self.0;
        format!("{} lanes, {} tokens", softmax.lanes, topk_token.capacity)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::spatten::token_importance(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let width = self.0.softmax.lanes;
        let bits = self.0.datapath_bits;
        let rows = self.0.topk_token.capacity.div_ceil(width).max(2);
        let [valid, fresh, row_pin] =
            ["add_valid", "add_fresh", "add_row"].map(|pin| pins.input(pin));
        let (keep_pin, read_row) = (pins.input("add_keep"), pins.input("read_row"));
        let data = pins.input_lanes("add_probability", width);
        let sums = pins.output_lanes("importance", width);
        let (mut random, mut gives) = (Random::new(plan.seed, 1), Pace::new(plan.seed, 2));
        let mut places = Places::new(vec![vec![0u64; width as usize]; rows as usize]);
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats {
                return false;
            }
            places.expect(frame, &sums);
            // Few places, so that additions collide.
            let row = random.below(u64::from(rows.min(3)));
            let gives = gives.willing();
            frame.drive(valid, u64::from(gives));
            frame.drive(row_pin, row);
            let is_fresh = random.chance(1, 4096);
            frame.drive(fresh, u64::from(is_fresh));
            let keep = if random.chance(1, 4) { random.bits(width) } else { lanes(width) };
            frame.drive(keep_pin, keep);
            let largest = random.chance(7, 8);
            let codes: Vec<u16> = data
                .iter()
                .map(|_| if largest { (1 << bits) - 1 } else { random.bits(bits) } as u16)
                .collect();
            for (pin, code) in data.iter().zip(&codes) {
                frame.drive(*pin, (*code).into());
            }
            let reads = random.below(u64::from(rows.min(3)));
            frame.drive(read_row, reads);
            if gives {
                frame.count_beat();
                let mut kept: Vec<u32> = (0..width).collect();
                kept.retain(|lane| keep >> lane & 1 == 1);
                let added: Vec<u16> = kept.iter().map(|lane| codes[*lane as usize]).collect();
                places.change(row, |sums| {
                    if is_fresh {
                        kept.iter().for_each(|lane| sums[*lane as usize] = 0);
                    }
                    add_tokens(sums, &kept, &added);
                });
            }
            places.end(if gives { None } else { Some(reads) });
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "token_accumulator", signal, change };
        vec![
            of("follows", Change::Zero),
            of("kept", Change::Exchanged),
            of("written", Change::Delayed),
            Mutation { module: "token_importance", signal: "place", change: Change::Exchanged },
        ]
    }
}

impl Unit for HeadImportance {
    fn name(&self) -> &'static str {
        "head_importance"
    }

    fn parameters(&self) -> String {
        let Spatten { head_dim, topk_token, .. } = &self.0;
        format!("{head_dim} words, {} heads", topk_token.capacity)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::spatten::head_importance(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (head_dim, bits) = (self.0.head_dim, self.0.datapath_bits);
        let heads = u64::from(self.0.topk_token.capacity.min(3));
        let stages = 1 + head_dim.ilog2() as usize;
        let [valid, fresh, head_pin] =
            ["add_valid", "add_fresh", "add_head"].map(|pin| pins.input(pin));
        let read_head = pins.input("read_head");
        let data = pins.input_lanes("add_word", head_dim);
        let sums = [pins.output("importance")];
        let (mut random, mut gives) = (Random::new(plan.seed, 1), Pace::new(plan.seed, 2));
        let mut places = Places::new(vec![vec![0u64]; heads as usize]);
        let mut pipeline: VecDeque<Option<(u64, bool, Vec<i32>)>> = vec![None; stages].into();
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats {
                return false;
            }
            places.expect(frame, &sums);
            let gives = gives.willing();
            let (head, is_fresh) = (random.below(heads), random.chance(1, 64));
            let output = words(&mut random, head_dim, bits);
            frame.drive(valid, u64::from(gives));
            frame.drive(fresh, u64::from(is_fresh));
            frame.drive(head_pin, head);
            for (pin, word) in data.iter().zip(&output) {
                frame.drive(*pin, i64::from(*word).cast_unsigned());
            }
            let reads = random.below(heads);
            frame.drive(read_head, reads);
            pipeline.push_back(gives.then_some((head, is_fresh, output)));
            let arrives = pipeline.pop_front().flatten();
            let read = arrives.is_none().then_some(reads);
            if let Some((head, is_fresh, output)) = arrives {
                frame.count_beat();
                places.change(head, |sums| {
                    sums[0] = if is_fresh { 0 } else { sums[0] };
                    add_output(&mut sums[0], &output);
                });
            }
            places.end(read);
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        vec![
            Mutation { module: "head_accumulator", signal: "follows", change: Change::Zero },
            Mutation { module: "head_importance", signal: "magnitude_0", change: Change::Delayed },
            Mutation { module: "head_importance", signal: "negated_1", change: Change::Zero },
            Mutation { module: "head_importance", signal: "fresh_1", change: Change::Undelayed },
        ]
    }
}

/// Sums by place. A read sees all additions of the cycles before.
struct Places {
    sums: Vec<Vec<u64>>,
    /// What the read of this cycle sees.
    before: Vec<Vec<u64>>,
    /// What was read in the last cycle.
    read: Option<Vec<u64>>,
}

impl Places {
    fn new(sums: Vec<Vec<u64>>) -> Self {
        Self { before: sums.clone(), sums, read: None }
    }

    fn change(&mut self, place: u64, change: impl FnOnce(&mut Vec<u64>)) {
        change(&mut self.sums[place as usize]);
    }

    /// Ends the cycle, in which a place may have been read.
    fn end(&mut self, read: Option<u64>) {
        self.read = read.map(|place| self.before[place as usize].clone());
        self.before.clone_from(&self.sums);
    }

    fn expect(&mut self, frame: &mut Frame, sums: &[Pin]) {
        let Some(read) = self.read.take() else { return };
        for (pin, sum) in sums.iter().zip(read) {
            frame.expect(*pin, sum);
        }
    }
}
