//! Zero eliminator: every cycle a row with random lanes kept.

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Error,
    mutate::{Change, Mutation},
    units::spatten::zero_eliminator::ZeroEliminator as Rtl,
    witness::{Frame, Pins, Vectors},
};
use attelier_sim::units::zero_eliminator::eliminate;

use crate::cosim::{Plan, Random, Unit};

struct ZeroEliminator {
    lanes: u32,
    width: u32,
}

/// The unit of the local-value engine.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    let lanes = params.topk_value.parallelism;
    Box::new(ZeroEliminator { lanes, width: params.datapath_bits })
}

impl Unit for ZeroEliminator {
    fn name(&self) -> &'static str {
        "zero_eliminator"
    }

    fn parameters(&self) -> String {
        format!("{} lanes of {} bits", self.lanes, self.width)
    }

    fn design(&self) -> Result<Design, Error> {
        let unit = Rtl { name: self.name().into(), lanes: self.lanes, width: self.width };
        Design::new([&unit.module()?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let &Self { lanes, width } = self;
        let keep_pin = pins.input("keep");
        let data_pins = pins.input_lanes("s_data", lanes);
        let (count_pin, out_pins) = (pins.output("count"), pins.output_lanes("m_data", lanes));
        let mut random = Random::new(plan.seed, 1);
        Box::new(move |frame: &mut Frame| {
            if frame.beats() == plan.beats {
                return false;
            }
            frame.count_beat();
            // Dense, sparse and even rows, and now and then all or none.
            let keep = match random.below(8) {
                0 => 0,
                1 => u64::MAX,
                2 | 3 => random.bits(64) & random.bits(64),
                4 | 5 => random.bits(64) | random.bits(64),
                _ => random.bits(64),
            };
            let mut row: Vec<u64> = data_pins.iter().map(|_| random.bits(width)).collect();
            frame.drive(keep_pin, keep);
            for (pin, element) in data_pins.iter().zip(&row) {
                frame.drive(*pin, *element);
            }
            let count = eliminate(&mut row, keep);
            frame.expect(count_pin, count as u64);
            for (pin, element) in out_pins.iter().zip(&row[..count]) {
                frame.expect(*pin, *element);
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let mutation = |signal, change| Mutation { module: "zero_eliminator", signal, change };
        vec![
            mutation("layer_0_leaves_1", Change::Zero),
            mutation("layer_1_data_0", Change::Exchanged),
            mutation("layer_0_steps_3", Change::Inverted),
            mutation("layer_0_data_1", Change::Delayed),
        ]
    }
}
