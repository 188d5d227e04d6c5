//! Patch embedding: rows of random patches at random pace. A beat is a word of pixels times a word of
//! features.

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::units::edge_moe::WEIGHT_BITS;
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::patch_embedding::PatchEmbedding as Model;

use super::operands::{FEATURE_BITS, number, packed};
use crate::cosim::{Pace, Plan, Random, Unit};

/// Width of a pixel \[bits\].
const PIXEL_BITS: u32 = 8;
/// Width of a bias \[bits\].
const BIAS_BITS: u32 = 16;

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
        let mut model = Model::new(&sizes);
        let mut random = Random::new(plan.seed, 1);
        let mut paces = [2, 3, 4].map(|purpose| Pace::new(plan.seed, purpose));
        let lines = sizes.patch * sizes.colours;
        let pixels = pixel.width / PIXEL_BITS;
        // Each write brings a line of weights of one feature.
        let mut writes = 0..sizes.width * lines;
        // Two rows leave even if few beats are asked for: nothing shows before.
        let mut leaving = 2 * sizes.patch_columns * sizes.token_words();
        let (mut line, mut place): (Option<Vec<u8>>, Option<Vec<i32>>) = (None, None);
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats && leaving == 0 {
                return false;
            }
            let next = writes.next();
            frame.drive(weight_write, u64::from(next.is_some()));
            frame.drive(bias_write, u64::from(next.is_some()));
            if let Some(at) = next {
                let (feature, line) = (at % sizes.width, at / sizes.width);
                let weight = |_| number(&mut random, WEIGHT_BITS) as i16;
                let weights: Vec<i16> = (0..sizes.patch).map(weight).collect();
                let (word, lane) = (feature / sizes.lanes, feature % sizes.lanes);
                frame.drive(weight_lane, lane.into());
                frame.drive(weight_address, (line * sizes.token_words() + word).into());
                let bits = weights.iter().map(|weight| i64::from(*weight));
                frame.drive_bits(weight_data, &packed(bits, WEIGHT_BITS));
                model.write_weights(feature as usize, line as usize, &weights);
                let bias: Vec<i32> =
                    (0..sizes.lanes).map(|_| number(&mut random, BIAS_BITS) as i32).collect();
                frame.drive(bias_address, word.into());
                let bits = bias.iter().map(|bias| i64::from(*bias));
                frame.drive_bits(bias_data, &packed(bits, BIAS_BITS));
                model.write_bias(word as usize, &bias);
            }
            let [pixel_pace, position_pace, pops] = &mut paces;
            if line.is_none() && next.is_none() && pixel_pace.willing() {
                line =
                    Some((0..pixels).map(|_| number(&mut random, PIXEL_BITS + 1) as u8).collect());
            }
            if place.is_none() && position_pace.willing() {
                let feature = |_| number(&mut random, FEATURE_BITS) as i32;
                place = Some((0..sizes.lanes).map(feature).collect());
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
            frame.expect(offered, u64::from(model.offered().is_some()));
            if let Some(word) = model.offered() {
                let bits = word.iter().map(|feature| i64::from(*feature));
                frame.expect_bits(data, &packed(bits, FEATURE_BITS));
            }
            if taken && model.offered().is_some() {
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
