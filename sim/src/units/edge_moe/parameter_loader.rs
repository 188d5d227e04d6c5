//! The loader of layer norms, gates and the patch embedding (`load_norms`, `load_w_gate` and the patch weights
//! of the released code): where each number of a stream of words belongs.

use attelier_hw::edge_moe::Sizes;

/// What is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A layer norm: weights and biases of a word of features in one word.
    Norm,
    /// A gate, expert by expert.
    Gate,
    /// The patch embedding, feature by feature, then its bias.
    Patch,
}

/// A write, in the order of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// Weights and biases of a word of a layer norm.
    Norm {
        /// Word of a token.
        word: u32,
    },
    /// Weights of an expert for a word of a token.
    Gate {
        /// The expert.
        expert: u32,
        /// Word of a token.
        word: u32,
    },
    /// Weights of a feature for a line of a patch.
    Patch {
        /// Feature of the word.
        lane: u32,
        /// Line of all colours, times words of a token, plus the word.
        address: u32,
    },
    /// Bias of a word of features of the patch embedding.
    PatchBias {
        /// Word of a token.
        word: u32,
    },
}

/// The unit.
#[derive(Debug, Clone)]
pub struct ParameterLoader {
    sizes: Sizes,
    kind: Option<Kind>,
    /// Steps so far.
    at: u32,
}

/// What a cycle writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Where to.
    pub written: Written,
    /// The upper half of the word, where halves are written.
    pub upper: bool,
    /// The word is done.
    pub ends_word: bool,
}

impl ParameterLoader {
    /// Nothing to load.
    pub fn new(sizes: &Sizes) -> Self {
        Self { sizes: sizes.clone(), kind: None, at: 0 }
    }

    /// Whether something is loaded; only if not, something may start.
    pub fn is_busy(&self) -> bool {
        self.kind.is_some()
    }

    /// Steps of all weights of the patch embedding, and of everything that is loaded.
    fn steps(&self, kind: Kind) -> (u32, u32) {
        let words = self.sizes.token_words();
        let weights = self.sizes.width * self.sizes.colours * self.sizes.patch;
        match kind {
            Kind::Norm => (0, words),
            Kind::Gate => (0, self.sizes.experts * words),
            Kind::Patch => (weights, weights + words),
        }
    }

    /// What is written in a cycle in which a word is there.
    pub fn step(&self) -> Option<Step> {
        let kind = self.kind?;
        let (weights, all) = self.steps(kind);
        let (words, lanes) = (self.sizes.token_words(), self.sizes.lanes);
        let of_halves = |at: u32, count: u32| (at % 2 == 1, at % 2 == 1 || at + 1 == count);
        let (written, (upper, ends_word)) = match kind {
            Kind::Norm => (Written::Norm { word: self.at }, (false, true)),
            Kind::Gate => {
                let (expert, word) = (self.at / words, self.at % words);
                (Written::Gate { expert, word }, of_halves(self.at, all))
            }
            Kind::Patch if self.at < weights => {
                let lines = self.sizes.colours * self.sizes.patch;
                let (feature, line) = (self.at / lines, self.at % lines);
                let (word, lane) = (feature / lanes, feature % lanes);
                (Written::Patch { lane, address: line * words + word }, (false, true))
            }
            Kind::Patch => {
                let word = self.at - weights;
                (Written::PatchBias { word }, of_halves(word, words))
            }
        };
        Some(Step { written, upper, ends_word })
    }

    /// One cycle: starts something, or a word is there.
    pub fn tick(&mut self, start: Option<Kind>, has_word: bool) {
        match self.kind {
            None => (self.kind, self.at) = (start, 0),
            Some(kind) if has_word => {
                self.at += 1;
                if self.at == self.steps(kind).1 {
                    self.kind = None;
                }
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::EdgeMoe;

    use super::*;

    /// Numbers of the deployed model: 24 words of a norm, 192 of a gate, 9,216 of the patch embedding and 12
    /// of its bias.
    #[test]
    fn the_deployed_model_is_loaded_in_its_words() {
        let sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        let words = |kind| {
            let mut unit = ParameterLoader::new(&sizes);
            unit.tick(Some(kind), true);
            let mut words = 0;
            while let Some(step) = unit.step() {
                words += u32::from(step.ends_word);
                unit.tick(None, true);
            }
            words
        };
        assert_eq!([Kind::Norm, Kind::Gate, Kind::Patch].map(words), [24, 192, 9216 + 12]);
    }

    /// The tensor (192, 3, 16, 16) of the released weights, a line of 16 in a word.
    #[test]
    fn weights_of_a_patch_come_feature_by_feature() {
        let sizes = Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        let mut unit = ParameterLoader::new(&sizes);
        unit.tick(Some(Kind::Patch), false);
        for feature in 0..192 {
            for line in 0..48 {
                let written =
                    Written::Patch { lane: feature % 8, address: line * 24 + feature / 8 };
                assert_eq!(unit.step().unwrap().written, written);
                unit.tick(None, true);
            }
        }
        assert_eq!(unit.step().unwrap().written, Written::PatchBias { word: 0 });
    }
}
