//! The whole machine: registers, the sequencer of calls, all units once, and five ports to the memory.

mod call_sequencer;
mod experts;
mod ports;
mod schedule;
mod streams;
mod units;
mod work;

use std::sync::Arc;

use attelier_hw::edge_moe::{TopSizes, formats::FEATURE};

use self::{
    call_sequencer::LAYER_BITS,
    experts::Experts,
    ports::Activity,
    schedule::{Call, EXPERT_LAYERS, SCHEDULE, Tensor, Work},
};
use crate::{
    Error, ModuleBuilder, Signal, blocks::AxiLiteRegisters, ir::Module,
    units::spatten::parts::within,
};

pub use self::call_sequencer::call_sequencer;

/// Control registers of 32 bits, in their order: name and meaning.
pub const REGISTERS: [(&str, &str); 13] = [
    ("start", "a write of 1 starts an image, unless one is under way"),
    ("layers", "layers of the model, 1 to 255"),
    ("image", "address of the image"),
    ("positions", "address of the embeddings of class token and positions"),
    ("weights", "address of all that is trained but gates and positions"),
    ("gates", "address of the gates of the task: the task pointer"),
    ("x", "address of the residual stream, in the end the result"),
    ("tmp1", "address of outputs of layer norm and attention"),
    ("tmp2", "address of queries and values"),
    ("tmp3", "address of keys and of results of projection, MLP and experts"),
    ("hidden", "address of hidden activations"),
    ("scores", "address of scores"),
    ("softmax_info", "address of what a softmax leaves"),
];

/// Status registers behind them.
pub const STATUSES: [(&str, &str); 2] = [
    ("state", "bit 0 idle, bit 1 the image is complete, bit 2 a read failed, bit 3 a write failed"),
    ("cycles", "cycles of the image under way or complete"),
];

/// Width of a register \[bits\].
const REGISTER_BITS: u32 = 32;

/// The number of a control register.
fn register(name: &str) -> u32 {
    REGISTERS.iter().position(|(known, _)| *known == name).unwrap_or(0) as u32
}

/// The module `edge_moe_top`.
///
/// # Errors
/// Whatever one of the units refuses; words that are no whole number of beats; heads whose scores do not fit a
/// beat, or whose sums do not fit a word; hidden layers of experts that are no multiple of a block; matrices
/// that do not fit a buffer; tokens that are no class token and whole rows of patches.
pub fn edge_moe_top(sizes: &TopSizes) -> Result<Arc<Module>, Error> {
    check(sizes)?;
    let m = ModuleBuilder::new("edge_moe_top");
    m.doc("Edge-MoE: an image through all layers of a vision transformer, those with an odd number with experts.");
    m.doc("Calls follow each other as in the released code; only the loop over the experts loads weights while");
    m.doc("it computes. AXI4-Lite registers (32 bits):");
    for (at, (name, meaning)) in REGISTERS.iter().chain(&STATUSES).enumerate() {
        m.doc(format!("{at}: {name}: {meaning}"));
    }
    m.doc("Addresses are those of bytes and multiples of a beat.");
    m.parameter("TOKENS", sizes.units.tokens);
    m.parameter("WIDTH", sizes.units.width);
    m.parameter("HIDDEN", sizes.units.hidden);
    m.parameter("EXPERTS", sizes.units.experts);
    m.parameter("EXPERT_HIDDEN", sizes.expert_hidden);
    m.parameter("BEAT_BYTES", sizes.beat_bytes);
    m.latency("that of its calls, one after the other");
    build(&m, sizes)?;
    m.finish()
}

