//! Exploration from the command line: what comes out, whatever the number of threads and however
//! often it was killed, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use common::{attelier, is_empty, stderr, stdout};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

const FILES: [&str; 3] = ["points.csv", "points.jsonl", "front.csv"];

/// 3 x 2 x 2 x 3 points, a third of them with buffers of a broken line.
const SMALL: &str = r#"
design = "spatten-small"
set = ["workload.tokens=2"]
objectives = [{ min = "cycles" }, { min = "key_sram.bytes" }]
constraints = ["topk_value.parallelism < 4 or memory.channels > 1"]

[[axis]]
paths = ["topk_value.parallelism", "topk_token.parallelism"]
powers_of_two = { from = 1, to = 4 }

[[axis]]
path = "memory.channels"
values = [1, 2]

[[axis]]
path = "workload.seed"
range = { from = 3, to = 5, step = 2 }

[[axis]]
paths = ["key_sram.bytes", "value_sram.bytes"]
values = [6144, 3072, 3073]
"#;

fn explore(folder: &Path, spec: &str, args: &[&str]) -> assert_cmd::assert::Assert {
    fs::write(folder.join("spec.toml"), spec).unwrap();
    attelier(folder, &[&["explore", "spec.toml", "-o", "out"], args].concat())
}

fn files(folder: &Path) -> Vec<String> {
    FILES.iter().map(|name| fs::read_to_string(folder.join("out").join(name)).unwrap()).collect()
}

