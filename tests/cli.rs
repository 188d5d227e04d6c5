//! The command as a user meets it: arguments, messages, exit codes, files left behind.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use std::{fs, path::Path};

use assert_cmd::{assert::Assert, cargo::cargo_bin_cmd};

/// Runs `attelier` with arguments in a folder.
fn attelier(folder: &Path, args: &[&str]) -> Assert {
    cargo_bin_cmd!("attelier").current_dir(folder).args(args).assert()
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn help_names_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let help = stdout(&attelier(folder.path(), &["--help"]).code(0));
    for command in ["run", "list", "show", "trace", "--json", "--seed"] {
        assert!(help.contains(command), "{command} in {help}");
    }
    let version = stdout(&attelier(folder.path(), &["--version"]).code(0));
    assert_eq!(version, format!("attelier {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn usage_errors_are_bad_input() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&[], "Usage: attelier"),
        (&["runn"], "a similar subcommand exists: 'run'"),
        (&["run", "--seed", "x"], "--seed"),
        (&["list", "design"], "a similar value exists: 'designs'"),
        (&["trace", "import", "a.csv"], "--output <FILE>"),
    ];
    for (args, expected) in cases {
        let message = stderr(&attelier(folder.path(), args).code(2));
        assert!(message.contains(expected), "{args:?}: {message}");
    }
    assert!(is_empty(folder.path()));
}

#[test]
fn one_file_for_two_outputs_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["run", "--json", "out", "--vcd", "./out"];
    let message = stderr(&attelier(folder.path(), &args).code(2));
    assert_eq!(message, "error: `./out` is named for two outputs: give each its own file\n");
    assert!(is_empty(folder.path()));
}

#[test]
fn an_output_in_a_missing_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["trace", "import", "a.csv", "-o", "none/a.jsonl"];
    let message = stderr(&attelier(folder.path(), &args).code(2));
    assert_eq!(message, "error: cannot write `none/a.jsonl`: folder `none` does not exist\n");
    assert!(is_empty(folder.path()));
}
