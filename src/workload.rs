//! The workload that a user names: a preset, a trace file of any known format, the `config.json` of a model, or
//! an ONNX graph.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use attelier_workloads::{Knobs, PresetError, Task, Workload, file, open, task};

/// Prefix of an assignment that goes to the workload instead of the machine.
pub const PREFIX: &str = "workload.";

/// Endings of trace files.
const ENDINGS: [&str; 4] = [".csv", ".jsonl", ".json", ".gz"];

/// Ending of the configuration of a model.
const CONFIG_ENDING: &str = "config.json";

/// Ending of a graph of operators.
const ONNX_ENDING: &str = ".onnx";

/// Separates assignments of the workload, without their prefix, from those of the machine.
pub fn split_sets(sets: &[String]) -> (Vec<&str>, Vec<String>) {
    let mut workload = Vec::new();
    let mut machine = Vec::new();
    for set in sets {
        match set.trim_start().strip_prefix(PREFIX) {
            Some(knob) => workload.push(knob),
            None => machine.push(set.clone()),
        }
    }
    (workload, machine)
}

/// Whether `name` is that of a preset or of an existing file.
pub fn exists(name: &str) -> bool {
    is_preset(name) || Path::new(name).is_file()
}

/// The file that [`task`] reads for `name`; none for a preset.
pub fn file(name: &str) -> Option<&Path> {
    (!is_preset(name)).then(|| Path::new(name))
}

/// Whether `name` is the configuration of a model, whose sizes alone are read.
pub fn is_config(name: &str) -> bool {
    !is_preset(name) && name.ends_with(CONFIG_ENDING)
}

fn is_preset(name: &str) -> bool {
    task::list().is_ok_and(|entries| entries.iter().any(|entry| entry.name == name))
}

/// Seed of the draws of workload `name`: that of the run unless an assignment sets another. A file
/// has its draws in it already.
///
/// # Errors
/// A malformed assignment.
pub fn seed(name: &str, sets: &[&str], seed: u64) -> Result<Option<u64>> {
    is_preset(name).then(|| knobs(sets, seed).map(|knobs| knobs.seed)).transpose()
}

/// The attention requests of the preset or the file `name`; see [`task`].
///
/// # Errors
/// As [`task`]; also for decoding with a whole model.
pub fn load(name: &str, sets: &[&str], seed: u64) -> Result<Workload> {
    match task(name, sets, seed)? {
        Task::Attention(workload) => Ok(workload),
        other => bail!("`{name}` is {}: expected attention requests", other.kind()),
    }
}

/// Loads the preset or the file `name`, with assignments `knob=value` laid over a preset or a
/// configuration.
///
/// # Errors
/// A name that is neither, a knob that the workload does not have, a malformed file.
pub fn task(name: &str, sets: &[&str], seed: u64) -> Result<Task> {
    if is_preset(name) {
        return Ok(task::load_with(name, &knobs(sets, seed)?)?);
    }
    if is_config(name) {
        let sizes = file::open_sizes(Path::new(name))?;
        return Ok(sizes.with(&knobs(sets, seed)?)?);
    }
    if name.ends_with(ONNX_ENDING) {
        let knobs = knobs(sets, seed)?;
        let model = file::open_onnx(Path::new(name), &knobs)?;
        return Ok(model.with(&knobs)?.workload()?.into());
    }
    let path = Path::new(name);
    let is_path = name.starts_with(['.', '/']) || ENDINGS.iter().any(|end| name.ends_with(end));
    if path.exists() || is_path {
        if let Some(set) = sets.first() {
            bail!("`--set {PREFIX}{set}` changes presets only, and `{name}` is a trace file");
        }
        return Ok(open(path)?.into());
    }
    Err(unknown(name))
}

/// Refuses a name that is neither of a preset nor of anything on disk.
///
/// # Errors
/// Such a name, with those that are near.
pub fn check_name(name: &str) -> Result<()> {
    if is_preset(name) || Path::new(name).exists() { Ok(()) } else { Err(unknown(name)) }
}

fn unknown(name: &str) -> anyhow::Error {
    let help = match task::load_with(name, &Knobs::default()) {
        Err(PresetError::UnknownWorkload { near, .. }) if !near.is_empty() => {
            format!("did you mean `{}`?", near.join("` or `"))
        }
        _ => "`attelier list workloads` prints the presets".to_owned(),
    };
    anyhow!("unknown workload `{name}`: expected a preset, a trace file or a model folder; {help}")
}

/// The knobs that assignments without their prefix set, on a run of this seed.
///
/// # Errors
/// An unknown knob, or a value that is none.
pub fn knobs(sets: &[&str], seed: u64) -> Result<Knobs> {
    let mut knobs = Knobs { seed, ..Knobs::default() };
    for set in sets {
        let Some((name, value)) = set.split_once('=') else {
            bail!("`--set {PREFIX}{set}` is no assignment: expected `{PREFIX}{set}=VALUE`");
        };
        knobs.set(name.trim(), value.trim())?;
    }
    Ok(knobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str, sets: &[&str]) -> String {
        load(name, sets, 0).unwrap_err().to_string()
    }

    #[test]
    fn assignments_go_to_workload_and_machine() {
        let sets = ["workload.tokens=2", "key_sram.bytes=8", "workloads.tokens=2"];
        let sets = sets.map(str::to_owned);
        let (workload, machine) = split_sets(&sets);
        assert_eq!(workload, ["tokens=2"]);
        assert_eq!(machine, ["key_sram.bytes=8", "workloads.tokens=2"]);
    }

    #[test]
    fn a_knob_changes_a_preset() {
        let workload = load("gpt2-small/wikitext2", &["tokens = 2"], 0).unwrap();
        assert_eq!(workload.requests.len(), 2 * 12 * 12);
        let Task::Decoding(decoding) = task("gpt2-xl", &["tokens=2", "lm_head=true"], 0).unwrap()
        else {
            panic!("a whole model")
        };
        assert_eq!((decoding.tokens, decoding.lm_head), (2, true));
        assert!(message("gpt2-xl", &[]).contains("decoding with a whole model"));
    }

    #[test]
    fn the_seed_is_that_of_the_run_unless_set() {
        let preset = "gpt2-small/wikitext2";
        assert_eq!(seed(preset, &["tokens=2"], 5).unwrap(), Some(5));
        assert_eq!(seed(preset, &["seed=3"], 5).unwrap(), Some(3));
        assert_eq!(seed("trace.csv", &[], 5).unwrap(), None);
    }

    #[test]
    fn a_name_that_is_neither_is_answered_with_a_suggestion() {
        let text = message("gpt2-smal/wikitext2", &[]);
        assert!(text.contains("did you mean `gpt2-small/wikitext2`?"), "{text}");
        assert!(message("tpu", &[]).contains("`attelier list workloads`"));
        assert!(message("none.csv", &[]).contains("none.csv: cannot open the file"));
    }

    #[test]
    fn a_wrong_knob_is_answered_with_what_it_may_be() {
        let preset = "gpt2-small/wikitext2";
        assert!(message(preset, &["token=2"]).contains("did you mean `tokens`?"));
        assert!(message(preset, &["tokens"]).contains("workload.tokens=VALUE"));
        assert!(message(preset, &["tokens=two"]).contains("a whole number"));
        assert!(message("none.csv", &["tokens=2"]).contains("presets only"));
    }
}
