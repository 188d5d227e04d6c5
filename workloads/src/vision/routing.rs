//! How many tokens each expert gets.

use std::str::FromStr;

use super::shape::{ImageShape, refuse};
use crate::PresetError;
use crate::draw::uniform;

/// Tokens of each expert of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    queues: Vec<u32>,
    /// Experts of each token, where they are known.
    choices: Option<Vec<Vec<u32>>>,
}

/// How unequal the experts are of which tokens draw theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skew {
    /// The expert of rank r has weight r^-s; s in hundredths.
    Zipf(u32),
    /// The limit: all tokens have the same experts, a single one where each token has one.
    All,
}

/// Largest exponent of [`Skew::Zipf`], in hundredths; beyond it one expert has all the weight.
const MAX_ZIPF: f64 = 2000.0;

impl FromStr for Skew {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "all" {
            return Ok(Self::All);
        }
        let hundredths = text.parse::<f64>().map_err(|_| ())? * 100.0;
        // Compared before the cast, which saturates; a NaN is in no range.
        if !(0.0..=MAX_ZIPF).contains(&hundredths) {
            return Err(());
        }
        Ok(Self::Zipf(hundredths.round() as u32))
    }
}

impl Routing {
    /// The routing with these tokens per expert.
    ///
    /// # Errors
    /// Another number of queues than experts, a queue of more tokens than there are, or a sum that
    /// is not `top_k` for each token.
    pub fn new(queues: Vec<u32>, shape: &ImageShape) -> Result<Self, PresetError> {
        let refuse =
            |found: String, expected: String| PresetError::Knob { knob: "queues", found, expected };
        let (experts, tokens) = (shape.experts, shape.tokens());
        if queues.len() != experts as usize {
            let found = format!("a list of {} lengths", queues.len());
            return Err(refuse(found, format!("one for each of the {experts} experts")));
        }
        if let Some(expert) = queues.iter().position(|&queue| queue > tokens) {
            let found = format!("{} for expert {expert}", queues[expert]);
            return Err(refuse(found, format!("at most the {tokens} tokens, each of them once")));
        }
        let sum: u64 = queues.iter().map(|&queue| u64::from(queue)).sum();
        let assigned = u64::from(tokens) * u64::from(shape.top_k);
        if sum != assigned {
            let found = format!("a list that adds up to {sum}");
            let expected = format!("{assigned}: {tokens} tokens with {} experts each", shape.top_k);
            return Err(refuse(found, expected));
        }
        Ok(Self { queues, choices: None })
    }

    /// Draws different experts for each token of layer `layer`, one after the other, each with the
    /// weight of its rank among those that the token does not have yet.
    ///
    /// `shape` must have passed [`ImageShape::check`]: it has as many experts as a token takes.
    pub(super) fn draw(skew: Skew, shape: &ImageShape, seed: u64, layer: u32) -> Self {
        let ranked = ranks(shape.experts, seed, layer);
        // libm, because powers of the platform's library differ in their last bit.
        let weight = |rank: usize| match skew {
            Skew::Zipf(hundredths) => libm::pow((rank + 1) as f64, -f64::from(hundredths) / 100.0),
            Skew::All => 0.0,
        };
        let weights: Vec<f64> = (0..ranked.len()).map(weight).collect();
        let mut queues = vec![0; ranked.len()];
        let mut choices = Vec::with_capacity(shape.tokens() as usize);
        for token in 0..shape.tokens() {
            let mut left: Vec<usize> = (0..ranked.len()).collect();
            let mut chosen = Vec::with_capacity(shape.top_k as usize);
            for choice in 0..shape.top_k {
                let place = match skew {
                    Skew::All => 0,
                    Skew::Zipf(_) => pick(&left, &weights, uniform(seed, layer, token, choice)),
                };
                let expert = ranked[left.remove(place)];
                queues[expert] += 1;
                chosen.push(expert as u32);
            }
            choices.push(chosen);
        }
        Self { queues, choices: Some(choices) }
    }

    /// Experts of each token, where they are known: drawn ones are, lengths of queues do not tell.
    pub fn choices(&self) -> Option<&[Vec<u32>]> {
        self.choices.as_deref()
    }

    /// Tokens of each expert.
    pub fn queues(&self) -> &[u32] {
        &self.queues
    }

    /// Lengths of the queues that are not empty: what the metaqueue leads to.
    pub fn active(&self) -> impl Iterator<Item = u32> + '_ {
        self.queues.iter().copied().filter(|&queue| queue > 0)
    }
}

/// Experts by popularity: an order of its own in each layer.
fn ranks(experts: u32, seed: u64, layer: u32) -> Vec<usize> {
    // No token has this number, so that the order and the choices do not share draws.
    let key = |expert: usize| uniform(seed, layer, u32::MAX, expert as u32);
    let mut order: Vec<usize> = (0..experts as usize).collect();
    order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
    order
}

/// Place in `left` of the rank that `draw` falls to.
fn pick(left: &[usize], weights: &[f64], draw: f64) -> usize {
    let total: f64 = left.iter().map(|&rank| weights[rank]).sum();
    let mut rest = draw * total;
    for (place, &rank) in left.iter().enumerate() {
        rest -= weights[rank];
        if rest < 0.0 {
            return place;
        }
    }
    left.len() - 1
}

