//! Queries times keys: words of an image, or drawn ones, at random pace. A beat is a word of a key.

use std::iter;

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::qk_product::{QkProduct as Model, Words};
use attelier_sim::units::edge_moe::running_softmax::Scores;

use super::image::{Image, Traffic};
use super::operands::{FEATURE_BITS, Results, features, packed};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

/// One product of all queries and keys of a layer.
#[derive(Debug, Clone)]
pub struct Product {
    /// Words of the queries, one after the other.
    pub queries: Vec<Vec<i32>>,
    /// Words of the keys, pass after pass.
    pub keys: Vec<Vec<i32>>,
}

/// Words as they come, for so many products.
struct Operands {
    products: u64,
    queries: Source<Vec<i32>>,
    keys: Source<Vec<i32>>,
}

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
        let words = |purpose| -> Source<Vec<i32>> {
            let (lanes, mut random) = (self.0.lanes, Random::new(plan.seed, purpose));
            Box::new(iter::repeat_with(move || features(&mut random, lanes, FEATURE_BITS)))
        };
        let operands = Operands { products: u64::MAX, queries: words(5), keys: words(6) };
        driver(&self.0, pins, plan, operands, Results::unknown())
    }

    fn image(&self, pins: &Pins, plan: Plan, image: &Image) -> Result<Box<dyn Vectors>, String> {
        let Traffic { given, results } = image.qk_product.needed()?.clone();
        let products = given.len() as u64;
        let (queries, keys): (Vec<_>, Vec<_>) =
            given.into_iter().map(|product| (product.queries, product.keys)).unzip();
        let operands = Operands {
            products,
            queries: Box::new(queries.into_iter().flatten()),
            keys: Box::new(keys.into_iter().flatten()),
        };
        Ok(driver(&self.0, pins, plan, operands, Results::known(results)))
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

fn driver(
    sizes: &Sizes,
    pins: &Pins,
    plan: Plan,
    mut operands: Operands,
    mut results: Results<Vec<i32>>,
) -> Box<dyn Vectors> {
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
    let mut model = Model::new(sizes);
    let mut random = Random::new(plan.seed, 1);
    let mut gives = [Pace::new(plan.seed, 2), Pace::new(plan.seed, 3)];
    let mut pops = Pace::new(plan.seed, 4);
    let mut waiting: [Option<Vec<i32>>; 2] = [None, None];
    Box::new(move |frame: &mut Frame| {
        let is_busy = model.is_busy();
        if frame.beats() >= plan.beats || operands.products == 0 && !is_busy {
            return false;
        }
        let starts = random.chance(1, 8);
        operands.products -= u64::from(starts && !is_busy);
        frame.drive(start, u64::from(starts));
        let sources = [&mut operands.queries, &mut operands.keys];
        for (at, source) in sources.into_iter().enumerate() {
            if waiting[at].is_none() && gives[at].willing() {
                waiting[at] = source.next();
            }
            let (valid, data) = inputs[at];
            frame.drive(valid, u64::from(waiting[at].is_some()));
            let features = waiting[at].iter().flatten().map(|feature| i64::from(*feature));
            frame.drive_bits(data, &packed(features, FEATURE_BITS));
        }
        let taken = pops.willing();
        frame.drive(takes, u64::from(taken));
        let open = model.takes(waiting[0].is_some(), waiting[1].is_some());
        for (pin, open) in readies.iter().zip(open) {
            frame.expect(*pin, u64::from(open));
        }
        frame.expect(busy, u64::from(is_busy));
        frame.expect(done, u64::from(model.is_done()));
        let shown = model.offered();
        let is_allowed = |shown: &Scores| !shown.keep || results.allow(&shown.scores);
        frame.expect(offered, u64::from(shown.is_some_and(is_allowed)));
        if let Some(shown) = shown {
            frame.expect(slot, shown.slot.into());
            frame.expect(keep, u64::from(shown.keep));
            frame.expect(first, u64::from(shown.first));
            frame.expect(last, u64::from(shown.last));
            for (pin, score) in scores.iter().zip(&shown.scores) {
                frame.expect(*pin, *score as u32 as u64);
            }
            if taken && shown.keep {
                results.leave();
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
