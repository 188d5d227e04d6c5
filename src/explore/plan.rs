//! A plan: the points of a description, written down, so that several machines can share them.
//!
//! A plan is a folder with `plan.jsonl`, a head and then a line for each point with a hash of what it
//! is, and `parts`, where shards leave what they found. Everything else follows from the head, so the
//! lines of points are a check: whoever works on the plan finds the same points, or stops.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use attelier_hw::diagnostic::SourceText;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    cache::BUILD,
    point::Space,
    sample::{Genes, Method},
    spec::Spec,
};
use crate::{output::OutputFolder, workload};

/// Kind of the file.
const SCHEMA: &str = "attelier-plan-1";

/// Name of the file in the folder of a plan.
pub const FILE: &str = "plan.jsonl";

/// First line of a plan.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    schema: String,
    version: String,
    build: String,
    design: String,
    workload: String,
    /// Hash of the file that holds the workload, if it is one.
    workload_file: Option<String>,
    seed: u64,
    points: usize,
    /// Where the description was read from.
    origin: String,
    /// The description.
    spec: String,
}

/// Any other line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    point: usize,
    id: String,
    set: Map<String, Value>,
}

/// A plan that has been read.
pub struct Plan {
    /// Its folder.
    pub folder: PathBuf,
    /// The description.
    pub spec: Spec,
    /// Seed of all draws.
    pub seed: u64,
    /// Hash of the whole file.
    pub hash: String,
    /// Its points, with what they are.
    points: Vec<(Genes, String)>,
}

/// Writes the plan of a description as a folder.
///
/// # Errors
/// A search, whose points are not known before; a folder that cannot be made.
pub fn write(path: &Path, spec: &Spec, seed: u64) -> Result<usize> {
    if let Method::Nsga2(_) = spec.method {
        bail!(
            "a search cannot be planned: it chooses its points by what it has found; run it in one \
             process with `--jobs`, or plan a grid or a sample"
        );
    }
    let folder = OutputFolder::create(path)?;
    let space = Space::new(spec, seed)?;
    let points = super::fixed(spec, seed);
    let head = Head {
        schema: SCHEMA.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        build: BUILD.to_owned(),
        design: spec.design.clone(),
        workload: space.workload.clone(),
        workload_file: workload_file(&space.workload)?,
        seed,
        points: points.len(),
        origin: spec.source().name.clone(),
        spec: spec.source().text.clone(),
    };
    let mut text = serde_json::to_string(&head)? + "\n";
    for (point, genes) in points.iter().enumerate() {
        let set = space.assignments(genes).into_iter();
        let set = set.map(|(path, value)| (path.to_owned(), value.into())).collect();
        let line = Line { point, id: id(&space, seed, genes), set };
        text += &serde_json::to_string(&line)?;
        text.push('\n');
    }
    folder.write("", [(FILE, text.as_str())])?;
    folder.write("parts", [])?;
    folder.commit()?;
    Ok(points.len())
}

impl Plan {
    /// Reads the plan in a folder and finds its points again.
    ///
    /// # Errors
    /// A folder without a plan, a plan of another version, one whose lines were changed, a workload
    /// that was.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let fail = || format!("cannot use the plan `{}`", path.display());
        let text = fs::read_to_string(&path).with_context(fail)?;
        Self::parse(folder, &text).with_context(fail)
    }

    fn parse(folder: &Path, text: &str) -> Result<Self> {
        let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
        let mut lines = text.lines().enumerate();
        let (_, head) = lines.next().context("it is empty")?;
        let head: Head = serde_json::from_str(head).context("line 1 is not the head of a plan")?;
        if head.schema != SCHEMA || head.version != env!("CARGO_PKG_VERSION") {
            bail!(
                "it was made by attelier {} ({}), this is {} ({SCHEMA}): plan again",
                head.version,
                head.schema,
                env!("CARGO_PKG_VERSION"),
            );
        }
        if head.build != BUILD {
            bail!(
                "it was made by another build of attelier {} ({}), this is {BUILD}: plan again, or run all \
                 shards with one build",
                head.version,
                head.build
            );
        }
        let spec = Spec::read(SourceText::new(head.origin, head.spec))?;
        if workload_file(&head.workload)? != head.workload_file {
            bail!("the workload `{}` has changed since: plan again", head.workload);
        }
        let space = Space::new(&spec, head.seed)?;
        let genes = super::fixed(&spec, head.seed);
        let mut points = Vec::with_capacity(genes.len());
        for (point, genes) in genes.into_iter().enumerate() {
            let id = id(&space, head.seed, &genes);
            let (number, line) = lines.next().with_context(|| {
                format!("it ends before point {point} of {}: was it copied in part?", head.points)
            })?;
            let line: Option<Line> = serde_json::from_str(line).ok();
            if line.is_none_or(|line| line.point != point || line.id != id) {
                bail!(
                    "line {}: this is not point {point} of the description: plan again",
                    number + 1
                );
            }
            points.push((genes, id));
        }
        if let Some((number, _)) = lines.next() {
            bail!("line {}: expected the end after {} points", number + 1, points.len());
        }
        Ok(Self { folder: folder.to_owned(), spec, seed: head.seed, hash, points })
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// A point and what it is.
    pub fn point(&self, point: usize) -> Option<(&Genes, &str)> {
        self.points.get(point).map(|(genes, id)| (genes, id.as_str()))
    }
}

/// A hash of what a point is.
fn id(space: &Space<'_>, seed: u64, genes: &[usize]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    for part in [space.design, &space.workload]
        .into_iter()
        .chain(space.sets(genes).iter().map(String::as_str))
    {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// Hash of the file that holds a workload; none of a preset.
fn workload_file(name: &str) -> Result<Option<String>> {
    let Some(path) = workload::file(name) else { return Ok(None) };
    let mut hasher = blake3::Hasher::new();
    File::open(path).and_then(|mut file| io::copy(&mut file, &mut hasher)).with_context(|| {
        let path = path.display();
        format!("cannot read the workload `{path}`; paths start in the folder of the command")
    })?;
    Ok(Some(hasher.finalize().to_hex().to_string()))
}
