//! Machines that cannot be built: each refusal names what was expected, points at the value, and
//! suggests another.

use attelier_hw::config;
use attelier_hw::diagnostic::{Diagnostic, SourceText};
use attelier_hw::spatten::Spatten;

fn check(file: Option<&str>, sets: &[&str]) -> Result<Spatten, Diagnostic> {
    let file = file.map(|text| SourceText::new("mine.toml", text));
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    Spatten::check(&config::load("spatten", file, &sets)?)
}

/// Asserts the label and the help of a refused list of `--set`, and that the caret starts below the
/// value of `at`, the index of the argument at fault.
#[track_caller]
fn refused(sets: &[&str], at: usize, label: &str, help: &str) {
    let fault = check(None, sets).expect_err("must be refused");
    let drawn = fault.to_string();
    assert_eq!(fault.label, label, "{drawn}");
    assert_eq!(fault.help.as_deref(), Some(help), "{drawn}");
    let (path, value) = sets[at].split_once('=').expect("an assignment");
    assert_eq!(fault.origin.text, sets[at], "{drawn}");
    assert_eq!(fault.snippet(), value, "{drawn}");
    assert!(drawn.contains(&format!(" --> --set:1:{}\n", path.len() + 2)), "{drawn}");
    let caret = format!("\n  | {}{}", " ".repeat(path.len() + 1), "^".repeat(value.len()));
    assert!(drawn.contains(&caret), "{drawn}");
}

#[test]
fn multipliers_that_do_not_serve_whole_vectors() {
    let label = "expected `qk_array.multipliers` to be a power-of-two multiple of `head_dim` = 64";
    for (value, help) in [
        ("100", "set `qk_array.multipliers` to 64 or 128"),
        ("192", "set `qk_array.multipliers` to 128 or 256"),
        ("32", "set `qk_array.multipliers` to 64"),
        ("1048575", "set `qk_array.multipliers` to 524288 or 1048576"),
    ] {
        refused(&[&format!("qk_array.multipliers={value}")], 0, label, help);
    }
    refused(
        &["pv_array.multipliers=513"],
        0,
        "expected `pv_array.multipliers` to be a power-of-two multiple of `head_dim` = 64",
        "set `pv_array.multipliers` to 512 or 1024",
    );
}

#[test]
fn a_head_wider_than_the_array_points_at_the_head() {
    refused(
        &["head_dim=1024"],
        0,
        "expected `qk_array.multipliers` to be a power-of-two multiple of `head_dim` = 1024",
        "set `qk_array.multipliers` to 1024",
    );
}

#[test]
fn arrays_of_different_width() {
    refused(
        &["pv_array.multipliers=256"],
        0,
        "expected both arrays equal, 512 and 256",
        "set `pv_array.multipliers` to 512 or `qk_array.multipliers` to 256",
    );
}

#[test]
fn counts_that_address_bits_are_powers_of_two() {
    let power = |max: u64, unit: &str| {
        let min = if unit == "B" { 4 } else { 1 };
        format!("expected an integer from {min} to {max} that is a power of two [{unit}]")
    };
    refused(&["memory.channels=3"], 0, &power(1024, "channels"), "nearest: 2 or 4");
    refused(&["memory.transaction_bytes=48"], 0, &power(4096, "B"), "nearest: 32 or 64");
    refused(&["qkv_fetcher.lanes=48"], 0, &power(4096, "lanes"), "nearest: 32 or 64");
    let comparators = power(4096, "comparators per array");
    refused(&["topk_value.parallelism=12"], 0, &comparators, "nearest: 8 or 16");
    refused(&["topk_value.parallelism=0"], 0, &comparators, "nearest: 1");
    refused(&["topk_token.parallelism=-4"], 0, &comparators, "nearest: 1");
}

