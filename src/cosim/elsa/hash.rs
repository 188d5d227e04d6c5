//! The hash module: random vectors and factors, vectors of zeros among them, at random pace. A beat is a
//! vector.

use attelier_hw::elsa::Elsa;
use attelier_rtl::bits::Bits;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::elsa::hash::HashModule;

use crate::cosim::{Pace, Plan, Random, Unit};

struct Hash(Elsa);

/// The unit of a machine.
pub fn unit(params: &Elsa) -> Box<dyn Unit> {
    Box::new(Hash(params.clone()))
}

/// A number of `width` bits in two's complement.
fn number(random: &mut Random, width: u32) -> i64 {
    let shift = 64 - width;
    ((random.bits(width) << shift) as i64) >> shift
}

impl Unit for Hash {
    fn name(&self) -> &'static str {
        "elsa_hash"
    }

    fn parameters(&self) -> String {
        let Elsa { head_dim, hash, .. } = &self.0;
        format!("{head_dim} elements, {} multipliers", hash.multipliers)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::elsa::elsa_hash(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let Elsa { head_dim, format, hash, .. } = self.0.clone();
        let [write, address, element, valid, data] =
            ["factor_write", "factor_address", "factor_data", "s_axis_tvalid", "s_axis_tdata"]
                .map(|name| pins.input(name));
        let [ready, shown, bits] =
            ["s_axis_tready", "m_axis_tvalid", "m_axis_tdata"].map(|name| pins.output(name));
        let mut model = HashModule::new(&self.0);
        let (mut random, mut gives) = (Random::new(plan.seed, 1), Pace::new(plan.seed, 2));
        let all = 0..model.factors.elements().len();
        let (mut writes, mut waiting) = (all.clone(), None::<Vec<i64>>);
        Box::new(move |frame: &mut Frame| {
            let ends = frame.beats() >= plan.beats;
            if ends && model.is_idle() && model.shown().is_none() {
                return false;
            }
            let is_quiet = model.is_idle() && waiting.is_none();
            if is_quiet && writes.is_empty() && random.chance(1, 64) {
                writes = all.clone();
            }
            let next = if is_quiet { writes.next() } else { None };
            frame.drive(write, u64::from(next.is_some()));
            if let Some(at) = next {
                let number = number(&mut random, 1 + hash.factor_fraction_bits);
                frame.drive(address, at as u64);
                frame.drive(element, number as u64);
                model.factors.set(at, number);
            }
            let may_offer = !ends && next.is_none() && writes.is_empty();
            if waiting.is_none() && may_offer && gives.willing() {
                // Few elements that are not zero give projections of zero.
                let zeros = random.below(4);
                let mut element = |_| match random.below(4) < zeros {
                    true => 0,
                    false => number(&mut random, format.element_bits),
                };
                waiting = Some((0..head_dim).map(&mut element).collect());
            }
            frame.drive(valid, u64::from(waiting.is_some()));
            if let Some(vector) = &waiting {
                let width = format.element_bits;
                let mut packed = Bits::zero(head_dim * width);
                for (at, element) in (0..).zip(vector) {
                    packed.place(at * width, &Bits::from_signed(*element, width));
                }
                frame.drive_bits(data, &packed);
            }
            frame.expect(ready, u64::from(model.is_ready()));
            frame.expect(shown, u64::from(model.shown().is_some()));
            if let Some(hash) = model.shown() {
                frame.expect(bits, hash);
            }
            let vector = if model.is_ready() { waiting.take() } else { None };
            if vector.is_some() {
                frame.count_beat();
            }
            model.tick(vector.as_deref());
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "elsa_hash", signal, change };
        vec![
            of("is_last", Change::Inverted),
            of("takes", Change::Zero),
            of("finishes", Change::Delayed),
            of("row_0_1", Change::Zero),
            of("element_7", Change::Zero),
            of("hash", Change::Inverted),
            of("hash", Change::Delayed),
            Mutation { module: "elsa_hash_lane", signal: "product_1", change: Change::Zero },
        ]
    }
}
