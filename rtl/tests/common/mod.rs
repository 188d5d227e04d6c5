//! What several test files share.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{env, path::Path, sync::Arc};

use attelier_rtl::{
    Design,
    bench::{Bench, Case, Comparison, Tool},
    bits::Bits,
    ir::Module,
};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Whether a program is in `PATH`; a printed line where not, and a failure where all is required.
pub fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    if env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file()) {
        return true;
    }
    let required = env::var_os("ATTELIER_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!required, "{program} is not installed");
    eprintln!("not checked: {program} is not installed");
    false
}

/// A generator that gives the same numbers every time.
pub fn random(seed: u64) -> Pcg64Mcg {
    Pcg64Mcg::seed_from_u64(seed)
}

/// Random bits.
pub fn random_bits(random: &mut Pcg64Mcg, width: u32) -> Bits {
    let words: Vec<u64> = (0..width.div_ceil(64)).map(|_| random.random()).collect();
    Bits::from_words(&words, width)
}

/// Vectors of independent random values for all inputs.
pub fn random_vectors(module: &Module, count: usize, seed: u64) -> Vec<Vec<Bits>> {
    let mut random = random(seed);
    let widths: Vec<u32> = module.inputs().map(|(_, ty)| ty.width).collect();
    (0..count)
        .map(|_| widths.iter().map(|width| random_bits(&mut random, *width)).collect())
        .collect()
}

/// A case of random vectors.
pub fn random_case(module: &Arc<Module>, count: usize, seed: u64) -> Case {
    Case::native(module, random_vectors(module, count, seed)).unwrap()
}

/// Runs a bench, prints what was compared, and requires equality everywhere.
pub fn compare(bench: &Bench, tool: Tool, vectors: u64) {
    if !has(tool.program()) {
        return;
    }
    let comparisons = bench.run(tool).unwrap_or_else(|error| panic!("{error}"));
    let sum = |count: fn(&Comparison) -> u64| comparisons.iter().map(count).sum::<u64>();
    eprintln!(
        "{}: {} modules, {} vectors, {} cycles, {} signals, {} mismatches, {} unknown",
        tool.name(),
        comparisons.len(),
        sum(|one| one.vectors),
        sum(|one| one.cycles),
        sum(|one| one.signals),
        sum(|one| one.mismatches),
        sum(|one| one.unknown),
    );
    for one in &comparisons {
        assert!(one.is_equal(), "{}: {one:?}", tool.name());
    }
    assert!(sum(|one| one.vectors) >= vectors, "too little was compared");
}

/// Lints every module of a bench: no warning, no waiver, no line above 120 characters.
pub fn lint(bench: &Bench) {
    lint_except(bench, &[]);
}

/// As [`lint`], but for warnings of some kinds.
pub fn lint_except(bench: &Bench, allowed: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let files = bench.write(folder.path()).unwrap();
    for file in files.iter().filter(|file| *file != "bench.v") {
        let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(text.lines().all(|line| line.len() <= 120), "{file} has a long line");
        assert!(!text.contains("verilator"), "{file} has a waiver");
    }
    if !has("verilator") {
        return;
    }
    for case in bench.cases() {
        let design = Design::new([case.module()]).unwrap();
        let files: Vec<String> = design.verilog().into_iter().map(|file| file.name).collect();
        let warnings = attelier_rtl::bench::lint(folder.path(), case.module().name(), &files);
        let warnings = warnings.unwrap();
        let is_allowed = |line: &str| allowed.iter().any(|kind| line.contains(kind));
        let found = warnings.lines().any(|line| line.starts_with("%Warning") && !is_allowed(line));
        assert!(!found && (warnings.is_empty() || !allowed.is_empty()), "{warnings}");
    }
}
