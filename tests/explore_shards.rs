//! Sweeps that are cut into shards: what they leave together, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use common::{attelier, stderr, stdout};
use serde_json::Value;

/// 4 x 2 x 2 points, a quarter of them with buffers of a broken line.
const SPEC: &str = r#"
design = "spatten-small"
set = ["workload.tokens=1"]
objectives = [{ min = "cycles" }, { min = "key_sram.bytes" }]
constraints = ["cycles < 1000000"]

[[axis]]
paths = ["key_sram.bytes", "value_sram.bytes"]
values = [6144, 3072, 3073, 12288]

[[axis]]
path = "memory.channels"
values = [1, 2]

[[axis]]
path = "workload.seed"
values = [3, 5]
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new(spec: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("spec.toml"), spec).unwrap();
        Self(folder)
    }

    fn planned() -> Self {
        let place = Self::new(SPEC);
        place.explore(&["plan", "spec.toml", "-o", "plan"]).code(0);
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn explore(&self, args: &[&str]) -> assert_cmd::assert::Assert {
        attelier(self.path(), &[&["explore"], args].concat())
    }

    fn shard(&self, shard: &str) {
        self.explore(&["run", "plan", "--shard", shard]).code(0);
    }

    fn part(&self, name: &str) -> std::path::PathBuf {
        self.path().join("plan/parts").join(name)
    }

    #[track_caller]
    fn merge_refused(&self, expected: &[&str]) {
        let message = stderr(&self.explore(&["merge", "plan", "-o", "out"]).code(2));
        for part in expected {
            assert!(message.contains(part), "{part:?} is not in:\n{message}");
        }
        assert!(!self.path().join("out").exists());
    }
}

/// Names and contents of all files of a sweep.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn shards_together_give_the_bytes_of_one_sweep() {
    let whole = Place::new(SPEC);
    let said = stdout(&whole.explore(&["spec.toml", "-o", "out", "--json", "out.json"]).code(0));
    let expected = files(&whole.path().join("out"));
    let names: Vec<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    let names_of_all =
        ["front.csv", "front.svg", "points.csv", "points.jsonl", "report.html", "sensitivity.svg"];
    assert_eq!(names, names_of_all);
    for count in [1, 4, 16] {
        let place = Place::planned();
        // In another order than their own.
        for number in (0..count).rev() {
            place.shard(&format!("{number}/{count}"));
        }
        let merged =
            stdout(&place.explore(&["merge", "plan", "-o", "out", "--json", "out.json"]).code(0));
        assert_eq!(files(&place.path().join("out")), expected, "{count} shards");
        assert_eq!(merged, said, "{count} shards");
        let json = |place: &Place| -> Value {
            let mut value: Value =
                serde_json::from_slice(&fs::read(place.path().join("out.json")).unwrap()).unwrap();
            value["command"].take();
            value
        };
        assert_eq!(json(&place), json(&whole));
        // Working files are gone, the parts stay.
        let left = files(&place.path().join("plan/parts"));
        assert_eq!(left.len(), count);
    }
}

