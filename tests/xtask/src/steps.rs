//! The steps of `cargo xtask test`, in order, each timed.
//!
//! All steps run even after a failure, so that one run shows every problem. Tests come last: the
//! runner's summary and the totals close the output.

use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    process::{Command, ExitCode, Stdio},
    thread,
    time::Instant,
};

use crate::{REQUIRE_ALL, packages, python, shared, tally::Tally, validation};

/// One program call.
struct Step {
    name: &'static str,
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
}

const FORMAT: Step = Step { name: "format", args: &["fmt", "--all", "--check"], env: &[] };
const LINTS: Step = Step {
    name: "lints",
    args: &[
        "clippy",
        "--workspace",
        "--features",
        "attelier/parquet",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ],
    env: &[],
};
const DOCUMENTATION: Step = Step {
    name: "documentation",
    args: &["doc", "--workspace", "--features", "attelier/parquet", "--no-deps"],
    env: &[("RUSTDOCFLAGS", "-D warnings")],
};
const DOC_TESTS: Step = Step {
    name: "doc tests",
    args: &["test", "--workspace", "--features", "attelier/parquet", "--doc", "--no-fail-fast"],
    env: &[],
};
const NEXTEST: Step = Step {
    name: "tests",
    args: &["nextest", "run", "--workspace", "--features", "attelier/parquet", "--no-fail-fast"],
    env: &[("INSTA_UPDATE", "no")],
};
const LIBTEST: Step = Step {
    name: "tests",
    args: &[
        "test",
        "--workspace",
        "--features",
        "attelier/parquet",
        "--lib",
        "--bins",
        "--tests",
        "--no-fail-fast",
    ],
    env: &[("INSTA_UPDATE", "no")],
};
const LICENCES: Step = Step { name: "licences", args: &["deny", "check", "licenses"], env: &[] };
const BLESS: Step = Step {
    name: "bless",
    args: &["test", "--workspace"],
    env: &[("INSTA_UPDATE", "always"), ("INSTA_FORCE_PASS", "1")],
};

/// Runs every check; fails when one fails, when no test ran, or, with `require_all`, when a
/// program or data is missing or a test was skipped.
pub fn test(require_all: bool) -> ExitCode {
    let mut failures = Vec::new();
    if !packages::provide() && require_all {
        failures.push("packages");
    }
    if !python::provide() && require_all {
        failures.push("Python");
    }
    let mut steps = vec![FORMAT, LINTS, DOCUMENTATION];
    // A licence check guards releases; it needs a program few contributors have.
    if has_subcommand("deny") {
        steps.push(LICENCES);
    } else {
        println!("not run  licences: cargo-deny is not installed");
    }
    steps.push(DOC_TESTS);
    steps.push(if has_subcommand("nextest") { NEXTEST } else { LIBTEST });

    // Before the tests, whose summary closes the output.
    println!("run      validation: cargo xtask validation --check");
    let start = Instant::now();
    if validation::fill(true) != ExitCode::SUCCESS {
        failures.push("validation");
    }
    println!("done     validation {:.1} s", start.elapsed().as_secs_f64());

    let mut total = Tally::default();
    for step in &steps {
        let (passed, tally) = run(step, require_all);
        total += tally;
        if !passed {
            failures.push(step.name);
        }
    }
    if total.passed == 0 {
        failures.push("no test ran");
    }
    if require_all && total.skipped > 0 {
        failures.push("skipped tests");
    }
    if let Some(line) = shared::absent() {
        println!("{line}");
        if require_all {
            failures.push("released data");
        }
    }
    if !failures.is_empty() {
        println!("failed   {}", failures.join(", "));
    }
    println!("{} passed, {} failed, {} skipped", total.passed, total.failed, total.skipped);
    if failures.is_empty() && total.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Rewrites snapshots.
pub fn bless() -> ExitCode {
    if run(&BLESS, false).0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one step; returns whether it succeeded, and the tests that it counted.
fn run(step: &Step, require_all: bool) -> (bool, Tally) {
    println!("run      {}: cargo {}", step.name, step.args.join(" "));
    let start = Instant::now();
    let mut command = cargo();
    command.args(step.args).envs(step.env.iter().copied());
    command.env(REQUIRE_ALL, if require_all { "1" } else { "0" });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let (passed, tally) = match command.spawn() {
        Ok(mut child) => {
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            let errors = thread::spawn(move || forward(stderr, std::io::stderr()));
            let mut tally = forward(stdout, std::io::stdout());
            tally += errors.join().unwrap_or_default();
            (child.wait().is_ok_and(|status| status.success()), tally)
        }
        Err(error) => {
            println!("cargo does not start: {error}");
            (false, Tally::default())
        }
    };
    let verdict = if passed { "ok      " } else { "FAILED  " };
    println!("{verdict} {} {:.1} s", step.name, start.elapsed().as_secs_f64());
    (passed, tally)
}

/// Copies lines as they come and counts the tests that they report.
fn forward(from: Option<impl Read>, mut to: impl Write) -> Tally {
    let mut tally = Tally::default();
    let Some(from) = from else { return tally };
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        tally += Tally::of_line(&String::from_utf8_lossy(&line));
        // A closed terminal must not stop the checks.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        line.clear();
    }
    tally
}

fn has_subcommand(name: &str) -> bool {
    let mut command = cargo();
    command.args([name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The cargo that runs this program, or the one in `PATH`.
fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
