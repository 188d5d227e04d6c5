//! Where the shared data set lies, and what to do without it.

use std::path::{Path, PathBuf};

/// `ATTELIER_SHARED`, or the folder beside the repository.
pub fn shared() -> PathBuf {
    std::env::var_os("ATTELIER_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    )
}

/// A path below the shared folder; says so when it is absent, and fails where nothing may be
/// skipped.
pub fn shared_path(relative: &str) -> Option<PathBuf> {
    let path = shared().join(relative);
    if path.exists() {
        return Some(path);
    }
    skip(&format!("{} not found", path.display()));
    None
}

/// Prints a skipped check, or fails under `ATTELIER_REQUIRE_ALL=1`.
pub fn skip(what: &str) {
    eprintln!("skipped: {what}");
    assert!(
        std::env::var("ATTELIER_REQUIRE_ALL").as_deref() != Ok("1"),
        "nothing may be skipped here: {what}"
    );
}

/// Folders with a `params.json`, in name order.
pub fn case_dirs(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).expect("the data set can be listed");
    let mut dirs: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("params.json").exists())
        .collect();
    dirs.sort();
    dirs
}
