//! Output folders that are either complete or absent.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use tempfile::TempDir;

use super::{explain, folder_of};

/// A folder under construction, beside the place that it takes in the end.
pub struct OutputFolder {
    path: PathBuf,
    temporary: TempDir,
}

impl OutputFolder {
    /// Prepares a folder at `path`, which must not exist or be an empty folder.
    pub fn create(path: &Path) -> Result<Self> {
        if let Ok(mut entries) = fs::read_dir(path) {
            if entries.next().is_some() {
                bail!(
                    "cannot write folder `{}`: it is not empty; name a new one, so that nothing of an \
                     earlier run stays among the files",
                    path.display()
                );
            }
        } else if path.exists() {
            bail!("cannot write folder `{}`: it is a file", path.display());
        }
        let parent = folder_of(path);
        if !parent.is_dir() {
            bail!(
                "cannot write folder `{}`: folder `{}` does not exist",
                path.display(),
                parent.display()
            );
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".attelier-").suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o777));
        }
        let temporary = builder.tempdir_in(parent).map_err(|error| explain(path, error))?;
        Ok(Self { path: path.to_owned(), temporary })
    }

    /// The place that it takes in the end.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes files, name and text, into a folder inside.
    pub fn write<'a>(
        &self,
        inside: &str,
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<()> {
        let folder = self.temporary.path().join(inside);
        let fail = |error| explain(&self.path, error);
        fs::create_dir_all(&folder).map_err(fail)?;
        files
            .into_iter()
            .try_for_each(|(name, text)| fs::write(folder.join(name), text))
            .map_err(fail)
    }

    /// Opens a file of that name inside, for more than fits the memory.
    pub fn file(&self, name: &str) -> Result<BufWriter<File>> {
        let file = File::create(self.temporary.path().join(name));
        Ok(BufWriter::new(file.map_err(|error| explain(&self.path, error))?))
    }

    /// Opens a file inside that has been written.
    pub fn open(&self, name: &str) -> Result<BufReader<File>> {
        let file = File::open(self.temporary.path().join(name));
        Ok(BufReader::new(file.map_err(|error| explain(&self.path, error))?))
    }

    /// What went wrong while writing, for the user.
    pub fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        match error.downcast::<io::Error>() {
            Ok(error) => explain(&self.path, error),
            Err(error) => error,
        }
    }

    /// Gives the finished folder its name.
    pub fn commit(self) -> Result<()> {
        let Self { path, temporary } = self;
        // An empty folder of that name gives way.
        match fs::remove_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(explain(&path, error));
            }
            _ => {}
        }
        fs::rename(temporary.path(), &path).map_err(|error| explain(&path, error))?;
        // What was temporary has another name now.
        let _ = temporary.keep();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out");
        let folder = OutputFolder::create(&path).unwrap();
        folder.write("unit", [("a.v", "module a;")]).unwrap();
        assert!(!path.exists());
        folder.commit().unwrap();
        assert_eq!(fs::read_to_string(path.join("unit/a.v")).unwrap(), "module a;");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);

        let error = OutputFolder::create(&path).err().unwrap().to_string();
        assert!(error.contains("not empty"), "{error}");
        let abandoned = OutputFolder::create(&place.path().join("other")).unwrap();
        abandoned.write("", [("b.v", "")]).unwrap();
        drop(abandoned);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
