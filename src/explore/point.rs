//! One point: from the values of the axes to a result.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
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

/// The points of a description and what they share.
pub struct Space<'a> {
    spec: &'a Spec,
    /// Name of the design.
    pub design: &'static str,
    /// Name of the workload.
    pub workload: String,
    /// Seed of all draws.
    pub seed: u64,
    /// The workload under each combination of its knobs, loaded when it is first needed.
    counts: Mutex<BTreeMap<Vec<String>, Arc<OnceLock<Loaded>>>>,
}

type Loaded = Result<Arc<Counts>, String>;

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
    /// Its name.
    pub key: Key,
    /// Whether it was known before.
    pub cached: bool,
}

/// Why a point has no result.
pub enum Fault {
    /// The point is to blame, and only it.
    Point(anyhow::Error),
    /// Results cannot be kept, so the sweep has to end.
    Cache(anyhow::Error),
}

impl<'a> Space<'a> {
    /// The points of a description.
    ///
    /// # Errors
    /// A workload that no point can have.
    pub fn new(spec: &'a Spec, seed: u64) -> Result<Self> {
        let loaded = machines::load(&spec.design, &Overrides::default())?;
        let workload = spec.workload.clone().unwrap_or_else(|| loaded.default_workload.to_owned());
        let design = loaded.config.design().name;
        Ok(Self { spec, design, workload, seed, counts: Mutex::default() })
    }

    /// Values of a point on the axes, with the parameters that take them.
    pub fn assignments(&self, genes: &[usize]) -> Vec<(&'a str, &'a str)> {
        let of = self.spec.axes.iter().zip(genes);
        of.flat_map(|(axis, &step)| axis.paths.iter().zip(&axis.values[step]))
            .map(|(path, value)| (path.as_str(), value.as_str()))
            .collect()
    }

    /// The command that simulates a point alone.
    pub fn command(&self, genes: &[usize]) -> String {
        let mut words = vec!["attelier".to_owned(), "run".to_owned()];
        words.extend([quoted(self.design), quoted(&self.workload)]);
        if self.seed != 0 {
            words.push(format!("--seed {}", self.seed));
        }
        words.extend(self.sets(genes).iter().map(|set| format!("--set {}", quoted(set))));
        words.join(" ")
    }

    /// Builds the machine of a point.
    ///
    /// # Errors
    /// Values that do not go together.
    pub fn prepare(&self, genes: &[usize]) -> Result<Ready> {
        let (knobs, set) = self.split(genes);
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
    pub fn simulate(&self, ready: &Ready, cache: &Cache) -> Result<Stored, Fault> {
        let counts = self.counts(&ready.knobs).map_err(Fault::Point)?;
        let subject =
            Subject { design: self.design, machine: ready.machine.as_ref(), changes: &[] };
        let hash = counts.hash.to_hex();
        let name = counts.task.name();
        let identity = Identity::new(self.design, &ready.machine.config_hash(), name, &hash)
            .started_by(String::new(), self.seed)
            .with_workload_seed(counts.seed);
        let key = Key::of(&identity);
        if let Some(text) = cache.get(&key).map_err(Fault::Cache)? {
            return Ok(Stored { text, key, cached: true });
        }
        let report = subject
            .simulate(&counts, String::new(), Mode::Jump, self.seed, &mut Nobody)
            .map_err(Fault::Point)?;
        let text = serde_json::to_string(&report)
            .context("result has no JSON form")
            .map_err(Fault::Point)?;
        cache.put(&key, identity.version, &text).map_err(Fault::Cache)?;
        Ok(Stored { text, key, cached: false })
    }

    fn counts(&self, knobs: &[String]) -> Result<Arc<Counts>> {
        let cell = {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            counts.entry(knobs.to_vec()).or_default().clone()
        };
        let load = || {
            let knobs: Vec<&str> = knobs.iter().map(String::as_str).collect();
            let counts = Counts::load(&self.workload, &knobs, self.seed);
            counts.map(Arc::new).map_err(|error| format!("{error:#}"))
        };
        cell.get_or_init(load).clone().map_err(|error| anyhow!(error))
    }

    /// Assignments of a point, as `--set` takes them.
    pub fn sets(&self, genes: &[usize]) -> Vec<String> {
        let own = self.assignments(genes);
        let own = own.into_iter().map(|(path, value)| format!("{path}={value}"));
        self.spec.set.iter().cloned().chain(own).collect()
    }

    /// Assignments of the workload, and those of the machine.
    fn split(&self, genes: &[usize]) -> (Vec<String>, Vec<String>) {
        let sets = self.sets(genes);
        let (knobs, machine) = workload::split_sets(&sets);
        (knobs.into_iter().map(str::to_owned).collect(), machine)
    }
}