fn check(sizes: &TopSizes) -> Result<(), Error> {
    let (name, units) = ("edge_moe_top", &sizes.units);
    let refuse =
        |parameter, value, expected| Err(Error::parameter(name, parameter, value, expected));
    within(name, "beat_bytes", sizes.beat_bytes, 4..129, "4 to 128 bytes")?;
    within(name, "lanes", units.lanes, 2..65, "2 to 64 lanes")?;
    within(name, "heads", units.heads, 1..17, "1 to 16 heads")?;
    within(name, "width", units.width, 2..1 << 13, "2 to 8191 features")?;
    within(name, "hidden", units.hidden, 2..1 << 15, "2 to 32767 features")?;
    within(name, "expert_hidden", sizes.expert_hidden, 2..units.hidden + 1, "at most `hidden`")?;
    within(name, "tokens", units.tokens, 3..4097, "3 to 4096 tokens")?;
    within(name, "patch", units.patch, 2..65, "2 to 64 pixels")?;
    within(name, "patch_columns", units.patch_columns, 2..4097, "2 to 4096 patches")?;
    within(name, "colours", units.colours, 1..9, "1 to 8 colours")?;
    let ratio = sizes.word_bytes() / sizes.beat_bytes;
    if ratio * sizes.beat_bytes != sizes.word_bytes() || !(1..=32).contains(&ratio) {
        return refuse("beat_bytes", sizes.beat_bytes, "a word is 1 to 32 whole beats");
    }
    if units.word_weights != 2 * units.lanes || units.block_inputs != units.word_weights {
        let expected = "as many as inputs of a block, and twice as many as lanes";
        return refuse("word_weights", units.word_weights, expected);
    }
    if units.heads * FEATURE.bits > 8 * sizes.beat_bytes || 2 * units.heads > units.lanes {
        let expected = "a score of each fits a beat, and two numbers of each a word";
        return refuse("heads", units.heads, expected);
    }
    let block = units.block_inputs;
    for (parameter, features) in [("width", units.width), ("expert_hidden", sizes.expert_hidden)] {
        if !features.is_multiple_of(block) {
            return refuse(parameter, features, "a multiple of the inputs of a block");
        }
    }
    let blocks = (units.width / block).saturating_mul(units.hidden / block);
    if blocks.max((units.width / block).pow(2)) > units.buffer_blocks {
        return refuse("buffer_blocks", units.buffer_blocks, "the largest matrix");
    }
    if units.width > units.hidden || sizes.patch_rows() * units.patch_columns + 1 != units.tokens {
        let expected = "a class token and whole rows of patches, not wider than hidden layers";
        return refuse("tokens", units.tokens, expected);
    }
    Ok(())
}

/// The machine under construction.
struct Top<'a> {
    m: &'a ModuleBuilder,
    sizes: &'a TopSizes,
    controls: Vec<Signal>,
    activities: Vec<Activity>,
    experts: Experts<'a>,
    /// Where the weights of the call lie, and the gate of the layer.
    weight_address: Signal,
    gate_address: Signal,
}

