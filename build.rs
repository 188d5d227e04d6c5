//! Names what is built: a hash of everything that results depend on, so that results of one build are
//! never taken for those of another.
#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

use std::{
    error::Error,
    fs,
    hash::{DefaultHasher, Hasher},
    path::{Path, PathBuf},
};

/// Folders and files behind a simulated number and its record.
const SOURCES: [&str; 11] = [
    "src",
    "published",
    "hw/src",
    "hw/presets",
    "workloads/src",
    "workloads/presets",
    "sim/src",
    "sim/dram/src",
    "sim/dram/devices",
    "sim/dram/tables",
    "Cargo.lock",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut hasher = DefaultHasher::new();
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
        for path in files(Path::new(source))? {
            let bytes = fs::read(&path)?;
            hasher.write(path.to_string_lossy().as_bytes());
            hasher.write_usize(bytes.len());
            hasher.write(&bytes);
        }
    }
    println!("cargo:rustc-env=ATTELIER_BUILD={:016x}", hasher.finish());
    Ok(())
}

/// The files below a path, in the order of their names.
fn files(path: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries: Vec<PathBuf> = fs::read_dir(path)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()?;
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        found.extend(files(&entry)?);
    }
    Ok(found)
}
