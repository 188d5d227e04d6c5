//! What the tests of the command share.
#![allow(dead_code, reason = "each test program uses a part")]

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
};

pub mod chromium;

use assert_cmd::{assert::Assert, cargo::cargo_bin_cmd};
use flate2::read::GzDecoder;
use serde_json::Value;

/// Runs `attelier` with arguments in a folder.
pub fn attelier(folder: &Path, args: &[&str]) -> Assert {
    cargo_bin_cmd!("attelier").current_dir(folder).args(args).assert()
}

pub fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

pub fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

pub fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

/// Names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> =
        entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The JSON result of a run with these arguments.
pub fn result(args: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    attelier(folder.path(), &[&["run", "--json", "out.json"], args].concat()).code(0);
    serde_json::from_slice(&fs::read(folder.path().join("out.json")).unwrap()).unwrap()
}

/// A number at a place in a JSON result.
#[track_caller]
pub fn number(json: &Value, pointer: &str) -> u64 {
    let value = json.pointer(pointer).and_then(Value::as_u64);
    value.unwrap_or_else(|| panic!("{pointer} is {:?}", json.pointer(pointer)))
}

/// All bytes that a run read.
pub fn total_bytes(json: &Value) -> u64 {
    number(json, "/traffic/total_bytes")
}

/// A folder below `ATTELIER_SHARED`, or below `../shared` beside the repository. Absent, a test
/// says so and passes, unless `ATTELIER_REQUIRE_ALL=1`.
pub fn shared(relative: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = env::var_os("ATTELIER_SHARED").map_or_else(beside, PathBuf::from);
    let folder = shared.join(relative);
    if folder.is_dir() {
        return Some(folder);
    }
    absent(&folder.display().to_string());
    None
}

/// Says that something is absent and a check therefore skipped; a failure under
/// `ATTELIER_REQUIRE_ALL=1`.
pub fn absent(what: &str) {
    let required = env::var("ATTELIER_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(!required, "{what} is absent and ATTELIER_REQUIRE_ALL=1");
    eprintln!("skipped: {what} is absent");
}

/// Whether a program is in `PATH`.
pub fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        absent(program);
    }
    found
}

/// The text of a gzip file.
pub fn unzip(path: &Path) -> String {
    let mut text = String::new();
    GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    text
}
