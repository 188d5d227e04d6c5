//! The walker of a queue: random queues, receivers that take at random. A beat is a token told to its writer.

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::expert_queues::Entry;
use attelier_sim::units::edge_moe::queue_walker::{QueueWalker as Model, RECEIVERS};

use crate::cosim::{Pace, Plan, Random, Unit};

struct QueueWalker(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(QueueWalker(sizes.clone()))
}

impl Unit for QueueWalker {
    fn name(&self) -> &'static str {
        "queue_walker"
    }

    fn parameters(&self) -> String {
        format!("{} experts, {} tokens", self.0.experts, self.0.tokens)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::queue_walker(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let [start, expert, length, weighted_pin, token, score] =
            ["start", "expert", "length", "weighted", "entry_token", "entry_score"]
                .map(|name| pins.input(name));
        let [read, read_expert, read_position] =
            ["read_enable", "read_expert", "read_position"].map(|name| pins.output(name));
        let receivers = ["read", "write", "kept", "score"].map(|name| {
            let output = |field: &str| pins.output(&format!("m_{name}_{field}"));
            (pins.input(&format!("m_{name}_tready")), output("tvalid"), output("tdata"))
        });
        let sizes = self.0.clone();
        let mut model = Model::default();
        let mut random = Random::new(plan.seed, 1);
        let mut paces = [2, 3, 4, 5].map(|purpose| Pace::new(plan.seed, purpose));
        let (mut weighted, mut shown) = (false, None);
        Box::new(move |frame: &mut Frame| {
            let is_idle = model.is_idle();
            if frame.beats() >= plan.beats && is_idle {
                return false;
            }
            let starts = is_idle && random.chance(1, 2);
            let mut below = |bound: u32| random.below(bound.into()) as u32;
            let job = (below(sizes.experts), 1 + below(sizes.tokens));
            if starts {
                weighted = below(2) == 1;
            }
            frame.drive(start, starts.into());
            frame.drive(expert, job.0.into());
            frame.drive(length, job.1.into());
            frame.drive(weighted_pin, weighted.into());
            // The queues answer one cycle after they were asked, and then show the same entry.
            if let Some(Entry { token: number, score: weight }) = shown {
                frame.drive(token, u64::from(number));
                frame.drive(score, u64::from(weight));
            }
            let taken = paces.each_mut().map(Pace::willing);
            for (((ready, valid, data), receiver), taken) in
                receivers.iter().zip(RECEIVERS).zip(taken)
            {
                frame.drive(*ready, taken.into());
                frame.expect(*valid, model.offered(receiver).is_some().into());
                if let Some(told) = model.offered(receiver) {
                    frame.expect(*data, told.into());
                }
            }
            if taken[1] && model.offered(RECEIVERS[1]).is_some() {
                frame.count_beat();
            }
            let asked = model.asks();
            frame.expect(read, asked.is_some().into());
            if let Some((expert, position)) = asked {
                frame.expect(read_expert, expert.into());
                frame.expect(read_position, position.into());
            }
            model.tick(starts.then_some(job), shown, weighted, taken);
            if asked.is_some() {
                let token = below(sizes.tokens);
                shown = Some(Entry { token, score: random.bits(32) as u32 });
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "queue_walker", signal, change };
        vec![
            of("free", Change::Inverted),
            of("tells", Change::Delayed),
            of("tells_weighted", Change::Inverted),
            of("has_entry", Change::Inverted),
            of("position", Change::Zero),
            of("held_expert", Change::Inverted),
        ]
    }
}
