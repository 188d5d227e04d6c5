//! GELU: features around the table, or what a linear layer of an image leaves. A beat is a block of outputs.

use std::{collections::VecDeque, iter};

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::units::edge_moe as rtl;
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error};
use attelier_sim::units::edge_gelu;

use super::image::{Image, Traffic};
use super::operands::{FEATURE_BITS, Results, number};
use crate::cosim::{Plan, Random, Source, Unit};

/// Entries, interpolation, difference \[cycles\].
const LATENCY: usize = 3;

/// Outputs side by side.
#[derive(Debug, Clone)]
pub struct Block {
    /// Whether GELU follows; if not, the features pass.
    pub with_gelu: bool,
    /// One per lane.
    pub features: Vec<i32>,
}

struct Gelu(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(Gelu(sizes.clone()))
}

impl Unit for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn parameters(&self) -> String {
        format!("{} features", self.0.block_outputs)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&rtl::gelu(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (lanes, mut random) = (self.0.block_outputs, Random::new(plan.seed, 1));
        let blocks = iter::repeat_with(move || drawn(lanes, &mut random));
        driver(lanes, pins, plan, Box::new(blocks), Results::unknown())
    }

    fn image(&self, pins: &Pins, plan: Plan, image: &Image) -> Result<Box<dyn Vectors>, String> {
        let Traffic { given, results } = image.gelu.needed()?.clone();
        let (given, results) = (Box::new(given.into_iter()), Results::known(results));
        Ok(driver(self.0.block_outputs, pins, plan, given, results))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let lane = |signal, change| Mutation { module: "gelu_lane", signal, change };
        vec![
            lane("is_near", Change::Zero),
            lane("entry_above", Change::Zero),
            lane("rest", Change::Undelayed),
            lane("passes", Change::Inverted),
            lane("magnitude", Change::Exchanged),
        ]
    }
}

/// Most features are where the table is.
fn drawn(lanes: u32, random: &mut Random) -> Block {
    let feature = |random: &mut Random| match random.below(4) {
        0 => number(random, FEATURE_BITS) as i32,
        _ => (random.bits(26) as i32) - (1 << 25),
    };
    let with_gelu = random.chance(7, 8);
    Block { with_gelu, features: (0..lanes).map(|_| feature(random)).collect() }
}

fn driver(
    lanes: u32,
    pins: &Pins,
    plan: Plan,
    mut source: Source<Block>,
    mut results: Results<Vec<i32>>,
) -> Box<dyn Vectors> {
    let (with_gelu, x, y) =
        (pins.input("with_gelu"), pins.input_lanes("x", lanes), pins.output_lanes("y", lanes));
    let mut later: VecDeque<Option<Vec<i32>>> = VecDeque::from(vec![None; LATENCY]);
    Box::new(move |frame: &mut Frame| {
        let block = if frame.beats() < plan.beats { source.next() } else { None };
        if block.is_none() && later.iter().all(Option::is_none) {
            return false;
        }
        if let Some(shown) = later.pop_front().flatten() {
            // There is no valid bit: what contradicts the image is expected inverted.
            let wrong = if results.allow(&shown) { 0 } else { u64::MAX };
            results.leave();
            for (pin, feature) in y.iter().zip(shown) {
                frame.expect(*pin, feature as u32 as u64 ^ wrong);
            }
        }
        later.push_back(block.map(|Block { with_gelu: is_gelu, features }| {
            frame.drive(with_gelu, u64::from(is_gelu));
            for (pin, feature) in x.iter().zip(&features) {
                frame.drive(*pin, *feature as u32 as u64);
            }
            frame.count_beat();
            let result = |x| if is_gelu { edge_gelu::gelu(x) } else { x };
            features.into_iter().map(result).collect()
        }));
        true
    })
}
