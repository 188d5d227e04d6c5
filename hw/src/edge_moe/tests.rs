//! The preset holds the machine that is known, and the tables fit the records.

use std::collections::BTreeSet;

use super::*;
use crate::diagnostic::SourceText;
use crate::schema::join;

fn load(set: &str) -> Config {
    config::load("edge-moe", None, &[set.to_owned()]).unwrap()
}

/// 4.8 GB/s per port, and products of 16 x 16 weights and of 4 x 8 features per cycle.
#[test]
fn the_machine_has_the_known_widths() {
    let machine = EdgeMoe::preset("edge-moe").unwrap();
    let per_port = u64::from(machine.port.beat_bytes) * machine.clock_hz;
    assert_eq!(per_port, 4_800_000_000);
    assert_eq!((machine.lanes(), machine.word_weights(), machine.port.word_cycles), (8, 16, 2));
    assert_eq!(machine.attention.queries * machine.lanes(), 32);
    assert_eq!(machine.linear.inputs * machine.linear.outputs, 256);
    // 576 words of 256 weights hold the widest matrix of the deployed model.
    assert_eq!(machine.linear.buffer_weights, 192 * 768);
}

#[test]
fn a_port_is_as_slow_as_its_beats_or_its_answers() {
    let port = |set| EdgeMoe::check(&load(set)).unwrap().port;
    assert_eq!(port("port.beat_bytes=32").word_cycles, 1);
    assert_eq!(port("port.beat_bytes=8").word_cycles, 4);
    // One burst of 16 words at a time, each answered after 64 cycles.
    assert_eq!(port("port.outstanding=1").word_cycles, 4);
    let port = port("port.latency_cycles=64");
    assert_eq!([1, 16, 17, 32, 33, 64].map(|bytes| port.cycles(bytes)), [1, 1, 2, 2, 4, 4]);
}

#[test]
fn fields_and_derived_values_are_exactly_the_values_of_the_record() {
    let machine = EdgeMoe::preset("edge-moe").unwrap();
    let recorded: BTreeSet<_> = machine.leaves().into_keys().collect();
    let listed = SCHEMA.sections.iter().flat_map(|section| {
        let fields = section.fields.iter().map(|field| field.key);
        let keys = fields.chain(section.derived.iter().map(|derived| derived.key));
        keys.map(|key| join(section.name, key))
    });
    assert_eq!(recorded, listed.collect::<BTreeSet<_>>());
}

#[test]
fn a_listing_gives_the_same_machine() {
    let config = load("attention.queries=8");
    let before = EdgeMoe::check(&config).unwrap();
    let shown = SourceText::new("shown.toml", before.show(&config));
    let after = EdgeMoe::check(&config::load("edge-moe", Some(shown), &[]).unwrap()).unwrap();
    assert_eq!(before, after);
    assert_eq!(before.config_hash(), after.config_hash());
}

#[test]
fn every_settable_value_changes_the_hash() {
    let base = EdgeMoe::preset("edge-moe").unwrap();
    for path in SCHEMA.paths().filter(|path| path != "name") {
        let value = &base.leaves()[&path];
        let other = match value.parse::<u64>() {
            Ok(count) => (2 * count).to_string(),
            Err(_) => (value != "true").to_string(),
        };
        let changed = EdgeMoe::check(&load(&format!("{path}={other}"))).unwrap();
        assert_ne!(changed.config_hash(), base.config_hash(), "{path}");
    }
}

#[test]
fn contradictions_point_at_what_was_set() {
    for (set, words) in [
        ("dram.refresh_ns=7800", "below the interval of 7800 ns"),
        ("linear.separate_units=32", "set `linear.separate_units` to 16"),
    ] {
        let text = EdgeMoe::check(&load(set)).unwrap_err().to_string();
        assert!(text.contains(words) && text.contains(" --> --set:1:"), "{text}");
    }
}