fn rows(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("out/points.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn with_status<'a>(rows: &'a [Value], status: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["status"] == status).collect()
}

#[test]
fn every_point_has_a_row_and_failures_and_exclusions_say_why() {
    let folder = tempfile::tempdir().unwrap();
    let text = stdout(&explore(folder.path(), SMALL, &[]).code(0));
    let rows = rows(folder.path());
    assert_eq!(rows.len(), 36);
    let in_order: Vec<_> = rows.iter().map(|row| row["point"].as_u64().unwrap()).collect();
    assert_eq!(in_order, (0..36).collect::<Vec<_>>());
    // The last axis moves fastest; linked parameters move together.
    assert_eq!(rows[1]["set"]["value_sram.bytes"], "3072");
    assert_eq!(rows[35]["set"]["topk_token.parallelism"], "4");
    // Every third point has the broken buffer; parallelism 4 on one channel is excluded.
    let failed = with_status(&rows, "failed");
    assert_eq!(failed.len(), 12);
    for row in failed {
        assert_eq!(row["point"].as_u64().unwrap() % 3, 2);
        assert!(row["reason"].as_str().unwrap().contains("3073 is not a whole number of lines"));
        assert!(row["result"].is_null() && !row["front"].as_bool().unwrap());
    }
    let excluded = with_status(&rows, "excluded");
    let excluded: Vec<_> = excluded.iter().map(|row| row["point"].as_u64().unwrap()).collect();
    assert_eq!(excluded, [24, 25, 27, 28]);
    assert!(text.contains("36 points, 20 meet all constraints"), "{text}");
    assert!(text.contains("first failure, point 2"), "{text}");

    let mut reader = csv::Reader::from_path(folder.path().join("out/points.csv")).unwrap();
    let head = reader.headers().unwrap().clone();
    let named: BTreeSet<&str> = head.iter().collect();
    assert_eq!(named.len(), head.len(), "a column stands twice in {head:?}");
    let column = |name: &str| head.iter().position(|cell| cell == name).unwrap();
    let (cycles, point) = (column("cycles"), column("point"));
    for record in reader.records().map(Result::unwrap) {
        let row = &rows[record[point].parse::<usize>().unwrap()];
        assert_eq!(
            record[cycles],
            row["result"]["cycles"].as_u64().map_or(String::new(), |n| n.to_string())
        );
        assert_eq!(
            record[column("key_sram.bytes")],
            *row["set"]["key_sram.bytes"].as_str().unwrap()
        );
    }
}

#[test]
fn the_command_of_a_point_gives_its_result() {
    let folder = tempfile::tempdir().unwrap();
    explore(folder.path(), SMALL, &["--seed", "9"]).code(0);
    let rows = rows(folder.path());
    for point in [0, 4, 34] {
        let row = &rows[point];
        let command = row["command"].as_str().unwrap();
        assert!(command.contains("--seed 9"), "{command}");
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        attelier(folder.path(), &[&words[..], &["--json", "run.json"]].concat()).code(0);
        let text = fs::read(folder.path().join("run.json")).unwrap();
        let mut run: Value = serde_json::from_slice(&text).unwrap();
        // How it was asked for is in the row instead.
        run["command"] = command.into();
        let notes = run["notes"].as_array_mut().unwrap();
        notes.retain(|note| !note.as_str().unwrap().starts_with("not the published preset"));
        assert_eq!(row["result"], run, "point {point}");
    }
}

#[test]
fn the_front_is_that_of_the_points() {
    let folder = tempfile::tempdir().unwrap();
    let text = stdout(&explore(folder.path(), SMALL, &[]).code(0));
    let rows = rows(folder.path());
    let cost = |row: &Value| {
        let bytes = row["set"]["key_sram.bytes"].as_str().unwrap().parse::<u64>().unwrap();
        [row["result"]["cycles"].as_u64().unwrap(), bytes]
    };
    let good = with_status(&rows, "ok");
    let mut expected = Vec::new();
    for row in &good {
        let [cycles, bytes] = cost(row);
        let beaten = good
            .iter()
            .map(|other| cost(other))
            .any(|[c, b]| c <= cycles && b <= bytes && (c < cycles || b < bytes));
        assert_eq!(row["front"].as_bool().unwrap(), !beaten);
        if !beaten {
            expected.push(row["point"].to_string());
            assert!(text.contains(row["command"].as_str().unwrap()), "{text}");
        }
    }
    let mut reader = csv::Reader::from_path(folder.path().join("out/front.csv")).unwrap();
    let found: Vec<_> = reader.records().map(|record| record.unwrap()[0].to_owned()).collect();
    assert!(!found.is_empty() && found == expected, "{found:?} {expected:?}");
}

#[test]
fn threads_and_a_full_cache_change_no_byte() {
    let sample =
        SMALL.replacen("objectives", "method = \"latin-hypercube\"\npoints = 20\nobjectives", 1);
    for spec in [SMALL, &sample] {
        let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        explore(one.path(), spec, &["--jobs", "1"]).code(0);
        explore(two.path(), spec, &["--jobs", "2"]).code(0);
        assert_eq!(files(one.path()), files(two.path()));

        let again = tempfile::tempdir().unwrap();
        let cache = one.path().join("out.cache");
        let known = results(&cache).unwrap();
        explore(again.path(), spec, &["--cache", cache.to_str().unwrap()]).code(0);
        assert_eq!(files(one.path()), files(again.path()));
        assert_eq!(results(&cache), Some(known));
    }
}

/// Results in a cache; none before it is one.
fn results(cache: &Path) -> Option<u32> {
    let connection = Connection::open_with_flags(cache, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    connection.query_row("SELECT count(*) FROM results", [], |row| row.get(0)).ok()
}

fn start(folder: &Path) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin!("attelier"))
        .current_dir(folder)
        .args(["explore", "spec.toml", "-o", "out", "--jobs", "2"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn a_sweep_that_was_killed_goes_on_where_it_stopped() {
    let whole = tempfile::tempdir().unwrap();
    explore(whole.path(), SMALL, &[]).code(0);
    let all = results(&whole.path().join("out.cache")).unwrap();
    assert_eq!(all, 20);

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("spec.toml"), SMALL).unwrap();
    let cache = folder.path().join("out.cache");
    let mut killed = 0;
    for least in [0, 1, 5, 12] {
        let mut child = start(folder.path());
        // By what was done, not by time: the machine may be slow.
        while child.try_wait().unwrap().is_none()
            && results(&cache).is_none_or(|known| known < least)
        {
            thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        if child.wait().unwrap().success() {
            break;
        }
        killed += 1;
        assert!(results(&cache).is_some_and(|known| known >= least));
        let mut names = common::names(folder.path());
        names.retain(|name| !name.starts_with("out.cache"));
        assert_eq!(names, ["spec.toml"]);
    }
    assert!(killed > 0, "every run was too fast to be killed");
    if !folder.path().join("out").exists() {
        let before = results(&cache).unwrap();
        let text = stdout(&explore(folder.path(), SMALL, &[]).code(0));
        assert!(text.contains(&format!("; {before} results from the cache")), "{before}: {text}");
    }
    assert_eq!(results(&cache), Some(all));
    assert_eq!(files(whole.path()), files(folder.path()));
}

/// The small space ten times, so that there is something left to kill.
const LARGE: [(&str, &str); 2] = [
    ("range = { from = 3, to = 5, step = 2 }", "range = { from = 1, to = 40 }"),
    ("[6144, 3072, 3073]", "[6144, 3072]"),
];

#[test]
fn twenty_kills_change_no_byte_of_any_file() {
    let spec =
        LARGE.into_iter().fold(SMALL.to_owned(), |spec, (old, new)| spec.replacen(old, new, 1));
    let [whole, folder] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    explore(whole.path(), &spec, &[]).code(0);
    fs::write(folder.path().join("spec.toml"), &spec).unwrap();
    let cache = folder.path().join("out.cache");
    let mut random = Pcg64Mcg::seed_from_u64(9);
    for kill in 0..20 {
        let mut child = start(folder.path());
        // Some time after some more results: anywhere within a point, a write or the start.
        let least = results(&cache).unwrap_or(0) + random.random_range(0..12);
        while results(&cache).is_none_or(|known| known < least) {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_micros(random.random_range(0..20_000)));
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "kill {kill} came too late");
    }
    let known = results(&cache).unwrap();
    assert!(known < results(&whole.path().join("out.cache")).unwrap());
    let text = stdout(&explore(folder.path(), &spec, &[]).code(0));
    assert!(text.contains(&format!("; {known} results from the cache")), "{known}: {text}");
    for name in common::names(&whole.path().join("out")) {
        let read = |folder: &Path| fs::read(folder.join("out").join(&name)).unwrap();
        assert!(read(whole.path()) == read(folder.path()), "{name} differs");
    }
}

#[test]
fn two_processes_share_a_cache() {
    let [whole, one, two] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    explore(whole.path(), SMALL, &[]).code(0);
    let cache = one.path().join("shared");
    thread::scope(|scope| {
        for folder in [&one, &two] {
            scope.spawn(|| {
                explore(folder.path(), SMALL, &["--cache", cache.to_str().unwrap()]).code(0)
            });
        }
    });
    assert_eq!(files(one.path()), files(whole.path()));
    assert_eq!(files(two.path()), files(whole.path()));
    assert_eq!(results(&cache), Some(20));
}

#[track_caller]
fn refused(spec: &str, expected: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let message = stderr(&explore(folder.path(), spec, &[]).code(2));
    assert!(message.starts_with("error"), "{message}");
    for part in expected {
        assert!(message.contains(part), "{part:?} is not in:\n{message}");
    }
    assert!(!folder.path().join("out").exists());
}

/// The small description with one piece of text replaced.
fn with(old: &str, new: &str) -> String {
    assert!(SMALL.contains(old), "{old}");
    SMALL.replacen(old, new, 1)
}

#[test]
fn a_wrong_description_is_drawn_with_a_suggestion() {
    let cases: [(&str, &str, &[&str]); 19] = [
        (
            "design = ",
            "desing = ",
            &["unknown field `desing`", "did you mean `design`?", "spec.toml:2", "^"],
        ),
        (
            "spatten-small",
            "spaten-small",
            &["unknown design", "did you mean `spatten-small`?", "spec.toml:2"],
        ),
        (
            "\"memory.channels\"",
            "\"memory.chanels\"",
            &[
                "unknown parameter `memory.chanels`",
                "did you mean `memory.channels`?",
                "spec.toml:12",
            ],
        ),
        (
            "\"workload.seed\"",
            "\"workload.sed\"",
            &["unknown parameter `workload.sed`", "did you mean `workload.seed`?", "^"],
        ),
        ("[1, 2]", "[1, 3]", &["power of two", "nearest: 2 or 4", "spec.toml:13"]),
        ("[1, 2]", "[]", &["the list of values is empty"]),
        ("[1, 2]", "[1, [2, 4]]", &["this is no value of the axis"]),
        ("values = [1, 2]", "powers_of_two = { from = 3, to = 8 }", &["no powers of two"]),
        ("step = 2", "step = 0", &["the range has no values"]),
        ("tokens=2", "token=2", &["did you mean `tokens`?", "spec.toml:3"]),
        ("\"memory.channels\"", "\"key_sram.bytes\"", &["`key_sram.bytes` is moved twice"]),
        ("parallelism < 4 or", "parallelism < 4 ore", &["this is no condition", "spec.toml:5"]),
        ("min = \"cycles\"", "least = \"cycles\"", &["unknown field `least`", "^"]),
        ("design", "points = 3\ndesign", &["`points` has no meaning here"]),
        ("design", "method = \"lattin-hypercube\"\ndesign", &["did you mean `latin-hypercube`?"]),
        (
            "{ from = 3, to = 5, step = 2 }",
            "{ from = 1, to = 9999 }",
            &["too many points", "latin-hypercube"],
        ),
        (
            "design",
            "workload = \"gpt2-smal\"\ndesign",
            &["there is no such workload", "did you mean `gpt2-small`", "spec.toml:2:12", "^^^"],
        ),
        ("{ min = \"cycles\" }", "5", &["expected a table such as `{ min = \"cycles\" }`"]),
        ("[1, 2]", "5", &["invalid type", "expected an array"]),
    ];
    for (old, new, expected) in cases {
        refused(&with(old, new), expected);
    }
}

#[test]
fn objectives_that_are_no_number_are_refused_with_the_reason() {
    let objective = |name: &str| with("min = \"cycles\"", &format!("min = \"{name}\""));
    refused(&objective("energy_j"), &["is a section", "did you mean `energy_j.total`?"]);
    refused(&objective("cycle"), &["unknown name `cycle`", "did you mean `cycles`?"]);
    refused(&objective("dram.read_byte"), &["did you mean `dram.read_bytes`?"]);
    refused(&objective("dram.activates"), &["the ideal memory has no rows"]);
    refused(&objective("memory.kind"), &["cannot be small or large"]);
    let named = |name: &str| objective(&format!("cycles\", name = \"{name}"));
    refused(&named("key_sram.bytes"), &["cannot be called `key_sram.bytes`", "another column"]);
    refused(&named("status"), &["cannot be called `status`", "another column", "^"]);
    refused(
        &named("x").replace("min = \"key_sram.bytes\"", "min = \"key_sram.bytes\", name = \"x\""),
        &["cannot be called `x`", "another objective has it"],
    );
    refused(&objective("seconds | abs"), &["this is no number", "unknown filter", "spec.toml:4"]);
    refused(&objective("cycles < 5"), &["this is no number", "at the first point", "^"]);
    let constraint = |text: &str| with("topk_value.parallelism < 4 or memory.channels > 1", text);
    refused(
        &constraint("cycles"),
        &["this is no condition", "expected a comparison", "spec.toml:5"],
    );
    refused(&constraint("cycles | abs < 5"), &["this is no condition", "unknown filter", "^"]);
    refused(&objective("cycles *"), &["this is no number", "spec.toml:4", "^"]);
    refused(&objective("cycle * 2"), &["unknown name `cycle`", "did you mean `cycles`?"]);
    refused(&with("min = \"cycles\"", "name = \"x\""), &["needs a direction", "`min` or `max`"]);
    refused(&objective("2"), &["it names no parameter and no result"]);
}

#[test]
fn an_objective_may_be_reckoned_from_others() {
    let folder = tempfile::tempdir().unwrap();
    let sum = "min = \"key_sram.bytes + value_sram.bytes\", name = \"buffers [B]\"";
    let spec = with("min = \"key_sram.bytes\"", sum);
    explore(folder.path(), &spec, &[]).code(0);
    let mut reader = csv::Reader::from_path(folder.path().join("out/points.csv")).unwrap();
    let head = reader.headers().unwrap().clone();
    let column = |name: &str| head.iter().position(|cell| cell == name).unwrap();
    let (sum, one) = (column("buffers [B]"), column("key_sram.bytes"));
    for record in reader.records().map(Result::unwrap).filter(|record| !record[sum].is_empty()) {
        let number = |column: usize| record[column].parse::<u64>().unwrap();
        assert_eq!(number(sum), 2 * number(one));
    }
}

#[test]
fn constraints_that_leave_no_point_are_named() {
    let constraint = "[\"topk_value.parallelism < 4 or memory.channels > 1\"]";
    refused(
        &with(constraint, "[\"memory.channels < 2\", \"memory.channels > 1\"]"),
        &["the constraints leave no point", "^", "12 of 36 points"],
    );
    // By results, after all points were simulated: the rows are kept, and the exit code says it.
    let folder = tempfile::tempdir().unwrap();
    let spec = with(constraint, "[\"cycles < 1\"]");
    let text = stdout(&explore(folder.path(), &spec, &[]).code(1));
    assert!(text.contains("No point meets all constraints"), "{text}");
    assert_eq!(with_status(&rows(folder.path()), "infeasible").len(), 24);
}

#[test]
fn points_that_all_fail_are_an_error() {
    refused(
        &with("[6144, 3072, 3073]", "[3073]"),
        &["none of 12 points", "not a whole number of lines"],
    );
    refused(
        &with("\nset", "\nworkload = \"m3vit-tiny/cityscapes\"\nset"),
        &["none of 36 points", "this is one image"],
    );
}

#[test]
fn a_cache_of_another_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    explore(folder.path(), SMALL, &[]).code(0);
    let cache = folder.path().join("out.cache");
    Connection::open(&cache).unwrap().pragma_update(None, "user_version", 99).unwrap();
    fs::remove_dir_all(folder.path().join("out")).unwrap();
    let message = stderr(&explore(folder.path(), SMALL, &[]).code(2));
    assert!(message.contains("layout 99") && message.contains("--cache"), "{message}");
    let message = stderr(&explore(folder.path(), SMALL, &["--cache", "spec.toml"]).code(2));
    assert!(message.contains("it is the input"), "{message}");
}

#[test]
fn nothing_is_written_over_an_older_sweep() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("out")).unwrap();
    fs::write(folder.path().join("out/points.csv"), "older").unwrap();
    let message = stderr(&explore(folder.path(), SMALL, &[]).code(2));
    assert!(message.contains("it is not empty"), "{message}");
    let empty = tempfile::tempdir().unwrap();
    stderr(&attelier(empty.path(), &["explore", "none.toml", "-o", "out"]).code(2));
    assert!(is_empty(empty.path()));
}
