//! BF16 multiplication and addition under Verilator against FP64 of the host: a sample of all pairs,
//! or with `ATTELIER_EXHAUSTIVE=1` each of the 2^32.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{env, fs, path::Path, process::Command, sync::Arc};

use attelier_rtl::{Design, ir::Module, units::pim_gpt};

const PAIRS: u64 = 1 << 32;
const SAMPLE: u64 = 1 << 20;
/// Odd, so that pairs do not repeat, and near 2^32 divided by the golden ratio, so that they spread.
const STRIDE: u64 = 2_654_435_769;

/// What the bench says of the pairs it tried.
struct Answer {
    text: String,
    counts: Vec<u64>,
}

impl Answer {
    fn mismatches(&self) -> u64 {
        self.counts[1]
    }
}

fn build(folder: &Path, module: &Arc<Module>, defines: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exhaustive/bf16.cpp");
    fs::copy(source, folder.join("bf16.cpp")).unwrap();
    let mut build = Command::new("verilator");
    build.current_dir(folder).args(["--cc", "--exe", "--build", "-Wall", "-O3", "-CFLAGS"]);
    build.arg(format!("-O2 {defines}"));
    build.args(["--prefix", "Vtop", "--Mdir", "build", "-o", "bench"]);
    build.args(["--top-module", module.name()]);
    for file in Design::new([module]).unwrap().verilog() {
        fs::write(folder.join(&file.name), file.text).unwrap();
        build.arg(file.name);
    }
    let output = build.arg("bf16.cpp").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn compare(module: &Arc<Module>, defines: &str, pairs: u64) -> Answer {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path(), module, defines);
    let stride = if pairs == PAIRS { 1 } else { STRIDE };
    let mut bench = Command::new(folder.path().join("build/bench"));
    let output = bench.args([pairs.to_string(), stride.to_string()]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last = text.lines().last().unwrap();
    let counts: Vec<u64> = last.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(counts.len() == 5 && counts[0] == pairs, "{text}");
    assert!(counts[2..].iter().all(|count| *count > 0), "a kind of result never came: {text}");
    Answer { text, counts }
}

fn check(module: &Arc<Module>, operation: &str) {
    if !common::has("verilator") {
        return;
    }
    let wrong = compare(module, &format!("{operation} -DTIES_AWAY"), SAMPLE);
    assert!(wrong.mismatches() > 0, "a reference that rounds wrongly was not noticed");
    let all = env::var_os("ATTELIER_EXHAUSTIVE").is_some_and(|value| value != "0");
    let answer = compare(module, operation, if all { PAIRS } else { SAMPLE });
    eprint!("{}: {}", module.name(), answer.text);
    assert_eq!(answer.mismatches(), 0, "{}", answer.text);
}

#[test]
fn products_are_exact_numbers_rounded_once() {
    check(&pim_gpt::bf16_multiply().unwrap(), "-DPRODUCT");
}

#[test]
fn sums_are_exact_numbers_rounded_once() {
    check(&pim_gpt::bf16_add().unwrap(), "-DSUM");
}
