//! `attelier dram`: golden cases of other simulators, and cases that are none.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
};

use common::{attelier, is_empty, stderr, stdout};
use flate2::read::GzDecoder;

/// A golden case, looked for in `ATTELIER_SHARED` or in `../shared` beside the repository. Absent,
/// a test says so and passes, unless `ATTELIER_REQUIRE_ALL=1`.
fn golden(case: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = env::var_os("ATTELIER_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join("data/dram-golden").join(case);
    if folder.is_dir() {
        return Some(folder);
    }
    let required = env::var("ATTELIER_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(!required, "{} is absent and ATTELIER_REQUIRE_ALL=1", folder.display());
    eprintln!("skipped: {} is absent", folder.display());
    None
}

fn unzip(path: &Path) -> String {
    let mut text = String::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_golden_case_comes_out_as_recorded() {
    let Some(case) = golden("ds3-ddr4-2400-conf-sat-ref") else { return };
    let out = tempfile::tempdir().unwrap();
    let dir = case.to_str().unwrap();
    let args = ["dram", "--case", dir, "-o", "c.csv", "--completions", "d.csv", "--json", "r.json"];
    let ran = attelier(out.path(), &args).code(0);
    assert!(stdout(&ran).contains(" requests ("), "{}", stdout(&ran));
    for (ours, golden) in [("c.csv", "commands.csv.gz"), ("d.csv", "completions.csv.gz")] {
        let ours = fs::read_to_string(out.path().join(ours)).unwrap();
        assert!(ours == unzip(&case.join(golden)), "{golden} differs");
    }
    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(out.path().join("r.json")).unwrap()).unwrap();
    assert_eq!(json["schema"], "attelier-dram-1");
    let commands = fs::read_to_string(out.path().join("c.csv")).unwrap().lines().count() - 1;
    assert_eq!(json["commands"], commands);
}

#[test]
fn a_malformed_case_is_refused_and_leaves_no_file() {
    let case = tempfile::tempdir().unwrap();
    let dir = case.path().to_str().unwrap();
    for (params, expected) in [(None, "params.json"), (Some("{\"org\": 1"), "params.json")] {
        if let Some(text) = params {
            fs::write(case.path().join("params.json"), text).unwrap();
        }
        let out = tempfile::tempdir().unwrap();
        let ran = attelier(out.path(), &["dram", "--case", dir, "-o", "c.csv"]).code(2);
        assert!(stderr(&ran).contains(expected), "{}", stderr(&ran));
        assert!(is_empty(out.path()));
    }
}

#[test]
fn devices_are_listed() {
    let out = tempfile::tempdir().unwrap();
    let ran = attelier(out.path(), &["list", "devices"]).code(0);
    assert!(stdout(&ran).contains("spatten-hbm2"), "{}", stdout(&ran));
}
