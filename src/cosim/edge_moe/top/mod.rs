//! The whole machine: images of a model with drawn numbers, the tasks in turn, on a memory that refuses and
//! answers when it likes.
//!
//! There is no model of its cycles. A native run of the hardware says when something shows; what it writes to
//! the residual stream is that of the functional simulator, bit for bit, and so is what its registers say in the
//! end. The other witnesses must show the same in every cycle.

mod board;
mod layout;
mod memory;
mod wires;

use attelier_hw::edge_moe::{EdgeMoe, TopSizes};
use attelier_rtl::{
    Design, Error,
    bits::Bits,
    mutate::{Change, Mutation},
    units,
    witness::{Frame, Pins, Vectors},
};
use attelier_workloads::vision::{ImageShape, Network};

pub use self::board::{Board, Finished};
use crate::cosim::{Plan, Unit};

/// Tasks of a drawn model, each with gates of its own.
pub const TASKS: usize = 2;
/// Layers of a drawn model: a dense one, and one with experts.
pub const LAYERS: u32 = 2;
/// Most tokens of a machine that is compared with all others: the cycles of an image grow with their square.
const MOST_TOKENS: u32 = 40;

struct EdgeMoeTop(TopSizes);

/// The machine of these sizes.
pub fn unit(sizes: &TopSizes) -> Box<dyn Unit> {
    Box::new(EdgeMoeTop(sizes.clone()))
}

/// The simulator's machine of these sizes.
///
/// # Errors
/// A preset that cannot be read.
pub fn simulated(sizes: &TopSizes) -> anyhow::Result<EdgeMoe> {
    let mut machine = EdgeMoe::preset("edge-moe")?;
    let units = &sizes.units;
    machine.port.beat_bytes = sizes.beat_bytes;
    machine.port.word_bytes = sizes.word_bytes();
    machine.attention.queries = units.queries;
    machine.linear.inputs = units.block_inputs;
    machine.linear.outputs = units.block_outputs;
    machine.linear.buffer_weights = units.buffer_blocks * units.block_inputs * units.block_outputs;
    Ok(machine)
}

/// The model that a machine of these sizes is made for.
pub fn shape(sizes: &TopSizes, layers: u32) -> ImageShape {
    let units = &sizes.units;
    ImageShape {
        channels: units.colours,
        patch: units.patch,
        patch_rows: sizes.patch_rows(),
        patch_columns: units.patch_columns,
        layers,
        dense: false,
        width: units.width,
        heads: units.heads,
        mlp_hidden: units.hidden,
        experts: units.experts,
        expert_hidden: sizes.expert_hidden,
        top_k: units.chosen,
    }
}

/// Bytes side by side, the first lowest; zeros for those that are missing.
fn bits(bytes: &[u8], count: usize) -> Bits {
    let word = |chunk: &[u8]| chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    let words: Vec<u64> = bytes.chunks(8).map(word).collect();
    Bits::from_words(&words, 8 * count as u32)
}

/// The bytes of bits, the lowest first.
fn bytes(bits: &Bits, count: usize) -> Vec<u8> {
    bits.words().iter().flat_map(|word| word.to_le_bytes()).take(count).collect()
}

impl Unit for EdgeMoeTop {
    fn name(&self) -> &'static str {
        "edge_moe_top"
    }

    fn parameters(&self) -> String {
        let units = &self.0.units;
        format!("{} tokens of {}, {} experts", units.tokens, units.width, units.experts)
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&units::edge_moe::edge_moe_top(&self.0)?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        let network = Network::generated(&shape(&self.0, LAYERS), TASKS, plan.seed);
        let board = Board::new(&self.0, &network, pins, plan.seed);
        // The unit was built before, and with it everything that the board needs.
        let mut board = board.expect("a machine that was built runs");
        let mut image = 0;
        Box::new(move |frame: &mut Frame| {
            if frame.beats() >= plan.beats {
                return false;
            }
            if board.is_idle() {
                board.start(image % TASKS);
                image += 1;
            }
            board.cycle(frame);
            true
        })
    }

    fn stimulus(&self, plan: Plan) -> Option<String> {
        Some(format!("images of both tasks, {} beats through the ports to the memory", plan.beats))
    }

    fn left_out(&self) -> Option<String> {
        (self.0.units.tokens > MOST_TOKENS).then(|| {
            "an image takes millions of cycles; name it to compare as many beats as asked for, or see the \
             tests for small models"
                .to_owned()
        })
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let of = |module, signal, change| Mutation { module, signal, change };
        let top = |signal, change| of("edge_moe_top", signal, change);
        let calls = |signal, change| of("call_sequencer", signal, change);
        vec![
            calls("has_experts", Change::Inverted),
            calls("weight_pointer_step", Change::Zero),
            calls("layer_ends", Change::Delayed),
            top("call_idle", Change::Delayed),
            top("inout1_write_base", Change::Inverted),
            top("expert_offset", Change::Zero),
            top("loads_second", Change::Inverted),
            top("passes_class", Change::Zero),
            top("is_complete", Change::Inverted),
            of("feature_adder", "summand_0", Change::Exchanged),
            of("queue_walker", "tells_weighted", Change::Zero),
        ]
    }
}
