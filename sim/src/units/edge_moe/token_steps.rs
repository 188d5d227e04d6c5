//! The order in which queries and keys meet, for both products of attention.

use attelier_hw::edge_moe::Sizes;

use crate::units::edge_qk_product::query_of;

/// A token step: a key of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenStep {
    /// How many steps came before.
    pub number: u64,
    tokens: u64,
    slots: u64,
    steps: u64,
}

/// What a slot does in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// Its query, if there is one.
    pub query: Option<u32>,
    /// The key is the first one of the query.
    pub first: bool,
    /// The key is the last one of the query.
    pub last: bool,
}

impl TokenStep {
    /// The first step.
    pub fn first(sizes: &Sizes) -> Self {
        let (tokens, slots) = (sizes.tokens.into(), sizes.queries.into());
        Self { number: 0, tokens, slots, steps: sizes.token_steps() }
    }

    /// The step after this one.
    pub fn next(self) -> Option<Self> {
        let number = self.number + 1;
        (number < self.steps).then_some(Self { number, ..self })
    }

    /// The key.
    pub fn key(&self) -> u64 {
        self.number % self.tokens
    }

    /// What a slot does.
    pub fn slot(&self, slot: u32) -> Slot {
        let (pass, key) = ((self.number / self.tokens) as usize, self.key());
        let query = query_of(pass, key as usize, slot as usize, self.slots as usize);
        let query = query.filter(|query| (*query as u64) < self.tokens);
        let last = (key + 1) % self.tokens == u64::from(slot);
        Slot { query: query.map(|query| query as u32), first: key == u64::from(slot), last }
    }

    /// The slot that gets its next query, if there is one.
    pub fn renewed(&self) -> Option<u32> {
        let slot = u32::try_from(self.key()).ok().filter(|slot| u64::from(*slot) < self.slots)?;
        self.slot(slot).query.map(|_| slot)
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::EdgeMoe;

    use super::*;

    /// Every query meets every key exactly once, whatever the number of queries at a time.
    #[test]
    fn every_query_meets_every_key_once() {
        let mut sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        for (tokens, queries) in [(129, 4), (7, 3), (7, 4), (8, 2), (9, 5)] {
            (sizes.tokens, sizes.queries) = (tokens, queries);
            let mut met = vec![0; (tokens * tokens) as usize];
            let (mut renewed, mut firsts, mut lasts) = (0, 0, 0);
            let mut step = Some(TokenStep::first(&sizes));
            while let Some(now) = step {
                renewed += u32::from(now.renewed().is_some());
                for slot in (0..queries).map(|slot| now.slot(slot)) {
                    if let Some(query) = slot.query {
                        met[(u64::from(query * tokens) + now.key()) as usize] += 1;
                        firsts += u32::from(slot.first);
                        lasts += u32::from(slot.last);
                    }
                }
                step = now.next();
            }
            assert!(met.iter().all(|count| *count == 1), "{tokens} tokens, {queries} queries");
            assert_eq!([renewed, firsts, lasts], [tokens; 3]);
        }
    }
}
