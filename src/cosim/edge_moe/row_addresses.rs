//! Addresses of rows: counted ones of random shape, and random lists. A beat is an address.

use attelier_hw::edge_moe::TopSizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::row_addresses::{RowAddresses as Model, Rows};

use crate::cosim::{Pace, Plan, Random, Unit};

struct RowAddresses(TopSizes);

/// The unit of a machine.
pub fn unit(sizes: &TopSizes) -> Box<dyn Unit> {
    Box::new(RowAddresses(sizes.clone()))
}

impl Unit for RowAddresses {
    fn name(&self) -> &'static str {
        "row_addresses"
    }

    fn parameters(&self) -> String {
        format!("beats of {} bytes", self.0.beat_bytes)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::row_addresses(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let [start, row_valid, row, taken_pin] =
            ["start", "s_row_tvalid", "s_row_tdata", "command_ready"].map(|name| pins.input(name));
        let asked = ["base", "rows", "row_beats", "period", "stride", "advances", "listed"]
            .map(|name| pins.input(name));
        let [row_ready, offered, address, beats, busy] =
            ["s_row_tready", "command_valid", "command_address", "command_beats", "busy"]
                .map(|name| pins.output(name));
        let (tokens, beat_bytes) = (self.0.units.tokens, self.0.beat_bytes);
        let mut model = Model::new(beat_bytes);
        let mut random = Random::new(plan.seed, 1);
        let mut paces = [2, 3].map(|purpose| Pace::new(plan.seed, purpose));
        let (mut rows, mut waiting) = (Rows::default(), None);
        Box::new(move |frame: &mut Frame| {
            let is_busy = model.is_busy();
            if frame.beats() >= plan.beats && !is_busy {
                return false;
            }
            let starts = !is_busy && random.chance(1, 3);
            if starts {
                rows = drawn(&mut random, tokens, beat_bytes);
            }
            let Rows { base, rows: count, row_beats, period, stride, advances, listed } = rows;
            let values = [base, count, row_beats, period, stride, advances.into(), listed.into()];
            for (pin, value) in asked.iter().zip(values) {
                frame.drive(*pin, value.into());
            }
            frame.drive(start, starts.into());
            if waiting.is_none() && paces[0].willing() {
                waiting = Some(random.below(tokens.into()) as u32);
            }
            let taken = paces[1].willing();
            frame.drive(taken_pin, taken.into());
            frame.drive(row_valid, u64::from(waiting.is_some()));
            frame.drive(row, waiting.map_or(0, u64::from));
            let takes = model.takes(taken);
            frame.expect(row_ready, takes.into());
            frame.expect(busy, is_busy.into());
            frame.expect(offered, model.offered().is_some().into());
            if let Some(found) = model.offered() {
                frame.expect(address, found.into());
                frame.expect(beats, row_beats.into());
                if taken {
                    frame.count_beat();
                }
            }
            let listed = if takes { waiting.take() } else { None };
            model.tick(starts.then_some(rows), listed, taken);
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "row_addresses", signal, change };
        vec![
            of("has_row", Change::Inverted),
            of("wraps", Change::Delayed),
            of("next_first", Change::Zero),
            of("row_now", Change::Exchanged),
            of("offset", Change::Undelayed),
            of("counts", Change::Inverted),
            of("moves", Change::Inverted),
        ]
    }
}

/// Rows of a tensor, of an image or of a queue.
fn drawn(random: &mut Random, tokens: u32, beat_bytes: u32) -> Rows {
    let mut below = |bound: u32| random.below(bound.into()) as u32;
    let period = 1 + below(tokens);
    Rows {
        base: below(1 << 20) * beat_bytes,
        rows: 1 + below(3 * tokens),
        row_beats: if below(4) == 0 { below(1 << 14) } else { 1 + below(200) },
        period,
        stride: if below(2) == 0 { 1 } else { below(20) },
        advances: below(2) == 1,
        listed: below(3) == 0,
    }
}
