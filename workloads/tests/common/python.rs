//! Python with `transformers`, which `cargo xtask test` provides, and what its scripts write.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use safetensors::SafeTensors;

/// A script of `tests/python`, to be run by the Python that has its packages. `None`, with a printed
/// line, without it.
pub fn script(name: &str) -> Option<Command> {
    let mut command = Command::new(super::python()?);
    command.arg(repository().join("tests/python").join(name));
    Some(command)
}

/// The folder that holds `tests/python`: that of this package or the one above.
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = package.ancestors().find(|folder| folder.join("tests/python").is_dir());
    found.expect("the package lies in the repository").to_owned()
}

/// Runs a script to its end.
#[track_caller]
pub fn finish(mut command: Command) -> String {
    let output = command.output().expect("the script starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("the script prints UTF-8")
}

/// Arrays that a script wrote, read by the library of the format's authors.
pub struct Arrays(Vec<u8>);

impl Arrays {
    pub fn open(path: &Path) -> Arrays {
        Arrays(fs::read(path).expect("the script wrote the file"))
    }

    /// Values and shape of one array.
    pub fn get(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        let file = SafeTensors::deserialize(&self.0).expect("a safetensors file");
        let array = file.tensor(name).unwrap_or_else(|_| panic!("no array {name}"));
        let values = array.data().chunks_exact(4);
        let values = values.map(|chunk| f32::from_le_bytes(chunk.try_into().expect("4 bytes")));
        (values.collect(), array.shape().to_vec())
    }

    pub fn values(&self, name: &str) -> Vec<f32> {
        self.get(name).0
    }

    /// An array of whole numbers.
    pub fn tokens(&self, name: &str) -> Vec<u32> {
        self.values(name).iter().map(|value| *value as u32).collect()
    }
}

/// Asserts that two sequences have one length and differ by at most `bound` anywhere.
#[track_caller]
pub fn close<'a>(
    what: &str,
    found: impl IntoIterator<Item = &'a f32>,
    expected: &[f32],
    bound: f32,
) {
    let found: Vec<f32> = found.into_iter().copied().collect();
    assert_eq!(found.len(), expected.len(), "{what}");
    let difference = |(a, b): (&f32, &f32)| (a - b).abs();
    let largest = found.iter().zip(expected).map(difference).fold(0.0, f32::max);
    let finite = found.iter().all(|value| value.is_finite());
    assert!(finite && largest <= bound, "{what}: {largest} apart, {bound} allowed");
}
