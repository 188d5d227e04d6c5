//! Whole-process speed: requests served per CPU second on one HBM2 channel with refresh on.
//!
//! `cargo run --release -p attelier-dram --example throughput [-- REQUESTS [PATTERN]]`

use std::time::Instant;


#[path = "../benches/patterns/mod.rs"]
mod patterns;

fn main() {
    let requests = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let only = std::env::args().nth(2);
    for pattern in patterns::ALL {
        let name = format!("{pattern:?}").to_lowercase();
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        let locations = patterns::locations(pattern, requests);
        let start = Instant::now();
        let (cycles, served) = patterns::serve(&locations);
        let seconds = start.elapsed().as_secs_f64();
        let rate = served as f64 / seconds / 1e6;
        println!("{name}: {served} requests, {cycles} cycles, {rate:.2} M requests/s");
    }
}
