//! The command as a user meets it: arguments, messages, exit codes, files left behind.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use attelier::figures::FIGURES;
use common::{attelier, is_empty, stderr, stdout};

#[test]
fn help_names_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let help = stdout(&attelier(folder.path(), &["--help"]).code(0));
    for command in ["run", "list", "show", "reproduce", "trace", "--json", "--seed"] {
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

/// Bash itself completes the words.
#[test]
fn bash_completes_commands_and_options() {
    let folder = tempfile::tempdir().unwrap();
    let script = stdout(&attelier(folder.path(), &["completions", "bash"]).code(0));
    std::fs::write(folder.path().join("script"), script).unwrap();
    let complete = |words: &str| {
        let bash = format!(
            "source ./script; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _attelier attelier \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; \
             echo \"${{COMPREPLY[@]}}\""
        );
        let output = std::process::Command::new("bash")
            .args(["--norc", "-c", &bash])
            .current_dir(folder.path())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete("attelier rep"), "reproduce report");
    assert_eq!(complete("attelier run --perf"), "--perfetto");
    assert_eq!(complete("attelier list dev"), "devices");
}

/// The formatter of manual pages has nothing to object to.
#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    attelier(folder.path(), &["man", "-o", "man"]).code(0);
    let pages = folder.path().join("man");
    let run = std::fs::read_to_string(pages.join("attelier-run.1")).unwrap();
    assert!(run.contains("\\-\\-perfetto") && run.contains("Simulate a workload on a design"));
    for page in ["attelier.1", "attelier-list.1", "attelier-explore-merge.1"] {
        let page = pages.join(page);
        assert!(page.is_file(), "{page:?}");
        if !common::has("groff") {
            continue;
        }
        let output =
            std::process::Command::new("groff").args(["-man", "-ww", "-z"]).arg(&page).output();
        let output = output.unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
    attelier(folder.path(), &["man", "-o", "man"]).code(2);
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

#[test]
fn lists_name_designs_workloads_and_figures() {
    let folder = tempfile::tempdir().unwrap();
    let all = stdout(&attelier(folder.path(), &["list"]).code(0));
    for name in ["spatten-eighth", "gpt2-small/wikitext2", "bert-large/squad-v2", "spatten fig19"] {
        assert!(all.contains(name), "{name} in {all}");
    }
    let figures = stdout(&attelier(folder.path(), &["list", "figures"]).code(0));
    assert!(figures.contains("fig19") && !figures.contains("gpt2-small"), "{figures}");
}

#[test]
fn what_show_prints_is_a_configuration_of_the_same_machine() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["show", "spatten", "--set", "topk_value.parallelism=4"];
    let shown = stdout(&attelier(folder.path(), &args).code(0));
    assert!(shown.contains("user: --set topk_value.parallelism=4"), "{shown}");
    std::fs::write(folder.path().join("mine.toml"), &shown).unwrap();
    let args = ["show", "spatten", "--config", "mine.toml"];
    let again = stdout(&attelier(folder.path(), &args).code(0));
    let hash = |text: &str| text.lines().nth(1).unwrap().to_owned();
    assert!(hash(&shown).starts_with("# config_hash "), "{shown}");
    assert_eq!(hash(&shown), hash(&again));
}

#[test]
fn an_unknown_figure_is_answered_with_those_that_exist() {
    let folder = tempfile::tempdir().unwrap();
    for (args, help) in [
        (&["spatten", "fig91"][..], "; did you mean `spatten fig19`?"),
        (&["spaten"], "; did you mean `spatten`?"),
        (&["fig19"], "; did you mean `spatten fig19`?"),
        (&["transformer"], ""),
    ] {
        let message = stderr(&attelier(folder.path(), &[&["reproduce"], args].concat()).code(2));
        let expected = format!(
            "error: unknown figure `{}`: expected one of `spatten fig19`, ",
            args.join(" ")
        );
        assert!(message.starts_with(&expected), "{message}");
        assert!(message.contains("`edge-moe ablation`"), "{message}");
        let last = FIGURES.last().unwrap();
        let end = format!("`{} {}`{help}\n", last.paper, last.name);
        assert!(message.ends_with(&end), "{message}");
    }
}

#[test]
fn showing_a_workload_points_to_the_command_that_does() {
    let folder = tempfile::tempdir().unwrap();
    let message = stderr(&attelier(folder.path(), &["show", "gpt2-small/wikitext2"]).code(2));
    let hint = "`attelier trace show gpt2-small/wikitext2` summarises it";
    assert!(message.contains("is a workload") && message.contains(hint), "{message}");
    let help = stdout(&attelier(folder.path(), &["run", "--help"]).code(0));
    for knob in ["workload.tokens", "workload.context", "workload.seed"] {
        assert!(help.contains(knob), "{knob} in {help}");
    }
}
