//! Preset, then file, then arguments: who wins, and how unreadable input is refused.

use attelier_hw::config::{self, Config};
use attelier_hw::diagnostic::{Diagnostic, SourceText};
use attelier_hw::source::Source;
use attelier_hw::spatten::Spatten;

fn load(file: &str, sets: &[&str]) -> Result<Config, Diagnostic> {
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    config::load("spatten", Some(SourceText::new("mine.toml", file)), &sets)
}

#[track_caller]
fn refused(file: &str, sets: &[&str], words: &[&str]) {
    let drawn = load(file, sets).expect_err("must be refused").to_string();
    for word in words {
        assert!(drawn.contains(word), "`{word}` is missing in:\n{drawn}");
    }
}

#[test]
fn a_file_overrides_the_preset_and_an_argument_overrides_the_file() {
    let file = "[topk_value]\nparallelism = 8\nround_overhead_cycles = 4\n";
    let config = load(file, &["topk_value.parallelism=4", "topk_value.parallelism=2"]).unwrap();
    let machine = Spatten::check(&config).unwrap();
    assert_eq!(machine.topk_value.parallelism, 2);
    assert_eq!(machine.topk_value.round_overhead_cycles, 4);
    assert_eq!(machine.topk_token.parallelism, 16);
}

#[test]
fn a_value_remembers_who_set_it() {
    let config = load("[memory]\nchannels = 8\n", &["clock_hz = 500_000_000"]).unwrap();
    let source = |path| config.source(path).map(ToString::to_string).unwrap();
    assert_eq!(source("memory.channels"), "user: mine.toml:2");
    assert_eq!(source("clock_hz"), "user: --set clock_hz = 500_000_000");
    assert_eq!(source("head_dim").split(':').next(), Some("release"));
    assert_eq!(config.source("memory.colour"), None);
}

#[test]
fn saying_what_the_preset_says_keeps_its_source() {
    let config = load("[memory]\nchannels = 16\n", &["head_dim=0x40"]).unwrap();
    assert!(matches!(config.source("memory.channels"), Some(Source::Paper(_))));
    assert!(matches!(config.source("head_dim"), Some(Source::Release(_))));
}

#[test]
fn a_misspelt_key_is_answered_with_the_nearest() {
    let words = [
        "unknown parameter `memory.chanels`",
        " --> --set:1:1\n",
        "\n  | ^^^^^^^^^^^^^^ expected one of `channels`, `transaction_bytes`, `latency_cycles`",
        "did you mean `memory.channels`?",
    ];
    refused("", &["memory.chanels=4"], &words);
    let words = [" --> mine.toml:2:1\n", "2 | chanels = 4\n", "\n  | ^^^^^^^ expected one of"];
    refused("[memory]\nchanels = 4\n", &[], &words);
}

#[test]
fn a_key_without_or_with_a_wrong_section_is_answered_too() {
    refused("", &["parallelism=4"], &["did you mean `topk_value.parallelism`?"]);
    refused(
        "",
        &["memry.channels=4"],
        &["sections: controller", "did you mean `memory.channels`?"],
    );
    refused("[memry]\n", &[], &["did you mean `memory`?"]);
    refused("", &["a.b.c=4"], &["unknown parameter `a.b.c`"]);
    refused("memory.channels.width = 4\n", &[], &["expected an integer", "found a table"]);
    refused("memory.deep.channels = 4\n", &[], &["unknown parameter `memory.deep`"]);
    refused("\"memory.channels\" = 4\n", &[], &["unknown parameter"]);
}

#[test]
fn a_derived_value_is_answered_with_its_rule() {
    let words = ["this value is derived", "`qk_array.keys_per_line` = multipliers / head_dim"];
    refused("", &["qk_array.keys_per_line=8"], &words);
}

#[test]
fn a_section_is_no_value() {
    let words = ["`memory` is a section", "set for example `memory.channels`"];
    refused("", &["memory=5"], &words);
    refused("memory = 5\n", &[], &words);
}

#[test]
fn a_wrong_type_names_the_expected_one() {
    let count = "expected an integer from 1 to 1024 that is a power of two";
    for (value, found) in [
        ("\"four\"", "found a string"),
        ("4.0", "found a float"),
        ("true", "found a boolean"),
        ("[4]", "found an array"),
        ("2026-11-22", "found a datetime"),
    ] {
        let caret = format!("\n  |                 {} {count}, {found}", "^".repeat(value.len()));
        refused("", &[&format!("memory.channels={value}")], &[&caret]);
        refused(&format!("memory.channels={value}\n"), &[], &[count, found]);
    }
    for value in ["four", "4 4", "4=4", "0x", "'", "4]"] {
        let words =
            [count, &format!("found `{value}`"), "write for example `memory.channels = 16`"];
        refused("", &[&format!("memory.channels={value}")], &words);
    }
    refused("", &["memory.channels="], &["found nothing", " --> --set:1:17"]);
    refused("", &["controller.cascade_dependency=yes"], &["expected a boolean: true or false"]);
    refused("", &["controller.query_from_dram=1"], &["true or false, found an integer"]);
    refused("name = 5\n", &[], &["expected a string in quotes, found an integer"]);
}

#[test]
fn an_argument_that_assigns_nothing_shows_how_to_write_one() {
    refused("", &["memory.channels"], &["expected `path=value`", "topk_value.parallelism=8"]);
    refused("", &[""], &["expected `path=value`"]);
    refused("", &["=4"], &["unknown parameter ``"]);
    refused("", &["head_dim=64\nclock_hz=1"], &["expected one line"]);
}

#[test]
fn a_file_that_is_no_toml_shows_the_place() {
    refused("[memory\nchannels = 4\n", &[], &["not valid TOML", " --> mine.toml:1:8"]);
    refused("clock_hz = 1\nclock_hz = 2\n", &[], &["duplicate key", " --> mine.toml:2:1"]);
}

#[test]
fn a_file_of_another_design_is_refused() {
    let words = ["expected \"spatten\", the design asked for", " --> mine.toml:1:8"];
    refused("name = \"spatten-eighth\"\n", &[], &words);
    refused("", &["name=\"other\""], &["expected \"spatten\""]);
}

#[test]
fn the_first_fault_of_a_file_is_the_one_reported() {
    refused("zeta = 1\nalpha = 2\n", &[], &["unknown parameter `zeta`"]);
}
