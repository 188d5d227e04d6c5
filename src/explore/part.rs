//! What a shard leaves: its points with what became of them and their results, in a file of their own.
//!
//! Shard `k` of `n` has every `n`-th point from the `k`-th. Its file appears when the shard is done, so
//! what is there is whole. While a shard works, its results are in a cache beside the file: killed, it
//! goes on from there.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::{BufRead, BufReader, Lines, Read, Write},
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Outcome, Status,
    cache::{Cache, Key},
    names,
    plan::Plan,
    point::Space,
    sample::Genes,
    visit::Visitor,
};
use crate::output::OutputFile;

/// Kind of the file.
const SCHEMA: &str = "attelier-part-1";

/// Most missing shards that are named.
const MOST_NAMED: usize = 12;

/// One of `of` equal parts of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    /// Its number, from 0.
    pub number: usize,
    /// How many there are.
    pub of: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').map(|(number, of)| (number.parse(), of.parse()));
        match parts {
            Some((Ok(number), Ok(of))) if number < of => Ok(Self { number, of }),
            Some((Ok(number), Ok(of))) => {
                let last: usize = of;
                Err(format!(
                    "shard {number} of {last}: expected 0/{last} to {}/{last}",
                    last.saturating_sub(1)
                ))
            }
            _ => Err("expected K/N, such as 0/4 to 3/4".to_owned()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl Shard {
    fn file_name(self) -> String {
        format!("{}-of-{}.jsonl", self.number, self.of)
    }

    fn from_file_name(name: &str) -> Option<Self> {
        let (number, of) = name.strip_suffix(".jsonl")?.split_once("-of-")?;
        let shard: Self = format!("{number}/{of}").parse().ok()?;
        (shard.file_name() == name).then_some(shard)
    }

    /// Its points, ascending.
    fn points(self, plan: &Plan) -> impl Iterator<Item = usize> {
        (self.number..plan.len()).step_by(self.of)
    }

    fn path(self, plan: &Plan) -> PathBuf {
        folder(plan).join(self.file_name())
    }

    fn cache(self, plan: &Plan) -> PathBuf {
        self.path(plan).with_extension("cache")
    }
}

fn folder(plan: &Plan) -> PathBuf {
    plan.folder.join("parts")
}

/// First line of a part.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Head {
    schema: String,
    plan: String,
    shard: usize,
    of: usize,
}

impl Head {
    fn of(plan: &Plan, shard: Shard) -> Self {
        let (schema, plan) = (SCHEMA.to_owned(), plan.hash.clone());
        Self { schema, plan, shard: shard.number, of: shard.of }
    }
}

/// Any other line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    point: usize,
    id: String,
    status: Status,
    reason: Option<String>,
    key: Option<Key>,
    objectives: Vec<Value>,
    record: Option<String>,
}

/// Last line of a part: a hash of all lines before it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Seal {
    blake3: String,
}

/// Writes lines and hashes them.
struct Sealing<W> {
    to: W,
    hasher: blake3::Hasher,
}

impl<W: Write> Sealing<W> {
    fn new(to: W) -> Self {
        Self { to, hasher: blake3::Hasher::new() }
    }

    fn line(&mut self, value: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(value)? + "\n";
        self.hasher.update(line.as_bytes());
        Ok(self.to.write_all(line.as_bytes())?)
    }

    fn seal(mut self) -> Result<()> {
        let blake3 = self.hasher.finalize().to_hex().to_string();
        self.line(&Seal { blake3 })
    }
}

/// What running a shard did.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Done {
    /// Points of the shard.
    pub points: usize,
    /// Those that were known before.
    pub cached: usize,
    /// Whether the part was there already.
    pub before: bool,
}

