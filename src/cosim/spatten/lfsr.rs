//! Pivot generator: steps now and then; with real requests as often as their selections have rounds.

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Error,
    mutate::{Change, Mutation},
    units::spatten::lfsr::Lfsr as Rtl,
    witness::{Frame, Pins, Vectors},
};
use attelier_sim::units::lfsr::Lfsr as Model;

use super::{
    buffered::{SEED, rounds},
    requests::Requests,
};
use crate::cosim::{Pace, Plan, Unit};

/// The generator of an engine of that many lanes.
struct Lfsr(usize);

/// The unit of the local-value engine.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    Box::new(Lfsr(params.topk_value.parallelism as usize))
}

impl Unit for Lfsr {
    fn name(&self) -> &'static str {
        "lfsr"
    }

    fn parameters(&self) -> String {
        format!("16 bits from {SEED}")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&Rtl { seed: SEED }.module()?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        Box::new(driver(pins, plan))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let steps = rounds(&requests.value_selections()?, self.0).len() as u64;
        Ok(Box::new(driver(pins, Plan { beats: steps.min(plan.beats), ..plan })))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let mutation = |signal, change| Mutation { module: "lfsr", signal, change };
        vec![mutation("feedback", Change::Inverted), mutation("state", Change::Delayed)]
    }
}

fn driver(pins: &Pins, plan: Plan) -> impl FnMut(&mut Frame) -> bool + use<> {
    let (step, next) = (pins.input("step"), pins.output("next"));
    let (mut model, mut pace) = (Model::new(SEED), Pace::new(plan.seed, 1));
    move |frame: &mut Frame| {
        if frame.beats() >= plan.beats {
            return false;
        }
        let steps = pace.willing();
        frame.drive(step, steps.into());
        let mut ahead = model;
        frame.expect(next, ahead.step().into());
        if steps {
            model = ahead;
            frame.count_beat();
        }
        true
    }
}
