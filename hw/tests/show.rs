//! The listing of a machine gives the same machine again; the hash knows values only.

use attelier_hw::config::{self, Config};
use attelier_hw::designs::DESIGNS;
use attelier_hw::diagnostic::SourceText;
use attelier_hw::record::Record;
use attelier_hw::schema::Kind;
use attelier_hw::spatten::{SCHEMA, Spatten};
use proptest::prelude::*;

fn machine(design: &str, file: Option<String>, sets: &[&str]) -> (Config, Spatten) {
    let file = file.map(|text| SourceText::new("shown.toml", text));
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    let config = config::load(design, file, &sets).unwrap_or_else(|fault| panic!("{fault}"));
    let machine = Spatten::check(&config).unwrap_or_else(|fault| panic!("{fault}"));
    (config, machine)
}

#[test]
fn a_listing_gives_the_same_machine_and_the_same_listing() {
    for design in DESIGNS.iter().filter(|design| std::ptr::eq(design.schema, &SCHEMA)) {
        let (config, before) = machine(design.name, None, &[]);
        let shown = before.show(&config);
        let (config, after) = machine(design.name, Some(shown.clone()), &[]);
        assert_eq!(before, after);
        assert_eq!(shown, after.show(&config), "sources survive as well");
    }
}

#[test]
fn a_listing_names_unit_source_and_rule() {
    let (config, machine) = machine("spatten", None, &["topk_value.parallelism=8"]);
    let shown = machine.show(&config);
    for line in [
        "channels = 16                   # [channels] paper: Table I, 16 HBM2 channels",
        "parallelism = 8                 # [comparators per array] user: --set topk_value.parallelism=8",
        "# keys_per_line = 8             # [keys] derived: multipliers / head_dim",
        "# lines = 256                   # [lines] derived: bytes / line_bytes",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "`{line}` is missing in:\n{shown}");
    }
    assert!(shown.contains(&format!("# config_hash {}\n", machine.config_hash())));
}

#[test]
fn every_value_stands_in_the_listing() {
    let (config, machine) = machine("spatten", None, &[]);
    let shown = machine.show(&config);
    let assignments = shown.lines().filter(|line| line.contains(" = ") && line.contains("# ["));
    assert_eq!(assignments.count(), machine.leaves().len());
}

#[test]
fn user_text_cannot_break_out_of_its_comment() {
    let (config, before) = machine("spatten", None, &["\u{b}clock_hz\u{85}=\u{c}5"]);
    let (_, after) = machine("spatten", Some(before.show(&config)), &[]);
    assert_eq!(before, after);
}

#[test]
fn equal_machines_have_equal_hashes_however_they_were_written() {
    let (_, plain) = machine("spatten", None, &["memory.channels=8", "clock_hz=1000"]);
    let file = "clock_hz = 1_000\n[memory]\n channels = 0b1000\n".to_owned();
    let (_, other) = machine("spatten", Some(file), &[]);
    assert_eq!(plain.config_hash(), other.config_hash());
    assert_eq!(plain.config_hash().len(), 16);
}

#[test]
fn every_settable_value_arrives_at_its_own_path_and_changes_the_hash() {
    // The transactions of a real DRAM have its burst size, those of ideal memory any.
    let ideal = "memory.kind=ideal";
    let (config, base) = machine("spatten", None, &[ideal]);
    let leaves = base.leaves();
    for path in config.schema().paths().filter(|path| path != "name") {
        let other = match leaves[&path].parse::<u64>() {
            Ok(count) => [2 * count, count / 2].map(|count| count.to_string()).to_vec(),
            Err(_) => match config.schema().field(&path).map(|field| field.kind) {
                Some(Kind::Choice(texts)) => {
                    texts.iter().map(|text| format!("\"{text}\"")).rev().collect()
                }
                _ => vec![(leaves[&path] != "true").to_string()],
            },
        };
        let changed = other.iter().find_map(|value| {
            let mut sets = vec![ideal.to_owned(), format!("{path}={value}")];
            if path.ends_with("multipliers") {
                // Both arrays are equally wide.
                let both = ["qk", "pv"].map(|name| format!("{name}_array.multipliers={value}"));
                sets = [&[ideal.to_owned()][..], &both].concat();
            }
            let config = config::load("spatten", None, &sets).ok()?;
            Some((value, Spatten::check(&config).ok()?))
        });
        let (value, changed) = changed.unwrap_or_else(|| panic!("{path} cannot be changed"));
        assert_eq!(&changed.leaves()[&path], value, "{path}");
        assert_ne!(base.config_hash(), changed.config_hash(), "{path}");
    }
}

#[test]
fn the_canonical_form_is_sorted_and_plain() {
    let (_, machine) = machine("spatten", None, &[]);
    let canonical = machine.canonical();
    assert!(canonical.is_sorted_by_key_of_lines());
    assert!(canonical.contains("key_sram.lines = 256\n"));
    assert!(!canonical.contains('#'));
}

trait SortedLines {
    fn is_sorted_by_key_of_lines(&self) -> bool;
}

impl SortedLines for String {
    fn is_sorted_by_key_of_lines(&self) -> bool {
        self.lines().map(|line| line.split(" = ").next()).is_sorted()
    }
}

proptest! {
    #[test]
    fn any_legal_machine_survives_its_listing(
        vectors in 0u32..5,
        dim in 3u32..8,
        lines in 1u64..5000,
        parallelism in 0u32..6,
        rows in 1u32..100,
        depth in 1u32..100_000,
        flag: bool,
    ) {
        let multipliers = 1u64 << (vectors + dim);
        let line_bytes = multipliers * 12 / 8;
        let sets = [
            format!("head_dim={}", 1 << dim),
            format!("qk_array.multipliers={multipliers}"),
            format!("pv_array.multipliers={multipliers}"),
            format!("key_sram.bytes={}", 2 * lines * line_bytes),
            format!("value_sram.bytes={}", 2 * line_bytes),
            format!("bitwidth_converter.buffer_bytes={}", 2 * line_bytes),
            format!("topk_value.parallelism={}", 1 << parallelism),
            format!("topk_value.capacity={}", rows << parallelism),
            format!("softmax.fifo_depth={depth}"),
            format!("controller.query_from_dram={flag}"),
        ];
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let (config, before) = machine("spatten", None, &sets);
        prop_assert_eq!(u64::from(before.key_sram.lines), 2 * lines);
        prop_assert_eq!(before.softmax.lanes, 1 << vectors);
        let (_, after) = machine("spatten", Some(before.show(&config)), &[]);
        prop_assert_eq!(before.config_hash(), after.config_hash());
        prop_assert_eq!(before, after);
    }
}
