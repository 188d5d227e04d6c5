//! The sequencer of calls: images of one to five layers, calls that take random times. A beat is a call.

use attelier_hw::edge_moe::TopSizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::call_sequencer::{CallSequencer as Model, calls};

use crate::cosim::{Plan, Random, Unit};

struct CallSequencer(TopSizes);

/// The unit of a machine.
pub fn unit(sizes: &TopSizes) -> Box<dyn Unit> {
    Box::new(CallSequencer(sizes.clone()))
}

impl Unit for CallSequencer {
    fn name(&self) -> &'static str {
        "call_sequencer"
    }

    fn parameters(&self) -> String {
        format!("{} experts of {}", self.0.units.experts, self.0.expert_hidden)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::call_sequencer(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let [start, layers_pin, weights_pin, gates_pin, idle] =
            ["start", "layers", "weights", "gates", "call_idle"].map(|name| pins.input(name));
        let [number, begins, weight_address, gate_address, busy, done] =
            ["call", "begins", "weight_address", "gate_address", "busy", "done"]
                .map(|name| pins.output(name));
        let sizes = self.0.clone();
        let mut model = Model::default();
        let mut random = Random::new(plan.seed, 1);
        let mut layers = 1;
        Box::new(move |frame: &mut Frame| {
            let call = model.call();
            if frame.beats() >= plan.beats && call.is_none() {
                return false;
            }
            let starts = call.is_none() && random.chance(1, 3);
            let [weights, gates] = [(); 2].map(|()| random.bits(24) as u32 * 16);
            if starts {
                layers = 1 + random.below(5) as u32;
            }
            // Layers stay as they are; a start while an image is under way changes nothing.
            frame.drive(start, u64::from(starts || call.is_some() && random.chance(1, 8)));
            frame.drive(layers_pin, layers.into());
            frame.drive(weights_pin, weights.into());
            frame.drive(gates_pin, gates.into());
            let is_idle = random.chance(1, 3);
            frame.drive(idle, is_idle.into());
            frame.expect(busy, call.is_some().into());
            frame.expect(done, model.is_done().into());
            frame.expect(begins, call.is_some_and(|(_, begins)| begins).into());
            if let Some((call, is_first)) = call {
                frame.expect(number, call.number.into());
                frame.expect(weight_address, call.weights.into());
                frame.expect(gate_address, call.gates.into());
                if is_first {
                    frame.count_beat();
                }
            }
            let image = starts.then(|| calls(&sizes, layers, weights, gates));
            model.tick(image, is_idle);
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "call_sequencer", signal, change };
        vec![
            of("has_experts", Change::Inverted),
            of("weight_pointer_step", Change::Zero),
            of("gate_pointer_step", Change::Zero),
            of("settles", Change::Zero),
            of("layer_ends", Change::Delayed),
            of("next_call", Change::Inverted),
            of("starts", Change::Delayed),
        ]
    }
}
