//! The adder: words of random features on both streams, plain or weighted from token to token. A beat is a sum.

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::feature_adder::{FeatureAdder as Model, Offered};

use super::operands::{FEATURE_BITS, number, packed};
use crate::cosim::{Pace, Plan, Random, Unit};

struct FeatureAdder(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(FeatureAdder(sizes.clone()))
}

impl Unit for FeatureAdder {
    fn name(&self) -> &'static str {
        "feature_adder"
    }

    fn parameters(&self) -> String {
        format!("{} lanes", self.0.lanes)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::feature_adder(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let lanes = self.0.lanes;
        let weighted_pin = pins.input("weighted");
        let streams = ["kept", "added", "score"].map(|name| {
            let port = |field: &str| format!("s_{name}_{field}");
            let [valid, data] = ["tvalid", "tdata"].map(|field| pins.input(&port(field)));
            (valid, data, pins.output(&port("tready")))
        });
        let taken_pin = pins.input("m_axis_tready");
        let [offered_pin, result_pin] =
            ["m_axis_tvalid", "m_axis_tdata"].map(|name| pins.output(name));
        let mut model = Model::new(&self.0);
        let mut random = Random::new(plan.seed, 1);
        let mut paces = [2, 3, 4, 5].map(|purpose| Pace::new(plan.seed, purpose));
        let mut waiting: [Option<Vec<i32>>; 3] = [None, None, None];
        let (mut weighted, mut ends) = (false, false);
        Box::new(move |frame: &mut Frame| {
            ends |= frame.beats() >= plan.beats;
            if ends && model.is_idle() {
                return false;
            }
            if model.is_idle() {
                // Scores that wait do so until weighted words come again.
                weighted = random.chance(1, 2);
            }
            frame.drive(weighted_pin, weighted.into());
            for (at, (valid, data, _)) in streams.iter().enumerate() {
                // Nothing begins at the end, so that tokens become complete and then no word waits.
                let begins = !ends || model.is_mid_token();
                if waiting[at].is_none() && begins && paces[at].willing() {
                    let count = if at == 2 { 1 } else { lanes };
                    let word = (0..count).map(|_| number(&mut random, FEATURE_BITS) as i32);
                    waiting[at] = Some(word.collect());
                }
                frame.drive(*valid, u64::from(waiting[at].is_some()));
                if let Some(word) = &waiting[at] {
                    let word = word.iter().map(|feature| i64::from(*feature));
                    frame.drive_bits(*data, &packed(word, FEATURE_BITS));
                }
            }
            let taken = paces[3].willing();
            frame.drive(taken_pin, taken.into());
            let [kept, added, score] = waiting.each_ref().map(Option::as_deref);
            let score = score.and_then(|score| score.first().copied());
            let offered = Offered { weighted, kept, added, score };
            let ready = model.ready(&offered);
            for ((_, _, pin), ready) in streams.iter().zip([ready.kept, ready.added, ready.score]) {
                frame.expect(*pin, ready.into());
            }
            frame.expect(offered_pin, model.offered().is_some().into());
            if let Some(sum) = model.offered() {
                let sum = sum.iter().map(|feature| i64::from(*feature));
                frame.expect_bits(result_pin, &packed(sum, FEATURE_BITS));
                if taken {
                    frame.count_beat();
                }
            }
            model.tick(&offered, taken);
            for (at, ready) in [ready.kept, ready.added, ready.score].into_iter().enumerate() {
                if ready {
                    waiting[at] = None;
                }
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "feature_adder", signal, change };
        vec![
            of("has_score", Change::Inverted),
            of("last_word", Change::Inverted),
            of("summand_0", Change::Exchanged),
            of("term_0", Change::Undelayed),
            of("kept_1", Change::Undelayed),
            of("token_ends", Change::Delayed),
            of("m_axis_has_room", Change::Inverted),
        ]
    }
}
