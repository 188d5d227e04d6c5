//! Units of Edge-MoE: what can be built, and what is refused before anything is described.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use std::sync::Arc;

use attelier_hw::edge_moe::{EdgeMoe, Sizes};
use attelier_rtl::{Design, Error, ir::Module, units::edge_moe as units};

type Build = fn(&Sizes) -> Result<Arc<Module>, Error>;

const UNITS: [(&str, Build); 12] = [
    ("expert_queues", units::expert_queues),
    ("expert_sequencer", units::expert_sequencer),
    ("weight_loader", units::weight_loader),
    ("linear", units::linear),
    ("qk_product", units::qk_product),
    ("running_softmax", units::running_softmax),
    ("pv_product", units::pv_product),
    ("layer_norm", units::layer_norm),
    ("gate", units::gate),
    ("patch_embedding", units::patch_embedding),
    ("feature_adder", units::feature_adder),
    ("queue_walker", units::queue_walker),
];

fn deployed() -> Sizes {
    Sizes::deployed(&EdgeMoe::preset("edge-moe").unwrap())
}

/// The least of everything, and sizes of which few are powers of two.
fn others() -> [Sizes; 2] {
    let least = Sizes {
        tokens: 3,
        width: 4,
        heads: 1,
        hidden: 4,
        experts: 2,
        chosen: 1,
        lanes: 2,
        queries: 2,
        block_inputs: 2,
        block_outputs: 2,
        buffer_blocks: 2,
        ultra_ram: false,
        word_weights: 2,
        patch: 2,
        patch_columns: 8,
        colours: 1,
    };
    let odd = Sizes {
        tokens: 11,
        width: 24,
        heads: 3,
        hidden: 20,
        experts: 5,
        chosen: 3,
        lanes: 4,
        queries: 3,
        block_inputs: 4,
        block_outputs: 4,
        buffer_blocks: 25,
        ultra_ram: false,
        word_weights: 4,
        patch: 8,
        patch_columns: 6,
        colours: 3,
    };
    [least, odd]
}

#[test]
fn all_units_are_built_in_all_sizes() {
    let mut faults = Vec::new();
    for sizes in others().into_iter().chain([deployed()]) {
        for (name, build) in UNITS {
            match build(&sizes).and_then(|module| Design::new([&module])) {
                Ok(design) => assert!(design.module(name).is_ok(), "{name}"),
                Err(error) => faults.push(format!("{name} of {} tokens: {error}", sizes.tokens)),
            }
        }
    }
    for module in [units::exponential(), units::divider(), units::square_root()] {
        faults.extend(module.err().map(|error| error.to_string()));
    }
    faults.extend(units::gelu(&deployed()).err().map(|error| error.to_string()));
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn sizes_that_cannot_be_built_name_the_parameter() {
    let refused = |build: Build, change: fn(&mut Sizes), parameter: &str| {
        let mut sizes = deployed();
        change(&mut sizes);
        let error = build(&sizes).unwrap_err().to_string();
        assert!(error.contains(parameter), "{error}");
    };
    refused(units::expert_queues, |sizes| sizes.experts = 1, "experts = 1");
    refused(units::expert_sequencer, |sizes| sizes.tokens = u32::MAX, "tokens");
    refused(units::weight_loader, |sizes| sizes.word_weights = 8, "word_weights = 8");
    refused(units::linear, |sizes| sizes.block_inputs = 0, "block_inputs = 0");
    refused(units::linear, |sizes| sizes.hidden = 770, "hidden = 770");
    refused(units::qk_product, |sizes| sizes.queries = 129, "queries = 129");
    refused(units::qk_product, |sizes| sizes.width = 100, "width = 100");
    refused(units::running_softmax, |sizes| sizes.heads = 0, "heads = 0");
    refused(units::pv_product, |sizes| sizes.lanes = 3, "width");
    refused(units::layer_norm, |sizes| sizes.lanes = 0, "lanes = 0");
    refused(units::gate, |sizes| sizes.chosen = 17, "chosen = 17");
    refused(units::feature_adder, |sizes| sizes.width = 100, "width = 100");
    refused(units::queue_walker, |sizes| sizes.experts = 0, "experts = 0");
    refused(units::parameter_loader, |sizes| sizes.patch = 8, "patch = 8");
    refused(units::patch_embedding, |sizes| sizes.patch = 64, "patch = 64");
    refused(units::patch_embedding, |sizes| sizes.patch_columns = 15, "patch_columns = 15");
}
