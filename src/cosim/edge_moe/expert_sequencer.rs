//! The expert loop: queues of an image, or random ones, some of them all tokens on one expert, some without
//! any; loader and linear unit take a random time. A beat is an expert.

use std::iter;

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::expert_sequencer::ExpertSequencer as Model;

use super::image::{Image, Traffic};
use crate::cosim::{Plan, Random, Source, Unit};

/// Experts that have tokens, in ascending order, with how many.
pub type Metaqueue = Vec<(u32, u32)>;

struct ExpertSequencer(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(ExpertSequencer(sizes.clone()))
}

impl Unit for ExpertSequencer {
    fn name(&self) -> &'static str {
        "expert_sequencer"
    }

    fn parameters(&self) -> String {
        format!("{} experts, {} tokens", self.0.experts, self.0.tokens)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::expert_sequencer(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (sizes, mut random) = (self.0.clone(), Random::new(plan.seed, 2));
        let queues = iter::repeat_with(move || drawn(&sizes, &mut random));
        driver(pins, plan, Box::new(queues))
    }

    fn image(&self, pins: &Pins, plan: Plan, image: &Image) -> Result<Box<dyn Vectors>, String> {
        // What it starts, and in which order, is all that it gives.
        let Traffic { given, .. } = image.expert_sequencer.needed()?.clone();
        Ok(driver(pins, plan, Box::new(given.into_iter())))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "expert_sequencer", signal, change };
        vec![
            of("has_next", Change::Inverted),
            of("waits", Change::Delayed),
            of("loaded_length", Change::Zero),
            of("current_expert", Change::Delayed),
            of("continues", Change::Inverted),
            of("has_any", Change::Inverted),
            of("computing", Change::Zero),
            of("turns", Change::Inverted),
        ]
    }
}

fn driver(pins: &Pins, plan: Plan, mut source: Source<Metaqueue>) -> Box<dyn Vectors> {
    let [start, count, listed, length, load_done, compute_done] = [
        "start",
        "metaqueue_count",
        "metaqueue_expert",
        "metaqueue_length",
        "load_done",
        "compute_done",
    ]
    .map(|name| pins.input(name));
    let [idle, done, position, load_start, load_expert, load_second] =
        ["idle", "done", "metaqueue_position", "load_start", "load_expert", "load_second"]
            .map(|name| pins.output(name));
    let [compute_start, compute_expert, compute_length, compute_second] =
        ["compute_start", "compute_expert", "compute_length", "compute_second"]
            .map(|name| pins.output(name));
    let mut model = Model::new();
    let mut random = Random::new(plan.seed, 1);
    let mut next = source.next();
    let mut experts = Metaqueue::new();
    // First matrices loaded so far, and cycles that loader and linear unit still take.
    let (mut loaded, mut loading, mut computing) = (0, 0u64, 0u64);
    Box::new(move |frame: &mut Frame| {
        let is_idle = model.is_idle();
        let is_enough = frame.beats() >= plan.beats || next.is_none();
        if is_enough && is_idle && loaded == experts.len() {
            return false;
        }
        let starts = is_idle && !is_enough && random.chance(1, 3);
        if starts {
            experts = std::mem::replace(&mut next, source.next()).unwrap_or_default();
            loaded = 0;
        }
        frame.drive(start, u64::from(starts || !is_idle && random.chance(1, 8)));
        frame.drive(count, experts.len() as u64);
        let ends = |left: &mut u64| {
            let ends = *left == 1;
            *left = left.saturating_sub(1);
            ends
        };
        let (load_ends, compute_ends) = (ends(&mut loading), ends(&mut computing));
        frame.drive(load_done, u64::from(load_ends));
        frame.drive(compute_done, u64::from(compute_ends));
        // The metaqueue answers in the same cycle; what it says beyond its end is noise.
        let (expert, tokens) = experts.get(loaded).copied().unwrap_or_else(|| {
            (random.bits(listed.width) as u32, random.bits(length.width) as u32)
        });
        frame.drive(listed, expert.into());
        frame.drive(length, tokens.into());
        if loaded < experts.len() && !is_idle {
            frame.expect(position, loaded as u64);
        }
        frame.expect(idle, u64::from(is_idle));
        let shown = model.tick(starts.then_some(&experts), load_ends, compute_ends);
        frame.expect(done, u64::from(shown.done));
        frame.expect(load_start, u64::from(shown.load.is_some()));
        frame.expect(compute_start, u64::from(shown.compute.is_some()));
        let takes = |random: &mut Random| {
            let most = if random.chance(1, 2) { 3 } else { 40 };
            1 + random.below(most)
        };
        if let Some(matrix) = shown.load {
            frame.expect(load_expert, matrix.expert.into());
            frame.expect(load_second, u64::from(matrix.second));
            loaded += usize::from(!matrix.second);
            loading = takes(&mut random);
        }
        if let Some((matrix, tokens)) = shown.compute {
            frame.expect(compute_expert, matrix.expert.into());
            frame.expect(compute_length, tokens.into());
            frame.expect(compute_second, u64::from(matrix.second));
            computing = takes(&mut random);
            if matrix.second {
                frame.count_beat();
            }
        }
        true
    })
}

/// A metaqueue of any length.
fn drawn(sizes: &Sizes, random: &mut Random) -> Metaqueue {
    let tokens = u64::from(sizes.tokens);
    let one = random.below(sizes.experts.into()) as u32;
    match random.below(8) {
        0 => Metaqueue::new(),
        1 => vec![(one, sizes.tokens)],
        kind => (0..sizes.experts)
            .filter_map(|expert| {
                let has = kind > 5 || random.chance(1, 1 + kind);
                has.then(|| (expert, 1 + random.below(tokens) as u32))
            })
            .collect(),
    }
}
