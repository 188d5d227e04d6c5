//! Zero eliminator: every cycle a row with random lanes kept; with real requests the two sides of every
//! row of all rounds.

use std::iter;

use attelier_hw::spatten::Spatten;
use attelier_rtl::{
    Design, Error,
    mutate::{Change, Mutation},
    units::spatten::zero_eliminator::ZeroEliminator as Rtl,
    witness::{Frame, Pins, Vectors},
};
use attelier_sim::units::zero_eliminator::eliminate;

use super::{buffered::rounds, requests::Requests};
use crate::cosim::{Plan, Random, Source, Unit};

struct ZeroEliminator {
    lanes: u32,
    width: u32,
}

/// The unit of the local-value engine.
pub fn unit(params: &Spatten) -> Box<dyn Unit> {
    let lanes = params.topk_value.parallelism;
    Box::new(ZeroEliminator { lanes, width: params.datapath_bits })
}

impl Unit for ZeroEliminator {
    fn name(&self) -> &'static str {
        "zero_eliminator"
    }

    fn parameters(&self) -> String {
        format!("{} lanes of {} bits", self.lanes, self.width)
    }

    fn design(&self) -> Result<Design, Error> {
        let unit = Rtl { name: self.name().into(), lanes: self.lanes, width: self.width };
        Design::new([&unit.module()?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let &Self { lanes, width } = self;
        let mut random = Random::new(plan.seed, 1);
        self.driver(pins, plan, Box::new(iter::repeat_with(move || row(&mut random, lanes, width))))
    }

    fn real(
        &self,
        pins: &Pins,
        plan: Plan,
        requests: &Requests,
    ) -> Result<Box<dyn Vectors>, String> {
        let lanes = self.lanes as usize;
        let rounds = rounds(&requests.value_selections()?, lanes).into_iter();
        let rows = rounds.flat_map(move |round| {
            let side = |row: &[u64], is_there: &dyn Fn(u64) -> bool| {
                let mut elements = row.to_vec();
                elements.resize(lanes, 0);
                let kept = (0..).zip(row).filter(|(_, element)| is_there(**element));
                Row { elements, keep: kept.fold(0, |keep, (lane, _)| keep | 1u64 << lane) }
            };
            let sides = |row: &[u64]| {
                let smaller = side(row, &|element| element < round.pivot);
                [smaller, side(row, &|element| element > round.pivot)]
            };
            round.candidates.chunks(lanes).flat_map(sides).collect::<Vec<_>>()
        });
        Ok(self.driver(pins, plan, Box::new(rows)))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let mutation = |signal, change| Mutation { module: "zero_eliminator", signal, change };
        vec![
            mutation("layer_0_leaves_1", Change::Zero),
            mutation("layer_1_data_0", Change::Exchanged),
            mutation("layer_0_steps_3", Change::Inverted),
            mutation("layer_0_data_1", Change::Delayed),
        ]
    }
}

/// What is compacted in one cycle.
struct Row {
    elements: Vec<u64>,
    keep: u64,
}

/// Dense, sparse and even rows, and now and then all or none.
fn row(random: &mut Random, lanes: u32, width: u32) -> Row {
    let keep = match random.below(8) {
        0 => 0,
        1 => u64::MAX,
        2 | 3 => random.bits(64) & random.bits(64),
        4 | 5 => random.bits(64) | random.bits(64),
        _ => random.bits(64),
    };
    Row { elements: (0..lanes).map(|_| random.bits(width)).collect(), keep }
}

impl ZeroEliminator {
    fn driver(&self, pins: &Pins, plan: Plan, mut rows: Source<Row>) -> Box<dyn Vectors> {
        let keep_pin = pins.input("keep");
        let data_pins = pins.input_lanes("s_data", self.lanes);
        let (count_pin, out_pins) = (pins.output("count"), pins.output_lanes("m_data", self.lanes));
        Box::new(move |frame: &mut Frame| {
            if frame.beats() == plan.beats {
                return false;
            }
            let Some(Row { mut elements, keep }) = rows.next() else { return false };
            frame.count_beat();
            frame.drive(keep_pin, keep);
            for (pin, element) in data_pins.iter().zip(&elements) {
                frame.drive(*pin, *element);
            }
            let count = eliminate(&mut elements, keep);
            frame.expect(count_pin, count as u64);
            for (pin, element) in out_pins.iter().zip(&elements[..count]) {
                frame.expect(*pin, *element);
            }
            true
        })
    }
}