/// Refuses a task that the model does not have.
pub(super) fn task(task: u32, tasks: usize) -> Result<usize, PresetError> {
    let index = task as usize;
    if index < tasks {
        return Ok(index);
    }
    Err(refuse("task", task, format!("a whole number from 0 to {}", tasks.saturating_sub(1))))
}

#[cfg(test)]
mod tests {
    use crate::vision::load_with;
    use crate::{Knobs, PresetError};

    const IMAGE: &str = "m3vit-tiny/cityscapes";

    fn queues(set: &[(&str, &str)]) -> Result<Vec<Vec<u32>>, PresetError> {
        let mut knobs = Knobs::default();
        for (name, value) in set {
            knobs.set(name, value)?;
        }
        let image = load_with(IMAGE, &knobs)?;
        Ok(image.routing.iter().map(|routing| routing.queues().to_vec()).collect())
    }

    #[test]
    fn the_measured_queues_are_those_of_the_task() {
        let [first, second] = ["0", "1"].map(|task| queues(&[("task", task)]).unwrap());
        assert_eq!((first.len(), first[0][3], second[0][14]), (6, 32, 51));
        assert!(first.iter().all(|layer| *layer == first[0]));
        assert_eq!(first[0].iter().filter(|&&queue| queue > 0).count(), 12);
        assert_eq!(second[0].iter().filter(|&&queue| queue > 0).count(), 13);
    }

    /// Weights 1, 1/2, 1/3 and 1/4: the most popular of four experts has 48 % of the tokens.
    #[test]
    fn popularity_follows_the_law_of_zipf() {
        let [mut most, mut least] = [0.0; 2];
        for seed in 0..40 {
            let seed = seed.to_string();
            let set = [("experts", "4"), ("top_k", "1"), ("skew", "1"), ("seed", seed.as_str())];
            for layer in queues(&set).unwrap() {
                let mut layer: Vec<f64> = layer.into_iter().map(f64::from).collect();
                layer.sort_by(f64::total_cmp);
                most += layer[3];
                least += layer[0];
            }
        }
        let tokens = 40.0 * 6.0 * 129.0;
        // Sorting by length raises the first and lowers the last by chance; 30,960 draws.
        assert!((most / tokens - 12.0 / 25.0).abs() < 0.01, "{}", most / tokens);
        assert!((least / tokens - 3.0 / 25.0).abs() < 0.015, "{}", least / tokens);
    }

    #[test]
    fn every_token_has_its_experts_once_at_every_skew() {
        for skew in ["0", "0.5", "2", "20", "all"] {
            for layer in queues(&[("skew", skew)]).unwrap() {
                assert_eq!(layer.iter().sum::<u32>(), 2 * 129, "{skew}");
                assert!(layer.iter().all(|&queue| queue <= 129), "{skew}");
            }
        }
        let mut one = queues(&[("skew", "all"), ("top_k", "1")]).unwrap().swap_remove(0);
        one.sort();
        assert_eq!((one[15], one[14]), (129, 0));
    }

    #[test]
    fn draws_differ_by_layer_task_and_seed_and_repeat() {
        let base = queues(&[("skew", "1")]).unwrap();
        assert_eq!(base, queues(&[("skew", "1")]).unwrap());
        assert_ne!(base[0], base[1]);
        assert_ne!(base, queues(&[("skew", "1"), ("task", "1")]).unwrap());
        assert_ne!(base, queues(&[("skew", "1"), ("seed", "1")]).unwrap());
    }

    #[test]
    fn queues_that_cannot_be_are_refused_with_what_they_should_be() {
        let of = |queue: u32| vec![queue.to_string(); 16].join(",");
        let long = format!("130,128{}", ",0".repeat(14));
        for (set, words) in [
            (vec![("queues", of(16).as_str())], "adds up to 256: expected 258: 129 tokens with 2"),
            (vec![("queues", "129,129")], "a list of 2 lengths: expected one for each of the 16"),
            (vec![("queues", long.as_str())], "130 for expert 0: expected at most the 129 tokens"),
            (vec![("queues", "1,x")], "`1,x`: expected whole numbers with commas between"),
            (vec![("queues", "4294967296")], "expected whole numbers"),
            (vec![("experts", "0")], "`experts` is 0: expected a whole number from 1 to 256"),
            (vec![("top_k", "0")], "`top_k` is 0: expected a whole number from 1 to the 16"),
            (vec![("top_k", "17")], "from 1 to the 16 experts"),
            (vec![("task", "2")], "`task` is 2: expected a whole number from 0 to 1"),
            (vec![("skew", "-1")], "`-1`: expected a number from 0 to 20, or `all`"),
            (vec![("skew", "NaN")], "expected a number from 0 to 20"),
            (vec![("skew", "1"), ("queues", "1")], "`skew` is set beside `queues`"),
            (vec![("tokens", "5")], "`tokens` is 5: expected to be left out: this is one image"),
            (vec![("lm_head", "true")], "`lm_head` is true: expected to be left out"),
        ] {
            let text = queues(&set).unwrap_err().to_string();
            assert!(text.contains(words), "{set:?}: {text}");
        }
    }
}
