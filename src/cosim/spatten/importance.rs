//! Importance accumulators: additions that collide, follow each other and saturate, or those of real
//! requests.
//!
//! The simulator counts their beats only; when a sum can be read is stated by the hardware.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    iter::{self, Peekable},
};

use attelier_hw::spatten::Spatten;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pin, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::datapath::importance::{add_output, add_tokens};

use super::{
    operands::{lanes, words},
    requests::Requests,
};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

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
        let (width, bits) = (self.0.softmax.lanes, self.0.datapath_bits);
        // Few places, so that additions collide.
        let rows = self.rows().min(3);
        let mut random = Random::new(plan.seed, 3);
        let rows_added = iter::repeat_with(move || TokenRow::drawn(&mut random, rows, width, bits));
        self.driver(pins, plan, rows, Box::new(rows_added))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let width = self.0.softmax.lanes;
        let mut rows: Vec<TokenRow> = Vec::new();
        // Tokens that have a sum.
        let mut seen = BTreeSet::new();
        for (work, pass) in requests.accepted() {
            if work.begins_text {
                seen.clear();
            }
            let mut added: BTreeMap<(u32, bool), TokenRow> = BTreeMap::new();
            for (&token, &code) in work.tokens.iter().zip(&pass.probabilities) {
                let (row, lane) = (token / width, token % width);
                let fresh = !seen.contains(&token);
                let codes = vec![0; width as usize];
                let empty = TokenRow { row: row.into(), fresh, keep: 0, codes };
                let row = added.entry((row, fresh)).or_insert(empty);
                row.keep |= 1 << lane;
                row.codes[lane as usize] = code;
            }
            seen.extend(work.tokens.iter().copied());
            rows.extend(added.into_values());
        }
        let used = rows.iter().map(|row| row.row + 1).max().unwrap_or(1);
        Ok(self.driver(pins, plan, used, Box::new(rows.into_iter())))
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

/// A row of probabilities.
struct TokenRow {
    row: u64,
    /// Whether the sums start from zero.
    fresh: bool,
    keep: u64,
    codes: Vec<u16>,
}

impl TokenRow {
    fn drawn(random: &mut Random, rows: u64, width: u32, bits: u32) -> Self {
        let keep = if random.chance(1, 4) { random.bits(width) } else { lanes(width) };
        let largest = random.chance(7, 8);
        let code = |_| if largest { (1 << bits) - 1 } else { random.bits(bits) } as u16;
        let codes = (0..width).map(code).collect();
        Self { row: random.below(rows), fresh: random.chance(1, 4096), keep, codes }
    }
}

impl TokenImportance {
    fn rows(&self) -> u64 {
        let Spatten { softmax, topk_token, .. } = &self.0;
        topk_token.capacity.div_ceil(softmax.lanes).max(2).into()
    }

    /// `used` rows are read.
    fn driver(
        &self,
        pins: &Pins,
        plan: Plan,
        used: u64,
        rows: Source<TokenRow>,
    ) -> Box<dyn Vectors> {
        let width = self.0.softmax.lanes;
        let [valid, fresh, row_pin] =
            ["add_valid", "add_fresh", "add_row"].map(|pin| pins.input(pin));
        let (keep_pin, read_row) = (pins.input("add_keep"), pins.input("read_row"));
        let data = pins.input_lanes("add_probability", width);
        let sums = pins.output_lanes("importance", width);
        let (mut random, mut gives) = (Random::new(plan.seed, 1), Pace::new(plan.seed, 2));
        let mut places = Places::new(vec![vec![0u64; width as usize]; self.rows() as usize], used);
        let mut rows = rows.peekable();
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats || places.are_through(&mut rows) {
                return false;
            }
            places.expect(frame, &sums);
            let added = if gives.willing() { rows.next() } else { None };
            frame.drive(valid, u64::from(added.is_some()));
            let reads = places.reads(&mut random);
            frame.drive(read_row, reads);
            let Some(TokenRow { row, fresh: is_fresh, keep, codes }) = added else {
                for pin in data.iter().chain([&fresh, &row_pin, &keep_pin]) {
                    frame.drive(*pin, random.bits(16));
                }
                places.end(Some(reads));
                return true;
            };
            frame.count_beat();
            frame.drive(row_pin, row);
            frame.drive(fresh, u64::from(is_fresh));
            frame.drive(keep_pin, keep);
            for (pin, code) in data.iter().zip(&codes) {
                frame.drive(*pin, (*code).into());
            }
            let mut kept: Vec<u32> = (0..width).collect();
            kept.retain(|lane| keep >> lane & 1 == 1);
            let added: Vec<u16> = kept.iter().map(|lane| codes[*lane as usize]).collect();
            places.change(row, |sums| {
                if is_fresh {
                    kept.iter().for_each(|lane| sums[*lane as usize] = 0);
                }
                add_tokens(sums, &kept, &added);
            });
            places.end(None);
            true
        })
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
        let mut random = Random::new(plan.seed, 3);
        let outputs = iter::repeat_with(move || Output {
            head: random.below(heads),
            fresh: random.chance(1, 64),
            words: words(&mut random, head_dim, bits),
        });
        self.driver(pins, plan, heads, Box::new(outputs))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let mut seen = BTreeSet::new();
        let outputs = requests.accepted().map(|(work, pass)| {
            if work.begins_text {
                seen.clear();
            }
            let (head, words) = (work.head.into(), pass.output.clone());
            Output { head, fresh: seen.insert(work.head), words }
        });
        let outputs: Vec<Output> = outputs.collect();
        let heads = outputs.iter().map(|output| output.head + 1).max().unwrap_or(1);
        let most = self.0.topk_token.capacity;
        if heads > most.into() {
            return Err(format!("{heads} heads do not fit {most} places"));
        }
        Ok(self.driver(pins, plan, heads, Box::new(outputs.into_iter())))
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

