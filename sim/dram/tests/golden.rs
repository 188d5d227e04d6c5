//! Commands and completions of every golden case, compared line for line.

use std::io::Read;
use std::path::Path;

use attelier_dram::case::run_case;
use attelier_dram::trace::write_csv;

mod common;

fn unzip(path: &Path) -> String {
    let file = std::fs::File::open(path).expect("the case is complete");
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("valid gzip text");
    text
}

/// First difference of two texts, with line numbers.
fn difference(ours: &str, golden: &str) -> Option<String> {
    let (mut a, mut b) = (ours.lines(), golden.lines());
    for line in 1.. {
        match (a.next(), b.next()) {
            (None, None) => return None,
            (x, y) if x == y => {}
            (x, y) => {
                let (x, y) = (x.unwrap_or("<end>"), y.unwrap_or("<end>"));
                return Some(format!("line {line}: ours `{x}`, golden `{y}`"));
            }
        }
    }
    None
}

fn compare(dir: &Path) -> Result<(), String> {
    let mut issued = Vec::new();
    let (params, result) = run_case(dir, &mut issued).map_err(|error| error.to_string())?;
    let mut commands = Vec::new();
    write_csv(&mut commands, &issued, &params.commands, &params.organization)
        .map_err(|error| error.to_string())?;
    let commands = String::from_utf8(commands).map_err(|error| error.to_string())?;
    if let Some(text) = difference(&commands, &unzip(&dir.join("commands.csv.gz"))) {
        return Err(format!("commands, {text}"));
    }
    let mut completions = "index,accept,complete\n".to_owned();
    for (index, served) in result.served.iter().enumerate() {
        completions.push_str(&format!("{index},{},{}\n", served.accept, served.complete));
    }
    match difference(&completions, &unzip(&dir.join("completions.csv.gz"))) {
        Some(text) => Err(format!("completions, {text}")),
        None => Ok(()),
    }
}

#[test]
fn every_golden_case_is_reproduced_exactly() {
    let Some(root) = common::shared_path("data/dram-golden") else { return };
    let dirs = common::case_dirs(&root);
    let mut failed = Vec::new();
    for dir in &dirs {
        if let Err(reason) = compare(dir) {
            eprintln!("FAIL {}: {reason}", dir.file_name().unwrap_or_default().display());
            failed.push(dir);
        }
    }
    eprintln!("{} of {} golden cases identical", dirs.len() - failed.len(), dirs.len());
    assert!(dirs.len() >= 104, "the data set has 104 cases, found {}", dirs.len());
    assert!(failed.is_empty(), "{} cases differ", failed.len());
}
