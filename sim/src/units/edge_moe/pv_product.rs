//! Probabilities times values (`src/attention.cpp` of the released code): the probabilities of the next step
//! are prepared while the words of a value pass; an output leaves while the last value of its query does.

use attelier_hw::edge_moe::Sizes;

use super::outlet::Outlet;
use super::token_steps::TokenStep;
use crate::datapath::fixed::Fixed;
use crate::units::edge_softmax::SoftmaxInfo;

/// Distance, exponential, product and where it is kept: from the last score of a step to its first value.
const PREPARE: u64 = 2 + 4 + 1 + 1;
/// Operands, products, sums, queue: from a word of a value to what it shows.
const LATENCY: u64 = 4;
/// Words that are on their way or wait.
const PLACES: usize = 8;

/// A word of an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Features.
    pub features: Vec<i32>,
    /// The last of its query.
    pub last: bool,
}

/// What is offered in a cycle.
#[derive(Debug, Clone, Copy, Default)]
pub struct Offered<'a> {
    /// What the softmax left of the next query.
    pub info: Option<&'a [SoftmaxInfo]>,
    /// Scores of the next slot, one per head.
    pub scores: Option<&'a [i32]>,
    /// A word of a value.
    pub value: Option<&'a [i32]>,
}

/// The unit.
#[derive(Debug, Clone)]
pub struct PvProduct {
    sizes: Sizes,
    cycle: u64,
    busy: bool,
    /// The step whose scores come, and how many came.
    scoring: Option<TokenStep>,
    scored: Vec<Vec<i32>>,
    /// From when on the probabilities of the next step are there, once all scores came.
    prepared: Option<u64>,
    info: Vec<Vec<SoftmaxInfo>>,
    /// The step whose value comes, and how many of its words came.
    step: Option<TokenStep>,
    words: usize,
    probabilities: Vec<Vec<i32>>,
    /// Sums by slot.
    sums: Vec<Vec<i32>>,
    outlet: Outlet<Word>,
    steps: u64,
}

impl PvProduct {
    /// Nothing to multiply.
    pub fn new(sizes: &Sizes) -> Self {
        let slots = sizes.queries as usize;
        Self {
            sizes: sizes.clone(),
            cycle: 0,
            busy: false,
            scoring: None,
            scored: Vec::new(),
            prepared: None,
            info: vec![Vec::new(); slots],
            step: None,
            words: 0,
            probabilities: Vec::new(),
            sums: vec![vec![0; sizes.width as usize]; slots],
            outlet: Outlet::new(PLACES),
            steps: 0,
        }
    }

    /// Words of values that were taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Whether a product is under way; only if not, one may start.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether all outputs have left in this cycle.
    pub fn is_done(&self) -> bool {
        self.busy && self.step.is_none() && self.outlet.is_empty()
    }

    /// A word that is offered.
    pub fn offered(&self) -> Option<&Word> {
        self.outlet.offered()
    }

    /// Whether info, scores and a word of a value are taken, given what is offered.
    pub fn takes(&self, offered: Offered<'_>) -> [bool; 3] {
        let is_open = self.prepared.is_none();
        let [info, scores] = match self.scoring.filter(|_| is_open) {
            None => [false; 2],
            Some(step) => {
                let needs_info = step.renewed() == Some(self.scored.len() as u32);
                [needs_info && offered.scores.is_some(), !needs_info || offered.info.is_some()]
            }
        };
        let value = self.step.is_some_and(|step| {
            let prepared = self.prepared.is_some_and(|from| from <= self.cycle);
            let has_place = self.finishing(step).is_none() || self.outlet.has_room();
            (self.words > 0 || prepared) && has_place
        });
        [info, scores, value]
    }

    /// The slot whose output is complete after a step.
    fn finishing(&self, step: TokenStep) -> Option<usize> {
        (0..self.sizes.queries).find_map(|slot| {
            let now = step.slot(slot);
            (now.last && now.query.is_some()).then_some(slot as usize)
        })
    }

    /// One cycle: starts a product, takes what is offered as [`takes`](Self::takes) says, and gives a word
    /// away if it is `taken`.
    pub fn tick(&mut self, start: bool, offered: Offered<'_>, taken: bool) {
        let is_done = self.is_done();
        let [_, takes_scores, takes_value] = self.takes(offered);
        if let (true, Some(value), Some(step)) = (takes_value, offered.value, self.step) {
            self.value(step, value);
        }
        if let (true, Some(scores), Some(step)) = (takes_scores, offered.scores, self.scoring) {
            let slot = self.scored.len();
            if let (true, Some(info)) = (step.renewed() == Some(slot as u32), offered.info) {
                self.info[slot] = info.to_vec();
            }
            self.scored.push(scores.to_vec());
            if self.scored.len() == self.sizes.queries as usize {
                self.prepared = Some(self.cycle + PREPARE);
                self.scoring = step.next();
            }
        }
        if start && !self.busy {
            let first = Some(TokenStep::first(&self.sizes));
            (self.busy, self.scoring, self.step) = (true, first, first);
        }
        self.busy &= !is_done;
        self.outlet.advance(taken);
        self.cycle += 1;
    }

