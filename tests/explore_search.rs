//! The search against the whole of the ready-made spaces: how much of the front it finds with a tenth
//! of the points.
//!
//! The space of PIM-GPT is visited whole. Those of Edge-MoE and SpAtten take minutes:
//! `ATTELIER_EXHAUSTIVE=1 cargo test --release --test explore_search`.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use std::{env, fs, path::Path};

use attelier::explore::{
    self, Sweep,
    cache::Cache,
    hypervolume::hypervolume,
    point::Space,
    sample::{Budget, Method},
    spec::Spec,
};
use attelier_hw::diagnostic::SourceText;

fn ready(name: &str) -> Spec {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads/explore").join(name);
    Spec::read(SourceText::new(name, fs::read_to_string(path).unwrap())).unwrap()
}

fn costs(spec: &Spec, sweep: &Sweep) -> Vec<Vec<f64>> {
    sweep.outcomes.iter().filter_map(|outcome| outcome.costs(spec)).collect()
}

/// Each objective as a share of its range over the whole space.
fn normalised(points: &[Vec<f64>], ranges: &[(f64, f64)]) -> Vec<Vec<f64>> {
    let share = |(value, (low, high)): (&f64, &(f64, f64))| (value - low) / (high - low);
    points.iter().map(|point| point.iter().zip(ranges).map(share).collect()).collect()
}

/// Shares of the hypervolume of the whole space that searches of a tenth of its points find, in four to six
/// generations. The
/// reference lies a tenth of the range beyond the worst, so that the ends of the front count too.
fn shares(name: &str) -> Vec<f64> {
    let mut spec = ready(name);
    spec.method = Method::Grid;
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("cache")).unwrap();
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let sweep = |spec: &Spec| {
        let space = Space::new(spec, 0).unwrap();
        explore::sweep(spec, &space, &cache, jobs).unwrap()
    };
    let all = sweep(&spec);
    let points = costs(&spec, &all);
    let ranges: Vec<(f64, f64)> = (0..spec.objectives.len())
        .map(|at| {
            let column = points.iter().map(|point| point[at]);
            (column.clone().fold(f64::MAX, f64::min), column.fold(f64::MIN, f64::max))
        })
        .collect();
    let volume =
        |points: &[Vec<f64>]| hypervolume(&normalised(points, &ranges), &vec![1.1; ranges.len()]);
    let whole = volume(&points);
    let budget = all.outcomes.len() / 10;
    let search = |generations: usize| {
        let population = budget / generations;
        let mut spec = spec.clone();
        spec.method = Method::Nsga2(Budget { points: budget, population });
        let found = sweep(&spec);
        assert_eq!(found.outcomes.len(), budget);
        volume(&costs(&spec, &found)) / whole
    };
    let shares: Vec<f64> = [4, 5, 6].into_iter().map(search).collect();
    eprintln!("{name}: {} points, front {}, shares {shares:?}", points.len(), all.front.len());
    shares
}

#[test]
fn a_tenth_of_the_points_finds_the_front() {
    let larger: &[&str] = match env::var_os("ATTELIER_EXHAUSTIVE") {
        Some(_) => &["edge-moe.toml", "spatten.toml"],
        None => &[],
    };
    for name in [&["pim-gpt.toml"], larger].concat() {
        for share in shares(name) {
            assert!((0.95..=1.0 + 1e-12).contains(&share), "{name}: {share}");
        }
    }
}
