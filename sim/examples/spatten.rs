//! Runs a trace on a SpAtten preset: `cargo run --release --example spatten -- FILE [DESIGN]`.

use std::path::Path;

use attelier_hw::spatten::Spatten;
use attelier_sim::designs::spatten::{Options, simulate};
use attelier_sim::kernel::run::Mode;
use attelier_sim::observe::Nobody;

#[expect(clippy::print_stdout, reason = "an example prints")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("expected a trace file")?;
    let design = arguments.next().unwrap_or_else(|| "spatten".into());
    let every = arguments.next().is_some();
    let workload = if Path::new(&file).exists() {
        attelier_workloads::open(Path::new(&file))?
    } else {
        attelier_workloads::load(&file)?
    };
    let mut params = Spatten::preset(&design)?;
    if let Ok(p) = std::env::var("P") {
        params.topk_value.parallelism = p.parse()?;
        params.topk_token.parallelism = p.parse()?;
    }
    if let Ok(p) = std::env::var("J") {
        params.controller.jobs_in_flight = p.parse()?;
    }
    if std::env::var("NOCASC").is_ok() {
        params.controller.cascade_dependency = false;
    }
    let mode = if every { Mode::EveryCycle } else { Mode::Jump };
    let options = Options { seed: 1, mode, order: None };
    let start = std::time::Instant::now();
    let result = simulate(&params, &workload.requests, options, &mut Nobody)?;
    let t = start.elapsed().as_secs_f64();
    println!(
        "{} cycles {:.3}s {:.1}Mc/s exec {:.1} GOPS dense {:.1}",
        result.cycles,
        t,
        result.cycles as f64 / t / 1e6,
        result.ops_executed as f64 / result.cycles as f64,
        result.ops_dense as f64 / result.cycles as f64
    );
    println!("{:?}", result.traffic);
    for unit in &result.units {
        println!("{unit:?} {:.1}%", unit.busy_cycles as f64 * 100. / result.cycles as f64);
    }
    for note in &result.notes {
        println!("{note}");
    }
    Ok(())
}