/// Visits the points of a shard on `jobs` threads and leaves its part, unless it is there.
///
/// # Errors
/// As [`sweep`](super::sweep), but points that all fail are no error: those of another shard may not.
pub fn run(plan: &Plan, shard: Shard, jobs: usize) -> Result<Done> {
    let points: Vec<usize> = shard.points(plan).collect();
    let path = shard.path(plan);
    if shard.of > plan.len() {
        bail!("{} shards of {} points: expected at most one for each point", shard.of, plan.len());
    }
    if path.exists() {
        match Part::check(plan, shard) {
            Ok(()) => {
                return Ok(Done { points: points.len(), cached: points.len(), before: true });
            }
            Err(error) if Part::is_foreign(plan, shard) => return Err(error),
            // What is damaged is made again.
            Err(_) => {}
        }
    }
    let cache_path = shard.cache(plan);
    let cache = Cache::open(&cache_path)?;
    let space = Space::new(&plan.spec, plan.seed)?;
    let genes: Vec<Genes> =
        points.iter().filter_map(|&point| Some(plan.point(point)?.0.clone())).collect();
    let mut visitor = Visitor::new(&plan.spec, &space, &cache, jobs, points.len())?;
    visitor.check_names(genes.iter())?;
    let outcomes = visitor.visit(&genes)?;
    let mut file = OutputFile::create(&path)?;
    let written = write(&mut file, plan, shard, &cache, points.iter().zip(outcomes));
    written.map_err(|error| match error.downcast::<std::io::Error>() {
        Ok(error) => file.explain(error),
        Err(error) => error,
    })?;
    file.commit()?;
    let cached = visitor.cached();
    drop(visitor);
    cache.remove()?;
    Ok(Done { points: points.len(), cached, before: false })
}

fn write<'a>(
    file: impl Write,
    plan: &Plan,
    shard: Shard,
    cache: &Cache,
    outcomes: impl Iterator<Item = (&'a usize, Outcome)>,
) -> Result<()> {
    let mut file = Sealing::new(file);
    file.line(&Head::of(plan, shard))?;
    for (&point, outcome) in outcomes {
        let record = outcome.key.as_ref().map(|key| cache.expect(key)).transpose()?;
        let id = plan.point(point).map_or_else(String::new, |(_, id)| id.to_owned());
        let Outcome { status, reason, key, objectives, .. } = outcome;
        let line = Line { point, id, status, reason, key, objectives, record };
        file.line(&line)?;
    }
    file.seal()
}

/// A part that is being read.
struct Part {
    path: PathBuf,
    lines: Lines<BufReader<File>>,
    line: usize,
    hasher: blake3::Hasher,
    remedy: String,
}

impl Part {
    fn open(plan: &Plan, shard: Shard) -> Result<Self> {
        let path = shard.path(plan);
        let fail = || format!("cannot use the part `{}`", path.display());
        let mut lines = BufReader::new(File::open(&path).with_context(fail)?).lines();
        let remedy =
            format!("run `attelier explore run {} --shard {shard}` again", plan.folder.display());
        let text = lines.next().transpose().with_context(fail)?.unwrap_or_default();
        let head: Head = serde_json::from_str(&text)
            .map_err(|_| anyhow!("line 1 is not the head of a part; {remedy}"))
            .with_context(fail)?;
        let expected = Head::of(plan, shard);
        if head.plan != expected.plan || head.schema != expected.schema {
            return Err(anyhow!("it is of another plan; remove it, and {remedy}"))
                .with_context(fail);
        }
        if head != expected {
            return Err(anyhow!(
                "it holds shard {}/{} under the name of {shard}: a duplicate; remove it, and {remedy}",
                head.shard,
                head.of
            ))
            .with_context(fail);
        }
        let mut part = Self { path, lines, line: 1, hasher: blake3::Hasher::new(), remedy };
        part.take_in(&text);
        Ok(part)
    }

    /// Whether it is a part, but of something else.
    fn is_foreign(plan: &Plan, shard: Shard) -> bool {
        let mut text = String::new();
        let read = File::open(shard.path(plan))
            .and_then(|file| BufReader::new(file).take(4096).read_line(&mut text));
        let head = serde_json::from_str::<Head>(&text);
        read.is_ok() && head.is_ok_and(|head| head != Head::of(plan, shard))
    }

