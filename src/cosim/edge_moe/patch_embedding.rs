//! Patch embedding: rows of patches of an image, or drawn ones, at random pace. A beat is a word of pixels
//! times a word of features.

use std::iter;

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::units::edge_moe::WEIGHT_BITS;
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::patch_embedding::PatchEmbedding as Model;

use super::image::{Image, Traffic};
use super::operands::{FEATURE_BITS, Results, features, number, packed};
use crate::cosim::{Pace, Plan, Random, Source, Unit};

/// Width of a pixel \[bits\].
const PIXEL_BITS: u32 = 8;
/// Width of a bias \[bits\].
const BIAS_BITS: u32 = 16;

/// Weights of one feature for a line of a patch, and the biases of its word.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// The feature.
    pub feature: u32,
    /// The line; lines of a colour follow each other.
    pub line: u32,
    /// One per pixel of the line.
    pub weights: Vec<i16>,
    /// One per lane.
    pub biases: Vec<i32>,
}

/// An image.
#[derive(Debug, Clone)]
pub struct Patches {
    /// All weights and biases.
    pub parameters: Vec<Parameters>,
    /// Words of pixels, row of patches after row.
    pub pixels: Vec<Vec<u8>>,
    /// Words of the positions, patch after patch.
    pub positions: Vec<Vec<i32>>,
}

/// Operands as they come.
struct Operands {
    parameters: Source<Parameters>,
    pixels: Source<Vec<u8>>,
    positions: Source<Vec<i32>>,
}

struct PatchEmbedding(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(PatchEmbedding(sizes.clone()))
}

impl Unit for PatchEmbedding {
    fn name(&self) -> &'static str {
        "patch_embedding"
    }

    fn parameters(&self) -> String {
        let Sizes { patch, patch_columns, width, .. } = &self.0;
        format!("{patch_columns} patches of {patch} x {patch} in a row, {width} features")
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::patch_embedding(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let sizes = self.0.clone();
        let random = |purpose| Random::new(plan.seed, purpose);
        let [mut of_parameters, mut of_pixels, mut of_positions] = [5, 6, 7].map(random);
        let lines = sizes.patch * sizes.colours;
        let (lanes, count) = (sizes.lanes, pins.input("s_pixel_tdata").width / PIXEL_BITS);
        let operands = Operands {
            parameters: Box::new((0..sizes.width * lines).map(move |at| {
                Parameters {
                    feature: at % sizes.width,
                    line: at / sizes.width,
                    weights: (0..sizes.patch)
                        .map(|_| number(&mut of_parameters, WEIGHT_BITS) as i16)
                        .collect(),
                    biases: features(&mut of_parameters, lanes, BIAS_BITS),
                }
            })),
            pixels: Box::new(iter::repeat_with(move || {
                (0..count).map(|_| number(&mut of_pixels, PIXEL_BITS + 1) as u8).collect()
            })),
            positions: Box::new(iter::repeat_with(move || {
                features(&mut of_positions, lanes, FEATURE_BITS)
            })),
        };
        driver(&self.0, pins, plan, operands, Results::unknown())
    }

    fn image(&self, pins: &Pins, plan: Plan, image: &Image) -> Result<Box<dyn Vectors>, String> {
        let Traffic { given, results } = image.patch_embedding.needed()?.clone();
        let mut operands = Operands {
            parameters: Box::new(iter::empty()),
            pixels: Box::new(iter::empty()),
            positions: Box::new(iter::empty()),
        };
        for Patches { parameters, pixels, positions } in given {
            operands.parameters = Box::new(parameters.into_iter());
            operands.pixels = Box::new(pixels.into_iter());
            operands.positions = Box::new(positions.into_iter());
        }
        Ok(driver(&self.0, pins, plan, operands, Results::known(results)))
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let top = |signal, change| Mutation { module: "patch_embedding", signal, change };
        let feature = |signal, change| Mutation { module: "patch_feature", signal, change };
        vec![
            top("row_ends", Change::Delayed),
            top("first_line_1", Change::Undelayed),
            top("pixel_register", Change::Undelayed),
            top("out_place", Change::Zero),
            top("pairs_end", Change::Zero),
            feature("product_0_1", Change::Undelayed),
            feature("bias_feature", Change::Zero),
            feature("bank_1_write", Change::Zero),
        ]
    }
}