fn build(m: &ModuleBuilder, sizes: &TopSizes) -> Result<(), Error> {
    m.section("registers");
    let block =
        AxiLiteRegisters { controls: REGISTERS.len() as u32, statuses: STATUSES.len() as u32 };
    let module = block.build()?;
    let registers = m.instance("registers", &module);
    for (port, ty) in module.inputs().filter(|(port, _)| port.starts_with("s_axi_")) {
        registers.input(port, m.input(port, ty));
    }
    for (port, _) in module.outputs().filter(|(port, _)| port.starts_with("s_axi_")) {
        m.output(port, &registers.output(port));
    }
    let controls: Vec<Signal> =
        (0..block.controls).map(|at| registers.output(&format!("control_{at}"))).collect();
    let control = |name: &str| &controls[register(name) as usize];
    let written = registers.output("written");
    m.discard(&written);
    m.discard(control("start"));
    m.discard(control("layers"));
    let starts = written.bit(register("start")) & control("start").bit(0);
    let starts = m.wire("starts", &starts);

    m.section("calls");
    let call_idle = m.forward("call_idle", 1);
    let sequencer = m.instance("calls", &call_sequencer(sizes)?);
    sequencer
        .input("start", &starts)
        .input("layers", control("layers").bits(0..LAYER_BITS))
        .input("weights", control("weights"))
        .input("gates", control("gates"))
        .input("call_idle", &call_idle);
    let (call, begins) = (sequencer.output("call"), sequencer.output("begins"));
    let is_call: Vec<Signal> = (0u64..)
        .zip(&SCHEDULE)
        .map(|(at, known)| m.wire(format!("is_{}", known.name), &call.eq(at)))
        .collect();
    let calls = || SCHEDULE.iter().zip(&is_call);
    let looping: Vec<Signal> = calls()
        .filter(|(call, _)| call.work == Work::Experts)
        .map(|(_, when)| when.clone())
        .collect();
    let experts = Experts::new(m, sizes, &m.any_of(&looping), &begins)?;
    let of_image = calls().map(|(call, when)| Activity {
        call: *call,
        when: when.clone(),
        start: when & &begins,
        listed: None,
    });
    let of_experts = EXPERT_LAYERS.iter().zip(experts.layers());
    let of_experts = of_experts.map(|(call, when)| Activity {
        call: *call,
        start: &when & &experts.compute_start(),
        when,
        listed: Some(experts.length()),
    });
    let top = Top {
        m,
        sizes,
        activities: of_image.chain(of_experts).collect(),
        controls: controls.clone(),
        experts,
        weight_address: sequencer.output("weight_address"),
        gate_address: sequencer.output("gate_address"),
    };
    let work = top.datapath()?;
    m.drive(&call_idle, &work.idle);

    m.section("status");
    let runs = sequencer.output("busy");
    let complete = m.register("is_complete", 1);
    m.update(&complete, sequencer.output("done") | (&complete & !&starts));
    let begins_image = m.wire("begins_image", &(&starts & !&runs));
    let cycles = m.register("cycles", REGISTER_BITS);
    let counts = m.wire("counts", &(&begins_image | &runs));
    m.update_when(&cycles, &counts, (!&begins_image).gate(&(&cycles + 1)));
    let state = m.pack(&[!&runs, complete.clone(), work.read_failed, work.write_failed]);
    let state = m.wire("state", &state.extend(REGISTER_BITS));
    registers.input("status_0", &state).input("status_1", &cycles);
    m.output_for("idle", &!runs, "No image is under way.");
    m.output_for("done", &complete, "The image is complete; until the next one starts.");
    Ok(())
}

impl Top<'_> {
    /// A control register.
    fn control(&self, name: &str) -> Signal {
        self.controls[register(name) as usize].clone()
    }

    /// The address of a tensor.
    fn address_of(&self, tensor: Tensor) -> Signal {
        self.control(match tensor {
            Tensor::Image => "image",
            Tensor::X => "x",
            Tensor::Tmp1 => "tmp1",
            Tensor::Tmp2 => "tmp2",
            Tensor::Tmp3 => "tmp3",
            Tensor::Hidden | Tensor::ExpertHidden => "hidden",
            Tensor::Scores => "scores",
            Tensor::SoftmaxInfo => "softmax_info",
        })
    }

    /// One bit: a call of which `is` holds is under way.
    fn when(&self, is: impl Fn(&Call) -> bool) -> Signal {
        let calls = self.activities.iter().filter(|activity| is(&activity.call));
        self.m.any_of(&calls.map(|activity| activity.when.clone()).collect::<Vec<_>>())
    }

    /// One bit: a call of this work is under way.
    fn is(&self, work: Work) -> Signal {
        self.when(|call| call.work == work)
    }

    /// One bit: a call of which `is` holds begins.
    fn starts(&self, is: impl Fn(&Call) -> bool) -> Signal {
        let calls = self.activities.iter().filter(|activity| is(&activity.call));
        self.m.any_of(&calls.map(|activity| activity.start.clone()).collect::<Vec<_>>())
    }
}