#[test]
fn a_memory_of_unknown_kind_and_bursts_that_hbm2_does_not_have() {
    let choice = "expected one of \"ideal\", \"hbm2\"";
    for value in ["hbm3", "\"HBM2\""] {
        refused(&[&format!("memory.kind={value}")], 0, choice, "did you mean \"hbm2\"?");
    }
    refused(&["memory.kind=1"], 0, choice, "write for example \"ideal\"");
    refused(
        &["memory.kind=hbm2", "memory.transaction_bytes=64"],
        1,
        "expected `memory.transaction_bytes` = 32 with HBM2",
        "set `memory.transaction_bytes` to 32 or `memory.kind` to \"ideal\"",
    );
    let machine = check(None, &["memory.kind=hbm2"]).expect("legal");
    assert_eq!(machine.memory.kind, attelier_hw::spatten::MemoryKind::Hbm2);
}

#[test]
fn zero_and_absurd_values_are_out_of_range() {
    let range = |max: u64, unit: &str| format!("expected an integer from 1 to {max} [{unit}]");
    // Below a megahertz, one cycle of the core is a refresh interval of the memory.
    let clock = "expected an integer from 1000000 to 10000000000 [Hz]";
    refused(&["clock_hz=0"], 0, clock, "nearest: 1000000");
    refused(&["clock_hz=99999999999999999999999999"], 0, clock, "nearest: 10000000000");
    refused(
        &["clock_hz=-99999999999999999999999999999999999999999999"],
        0,
        clock,
        "nearest: 1000000",
    );
    refused(&["memory.latency_cycles=0"], 0, &range(1 << 20, "core cycles"), "nearest: 1");
    refused(&["controller.jobs_in_flight=0"], 0, &range(1024, "jobs"), "nearest: 1");
    refused(&["key_sram.bytes=0"], 0, &range(1 << 40, "B"), "nearest: 1");
    let rows = range(1 << 20, "rows");
    for unit in ["softmax", "quant_decision", "pv_array"] {
        refused(&[&format!("{unit}.fifo_depth=0")], 0, &rows, "nearest: 1");
    }
    let entries = range(1 << 20, "entries per lane");
    refused(&["qkv_fetcher.fifo_depth=0"], 0, &entries, "nearest: 1");
}

#[test]
fn fewer_fetcher_lanes_than_channels_points_at_what_was_set() {
    let label =
        |channels: u32| format!("expected `qkv_fetcher.lanes` >= `memory.channels` = {channels}");
    refused(
        &["memory.channels=64"],
        0,
        &label(64),
        "raise `qkv_fetcher.lanes` to 64 or lower `memory.channels` to 32",
    );
    refused(
        &["qkv_fetcher.lanes=8"],
        0,
        &label(16),
        "raise `qkv_fetcher.lanes` to 16 or lower `memory.channels` to 8",
    );
}

#[test]
fn of_two_arguments_the_later_one_is_at_fault() {
    let help = "raise `qkv_fetcher.lanes` to 16 or lower `memory.channels` to 8";
    let label = "expected `qkv_fetcher.lanes` >= `memory.channels` = 16";
    refused(&["memory.channels=16", "qkv_fetcher.lanes=8"], 1, label, help);
    refused(&["qkv_fetcher.lanes=8", "memory.channels=16"], 1, label, help);
}

#[test]
fn fewer_fetcher_lanes_than_a_row_of_indices() {
    refused(
        &["memory.channels=4", "qkv_fetcher.lanes=4"],
        1,
        "expected `qkv_fetcher.lanes` >= `qk_array.keys_per_line` = 8",
        "raise `qkv_fetcher.lanes` to 8 or use fewer multipliers",
    );
}

#[test]
fn a_buffer_that_is_no_whole_number_of_lines() {
    let label = "expected a multiple of 768 B (512 words of 12 bits)";
    for (value, help) in [
        ("200000", "set `key_sram.bytes` to 199680 or 201216"),
        ("700", "set `key_sram.bytes` to 1536"),
    ] {
        refused(&[&format!("key_sram.bytes={value}")], 0, label, help);
    }
    let help = "set `value_sram.bytes` to 1536";
    refused(&["value_sram.bytes=1000"], 0, label, help);
}

