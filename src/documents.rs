//! Results that commands have written, read back.
//!
//! * [`kind`]: which documents there are. [`run`], [`rows`], [`exploration`], [`timeline`]: their contents.
//! * [`parameters`]: the parameters behind a result. [`quantity`]: units of its numbers.
//!
//! A file is a JSON document, an exploration as JSON Lines or CSV, a table as CSV, or a timeline of
//! `attelier run --perfetto`. What it holds is checked here, so that those who show it need not.

pub mod exploration;
pub mod kind;
pub mod parameters;
pub mod quantity;
pub mod rows;
pub mod run;
pub mod timeline;

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, de::DeserializeOwned, de::IgnoredAny};
use serde_json::Value;

use self::{
    exploration::Exploration,
    kind::Kind,
    rows::Rows,
    run::Run,
    timeline::{Timeline, Trace},
};

/// Largest document that is read at once [B]; explorations as JSON Lines are read row by row.
const MOST_BYTES: u64 = 512 << 20;

/// A result read back.
#[derive(Debug)]
pub struct Document {
    /// Its file, as the user named it.
    pub file: String,
    /// What it holds.
    pub content: Content,
}

/// What a document holds.
#[derive(Debug)]
pub enum Content {
    /// `attelier run`.
    Run(Box<Run>),
    /// `attelier explore`.
    Exploration(Box<Exploration>),
    /// A command that writes a table.
    Rows(Rows),
    /// `attelier show`.
    Parameters(Shown),
    /// `attelier run --perfetto`.
    Timeline(Timeline),
}

/// The parameters of a design, as `attelier show --json` writes them.
#[derive(Debug, Deserialize)]
pub struct Shown {
    /// Design.
    pub design: String,
    /// Hash of all parameters.
    pub config_hash: String,
    /// Version of the program.
    pub version: String,
    /// The command line.
    pub command: String,
    /// The parameters, with units and sources.
    pub toml: String,
    /// The document as it was written.
    #[serde(skip)]
    pub value: Value,
}

/// What tells kinds of JSON documents apart.
#[derive(Deserialize)]
struct Head {
    schema: Option<Value>,
    #[serde(rename = "traceEvents")]
    events: Option<IgnoredAny>,
    point: Option<IgnoredAny>,
}

impl Document {
    /// Reads a file, or the `points.jsonl` of an exploration's folder.
    ///
    /// # Errors
    /// A file that cannot be read, that no command wrote, or that is damaged: which one, what was
    /// found and what was expected.
    pub fn read(path: &Path) -> Result<Self> {
        let path = if path.is_dir() { points(path)? } else { path.to_owned() };
        let file = path.display().to_string();
        let opened = File::open(&path).with_context(|| format!("cannot read `{file}`"))?;
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let content = Content::read(ending, opened);
        let content = content.map_err(|error| anyhow!("`{file}`: {error:#}"))?;
        Ok(Self { file, content })
    }
}

impl Content {
    /// Reads a document whose file name has the given ending: `jsonl`, `csv`, or any other for JSON.
    ///
    /// # Errors
    /// What no command wrote, or what is damaged: what was found and what was expected.
    pub fn read(ending: &str, from: impl Read) -> Result<Self> {
        match ending {
            "jsonl" => Exploration::from_lines(BufReader::new(from)).map(Into::into),
            "csv" => rows::from_csv(&read_all(from)?),
            _ => from_json(&read_all(from)?),
        }
    }
}

impl From<Exploration> for Content {
    fn from(exploration: Exploration) -> Self {
        Self::Exploration(Box::new(exploration))
    }
}

/// The rows in the folder of an exploration.
fn points(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("points.jsonl");
    if !path.is_file() {
        bail!(
            "`{}` is a folder without `points.jsonl`: expected the folder of an exploration, or a file",
            folder.display()
        );
    }
    Ok(path)
}

fn read_all(from: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        bail!(
            "it is larger than {} MiB: an exploration can be given as its folder instead, a timeline be \
             recorded of fewer tokens",
            MOST_BYTES >> 20
        );
    }
    Ok(bytes)
}

fn from_json(bytes: &[u8]) -> Result<Content> {
    let head: Head = match serde_json::from_slice(bytes) {
        Ok(head) => head,
        Err(error) if error.is_data() => bail!("expected an object with `schema`: {error}"),
        Err(error) => bail!("this is no JSON document: {error}"),
    };
    let schema = match head.schema {
        Some(Value::String(schema)) => schema,
        Some(other) => bail!("`schema` is {other}: expected a text such as `attelier-run-1`"),
        None if head.events.is_some() => {
            let trace: Trace = damaged("timeline", bytes)?;
            return Ok(Content::Timeline(Timeline::new(trace)?));
        }
        None if head.point.is_some() => {
            bail!("this is one row of an exploration: expected a file that ends in `.jsonl`")
        }
        None => bail!(
            "there is no `schema`: expected a result of `attelier ... --json`, or a timeline of `attelier \
             run --perfetto`"
        ),
    };
    let kind = Kind::of(&schema)?;
    Ok(match kind {
        Kind::Run => Content::Run(Box::new(Run {
            value: damaged(kind.schema(), bytes)?,
            ..damaged::<Run>(kind.schema(), bytes)?
        })),
        Kind::Explore => Exploration::from_document(damaged(kind.schema(), bytes)?)?.into(),
        Kind::Show => Content::Parameters(Shown {
            value: damaged(kind.schema(), bytes)?,
            ..damaged::<Shown>(kind.schema(), bytes)?
        }),
        _ => {
            let value = damaged(kind.schema(), bytes)?;
            Content::Rows(Rows::new(kind, damaged(kind.schema(), bytes)?, value)?)
        }
    })
}

/// Reads a document whose kind is known.
fn damaged<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| anyhow!("this `{what}` is damaged: {error}"))
}
