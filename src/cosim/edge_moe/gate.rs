//! The gate: tokens and weights of an image, or drawn ones, some of the weights alike so that logits tie. A
//! beat is a word of a token.

use std::{collections::VecDeque, iter};

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::units::edge_moe::WEIGHT_BITS;
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::gate::Gate as Model;

use super::image::{Image, Traffic};
use super::operands::{FEATURE_BITS, Results, features, number, packed};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

/// A token.
#[derive(Debug, Clone)]
pub struct Token {
    /// Weights, word after word and in it expert after expert, where they change before it.
    pub weights: Vec<Vec<i16>>,
    /// Its words.
    pub words: Vec<Vec<i32>>,
}

struct Gate(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(Gate(sizes.clone()))
}

impl Unit for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn parameters(&self) -> String {
        let Sizes { chosen, experts, width, .. } = &self.0;
        format!("{chosen} of {experts} experts, tokens of {width} features")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::gate(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (sizes, mut random) = (self.0.clone(), Random::new(plan.seed, 1));
        let first = drawn(&sizes, true, &mut random);
        let others = iter::repeat_with(move || {
            let changes = random.chance(1, 16);
            drawn(&sizes, changes, &mut random)
        });
        let tokens = Box::new(iter::once(first).chain(others));
        driver(&self.0, pins, plan, tokens, Results::unknown())
    }

    fn image(&self, pins: &Pins, plan: Plan, image: &Image) -> Result<Box<dyn Vectors>, String> {
        let Traffic { given, results } = image.gate.needed()?.clone();
        let (given, results) = (Box::new(given.into_iter()), Results::known(results));
        Ok(driver(&self.0, pins, plan, given, results))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "gate", signal, change };
        vec![
            of("beats_1", Change::Inverted),
            of("moves_1", Change::Zero),
            of("first_expert", Change::Zero),
            of("is_turn", Change::Inverted),
            of("total", Change::Zero),
            of("distance", Change::Zero),
            of("last_choice", Change::Inverted),
            Mutation { module: "gate_logit", signal: "kept", change: Change::Zero },
            Mutation { module: "running_sum_of_one", signal: "larger", change: Change::Inverted },
        ]
    }
}

/// A token whose features are small, but now and then.
fn drawn(sizes: &Sizes, changes: bool, random: &mut Random) -> Token {
    let mut weights: Vec<Vec<i16>> = Vec::new();
    if changes {
        for at in 0..sizes.experts * sizes.token_words() {
            // Experts with the same weights have the same logits.
            let as_before = at % sizes.experts > 0 && random.chance(1, 2);
            let row = weights.last().filter(|_| as_before).cloned().unwrap_or_else(|| {
                (0..sizes.lanes).map(|_| number(random, WEIGHT_BITS - 3) as i16).collect()
            });
            weights.push(row);
        }
    }
    let words = (0..sizes.token_words()).map(|_| {
        let wide = if random.chance(1, 64) { FEATURE_BITS } else { 22 };
        features(random, sizes.lanes, wide)
    });
    Token { weights, words: words.collect() }
}

fn driver(
    sizes: &Sizes,
    pins: &Pins,
    plan: Plan,
    mut source: Source<Token>,
    mut results: Results<Vec<(usize, i32)>>,
) -> Box<dyn Vectors> {
    let [valid, data, takes, write, expert_pin, address, weights] = [
        "s_axis_tvalid",
        "s_axis_tdata",
        "m_axis_tready",
        "weight_write",
        "weight_expert",
        "weight_address",
        "weight_data",
    ]
    .map(|name| pins.input(name));
    let [ready, offered] = ["s_axis_tready", "m_axis_tvalid"].map(|name| pins.output(name));
    let experts = pins.output_lanes("m_axis_expert", sizes.chosen);
    let scores = pins.output_lanes("m_axis_score", sizes.chosen);
    let count = sizes.experts as usize;
    let mut model = Model::new(sizes);
    let (mut gives, mut pops) = (Pace::new(plan.seed, 2), Pace::new(plan.seed, 3));
    let mut writes: VecDeque<(usize, Vec<i16>)> = VecDeque::new();
    let mut words: VecDeque<Vec<i32>> = VecDeque::new();
    let mut waiting: Option<Vec<i32>> = None;
    Box::new(move |frame: &mut Frame| {
        if words.is_empty()
            && waiting.is_none()
            && let Some(token) = source.next()
        {
            writes = token.weights.into_iter().enumerate().collect();
            words = token.words.into();
        }
        let is_through = words.is_empty() && waiting.is_none() && model.is_idle();
        if frame.beats() >= plan.beats || is_through {
            return false;
        }
        let next = if model.is_idle() { writes.pop_front() } else { None };
        frame.drive(write, u64::from(next.is_some()));
        if let Some((at, row)) = &next {
            let (word, expert) = (at / count, at % count);
            frame.drive(expert_pin, expert as u64);
            frame.drive(address, word as u64);
            let bits = row.iter().map(|weight| i64::from(*weight));
            frame.drive_bits(weights, &packed(bits, WEIGHT_BITS));
            model.write(expert, word, row);
        }
        if waiting.is_none() && writes.is_empty() && next.is_none() && gives.willing() {
            waiting = words.pop_front();
        }
        frame.drive(valid, u64::from(waiting.is_some()));
        if let Some(word) = &waiting {
            let word = word.iter().map(|feature| i64::from(*feature));
            frame.drive_bits(data, &packed(word, FEATURE_BITS));
        }
        let taken = pops.willing();
        frame.drive(takes, u64::from(taken));
        let open = model.is_ready();
        frame.expect(ready, u64::from(open));
        let shown = model.offered();
        frame.expect(offered, u64::from(shown.is_some_and(|chosen| results.allow(chosen))));
        for (at, (expert, score)) in shown.into_iter().flatten().enumerate() {
            frame.expect(experts[at], *expert as u64);
            frame.expect(scores[at], *score as u32 as u64);
        }
        if taken && shown.is_some() {
            results.leave();
        }
        let word = if open { waiting.take() } else { None };
        if word.is_some() {
            frame.count_beat();
        }
        model.tick(word.as_deref(), taken);
        true
    })
}
