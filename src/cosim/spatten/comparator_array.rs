//! Comparator array: every cycle a row and a pivot, which often is one of the row.

use std::cmp::Ordering;

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Error,
    mutate::{Change, Mutation},
    units::spatten::comparator_array::ComparatorArray as Rtl,
    witness::{Frame, Pins, Vectors},
};

use crate::cosim::{Plan, Random, Unit};

struct ComparatorArray {
    lanes: u32,
    width: u32,
}

/// The unit of the local-value engine.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    let lanes = params.topk_value.parallelism;
    Box::new(ComparatorArray { lanes, width: params.datapath_bits })
}

impl Unit for ComparatorArray {
    fn name(&self) -> &'static str {
        "comparator_array"
    }

    fn parameters(&self) -> String {
        format!("{} lanes of {} bits", self.lanes, self.width)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&Rtl { lanes: self.lanes, width: self.width }.module()?])
    }

    /// The simulator has no comparators of its own: quick-select compares in Rust, as this does.
    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let &Self { lanes, width } = self;
        let (pivot_pin, valid_pin) = (pins.input("pivot"), pins.input("valid"));
        let data_pins = pins.input_lanes("s_data", lanes);
        let sides = [Ordering::Less, Ordering::Greater].into_iter();
        let sides: Vec<_> =
            sides.zip(["smaller", "larger"].map(|name| pins.output(name))).collect();
        let mut random = Random::new(plan.seed, 2);
        Box::new(move |frame: &mut Frame| {
            if frame.beats() == plan.beats {
                return false;
            }
            frame.count_beat();
            let row: Vec<u64> = data_pins.iter().map(|_| random.bits(width)).collect();
            let near = row[random.below(row.len() as u64) as usize];
            let pivot = match random.below(4) {
                0 => random.bits(width),
                1 => near.saturating_sub(1),
                _ => near,
            };
            let valid = random.bits(64) | random.bits(64);
            frame.drive(pivot_pin, pivot);
            frame.drive(valid_pin, valid);
            for (pin, element) in data_pins.iter().zip(&row) {
                frame.drive(*pin, *element);
            }
            for (side, pin) in &sides {
                let is_there =
                    |lane: usize| valid >> lane & 1 == 1 && row[lane].cmp(&pivot) == *side;
                let mask = (0..row.len())
                    .filter(|lane| is_there(*lane))
                    .fold(0, |mask, lane| mask | 1 << lane);
                frame.expect(*pin, mask);
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let mutation = |signal, change| Mutation { module: "comparator_array", signal, change };
        vec![
            mutation("is_smaller_0", Change::Inverted),
            mutation("is_larger_1", Change::Zero),
            mutation("is_larger_0", Change::Delayed),
        ]
    }
}
