//! The loader of norms, gates and the patch embedding: one after the other in random order, words of noise.
//! A beat is a write.

use attelier_hw::edge_moe::Sizes;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error, units};
use attelier_sim::units::edge_moe::parameter_loader::{Kind, ParameterLoader as Model, Written};

use super::operands::packed;
use crate::cosim::{Pace, Plan, Random, Unit};

/// Width of a weight \[bits\].
const WEIGHT_BITS: u32 = 16;
/// Everything that is loaded, in the order of the port that says so.
const KINDS: [Kind; 3] = [Kind::Norm, Kind::Gate, Kind::Patch];

struct ParameterLoader(Sizes);

/// The unit of a machine.
pub fn unit(sizes: &Sizes) -> Box<dyn Unit> {
    Box::new(ParameterLoader(sizes.clone()))
}

impl Unit for ParameterLoader {
    fn name(&self) -> &'static str {
        "parameter_loader"
    }

    fn parameters(&self) -> String {
        format!("{} lanes, {} experts", self.0.lanes, self.0.experts)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::parameter_loader(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let lanes = self.0.lanes as usize;
        let [start, kind_pin, valid, data] =
            ["start", "kind", "s_axis_tvalid", "s_axis_tdata"].map(|name| pins.input(name));
        let output = |name: &str| pins.output(name);
        let [ready, busy, word_pin] = ["s_axis_tready", "busy", "word_address"].map(output);
        let writes = ["norm_write", "gate_write", "patch_write", "patch_bias_write"].map(output);
        let [norm_weight, norm_bias, half_word, patch_weight] =
            ["norm_weight", "norm_bias", "half_data", "patch_weight"].map(output);
        let [gate_expert, patch_lane, patch_address] =
            ["gate_expert", "patch_lane", "patch_address"].map(output);
        let mut model = Model::new(&self.0);
        let mut random = Random::new(plan.seed, 1);
        let mut pace = Pace::new(plan.seed, 2);
        let mut waiting: Option<Vec<i64>> = None;
        let mut begins = 0;
        Box::new(move |frame: &mut Frame| {
            let is_busy = model.is_busy();
            if frame.beats() >= plan.beats && !is_busy {
                return false;
            }
            let starts = !is_busy && random.chance(1, 3);
            // Each comes once, the patch embedding last, which takes longest.
            let begun = if begins < 3 { begins } else { random.below(3) };
            begins += u64::from(starts);
            frame.drive(start, u64::from(starts || is_busy && random.chance(1, 8)));
            frame.drive(kind_pin, if starts { begun } else { random.bits(2) });
            if waiting.is_none() && pace.willing() {
                let weights = (0..2 * lanes).map(|_| random.bits(WEIGHT_BITS) as i64);
                waiting = Some(weights.collect());
            }
            frame.drive(valid, u64::from(waiting.is_some()));
            if let Some(word) = &waiting {
                frame.drive_bits(data, &packed(word.iter().copied(), WEIGHT_BITS));
            }
            frame.expect(busy, is_busy.into());
            let step = model.step();
            frame.expect(ready, step.is_some_and(|step| step.ends_word).into());
            let step = step.filter(|_| waiting.is_some());
            let written = step.map(|step| step.written);
            let place = written.map(|written| match written {
                Written::Norm { .. } => 0,
                Written::Gate { .. } => 1,
                Written::Patch { .. } => 2,
                Written::PatchBias { .. } => 3,
            });
            for (at, pin) in writes.iter().enumerate() {
                frame.expect(*pin, u64::from(place == Some(at)));
            }
            if let (Some(step), Some(word)) = (step, &waiting) {
                let (low, high) = word.split_at(lanes);
                let half = if step.upper { high } else { low };
                let mut shows = |pin, numbers: &[i64]| {
                    frame.expect_bits(pin, &packed(numbers.iter().copied(), WEIGHT_BITS));
                };
                match step.written {
                    Written::Norm { .. } => {
                        shows(norm_weight, low);
                        shows(norm_bias, high);
                    }
                    Written::Gate { .. } | Written::PatchBias { .. } => shows(half_word, half),
                    Written::Patch { .. } => shows(patch_weight, word),
                }
                match step.written {
                    Written::Norm { word } | Written::PatchBias { word } => {
                        frame.expect(word_pin, word.into());
                    }
                    Written::Gate { expert, word } => {
                        frame.expect(gate_expert, expert.into());
                        frame.expect(word_pin, word.into());
                    }
                    Written::Patch { lane, address } => {
                        frame.expect(patch_lane, lane.into());
                        frame.expect(patch_address, address.into());
                    }
                }
                frame.count_beat();
            }
            model.tick(starts.then(|| KINDS[begun as usize]), waiting.is_some());
            if step.is_some_and(|step| step.ends_word) {
                waiting = None;
            }
            true
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |signal, change| Mutation { module: "parameter_loader", signal, change };
        vec![
            of("half_word", Change::Exchanged),
            of("last_line", Change::Inverted),
            of("lanes_end", Change::Delayed),
            of("half", Change::Zero),
            of("line_base", Change::Zero),
            of("expert_ends", Change::Delayed),
            of("patch_ends", Change::Inverted),
            of("whole", Change::Inverted),
        ]
    }
}
