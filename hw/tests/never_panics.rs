//! No text makes the loader panic, and every refusal can be drawn.

use attelier_hw::config;
use attelier_hw::designs::DESIGNS;
use attelier_hw::diagnostic::SourceText;
use attelier_hw::record::Record;
use attelier_hw::spatten::Spatten;
use proptest::prelude::*;

/// Loads, checks and prints; a refusal is drawn in both ways.
fn exercise(design: &str, file: Option<String>, sets: &[String]) {
    let file = file.map(|text| SourceText::new("any.toml", text));
    let loaded = config::load(design, file, sets)
        .and_then(|config| Spatten::check(&config).map(|machine| (config, machine)));
    match loaded {
        Ok((config, machine)) => assert!(!machine.show(&config).is_empty()),
        Err(fault) => {
            assert!(fault.to_string().starts_with("error: "), "{fault}");
            assert!(!fault.styled().is_empty() && fault.line() >= 1);
            let _ = fault.snippet();
        }
    }
}

fn path() -> impl Strategy<Value = String> {
    let paths: Vec<_> = DESIGNS[0].schema.paths().collect();
    prop_oneof![4 => proptest::sample::select(paths), 1 => "[a-z_.]{0,20}", 1 => "\\PC{0,12}"]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => any::<i64>().prop_map(|count| count.to_string()),
        3 => (0u32..42).prop_map(|power| (1u64 << power).to_string()),
        2 => (0u32..2000).prop_map(|count| count.to_string()),
        1 => any::<u128>().prop_map(|count| count.to_string()),
        1 => any::<f64>().prop_map(|count| count.to_string()),
        1 => any::<bool>().prop_map(|flag| flag.to_string()),
        2 => "\\PC{0,12}",
        1 => "[\\[\\]{}=,.\"'# 0-9a-fxbo_+-]{0,12}",
    ]
}

/// Lines made of pieces that a TOML reader cares about.
fn toml_like() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => (path(), value()).prop_map(|(path, value)| format!("{path} = {value}")),
        2 => path().prop_map(|path| format!("[{path}]")),
        1 => path().prop_map(|path| format!("[[{path}]]")),
        1 => "#\\PC{0,10}",
        1 => any::<String>(),
    ];
    proptest::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_file(text: String) {
        exercise("spatten", Some(text), &[]);
    }

    #[test]
    fn any_file_that_looks_like_toml(text in toml_like()) {
        exercise("spatten-eighth", Some(text), &[]);
    }

    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        match SourceText::from_bytes("any.bin", &bytes) {
            Ok(text) => exercise("spatten", Some(text.text), &[]),
            Err(fault) => assert!(fault.to_string().contains("UTF-8")),
        }
    }

    #[test]
    fn any_argument(text: String) {
        exercise("spatten", None, &[text]);
    }

    #[test]
    fn any_values_for_any_paths(
        sets in proptest::collection::vec((path(), value()), 1..5)
    ) {
        let sets: Vec<_> = sets.iter().map(|(path, value)| format!("{path}={value}")).collect();
        exercise("spatten", None, &sets);
    }

    #[test]
    fn any_design_name(name: String) {
        exercise(&name, None, &[]);
    }
}

#[test]
fn deep_nesting_is_refused_without_using_up_the_stack() {
    for open in ["[", "{a=", "a."] {
        let text = format!("clock_hz = {}", open.repeat(100_000));
        exercise("spatten", Some(text.clone()), &[]);
        exercise("spatten", None, &[text]);
    }
    exercise("spatten", Some(format!("{}b = 1", "a.".repeat(100_000))), &[]);
}
