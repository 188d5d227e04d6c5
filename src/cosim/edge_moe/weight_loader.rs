//! The weight loader: matrices of every shape that the buffer holds, or those of an image, words at random
//! pace. A beat is a word.

use std::{collections::VecDeque, iter};

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::units::edge_moe::{BIAS_BITS, WEIGHT_BITS};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::weight_loader::{Layer, WeightLoader as Model, Written};

use super::image::{Image, Traffic};
use super::operands::{Results, number, packed};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

/// A matrix as it lies in memory.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// Its shape.
    pub layer: Layer,
    /// Words of its rows, then those of the bias.
    pub words: Vec<Vec<i16>>,
}

struct WeightLoader(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(WeightLoader(sizes.clone()))
}

impl Unit for WeightLoader {
    fn name(&self) -> &'static str {
        "weight_loader"
    }

    fn parameters(&self) -> String {
        let Sizes { block_inputs, block_outputs, hidden, .. } = &self.0;
        format!("blocks of {block_inputs} x {block_outputs}, up to {hidden} inputs or outputs")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::weight_loader(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let (sizes, mut random) = (self.0.clone(), Random::new(plan.seed, 3));
        let matrices = iter::repeat_with(move || drawn(&sizes, &mut random));
        driver(&self.0, pins, plan, Box::new(matrices), Results::unknown())
    }

    fn image(&self, pins: &Pins, plan: Plan, image: &Image) -> Result<Box<dyn Vectors>, String> {
        let Traffic { given, results } = image.weight_loader.needed()?.clone();
        let (given, results) = (Box::new(given.into_iter()), Results::known(results));
        Ok(driver(&self.0, pins, plan, given, results))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "weight_loader", signal, change };
        vec![
            of("last_column", Change::Delayed),
            of("caches_0", Change::Zero),
            of("cached_1", Change::Delayed),
            of("word_register", Change::Undelayed),
            of("bias_lane_2", Change::Exchanged),
            of("weights_end", Change::Delayed),
            of("block_ends", Change::Inverted),
            of("bias_address_register", Change::Zero),
        ]
    }
}

fn driver(
    sizes: &Sizes,
    pins: &Pins,
    plan: Plan,
    mut source: Source<Matrix>,
    mut results: Results<Written>,
) -> Box<dyn Vectors> {
    let [start, in_blocks, out_blocks, attention, valid, data] =
        ["start", "in_blocks", "out_blocks", "bias_of_attention", "s_axis_tvalid", "s_axis_tdata"]
            .map(|name| pins.input(name));
    let [ready, block_write, block_address, bias_write, bias_address, done] =
        ["s_axis_tready", "block_write", "block_address", "bias_write", "bias_address", "done"]
            .map(|name| pins.output(name));
    let rows = pins.output_lanes("block_row", sizes.block_outputs);
    let biases = pins.output_lanes("bias", sizes.block_outputs);
    let mut model = Model::new(sizes);
    let (mut random, mut gives) = (Random::new(plan.seed, 1), Pace::new(plan.seed, 2));
    let mut next = source.next();
    let mut words: VecDeque<Vec<i16>> = VecDeque::new();
    let mut waiting: Option<Vec<i16>> = None;
    // What the last word gives shows one cycle after it.
    let mut quiet = false;
    Box::new(move |frame: &mut Frame| {
        let open = model.is_ready();
        if frame.beats() >= plan.beats || quiet && next.is_none() && !open {
            return false;
        }
        quiet = !open;
        let layer = next.as_ref().filter(|_| !open && random.chance(1, 3)).map(|next| next.layer);
        if layer.is_some() {
            words = next.take().map(|matrix| matrix.words).unwrap_or_default().into();
            next = source.next();
        }
        frame.drive(start, u64::from(layer.is_some() || open && random.chance(1, 8)));
        frame.drive(in_blocks, layer.map_or(random.bits(8), |layer| layer.in_blocks.into()));
        frame.drive(out_blocks, layer.map_or(random.bits(8), |layer| layer.out_blocks.into()));
        let noise = random.chance(1, 2);
        let of_attention = layer.map_or(noise, |layer| layer.bias_of_attention);
        frame.drive(attention, u64::from(of_attention));
        if waiting.is_none() && gives.willing() {
            waiting = words.pop_front();
        }
        frame.drive(valid, u64::from(waiting.is_some()));
        if let Some(word) = &waiting {
            let word = word.iter().map(|weight| i64::from(*weight));
            frame.drive_bits(data, &packed(word, WEIGHT_BITS));
        }
        frame.expect(ready, u64::from(open));
        let taken = if open { waiting.take() } else { None };
        if taken.is_some() {
            frame.count_beat();
        }
        let shown = model.tick(layer, taken);
        frame.expect(done, u64::from(shown.done));
        let is_allowed = shown.written.as_ref().is_some_and(|written| results.allow(written));
        let is_block = matches!(shown.written, Some(Written::Block { .. }));
        frame.expect(block_write, u64::from(is_allowed && is_block));
        frame.expect(bias_write, u64::from(is_allowed && !is_block));
        if shown.written.is_some() {
            results.leave();
        }
        match shown.written {
            Some(Written::Block { address, rows: block }) => {
                frame.expect(block_address, address.into());
                for (pin, row) in rows.iter().zip(&block) {
                    let row = row.iter().map(|weight| i64::from(*weight));
                    frame.expect_bits(*pin, &packed(row, WEIGHT_BITS));
                }
            }
            Some(Written::Bias { address, bias }) => {
                frame.expect(bias_address, address.into());
                for (pin, bias) in biases.iter().zip(bias) {
                    frame.expect_bits(*pin, &packed([i64::from(bias)], BIAS_BITS));
                }
            }
            None => {}
        }
        true
    })
}

/// A matrix that fits into a buffer; small ones are frequent.
fn drawn(sizes: &Sizes, random: &mut Random) -> Matrix {
    let longest = |blocks: u32, most: u32, random: &mut Random| {
        let most = blocks.min(most).max(1);
        let most = if random.chance(1, 8) { most } else { most.min(3) };
        1 + random.below(most.into()) as u32
    };
    let in_blocks = longest(sizes.hidden / sizes.block_inputs, sizes.buffer_blocks, random);
    let out_blocks =
        longest(sizes.hidden / sizes.block_outputs, sizes.buffer_blocks / in_blocks, random);
    let layer = Layer { in_blocks, out_blocks, bias_of_attention: random.chance(1, 2) };
    let word = |random: &mut Random| {
        (0..sizes.word_weights).map(|_| number(random, WEIGHT_BITS) as i16).collect()
    };
    let count = in_blocks * out_blocks * sizes.block_outputs + out_blocks;
    Matrix { layer, words: (0..count).map(|_| word(random)).collect() }
}
