//! How the cost of a simulation grows: time per event over sequence length, heads, layers and channels, and
//! memory over sequence length. Prints tables and draws `docs/figures/growth.svg`.
//!
//! ```text
//! cargo run --release --example growth
//! ```
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::{env, fs, process::Command, time::Instant};

use anyhow::{Context, Result};
use attelier::{
    cli::Overrides,
    machines,
    plot::{self, Chart, Line},
    simulation::Counts,
};
use attelier_sim::{kernel::run::Mode, observe::Nobody};

const FIGURE: &str = "docs/figures/growth.svg";

/// Bytes of a key or value in the memories of SpAtten: 64 numbers of 12 bits \[B\].
const VECTOR_BYTES: u32 = 96;

/// A simulation; fields that are not named keep their defaults.
#[derive(Debug, Clone, Copy)]
struct Point {
    memory: &'static str,
    context: u32,
    heads: u32,
    layers: u32,
    channels: u32,
}

const USUAL: Point = Point { memory: "hbm2", context: 1024, heads: 16, layers: 1, channels: 16 };

/// What a simulation takes.
#[derive(Debug, Clone, Copy)]
struct Cost {
    cycles: u64,
    events: u64,
    seconds: f64,
}

/// An axis along which a simulation grows.
struct Axis {
    name: &'static str,
    values: &'static [u32],
    point: fn(u32) -> Point,
}

const AXES: [Axis; 4] = [
    Axis {
        name: "context [tokens]",
        values: &[128, 512, 2048, 8192, 32_768, 131_072],
        // One head is enough of the longest.
        point: |context| Point { context, heads: 1, layers: 4, ..USUAL },
    },
    Axis { name: "heads", values: &[1, 4, 16, 64, 256], point: |heads| Point { heads, ..USUAL } },
    Axis {
        name: "layers",
        values: &[1, 4, 16, 64],
        point: |layers| Point { layers, heads: 4, ..USUAL },
    },
    Axis {
        name: "channels",
        values: &[1, 2, 4, 8, 16, 32],
        point: |channels| Point { channels, ..USUAL },
    },
];

impl Point {
    fn loaded(self) -> Result<(machines::Loaded, Counts)> {
        // One token comes after the context.
        let bytes = (self.context + 1).next_multiple_of(16).max(2048) * VECTOR_BYTES;
        let rows = (self.context + 1).div_ceil(8).next_power_of_two().max(128);
        let set = [
            format!("memory.kind={}", self.memory),
            format!("memory.channels={}", self.channels),
            format!("key_sram.bytes={bytes}"),
            format!("value_sram.bytes={bytes}"),
            format!("softmax.fifo_depth={rows}"),
            format!("quant_decision.fifo_depth={rows}"),
        ];
        let loaded = machines::load("spatten", &Overrides { config: None, set: set.to_vec() })?;
        let knobs = [
            format!("context={}", self.context),
            format!("heads={}", self.heads),
            format!("layers={}", self.layers),
        ];
        let knobs: Vec<&str> = knobs.iter().map(String::as_str).collect();
        Ok((loaded, Counts::load("attention/decode", &knobs, 0)?))
    }

    /// The least of three simulations, which the machine's other work disturbed least.
    fn cost(self) -> Result<Cost> {
        let (loaded, counts) = self.loaded()?;
        let mut best: Option<Cost> = None;
        for _ in 0..3 {
            let start = Instant::now();
            let result = loaded.machine.simulate(&counts.task, Mode::Jump, 0, &mut Nobody)?;
            let seconds = start.elapsed().as_secs_f64();
            let beats = result.units.iter().map(|unit| unit.beats).sum::<u64>();
            let events = beats + result.traffic.reads;
            if best.is_none_or(|best| seconds < best.seconds) {
                best = Some(Cost { cycles: result.cycles, events, seconds });
            }
        }
        best.context("three simulations")
    }
}

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    if let (Some("--peak"), Some(context)) = (args.next().as_deref(), args.next()) {
        return peak(context.parse()?);
    }
    let mut charts = Vec::new();
    for axis in &AXES {
        println!(
            "{:>16}  {:>12}  {:>12}  {:>9}  {:>9}",
            axis.name, "cycles", "events", "ms", "ns/event"
        );
        let mut nanoseconds = Vec::new();
        for &value in axis.values {
            let Cost { cycles, events, seconds } = (axis.point)(value).cost()?;
            let each = 1e9 * seconds / events as f64;
            println!(
                "{value:>16}  {cycles:>12}  {events:>12}  {:>9.2}  {each:>9.1}",
                1e3 * seconds
            );
            nanoseconds.push(each);
        }
        charts.push(chart(axis.name, axis.values, "time [ns per event]", nanoseconds));
    }
    let contexts = AXES[0].values;
    let mebibytes =
        contexts.iter().map(|&context| peak_of(context)).collect::<Result<Vec<f64>>>()?;
    println!("{:>16}  {:>12}", AXES[0].name, "memory [MiB]");
    for (context, mebibytes) in contexts.iter().zip(&mebibytes) {
        println!("{context:>16}  {mebibytes:>12.1}");
    }
    charts.push(chart(AXES[0].name, contexts, "peak memory [MiB]", mebibytes));
    let rows: Vec<Vec<Chart>> = charts.chunks(2).map(<[Chart]>::to_vec).collect();
    fs::write(FIGURE, plot::svg(&rows)?).with_context(|| format!("cannot write `{FIGURE}`"))
}

fn chart(axis: &str, values: &[u32], y_label: &str, y: Vec<f64>) -> Chart {
    Chart {
        title: format!("{y_label} over {axis}"),
        x_label: axis.to_owned(),
        x: values.iter().map(u32::to_string).collect(),
        y_label: y_label.to_owned(),
        lines: vec![Line { name: "spatten".to_owned(), y }],
    }
}

/// Simulates one context and prints the peak memory of this process \[KiB\].
fn peak(context: u32) -> Result<()> {
    let (loaded, counts) = (AXES[0].point)(context).loaded()?;
    loaded.machine.simulate(&counts.task, Mode::Jump, 0, &mut Nobody)?;
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    println!("{}", words.context("`/proc/self/status` has no `VmHWM`")?);
    Ok(())
}

/// Peak memory of a process that simulates one context \[MiB\].
fn peak_of(context: u32) -> Result<f64> {
    let output =
        Command::new(env::current_exe()?).args(["--peak", &context.to_string()]).output()?;
    let kibibytes: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    Ok(kibibytes / 1024.0)
}
