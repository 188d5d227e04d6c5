//! Functions of an ASIC lane: a number per cycle, results after the latency that the documentation
//! states.

use std::collections::VecDeque;

use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::units::pim_gpt::{self as rtl, FunctionUnit};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error};
use attelier_sim::datapath::bf16::Fp32;
use attelier_sim::datapath::bf16_functions as model;

use super::operands::{moderate, near, number};
use crate::cosim::{Plan, Random, Unit};

struct Function {
    name: &'static str,
    hardware: fn() -> Result<FunctionUnit, Error>,
    model: fn(Fp32) -> Fp32,
    /// As in `docs/designs/pim-gpt.md` \[cycles\]: a register behind every multiplication and addition.
    latency: usize,
    /// Where the method changes.
    edges: &'static [f32],
    faults: &'static [(&'static str, Change)],
}

const FUNCTIONS: [Function; 5] = [
    Function {
        name: "reciprocal",
        hardware: rtl::reciprocal,
        model: model::reciprocal,
        latency: 16,
        edges: &[1.0, 0.0],
        faults: &[
            ("guess_3", Change::Undelayed),
            ("is_zero", Change::Zero),
            ("is_nan", Change::Zero),
            ("unsigned_result", Change::Exchanged),
            ("shifted_half", Change::Exchanged),
        ],
    },
    Function {
        name: "inverse_square_root",
        hardware: rtl::inverse_square_root,
        model: model::inverse_square_root,
        latency: 5,
        edges: &[1.0, 0.0],
        faults: &[
            ("root", Change::Undelayed),
            ("seed", Change::Exchanged),
            ("refused", Change::Zero),
        ],
    },
    Function {
        name: "exponential",
        hardware: rtl::exponential,
        model: model::exponential,
        latency: 18,
        edges: &[89.0, -88.0, 0.0, 1.0],
        faults: &[
            ("steps", Change::Zero),
            ("low", Change::Zero),
            ("above", Change::Zero),
            ("below", Change::Zero),
            ("is_nan", Change::Zero),
            ("series_sum_0", Change::Undelayed),
        ],
    },
    Function {
        name: "tanh",
        hardware: rtl::tanh,
        model: model::tanh,
        latency: 37,
        edges: &[0.5, -0.5, 0.0, 9.0],
        faults: &[
            ("is_near", Change::Zero),
            ("is_negative", Change::Zero),
            ("near", Change::Undelayed),
            ("far", Change::Zero),
        ],
    },
    Function {
        name: "gelu",
        hardware: rtl::gelu,
        model: model::gelu,
        latency: 44,
        edges: &[0.0, 1.0, -3.0],
        faults: &[
            ("cubic_3", Change::Zero),
            ("half", Change::Undelayed),
            ("gated", Change::Zero),
            ("scaled", Change::Delayed),
        ],
    },
];

/// All functions.
pub fn units() -> Vec<Box<dyn Unit>> {
    FUNCTIONS.into_iter().map(|function| Box::new(function) as Box<dyn Unit>).collect()
}

impl Unit for Function {
    fn name(&self) -> &'static str {
        self.name
    }

    fn parameters(&self) -> String {
        format!("FP32, {} cycles", self.latency)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&(self.hardware)()?.0])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (x_pin, y_pin) = (pins.input("x"), pins.output("y"));
        let (model, edges) = (self.model, self.edges);
        let mut random = Random::new(plan.seed, 1);
        let mut pipeline: VecDeque<Option<Fp32>> = vec![None; self.latency].into();
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats {
                return false;
            }
            let x = match random.below(4) {
                0 => number(&mut random),
                1 => {
                    let edge = edges[random.below(edges.len() as u64) as usize];
                    near(&mut random, Fp32::from_f32(edge))
                }
                _ => moderate(&mut random),
            };
            frame.drive(x_pin, x.to_bits().into());
            pipeline.push_back(Some(model(x)));
            if let Some(y) = pipeline.pop_front().flatten() {
                frame.count_beat();
                frame.expect(y_pin, y.to_bits().into());
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let module = self.name;
        let fault = |&(signal, change)| Mutation { module, signal, change };
        self.faults.iter().map(fault).collect()
    }
}
