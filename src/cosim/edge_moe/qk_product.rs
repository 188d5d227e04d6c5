//! Queries times keys: random words at random pace. A beat is a word of a key.

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::qk_product::{QkProduct as Model, Words};

use super::operands::{FEATURE_BITS, number, packed};
use crate::cosim::{Pace, Plan, Random, Unit};

struct QkProduct(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(QkProduct(sizes.clone()))
}

impl Unit for QkProduct {
    fn name(&self) -> &'static str {
        "qk_product"
    }

    fn parameters(&self) -> String {
        let Sizes { tokens, queries, heads, lanes, .. } = &self.0;
        format!("{tokens} tokens, {queries} at a time, {heads} heads, {lanes} lanes")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::qk_product(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let sizes = self.0.clone();
        let start = pins.input("start");
        let inputs = ["query", "key"].map(|name| {
            (pins.input(&format!("s_{name}_tvalid")), pins.input(&format!("s_{name}_tdata")))
        });
        let readies = ["s_query_tready", "s_key_tready"].map(|name| pins.output(name));
        let takes = pins.input("m_axis_tready");
        let [offered, slot, keep, first, last, busy, done] = [
            "m_axis_tvalid",
            "m_axis_slot",
            "m_axis_keep",
            "m_axis_first",
            "m_axis_last",
            "busy",
            "done",
        ]
        .map(|name| pins.output(name));
        let scores = pins.output_lanes("m_axis_score", sizes.heads);
        let mut model = Model::new(&sizes);
        let mut random = Random::new(plan.seed, 1);
        let mut gives = [Pace::new(plan.seed, 2), Pace::new(plan.seed, 3)];
        let mut pops = Pace::new(plan.seed, 4);
        let mut waiting: [Option<Vec<i32>>; 2] = [None, None];
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats {
                return false;
            }
            let is_busy = model.is_busy();
            let starts = random.chance(1, 8);
            frame.drive(start, u64::from(starts));
            for ((pace, word), (valid, data)) in gives.iter_mut().zip(&mut waiting).zip(&inputs) {
                if word.is_none() && pace.willing() {
                    let feature = |_| number(&mut random, FEATURE_BITS) as i32;
                    *word = Some((0..sizes.lanes).map(feature).collect());
                }
                frame.drive(*valid, u64::from(word.is_some()));
                let features = word.iter().flatten().map(|feature| i64::from(*feature));
                if word.is_some() {
                    frame.drive_bits(*data, &packed(features, FEATURE_BITS));
                }
            }
            let taken = pops.willing();
            frame.drive(takes, u64::from(taken));
            let open = model.takes(waiting[0].is_some(), waiting[1].is_some());
            for (pin, open) in readies.iter().zip(open) {
                frame.expect(*pin, u64::from(open));
            }
            frame.expect(busy, u64::from(is_busy));
            frame.expect(done, u64::from(model.is_done()));
            frame.expect(offered, u64::from(model.offered().is_some()));
            if let Some(shown) = model.offered() {
                frame.expect(slot, shown.slot.into());
                frame.expect(keep, u64::from(shown.keep));
                frame.expect(first, u64::from(shown.first));
                frame.expect(last, u64::from(shown.last));
                for (pin, score) in scores.iter().zip(&shown.scores) {
                    frame.expect(*pin, *score as u32 as u64);
                }
            }
            let words = Words { query: waiting[0].as_deref(), key: waiting[1].as_deref() };
            let steps = model.steps();
            model.tick(starts, words, taken);
            if model.steps() > steps {
                frame.count_beat();
            }
            for (word, open) in waiting.iter_mut().zip(open) {
                if open {
                    *word = None;
                }
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let top = |signal, change| Mutation { module: "qk_product", signal, change };
        let slot = |signal, change| Mutation { module: "qk_slot", signal, change };
        vec![
            top("pending", Change::Zero),
            top("brings_query", Change::Inverted),
            top("keeps_now_1", Change::Inverted),
            top("key_register", Change::Undelayed),
            top("head_begins_3", Change::Undelayed),
            top("renews_1", Change::Zero),
            slot("query_register", Change::Undelayed),
            slot("product_2", Change::Undelayed),
            slot("adds_0", Change::Delayed),
        ]
    }
}
