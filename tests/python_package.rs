//! The Python package: built as a wheel, installed in a new environment, used as its example does.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;
#[path = "../workloads/tests/common/mod.rs"]
mod models;

use std::{fs, path::Path, process::Command};

use common::{number, result};
use models::python::repository;

/// What the command prints, once it has succeeded.
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A fresh environment that has the package.
fn install(python: &Path, folder: &Path) -> Command {
    let manifest = repository().join("python/Cargo.toml");
    let wheels = folder.join("wheels");
    let mut build = Command::new(python);
    build.args([
        "-m",
        "maturin",
        "build",
        "--quiet",
        "--profile",
        "dev",
        "--interpreter",
        "python3",
    ]);
    printed(build.arg("--manifest-path").arg(manifest).arg("--out").arg(&wheels));
    let wheel = fs::read_dir(wheels).unwrap().next().unwrap().unwrap().path();
    let environment = folder.join("environment");
    let mut venv = Command::new(python);
    // NumPy is that of the system.
    printed(venv.args(["-m", "venv", "--system-site-packages"]).arg(&environment));
    let own = environment.join("bin/python");
    let mut pip = Command::new(&own);
    printed(pip.args(["-m", "pip", "install", "--quiet", "--no-deps"]).arg(wheel));
    let mut command = Command::new(own);
    command.current_dir(folder);
    command
}

const REFUSED: &str = r#"
import attelier
for call in (
    lambda: attelier.run("spaten"),
    lambda: attelier.run("spatten", set={"key_sram.bytes": 1}),
    lambda: attelier.trace("nope"),
    lambda: attelier.explore("design = \"a3\"\n"),
):
    try:
        call()
    except ValueError as error:
        print(str(error).splitlines()[0])
"#;

#[test]
fn the_wheel_installs_and_gives_the_numbers_of_the_program() {
    let Some(python) = models::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let environment = install(&python, folder.path());
    let run = |args: &[&str]| {
        let mut command = Command::new(environment.get_program());
        printed(command.current_dir(folder.path()).args(args))
    };
    let example = repository().join("python/examples/design_space.py");
    let text = run(&[example.to_str().unwrap()]);
    let quick = ["--set", "memory.kind=ideal", "--set", "workload.tokens=1"];
    let cycles = number(&result(&quick), "/cycles");
    assert!(text.starts_with(&format!("{cycles} cycles, ")), "{text}");
    // A point has the cycles of a run.
    let width = "--set topk_value.parallelism=8 --set topk_token.parallelism=8";
    let narrow: Vec<&str> = quick.into_iter().chain(width.split(' ')).collect();
    let line = format!("   8 comparators: {:9} cycles", number(&result(&narrow), "/cycles"));
    assert!(text.contains(&line), "{line:?} is not in {text}");
    assert!(text.contains("layer  0: 12 heads, 100.0% of the keys"), "{text}");

    let refused = run(&["-c", REFUSED]);
    let expected =
        ["unknown design `spaten`", "`key_sram.bytes` = 1", "unknown workload `nope`", "this is"];
    assert_eq!(refused.lines().count(), expected.len(), "{refused}");
    for (line, part) in refused.lines().zip(expected) {
        assert!(line.contains(part), "{line}");
    }
}
