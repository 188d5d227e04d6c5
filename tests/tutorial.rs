//! The tutorial: its commands are run, its code is that of the files that it names.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use std::{fs, path::Path};

const TUTORIAL: &str = "docs/tutorial.md";

/// Commands run beside the files in `docs/tutorial.in`, one after the other; what they write goes away with the copy.
#[test]
fn every_command_of_the_tutorial_prints_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::create_dir(folder.path().join("tutorial.in")).unwrap();
    for file in ["tutorial.md", "tutorial.in/banks.toml"] {
        fs::copy(repository.join("docs").join(file), folder.path().join(file)).unwrap();
    }
    trycmd::TestCases::new().case(folder.path().join("tutorial.md"));
}

/// Pieces of code with the files that were named last before each.
fn pieces(text: &str) -> Vec<(String, String)> {
    let mut pieces = Vec::new();
    let mut file = String::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(language), None) => open = Some((language != "console", String::new())),
            (Some(_), Some((is_code, piece))) if is_code => pieces.push((file.clone(), piece)),
            (None, Some((is_code, piece))) => open = Some((is_code, piece + line + "\n")),
            (None, None) => {
                let names = line.split('`').skip(1).step_by(2);
                let is_file = |name: &&str| name.contains('.') && !name.contains(' ');
                file = names.filter(is_file).last().map_or(file, str::to_owned);
            }
            (Some(_), Some(_)) => {}
        }
    }
    pieces
}

#[test]
fn every_piece_of_code_is_in_the_file_that_is_named_above_it() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pieces = pieces(&fs::read_to_string(repository.join(TUTORIAL)).unwrap());
    assert!(pieces.len() >= 10, "{}", pieces.len());
    for (file, piece) in pieces {
        let path = match file.as_str() {
            "banks.toml" => repository.join("docs/tutorial.in/banks.toml"),
            _ => repository.join(&file),
        };
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&piece), "{file} does not hold\n{piece}");
    }
}
