//! Output files that are either complete or absent.
//!
//! Text goes to a temporary file in the target folder, which takes the target's name when all is
//! written. An error on the way leaves neither a partial file nor a damaged older one.

mod folder;

use std::{
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;
use tempfile::NamedTempFile;

pub use self::folder::OutputFolder;

/// A file under construction.
pub struct OutputFile {
    path: PathBuf,
    target: Target,
}

enum Target {
    /// Renamed to the path at the end.
    Temporary(BufWriter<NamedTempFile>),
    /// A pipe or a device, which has no name to take over.
    Stream(BufWriter<File>),
}

impl OutputFile {
    /// Opens `path` for writing; says what is wrong when that cannot work.
    pub fn create(path: &Path) -> Result<Self> {
        let mut path = path.to_owned();
        if path.as_os_str() == "-" {
            bail!(
                "cannot write `-`: standard output carries the text for people, name a file \
                 (`./-` is a file of that name)"
            );
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                bail!("cannot write `{}`: it is a folder, name a file in it", path.display());
            }
            Ok(metadata) if !metadata.is_file() => {
                let stream = File::options().write(true).open(&path);
                let stream = stream.map_err(|error| explain(&path, error))?;
                return Ok(Self { path, target: Target::Stream(BufWriter::new(stream)) });
            }
            // A link keeps pointing where it did: the file behind it is replaced.
            Ok(_) => path = path.canonicalize().map_err(|error| explain(&path, error))?,
            Err(_) => {}
        }
        let folder = folder_of(&path);
        if !folder.is_dir() {
            bail!(
                "cannot write `{}`: folder `{}` does not exist",
                path.display(),
                folder.display()
            );
        }
        let temporary = temporary(folder).map_err(|error| explain(&path, error))?;
        Ok(Self { path, target: Target::Temporary(BufWriter::new(temporary)) })
    }

    /// Gives the finished file its name.
    pub fn commit(self) -> Result<()> {
        let Self { path, target } = self;
        match target {
            Target::Stream(mut stream) => stream.flush().map_err(|error| explain(&path, error)),
            Target::Temporary(buffer) => {
                let file =
                    buffer.into_inner().map_err(|error| explain(&path, error.into_error()))?;
                file.persist(&path).map_err(|error| explain(&path, error.error))?;
                Ok(())
            }
        }
    }

    /// Writes `value` as indented JSON with a final newline, and gives the file its name.
    pub fn commit_json(mut self, value: &impl Serialize) -> Result<()> {
        // Straight to the file: a result may be larger than the memory.
        if let Err(error) = serde_json::to_writer_pretty(&mut self, value) {
            return Err(match error.is_io() {
                true => self.explain(error.into()),
                false => anyhow::Error::from(error).context("result has no JSON form"),
            });
        }
        writeln!(self).map_err(|error| self.explain(error))?;
        self.commit()
    }

    /// What went wrong while writing, for the user.
    pub fn explain(&self, error: io::Error) -> anyhow::Error {
        explain(&self.path, error)
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.target {
            Target::Temporary(file) => file.write(bytes),
            Target::Stream(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Temporary(file) => file.flush(),
            Target::Stream(file) => file.flush(),
        }
    }
}

/// Writes `value` as a JSON file.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    OutputFile::create(path)?.commit_json(value)
}

/// Refuses an output that would replace an input, and two outputs of one name, of which the second
/// would replace the first.
pub fn check_paths(outputs: &[Option<&Path>], inputs: &[Option<&Path>]) -> Result<()> {
    let mut seen: Vec<PathBuf> = Vec::new();
    for path in outputs.iter().copied().flatten() {
        if let Some(input) = inputs.iter().flatten().find(|input| is_same_file(path, input)) {
            bail!(
                "cannot write `{}`: it is the input `{}`, give the output its own file",
                path.display(),
                input.display()
            );
        }
        let folder = folder_of(path);
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let full = folder.join(path.file_name().unwrap_or_default());
        if seen.contains(&full) {
            bail!("`{}` is named for two outputs: give each its own file", path.display());
        }
        seen.push(full);
    }
    Ok(())
}

/// Whether both names lead to one existing file, through links and whatever their spelling.
fn is_same_file(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let file = |path: &Path| fs::metadata(path).ok().filter(fs::Metadata::is_file);
        let identity = |path: &Path| file(path).map(|file| (file.dev(), file.ino()));
        identity(a).is_some_and(|identity_of_a| Some(identity_of_a) == identity(b))
    }
    #[cfg(not(unix))]
    {
        let full = |path: &Path| path.canonicalize().ok();
        full(a).is_some_and(|full_a| Some(full_a) == full(b))
    }
}

/// Writes to stdout; a reader that has seen enough, such as `head`, is no error.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("cannot write to standard output"),
    }
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".attelier-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Readable as any new file is; the default would keep it from other users.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn explain(path: &Path, error: io::Error) -> anyhow::Error {
    let reason = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "the disk is full; nothing was kept".to_owned()
        }
        ErrorKind::PermissionDenied => {
            format!("no permission to write in folder `{}`", folder_of(path).display())
        }
        ErrorKind::ReadOnlyFilesystem => {
            format!("folder `{}` is on a read-only file system", folder_of(path).display())
        }
        _ => error.to_string(),
    };
    anyhow!("cannot write `{}`: {reason}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_shows_before_the_commit_and_all_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        fs::write(&path, "old").unwrap();
        let mut file = OutputFile::create(&path).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        file.commit().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(names(folder.path()), ["out.json"]);
    }

    #[test]
    fn an_abandoned_file_leaves_no_trace() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = OutputFile::create(&folder.path().join("out.vcd")).unwrap();
        file.write_all(&[b'x'; 100_000]).unwrap();
        assert_eq!(names(folder.path()).len(), 1);
        drop(file);
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn a_missing_folder_and_a_folder_as_file_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = OutputFile::create(&folder.path().join("none/out.json")).err().unwrap();
        assert!(error.to_string().ends_with("none` does not exist"), "{error}");
        let error = OutputFile::create(folder.path()).err().unwrap();
        assert!(error.to_string().ends_with("it is a folder, name a file in it"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named() {
        let error = write_json(Path::new("/dev/full"), &"text").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot write `/dev/full`: the disk is full; nothing was kept"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_others_may_read_the_file() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("result.json"), folder.path().join("latest.json"));
        fs::write(&file, "old").unwrap();
        symlink(&file, &link).unwrap();
        write_json(&link, &1).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "1\n");
        let plain = folder.path().join("plain");
        File::create(&plain).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&file), mode(&plain));
    }

    #[test]
    fn refusals_by_the_system_are_explained() {
        let text = |kind: ErrorKind| explain(Path::new("out/a.vcd"), kind.into()).to_string();
        assert!(
            text(ErrorKind::PermissionDenied).ends_with("no permission to write in folder `out`")
        );
        assert!(
            text(ErrorKind::ReadOnlyFilesystem).ends_with("`out` is on a read-only file system")
        );
    }

    #[test]
    fn two_outputs_cannot_share_a_file() {
        let paths = ["a.json", "b.vcd", "./a.json"].map(|path| Some(Path::new(path)));
        assert!(check_paths(&paths[..2], &[]).is_ok());
        let error = check_paths(&paths, &[]).unwrap_err().to_string();
        assert_eq!(error, "`./a.json` is named for two outputs: give each its own file");
    }
}
