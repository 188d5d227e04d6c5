//! The expert loop: while an expert computes, weights are loaded for what follows.

use std::sync::Arc;

use attelier_hw::edge_moe::Sizes;

use crate::{Error, ModuleBuilder, bits::index_width, ir::Module, units::spatten::parts::within};

/// Nothing is under way.
const IDLE: u64 = 0;
/// The first matrix of the first expert is loaded.
const PRELOAD: u64 = 1;
/// First layer of an expert; its second matrix is loaded.
const FIRST: u64 = 2;
/// Second layer of an expert; the first matrix of the next one is loaded.
const SECOND: u64 = 3;

/// The module `expert_sequencer`.
///
/// # Errors
/// Fewer than two tokens or experts.
pub fn expert_sequencer(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let name = "expert_sequencer";
    let experts = within(name, "experts", sizes.experts, 2..257, "2 to 256 experts")?;
    let tokens = within(name, "tokens", sizes.tokens, 2..4097, "2 to 4096 tokens")?;
    let expert_bits = index_width(experts.into());
    let length_bits = index_width(u64::from(tokens) + 1);
    let count_bits = index_width(u64::from(experts) + 1);

    let m = ModuleBuilder::new(name);
    m.doc("The expert loop over the metaqueue, with two buffers of weights. In each phase the linear unit");
    m.doc("computes a layer of an expert from one buffer while the loader fills the other one: second matrix");
    m.doc("of the same expert, then first matrix of the next. A phase ends when both are done. Experts that");
    m.doc("have no tokens are not in the metaqueue; how many tokens an expert has changes nothing here.");
    m.doc("`*_second` is 0 for the first layer and its buffer, 1 for the second.");
    m.parameter("TOKENS", tokens);
    m.parameter("EXPERTS", experts);
    m.latency("1 cycle from the end of a phase to the start of the next, and to `done`");
    let start = m.input("start", 1);
    let count = m.input("metaqueue_count", count_bits);
    let listed = m.input("metaqueue_expert", expert_bits);
    let listed_length = m.input("metaqueue_length", length_bits);
    let load_done = m.input("load_done", 1);
    let compute_done = m.input("compute_done", 1);

    m.section("phases");
    let phase =
        m.register("phase", 2).comment("0 idle, 1 first load, 2 first layer, 3 second layer.");
    let begins = m.register("begins", 1).comment("First cycle of a phase.");
    let [is_idle, is_preload, is_first, is_second] =
        [("is_idle", IDLE), ("is_preload", PRELOAD), ("is_first", FIRST), ("is_second", SECOND)]
            .map(|(name, value)| m.wire(name, &phase.eq(value)));
    let loading = m.register("loading", 1).comment("The loader is not done.");
    let computing = m.register("computing", 1).comment("The linear unit is not done.");

    m.section("the expert whose first matrix is loaded next");
    let next = m.register("next", count_bits).comment("Its place in the metaqueue.");
    let has_next = m.wire("has_next", &next.ne(&count));
    let lists = m.wire("loads_listed", &(&begins & (&is_preload | (&is_second & &has_next))));
    let starts = m.wire("starts", &(&is_idle & &start));
    m.update_when(&next, &(&starts | &lists), (!&starts).gate(&(&next + 1)));
    let loaded = m.pipe_when("loaded_expert", &lists, &listed);
    let loaded_length = m.pipe_when("loaded_length", &lists, &listed_length);

    m.section("what starts");
    let computes = m.wire("computes", &(&begins & (&is_first | &is_second)));
    let loads = m.wire("loads", &(&lists | (&begins & &is_first)));
    m.update(&loading, &loads | (&loading & !&load_done));
    m.update(&computing, &computes | (&computing & !&compute_done));
    let waits = m.wire("waits", &((&loading & !&load_done) | (&computing & !&compute_done)));
    let ends = m.wire("ends", &m.all_of(&[!&is_idle, !&begins, !&waits]));
    let continues = m.pipe_when("continues", &begins, &lists);
    let finishes = m.wire("finishes", &m.all_of(&[ends.clone(), is_second.clone(), !continues]));
    let after =
        m.case(&phase, [(PRELOAD, &m.constant(FIRST, 2)), (FIRST, &m.constant(SECOND, 2))], FIRST);
    let following = m.wire("following", &finishes.mux(&m.constant(IDLE, 2), &after));
    let has_any = m.wire("has_any", &count.any());
    let enters = m.wire("enters", &(&starts & &has_any));
    m.update_when(&phase, &(&enters | &ends), enters.mux(&m.constant(PRELOAD, 2), &following));
    m.update(&begins, &enters | (&ends & !&finishes));
    let done = m.pipe_reset("is_done", &(finishes | (&starts & !&has_any)));
    // The expert at work: the one loaded in the phase before its first layer.
    let turns = m.wire("turns", &(&ends & !&is_first));
    let current = m.pipe_when("current_expert", &turns, &loaded);
    let current_length = m.pipe_when("current_length", &turns, &loaded_length);

    m.output("idle", &is_idle);
    m.output_for("done", &done, "The loop is over.");
    m.output_for("metaqueue_position", &next.bits(0..expert_bits), "Asks the metaqueue.");
    m.discard(&next);
    m.output_for("load_start", &loads, "Load a matrix.");
    m.output("load_expert", &is_first.mux(&current, &listed));
    m.output("load_second", &is_first);
    m.output_for("compute_start", &computes, "Compute a layer of the tokens of an expert.");
    m.output("compute_expert", &current);
    m.output("compute_length", &current_length);
    m.output("compute_second", &is_second);
    m.finish()
}
