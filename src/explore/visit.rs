//! Visiting points: each is built, simulated and judged, several at the same time.

use std::{collections::BTreeSet, sync::Mutex, time::Instant};

use anyhow::{Result, anyhow};
use rayon::{ThreadPool, prelude::*};
use serde_json::Value;

use super::{
    Outcome, Status,
    cache::{Cache, Key},
    expression::lookup,
    names,
    point::{Fault, Ready, Space, Stored},
    sample::Genes,
    spec::Spec,
};
use crate::observers::progress::Progress;

/// What visits points, on threads of its own.
pub struct Visitor<'a> {
    spec: &'a Spec,
    space: &'a Space<'a>,
    cache: &'a Cache,
    pool: ThreadPool,
    bar: Mutex<Bar>,
    /// Results that were found in the cache and not put there by this visitor.
    cached: usize,
    /// Results that this visitor has made.
    fresh: BTreeSet<Key>,
}

struct Bar {
    done: u64,
    total: u64,
    start: Instant,
    progress: Progress,
}

impl<'a> Visitor<'a> {
    /// A visitor of `count` points that works on `jobs` threads.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub fn new(
        spec: &'a Spec,
        space: &'a Space<'a>,
        cache: &'a Cache,
        jobs: usize,
        count: usize,
    ) -> Result<Self> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build()?;
        let bar =
            Bar { done: 0, total: count as u64, start: Instant::now(), progress: Progress::new() };
        Ok(Self {
            spec,
            space,
            cache,
            pool,
            bar: Mutex::new(bar),
            cached: 0,
            fresh: BTreeSet::new(),
        })
    }

    /// Results that were known before.
    pub fn cached(&self) -> usize {
        self.cached
    }

    /// Refuses names in the description that stand for nothing. The first machine that can be built
    /// and the first result show it, before hours are spent on the others.
    ///
    /// # Errors
    /// Such a name, at its place; a cache that cannot be used.
    pub fn check_names<'p>(&mut self, points: impl Iterator<Item = &'p Genes>) -> Result<()> {
        let mut first = true;
        for genes in points {
            let Ok(ready) = self.space.prepare(genes) else { continue };
            if first {
                names::check(self.spec, &ready.parameters)?;
                first = false;
            }
            if excluded(self.spec, &ready).is_some() {
                continue;
            }
            match self.space.simulate(&ready, self.cache) {
                Ok(stored) => {
                    if !stored.cached {
                        self.fresh.insert(stored.key);
                    }
                    let values = values(&ready.parameters, &parse(&stored.text)?);
                    names::check_numbers(self.spec, &values)?;
                    return names::check_values(self.spec, &values);
                }
                Err(Fault::Point(_)) => {}
                Err(Fault::Cache(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// Visits points, in their order.
    ///
    /// # Errors
    /// A cache that cannot be used.
    pub fn visit(&mut self, points: &[Genes]) -> Result<Vec<Outcome>> {
        let Self { spec, space, cache, bar, .. } = &*self;
        let visited: Vec<(Outcome, bool)> = self.pool.install(|| {
            let one = |genes: &Genes| {
                let visited = visit(spec, space, cache, genes);
                if let Ok(mut bar) = bar.lock() {
                    bar.step();
                }
                visited
            };
            points.par_iter().with_max_len(1).map(one).collect::<Result<_>>()
        })?;
        let made = visited.iter().filter(|(_, cached)| !cached);
        self.fresh.extend(made.filter_map(|(outcome, _)| outcome.key.clone()));
        let known = |(outcome, cached): &&(Outcome, bool)| {
            *cached && outcome.key.as_ref().is_none_or(|key| !self.fresh.contains(key))
        };
        self.cached += visited.iter().filter(known).count();
        Ok(visited.into_iter().map(|(outcome, _)| outcome).collect())
    }
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        if let Ok(bar) = self.bar.get_mut() {
            bar.progress.finish();
        }
    }
}

impl Bar {
    fn step(&mut self) {
        self.done += 1;
        let rate = self.done as f64 / self.start.elapsed().as_secs_f64();
        let rate = format_args!("{rate:.1} points/s").to_string();
        self.progress.update(self.done, self.total, "points", rate);
    }
}

/// Builds, simulates and judges a point; also whether the result was known before.
fn visit(spec: &Spec, space: &Space<'_>, cache: &Cache, genes: &Genes) -> Result<(Outcome, bool)> {
    let outcome = Outcome {
        genes: genes.clone(),
        status: Status::Ok,
        reason: None,
        key: None,
        objectives: Vec::new(),
    };
    let failed = |error: anyhow::Error| outcome.clone().with(Status::Failed, format!("{error:#}"));
    let ready = match space.prepare(genes) {
        Ok(ready) => ready,
        Err(error) => return Ok((failed(error), false)),
    };
    if let Some((status, reason)) = excluded(spec, &ready) {
        return Ok((outcome.with(status, reason), false));
    }
    match space.simulate(&ready, cache) {
        Ok(Stored { text, key, cached }) => {
            let values = values(&ready.parameters, &parse(&text)?);
            let outcome = Outcome { key: Some(key), ..outcome };
            Ok((judge(spec, outcome, &values), cached))
        }
        Err(Fault::Point(error)) => Ok((failed(error), false)),
        Err(Fault::Cache(error)) => Err(error),
    }
}

/// Why a point need not be simulated: its parameters break a constraint.
fn excluded(spec: &Spec, ready: &Ready) -> Option<(Status, String)> {
    let constraints = spec.constraints.iter().map(|constraint| &constraint.part);
    let known = constraints.filter(|constraint| {
        constraint.names.iter().all(|name| lookup(&ready.parameters, name).is_some())
    });
    known.into_iter().find_map(|constraint| match constraint.holds(&ready.parameters) {
        Ok(true) => None,
        Ok(false) => Some((Status::Excluded, constraint.text.clone())),
        Err(reason) => Some((Status::Failed, reason)),
    })
}

/// Whether a result meets all constraints and has all objectives.
fn judge(spec: &Spec, outcome: Outcome, values: &Value) -> Outcome {
    let broken =
        spec.constraints.iter().map(|constraint| &constraint.part).find_map(|constraint| {
            match constraint.holds(values) {
                Ok(true) => None,
                Ok(false) => Some((Status::Infeasible, constraint.text.clone())),
                Err(reason) => Some((Status::Failed, reason)),
            }
        });
    let numbers = spec.objectives.iter().map(|objective| objective.part.value.number(values));
    let unknown = numbers.clone().find_map(Result::err).map(|reason| (Status::Failed, reason));
    let objectives: Vec<Value> = numbers.map(Result::unwrap_or_default).collect();
    let outcome = Outcome { objectives, ..outcome };
    match broken.or(unknown) {
        Some((status, reason)) => outcome.with(status, reason),
        None => outcome,
    }
}

impl Outcome {
    fn with(self, status: Status, reason: String) -> Self {
        Self { status, reason: Some(reason), ..self }
    }
}

/// Results and parameters under one roof: parameters win where both have a name.
fn values(parameters: &Value, record: &Value) -> Value {
    let mut all = record.clone();
    if let (Value::Object(all), Value::Object(parameters)) = (&mut all, parameters) {
        all.extend(parameters.clone());
    }
    all
}

fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| anyhow!("a stored result is damaged: {error}"))
}
