//! Results of points, kept between runs in one SQLite file.
//!
//! A result is written as soon as its point is done, so a sweep that was killed goes on where it
//! stopped. Several processes may use one file at once (write-ahead logging, one writer waits for the
//! other). A key contains the version of the simulator and a hash of its sources: results of another
//! build stay in the file and are never found.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Result, anyhow, bail};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use crate::report::Identity;

/// Says in the head of an SQLite file whose it is: "ATLC".
const APPLICATION: i32 = i32::from_be_bytes(*b"ATLC");

/// Layout of the tables; another one is refused.
const LAYOUT: i32 = 1;

/// A hash of the sources that results depend on; see `build.rs`.
pub const BUILD: &str = env!("ATTELIER_BUILD");

/// How long a process waits for another one that writes.
const PATIENCE: Duration = Duration::from_secs(60);

/// An open cache.
pub struct Cache {
    path: PathBuf,
    connection: Mutex<Connection>,
}

/// Name of a result: a hash of everything that it depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// The key of the run that `identity` describes; its command line has no part in it.
    pub fn of(identity: &Identity) -> Self {
        Self::of_build(identity, BUILD)
    }

    fn of_build(identity: &Identity, build: &str) -> Self {
        let Identity { schema, version, design, workload, config_hash, workload_hash, .. } =
            identity;
        let seeds = format!("{} {:?}", identity.seed, identity.workload_seed);
        let mut hasher = blake3::Hasher::new();
        for part in [schema, version, build, design, workload, config_hash, workload_hash, &seeds] {
            // The length keeps two parts from flowing into each other.
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self(hasher.finalize().to_hex().to_string())
    }
}

impl Cache {
    /// Opens the cache at `path`, or makes one.
    ///
    /// # Errors
    /// A file of another kind or layout, or one that cannot be read or written.
    pub fn open(path: &Path) -> Result<Self> {
        let connection = open(path).map_err(|error| explain(path, error))?;
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    /// Number of results in the file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn count(&self) -> Result<u64> {
        self.connection()
            .query_row("SELECT count(*) FROM results", [], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
            .map_err(|error| explain(&self.path, error.into()))
    }

    /// The result of that name, as it was stored.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn get(&self, key: &Key) -> Result<Option<String>> {
        self.connection()
            .prepare("SELECT record FROM results WHERE key = ?1")
            .and_then(|mut query| query.query_row([&key.0], |row| row.get(0)).optional())
            .map_err(|error| explain(&self.path, error.into()))
    }

    /// The result of that name, which was stored before.
    ///
    /// # Errors
    /// A file that cannot be read, or that has lost the result.
    pub fn expect(&self, key: &Key) -> Result<String> {
        self.get(key)?.ok_or_else(|| explain(&self.path, anyhow!("a result has vanished from it")))
    }

