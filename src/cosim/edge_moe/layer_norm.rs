//! Layer normalization: tokens at random pace, drawn, some of them almost without variance, or those of an
//! image; weights change now and then. A beat is a word of a token.

use std::{collections::VecDeque, iter};

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::layer_norm::LayerNorm as Model;

use super::image::{Image, Traffic};
use super::operands::{FEATURE_BITS, Results, features, packed};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

/// Width of a weight or bias \[bits\].
const PARAMETER_BITS: u32 = 16;

/// A token.
#[derive(Debug, Clone)]
pub struct Token {
    /// Weights and biases of each word, where they change before it.
    pub parameters: Vec<[Vec<i32>; 2]>,
    /// Its words.
    pub words: Vec<Vec<i32>>,
}

struct LayerNorm(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(LayerNorm(sizes.clone()))
}

impl Unit for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn parameters(&self) -> String {
        format!("tokens of {} features, {} lanes", self.0.width, self.0.lanes)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::layer_norm(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (sizes, mut random) = (self.0.clone(), Random::new(plan.seed, 1));
        let first = drawn(&sizes, true, &mut random);
        let others = iter::repeat_with(move || {
            let changes = random.chance(1, 4);
            drawn(&sizes, changes, &mut random)
        });
        let tokens = Box::new(iter::once(first).chain(others));
        driver(&self.0, pins, plan, tokens, Results::unknown())
    }

    fn image(&self, pins: &Pins, plan: Plan, image: &Image) -> Result<Box<dyn Vectors>, String> {
        let Traffic { given, results } = image.layer_norm.needed()?.clone();
        let (given, results) = (Box::new(given.into_iter()), Results::known(results));
        Ok(driver(&self.0, pins, plan, given, results))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "layer_norm", signal, change };
        vec![
            of("mean_before", Change::Zero),
            of("part_0_then", Change::Undelayed),
            of("square_part_1", Change::Zero),
            of("variance_is_positive", Change::Inverted),
            of("difference_1", Change::Undelayed),
            of("scaled_0", Change::Undelayed),
            of("extracts", Change::Delayed),
            Mutation { module: "square_root", signal: "fits", change: Change::Inverted },
            Mutation { module: "divider", signal: "fits", change: Change::Inverted },
        ]
    }
}

/// A token of one size of features.
fn drawn(sizes: &Sizes, changes: bool, random: &mut Random) -> Token {
    let words = 0..sizes.token_words();
    let spread = [2, 12, 20, 24, 26, 32][random.below(6) as usize];
    let mut parameters = Vec::new();
    if changes {
        let word = |_| [0; 2].map(|_| features(random, sizes.lanes, PARAMETER_BITS));
        parameters = words.clone().map(word).collect();
    }
    Token { parameters, words: words.map(|_| features(random, sizes.lanes, spread)).collect() }
}

fn driver(
    sizes: &Sizes,
    pins: &Pins,
    plan: Plan,
    mut source: Source<Token>,
    mut results: Results<Vec<i32>>,
) -> Box<dyn Vectors> {
    let [valid, data, write, address, weight, bias, takes] = [
        "s_axis_tvalid",
        "s_axis_tdata",
        "parameter_write",
        "parameter_address",
        "parameter_weight",
        "parameter_bias",
        "m_axis_tready",
    ]
    .map(|name| pins.input(name));
    let [ready, offered, output] =
        ["s_axis_tready", "m_axis_tvalid", "m_axis_tdata"].map(|name| pins.output(name));
    let mut model = Model::new(sizes);
    let (mut gives, mut pops) = (Pace::new(plan.seed, 2), Pace::new(plan.seed, 3));
    let mut writes: VecDeque<(usize, [Vec<i32>; 2])> = VecDeque::new();
    let mut words: VecDeque<Vec<i32>> = VecDeque::new();
    let mut waiting: Option<Vec<i32>> = None;
    Box::new(move |frame: &mut Frame| {
        if words.is_empty()
            && waiting.is_none()
            && let Some(token) = source.next()
        {
            writes = token.parameters.into_iter().enumerate().collect();
            words = token.words.into();
        }
        let is_through = words.is_empty() && waiting.is_none() && model.is_idle();
        if frame.beats() >= plan.beats || is_through {
            return false;
        }
        let next = if model.is_idle() { writes.pop_front() } else { None };
        frame.drive(write, u64::from(next.is_some()));
        if let Some((word, [weights, biases])) = &next {
            frame.drive(address, *word as u64);
            let bits =
                |values: &[i32]| packed(values.iter().map(|v| i64::from(*v)), PARAMETER_BITS);
            frame.drive_bits(weight, &bits(weights));
            frame.drive_bits(bias, &bits(biases));
            model.write(*word, weights, biases);
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
        frame.expect(offered, u64::from(shown.is_some_and(|word| results.allow(word))));
        if let Some(word) = shown {
            let word = word.iter().map(|feature| i64::from(*feature));
            frame.expect_bits(output, &packed(word, FEATURE_BITS));
            if taken {
                results.leave();
            }
        }
        let word = if open { waiting.take() } else { None };
        if word.is_some() {
            frame.count_beat();
        }
        model.tick(word.as_deref(), taken);
        true
    })
}
