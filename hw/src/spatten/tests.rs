//! The presets hold the published machine, and the tables fit the records.

use std::collections::BTreeSet;

use super::*;
use crate::designs::DESIGNS;
use crate::schema::{Kind, join};
use crate::source::Source;

#[test]
fn the_full_machine_is_the_published_one() {
    let machine = Spatten::preset("spatten").unwrap();
    assert_eq!(machine.name, "spatten");
    assert_eq!(
        (machine.clock_hz, machine.head_dim, machine.datapath_bits),
        (1_000_000_000, 64, 12)
    );
    assert_eq!(machine.qk_array.multipliers + machine.pv_array.multipliers, 1024);
    assert_eq!((machine.qk_array.keys_per_line, machine.qk_array.latency_cycles), (8, 8));
    assert_eq!((machine.pv_array.values_per_line, machine.pv_array.latency_cycles), (8, 5));
    let sram = LineSram { bytes: 196_608, lines: 256, line_bytes: 768 };
    assert_eq!((&machine.key_sram, &machine.value_sram), (&sram, &sram));
    let bytes_per_second = u64::from(machine.memory.channels)
        * u64::from(machine.memory.transaction_bytes)
        * machine.clock_hz;
    assert_eq!(bytes_per_second, 512_000_000_000);
    let softmax = &machine.softmax;
    let stages = [
        softmax.scale_cycles,
        softmax.exp_cycles,
        softmax.accumulate_cycles,
        softmax.divide_cycles,
        softmax.quantise_cycles,
    ];
    assert_eq!((softmax.lanes, stages), (8, [7, 21, 23, 29, 7]));
    assert_eq!(machine.quant_decision.verdict_cycles, 3);
    assert_eq!((machine.topk_value.parallelism, machine.topk_value.lanes), (16, 8));
    assert_eq!(machine.topk_value, machine.topk_token);
}

#[test]
fn the_eighth_has_an_eighth_of_lanes_and_bandwidth_but_the_same_bytes() {
    let full = Spatten::preset("spatten").unwrap();
    let eighth = Spatten::preset("spatten-eighth").unwrap();
    assert_eq!(eighth.memory.channels * 8, full.memory.channels);
    assert_eq!(eighth.qkv_fetcher.lanes * 8, full.qkv_fetcher.lanes);
    assert_eq!(eighth.qk_array.multipliers * 8, full.qk_array.multipliers);
    assert_eq!(eighth.key_sram, LineSram { bytes: 196_608, lines: 2048, line_bytes: 96 });
    assert_eq!((eighth.softmax.lanes, eighth.quant_decision.verdict_cycles), (1, 0));
    assert_eq!((eighth.topk_value.lanes, eighth.topk_token.lanes), (1, 1));
    assert_eq!(eighth.pv_array.latency_cycles, 2);
    let parked = |machine: &Spatten| machine.softmax.fifo_depth * machine.softmax.lanes;
    assert_eq!(parked(&eighth), parked(&full));
}

#[test]
fn every_value_of_every_preset_has_a_source() {
    for design in DESIGNS {
        let config = config::load(design.name, None, &[]).unwrap();
        for path in design.schema.paths() {
            let source = config.source(&path).unwrap_or_else(|| panic!("{path} is missing"));
            assert!(!matches!(source, Source::User(_)), "{path}");
        }
    }
}

#[test]
fn fields_and_derived_values_are_exactly_the_values_of_the_record() {
    let machine = Spatten::preset("spatten").unwrap();
    let recorded: BTreeSet<_> = machine.leaves().into_keys().collect();
    let mut listed = BTreeSet::new();
    for section in SCHEMA.sections {
        let fields = section.fields.iter().map(|field| field.key);
        for key in fields.chain(section.derived.iter().map(|derived| derived.key)) {
            assert!(listed.insert(join(section.name, key)), "{key} is listed twice");
        }
    }
    assert_eq!(recorded, listed);
}

#[test]
fn bounds_of_powers_of_two_are_powers_of_two_and_all_bounds_fit_toml() {
    for field in SCHEMA.sections.iter().flat_map(|section| section.fields) {
        if let Kind::Count { min, max, power_of_two } = field.kind {
            assert!(min <= max && i64::try_from(max).is_ok(), "{}", field.key);
            let powers = min.is_power_of_two() && max.is_power_of_two();
            assert!(powers || !power_of_two, "{}", field.key);
        }
    }
}

#[test]
fn only_clock_and_sram_sizes_may_pass_32_bits() {
    let wide: Vec<_> = SCHEMA
        .paths()
        .filter(|path| {
            let kind = SCHEMA.field(path).unwrap().kind;
            matches!(kind, Kind::Count { max, .. } if max > u64::from(u32::MAX))
        })
        .collect();
    assert_eq!(wide, ["clock_hz", "key_sram.bytes", "value_sram.bytes"]);
}
