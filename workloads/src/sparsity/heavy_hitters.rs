//! Heavy hitters: the keys that gathered the most probability, and the most recent ones.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Head, Needs, Sparsity};
use crate::reference::{Cascade, OperandError, expect_value};

/// A cache of at most `heavy` + `recent` keys per head and layer: before each step but the first,
/// all others are evicted for good (H2O, Zhang et al., arXiv 2306.14048; Keyformer, arXiv
/// 2403.09054, accumulates another score).
///
/// The first step, the prefill, sees the whole prompt. Heads and layers evict on their own. When a
/// step brings more keys than `recent`, all of them are recent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeavyHitters {
    /// Keys kept for their accumulated probability \[tokens\].
    pub heavy: u32,
    /// Newest keys kept without regard to it \[tokens\].
    pub recent: u32,
}

impl HeavyHitters {
    pub(super) fn check(&self) -> Result<(), OperandError> {
        expect_value(self.recent > 0, "recent", self.recent, "at least 1, the query's own key")
    }

    pub(super) fn state(&self) -> State {
        State { parameters: self.clone(), caches: BTreeMap::new() }
    }
}

/// The policy with what it remembers.
pub(super) struct State {
    parameters: HeavyHitters,
    /// By layer and head.
    caches: BTreeMap<(u32, u32), Cascade>,
}

impl State {
    fn cache(&mut self, head: &Head<'_>) -> &mut Cascade {
        self.caches.entry((head.layer, head.head)).or_default()
    }
}

impl Sparsity for State {
    fn needs(&self) -> Needs {
        Needs::Counts
    }

    fn begin(&mut self, head: &Head<'_>) -> Result<(), OperandError> {
        head.check(self.needs())?;
        let (heavy, recent) = (self.parameters.heavy as usize, self.parameters.recent as usize);
        let cache = self.cache(head);
        let seen = cache.importance().len();
        let expected = format!("at least the {seen} of the step before");
        expect_value(head.keys >= seen, "keys", head.keys, expected)?;
        let new = head.keys - seen;
        cache.extend(new);
        if seen > 0 {
            let recent = recent.max(new).max(head.queries);
            cache.keep_with_newest(heavy.saturating_add(recent), recent);
        }
        Ok(())
    }

    fn select(
        &mut self,
        head: &Head<'_>,
        query: usize,
        keys: &mut Vec<usize>,
    ) -> Result<(), OperandError> {
        let visible = head.visible(query);
        keys.clear();
        keys.extend(self.cache(head).survivors().iter().take_while(|&&key| key < visible));
        Ok(())
    }

    fn observe(
        &mut self,
        head: &Head<'_>,
        keys: &[usize],
        probabilities: &[f64],
    ) -> Result<(), OperandError> {
        self.cache(head).credit(keys, probabilities)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparsity::Evidence;

    fn head(step: u32, queries: usize, keys: usize) -> Head<'static> {
        let evidence = Evidence::Counts;
        Head { step, layer: 0, head: 0, queries, keys, causal: true, evidence }
    }

    /// One step: the keys of its last query, which then get these probabilities.
    fn step(state: &mut State, head: &Head<'_>, probability: impl Fn(usize) -> f64) -> Vec<usize> {
        state.begin(head).unwrap();
        let mut keys = Vec::new();
        for query in 0..head.queries {
            state.select(head, query, &mut keys).unwrap();
            let probabilities: Vec<f64> = keys.iter().map(|&key| probability(key)).collect();
            state.observe(head, &keys, &probabilities).unwrap();
        }
        keys
    }

    #[test]
    fn the_cache_holds_heavy_and_recent_keys_and_what_left_it_stays_out() {
        let mut state = HeavyHitters { heavy: 1, recent: 2 }.state();
        let favourite = |key| move |other| if other == key { 1.0 } else { 0.0 };
        // A prompt of five: key 2 gathers three, from the queries that see it.
        assert_eq!(step(&mut state, &head(0, 5, 5), favourite(2)), [0, 1, 2, 3, 4]);
        assert_eq!(step(&mut state, &head(1, 1, 6), favourite(4)), [2, 4, 5]);
        assert_eq!(step(&mut state, &head(2, 1, 7), favourite(5)), [2, 5, 6]);
        assert_eq!(step(&mut state, &head(3, 1, 8), favourite(6)), [2, 6, 7]);
        // Key 7 gathers more in one step than key 2 ever did, and takes its place.
        let far = |key| if key == 7 { 5.0 } else { 0.0 };
        assert_eq!(step(&mut state, &head(4, 1, 9), far), [2, 7, 8]);
        assert_eq!(step(&mut state, &head(5, 1, 10), favourite(2)), [7, 8, 9]);
    }

    #[test]
    fn heads_and_layers_have_caches_of_their_own() {
        let mut state = HeavyHitters { heavy: 0, recent: 1 }.state();
        step(&mut state, &head(0, 3, 3), |_| 0.1);
        assert_eq!(step(&mut state, &head(1, 1, 4), |_| 0.1), [3]);
        let other = Head { layer: 1, ..head(1, 1, 4) };
        assert_eq!(step(&mut state, &other, |_| 0.1), [0, 1, 2, 3]);
    }

    #[test]
    fn keys_do_not_vanish_between_steps() {
        let mut state = HeavyHitters { heavy: 1, recent: 1 }.state();
        state.begin(&head(0, 3, 3)).unwrap();
        assert_eq!(state.begin(&head(1, 1, 2)).unwrap_err().operand, "keys");
    }
}
