//! Probabilities times values: scores, what the softmax left and values of an image, or drawn ones, at random
//! pace. A beat is a word of a value.

use std::iter;

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pin, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::pv_product::{Offered, PvProduct as Model};
use attelier_sim::units::edge_softmax::SoftmaxInfo;

use super::image::{Image, Traffic};
use super::operands::{FEATURE_BITS, Results, features, number, packed};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

/// One product of all probabilities and values of a layer.
#[derive(Debug, Clone)]
pub struct Product {
    /// What the softmax left of each query.
    pub info: Vec<Vec<SoftmaxInfo>>,
    /// Scores of all heads, step by step and slot by slot.
    pub scores: Vec<Vec<i32>>,
    /// Words of the values, pass after pass.
    pub values: Vec<Vec<i32>>,
}

/// Operands as they come, for so many products.
struct Operands {
    products: u64,
    info: Source<Vec<SoftmaxInfo>>,
    scores: Source<Vec<i32>>,
    values: Source<Vec<i32>>,
}

struct PvProduct(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(PvProduct(sizes.clone()))
}

impl Unit for PvProduct {
    fn name(&self) -> &'static str {
        "pv_product"
    }

    fn parameters(&self) -> String {
        let Sizes { tokens, queries, heads, lanes, .. } = &self.0;
        format!("{tokens} tokens, {queries} at a time, {heads} heads, {lanes} lanes")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::pv_product(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let Sizes { heads, lanes, .. } = self.0;
        let random = |purpose| Random::new(plan.seed, purpose);
        let [mut of_info, mut of_scores, mut of_values] = [6, 7, 8].map(random);
        let operands = Operands {
            products: u64::MAX,
            info: Box::new(iter::repeat_with(move || {
                (0..heads).map(|_| info(&mut of_info)).collect()
            })),
            scores: Box::new(iter::repeat_with(move || {
                (0..heads).map(|_| score(&mut of_scores)).collect()
            })),
            values: Box::new(iter::repeat_with(move || {
                features(&mut of_values, lanes, FEATURE_BITS)
            })),
        };
        driver(&self.0, pins, plan, operands, Results::unknown())
    }

    fn image(&self, pins: &Pins, plan: Plan, image: &Image) -> Result<Box<dyn Vectors>, String> {
        let Traffic { given, results } = image.pv_product.needed()?.clone();
        let mut operands = Operands {
            products: given.len() as u64,
            info: Box::new(iter::empty()),
            scores: Box::new(iter::empty()),
            values: Box::new(iter::empty()),
        };
        for Product { info, scores, values } in given {
            operands.info = Box::new(operands.info.chain(info));
            operands.scores = Box::new(operands.scores.chain(scores));
            operands.values = Box::new(operands.values.chain(values));
        }
        Ok(driver(&self.0, pins, plan, operands, Results::known(results)))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let top = |signal, change| Mutation { module: "pv_product", signal, change };
        let slot = |signal, change| Mutation { module: "pv_slot", signal, change };
        vec![
            top("prepared", Change::Delayed),
            top("renews", Change::Inverted),
            top("finishing", Change::Inverted),
            top("value_register", Change::Undelayed),
            top("head_now", Change::Undelayed),
            slot("now_0", Change::Delayed),
            slot("sum_1", Change::Zero),
            Mutation {
                module: "score_to_probability",
                signal: "is_below",
                change: Change::Inverted,
            },
            Mutation {
                module: "score_to_probability",
                signal: "factor_3",
                change: Change::Undelayed,
            },
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
    let valids = ["info", "score", "value"].map(|name| pins.input(&format!("s_{name}_tvalid")));
    let readies = ["info", "score", "value"].map(|name| pins.output(&format!("s_{name}_tready")));
    let factors = pins.input_lanes("s_info_factor", sizes.heads);
    let maxima = pins.input_lanes("s_info_maximum", sizes.heads);
    let scores = pins.input_lanes("s_score_tdata", sizes.heads);
    let (value, takes) = (pins.input("s_value_tdata"), pins.input("m_axis_tready"));
    let [offered, data, last, busy, done] =
        ["m_axis_tvalid", "m_axis_tdata", "m_axis_tlast", "busy", "done"]
            .map(|name| pins.output(name));
    let mut model = Model::new(sizes);
    let mut random = Random::new(plan.seed, 1);
    let mut gives = [2, 3, 4].map(|purpose| Pace::new(plan.seed, purpose));
    let mut pops = Pace::new(plan.seed, 5);
    let mut infos: Option<Vec<SoftmaxInfo>> = None;
    let mut words: [Option<Vec<i32>>; 2] = [None, None];
    // The output of a query leaves even if few beats are asked for: nothing shows before.
    let mut leaving = sizes.token_words();
    Box::new(move |frame: &mut Frame| {
        let is_busy = model.is_busy();
        let is_enough = frame.beats() >= plan.beats && leaving == 0;
        if is_enough || operands.products == 0 && !is_busy {
            return false;
        }
        let starts = random.chance(1, 8);
        operands.products -= u64::from(starts && !is_busy);
        frame.drive(start, u64::from(starts));
        let [info_pace, score_pace, value_pace] = &mut gives;
        if infos.is_none() && info_pace.willing() {
            infos = operands.info.next();
        }
        if words[0].is_none() && score_pace.willing() {
            words[0] = operands.scores.next();
        }
        if words[1].is_none() && value_pace.willing() {
            words[1] = operands.values.next();
        }
        let are = [infos.is_some(), words[0].is_some(), words[1].is_some()];
        for (pin, valid) in valids.iter().zip(are) {
            frame.drive(*pin, u64::from(valid));
        }
        let drive = |frame: &mut Frame, pins: &[Pin], values: &mut dyn Iterator<Item = i32>| {
            for (pin, value) in pins.iter().zip(values) {
                frame.drive(*pin, value as u32 as u64);
            }
        };
        drive(frame, &factors, &mut infos.iter().flatten().map(|info| info.factor));
        drive(frame, &maxima, &mut infos.iter().flatten().map(|info| info.maximum));
        drive(frame, &scores, &mut words[0].iter().flatten().copied());
        if let Some(word) = &words[1] {
            let word = word.iter().map(|feature| i64::from(*feature));
            frame.drive_bits(value, &packed(word, FEATURE_BITS));
        }
        let taken = pops.willing();
        frame.drive(takes, u64::from(taken));

        let shown = Offered {
            info: infos.as_deref(),
            scores: words[0].as_deref(),
            value: words[1].as_deref(),
        };
        let open = model.takes(shown);
        for (pin, open) in readies.iter().zip(open) {
            frame.expect(*pin, u64::from(open));
        }
        frame.expect(busy, u64::from(is_busy));
        frame.expect(done, u64::from(model.is_done()));
        let left = model.offered();
        frame.expect(offered, u64::from(left.is_some_and(|word| results.allow(&word.features))));
        if let Some(word) = left {
            if taken {
                results.leave();
                leaving = leaving.saturating_sub(1);
            }
            let features = word.features.iter().map(|feature| i64::from(*feature));
            frame.expect_bits(data, &packed(features, FEATURE_BITS));
            frame.expect(last, u64::from(word.last));
        }
        let steps = model.steps();
        model.tick(starts, shown, taken);
        if model.steps() > steps {
            frame.count_beat();
        }
        if open[0] {
            infos = None;
        }
        for (word, open) in words.iter_mut().zip(&open[1..]) {
            if *open {
                *word = None;
            }
        }
        true
    })
}

/// What a softmax may leave: reciprocals of sums from 1 on, now and then anything.
fn info(random: &mut Random) -> SoftmaxInfo {
    let factor = match random.below(8) {
        0 => number(random, FEATURE_BITS) as i32,
        _ => random.bits(22) as i32 + 1,
    };
    SoftmaxInfo { factor, maximum: score(random) }
}

/// Scores are near each other, so that few probabilities are zero.
fn score(random: &mut Random) -> i32 {
    match random.below(16) {
        0 => number(random, FEATURE_BITS) as i32,
        _ => random.bits(24) as i32 - (1 << 23),
    }
}
