//! Comparator array: every cycle a row and a pivot, which often is one of the row; with real requests
//! the rows and pivots of all rounds.

use std::{cmp::Ordering, iter};

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Error,
    mutate::{Change, Mutation},
    units::spatten::comparator_array::ComparatorArray as Rtl,
    witness::{Frame, Pins, Vectors},
};

use super::{buffered::rounds, operands::lanes, requests::Requests};
use crate::cosim::{Plan, Random, Source, Unit};

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

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let &Self { lanes, width } = self;
        self.driver(pins, plan, drawn(Random::new(plan.seed, 2), lanes, width))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        Ok(self.driver(pins, plan, real(requests, self.lanes)?))
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

/// What is compared in one cycle.
pub struct Row {
    /// One per lane, or fewer at the end of a round.
    pub elements: Vec<u64>,
    /// Lanes that hold an element.
    pub valid: u64,
    /// What they are compared with.
    pub pivot: u64,
}

/// Random rows with pivots, most of which are in the row, one below, or at an end.
pub fn drawn(mut random: Random, lanes: u32, width: u32) -> Source<Row> {
    Box::new(iter::repeat_with(move || row(&mut random, lanes, width)))
}

/// The rows of all rounds in which values are selected.
pub fn real(requests: &Requests, width: u32) -> Result<Source<Row>, String> {
    let width = width as usize;
    let rounds = rounds(&requests.value_selections()?, width).into_iter();
    Ok(Box::new(rounds.flat_map(move |round| {
        let row = |elements: &[u64]| Row {
            valid: lanes(elements.len() as u32),
            elements: elements.to_vec(),
            pivot: round.pivot,
        };
        round.candidates.chunks(width).map(row).collect::<Vec<_>>()
    })))
}

fn row(random: &mut Random, lanes: u32, width: u32) -> Row {
    let elements: Vec<u64> = (0..lanes).map(|_| random.bits(width)).collect();
    let near = elements[random.below(lanes.into()) as usize];
    // Everything on one side, too.
    let pivot = match random.below(8) {
        0 => 0,
        1 => u64::MAX >> (64 - width),
        2 => random.bits(width),
        3 => near.saturating_sub(1),
        _ => near,
    };
    let valid = if random.chance(1, 2) { u64::MAX } else { random.bits(64) | random.bits(64) };
    Row { elements, valid, pivot }
}

impl ComparatorArray {
    /// The simulator has no comparators of its own: quick-select compares in Rust, as this does.
    fn driver(&self, pins: &Pins, plan: Plan, mut rows: Source<Row>) -> Box<dyn Vectors> {
        let (pivot_pin, valid_pin) = (pins.input("pivot"), pins.input("valid"));
        let data_pins = pins.input_lanes("s_data", self.lanes);
        let sides = [Ordering::Less, Ordering::Greater].into_iter();
        let sides: Vec<_> =
            sides.zip(["smaller", "larger"].map(|name| pins.output(name))).collect();
        Box::new(move |frame: &mut Frame| {
            if frame.beats() == plan.beats {
                return false;
            }
            let Some(Row { elements, valid, pivot }) = rows.next() else { return false };
            frame.count_beat();
            frame.drive(pivot_pin, pivot);
            frame.drive(valid_pin, valid);
            for (pin, element) in data_pins.iter().zip(&elements) {
                frame.drive(*pin, *element);
            }
            for (side, pin) in &sides {
                let is_there =
                    |lane: usize| valid >> lane & 1 == 1 && elements[lane].cmp(&pivot) == *side;
                let mask = (0..elements.len())
                    .filter(|lane| is_there(*lane))
                    .fold(0, |mask, lane| mask | 1 << lane);
                frame.expect(*pin, mask);
            }
            true
        })
    }
}
