//! The sequencer of calls (`src/ViT_compute.cpp` of the released code): an image as a list of calls with the
//! addresses of what they load, and when each begins.

use std::collections::VecDeque;

use attelier_hw::edge_moe::TopSizes;

/// Calls before the layers.
const BEFORE: u32 = 2;
/// Calls of every layer before its mixer: both norms, four linear layers, attention and an addition.
const ATTENTION: u32 = 15;
/// Calls of a dense mixer, and of one with experts.
const MIXER: u32 = 4;

/// A call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Its number: those of an image, of attention, of a dense mixer, of one with experts, of the last addition.
    pub number: u32,
    /// Where its weights lie, or those of the next call that loads some \[B\].
    pub weights: u32,
    /// The same of gates \[B\].
    pub gates: u32,
}

/// The calls of an image whose weights begin at `weights`, and whose gates begin at `gates`.
pub fn calls(sizes: &TopSizes, layers: u32, weights: u32, gates: u32) -> Vec<Call> {
    let units = &sizes.units;
    let halves = |numbers: u32| (2 * numbers).div_ceil(sizes.word_bytes());
    let matrix = |inputs: u32, outputs: u32| halves(inputs * outputs) + halves(outputs);
    let square = matrix(units.width, units.width);
    let norm = halves(2 * units.width);
    let mut list = Vec::new();
    let (mut weights, mut gates) = (weights, gates);
    let mut call = |number: u32, weight_words: u32, gate_words: u32| {
        list.push(Call { number, weights, gates });
        weights = weights.wrapping_add(weight_words.wrapping_mul(sizes.word_bytes()));
        gates = gates.wrapping_add(gate_words.wrapping_mul(sizes.word_bytes()));
    };
    let patch = units.width * units.colours * units.patch * units.patch;
    call(0, halves(patch) + halves(units.width), 0);
    call(1, 0, 0);
    for layer in 0..layers {
        let loads = [(0, norm), (2, square), (4, square), (7, square), (10, square), (13, norm)];
        for at in 0..ATTENTION {
            let load = loads.iter().find(|(call, _)| *call == at);
            call(BEFORE + at, load.map_or(0, |(_, words)| *words), 0);
        }
        let dense = BEFORE + ATTENTION;
        if layer % 2 == 0 {
            call(dense, matrix(units.width, units.hidden), 0);
            call(dense + 1, 0, 0);
            call(dense + 2, matrix(units.hidden, units.width), 0);
            call(dense + 3, 0, 0);
        } else {
            let hidden = sizes.expert_hidden;
            let expert = matrix(units.width, hidden) + matrix(hidden, units.width);
            call(dense + MIXER, 0, halves(units.experts * units.width));
            call(dense + MIXER + 1, 0, 0);
            call(dense + MIXER + 2, 0, 0);
            call(dense + MIXER + 3, units.experts * expert, 0);
        }
        call(dense + 2 * MIXER, 0, 0);
    }
    list
}

/// The unit.
#[derive(Debug, Clone, Default)]
pub struct CallSequencer {
    /// The call under way, and those after it.
    calls: VecDeque<Call>,
    /// Cycles since it began.
    age: u32,
    is_done: bool,
}

impl CallSequencer {
    /// The call under way, and whether this is its first cycle.
    pub fn call(&self) -> Option<(Call, bool)> {
        self.calls.front().map(|call| (*call, self.age == 0))
    }

    /// Whether an image became complete in the cycle before.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// One cycle: an image starts, or nothing of the call is under way.
    pub fn tick(&mut self, start: Option<Vec<Call>>, call_idle: bool) {
        self.is_done = false;
        if self.calls.is_empty() {
            self.calls.extend(start.into_iter().flatten());
            self.age = 0;
        } else if self.age >= 2 && call_idle {
            self.calls.pop_front();
            self.age = 0;
            self.is_done = self.calls.is_empty();
        } else {
            self.age += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::edge_moe::EdgeMoe;

    use super::*;

    /// The deployed model: 17,983,488 trained numbers of 16 bits, less 2 x 6 gates and positions, which lie
    /// apart; layer norms and biases fill whole words.
    #[test]
    fn the_weights_of_the_deployed_model_lie_one_after_the_other() {
        let sizes = TopSizes::deployed(&EdgeMoe::preset("edge-moe").unwrap());
        let calls = calls(&sizes, 12, 0, 0);
        assert_eq!(calls.len(), 2 + 12 * 20);
        let last = calls.last().unwrap();
        let layer = 4 * 192 + 4 * (192 * 192 + 192);
        let dense = 2 * 192 * 768 + 768 + 192;
        let expert = 2 * 192 * 384 + 384 + 192;
        let patch = 192 * 3 * 16 * 16 + 192;
        assert_eq!(last.weights, 2 * (patch + 12 * layer + 6 * dense + 6 * 16 * expert));
        assert_eq!(last.gates, 6 * 16 * 192 * 2);
    }
}
