//! The parameters behind a result, with units and sources.

use clap::Parser;
use serde::Serialize;

use super::{Content, Document, Shown};
use crate::{
    cli::{Cli, Command, Overrides},
    machines, workload,
};

/// One parameter of a design.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Section and name.
    pub path: String,
    /// As TOML.
    pub value: String,
    /// Unit; `text` and `flag` for what has none.
    pub unit: String,
    /// Where it is published, or why it is assumed, or how it is derived.
    pub source: String,
}

/// The parameters with this hash: those of a document of `attelier show`, or else of the preset with
/// the overrides of the command.
///
/// # Errors
/// Why they are not known, for the reader of the result.
pub fn of(
    design: &str,
    config_hash: &str,
    command: &str,
    documents: &[Document],
) -> Result<Vec<Parameter>, String> {
    let shown = documents.iter().find_map(|document| match &document.content {
        Content::Parameters(shown) if shown.config_hash == config_hash => Some(shown),
        _ => None,
    });
    if let Some(Shown { toml, .. }) = shown {
        return Ok(read(toml));
    }
    let unknown = |reason: &str| {
        format!(
            "{reason}: give the document of `attelier show {design} --json FILE` too, with the same overrides"
        )
    };
    let overrides = overrides(command).ok_or_else(|| unknown("the command is not one of ours"))?;
    if overrides.config.is_some() {
        return Err(unknown("they were read from a file"));
    }
    let (_, set) = workload::split_sets(&overrides.set);
    let overrides = Overrides { config: None, set };
    let loaded = machines::load(design, &overrides)
        .map_err(|_| unknown(&format!("this version does not know `{design}` like that")))?;
    if loaded.machine.config_hash() != config_hash {
        return Err(unknown(&format!("this version has another `{design}`")));
    }
    Ok(read(&loaded.machine.show(&loaded.config)))
}

/// The knobs of the workload that a command line turns.
pub fn knobs(command: &str) -> Vec<Parameter> {
    let overrides = overrides(command).unwrap_or_default();
    let (knobs, _) = workload::split_sets(&overrides.set);
    let knob = |knob: &str| {
        let (name, value) = knob.split_once('=')?;
        Some(Parameter {
            path: format!("{}{}", workload::PREFIX, name.trim()),
            value: value.trim().to_owned(),
            unit: String::new(),
            source: "command line".to_owned(),
        })
    };
    knobs.into_iter().filter_map(knob).collect()
}

/// The overrides that a command line asks for.
fn overrides(command: &str) -> Option<Overrides> {
    match Cli::try_parse_from(shlex::split(command)?).ok()?.command {
        Command::Run(args) => Some(args.overrides),
        Command::Cosim(args) => Some(args.overrides),
        Command::Synth(args) => Some(args.overrides),
        Command::Fidelity(args) => Some(args.overrides),
        _ => None,
    }
}

/// The lines of `attelier show`.
pub fn read(toml: &str) -> Vec<Parameter> {
    let mut section = "";
    let mut parameters = Vec::new();
    for line in toml.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
        }
        let line = line.strip_prefix("# ").unwrap_or(line);
        let Some((assignment, comment)) = line.split_once("# [") else { continue };
        let Some((key, value)) = assignment.split_once(" = ") else { continue };
        let (unit, source) = comment.split_once("] ").unwrap_or((comment, ""));
        let path = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
        parameters.push(Parameter {
            path,
            value: value.trim().to_owned(),
            unit: unit.trim_end_matches(']').to_owned(),
            source: source.to_owned(),
        });
    }
    parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_show_are_read_with_units_sources_and_derived_values() {
        let text = "# SpAtten\n# config_hash dc45\n\nname = \"spatten\"   # [text] paper: Table I\n\n\
                    [key_sram]\nbytes = 196608  # [B] release: 256 lines x 512 words\n\
                    # lines = 256   # [lines] derived: bytes / line_bytes\n";
        let row = |path: &str, value: &str, unit: &str, source: &str| Parameter {
            path: path.to_owned(),
            value: value.to_owned(),
            unit: unit.to_owned(),
            source: source.to_owned(),
        };
        let expected = [
            row("name", "\"spatten\"", "text", "paper: Table I"),
            row("key_sram.bytes", "196608", "B", "release: 256 lines x 512 words"),
            row("key_sram.lines", "256", "lines", "derived: bytes / line_bytes"),
        ];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn a_command_leads_to_its_parameters_if_the_hash_agrees() {
        let command = "attelier run spatten --set topk_value.parallelism=4 --set workload.tokens=2";
        let set = vec!["topk_value.parallelism=4".to_owned()];
        let loaded = machines::load("spatten", &Overrides { config: None, set }).unwrap();
        let hash = loaded.machine.config_hash();
        let parameters = of("spatten", &hash, command, &[]).unwrap();
        let width = parameters.iter().find(|p| p.path == "topk_value.parallelism").unwrap();
        assert_eq!(width.value, "4");
        let message = of("spatten", &hash, "attelier run spatten", &[]).unwrap_err();
        assert!(message.starts_with("this version has another `spatten`"), "{message}");
        let message = of("spatten", &hash, "attelier run --config a.toml", &[]).unwrap_err();
        assert!(message.starts_with("they were read from a file"), "{message}");
        assert!(of("none", &hash, command, &[]).is_err());
        assert!(of("spatten", &hash, "rm -rf 'x", &[]).is_err());
    }
}
