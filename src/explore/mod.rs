//! Exploring a design space: many points of one design, simulated, compared, and the best of them
//! named.
//!
//! * [`spec`]: what a user writes. [`axis`]: parameters that move together. [`sample`] and [`nsga2`]:
//!   which points are visited. [`expression`]: conditions. `names`: what they may speak of.
//! * [`point`]: from values to a result. `visit`: what became of it. [`cache`]: results kept between
//!   runs.
//! * [`pareto`]: the front. [`choice`]: one point of it. [`hypervolume`]: how good a front is.
//! * [`plan`] and [`part`]: a sweep cut into shards for many machines. [`slurm`]: their jobs.
//! * [`report`]: tables, files. [`figures`]: pictures. `parquet`: the table for data frames, a feature.
//!
//! No design is known here: whatever [`machines`](crate::machines) can load can be explored. Points are
//! independent, so they are simulated in parallel; what comes out depends on their order alone.

pub mod axis;
pub mod cache;
pub mod choice;
pub mod expression;
pub mod figures;
pub mod hypervolume;
mod names;
pub mod nsga2;
pub mod pareto;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod part;
pub mod plan;
pub mod point;
pub mod report;
pub mod sample;
pub mod slurm;
pub mod spec;
mod visit;

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::{
    cache::{Cache, Key},
    nsga2::Costs,
    point::Space,
    sample::{Genes, Method, Sample},
    spec::Spec,
    visit::Visitor,
};

/// What became of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It meets all constraints.
    Ok,
    /// Its result breaks a constraint.
    Infeasible,
    /// Its parameters break a constraint; it was not simulated.
    Excluded,
    /// It could not be simulated.
    Failed,
}

/// A point that has been visited. Its result stays in the cache: ten thousand of them would fill the
/// memory.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Where it is.
    pub genes: Genes,
    /// What became of it.
    pub status: Status,
    /// Why, unless all is well.
    pub reason: Option<String>,
    /// Name of its result, if it has one.
    pub key: Option<Key>,
    /// Its objectives, in the order of the description; empty without a result.
    pub objectives: Vec<Value>,
}

/// All points of an exploration, in the order in which they were chosen.
pub struct Sweep {
    /// The points.
    pub outcomes: Vec<Outcome>,
    /// Indices of those on the Pareto front, ascending.
    pub front: Vec<usize>,
    /// How many results were known before.
    pub cached: usize,
}

impl Outcome {
    /// Its objectives, each to be small, if it meets all constraints.
    pub fn costs(&self, spec: &Spec) -> Costs {
        let cost = |(value, objective): (&Value, &spec::Sited<spec::Objective>)| {
            let number = value.as_f64()?;
            Some(if objective.part.maximise { -number } else { number })
        };
        let good = self.status == Status::Ok;
        let each = self.objectives.iter().zip(&spec.objectives).map(cost);
        good.then(|| each.collect::<Option<Vec<f64>>>())?
    }
}

impl Sweep {
    /// Joins points that have been visited.
    ///
    /// # Errors
    /// Points none of which could be simulated.
    pub fn new(spec: &Spec, outcomes: Vec<Outcome>, cached: usize) -> Result<Self> {
        if let Some(reason) = all_failed(&outcomes) {
            bail!("none of {} points could be simulated; the first: {reason}", outcomes.len());
        }
        let good =
            outcomes.iter().enumerate().filter_map(|(index, out)| Some((index, out.costs(spec)?)));
        let (indices, points): (Vec<usize>, Vec<Vec<f64>>) = good.unzip();
        let front = pareto::front(&points).into_iter().map(|place| indices[place]).collect();
        Ok(Self { outcomes, front, cached })
    }
}

/// Visits the points of a description on `jobs` threads.
///
/// # Errors
/// Constraints that leave no point, names of nothing, points that all fail, a cache that cannot be
/// used.
pub fn sweep(spec: &Spec, space: &Space<'_>, cache: &Cache, jobs: usize) -> Result<Sweep> {
    let seed = space.seed;
    let lengths = spec.lengths();
    let count = spec.method.count(&lengths).unwrap_or(usize::MAX);
    let mut visitor = Visitor::new(spec, space, cache, jobs, count)?;
    let outcomes = match spec.method {
        Method::Grid | Method::LatinHypercube { .. } => {
            let points = fixed(spec, seed);
            visitor.check_names(points.iter())?;
            visitor.visit(&points)?
        }
        Method::Nsga2(budget) => {
            let mut outcomes: Vec<Outcome> = Vec::new();
            nsga2::search(&lengths, budget, seed, |generation| {
                if outcomes.is_empty() {
                    visitor.check_names(generation.iter())?;
                }
                let visited = visitor.visit(generation)?;
                let costs = visited.iter().map(|outcome| outcome.costs(spec)).collect();
                outcomes.extend(visited);
                anyhow::Ok(costs)
            })?;
            outcomes
        }
    };
    if let Some(error) = names::nothing_left(spec, &outcomes) {
        return Err(error);
    }
    Sweep::new(spec, outcomes, visitor.cached())
}

/// The points of a description whose method knows them before any is visited; of a search, none.
pub fn fixed(spec: &Spec, seed: u64) -> Vec<Genes> {
    let lengths = spec.lengths();
    let count = spec.method.count(&lengths).unwrap_or(0);
    let sample = match spec.method {
        Method::Grid => Sample::Grid(lengths),
        Method::LatinHypercube { points } => Sample::latin_hypercube(points, &lengths, seed),
        Method::Nsga2(_) => return Vec::new(),
    };
    (0..count).map(|point| sample.genes(point)).collect()
}

/// Why the first failed point did, if no point has a result.
fn all_failed(outcomes: &[Outcome]) -> Option<&str> {
    let none = outcomes.iter().all(|outcome| outcome.key.is_none());
    let failed = outcomes.iter().find(|outcome| outcome.status == Status::Failed);
    failed.filter(|_| none)?.reason.as_deref()
}
