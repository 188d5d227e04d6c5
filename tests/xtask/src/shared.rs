//! Released data that some tests compare with; it is not part of the repository.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Names the folder of the data; tests read it too.
const VARIABLE: &str = "ATTELIER_SHARED";

/// What tests look for in it, and what that is.
const PARTS: [(&str, &str); 3] = [
    ("data/spatten", "released traces"),
    ("data/dram-golden", "golden DRAM data"),
    ("tools/check_dram_commands.py", "the checker of DRAM commands"),
];

/// A line about the tests that skip themselves for want of data; a test runner hides what they
/// print. `None` when all data is there.
pub fn absent() -> Option<String> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    absent_in(&folder(env::var_os(VARIABLE), &repository))
}

/// The folder that the variable names, or else the one beside the repository.
fn folder(variable: Option<OsString>, repository: &Path) -> PathBuf {
    let beside = || repository.canonicalize().unwrap_or(repository.into()).with_file_name("shared");
    variable.map_or_else(beside, PathBuf::from)
}

fn absent_in(folder: &Path) -> Option<String> {
    let absent = PARTS.iter().filter(|(part, _)| !folder.join(part).exists());
    let (parts, what): (Vec<_>, Vec<_>) = absent.copied().unzip();
    let folder_is = match folder.is_dir() {
        true => format!("holds no {}", parts.join(", ")),
        false => "is absent".to_owned(),
    };
    (!parts.is_empty()).then(|| {
        let (what, folder) = (what.join(", "), folder.display());
        format!("skipped: tests on {what}: {folder} {folder_is}; set {VARIABLE}")
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, process};

    use super::*;

    #[test]
    fn absent_data_is_named_with_its_folder_and_its_variable() {
        let line = absent_in(Path::new("/none/shared"));
        let expected = "skipped: tests on released traces, golden DRAM data, the checker of DRAM \
                        commands: /none/shared is absent; set ATTELIER_SHARED";
        assert_eq!(line.as_deref(), Some(expected));
    }

    #[test]
    fn only_what_is_absent_is_named() -> std::io::Result<()> {
        let folder = env::temp_dir().join(format!("attelier-xtask-{}", process::id()));
        fs::create_dir_all(folder.join("data/spatten"))?;
        fs::create_dir_all(folder.join("tools/check_dram_commands.py"))?;
        let partly = absent_in(&folder);
        fs::create_dir_all(folder.join("data/dram-golden"))?;
        let complete = absent_in(&folder);
        fs::remove_dir_all(&folder)?;
        let expected = format!(
            "skipped: tests on golden DRAM data: {} holds no data/dram-golden; set ATTELIER_SHARED",
            folder.display()
        );
        assert_eq!(partly, Some(expected));
        assert_eq!(complete, None);
        Ok(())
    }

    #[test]
    fn the_variable_goes_before_the_folder_beside_the_repository() {
        let repository = Path::new("/none/attelier");
        assert_eq!(folder(None, repository), Path::new("/none/shared"));
        assert_eq!(folder(Some("/data".into()), repository), Path::new("/data"));
    }
}
