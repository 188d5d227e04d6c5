//! Simulated cycles per second of SpAtten: `cargo bench -p attelier-sim`.
//!
//! Criterion prints the throughput in elements per second; an element is a simulated cycle.

use attelier_hw::{config, spatten::Spatten};
use attelier_sim::designs::spatten::{Options, simulate};
use attelier_sim::kernel::run::Mode;
use attelier_sim::observe::{Nobody, Observer};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

/// An onlooker that wants every event, so that no job is leapt over.
struct Watcher;
impl Observer for Watcher {}

fn rates(criterion: &mut Criterion) {
    let on = |memory: &str| {
        let config = config::load("spatten", None, &[format!("memory.kind={memory}")]);
        Spatten::check(&config.expect("a known kind")).expect("an embedded preset")
    };
    let mut group = criterion.benchmark_group("spatten");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    let cases: [(&str, &str, Mode, bool); 6] = [
        ("dense gpt2-medium", "gpt2-medium/ptb/dense", Mode::Jump, false),
        ("dense gpt2-medium, watched", "gpt2-medium/ptb/dense", Mode::Jump, true),
        ("dense gpt2-medium, every cycle", "gpt2-medium/ptb/dense", Mode::EveryCycle, false),
        ("optimised gpt2-small", "gpt2-small/wikitext2", Mode::Jump, false),
        ("optimised gpt2-medium", "gpt2-medium/wikitext2", Mode::Jump, false),
        ("optimised gpt2-small, hbm2", "gpt2-small/wikitext2", Mode::Jump, false),
    ];
    for (name, workload, mode, watched) in cases {
        let params = on(if name.ends_with("hbm2") { "hbm2" } else { "ideal" });
        let workload = attelier_workloads::load(workload).expect("an embedded workload");
        let options = Options { mode, ..Options::default() };
        let run = || {
            let observer: &mut dyn Observer = if watched { &mut Watcher } else { &mut Nobody };
            simulate(&params, &workload.requests, options, observer).expect("it fits").cycles
        };
        group.throughput(Throughput::Elements(run()));
        group.bench_function(name, |bencher| bencher.iter(run));
    }
    group.finish();
}

criterion_group!(benches, rates);
criterion_main!(benches);
