//! The machine that runs the program as a [`Machine`]: measured, not simulated.
//!
//! Attention of each layer is computed with the kernels that the model readers use, in single precision
//! on one thread, and timed as the SpAtten paper times its platforms. Results depend on the machine and on
//! what else it does; this is the one design whose numbers are not repeatable.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail};
use attelier_hw::{config::Config, diagnostic::Diagnostic, host::Host};
use attelier_sim::{
    designs::heads::{Layer, layers},
    energy::Energy,
    kernel::run::Mode,
    observe::Observer,
    result::{RunResult, Stream, Traffic},
};
use attelier_workloads::{
    Task,
    model::{Attention, Dense, Projected},
    pruning::Pruning,
};
use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::{Machine, heads::attention_of};
use crate::values::ValueRun;

/// A cycle is a nanosecond [Hz].
const CLOCK_HZ: u64 = 1_000_000_000;

/// The machine of a configuration.
pub fn build(config: &Config) -> Result<Box<dyn Machine>, Diagnostic> {
    Ok(Box::new(Host::check(config)?))
}

impl Machine for Host {
    fn peak_bytes_per_s(&self) -> f64 {
        self.peak_mb_per_s as f64 * 1e6
    }

    fn simulate(
        &self,
        task: &Task,
        _mode: Mode,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<RunResult> {
        let layers = layers(&attention_of(&self.name, task)?.requests);
        // Layers of one shape take the same time: it is measured once.
        let mut shapes: Vec<(Layer, u64)> = Vec::new();
        for layer in layers {
            let shape = Layer { iteration: 0, layer: 0, ..layer };
            match shapes.iter_mut().find(|(known, _)| *known == shape) {
                Some((_, count)) => *count += 1,
                None => shapes.push((shape, 1)),
            }
        }
        observer.begin(&[], CLOCK_HZ);
        let (mut nanoseconds, mut ops, mut bytes) = (0, 0, 0);
        for (done, (shape, count)) in (1..).zip(&shapes) {
            let time = measure(self, shape, seed)?;
            nanoseconds += count * time.as_nanos() as u64;
            let [heads, queries, keys, dim] =
                [shape.heads, shape.queries, shape.keys, shape.head_dim].map(u64::from);
            let rows: u64 = (0..shape.queries).map(|query| u64::from(shape.visible(query))).sum();
            ops += count * 4 * heads * dim * rows;
            bytes += count * 4 * heads * dim * 2 * (queries + keys);
            observer.progress(nanoseconds, done, shapes.len() as u64);
        }
        observer.end(nanoseconds);
        Ok(RunResult {
            cycles: nanoseconds,
            clock_hz: CLOCK_HZ,
            ops_executed: ops,
            ops_dense: ops,
            traffic: Traffic::default(),
            streams: vec![Stream {
                name: "queries, keys, values and outputs",
                bytes,
                write: false,
            }],
            writes: 0,
            dram: None,
            admission: None,
            phases: Vec::new(),
            units: Vec::new(),
            notes: vec![
                format!(
                    "measured, not simulated: {} shapes, {} runs of each after {} to warm up, mean without \
                     {:.1} % of either end; a cycle is a nanosecond, and another run gives other numbers",
                    shapes.len(),
                    self.timed_runs,
                    self.warm_up_runs,
                    f64::from(self.trim_permille) / 10.0
                ),
                "one thread, single precision; nothing of the workload is pruned".to_owned(),
            ],
        })
    }

    fn values<'a>(
        &'a self,
        _pruning: &Pruning,
        _layers: usize,
        _checks: bool,
    ) -> Result<Box<dyn ValueRun + 'a>> {
        bail!("`{}` is timed on drawn operands: expected a preset or a trace of counts", self.name)
    }

    fn energy(&self, _result: &RunResult) -> Option<Energy> {
        None
    }
}

/// Mean time of attention of this shape.
fn measure(host: &Host, shape: &Layer, seed: u64) -> Result<Duration> {
    let mut random = Pcg64Mcg::seed_from_u64(seed);
    let mut matrix = |rows: u32| {
        let shape = (rows as usize, (shape.heads * shape.head_dim) as usize);
        Array2::from_shape_simple_fn(shape, || random.random_range(-1.0f32..1.0))
    };
    let (q, k, v) = (matrix(shape.queries), matrix(shape.keys), matrix(shape.keys));
    let positions: Vec<usize> = (0..shape.keys as usize).collect();
    let operands = Projected {
        layer: 0,
        heads: shape.heads as usize,
        kv_heads: shape.heads as usize,
        head_dim: shape.head_dim as usize,
        q: q.view(),
        k: k.view(),
        v: v.view(),
        scale: (shape.head_dim as f32).powf(-0.5),
        causal: shape.causal,
        first_position: shape.keys.saturating_sub(shape.queries) as usize,
        positions: &positions,
    };
    let attend = || -> Result<Duration> {
        let start = Instant::now();
        let output = Dense::new().attend(black_box(&operands)).map_err(|error| anyhow!(error))?;
        black_box(output);
        Ok(start.elapsed())
    };
    for _ in 0..host.warm_up_runs {
        attend()?;
    }
    let times = (0..host.timed_runs).map(|_| attend()).collect::<Result<Vec<_>>>()?;
    Ok(trimmed_mean(times, host.trim_permille))
}

/// Mean without this share of the shortest, and of the longest, times, in thousandths each.
fn trimmed_mean(mut times: Vec<Duration>, permille: u32) -> Duration {
    times.sort_unstable();
    let left_out = (times.len() as u64 * u64::from(permille) / 1000) as usize;
    let kept = times.get(left_out..times.len().saturating_sub(left_out)).unwrap_or_default();
    let count = u32::try_from(kept.len()).unwrap_or(u32::MAX).max(1);
    kept.iter().sum::<Duration>() / count
}

#[cfg(test)]
mod tests {
    use attelier_sim::observe::Nobody;

    use super::*;

    /// Of ten times, 15 % are one at either end: 1 and 1000 are left out, the mean of the rest is 5.5.
    #[test]
    fn outliers_are_left_out_at_both_ends() {
        let times = [9, 2, 1000, 4, 5, 1, 7, 8, 3, 6].map(Duration::from_secs);
        assert_eq!(trimmed_mean(times.to_vec(), 150), Duration::from_millis(5500));
        assert_eq!(trimmed_mean(times.to_vec(), 0), Duration::from_millis(104_500));
        assert_eq!(trimmed_mean(Vec::new(), 150), Duration::ZERO);
        assert_eq!(trimmed_mean(vec![Duration::from_secs(3)], 499), Duration::from_secs(3));
    }

    #[test]
    fn work_is_that_of_all_layers_though_one_is_measured() {
        let set = ["timed_runs=1", "warm_up_runs=0"].map(str::to_owned).to_vec();
        let overrides = crate::cli::Overrides { config: None, set };
        let host = super::super::load("host", &overrides).unwrap();
        let task = crate::workload::task("bert-base/cola", &[], 0).unwrap();
        let result = host.machine.simulate(&task, Mode::Jump, 0, &mut Nobody).unwrap();
        assert_eq!(result.ops_executed, 12 * 12 * 4 * 11 * 11 * 64);
        assert!(result.cycles > 0);
    }
}