#[test]
fn a_shard_that_is_done_is_not_done_again_and_a_killed_one_goes_on() {
    let place = Place::planned();
    place.shard("0/2");
    let before = fs::read(place.part("0-of-2.jsonl")).unwrap();
    let again = stdout(&place.explore(&["run", "plan", "--shard", "0/2"]).code(0));
    assert!(again.contains("done before"), "{again}");
    assert_eq!(fs::read(place.part("0-of-2.jsonl")).unwrap(), before);

    let mut killed = 0;
    for _ in 0..20 {
        let mut child = Command::new(assert_cmd::cargo::cargo_bin!("attelier"))
            .current_dir(place.path())
            .args(["explore", "run", "plan", "--shard", "1/2", "--jobs", "1"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while child.try_wait().unwrap().is_none() && !place.part("1-of-2.cache").exists() {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(killed * 7));
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            break;
        }
        killed += 1;
    }
    assert!(killed > 0, "every run was too fast to be killed");
    place.shard("1/2");
    place.explore(&["merge", "plan", "-o", "out"]).code(0);
    let whole = Place::new(SPEC);
    whole.explore(&["spec.toml", "-o", "out"]).code(0);
    assert_eq!(files(&place.path().join("out")), files(&whole.path().join("out")));
}

#[test]
fn status_tells_what_is_done_and_what_is_under_way() {
    let place = Place::planned();
    let none = stdout(&place.explore(&["status", "plan"]).code(0));
    assert!(none.contains("16 points\nno shard has begun"), "{none}");
    place.shard("2/3");
    fs::write(place.part("0-of-3.cache"), "").unwrap();
    place.explore(&["status", "plan", "--json", "status.json"]).code(0);
    let status: Value =
        serde_json::from_slice(&fs::read(place.path().join("status.json")).unwrap()).unwrap();
    let row = |shard: u64, state: &str, results: u64| serde_json::json!({ "of": 3, "shard": shard, "state": state, "results": results });
    assert_eq!(
        status["rows"],
        serde_json::json!([row(0, "under way", 0), row(1, "missing", 0), row(2, "done", 5)])
    );
}

#[test]
fn missing_doubled_and_foreign_parts_are_named() {
    let place = Place::planned();
    place.merge_refused(&["holds no part", "run the shards first"]);
    for shard in ["0/4", "2/4", "3/4"] {
        place.shard(shard);
    }
    place.merge_refused(&["missing shards: 1/4", "attelier explore run plan --shard 1/4"]);

    fs::copy(place.part("0-of-4.jsonl"), place.part("1-of-4.jsonl")).unwrap();
    place.merge_refused(&["1-of-4.jsonl", "it holds shard 0/4", "a duplicate"]);
    fs::remove_file(place.part("1-of-4.jsonl")).unwrap();
    place.shard("1/4");

    // A point of another shard in the place of its own; a point twice; a file cut short.
    let text = fs::read_to_string(place.part("1-of-4.jsonl")).unwrap();
    let other = fs::read_to_string(place.part("2-of-4.jsonl")).unwrap();
    let (lines, others): (Vec<&str>, Vec<&str>) = (text.lines().collect(), other.lines().collect());
    let write = |lines: &[&str]| {
        fs::write(place.part("1-of-4.jsonl"), lines.join("\n") + "\n").unwrap();
    };
    write(&[&lines[..2], &others[1..2], &lines[3..]].concat());
    place.merge_refused(&["line 3", "expected point 5, found point 2", "duplicate"]);
    write(&[&lines[..], &lines[4..]].concat());
    place.merge_refused(&["line 6", "something was added"]);
    write(&[&lines[..5], &lines[4..]].concat());
    place.merge_refused(&["line 6", "points stand here twice"]);
    let changed = lines[2].replacen("\"objectives\":[", "\"objectives\":[1", 1);
    write(&[&lines[..2], &[changed.as_str()], &lines[3..]].concat());
    place.merge_refused(&["line 6", "its lines were changed", "--shard 1/4"]);
    write(&lines[..4]);
    place.merge_refused(&["line 5", "it ends before point 13"]);
    // What is damaged is seen, and made again by the command that the message names.
    let status = stdout(&place.explore(&["status", "plan"]).code(0));
    assert!(status.contains("damaged"), "{status}");
    place.shard("1/4");
    assert_eq!(fs::read_to_string(place.part("1-of-4.jsonl")).unwrap(), text);
    fs::write(place.part("1-of-4.jsonl"), "").unwrap();
    place.merge_refused(&["line 1 is not the head of a part", "--shard 1/4"]);
    place.shard("1/4");

    fs::write(place.part("copy of 1-of-4.jsonl"), &text).unwrap();
    place.merge_refused(&["`plan/parts/copy of 1-of-4.jsonl` is no part", "0-of-4.jsonl"]);
    fs::remove_file(place.part("copy of 1-of-4.jsonl")).unwrap();
    place.shard("0/2");
    place.merge_refused(&["holds parts of 2 and of 4"]);
    fs::remove_file(place.part("0-of-2.jsonl")).unwrap();
    place.explore(&["merge", "plan", "-o", "out"]).code(0);

    let foreign = Place::new(&SPEC.replace("[3, 5]", "[3, 6]"));
    foreign.explore(&["plan", "spec.toml", "-o", "plan"]).code(0);
    fs::copy(place.part("0-of-4.jsonl"), foreign.part("0-of-4.jsonl")).unwrap();
    let message = stderr(&foreign.explore(&["run", "plan", "--shard", "0/4"]).code(2));
    assert!(message.contains("it is of another plan"), "{message}");
}

#[test]
fn a_plan_that_was_changed_is_refused() {
    let place = Place::planned();
    let path = place.path().join("plan/plan.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let refused = |text: &str, expected: &str| {
        fs::write(&path, text).unwrap();
        let message = stderr(&place.explore(&["run", "plan", "--shard", "0/4"]).code(2));
        assert!(message.contains(expected) && message.contains("plan.jsonl"), "{message}");
    };
    refused("", "it is empty");
    refused("{}\n", "line 1 is not the head of a plan");
    let version = format!("\"version\":\"{}\"", env!("CARGO_PKG_VERSION"));
    refused(&text.replace(&version, "\"version\":\"0.0.1\""), "it was made by attelier 0.0.1");
    let build = text.split_once("\"build\":\"").unwrap().1[..16].to_owned();
    refused(&text.replace(&build, "0000000000000000"), "made by another build");
    refused(&text.replace("\"seed\":0", "\"seed\":1"), "line 2: this is not point 0");
    refused(&text.replace("[1, 2]", "[2, 1]"), "line 2: this is not point 0");
    let cut = text.lines().take(10).collect::<Vec<_>>().join("\n");
    refused(&cut, "it ends before point 9 of 16");
    refused(&(text.clone() + "x\n"), "line 18: expected the end after 16 points");
    fs::write(&path, text).unwrap();
    place.shard("0/4");
}

#[test]
fn steps_refuse_what_they_cannot_do() {
    let place = Place::planned();
    let refused = |args: &[&str], expected: &str| {
        let message = stderr(&place.explore(args).code(2));
        assert!(message.contains(expected), "{expected:?} is not in:\n{message}");
    };
    refused(&["run", "plan", "--shard", "4/4"], "shard 4 of 4: expected 0/4 to 3/4");
    refused(&["run", "plan", "--shard", "x"], "expected K/N");
    refused(&["run", "plan", "--shard", "0/17"], "17 shards of 16 points");
    refused(&["run", "none", "--shard", "0/4"], "cannot use the plan `none/plan.jsonl`");
    refused(&["plan", "spec.toml", "-o", "plan"], "it is not empty");
    refused(&["spec.toml", "-o", "out", "--engine", "slurm"], "--shards");
    let search = SPEC.replacen("design", "method = \"nsga2\"\npoints = 8\ndesign", 1);
    fs::write(place.path().join("spec.toml"), search).unwrap();
    refused(&["plan", "spec.toml", "-o", "search"], "a search cannot be planned");
}
