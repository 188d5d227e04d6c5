//! Requests served per second on one HBM2 channel with refresh on.
//!
//! `cargo bench -p attelier-dram`; the example `throughput` prints whole-process figures.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

mod patterns;

fn throughput(criterion: &mut Criterion) {
    let requests = 100_000;
    let mut group = criterion.benchmark_group("hbm2");
    group.sample_size(10).throughput(Throughput::Elements(requests as u64));
    for pattern in patterns::ALL {
        let locations = patterns::locations(pattern, requests);
        group.bench_function(format!("{pattern:?}").to_lowercase(), |bencher| {
            bencher.iter(|| patterns::serve(&locations));
        });
    }
    group.finish();
}

criterion_group!(benches, throughput);
criterion_main!(benches);