    /// Reads a part to its end.
    fn check(plan: &Plan, shard: Shard) -> Result<()> {
        let mut part = Self::open(plan, shard)?;
        for point in shard.points(plan) {
            let id = plan.point(point).map_or("", |(_, id)| id);
            part.next(point, id)?;
        }
        part.end()
    }

    fn take_in(&mut self, line: &str) {
        self.hasher.update(line.as_bytes());
        self.hasher.update(b"\n");
    }

    /// The next line, which has to be that of `point`.
    fn next(&mut self, point: usize, id: &str) -> Result<Line> {
        self.line += 1;
        let found = self.lines.next().transpose().map_err(anyhow::Error::from);
        let mut parse = |text: Option<String>| {
            let text = text
                .with_context(|| format!("it ends before point {point}: it was copied in part"))?;
            self.take_in(&text);
            let line: Line = serde_json::from_str(&text).context("this is no point")?;
            if line.point != point || line.id != id {
                bail!("expected point {point}, found point {}: missing or a duplicate", line.point);
            }
            Ok(line)
        };
        let found = found.and_then(&mut parse);
        found.with_context(|| self.place())
    }

    fn end(&mut self) -> Result<()> {
        self.line += 1;
        let blake3 = self.hasher.finalize().to_hex().to_string();
        let last = self.lines.next().transpose()?.unwrap_or_default();
        let checked = match serde_json::from_str::<Seal>(&last) {
            Ok(seal) if seal != (Seal { blake3 }) => Err("its lines were changed"),
            Ok(_) if self.lines.next().is_some() => Err("expected the end: something was added"),
            Ok(_) => Ok(()),
            Err(_) => {
                Err("expected its checksum: points stand here twice, or it was copied in part")
            }
        };
        checked.map_err(anyhow::Error::msg).with_context(|| self.place())
    }

    fn place(&self) -> String {
        let Self { path, line, remedy, .. } = self;
        format!("cannot use the part `{}`, line {line} ({remedy})", path.display())
    }
}

/// All parts of a plan.
pub struct Parts<'a> {
    plan: &'a Plan,
    of: usize,
}

impl<'a> Parts<'a> {
    /// Finds the parts of a plan.
    ///
    /// # Errors
    /// Parts that are missing, that belong to different numbers of shards, or that are none.
    pub fn find(plan: &'a Plan) -> Result<Self> {
        let present = present(plan)?;
        let show = |folder: &Path| folder.display().to_string();
        let Some((&of, numbers)) = present.iter().next() else {
            bail!("`{}` holds no part: run the shards first", show(&folder(plan)));
        };
        if present.len() > 1 {
            let all: Vec<String> = present.keys().map(|of| format!("of {of}")).collect();
            bail!(
                "`{}` holds parts {}: keep those of one number of shards",
                show(&folder(plan)),
                all.join(" and ")
            );
        }
        let missing: Vec<String> = (0..of)
            .filter(|number| numbers.binary_search(number).is_err())
            .take(MOST_NAMED)
            .map(|number| format!("{number}/{of}"))
            .collect();
        if !missing.is_empty() {
            bail!(
                "missing shards: {}; run `attelier explore run {} --shard {}`",
                missing.join(", "),
                show(&plan.folder),
                missing[0]
            );
        }
        Ok(Self { plan, of })
    }

