//! Fills the tables of `docs/validation.md` with what the program makes of every published figure.
//!
//! The page is prose with places for tables. A place is a pair of comments, between which everything is replaced:
//!
//! ```text
//! <!-- attelier reproduce spatten table2 -->
//! <!-- end -->
//! ```

mod page;
mod rows;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use self::rows::Table;

const PAGE: &str = "docs/validation.md";

/// Rewrites the tables of the page; with `check`, compares them instead.
pub fn fill(check: bool) -> ExitCode {
    match run(check) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(check: bool) -> Result<(), String> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = repository.join(PAGE);
    let shown =
        fs::read_to_string(&file).map_err(|error| format!("cannot read {PAGE}: {error}"))?;
    let tables = tables(&reproduce(&repository)?)?;
    let unexplained: Vec<String> = tables.iter().flat_map(Table::unexplained).collect();
    if !unexplained.is_empty() {
        return Err(format!("rows that are off and do not say why:\n{}", unexplained.join("\n")));
    }
    let fresh = page::fill(&shown, &tables)?;
    if !check {
        return fs::write(&file, fresh).map_err(|error| format!("cannot write {PAGE}: {error}"));
    }
    let difference = page::difference(&shown, &fresh);
    if difference.is_empty() {
        println!("ok       {PAGE} shows what the program makes of {} figures", tables.len());
        return Ok(());
    }
    Err(format!(
        "{PAGE} differs from what the program makes; `cargo xtask validation` rewrites its tables:\n{difference}"
    ))
}

/// Has every figure made again; the folder holds one file per figure in a folder per paper.
///
/// The profile and the features are those of the tests, so that nothing is built twice.
fn reproduce(repository: &Path) -> Result<PathBuf, String> {
    let folder = repository.join("target/validation");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    }
    fs::create_dir_all(repository.join("target")).map_err(|error| error.to_string())?;
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(repository)
        .args(["run", "--quiet", "--package", "attelier", "--features", "attelier/parquet", "--"])
        .args(["reproduce", "all", "--output"])
        .arg(&folder)
        .stdout(std::process::Stdio::null())
        .status()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    if status.success() { Ok(folder) } else { Err("figures cannot be made: see above".to_owned()) }
}

/// Every table of a folder, by paper and figure.
fn tables(folder: &Path) -> Result<Vec<Table>, String> {
    let mut tables = Vec::new();
    for paper in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        for file in entries(&paper)? {
            if file.extension().is_some_and(|extension| extension == "csv") {
                let text = fs::read_to_string(&file).map_err(|error| error.to_string())?;
                tables.push(Table::read(&stem(&paper), &stem(&file), &text)?);
            }
        }
    }
    Ok(tables)
}

/// Files and folders in a folder, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let explain = |error| format!("cannot list {}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(explain)?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
