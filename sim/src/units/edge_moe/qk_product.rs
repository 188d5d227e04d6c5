//! Queries times keys (`src/attention.cpp` of the released code): a few queries stay while all keys pass, a
//! word per cycle; each step of a token leaves a score of every head for every slot.

use attelier_hw::edge_moe::Sizes;

use super::running_softmax::Scores;
use super::token_steps::TokenStep;
use crate::datapath::fixed::Fixed;
use crate::units::edge_qk_product::EdgeQkProduct;

/// Operands, products, scale, sums, and what leaves \[cycles\].
const STAGES: u64 = 5;

/// Words that are offered in a cycle.
#[derive(Debug, Clone, Copy, Default)]
pub struct Words<'a> {
    /// Of a query.
    pub query: Option<&'a [i32]>,
    /// Of a key.
    pub key: Option<&'a [i32]>,
}

/// The unit.
#[derive(Debug, Clone)]
pub struct QkProduct {
    sizes: Sizes,
    arithmetic: EdgeQkProduct,
    cycle: u64,
    busy: bool,
    step: Option<TokenStep>,
    /// Words of the step's key so far, and of the query that comes beside it.
    key: Vec<i32>,
    query: Vec<i32>,
    /// Queries that stay, by slot.
    queries: Vec<Vec<i32>>,
    /// Scores of a step, and from when on they are offered.
    scores: Vec<Scores>,
    from: u64,
    steps: u64,
}

impl QkProduct {
    /// Nothing to multiply.
    pub fn new(sizes: &Sizes) -> Self {
        let head_width = (sizes.width / sizes.heads) as usize;
        Self {
            sizes: sizes.clone(),
            arithmetic: EdgeQkProduct::new(Fixed::default(), sizes.lanes as usize, head_width),
            cycle: 0,
            busy: false,
            step: None,
            key: Vec::new(),
            query: Vec::new(),
            queries: vec![Vec::new(); sizes.queries as usize],
            scores: Vec::new(),
            from: 0,
            steps: 0,
        }
    }

    /// Words of keys that were taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Whether a product is under way; only if not, one may start.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Whether all scores have left in this cycle.
    pub fn is_done(&self) -> bool {
        self.busy && self.step.is_none() && self.scores.is_empty()
    }

    /// Whether a word of a query and one of a key are taken when these are offered.
    pub fn takes(&self, query: bool, key: bool) -> [bool; 2] {
        let last_word = self.key.len() + self.sizes.lanes as usize == self.sizes.width as usize;
        let Some(step) = self.step.filter(|_| !last_word || self.scores.is_empty()) else {
            return [false; 2];
        };
        let needs_query = step.renewed().is_some();
        [needs_query && key, !needs_query || query]
    }

    /// Scores that are offered.
    pub fn offered(&self) -> Option<&Scores> {
        self.scores.first().filter(|_| self.from <= self.cycle)
    }

    /// One cycle: starts a product, takes the words that are offered as [`takes`](Self::takes) says, and
    /// gives scores away if they are `taken`.
    pub fn tick(&mut self, start: bool, words: Words<'_>, taken: bool) {
        let is_done = self.is_done();
        let [takes_query, takes_key] = self.takes(words.query.is_some(), words.key.is_some());
        if taken && self.offered().is_some() {
            self.scores.remove(0);
        }
        if let (Some(step), Some(key), true) = (self.step, words.key, takes_key) {
            self.steps += 1;
            self.key.extend(key);
            self.query.extend(words.query.filter(|_| takes_query).into_iter().flatten());
            if self.key.len() == self.sizes.width as usize {
                self.end_step(step);
            }
        }
        if start && !self.busy {
            (self.busy, self.step) = (true, Some(TokenStep::first(&self.sizes)));
        }
        self.busy &= !is_done;
        self.cycle += 1;
    }

    fn end_step(&mut self, step: TokenStep) {
        if let Some(slot) = step.renewed() {
            self.queries[slot as usize] = std::mem::take(&mut self.query);
        }
        let scores = (0u32..).zip(&self.queries).map(|(slot, query)| {
            let now = step.slot(slot);
            let scores = match now.query {
                Some(_) => self.arithmetic.scores(query, &self.key),
                None => Vec::new(),
            };
            Scores { slot, keep: now.query.is_some(), first: now.first, last: now.last, scores }
        });
        self.scores = scores.collect();
        self.from = self.cycle + STAGES + u64::from(self.sizes.lanes.ilog2());
        self.key.clear();
        self.step = step.next();
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::EdgeMoe;

    use super::*;
    use crate::datapath::fixed::ONE;

    /// Two heads of two features, 5 tokens, 2 queries at a time: every score against plain arithmetic.
    #[test]
    fn all_scores_are_those_of_the_definition() {
        let mut sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        (sizes.tokens, sizes.width, sizes.heads, sizes.lanes, sizes.queries) = (5, 8, 2, 2, 2);
        let token = |seed: i32| -> Vec<i32> {
            (0..8).map(|feature| (seed * 7 + feature * 3) % 11 * ONE / 4).collect()
        };
        let (queries, keys): (Vec<_>, Vec<_>) = (1..6).map(|at| (token(at), token(at + 9))).unzip();
        let mut unit = QkProduct::new(&sizes);
        unit.tick(true, Words::default(), true);
        let words = |tokens: &[Vec<i32>]| tokens.concat();
        let (query_words, key_words) = (words(&queries), words(&keys));
        let (mut query_at, mut key_at, mut found) = (0, 0, Vec::new());
        while unit.is_busy() {
            let query = query_words.chunks(2).nth(query_at);
            let key = key_words.chunks(2).nth(key_at % 20);
            let [takes_query, takes_key] = unit.takes(query.is_some(), true);
            if let Some(scores) = unit.offered().filter(|scores| scores.keep) {
                found.push(scores.clone());
            }
            unit.tick(false, Words { query, key }, true);
            query_at += usize::from(takes_query);
            key_at += usize::from(takes_key);
        }
        assert_eq!((query_at, key_at as u64, found.len()), (20, 4 * sizes.token_steps(), 25));
        // Queries begin when key 0 or 1 passes, two of them per pass.
        for (slot, first) in [(0, 0), (1, 1)] {
            let of_slot: Vec<_> = found.iter().filter(|scores| scores.slot == slot).collect();
            for (at, scores) in of_slot.iter().enumerate() {
                let (query, key) = (2 * (at / 5) + first, (at % 5 + first) % 5);
                for head in 0..2 {
                    let range = 4 * head..4 * head + 4;
                    let exact: f64 = queries[query][range.clone()]
                        .iter()
                        .zip(&keys[key][range])
                        .map(|(q, k)| f64::from(*q) * f64::from(*k) / f64::from(ONE))
                        .sum();
                    // Quarters of features and half of their sum: nothing is cut.
                    assert_eq!(f64::from(scores.scores[head]), exact / 2.0, "{query} {key}");
                }
                assert_eq!([scores.first, scores.last], [at % 5 == 0, at % 5 == 4]);
            }
        }
    }
}
