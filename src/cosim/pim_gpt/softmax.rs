//! Softmax: mostly rows of a few beats, some as long as they may be, the corners of the format now and then.

use attelier_hw::pim_gpt::PimGpt;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::datapath::bf16::Fp32;
use attelier_sim::units::pim_rows::Beat;
use attelier_sim::units::pim_softmax::PimSoftmax;

use super::operands::{moderate, number};
use super::rows::{Rows, lanes, longest};
use crate::cosim::{Plan, Random, Unit};

/// A score in FP32.
const SCORE_BYTES: u64 = 4;

struct Softmax(PimGpt);

/// The unit of a machine's ASIC.
pub fn unit(params: &PimGpt) -> Box<dyn Unit> {
    Box::new(Softmax(params.clone()))
}

impl Unit for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn parameters(&self) -> String {
        let asic = &self.0.asic;
        format!("{} of {} lanes", lanes(asic), asic.multipliers)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::pim_gpt::softmax(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let lanes = lanes(&self.0.asic);
        let scale_pin = pins.input("scale");
        let numbers = pins.output_lanes("number", lanes);
        let [valid, last, factor_valid, factor] =
            ["number_valid", "number_last", "factor_valid", "factor"].map(|name| pins.output(name));
        let ready = pins.output("s_axis_tready");
        let mut model = PimSoftmax::new(lanes as usize);
        let mut rows = Rows::new(pins, lanes, plan, longest(&self.0.asic, SCORE_BYTES));
        let mut random = Random::new(plan.seed, 4);
        let (mut wild, mut scale) = (false, Fp32::ONE);
        let mut quiet = 0;
        Box::new(move |frame: &mut Frame| {
            quiet += 1;
            if frame.beats() >= plan.beats && rows.is_between() && quiet > 200 {
                return false;
            }
            if rows.is_between() {
                // What is no number, or infinite, stays in a sum; few rows have it.
                wild = random.chance(1, 16);
                let factor: Fp32 = moderate(&mut random);
                scale = Fp32::from_bits(factor.to_bits() & 0x3fff_ffff | 0x3c00_0000);
            }
            let open = model.is_ready();
            frame.expect(ready, u64::from(open));
            let beat = rows.offer(frame, open, |random| match wild {
                true => number::<23>(random),
                false => moderate(random),
            });
            quiet = if beat.is_some() { 0 } else { quiet };
            frame.drive(scale_pin, scale.to_bits().into());
            let shown = model.tick(beat, scale);
            frame.expect(valid, u64::from(shown.numbers.is_some()));
            if let Some(Beat { numbers: shown, last: is_last }) = shown.numbers {
                frame.expect(last, u64::from(is_last));
                for (lane, pin) in numbers.iter().enumerate() {
                    let bits = shown.get(lane).map_or(0, |number| number.to_bits());
                    frame.expect(*pin, bits.into());
                }
            }
            frame.expect(factor_valid, u64::from(shown.factor.is_some()));
            if let Some(value) = shown.factor {
                frame.expect(factor, value.to_bits().into());
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "softmax", signal, change };
        vec![
            of("takes_0", Change::Zero),
            of("largest", Change::Zero),
            of("minus_largest", Change::Zero),
            of("distance_0", Change::Undelayed),
            of("sums_0", Change::Zero),
            of("summed", Change::Zero),
            of("is_final", Change::Delayed),
            of("number_register_0", Change::Delayed),
            Mutation { module: "reciprocal", signal: "guess_3", change: Change::Undelayed },
        ]
    }
}
