//! Exploring a design space: many points of one design, simulated, compared, and the best of them
//! named.
//!
//! * [`spec`]: what a user writes. [`axis`]: parameters that move together. [`sample`]: which points
//!   are visited. [`expression`]: conditions.
//! * [`point`]: from values to a result. [`cache`]: results kept between runs. [`pareto`]: the front.
//! * [`report`]: tables, files.
//!
//! No design is known here: whatever [`machines`](crate::machines) can load can be explored. Points are
//! independent, so they are simulated in parallel; what comes out depends on their order alone.

pub mod axis;
pub mod cache;
pub mod expression;
pub mod pareto;
pub mod point;
pub mod report;
pub mod sample;
pub mod spec;

use std::{sync::Mutex, time::Instant};

use anyhow::{Result, anyhow, bail};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;

use self::{
    expression::{lookup, paths},
    point::{Ready, Space, Stored},
    spec::{Sited, Spec},
};
use crate::observers::progress::Progress;

/// What became of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

/// A point that has been visited.
pub struct Outcome {
    /// What became of it.
    pub status: Status,
    /// Why, unless all is well.
    pub reason: Option<String>,
    /// Its result as JSON, if it has one.
    pub record: Option<String>,
    /// Its objectives, in the order of the description; empty without a result.
    pub objectives: Vec<Value>,
}

/// All points of an exploration, in their order.
pub struct Sweep {
    /// The points.
    pub outcomes: Vec<Outcome>,
    /// Indices of those on the Pareto front, ascending.
    pub front: Vec<usize>,
    /// How many results were known before.
    pub cached: usize,
}

/// Sections of a result that may be named.
const RESULT: [&str; 13] = [
    "cycles",
    "seconds",
    "ops_executed",
    "ops_dense",
    "throughput",
    "traffic",
    "dram",
    "energy_j",
    "power_w",
    "area_mm2",
    "units",
    "admission",
    "phases",
];

/// Visits every point on `jobs` threads.
///
/// # Errors
/// Constraints that leave no point, names of nothing, points that all fail.
pub fn sweep(spec: &Spec, space: &Space<'_>, jobs: usize) -> Result<Sweep> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build()?;
    pool.install(|| {
        let plans: Vec<Result<Ready, Outcome>> =
            (0..space.len()).into_par_iter().map(|point| plan(spec, space, point)).collect();
        let ready: Vec<&Ready> = plans.iter().filter_map(|plan| plan.as_ref().ok()).collect();
        let Some(first) = ready.first() else { return Err(nothing_left(spec, &plans)) };
        check_names(spec, &first.parameters)?;
        // One result shows whether names stand for numbers, before hours are spent on the others.
        let mut fresh = 0;
        for ready in ready {
            if let Ok(stored) = space.simulate(ready) {
                fresh = usize::from(!stored.cached);
                check_numbers(spec, &values(&ready.parameters, &parse(&stored.text)?))?;
                break;
            }
        }
        let bar = Mutex::new((0, Progress::new()));
        let (start, total) = (Instant::now(), space.len() as u64);
        let visited: Vec<(Outcome, bool)> = plans
            .into_par_iter()
            .with_max_len(1)
            .map(|plan| {
                let visited =
                    plan.map_or_else(|out| (out, false), |ready| visit(spec, space, &ready));
                if let Ok(mut bar) = bar.lock() {
                    bar.0 += 1;
                    let done = bar.0;
                    let rate = done as f64 / start.elapsed().as_secs_f64();
                    bar.1.update(done, total, "points", format_args!("{rate:.1} points/s"));
                }
                visited
            })
            .collect();
        if let Ok(mut bar) = bar.lock() {
            bar.1.finish();
        }
        let cached = visited.iter().filter(|(_, cached)| *cached).count().saturating_sub(fresh);
        let outcomes: Vec<Outcome> = visited.into_iter().map(|(outcome, _)| outcome).collect();
        if let Some(reason) = all_failed(&outcomes) {
            bail!("none of {} points could be simulated; the first: {reason}", outcomes.len());
        }
        Ok(Sweep { front: front(spec, &outcomes), outcomes, cached })
    })
}