    /// What became of all points.
    ///
    /// # Errors
    /// Parts that do not hold their points, each once; no point that could be simulated.
    pub fn outcomes(&self) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(self.plan.len());
        for line in self.lines()? {
            let line = line?;
            let (genes, _) = self.plan.point(line.point).context("the line of a point")?;
            let Line { status, reason, key, objectives, .. } = line;
            outcomes.push(Outcome { genes: genes.clone(), status, reason, key, objectives });
        }
        match names::nothing_left(&self.plan.spec, &outcomes) {
            Some(error) => Err(error),
            None => Ok(outcomes),
        }
    }

    /// The results of all points, in their order.
    ///
    /// # Errors
    /// Parts that cannot be opened.
    pub fn records(&self) -> Result<impl Iterator<Item = Result<Option<String>>>> {
        Ok(self.lines()?.map(|line| Ok(line?.record)))
    }

    fn lines(&self) -> Result<impl Iterator<Item = Result<Line>>> {
        let plan = self.plan;
        let shards = (0..self.of).map(|number| Shard { number, of: self.of });
        let mut parts: Vec<Part> =
            shards.map(|shard| Part::open(plan, shard)).collect::<Result<_>>()?;
        let mut point = 0;
        let mut ended = false;
        Ok(std::iter::from_fn(move || {
            if let Some((_, id)) = plan.point(point) {
                let of = parts.len();
                let line = parts[point % of].next(point, id);
                point += 1;
                return Some(line);
            }
            let end = parts.iter_mut().try_for_each(Part::end).err().filter(|_| !ended);
            ended = true;
            end.map(Err)
        }))
    }
}

/// Shards whose parts cannot be used, of those that are there.
///
/// # Errors
/// As [`present`].
pub fn damaged(plan: &Plan) -> Result<Vec<Shard>> {
    let present = present(plan)?.into_iter();
    let shards = present
        .flat_map(|(of, numbers)| numbers.into_iter().map(move |number| Shard { number, of }));
    Ok(shards.filter(|shard| Part::check(plan, *shard).is_err()).collect())
}

/// Numbers of the shards whose parts are there, by the number of all shards.
///
/// # Errors
/// A folder that cannot be read, or a file in it that is no part.
pub fn present(plan: &Plan) -> Result<BTreeMap<usize, Vec<usize>>> {
    let mut found: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for name in files(plan)? {
        if !name.ends_with(".jsonl") || name.starts_with('.') {
            continue;
        }
        let shard = Shard::from_file_name(&name).with_context(|| {
            let example = Shard { number: 0, of: 4 }.file_name();
            let path = folder(plan).join(&name);
            format!("`{}` is no part: expected names such as `{example}`", path.display())
        })?;
        found.entry(shard.of).or_default().push(shard.number);
    }
    for numbers in found.values_mut() {
        numbers.sort_unstable();
    }
    Ok(found)
}

/// Results of shards that are at work or were killed: the shard and how many points it has.
///
/// # Errors
/// A folder or a cache that cannot be read.
pub fn under_way(plan: &Plan) -> Result<Vec<(Shard, u64)>> {
    let mut found = Vec::new();
    for name in files(plan)? {
        let Some(stem) = name.strip_suffix(".cache") else { continue };
        let Some(shard) = Shard::from_file_name(&format!("{stem}.jsonl")) else { continue };
        if !shard.path(plan).exists() {
            found.push((shard, Cache::peek(&shard.cache(plan)).unwrap_or(0)));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn files(plan: &Plan) -> Result<Vec<String>> {
    let folder = folder(plan);
    let fail = || format!("cannot read `{}`", folder.display());
    let entries = fs::read_dir(&folder).with_context(fail)?;
    let name = |entry: std::io::Result<fs::DirEntry>| {
        Ok(entry.with_context(fail)?.file_name().to_string_lossy().into_owned())
    };
    entries.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_written_as_a_fraction_below_one() {
        assert_eq!("3/4".parse(), Ok(Shard { number: 3, of: 4 }));
        for text in ["4/4", "0/0", "-1/4", "1", "a/b", "1/4/5", ""] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    #[test]
    fn names_of_files_lead_back_to_their_shard() {
        let shard = Shard { number: 10, of: 12 };
        assert_eq!(shard.file_name(), "10-of-12.jsonl");
        assert_eq!(Shard::from_file_name("10-of-12.jsonl"), Some(shard));
        for name in ["010-of-12.jsonl", "12-of-12.jsonl", "1-of-2 (copy).jsonl", "1-of-2", "x"] {
            assert_eq!(Shard::from_file_name(name), None, "{name}");
        }
    }
}