    fn value(&mut self, step: TokenStep, value: &[i32]) {
        let fixed = Fixed::default();
        if self.words == 0 {
            let slots = self.scored.iter().zip(&self.info);
            let probability = |(info, score): (&SoftmaxInfo, &i32)| info.probability(fixed, *score);
            let slots =
                slots.map(|(scores, info)| info.iter().zip(scores).map(probability).collect());
            self.probabilities = slots.collect();
            self.scored.clear();
            self.prepared = None;
        }
        self.steps += 1;
        let lanes = value.len();
        let range = self.words * lanes..(self.words + 1) * lanes;
        let head = self.words / self.sizes.head_words() as usize;
        for (slot, sums) in (0u32..).zip(&mut self.sums) {
            let now = step.slot(slot);
            let Some(probability) = self.probabilities[slot as usize].get(head) else { continue };
            for (sum, value) in sums[range.clone()].iter_mut().zip(value) {
                let before = if now.first { 0 } else { *sum };
                *sum = fixed.add(before, fixed.product(*value, *probability));
            }
        }
        self.words += 1;
        let last = self.words == self.sizes.token_words() as usize;
        if let Some(slot) = self.finishing(step) {
            let features = self.sums[slot][range].to_vec();
            self.outlet.enter(LATENCY, Word { features, last });
        }
        if last {
            self.words = 0;
            self.step = step.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::EdgeMoe;

    use super::*;
    use crate::datapath::fixed::ONE;
    use crate::units::edge_pv_product::EdgePvProduct;
    use crate::units::edge_qk_product::key_order;
    use crate::units::edge_softmax::RunningSoftmax;

    /// 5 tokens, 2 queries at a time, one head: outputs of all queries in the order of their end, equal to
    /// those of the arithmetic alone.
    #[test]
    fn outputs_are_those_of_the_arithmetic() {
        let mut sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        (sizes.tokens, sizes.width, sizes.heads, sizes.lanes, sizes.queries) = (5, 4, 1, 2, 2);
        let score = |query: usize, key: usize| ((query * 5 + key * 3) % 7) as i32 * ONE / 3;
        let value = |key: usize| -> Vec<i32> { (0..4).map(|at| (at + key as i32) * ONE).collect() };
        let arithmetic = EdgePvProduct { fixed: Fixed::default(), head_width: 4 };
        let (mut infos, mut expected) = (Vec::new(), Vec::new());
        for query in 0..5 {
            let mut row = RunningSoftmax::new(Fixed::default());
            key_order(query, 5, 2).for_each(|key| row.push(score(query, key)));
            let mut output = vec![0; 4];
            for key in key_order(query, 5, 2) {
                arithmetic.step(&mut output, &[score(query, key)], &[row.info()], &value(key));
            }
            infos.push([row.info()]);
            expected.push(output);
        }
        let mut steps = vec![TokenStep::first(&sizes)];
        while let Some(next) = steps[steps.len() - 1].next() {
            steps.push(next);
        }
        let scores: Vec<[i32; 1]> = steps
            .iter()
            .flat_map(|step| (0..2).map(|slot| (step.slot(slot).query, step.key())))
            .map(|(query, key)| [query.map_or(0, |query| score(query as usize, key as usize))])
            .collect();
        let values: Vec<Vec<i32>> = steps
            .iter()
            .flat_map(|step| {
                value(step.key() as usize).chunks(2).map(<[i32]>::to_vec).collect::<Vec<_>>()
            })
            .collect();
        let mut unit = PvProduct::new(&sizes);
        unit.tick(true, Offered::default(), true);
        let (mut at, mut found) = ([0; 3], Vec::new());
        while unit.is_busy() {
            let offered = Offered {
                info: infos.get(at[0]).map(<[_; 1]>::as_slice),
                scores: scores.get(at[1]).map(<[_; 1]>::as_slice),
                value: values.get(at[2]).map(Vec::as_slice),
            };
            found.extend(unit.offered().map(|word| word.features.clone()));
            let takes = unit.takes(offered);
            unit.tick(false, offered, true);
            at.iter_mut().zip(takes).for_each(|(at, takes)| *at += usize::from(takes));
        }
        assert_eq!(at, [5, scores.len(), values.len()]);
        assert_eq!(found.concat(), expected.concat());
    }
}
