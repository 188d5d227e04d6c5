//! Simulated numbers, pinned: whoever changes one sees it here, and says so under "Results" in the
//! changelog. `cargo xtask bless` accepts the new ones.

use std::fmt::Write;

use attelier_hw::{config, spatten::Spatten};
use attelier_sim::designs::spatten::{Options, simulate};
use attelier_sim::observe::Nobody;
use attelier_workloads::{Knobs, load_with};

fn numbers(design: &str, workload: &str, tokens: Option<u32>) -> String {
    numbers_on("ideal", design, workload, tokens)
}

fn numbers_on(memory: &str, design: &str, workload: &str, tokens: Option<u32>) -> String {
    let config = config::load(design, None, &[format!("memory.kind={memory}")]);
    let params = Spatten::check(&config.expect("a known kind")).expect("an embedded preset");
    let knobs = Knobs { tokens, ..Knobs::default() };
    let workload = load_with(workload, &knobs).expect("an embedded workload");
    let result = simulate(&params, &workload.requests, Options::default(), &mut Nobody)
        .expect("presets fit each other");
    let mut text = format!(
        "cycles {}\n{:?}\n{:?}\n",
        result.cycles,
        result.traffic,
        result.admission.unwrap_or_default()
    );
    for unit in &result.units {
        let _ = writeln!(
            text,
            "{} busy {} starved {} blocked {} beats {}",
            unit.name, unit.busy_cycles, unit.starved_cycles, unit.blocked_cycles, unit.beats
        );
    }
    text
}

#[test]
fn pruned_decode() {
    insta::assert_snapshot!(numbers("spatten", "gpt2-small/wikitext2", None));
}

#[test]
fn pruned_decode_with_head_pruning_and_wide_keys() {
    insta::assert_snapshot!(numbers("spatten", "gpt2-medium/wikitext2", Some(4)));
}

#[test]
fn dense_decode() {
    insta::assert_snapshot!(numbers("spatten", "gpt2-medium/ptb/dense", None));
}

#[test]
fn prefill() {
    insta::assert_snapshot!(numbers("spatten", "bert-base/sst-2", None));
}

#[test]
fn pruned_decode_on_an_eighth_of_the_machine() {
    insta::assert_snapshot!(numbers("spatten-eighth", "gpt2-small/wikitext2", Some(4)));
}

#[test]
fn pruned_decode_on_hbm2() {
    insta::assert_snapshot!(numbers_on("hbm2", "spatten", "gpt2-small/wikitext2", Some(2)));
}
