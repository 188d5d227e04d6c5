//! Layer normalization: tokens at random pace, some of them almost without variance; weights change now and
//! then. A beat is a word of a token.

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::layer_norm::LayerNorm as Model;

use super::operands::{FEATURE_BITS, number, packed};
use crate::cosim::{Pace, Plan, Random, Unit};

/// Width of a weight or bias \[bits\].
const PARAMETER_BITS: u32 = 16;

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
        let sizes = self.0.clone();
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
        let mut model = Model::new(&sizes);
        let mut random = Random::new(plan.seed, 1);
        let (mut gives, mut pops) = (Pace::new(plan.seed, 2), Pace::new(plan.seed, 3));
        let (mut writes, mut waiting) = (0..sizes.token_words(), None::<Vec<i32>>);
        let (mut words, mut spread) = (0, 8);
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats {
                return false;
            }
            if model.is_idle() && waiting.is_none() && random.chance(1, 32) {
                writes = 0..sizes.token_words();
            }
            let next = if model.is_idle() { writes.next() } else { None };
            frame.drive(write, u64::from(next.is_some()));
            if let Some(word) = next {
                let parameters = |random: &mut Random| -> Vec<i32> {
                    (0..sizes.lanes).map(|_| number(random, PARAMETER_BITS) as i32).collect()
                };
                let (weights, biases) = (parameters(&mut random), parameters(&mut random));
                frame.drive(address, word.into());
                let bits =
                    |values: &[i32]| packed(values.iter().map(|v| i64::from(*v)), PARAMETER_BITS);
                frame.drive_bits(weight, &bits(&weights));
                frame.drive_bits(bias, &bits(&biases));
                model.write(word as usize, &weights, &biases);
            }
            if waiting.is_none() && writes.is_empty() && next.is_none() && gives.willing() {
                if words % sizes.token_words() == 0 {
                    spread = [2, 12, 20, 24, 26, 32][random.below(6) as usize];
                }
                words += 1;
                let feature = |_| number(&mut random, spread) as i32;
                waiting = Some((0..sizes.lanes).map(feature).collect());
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
            frame.expect(offered, u64::from(model.offered().is_some()));
            if let Some(word) = model.offered() {
                let word = word.iter().map(|feature| i64::from(*feature));
                frame.expect_bits(output, &packed(word, FEATURE_BITS));
            }
            let word = if open { waiting.take() } else { None };
            if word.is_some() {
                frame.count_beat();
            }
            model.tick(word.as_deref(), taken);
            true
        })
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
