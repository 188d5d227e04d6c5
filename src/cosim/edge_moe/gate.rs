//! The gate: random tokens and weights, some of the latter alike so that logits tie. A beat is a word of a
//! token.

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::units::edge_moe::WEIGHT_BITS;
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::gate::Gate as Model;

use super::operands::{FEATURE_BITS, number, packed};
use crate::cosim::{Pace, Plan, Random, Unit};

struct Gate(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(Gate(sizes.clone()))
}

impl Unit for Gate {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn parameters(&self) -> String {
        let Sizes { chosen, experts, width, .. } = &self.0;
        format!("{chosen} of {experts} experts, tokens of {width} features")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::gate(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let sizes = self.0.clone();
        let [valid, data, takes, write, expert_pin, address, weights] = [
            "s_axis_tvalid",
            "s_axis_tdata",
            "m_axis_tready",
            "weight_write",
            "weight_expert",
            "weight_address",
            "weight_data",
        ]
        .map(|name| pins.input(name));
        let [ready, offered] = ["s_axis_tready", "m_axis_tvalid"].map(|name| pins.output(name));
        let experts = pins.output_lanes("m_axis_expert", sizes.chosen);
        let scores = pins.output_lanes("m_axis_score", sizes.chosen);
        let mut model = Model::new(&sizes);
        let mut random = Random::new(plan.seed, 1);
        let (mut gives, mut pops) = (Pace::new(plan.seed, 2), Pace::new(plan.seed, 3));
        let all = sizes.experts * sizes.token_words();
        let (mut writes, mut waiting) = (0..all, None::<Vec<i32>>);
        let mut row: Vec<i16> = Vec::new();
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats {
                return false;
            }
            if model.is_idle() && waiting.is_none() && writes.is_empty() && random.chance(1, 512) {
                writes = 0..all;
            }
            let next = if model.is_idle() { writes.next() } else { None };
            frame.drive(write, u64::from(next.is_some()));
            if let Some(at) = next {
                let (word, expert) = (at / sizes.experts, at % sizes.experts);
                // Experts with the same weights have the same logits.
                if expert == 0 || random.chance(1, 2) {
                    let weight = |_| number(&mut random, WEIGHT_BITS - 3) as i16;
                    row = (0..sizes.lanes).map(weight).collect();
                }
                frame.drive(expert_pin, expert.into());
                frame.drive(address, word.into());
                let bits = row.iter().map(|weight| i64::from(*weight));
                frame.drive_bits(weights, &packed(bits, WEIGHT_BITS));
                model.write(expert as usize, word as usize, &row);
            }
            if waiting.is_none() && writes.is_empty() && next.is_none() && gives.willing() {
                let wide = if random.chance(1, 64) { FEATURE_BITS } else { 22 };
                let feature = |_| number(&mut random, wide) as i32;
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
            for (at, (expert, score)) in model.offered().into_iter().flatten().enumerate() {
                frame.expect(experts[at], *expert as u64);
                frame.expect(scores[at], *score as u32 as u64);
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
        let of = |signal, change| Mutation { module: "gate", signal, change };
        vec![
            of("beats_1", Change::Inverted),
            of("moves_1", Change::Zero),
            of("first_expert", Change::Zero),
            of("is_turn", Change::Inverted),
            of("total", Change::Zero),
            of("distance", Change::Zero),
            of("last_choice", Change::Inverted),
            Mutation { module: "gate_logit", signal: "kept", change: Change::Zero },
            Mutation { module: "running_sum_of_one", signal: "larger", change: Change::Inverted },
        ]
    }
}
