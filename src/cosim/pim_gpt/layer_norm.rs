//! Layer normalization: rows of up to a few beats, weights and biases as the unit asks for them.

use attelier_hw::pim_gpt::PimGpt;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::datapath::bf16::{Bf16, Fp32};
use attelier_sim::designs::pim_gpt::functional::asic::Norm;
use attelier_sim::units::pim_layer_norm::PimLayerNorm;
use attelier_sim::units::pim_rows::Beat;

use super::operands::{moderate, number};
use super::rows::{Rows, lanes, longest};
use crate::cosim::{Plan, Random, Unit};

/// A number in BF16.
const ELEMENT_BYTES: u64 = 2;

struct LayerNorm(PimGpt);

/// The unit of a machine's ASIC.
pub fn unit(params: &PimGpt) -> Box<dyn Unit> {
    Box::new(LayerNorm(params.clone()))
}

impl Unit for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn parameters(&self) -> String {
        let asic = &self.0.asic;
        format!("{} of {} lanes", lanes(asic), asic.multipliers)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::pim_gpt::layer_norm(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let lanes = lanes(&self.0.asic);
        let [inverse_width, epsilon] = ["inverse_width", "epsilon"].map(|name| pins.input(name));
        let [weights, biases] = ["weight", "bias"].map(|name| pins.input_lanes(name, lanes));
        let results = pins.output_lanes("result", lanes);
        let [valid, last, asks, beat_pin] =
            ["result_valid", "result_last", "affine_read", "affine_beat"]
                .map(|name| pins.output(name));
        let ready = pins.output("s_axis_tready");
        let mut model = PimLayerNorm::new(lanes as usize);
        let mut rows = Rows::new(pins, lanes, plan, longest(&self.0.asic, ELEMENT_BYTES));
        let mut random = Random::new(plan.seed, 4);
        let (mut wild, mut flat, mut level) = (false, false, Bf16::ZERO);
        let mut norm = Norm { weight: Vec::new(), bias: Vec::new(), epsilon: Fp32::ZERO };
        // Of the row that is read back.
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        let mut asked: Option<u64> = None;
        let mut quiet = 0;
        Box::new(move |frame: &mut Frame| {
            quiet += 1;
            if frame.beats() >= plan.beats && rows.is_between() && quiet > 200 {
                return false;
            }
            if rows.is_between() {
                wild = random.chance(1, 16);
                // A row of equal numbers now and then: its variance is rounding alone.
                flat = random.chance(1, 8);
                level = moderate(&mut random);
            }
            let open = model.is_ready();
            frame.expect(ready, u64::from(open));
            let beat = rows.offer(frame, open, |random| match (wild, flat) {
                (true, _) => number::<7>(random),
                (_, true) => level,
                _ => moderate(random),
            });
            quiet = if beat.is_some() { 0 } else { quiet };
            if let Some(beat) = &beat {
                let kind = |random: &mut Random| moderate(random);
                norm.weight.extend(beat.numbers.iter().map(|_| kind(&mut random)));
                norm.bias.extend(beat.numbers.iter().map(|_| kind(&mut random)));
                let small: Fp32 = moderate(&mut random);
                norm.epsilon = Fp32::from_bits(small.to_bits() & 0x3fff_ffff);
            }
            let ends = beat.as_ref().is_some_and(|beat| beat.last);
            let width = match ends {
                true => Fp32::from_f64(1.0 / norm.weight.len() as f64),
                false => moderate(&mut random),
            };
            frame.drive(inverse_width, width.to_bits().into());
            let value = if ends { norm.epsilon } else { moderate(&mut random) };
            frame.drive(epsilon, value.to_bits().into());
            for (numbers, lanes_of) in [(&weight, &weights), (&bias, &biases)] {
                let first = asked.map(|at| at as usize * lanes as usize);
                for (lane, pin) in lanes_of.iter().enumerate() {
                    let given = first.and_then(|first| numbers.get(first + lane));
                    let given: Option<Bf16> = given.copied();
                    let bits = given.unwrap_or_else(|| moderate(&mut random)).to_bits();
                    frame.drive(*pin, bits.into());
                }
            }
            let shown = model.tick(beat, &norm);
            if ends {
                (weight, bias) = (std::mem::take(&mut norm.weight), std::mem::take(&mut norm.bias));
            }
            asked = shown.asks;
            frame.expect(asks, u64::from(asked.is_some()));
            if let Some(at) = asked {
                frame.expect(beat_pin, at);
            }
            frame.expect(valid, u64::from(shown.results.is_some()));
            if let Some(Beat { numbers: shown, last: is_last }) = shown.results {
                frame.expect(last, u64::from(is_last));
                for (lane, pin) in results.iter().enumerate() {
                    let bits = shown.get(lane).map_or(0, |number| number.to_bits());
                    frame.expect(*pin, bits.into());
                }
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |module, signal, change| Mutation { module, signal, change };
        vec![
            of("layer_norm", "adds_0", Change::Inverted),
            of("layer_norm", "square_0", Change::Undelayed),
            of("layer_norm", "mean", Change::Zero),
            of("layer_norm", "keep_1", Change::Zero),
            of("layer_norm", "is_final", Change::Delayed),
            of("layer_norm", "result_register_0", Change::Delayed),
            of("layer_norm_statistics", "positive", Change::Zero),
            of("layer_norm_statistics", "squared_mean", Change::Zero),
            of("layer_norm_affine", "minus_mean", Change::Zero),
            of("layer_norm_affine", "weighted", Change::Undelayed),
        ]
    }
}