/// The machine of a point, or why it is not simulated.
fn plan(spec: &Spec, space: &Space<'_>, point: usize) -> Result<Ready, Outcome> {
    let ready = space.prepare(point).map_err(|error| Outcome::failed(&error))?;
    for constraint in spec.constraints.iter().map(|constraint| &constraint.part) {
        let known = constraint.names.iter().all(|name| lookup(&ready.parameters, name).is_some());
        if known {
            let holds = constraint.holds(&ready.parameters);
            if !holds.map_err(|reason| Outcome::failed(&anyhow!(reason)))? {
                return Err(Outcome::without(Status::Excluded, constraint.text.clone()));
            }
        }
    }
    Ok(ready)
}

/// Simulates a point and judges its result; also whether the result was known before.
fn visit(spec: &Spec, space: &Space<'_>, ready: &Ready) -> (Outcome, bool) {
    let judged = space.simulate(ready).and_then(|Stored { text, cached }| {
        let values = values(&ready.parameters, &parse(&text)?);
        Ok((judge(spec, &values, text), cached))
    });
    judged.unwrap_or_else(|error| (Outcome::failed(&error), false))
}

fn judge(spec: &Spec, values: &Value, text: String) -> Outcome {
    let broken =
        spec.constraints.iter().map(|constraint| &constraint.part).find_map(|constraint| {
            match constraint.holds(values) {
                Ok(true) => None,
                Ok(false) => Some((Status::Infeasible, constraint.text.clone())),
                Err(reason) => Some((Status::Failed, reason)),
            }
        });
    let names = spec.objectives.iter().map(|objective| &objective.part.name);
    let value = |name: &String| lookup(values, name).cloned().unwrap_or_default();
    let objectives: Vec<Value> = names.clone().map(value).collect();
    let unknown = names.zip(&objectives).find(|(_, value)| value.as_f64().is_none());
    let unknown = unknown.map(|(name, _)| (Status::Failed, format!("`{name}` is not known")));
    let (status, reason) = match broken.or(unknown) {
        Some((status, reason)) => (status, Some(reason)),
        None => (Status::Ok, None),
    };
    Outcome { status, reason, record: Some(text), objectives }
}

impl Outcome {
    fn failed(error: &anyhow::Error) -> Self {
        Self::without(Status::Failed, format!("{error:#}"))
    }

    fn without(status: Status, reason: String) -> Self {
        Self { status, reason: Some(reason), record: None, objectives: Vec::new() }
    }
}

/// Indices of the points on the front.
fn front(spec: &Spec, outcomes: &[Outcome]) -> Vec<usize> {
    let cost = |(value, objective): (&Value, &Sited<spec::Objective>)| {
        let number = value.as_f64()?;
        Some(if objective.part.maximise { -number } else { number })
    };
    let costs = |outcome: &Outcome| {
        let good = outcome.status == Status::Ok;
        let each = outcome.objectives.iter().zip(&spec.objectives).map(cost);
        good.then(|| each.collect::<Option<Vec<f64>>>())?
    };
    let good = outcomes.iter().enumerate().filter_map(|(index, out)| Some((index, costs(out)?)));
    let (indices, points): (Vec<usize>, Vec<Vec<f64>>) = good.unzip();
    pareto::front(&points).into_iter().map(|place| indices[place]).collect()
}

/// Results and parameters under one roof: parameters win where both have a name.
pub fn values(parameters: &Value, record: &Value) -> Value {
    let mut all = record.clone();
    if let (Value::Object(all), Value::Object(parameters)) = (&mut all, parameters) {
        all.extend(parameters.clone());
    }
    all
}

fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| anyhow!("a stored result is damaged: {error}"))
}

/// Every name in the description with its place.
fn names(spec: &Spec) -> impl Iterator<Item = (Sited<()>, &str)> {
    let constraints = spec.constraints.iter().flat_map(|constraint| {
        constraint.part.names.iter().map(|name| (constraint.site(), name.as_str()))
    });
    let objectives =
        spec.objectives.iter().map(|objective| (objective.site(), objective.part.name.as_str()));
    constraints.chain(objectives)
}