    /// Closes the cache and removes its file.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn remove(self) -> Result<()> {
        let Self { path, connection } = self;
        let connection = connection.into_inner().unwrap_or_else(PoisonError::into_inner);
        connection.close().map_err(|(_, error)| explain(&path, error.into()))?;
        for ending in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            match std::fs::remove_file(&name) {
                // Closing takes the last two away, and another process may have been faster.
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(explain(&path, error.into()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Number of results in the cache of another process, which is left alone; `None` if it cannot be
    /// read just now.
    pub fn peek(path: &Path) -> Option<u64> {
        let connection =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        let count = connection.query_row("SELECT count(*) FROM results", [], |row| row.get(0));
        count.ok().map(i64::unsigned_abs)
    }

    /// Stores a result. The first result of a name stays: a second one is the same.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn put(&self, key: &Key, version: &str, record: &str) -> Result<()> {
        self.connection()
            .prepare("INSERT OR IGNORE INTO results VALUES (?1, ?2, ?3)")
            .and_then(|mut insert| insert.execute(params![key.0, version, record]))
            .map_err(|error| explain(&self.path, error.into()))?;
        Ok(())
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // Every statement is a transaction of its own, so a panic elsewhere left nothing half done.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(PATIENCE)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let number = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application, layout) = (number("application_id")?, number("user_version")?);
    let tables: u32 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == 0 && tables == 0 {
        transaction.execute_batch(
            "CREATE TABLE results (key TEXT PRIMARY KEY, version TEXT NOT NULL, record TEXT NOT NULL) \
             WITHOUT ROWID",
        )?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", LAYOUT)?;
    } else if application != APPLICATION {
        bail!("it is a database of another program, name another file");
    } else if layout != LAYOUT {
        bail!(
            "it was made by another version of attelier (layout {layout}, expected {LAYOUT}), name \
             another file with `--cache`"
        );
    }
    transaction.commit()?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A killed process loses nothing; only a power cut can take the last results.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    Ok(connection)
}

fn explain(path: &Path, error: anyhow::Error) -> anyhow::Error {
    let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    let reason = match code {
        Some(ErrorCode::NotADatabase) => anyhow!("it is no SQLite file, name another one"),
        Some(ErrorCode::DiskFull) => anyhow!(
            "the disk is full; what is in it is kept, and the same command goes on from there"
        ),
        Some(ErrorCode::DatabaseBusy) => anyhow!("another process has kept it locked for a minute"),
        _ => error,
    };
    reason.context(format!("cannot use the cache `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn identity() -> Identity {
        Identity::new("spatten", "c0", "text", "w0").started_by("attelier".into(), 3)
    }

    #[test]
    fn whatever_a_result_depends_on_is_in_its_key() {
        let key = |change: fn(&mut Identity)| {
            let mut identity = identity();
            change(&mut identity);
            Key::of(&identity)
        };
        let same = key(|_| {});
        assert_eq!(same, key(|identity| identity.command = "other".into()));
        assert_eq!(same, Key::of_build(&identity(), BUILD));
        assert_ne!(same, Key::of_build(&identity(), "another"));
        let changes: [fn(&mut Identity); 7] = [
            |identity| identity.version = "0.0.0",
            |identity| identity.design = "pim-gpt".into(),
            |identity| identity.workload = "other".into(),
            |identity| identity.config_hash = "c1".into(),
            |identity| identity.workload_hash = "w1".into(),
            |identity| identity.seed = 4,
            |identity| identity.workload_seed = Some(3),
        ];
        for (index, change) in changes.into_iter().enumerate() {
            assert_ne!(same, key(change), "{index}");
        }
        let moved = Identity::new("spatten", "c0t", "ext", "w0").started_by(String::new(), 3);
        assert_ne!(same, Key::of(&moved));
    }

    #[test]
    fn two_openers_at_once_share_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        std::thread::scope(|scope| {
            for name in ["a", "b", "c", "d"] {
                let path = &path;
                scope.spawn(move || {
                    let cache = Cache::open(path).unwrap();
                    for number in 0..20 {
                        cache.put(&Key(format!("{name}{number}")), "1", name).unwrap();
                    }
                });
            }
        });
        let cache = Cache::open(&path).unwrap();
        for name in ["a", "b", "c", "d"] {
            for number in 0..20 {
                let found = cache.get(&Key(format!("{name}{number}"))).unwrap();
                assert_eq!(found.as_deref(), Some(name));
            }
        }
        assert_eq!(cache.get(&Key("e0".into())).unwrap(), None);
    }

    #[test]
    fn a_full_disk_is_named_and_what_was_stored_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        let cache = Cache::open(&path).unwrap();
        cache.put(&Key("a".into()), "1", "kept").unwrap();
        let pages: u32 =
            cache.connection().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        cache.connection().pragma_update(None, "max_page_count", pages).unwrap();
        let error = cache.put(&Key("b".into()), "1", &"x".repeat(100_000)).unwrap_err();
        assert!(format!("{error:#}").contains("the disk is full"), "{error:#}");
        drop(cache);
        let cache = Cache::open(&path).unwrap();
        assert_eq!(cache.get(&Key("a".into())).unwrap().as_deref(), Some("kept"));
        assert_eq!(cache.count().unwrap(), 1);
    }

    #[track_caller]
    fn refused(path: &Path, expected: &str) {
        let error = format!("{:#}", Cache::open(path).err().unwrap());
        assert!(error.contains(expected) && error.contains("cannot use the cache"), "{error}");
    }

    #[test]
    fn a_file_of_another_kind_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text");
        let content = "clock_hz = 1_000_000_000\n".repeat(100);
        fs::write(&text, &content).unwrap();
        refused(&text, "no SQLite file");
        assert_eq!(fs::read_to_string(&text).unwrap(), content);

        let foreign = folder.path().join("foreign");
        Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        refused(&foreign, "another program");

        let later = folder.path().join("later");
        Cache::open(&later).unwrap();
        Connection::open(&later).unwrap().pragma_update(None, "user_version", 2).unwrap();
        refused(&later, "another version of attelier (layout 2, expected 1)");
        refused(&folder.path().join("none/cache"), "unable to open");
    }
}
