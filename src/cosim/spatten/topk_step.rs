//! Top-k step: the rows and pivots of the comparator array.

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Error,
    mutate::{Change, Mutation},
    units::spatten::topk_step::TopKStep as Rtl,
    witness::{Frame, Pins, Vectors},
};
use attelier_sim::units::zero_eliminator::eliminate;

use super::{
    comparator_array::{Row, drawn, real},
    requests::Requests,
};
use crate::cosim::{Plan, Random, Source, Unit};

struct TopKStep(Rtl);

/// The unit of the local-value engine.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    let lanes = params.topk_value.parallelism;
    Box::new(TopKStep(Rtl { lanes, width: params.datapath_bits }))
}

impl Unit for TopKStep {
    fn name(&self) -> &'static str {
        "topk_step"
    }

    fn parameters(&self) -> String {
        format!("{} lanes of {} bits", self.0.lanes, self.0.width)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&self.0.module()?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let Rtl { lanes, width } = self.0;
        self.driver(pins, plan, drawn(Random::new(plan.seed, 6), lanes, width))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        Ok(self.driver(pins, plan, real(requests, self.0.lanes)?))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |module, signal, change| Mutation { module, signal, change };
        vec![
            of("comparator_array", "is_smaller_0", Change::Inverted),
            of("comparator_array", "is_larger_0", Change::Zero),
            of("zero_eliminator", "layer_1_data_0", Change::Exchanged),
            of("zero_eliminator", "layer_0_steps_3", Change::Inverted),
        ]
    }
}

impl TopKStep {
    fn driver(&self, pins: &Pins, plan: Plan, mut rows: Source<Row>) -> Box<dyn Vectors> {
        let lanes = self.0.lanes;
        let (pivot_pin, valid_pin) = (pins.input("pivot"), pins.input("valid"));
        let data_pins = pins.input_lanes("s_data", lanes);
        let sides = ["smaller", "larger"]
            .map(|side| (pins.output(&format!("{side}_count")), pins.output_lanes(side, lanes)));
        Box::new(move |frame: &mut Frame| {
            if frame.beats() == plan.beats {
                return false;
            }
            let Some(Row { elements, valid, pivot }) = rows.next() else { return false };
            frame.count_beat();
            frame.drive(pivot_pin, pivot);
            frame.drive(valid_pin, valid);
            for (pin, element) in data_pins.iter().zip(&elements) {
                frame.drive(*pin, *element);
            }
            let goes_there: [fn(u64, u64) -> bool; 2] =
                [|x, pivot| x < pivot, |x, pivot| x > pivot];
            for ((count_pin, out_pins), goes_there) in sides.iter().zip(goes_there) {
                let keep = elements.iter().zip(0..).fold(0, |keep, (element, lane)| {
                    keep | u64::from(goes_there(*element, pivot)) << lane
                });
                let mut compacted = elements.clone();
                let count = eliminate(&mut compacted, keep & valid);
                frame.expect(*count_pin, count as u64);
                for (pin, element) in out_pins.iter().zip(&compacted[..count]) {
                    frame.expect(*pin, *element);
                }
            }
            true
        })
    }
}
