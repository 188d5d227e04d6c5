//! Queues of the experts: layers of random tokens, some of them on one expert, read back while the next
//! ones are being written.

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::expert_queues::{Choice, Entry, ExpertQueues as Model};

use crate::cosim::{Pace, Plan, Random, Unit};

struct ExpertQueues(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(ExpertQueues(sizes.clone()))
}

impl Unit for ExpertQueues {
    fn name(&self) -> &'static str {
        "expert_queues"
    }

    fn parameters(&self) -> String {
        let Sizes { experts, tokens, chosen, .. } = &self.0;
        format!("{experts} experts, {chosen} of them for each of {tokens} tokens")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::expert_queues(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let sizes = self.0.clone();
        let [start, valid, last] =
            ["start", "s_axis_tvalid", "s_axis_tlast"].map(|name| pins.input(name));
        let experts = pins.input_lanes("s_axis_expert", sizes.chosen);
        let scores = pins.input_lanes("s_axis_score", sizes.chosen);
        let [reads, read_expert, read_position, list_position] =
            ["read_enable", "read_expert", "read_position", "metaqueue_position"]
                .map(|name| pins.input(name));
        let [ready, complete, count] =
            ["s_axis_tready", "complete", "metaqueue_count"].map(|name| pins.output(name));
        let [token, score, listed, length] =
            ["entry_token", "entry_score", "metaqueue_expert", "metaqueue_length"]
                .map(|name| pins.output(name));
        let mut model = Model::new(&sizes);
        let (mut random, mut gives) = (Random::new(plan.seed, 1), Pace::new(plan.seed, 2));
        let mut layer = Layer::drawn(&sizes, &mut random);
        let mut waiting: Option<(Vec<Choice>, bool)> = None;
        let mut read: Option<Entry> = None;
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats {
                return false;
            }
            // A layer starts once the last one has been read a while; now and then in the middle of it.
            let starts = match (model.is_complete(), frame.beats()) {
                (true, _) => random.chance(1, 64),
                (false, 0) => random.chance(1, 4),
                _ => random.chance(1, 1024),
            };
            if starts {
                layer = Layer::drawn(&sizes, &mut random);
                waiting = None;
            }
            if waiting.is_none() && layer.left > 0 && gives.willing() {
                layer.left -= 1;
                waiting = Some((layer.choices(&sizes, &mut random), layer.left == 0));
            }
            frame.drive(start, u64::from(starts));
            frame.drive(valid, u64::from(waiting.is_some()));
            let noise = random.bits(1);
            frame.drive(last, waiting.as_ref().map_or(noise, |(_, last)| u64::from(*last)));
            for lane in 0..sizes.chosen as usize {
                let choice = waiting.as_ref().map(|(choices, _)| choices[lane]);
                frame.drive(experts[lane], choice.map_or(0, |choice| choice.expert.into()));
                frame.drive(
                    scores[lane],
                    choice.map_or(random.bits(32), |choice| choice.score.into()),
                );
            }
            let open = model.is_ready(starts);
            frame.expect(ready, u64::from(open));
            frame.expect(complete, u64::from(model.is_complete()));
            if let Some(entry) = read {
                frame.expect(token, entry.token.into());
                frame.expect(score, entry.score.into());
            }

            let expert = random.below(sizes.experts.into()) as u32;
            let queue = model.queue(expert);
            let position = random.below(queue.len() as u64);
            let asked = queue.get(position as usize).copied().filter(|_| random.chance(3, 4));
            frame.drive(reads, u64::from(asked.is_some()));
            frame.drive(read_expert, expert.into());
            frame.drive(read_position, position);
            read = asked.or(read);
            let list = model.metaqueue();
            let place = random.below(list.len() as u64);
            frame.drive(list_position, place);
            if model.is_complete() {
                frame.expect(count, list.len() as u64);
                if let Some(expert) = list.get(place as usize) {
                    frame.expect(listed, (*expert).into());
                    frame.expect(length, model.queue(*expert).len() as u64);
                }
            }
            let taken = if open { waiting.take() } else { None };
            if taken.is_some() {
                frame.count_beat();
            }
            model.tick(starts, taken.as_ref().map(|(choices, last)| (choices.as_slice(), *last)));
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "expert_queues", signal, change };
        vec![
            of("free", Change::Delayed),
            of("ends", Change::Zero),
            of("held_token", Change::Undelayed),
            of("has_tokens", Change::Inverted),
            of("length_1", Change::Zero),
            of("grows_0", Change::Delayed),
            of("looks_last", Change::Delayed),
            of("token", Change::Zero),
            of("write_address", Change::Zero),
        ]
    }
}

/// A layer that is being drawn.
struct Layer {
    left: u32,
    /// Experts that tokens choose from, at least as many as each chooses.
    popular: Vec<u32>,
}

impl Layer {
    fn drawn(sizes: &Sizes, random: &mut Random) -> Self {
        let left = match random.below(4) {
            0 => sizes.tokens,
            _ => 1 + random.below(sizes.tokens.into()) as u32,
        };
        let spare = u64::from(sizes.experts - sizes.chosen) + 1;
        let count = sizes.chosen
            + [0, random.below(spare) as u32, spare as u32 - 1][random.below(3) as usize];
        Self { left, popular: drawn_from((0..sizes.experts).collect(), count, random) }
    }

    fn choices(&self, sizes: &Sizes, random: &mut Random) -> Vec<Choice> {
        let experts = drawn_from(self.popular.clone(), sizes.chosen, random);
        let score = |random: &mut Random| random.bits(32) as u32;
        experts.into_iter().map(|expert| Choice { expert, score: score(random) }).collect()
    }
}

/// Some of the items, in random order.
fn drawn_from(mut items: Vec<u32>, count: u32, random: &mut Random) -> Vec<u32> {
    (0..count).map(|_| items.swap_remove(random.below(items.len() as u64) as usize)).collect()
}
