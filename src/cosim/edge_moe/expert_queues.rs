//! Queues of the experts: layers of an image, or of random tokens, some of them on one expert, read back
//! while the next ones are being written. A beat is a token.

use std::{collections::VecDeque, iter};

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::expert_queues::{Choice, Entry, ExpertQueues as Model};

use super::image::{Image, Traffic};
use super::operands::Results;
use crate::cosim::{Pace, Plan, Random, Source, Unit};

/// Choices of each token.
pub type Layer = Vec<Vec<Choice>>;

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
        let (sizes, mut random) = (self.0.clone(), Random::new(plan.seed, 3));
        let layers = iter::repeat_with(move || drawn(&sizes, &mut random));
        driver(&self.0, pins, plan, Box::new(layers), Results::unknown())
    }

    fn image(&self, pins: &Pins, plan: Plan, image: &Image) -> Result<Box<dyn Vectors>, String> {
        let Traffic { given, results } = image.expert_queues.needed()?.clone();
        let (given, results) = (Box::new(given.into_iter()), Results::known(results));
        Ok(driver(&self.0, pins, plan, given, results))
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

fn driver(
    sizes: &Sizes,
    pins: &Pins,
    plan: Plan,
    mut source: Source<Layer>,
    mut results: Results<Vec<Vec<Entry>>>,
) -> Box<dyn Vectors> {
    let sizes = sizes.clone();
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
    let mut next = source.next();
    let mut tokens: VecDeque<Vec<Choice>> = VecDeque::new();
    let mut waiting: Option<(Vec<Choice>, bool)> = None;
    let mut read: Option<Entry> = None;
    // Entries of known queues that are still to be read; all of them are, before the next layer starts.
    let mut unread: Option<VecDeque<(u32, usize)>> = None;
    let (mut has_started, mut is_last) = (false, false);
    Box::new(move |frame: &mut Frame| {
        let is_complete = model.is_complete();
        let all_read = unread.as_ref().is_some_and(VecDeque::is_empty);
        // What is read shows one cycle later.
        let is_through = std::mem::replace(&mut is_last, next.is_none() && all_read) && all_read;
        if frame.beats() >= plan.beats || is_through {
            return false;
        }
        // A layer starts once the last one has been read; if it is drawn, now and then in the middle of it.
        let starts = match (is_complete, frame.beats()) {
            _ if results.are_known() => (all_read || !has_started) && random.chance(1, 4),
            (true, _) => random.chance(1, 64),
            (false, 0) => random.chance(1, 4),
            _ => random.chance(1, 1024),
        };
        let starts = starts && next.is_some();
        if starts {
            if unread.take().is_some() {
                results.leave();
            }
            has_started = true;
            tokens = std::mem::replace(&mut next, source.next()).unwrap_or_default().into();
            waiting = None;
        }
        if waiting.is_none() && gives.willing() {
            waiting = tokens.pop_front().map(|choices| (choices, tokens.is_empty()));
        }
        frame.drive(start, u64::from(starts));
        frame.drive(valid, u64::from(waiting.is_some()));
        let noise = random.bits(1);
        frame.drive(last, waiting.as_ref().map_or(noise, |(_, last)| u64::from(*last)));
        for lane in 0..sizes.chosen as usize {
            let choice = waiting.as_ref().map(|(choices, _)| choices[lane]);
            frame.drive(experts[lane], choice.map_or(0, |choice| choice.expert.into()));
            frame.drive(scores[lane], choice.map_or(random.bits(32), |choice| choice.score.into()));
        }
        let open = model.is_ready(starts);
        frame.expect(ready, u64::from(open));
        let queues = || -> Vec<Vec<Entry>> {
            (0..sizes.experts).map(|expert| model.queue(expert).to_vec()).collect()
        };
        let is_right = !results.are_known() || !is_complete || results.allow(&queues());
        frame.expect(complete, u64::from(is_complete && is_right));
        if let Some(entry) = read {
            frame.expect(token, entry.token.into());
            frame.expect(score, entry.score.into());
        }

        if results.are_known() && is_complete && unread.is_none() {
            let entries = |expert| (0..model.queue(expert).len()).map(move |at| (expert, at));
            unread = Some((0..sizes.experts).flat_map(entries).collect());
        }
        let (expert, position) =
            unread.as_mut().and_then(VecDeque::pop_front).unwrap_or_else(|| {
                let expert = random.below(sizes.experts.into()) as u32;
                (expert, random.below(model.queue(expert).len() as u64) as usize)
            });
        let asked = model.queue(expert).get(position).copied();
        let asked = asked.filter(|_| unread.is_some() || random.chance(3, 4));
        frame.drive(reads, u64::from(asked.is_some()));
        frame.drive(read_expert, expert.into());
        frame.drive(read_position, position as u64);
        read = asked.or(read);
        let list = model.metaqueue();
        let place = random.below(list.len() as u64);
        frame.drive(list_position, place);
        if is_complete {
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

/// Choices of all tokens of a layer, each from experts that are popular in it.
fn drawn(sizes: &Sizes, random: &mut Random) -> Layer {
    let tokens = match random.below(4) {
        0 => sizes.tokens,
        _ => 1 + random.below(sizes.tokens.into()) as u32,
    };
    let spare = u64::from(sizes.experts - sizes.chosen) + 1;
    let count =
        sizes.chosen + [0, random.below(spare) as u32, spare as u32 - 1][random.below(3) as usize];
    let popular = drawn_from((0..sizes.experts).collect(), count, random);
    let choices = |random: &mut Random| {
        let experts = drawn_from(popular.clone(), sizes.chosen, random);
        let choice = |expert| Choice { expert, score: random.bits(32) as u32 };
        experts.into_iter().map(choice).collect()
    };
    (0..tokens).map(|_| choices(random)).collect()
}

/// Some of the items, in random order.
fn drawn_from(mut items: Vec<u32>, count: u32, random: &mut Random) -> Vec<u32> {
    (0..count).map(|_| items.swap_remove(random.below(items.len() as u64) as usize)).collect()
}
