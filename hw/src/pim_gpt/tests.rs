//! The presets hold the machine that is known, and the tables fit the records.

use std::collections::BTreeSet;

use super::*;
use crate::diagnostic::SourceText;
use crate::schema::join;
use crate::source::Source;

const PRESETS: [&str; 2] = ["pim-gpt", "pim-gpt-aim"];

/// Organisation, peak compute and bandwidths that other publications derive from the same numbers.
#[test]
fn the_organisation_gives_the_known_peaks() {
    for name in PRESETS {
        let machine = PimGpt::preset(name).unwrap();
        assert_eq!(machine.banks(), 128);
        assert_eq!(machine.memory.capacity_bytes, 4 << 30);
        assert_eq!(machine.memory.peak_bytes_per_s, 256_000_000_000);
        assert_eq!(machine.command_hz(), 2_000_000_000);
        let macs = u64::from(machine.banks() * machine.mac.multipliers) * machine.mac.clock_hz;
        assert_eq!(macs, 2_048_000_000_000);
        assert_eq!((machine.mac.columns, machine.mac.interval), (64, 2));
        let (memory, burst) = (&machine.memory, machine.memory.burst_elements());
        assert_eq!((memory.row_elements(), memory.chunk_elements(), burst), (1024, 1024, 16));
    }
}

/// tRP + tRCD + 64 tCCD: 88 ns with recalled timing, 108 ns with that of AiM.
#[test]
fn a_row_takes_the_known_time() {
    for (name, ns) in PRESETS.into_iter().zip([88, 108]) {
        let PimGpt { timing, mac, .. } = PimGpt::preset(name).unwrap();
        let cycles = timing.n_rp + timing.n_rcd_mac + mac.columns * timing.n_ccd;
        assert_eq!(cycles * timing.tck_ps, ns * 1000, "{name}");
    }
}

#[test]
fn recalled_timing_is_marked_and_the_public_preset_has_none() {
    let sources = |name| {
        let config = config::load(name, None, &[]).unwrap();
        let paths: Vec<String> = SCHEMA.paths().collect();
        paths.into_iter().map(move |path| (config.source(&path).cloned(), path))
    };
    let is_recalled = |source: &Option<Source>| matches!(source, Some(Source::Recalled(_)));
    let recalled: Vec<String> = sources("pim-gpt")
        .filter(|(source, _)| is_recalled(source))
        .map(|(_, path)| path)
        .collect();
    for name in ["n_rcd_mac", "n_rp", "n_ccd", "n_wr", "n_rfc", "n_refi"] {
        assert!(recalled.contains(&format!("timing.{name}")), "{name} in {recalled:?}");
    }
    assert!(!sources("pim-gpt-aim").any(|(source, _)| is_recalled(&source)));
    let public = sources("pim-gpt-aim").filter(|(_, path)| path.starts_with("timing."));
    assert!(public.clone().count() > 10);
    for (source, path) in public {
        assert!(matches!(source, Some(Source::Device(_))), "{path}");
    }
}

#[test]
fn fields_and_derived_values_are_exactly_the_values_of_the_record() {
    let machine = PimGpt::preset("pim-gpt").unwrap();
    let recorded: BTreeSet<_> = machine.leaves().into_keys().collect();
    let listed: BTreeSet<_> = SCHEMA
        .sections
        .iter()
        .flat_map(|section| {
            let fields = section.fields.iter().map(|field| field.key);
            fields
                .chain(section.derived.iter().map(|derived| derived.key))
                .map(|key| join(section.name, key))
        })
        .collect();
    assert_eq!(recorded, listed);
}

#[test]
fn a_listing_gives_the_same_machine() {
    for name in PRESETS {
        let config = config::load(name, None, &["memory.channels=4".into()]).unwrap();
        let before = PimGpt::check(&config).unwrap();
        let shown = SourceText::new("shown.toml", before.show(&config));
        let after = PimGpt::check(&config::load(name, Some(shown), &[]).unwrap()).unwrap();
        assert_eq!(before, after);
        assert_eq!(before.config_hash(), after.config_hash());
    }
}

#[test]
fn every_settable_value_changes_the_hash() {
    let base = PimGpt::preset("pim-gpt").unwrap();
    for path in SCHEMA.paths().filter(|path| path != "name") {
        let value = &base.leaves()[&path];
        let others = match value.parse::<u64>() {
            Ok(count) => [(2 * count).max(1), count / 2].map(|count| count.to_string()).to_vec(),
            Err(_) => ["true", "false", "v1", "bank-group"].map(str::to_owned).to_vec(),
        };
        let changed = others.iter().filter(|other| *other != value).find_map(|other| {
            let config = config::load("pim-gpt", None, &[format!("{path}={other}")]).ok()?;
            PimGpt::check(&config).ok()
        });
        let changed = changed.unwrap_or_else(|| panic!("{path} cannot be changed"));
        assert_ne!(changed.config_hash(), base.config_hash(), "{path}");
    }
}

#[test]
fn contradictions_point_at_what_was_set() {
    let refused = |set: &str| {
        let config = config::load("pim-gpt", None, &[set.to_owned()]).unwrap();
        PimGpt::check(&config).unwrap_err().to_string()
    };
    for (set, words) in [
        ("timing.n_ras=5", "expected `timing.n_ras` of at least 24"),
        ("timing.n_bl=3", "`n_bl`"),
        ("timing.n_refi=900", "set `timing.n_refi` to 935 or more"),
        ("memory.row_bytes=64", "no"),
        ("mac.multipliers=1024", "no"),
    ] {
        if words == "no" {
            let config = config::load("pim-gpt", None, &[set.to_owned()]).unwrap();
            assert!(PimGpt::check(&config).is_ok(), "{set}");
        } else {
            let text = refused(set);
            assert!(text.contains(words) && text.contains(" --> --set:1:"), "{text}");
        }
    }
    let sets = ["memory.row_bytes=64".to_owned(), "mac.multipliers=64".to_owned()];
    let config = config::load("pim-gpt", None, &sets).unwrap();
    let text = PimGpt::check(&config).unwrap_err().to_string();
    assert!(text.contains("set `mac.multipliers` to 32"), "{text}");
}