fn driver(
    sizes: &Sizes,
    pins: &Pins,
    plan: Plan,
    mut operands: Operands,
    mut results: Results<Vec<i32>>,
) -> Box<dyn Vectors> {
    let (lanes, token_words) = (sizes.lanes, sizes.token_words());
    let [weight_write, weight_lane, weight_address, weight_data] =
        ["weight_write", "weight_lane", "weight_address", "weight_data"]
            .map(|name| pins.input(name));
    let [bias_write, bias_address, bias_data] =
        ["bias_write", "bias_address", "bias_data"].map(|name| pins.input(name));
    let [pixel_valid, pixel, position_valid, position, takes] = [
        "s_pixel_tvalid",
        "s_pixel_tdata",
        "s_position_tvalid",
        "s_position_tdata",
        "m_axis_tready",
    ]
    .map(|name| pins.input(name));
    let [pixel_ready, position_ready, offered, data] =
        ["s_pixel_tready", "s_position_tready", "m_axis_tvalid", "m_axis_tdata"]
            .map(|name| pins.output(name));
    let mut model = Model::new(sizes);
    let mut paces = [2, 3, 4].map(|purpose| Pace::new(plan.seed, purpose));
    // Two rows leave even if few beats are asked for: nothing shows before.
    let mut leaving = 2 * sizes.patch_columns * sizes.token_words();
    let (mut line, mut place): (Option<Vec<u8>>, Option<Vec<i32>>) = (None, None);
    let mut all_given = false;
    Box::new(move |frame: &mut Frame| {
        let is_enough = frame.beats() >= plan.beats && leaving == 0;
        if is_enough || all_given && line.is_none() && model.is_idle() {
            return false;
        }
        let next = operands.parameters.next();
        frame.drive(weight_write, u64::from(next.is_some()));
        frame.drive(bias_write, u64::from(next.is_some()));
        if let Some(Parameters { feature, line, weights, biases }) = &next {
            let (word, lane) = (feature / lanes, feature % lanes);
            frame.drive(weight_lane, lane.into());
            frame.drive(weight_address, (line * token_words + word).into());
            let bits = weights.iter().map(|weight| i64::from(*weight));
            frame.drive_bits(weight_data, &packed(bits, WEIGHT_BITS));
            model.write_weights(*feature as usize, *line as usize, weights);
            frame.drive(bias_address, word.into());
            let bits = biases.iter().map(|bias| i64::from(*bias));
            frame.drive_bits(bias_data, &packed(bits, BIAS_BITS));
            model.write_bias(word as usize, biases);
        }
        let [pixel_pace, position_pace, pops] = &mut paces;
        if line.is_none() && next.is_none() && pixel_pace.willing() {
            line = operands.pixels.next();
            all_given = line.is_none();
        }
        if place.is_none() && position_pace.willing() {
            place = operands.positions.next();
        }
        frame.drive(pixel_valid, u64::from(line.is_some()));
        frame.drive(position_valid, u64::from(place.is_some()));
        if let Some(line) = &line {
            let bits = line.iter().map(|pixel| i64::from(*pixel));
            frame.drive_bits(pixel, &packed(bits, PIXEL_BITS));
        }
        if let Some(place) = &place {
            let bits = place.iter().map(|feature| i64::from(*feature));
            frame.drive_bits(position, &packed(bits, FEATURE_BITS));
        }
        let taken = pops.willing();
        frame.drive(takes, u64::from(taken));
        let (pixel_open, position_open) = (model.is_ready(), model.takes_position());
        frame.expect(pixel_ready, u64::from(pixel_open));
        frame.expect(position_ready, u64::from(position_open));
        let shown = model.offered();
        frame.expect(offered, u64::from(shown.is_some_and(|word| results.allow(word))));
        if let Some(word) = shown {
            let bits = word.iter().map(|feature| i64::from(*feature));
            frame.expect_bits(data, &packed(bits, FEATURE_BITS));
        }
        if taken && shown.is_some() {
            results.leave();
            leaving = leaving.saturating_sub(1);
        }
        let steps = model.steps();
        model.tick(line.as_deref(), place.as_deref(), taken);
        if model.steps() > steps {
            frame.count_beat();
        }
        line = line.take().filter(|_| !pixel_open);
        place = place.take().filter(|_| !position_open);
        true
    })
}
