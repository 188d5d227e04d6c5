//! The file system: open whatever a user names, and write so that no half file is ever seen.

mod model;
mod network;

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

use flate2::{Compression, write::GzEncoder};

use crate::error::{Problem, TraceError};
use crate::lines::Lines;
use crate::trace::{self, TraceReader};
use crate::{Workload, spatten_csv};

pub use model::{open_model, open_onnx, open_sizes, open_texts, open_tokenizer};
pub use network::{OpenedNetwork, is_network, open_network};

/// Reads a trace of ours or a SpAtten csv, plain or gzip; the first byte of the text tells which.
///
/// A csv gets the stem of its file name as its name.
///
/// # Errors
/// A file that cannot be opened, and whatever its reader refuses.
pub fn open(path: &Path) -> Result<Workload, TraceError> {
    let shown = path.display().to_string();
    let io = |source| TraceError::new(Problem::Io { action: "open the file", source }, &shown);
    if path.is_dir() {
        return Err(io(std::io::ErrorKind::IsADirectory.into()));
    }
    read(&shown, &stem(path), File::open(path).map_err(io)?)
}

/// Like [`open`] for any source. `file` names it in errors, `name` is for a csv.
///
/// # Errors
/// Whatever the reader of the recognised format refuses.
pub fn read(file: &str, name: &str, reader: impl Read) -> Result<Workload, TraceError> {
    let mut lines = Lines::new(file, reader, trace::MAX_LINE)?;
    match lines.first_byte()? {
        None => Err(TraceError::new(Problem::Empty, file)),
        Some(b'{') => trace::collect(TraceReader::from_lines(lines)?),
        Some(_) => spatten_csv::read_lines(lines, name),
    }
}

/// The reader of a trace of ours that carries tensors; `None` for any other trace.
///
/// # Errors
/// A file that cannot be opened, and a header that breaks the format.
pub fn open_tensor_trace(path: &Path) -> Result<Option<TraceReader<'static>>, TraceError> {
    let shown = path.display().to_string();
    let io = |source| TraceError::new(Problem::Io { action: "open the file", source }, &shown);
    let mut lines = Lines::new(&shown, File::open(path).map_err(io)?, trace::MAX_LINE)?;
    if lines.first_byte()? != Some(b'{') {
        return Ok(None);
    }
    let reader = TraceReader::from_lines(lines)?;
    Ok((reader.header().content == trace::Content::Tensors).then_some(reader))
}

/// Writes a workload as a trace; a name that ends in `.gz` is compressed.
///
/// The target appears complete or not at all: the lines go to a temporary file beside it, which
/// is renamed last.
///
/// # Errors
/// A workload that does not pass its checks, or a failed write.
pub fn save(path: &Path, workload: &Workload) -> Result<(), TraceError> {
    let shown = path.display().to_string();
    let io = |source| TraceError::new(Problem::Io { action: "write", source }, &shown);
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // `make_in` leaves the permissions to the user's umask; the default would be private.
    let file = tempfile::Builder::new().make_in(folder, |path| File::create_new(path));
    let target = BufWriter::new(file.map_err(io)?);
    let target = if path.extension().is_some_and(|extension| extension == "gz") {
        let encoder = GzEncoder::new(target, Compression::default());
        trace::write_workload(&shown, encoder, workload)?.finish().map_err(io)?
    } else {
        trace::write_workload(&shown, target, workload)?
    };
    let mut file = target.into_inner().map_err(|error| io(error.into_error()))?;
    file.flush().map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

/// File name without `.gz` and one more extension.
fn stem(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| "trace".to_owned());
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_opened_plain_and_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let workload = crate::load("gpt2-medium/wikitext2").unwrap();
        for name in ["a.jsonl", "a.jsonl.gz"] {
            let path = folder.path().join(name);
            save(&path, &workload).unwrap();
            assert_eq!(open(&path).unwrap(), workload);
        }
        let size = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
        assert!(size("a.jsonl.gz") * 10 < size("a.jsonl"));
    }

    #[test]
    fn a_failed_save_leaves_nothing_and_keeps_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jsonl");
        let mut workload = crate::load("gpt2-small/wikitext2").unwrap();
        save(&path, &workload).unwrap();
        let before = std::fs::read(&path).unwrap();
        workload.requests[4000].keys = 0;
        let error = save(&path, &workload).unwrap_err().to_string();
        assert!(error.contains("`keys` is 0"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_file_and_a_folder_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = open(&folder.path().join("nothing.csv")).unwrap_err().to_string();
        assert!(missing.contains("nothing.csv: cannot open the file"), "{missing}");
        assert!(open(folder.path()).unwrap_err().to_string().contains("cannot open the file"));
    }

    #[test]
    fn the_stem_drops_the_extensions() {
        assert_eq!(stem(Path::new("x/summary-a.b.csv.gz")), "summary-a.b");
        assert_eq!(stem(Path::new("plain")), "plain");
    }
}