/// Refuses names that stand for nothing.
fn check_names(spec: &Spec, parameters: &Value) -> Result<()> {
    for (site, name) in names(spec) {
        let section = name.split('.').next().unwrap_or_default();
        if lookup(parameters, name).is_some() || RESULT.contains(&section) {
            continue;
        }
        let all = paths(parameters).into_iter().chain(RESULT.map(str::to_owned));
        let near = attelier_hw::near::nearest(name, all);
        let help = near.map(|near| format!("did you mean `{near}`?"));
        let label = format!("expected a parameter of the point, or one of {}", RESULT.join(", "));
        return Err(spec.refuse(&site, format!("unknown name `{name}`"), label, help).into());
    }
    Ok(())
}

/// Refuses names that stand for no number, and objectives that are no number.
fn check_numbers(spec: &Spec, values: &Value) -> Result<()> {
    let objectives = spec.objectives.iter().map(|objective| objective.part.name.as_str());
    let objectives: Vec<&str> = objectives.collect();
    for (site, name) in names(spec) {
        let (title, label, help) = match lookup(values, name) {
            Some(Value::Number(_)) => continue,
            Some(Value::Object(section)) => {
                let paths = paths(&Value::Object(section.clone()));
                let paths: Vec<_> = paths.iter().map(|path| format!("{name}.{path}")).collect();
                let total = paths.iter().find(|path| path.ends_with(".total"));
                let help = total.or(paths.first()).map(|path| format!("did you mean `{path}`?"));
                (
                    format!("`{name}` is a section"),
                    format!("expected one of {}", paths.join(", ")),
                    help,
                )
            }
            None => {
                let help = attelier_hw::near::nearest(name, paths(values));
                let help = help.map(|near| format!("did you mean `{near}`?"));
                let label = "expected a number of the result".to_owned();
                (format!("unknown name `{name}`"), label, help)
            }
            Some(Value::Null) => {
                let label = format!("expected a number: {}", why_unknown(values, name));
                (format!("`{name}` is not known"), label, None)
            }
            // A constraint may look at a text or a switch.
            Some(_) if !objectives.contains(&name) => continue,
            Some(_) => {
                let title = format!("`{name}` cannot be small or large");
                (title, "expected a number".to_owned(), None)
            }
        };
        return Err(spec.refuse(&site, title, label, help).into());
    }
    Ok(())
}

/// What the result says about a value that it does not have.
fn why_unknown(values: &Value, name: &str) -> String {
    let key = name.rsplit('.').next().unwrap_or(name);
    let word = key.split('_').next().unwrap_or(key);
    let notes = values.get("notes").and_then(Value::as_array).into_iter().flatten();
    let note = notes.filter_map(Value::as_str).find(|note| note.contains(word));
    note.unwrap_or("this machine does not tell it").to_owned()
}

/// Why no point can be simulated.
fn nothing_left(spec: &Spec, plans: &[Result<Ready, Outcome>]) -> anyhow::Error {
    let outcomes: Vec<&Outcome> = plans.iter().filter_map(|plan| plan.as_ref().err()).collect();
    let excluding = |text: &str| {
        let by = |outcome: &&&Outcome| {
            outcome.status == Status::Excluded && outcome.reason.as_deref() == Some(text)
        };
        outcomes.iter().filter(by).count()
    };
    let counts =
        spec.constraints.iter().map(|constraint| (excluding(&constraint.part.text), constraint));
    let counts: Vec<_> = counts.filter(|(count, _)| *count > 0).collect();
    let Some((count, worst)) = counts.iter().max_by_key(|(count, _)| *count) else {
        let first = outcomes.first().and_then(|outcome| outcome.reason.clone()).unwrap_or_default();
        return anyhow!("none of {} points could be simulated; the first: {first}", plans.len());
    };
    let label = format!("this leaves out {count} of {} points", plans.len());
    let others = counts.iter().filter(|(_, other)| other.part.text != worst.part.text);
    let others: Vec<_> =
        others.map(|(count, other)| format!("`{}` {count}", other.part.text)).collect();
    let help = match others[..] {
        [] => "widen an axis or the constraint".to_owned(),
        _ => format!("before it, others leave out points too: {}", others.join(", ")),
    };
    spec.refuse(worst, "the constraints leave no point", label, Some(help)).into()
}

/// Why the first failed point did, if no point has a result.
fn all_failed(outcomes: &[Outcome]) -> Option<&str> {
    let none = outcomes.iter().all(|outcome| outcome.record.is_none());
    let failed = outcomes.iter().find(|outcome| outcome.status == Status::Failed);
    failed.filter(|_| none)?.reason.as_deref()
}
