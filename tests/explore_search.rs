//! The search against the whole of the ready-made spaces: how much of the front it finds with a tenth
//! of the points.
//!
//! The space of PIM-GPT is visited whole here. Those of Edge-MoE and SpAtten take minutes:
//! `cargo test --release --test explore_search -- --ignored`.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use std::{fs, path::Path};

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

/// Shares of the hypervolume of the whole space that searches of a tenth of its points find. The
/// reference lies a tenth of the range beyond the worst, so that the ends of the front count too.
fn shares(name: &str) -> Vec<f64> {
    let mut spec = ready(name);
    spec.method = Method::Grid;
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(&folder.path().join("cache")).unwrap();
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let sweep = |spec: &Spec, seed| {
        let space = Space::new(spec, seed).unwrap();
        explore::sweep(spec, &space, &cache, jobs).unwrap()
    };
    let all = sweep(&spec, 0);
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
    let search = |seed| {
        let population = (budget / 10).clamp(8, 100);
        let mut spec = spec.clone();
        spec.method = Method::Nsga2(Budget { points: budget, population });
        let found = sweep(&spec, seed);
        assert_eq!(found.outcomes.len(), budget);
        volume(&costs(&spec, &found)) / whole
    };
    let shares: Vec<f64> = (0..3).map(search).collect();
    eprintln!("{name}: {} points, front {}, shares {shares:?}", points.len(), all.front.len());
    shares
}

#[test]
fn a_tenth_of_the_points_finds_the_front_of_pim_gpt() {
    for share in shares("pim-gpt.toml") {
        assert!((0.95..=1.0 + 1e-12).contains(&share), "{share}");
    }
}

#[test]
#[ignore = "visits 4,320 machines, some minutes"]
fn a_tenth_of_the_points_finds_the_front_of_edge_moe() {
    for share in shares("edge-moe.toml") {
        assert!((0.95..=1.0 + 1e-12).contains(&share), "{share}");
    }
}

#[test]
#[ignore = "visits 1,680 machines, some minutes"]
fn a_tenth_of_the_points_finds_the_front_of_spatten() {
    for share in shares("spatten.toml") {
        assert!((0.95..=1.0 + 1e-12).contains(&share), "{share}");
    }
}
