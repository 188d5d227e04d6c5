//! The multiply-accumulate unit of a bank: MACs in bursts, read-outs between them.

use attelier_hw::pim_gpt::{Mac, PimGpt};
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::datapath::bf16::Bf16;
use attelier_sim::units::pim_mac::{Command, PimMac};

use super::operands::{moderate, number, packed};
use crate::cosim::{Pace, Plan, Random, Unit};

struct MacUnit(Mac);

/// The unit of a machine's banks.
pub fn unit(params: &PimGpt) -> Box<dyn Unit> {
    Box::new(MacUnit(params.mac.clone()))
}

impl Unit for MacUnit {
    fn name(&self) -> &'static str {
        "mac_unit"
    }

    fn parameters(&self) -> String {
        format!("{} multipliers", self.0.multipliers)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::pim_gpt::mac_unit(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let [mac, read] = ["mac_valid", "read_valid"].map(|name| pins.input(name));
        let [weight_pin, input_pin] = ["weights", "inputs"].map(|name| pins.input(name));
        let [valid, result] = ["result_valid", "result"].map(|name| pins.output(name));
        let multipliers = self.0.multipliers;
        let mut model = PimMac::new(&self.0);
        let (mut random, mut gives) = (Random::new(plan.seed, 1), Pace::new(plan.seed, 2));
        let mut wild = false;
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats {
                return false;
            }
            let gives = gives.willing();
            let reads = gives && random.chance(1, 12);
            let vector = |random: &mut Random| -> Vec<Bf16> {
                let number = if wild { number } else { moderate };
                (0..multipliers).map(|_| number(random)).collect()
            };
            let (weights, inputs) = (vector(&mut random), vector(&mut random));
            frame.drive(mac, u64::from(gives && !reads));
            frame.drive(read, u64::from(reads));
            frame.drive_bits(weight_pin, &packed(&weights));
            frame.drive_bits(input_pin, &packed(&inputs));
            let command = gives.then_some(match reads {
                true => Command::Read,
                false => Command::Mac { weights, inputs },
            });
            if gives {
                frame.count_beat();
            }
            if reads {
                // Infinity and NaN stay in an accumulator; few sums meet them.
                wild = random.chance(1, 8);
            }
            let shown = model.tick(command);
            frame.expect(valid, u64::from(shown.is_some()));
            if let Some(shown) = shown {
                frame.expect(result, shown.to_bits().into());
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "mac_unit", signal, change };
        vec![
            of("next_accumulator", Change::Exchanged),
            of("changes", Change::Inverted),
            of("mac_0", Change::Undelayed),
            of("result_register", Change::Undelayed),
            of("result_valid_register", Change::Delayed),
            of("product_0", Change::Zero),
            Mutation { module: "fp32_add", signal: "swap", change: Change::Zero },
            Mutation { module: "fp32_to_bf16", signal: "rounds_up", change: Change::Zero },
        ]
    }
}