/// What one pass adds to the importance of its head.
struct Output {
    head: u64,
    /// Whether the sum starts from zero.
    fresh: bool,
    words: Vec<i32>,
}

impl HeadImportance {
    /// `heads` sums are added to and read.
    fn driver(
        &self,
        pins: &Pins,
        plan: Plan,
        heads: u64,
        outputs: Source<Output>,
    ) -> Box<dyn Vectors> {
        let head_dim = self.0.head_dim;
        let stages = 1 + head_dim.ilog2() as usize;
        let [valid, fresh, head_pin] =
            ["add_valid", "add_fresh", "add_head"].map(|pin| pins.input(pin));
        let read_head = pins.input("read_head");
        let data = pins.input_lanes("add_word", head_dim);
        let sums = [pins.output("importance")];
        let (mut random, mut gives) = (Random::new(plan.seed, 1), Pace::new(plan.seed, 2));
        let mut places = Places::new(vec![vec![0u64]; heads as usize], heads);
        let mut outputs = outputs.peekable();
        let mut pipeline: VecDeque<Option<Output>> = (0..stages).map(|_| None).collect();
        Box::new(move |frame: &mut Frame| {
            let is_empty = pipeline.iter().all(Option::is_none);
            if frame.beats() >= plan.beats || is_empty && places.are_through(&mut outputs) {
                return false;
            }
            places.expect(frame, &sums);
            let given = if gives.willing() { outputs.next() } else { None };
            frame.drive(valid, u64::from(given.is_some()));
            match &given {
                Some(output) => {
                    frame.drive(fresh, u64::from(output.fresh));
                    frame.drive(head_pin, output.head);
                    for (pin, word) in data.iter().zip(&output.words) {
                        frame.drive(*pin, i64::from(*word).cast_unsigned());
                    }
                }
                None => {
                    for pin in data.iter().chain([&fresh, &head_pin]) {
                        frame.drive(*pin, random.bits(16));
                    }
                }
            }
            let reads = places.reads(&mut random);
            frame.drive(read_head, reads);
            pipeline.push_back(given);
            let arrives = pipeline.pop_front().flatten();
            let read = arrives.is_none().then_some(reads);
            if let Some(output) = arrives {
                frame.count_beat();
                places.change(output.head, |sums| {
                    sums[0] = if output.fresh { 0 } else { sums[0] };
                    add_output(&mut sums[0], &output.words);
                });
            }
            places.end(read);
            true
        })
    }
}

/// Sums by place. A read sees all additions of the cycles before.
struct Places {
    sums: Vec<Vec<u64>>,
    /// What the read of this cycle sees.
    before: Vec<Vec<u64>>,
    /// What was read in the last cycle.
    read: Option<Vec<u64>>,
    /// Places that are read, from the first on.
    used: u64,
    /// Places that have been read since the last addition, if no more come.
    looked_at: u64,
}

impl Places {
    fn new(sums: Vec<Vec<u64>>, used: u64) -> Self {
        Self { before: sums.clone(), sums, read: None, used, looked_at: 0 }
    }

    /// Whether no additions are left and all sums have been shown since the last one.
    fn are_through<T>(&mut self, additions: &mut Peekable<Source<T>>) -> bool {
        let is_last = additions.peek().is_none();
        self.looked_at += u64::from(is_last);
        // One cycle for the last addition, one for the last read.
        is_last && self.looked_at > self.used + 2
    }

    /// A place to read: any, and one after the other in the end.
    fn reads(&self, random: &mut Random) -> u64 {
        match self.looked_at {
            0 => random.below(self.used),
            looked_at => looked_at % self.used,
        }
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
