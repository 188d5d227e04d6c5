//! One point: from the values of the axes to a result.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use anyhow::{Context, Result, anyhow};
use attelier_sim::{kernel::run::Mode, observe::Nobody};
use serde_json::{Map, Value};

use super::{
    cache::{Cache, Key},
    spec::Spec,
};
use crate::{
    cli::{Overrides, quoted},
    machines::{self, Machine},
    report::Identity,
    simulation::{Counts, Subject},
    workload,
};

/// Points of one exploration and what they share.
pub struct Space<'a> {
    spec: &'a Spec,
    design: &'static str,
    /// Name of the workload.
    pub workload: String,
    seed: u64,
    cache: &'a Cache,
    points: Vec<Vec<usize>>,
    /// The workload under each combination of its knobs, loaded when it is first needed.
    counts: BTreeMap<Vec<String>, OnceLock<Result<Arc<Counts>, String>>>,
}

/// A point whose machine exists.
pub struct Ready {
    machine: Box<dyn Machine>,
    knobs: Vec<String>,
    /// Parameters of the machine by section, and the knobs of the workload under `workload`.
    pub parameters: Value,
}

/// The result of a point as it is stored: without the command and the list of changes, which only say
/// how it was asked for.
pub struct Stored {
    /// As JSON.
    pub text: String,
    /// Whether it was known before.
    pub cached: bool,
}

impl<'a> Space<'a> {
    /// The points of a description.
    ///
    /// # Errors
    /// A workload that no point can have.
    pub fn new(spec: &'a Spec, seed: u64, cache: &'a Cache) -> Result<Self> {
        let loaded = machines::load(&spec.design, &Overrides::default())?;
        let workload = spec.workload.clone().unwrap_or_else(|| loaded.default_workload.to_owned());
        let lengths: Vec<usize> = spec.axes.iter().map(|axis| axis.values.len()).collect();
        let points = spec.method.points(&lengths, seed);
        let design = loaded.config.design().name;
        let mut space =
            Self { spec, design, workload, seed, cache, points, counts: BTreeMap::new() };
        let knobs = (0..space.len()).map(|point| space.split(point).0);
        space.counts = knobs.map(|knobs| (knobs, OnceLock::new())).collect();
        Ok(space)
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Values of a point on the axes, with the parameters that take them.
    pub fn assignments(&self, point: usize) -> Vec<(&'a str, &'a str)> {
        let of = self.spec.axes.iter().zip(&self.points[point]);
        of.flat_map(|(axis, &step)| axis.paths.iter().zip(&axis.values[step]))
            .map(|(path, value)| (path.as_str(), value.as_str()))
            .collect()
    }

    /// The command that simulates a point alone.
    pub fn command(&self, point: usize) -> String {
        let mut words = vec!["attelier".to_owned(), "run".to_owned()];
        words.extend([quoted(self.design), quoted(&self.workload)]);
        if self.seed != 0 {
            words.push(format!("--seed {}", self.seed));
        }
        words.extend(self.sets(point).iter().map(|set| format!("--set {}", quoted(set))));
        words.join(" ")
    }

    /// Builds the machine of a point.
    ///
    /// # Errors
    /// Values that do not go together.
    pub fn prepare(&self, point: usize) -> Result<Ready> {
        let (knobs, set) = self.split(point);
        let machine = machines::load(self.design, &Overrides { config: None, set })?.machine;
        let mut parameters = machine.parameters();
        if let Value::Object(sections) = &mut parameters {
            let knob = |knob: &String| {
                let (name, value) = knob.split_once('=')?;
                let value = value.trim();
                // A whole number, or true or false; a text is none of a knob's.
                let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
                Some((name.trim().to_owned(), value))
            };
            let knobs: Map<String, Value> = knobs.iter().filter_map(knob).collect();
            sections.insert("workload".to_owned(), knobs.into());
        }
        Ok(Ready { machine, knobs, parameters })
    }

    /// Simulates a point, unless its result is stored.
    ///
    /// # Errors
    /// A workload that cannot be loaded or that the machine refuses; a cache that cannot be used.
    pub fn simulate(&self, ready: &Ready) -> Result<Stored> {
        let counts = self.counts(&ready.knobs)?;
        let subject =
            Subject { design: self.design, machine: ready.machine.as_ref(), changes: &[] };
        let hash = counts.hash.to_hex();
        let name = counts.task.name();
        let identity = Identity::new(self.design, &ready.machine.config_hash(), name, &hash)
            .started_by(String::new(), self.seed)
            .with_workload_seed(counts.seed);
        let key = Key::of(&identity);
        if let Some(text) = self.cache.get(&key)? {
            return Ok(Stored { text, cached: true });
        }
        let report =
            subject.simulate(&counts, String::new(), Mode::Jump, self.seed, &mut Nobody)?;
        let text = serde_json::to_string(&report).context("result has no JSON form")?;
        self.cache.put(&key, identity.version, &text)?;
        Ok(Stored { text, cached: false })
    }

    fn counts(&self, knobs: &[String]) -> Result<Arc<Counts>> {
        let cell = self.counts.get(knobs).context("every point has its knobs in the list")?;
        let load = || {
            let knobs: Vec<&str> = knobs.iter().map(String::as_str).collect();
            let counts = Counts::load(&self.workload, &knobs, self.seed);
            counts.map(Arc::new).map_err(|error| format!("{error:#}"))
        };
        cell.get_or_init(load).clone().map_err(|error| anyhow!(error))
    }

    /// Assignments of a point, as `--set` takes them.
    fn sets(&self, point: usize) -> Vec<String> {
        let own = self.assignments(point);
        let own = own.into_iter().map(|(path, value)| format!("{path}={value}"));
        self.spec.set.iter().cloned().chain(own).collect()
    }

    /// Assignments of the workload, and those of the machine.
    fn split(&self, point: usize) -> (Vec<String>, Vec<String>) {
        let sets = self.sets(point);
        let (knobs, machine) = workload::split_sets(&sets);
        (knobs.into_iter().map(str::to_owned).collect(), machine)
    }
}