/// Applies each value that a refusal names, as `set `PATH` to VALUE or VALUE or `PATH` to VALUE`.
#[test]
fn what_the_help_for_a_buffer_suggests_is_accepted() {
    for buffer in ["key_sram", "value_sram"] {
        for group in [1, 2, 8] {
            for bytes in [1, 700, 1000, 2304, 200_000, 200_448, 1_099_511_627_775_u64] {
                let sets = [
                    format!("{buffer}.bytes={bytes}"),
                    "bitwidth_converter.buffer_bytes=65536".to_owned(),
                    format!("bitwidth_converter.lines_per_cycle={group}"),
                    // A multiple of every group, so that the other buffer is legal.
                    format!(
                        "{}.bytes=98304",
                        if buffer == "key_sram" { "value_sram" } else { "key_sram" }
                    ),
                ];
                let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
                let Err(fault) = check(None, &sets) else { continue };
                let help = fault.help.expect("a suggestion");
                let mut path = "";
                for part in help.split_whitespace() {
                    if let Some(named) = part.strip_prefix('`') {
                        path = named.trim_end_matches('`');
                    } else if part.bytes().all(|byte| byte.is_ascii_digit()) {
                        let repair = format!("{path}={part}");
                        let repaired = [&sets[..], &[&repair]].concat();
                        assert!(check(None, &repaired).is_ok(), "{sets:?}: {help}");
                    }
                }
                assert!(path.contains('.'), "{help}");
            }
        }
    }
}

#[test]
fn a_line_that_is_no_whole_number_of_bytes() {
    refused(
        &["head_dim=2", "qk_array.multipliers=2", "pv_array.multipliers=2", "datapath_bits=11"],
        3,
        "expected 2 words whose width makes whole bytes",
        "set `datapath_bits` to 16",
    );
}

#[test]
fn a_buffer_with_more_lines_than_32_bits_count() {
    let tiny = ["head_dim=2", "qk_array.multipliers=2", "pv_array.multipliers=2"];
    let sets = [&tiny[..], &["datapath_bits=8", "key_sram.bytes=1099511627776"]].concat();
    refused(
        &sets,
        4,
        "expected at most 4294967295 lines of 2 B",
        "set `key_sram.bytes` to at most 8589934588",
    );
}

#[test]
fn a_realign_buffer_smaller_than_one_cycle() {
    refused(
        &["bitwidth_converter.buffer_bytes=1024"],
        0,
        "expected at least 2 lines of 768 B = 1536 B",
        "raise `bitwidth_converter.buffer_bytes` to 1536 or write fewer lines",
    );
}

#[test]
fn a_buffer_that_is_no_whole_group_of_lines() {
    refused(
        &["key_sram.bytes=2304"],
        0,
        "expected `key_sram` to hold a multiple of 2 lines",
        "set `key_sram.bytes` to 1536 or `bitwidth_converter.lines_per_cycle` to 1",
    );
}

#[test]
fn top_k_fifos_that_do_not_hold_whole_rows() {
    refused(
        &["topk_value.capacity=1000"],
        0,
        "expected `topk_value.capacity` to be a multiple of 16",
        "set `topk_value.capacity` to 992 or 1008",
    );
    refused(
        &["topk_token.capacity=8"],
        0,
        "expected `topk_token.capacity` to be a multiple of 16",
        "set `topk_token.capacity` to 16",
    );
    refused(
        &["topk_token.parallelism=2048"],
        0,
        "expected `topk_token.capacity` to be a multiple of 2048",
        "set `topk_token.capacity` to 2048",
    );
}

#[test]
fn a_refusal_in_a_file_shows_its_line_and_caret() {
    let fault = check(Some("# mine\n[memory]\nchannels = 12\n"), &[]).unwrap_err();
    let expected = "\
error: `memory.channels` is out of range
 --> mine.toml:3:12
  |
3 | channels = 12
  |            ^^ expected an integer from 1 to 1024 that is a power of two [channels]
  |
  = help: nearest: 8 or 16";
    assert_eq!(fault.to_string(), expected);
}

#[test]
fn an_argument_that_repairs_a_file_is_accepted() {
    let machine = check(Some("memory.channels = 12\n"), &["memory.channels=8"]).unwrap();
    assert_eq!(machine.memory.channels, 8);
}
