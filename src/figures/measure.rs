//! Runs that figures are made of: each is simulated once, however many figures ask for it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result};
use attelier_sim::{
    energy::Energy,
    kernel::run::Mode,
    observe::{Nobody, Observer},
    result::RunResult,
};
use attelier_workloads::Task;
use rayon::prelude::*;

use crate::{cli::Overrides, machines, workload};

/// A design with its settings, and what it is given to do.
#[derive(Debug, Clone)]
pub struct Job {
    /// Name of the design.
    pub design: String,
    /// Assignments to it.
    pub sets: Vec<String>,
    /// The task.
    pub task: Arc<Task>,
}

/// What a run gave.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Time [s].
    pub seconds: f64,
    /// Counts.
    pub result: RunResult,
    /// Energy, where it is modelled.
    pub energy: Option<Energy>,
}

impl Measured {
    /// Energy of everything [J].
    ///
    /// # Errors
    /// A design whose energy is not modelled.
    pub fn joules(&self) -> Result<f64> {
        self.energy.as_ref().map(Energy::total).context("energy of the machine is not modelled")
    }

    /// Energy of the terms that this holds for [J].
    pub fn joules_of(&self, is: impl Fn(&str) -> bool) -> f64 {
        let terms = self.energy.iter().flat_map(|energy| &energy.terms);
        terms.filter(|(name, _)| is(name)).map(|(_, joules)| joules).sum()
    }

    /// Energy of DRAM [J].
    pub fn dram_joules(&self) -> f64 {
        self.joules_of(|name| name.starts_with("dram"))
    }

    /// Bytes between machine and memory.
    pub fn bytes(&self) -> u64 {
        let traffic = &self.result.traffic;
        let streams: u64 = self.result.streams.iter().map(|stream| stream.bytes).sum();
        streams
            + traffic.query_bytes
            + traffic.key_bytes
            + traffic.key_lsb_bytes
            + traffic.value_bytes
    }

    /// Operations that were executed per second.
    pub fn executed_per_s(&self) -> f64 {
        self.result.ops_executed as f64 / self.seconds
    }

    /// Operations of the unpruned workload per second.
    pub fn dense_per_s(&self) -> f64 {
        self.result.ops_dense as f64 / self.seconds
    }
}

/// A job on a preset.
///
/// # Errors
/// An unknown workload.
pub fn job(design: &str, sets: &[&str], name: &str, knobs: &[&str], seed: u64) -> Result<Job> {
    let task = Arc::new(workload::task(name, knobs, seed)?);
    let sets = sets.iter().map(ToString::to_string).collect();
    Ok(Job { design: design.to_owned(), sets, task })
}

/// What was simulated, by design, parameters, task and seed.
type Known = BTreeMap<(String, String, String, u64), Arc<Measured>>;

static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

/// Simulates all jobs, in parallel, and each of them once; the observer hears of progress.
///
/// # Errors
/// Parameters or tasks that a machine refuses.
pub fn measure(
    jobs: &[Job],
    seed: u64,
    observer: &mut (dyn Observer + Send),
) -> Result<Vec<Arc<Measured>>> {
    let mut keys = Vec::with_capacity(jobs.len());
    let mut fresh: Vec<(usize, machines::Loaded)> = Vec::new();
    for (index, job) in jobs.iter().enumerate() {
        let loaded =
            machines::load(&job.design, &Overrides { config: None, set: job.sets.clone() })?;
        let hash = job.task.content_hash().to_hex().to_string();
        let key = (job.design.clone(), loaded.machine.config_hash(), hash, seed);
        let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&key);
        if !known && !keys.contains(&key) {
            fresh.push((index, loaded));
        }
        keys.push(key);
    }
    observer.begin(&[], 1);
    let (total, done) = (fresh.len() as u64, AtomicU64::new(0));
    let observer = Mutex::new(observer);
    let found: Vec<(usize, Arc<Measured>)> = fresh
        .par_iter()
        .with_max_len(1)
        .map(|(index, loaded)| {
            let measured = Arc::new(simulate(loaded, &jobs[*index], seed)?);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            observer.lock().unwrap_or_else(PoisonError::into_inner).progress(0, done, total);
            Ok((*index, measured))
        })
        .collect::<Result<_>>()?;
    observer.lock().unwrap_or_else(PoisonError::into_inner).end(0);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    for (index, measured) in found {
        known.insert(keys[index].clone(), measured);
    }
    let get = |key| known.get(key).cloned().context("every job was simulated");
    keys.iter().map(get).collect()
}

fn simulate(loaded: &machines::Loaded, job: &Job, seed: u64) -> Result<Measured> {
    let result = loaded
        .machine
        .simulate(&job.task, Mode::Jump, seed, &mut Nobody)
        .with_context(|| format!("{} on {}", job.task.name(), job.design))?;
    let energy = loaded.machine.energy(&result);
    let seconds = result.cycles as f64 / result.clock_hz as f64;
    Ok(Measured { seconds, result, energy })
}

/// Geometric mean; `None` of nothing.
pub fn geomean(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    Some((values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp())
}

/// Rank correlation (Spearman) of two series of equal length; equal numbers share their ranks.
pub fn rank_correlation(a: &[f64], b: &[f64]) -> f64 {
    let ranks = |values: &[f64]| -> Vec<f64> {
        let rank = |value: &f64| {
            let below = values.iter().filter(|other| *other < value).count();
            let equal = values.iter().filter(|other| *other == value).count();
            below as f64 + (equal as f64 - 1.0) / 2.0
        };
        values.iter().map(rank).collect()
    };
    let (a, b) = (ranks(a), ranks(b));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(&a), mean(&b));
    let (mut product, mut square_a, mut square_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(&b) {
        product += (a - mean_a) * (b - mean_b);
        square_a += (a - mean_a).powi(2);
        square_b += (b - mean_b).powi(2);
    }
    product / (square_a * square_b).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_correlate_as_in_textbooks() {
        // Differences of ranks 0, 1, -1, 0: 1 - 6 * 2 / (4 * 15) = 0.8.
        let found = rank_correlation(&[1.0, 2.0, 3.0, 4.0], &[10.0, 300.0, 20.0, 400.0]);
        assert!((found - 0.8).abs() < 1e-12);
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[9.0, 5.0, 1.0]), -1.0);
        // Ties share 0.5: Pearson of (0.5, 0.5, 2) and (0, 1, 2) is 0.866.
        let tied = rank_correlation(&[1.0, 1.0, 5.0], &[1.0, 2.0, 3.0]);
        assert!((tied - 0.75f64.sqrt()).abs() < 1e-12, "{tied}");
    }

    #[test]
    fn a_geometric_mean_is_the_root_of_the_product() {
        assert!((geomean(&[2.0, 8.0]).unwrap() - 4.0).abs() < 1e-12);
        assert_eq!(geomean(&[]), None);
    }

    #[test]
    fn equal_work_is_simulated_once() {
        let job = |name| job("titan-xp", &[], name, &[], 77).unwrap();
        // Pruning of both is the same, and a platform prunes nothing anyway.
        let jobs = [job("gpt2-small/wikitext103"), job("gpt2-small/wikitext2")];
        let found = measure(&jobs, 77, &mut Nobody).unwrap();
        assert!(Arc::ptr_eq(&found[0], &found[1]));
    }
}
