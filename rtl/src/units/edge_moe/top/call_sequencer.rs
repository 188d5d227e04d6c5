//! The sequencer of calls: which call is under way, and where its weights lie.

use std::sync::Arc;

use attelier_hw::edge_moe::TopSizes;

use super::schedule::{FIRST_OF_LAYER, Part, SCHEDULE, Work, next, parameter_words};
use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::Module,
    units::edge_moe::{parameter_loader::GATE, row_addresses::ADDRESS_BITS},
};

/// Width of the number of layers \[bits\].
pub const LAYER_BITS: u32 = 8;

/// Width of the number of a call \[bits\].
pub fn call_bits() -> u32 {
    index_width(SCHEDULE.len() as u64)
}

/// The module `call_sequencer`.
///
/// # Errors
/// Weights of a layer that lie beyond all addresses.
pub fn call_sequencer(sizes: &TopSizes) -> Result<Arc<Module>, Error> {
    let name = "call_sequencer";
    if 2 * u64::from(sizes.units.word_weights) != u64::from(sizes.word_bytes()) {
        let expected = "as many as a word of features has bytes, halved";
        return Err(Error::parameter(name, "word_weights", sizes.units.word_weights, expected));
    }
    let bytes = |words: u64| words.saturating_mul(sizes.word_bytes().into());
    let passed = SCHEDULE.map(|call| bytes(call.work.weight_words(sizes)));
    if passed.iter().any(|bytes| *bytes >> (ADDRESS_BITS - 1) != 0) {
        let expected = "weights of all experts of a layer within 2 GiB";
        return Err(Error::parameter(name, "expert_hidden", sizes.expert_hidden, expected));
    }
    let m = ModuleBuilder::new(name);
    m.doc("Calls of an image, one after the other, in the order of the released code:");
    for (at, call) in SCHEDULE.iter().enumerate() {
        let of = match call.part {
            Part::Image => "once",
            Part::EveryLayer => "every layer",
            Part::DenseLayer => "even layers",
            Part::ExpertLayer => "odd layers",
        };
        m.doc(format!("{at}: {} ({of})", call.name));
    }
    m.doc("Weights lie in memory in the order in which they are loaded, experts one after the other; gates of");
    m.doc("all layers lie apart from them. `call_idle`: nothing of the call is under way.");
    m.latency("1 cycle from an idle call to `begins` of the next");
    let call_bits = call_bits();
    let start = m.input("start", 1);
    let layers = m.input("layers", LAYER_BITS).comment("At least one.");
    let weights = m.input("weights", ADDRESS_BITS);
    let gates = m.input("gates", ADDRESS_BITS);
    let call_idle = m.input("call_idle", 1);

    m.section("the call at hand");
    let runs = m.register("runs", 1);
    let begins = m.register("begins_register", 1).comment("First cycle of a call.");
    let settles = m.register("settles", 1).comment("Second one: units say that they are busy.");
    let call = m.register("call_register", call_bits);
    let layer = m.register("layer", LAYER_BITS);
    let starts = m.wire("starts", &(&start & !&runs));
    let waits = m.any_of(&[begins.clone(), settles.clone(), !&call_idle]);
    let ends = m.wire("ends", &(&runs & !waits));
    let is_last_call = call.eq(SCHEDULE.len() as u64 - 1);
    let layer_ends = m.wire("layer_ends", &(&ends & is_last_call));
    let image_ends = m.wire("image_ends", &(&layer_ends & (&layer + 1).eq(&layers)));
    m.update(&runs, &starts | (&runs & !&image_ends));
    m.update(&begins, &starts | (&ends & !&image_ends));
    m.update(&settles, &begins);
    m.update_when(&layer, &(&starts | &layer_ends), (!&starts).gate(&(&layer + 1)));

    m.section("the call after it");
    let has_experts = m.wire("has_experts", &layer.bit(0)).comment("Odd layers have.");
    let constant = |at: usize| m.constant(at as u64, call_bits);
    let following: Vec<(u64, Signal)> = (0..SCHEDULE.len())
        .map(|at| {
            let [dense, experts] = [Part::DenseLayer, Part::ExpertLayer]
                .map(|part| next(at, part).unwrap_or(FIRST_OF_LAYER));
            let same = dense == experts;
            let next = if same {
                constant(dense)
            } else {
                has_experts.mux(&constant(experts), constant(dense))
            };
            (at as u64, next)
        })
        .collect();
    let arms = following.iter().map(|(at, next)| (*at, next));
    let next_call = m.wire("next_call", &m.case(&call, arms, 0));
    m.update_when(&call, &(&starts | &ends), (!&starts).gate(&next_call));

    m.section("where weights and gates lie");
    let address = |name: &str, from: &Signal, passed: &[u64]| {
        let register = m.register(name, ADDRESS_BITS);
        let steps: Vec<(u64, Signal)> = (0..)
            .zip(passed)
            .filter(|(_, bytes)| **bytes > 0)
            .map(|(at, bytes)| (at, m.constant(*bytes, ADDRESS_BITS)))
            .collect();
        let step = m.case(&call, steps.iter().map(|(at, step)| (*at, step)), 0);
        let step = m.wire(format!("{name}_step"), &step);
        m.update_when(&register, &(&starts | &ends), starts.mux(from, &register + step));
        register
    };
    let weight_address = address("weight_pointer", &weights, &passed);
    let of_gates = SCHEDULE.map(|call| match call.work {
        Work::LoadParameters(GATE) => bytes(parameter_words(GATE, sizes)),
        _ => 0,
    });
    let gate_address = address("gate_pointer", &gates, &of_gates);

    m.output_for("call", &call, "The call under way.");
    m.output("begins", &begins);
    m.output_for("weight_address", &weight_address, "Weights of the call.");
    m.output_for("gate_address", &gate_address, "Gate of the layer.");
    m.output_for("busy", &runs, "An image is under way.");
    m.output_for("done", &m.pipe_reset("is_done", &image_ends), "An image is complete.");
    m.finish()
}
