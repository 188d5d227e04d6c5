//! Candidate selection: keys near and far from random queries, thresholds that some of them just meet. A
//! beat is a word of keys.

use attelier_hw::elsa::Elsa;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::elsa::candidate::{CandidateModules, Estimates, Key};

use crate::cosim::{Pace, Plan, Random, Unit};

/// From a word to its candidates \[cycles\].
const LATENCY: u32 = 5;

struct Candidate(Elsa);

/// The unit of a machine.
pub fn unit(params: &Elsa) -> Box<dyn Unit> {
    Box::new(Candidate(params.clone()))
}

/// A hash that differs from `query` in any number of its first `bits` bits, all numbers alike frequent.
fn near(random: &mut Random, query: u64, bits: u32) -> u64 {
    let differ = random.below(u64::from(bits) + 1);
    let mut left = differ;
    (0..bits).fold(query, |hash, bit| {
        // The bits that are left are spread evenly over the places that are left.
        let flips = random.chance(left, u64::from(bits - bit));
        left -= u64::from(flips);
        hash ^ u64::from(flips) << bit
    })
}

impl Unit for Candidate {
    fn name(&self) -> &'static str {
        "elsa_candidate"
    }

    fn parameters(&self) -> String {
        let Elsa { head_dim, pipeline, .. } = &self.0;
        format!("{} keys, hashes of {head_dim} bits", pipeline.selectors)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::elsa::elsa_candidate(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let Elsa { head_dim, rows, format, pipeline, .. } = self.0.clone();
        let [query_write, query_hash, threshold_write, threshold, valid, row, keep] = [
            "query_write",
            "query_hash",
            "threshold_write",
            "threshold",
            "s_axis_tvalid",
            "s_axis_trow",
            "s_axis_tkeep",
        ]
        .map(|name| pins.input(name));
        let hashes = pins.input_lanes("key_hash", pipeline.selectors);
        let norms = pins.input_lanes("key_norm", pipeline.selectors);
        let [shown, shown_row, shown_keep] =
            ["m_axis_tvalid", "m_axis_trow", "m_axis_tkeep"].map(|name| pins.output(name));
        let words = rows.div_ceil(pipeline.banks).div_ceil(pipeline.selectors);
        let estimates = Estimates::new(&self.0);
        let mut model = CandidateModules::new(&self.0);
        let (mut random, mut gives) = (Random::new(plan.seed, 1), Pace::new(plan.seed, 2));
        let (mut query, mut limit_norm, mut drain) = (0, 0, LATENCY);
        Box::new(move |frame: &mut Frame| {
            let ends = frame.beats() >= plan.beats;
            if ends && drain == 0 {
                return false;
            }
            drain -= u32::from(ends);
            let new_query = random.chance(1, 16).then(|| random.bits(head_dim));
            frame.drive(query_write, u64::from(new_query.is_some()));
            frame.drive(query_hash, new_query.unwrap_or(0));
            let new_threshold = random.chance(1, 16).then(|| {
                limit_norm = random.bits(format.norm_bits);
                let distance = near(&mut random, 0, head_dim);
                estimates.of(0, distance, limit_norm)
            });
            frame.drive(threshold_write, u64::from(new_threshold.is_some()));
            frame.drive(threshold, new_threshold.unwrap_or(0) as u64);
            let gives = !ends && gives.willing();
            let keys: Vec<Option<Key>> = hashes
                .iter()
                .zip(&norms)
                .map(|(hash_pin, norm_pin)| {
                    let hash = near(&mut random, query, head_dim);
                    let any = random.bits(format.norm_bits);
                    // Equal norms and distances are equal estimates.
                    let norm = if random.chance(1, 2) { limit_norm } else { any };
                    frame.drive(*hash_pin, hash);
                    frame.drive(*norm_pin, norm);
                    random.chance(7, 8).then_some(Key { hash, norm })
                })
                .collect();
            let bits = |bits: &mut dyn Iterator<Item = bool>| {
                bits.enumerate().fold(0, |word, (at, bit)| word | u64::from(bit) << at)
            };
            let word = random.below(words.into());
            frame.drive(valid, u64::from(gives));
            frame.drive(row, word);
            frame.drive(keep, bits(&mut keys.iter().map(Option::is_some)));
            if gives {
                frame.count_beat();
            }
            frame.expect(shown, u64::from(model.shown().is_some()));
            if let Some((row, candidates)) = model.shown() {
                frame.expect(shown_row, *row);
                frame.expect(shown_keep, bits(&mut candidates.iter().copied()));
            }
            model.tick(gives.then_some((word, &keys)), new_query, new_threshold);
            query = new_query.unwrap_or(query);
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "elsa_candidate_lane", signal, change };
        let bank = |signal, change| Mutation { module: "elsa_candidate", signal, change };
        vec![
            of("difference", Change::Inverted),
            of("difference", Change::Undelayed),
            of("distance", Change::Zero),
            of("cosine", Change::Zero),
            of("norm_2", Change::Undelayed),
            of("exceeds", Change::Exchanged),
            of("is_key_4", Change::Inverted),
            bank("query", Change::Zero),
            bank("limit", Change::Zero),
            bank("row_5", Change::Undelayed),
        ]
    }
}
