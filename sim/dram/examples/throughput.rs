//! Speed: requests served per CPU second on one HBM2 channel with refresh on.
//!
//! The serving is timed, with building the channel; starting up and making the addresses are not.
//!
//! `cargo run --release -p attelier-dram --example throughput [-- REQUESTS [PATTERN]]`

use std::io::Write;

#[path = "../benches/patterns/mod.rs"]
mod patterns;

fn main() {
    let mut out = std::io::stdout().lock();
    let requests = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let only = std::env::args().nth(2);
    for pattern in patterns::ALL {
        let name = format!("{pattern:?}").to_lowercase();
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let locations = patterns::locations(pattern, requests);
        let start = cpu_seconds();
        let (cycles, served) = patterns::serve(&locations);
        let seconds = cpu_seconds() - start;
        let rate = served as f64 / seconds / 1e6;
        let _ = writeln!(
            out,
            "{name}: {served} requests, {cycles} cycles, {rate:.2} M requests per CPU second"
        );
    }
}

/// CPU time of this process [s]; wall time where the system does not tell.
fn cpu_seconds() -> f64 {
    static START: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    let schedstat = std::fs::read_to_string("/proc/self/schedstat").ok();
    let nanoseconds = schedstat.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| START.elapsed().as_secs_f64(), |time| time * 1e-9)
}
