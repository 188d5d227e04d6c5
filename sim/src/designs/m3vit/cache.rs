//! A cache of experts, the design that M3ViT compares reordering with.
//!
//! The paper says that it exists and how long it takes. Assumed: of the experts of a token, those that are
//! there are computed first, so that none of them is thrown out before its turn; the others replace the
//! least recently used.

/// Experts on the chip, the least recently used first.
#[derive(Debug, Clone)]
pub struct Cache {
    capacity: usize,
    experts: Vec<u32>,
}

impl Cache {
    /// An empty cache for `capacity` experts.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, experts: Vec::new() }
    }

    /// Uses the experts of one token; how many had to be loaded.
    pub fn token(&mut self, experts: &[u32]) -> usize {
        let (hits, misses): (Vec<u32>, Vec<u32>) =
            experts.iter().copied().partition(|expert| self.experts.contains(expert));
        self.experts.retain(|expert| !hits.contains(expert));
        self.experts.extend(hits);
        for &expert in &misses {
            if self.experts.len() >= self.capacity && !self.experts.is_empty() {
                self.experts.remove(0);
            }
            self.experts.push(expert);
        }
        misses.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_last_token_had_is_there() {
        let mut cache = Cache::new(2);
        let loads = [[1, 2], [2, 1], [3, 1], [1, 2], [4, 5]].map(|token| cache.token(&token));
        // 3 replaces 2, then 2 replaces 3.
        assert_eq!(loads, [2, 0, 1, 1, 2]);
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut cache = Cache::new(3);
        let loads = [[1, 2], [2, 3], [4, 3], [2, 1]].map(|token| cache.token(&token));
        // 4 replaces 1; then 2 is there and 1 is not.
        assert_eq!(loads, [2, 1, 1, 1]);
    }
}
