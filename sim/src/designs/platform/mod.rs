//! CPUs and GPUs that run a model operator by operator: a roofline with an overhead per call.
//!
//! * [`operators`]: what a framework calls.
//! * [`simulate_attention`], [`simulate_decoding`], [`simulate_image`]: their time, one after the other.
//!
//! `docs/designs/platforms.md` lists the platforms and what each was calibrated on. A cycle is a
//! nanosecond. Not modelled: caches, calls that overlap, the host beside a GPU.

pub mod operators;

use attelier_hw::platform::Platform;
use attelier_workloads::Decoding;
use attelier_workloads::request::Request;
use attelier_workloads::vision::MoeImage;

use crate::designs::heads::layers;
use crate::energy::Energy;
use crate::observe::Observer;
use crate::result::{Phase, RunResult, Stream, Traffic, UnitReport};
use operators::{Class, Operator};

/// What the time of a call is spent on, as observers and reports name it.
pub const UNITS: [&str; 3] = ["arithmetic", "traffic", "calls"];

/// One nanosecond per cycle \[Hz\].
const CLOCK_HZ: u64 = 1_000_000_000;

/// Sums over calls.
#[derive(Default)]
struct Totals {
    nanoseconds: f64,
    /// Time by what bounds it, in the order of [`UNITS`] \[ns\].
    parts: [f64; UNITS.len()],
    phases: Vec<(&'static str, f64)>,
    elements: u64,
    flops: u64,
    calls: u64,
}

impl Totals {
    fn add(&mut self, platform: &Platform, operator: &Operator) {
        let calls = operator.calls as f64;
        let compute = platform.compute_ns(operator.flops);
        let memory = platform.memory_ns(operator.elements);
        let overhead = f64::from(overhead(platform, operator.class));
        let time = calls * (compute.max(memory) + overhead);
        let bound = usize::from(memory > compute);
        self.nanoseconds += time;
        self.parts[bound] += calls * compute.max(memory);
        self.parts[2] += calls * overhead;
        match self.phases.iter_mut().find(|(name, _)| *name == operator.name) {
            Some((_, sum)) => *sum += time,
            None => self.phases.push((operator.name, time)),
        }
        self.elements += operator.calls * operator.elements;
        if operator.class == Class::Product {
            self.flops += operator.calls * operator.flops;
        }
        self.calls += operator.calls;
    }
}

fn overhead(platform: &Platform, class: Class) -> u32 {
    let overheads = &platform.overhead_ns;
    match class {
        Class::Product => overheads.product,
        Class::Softmax => overheads.softmax,
        Class::Norm => overheads.norm,
        Class::Elementwise => overheads.elementwise,
        Class::Movement => overheads.movement,
    }
}

/// Attention requests, nothing of them pruned.
pub fn simulate_attention(
    platform: &Platform,
    requests: &[Request],
    observer: &mut dyn Observer,
) -> RunResult {
    let layers = layers(requests);
    let steps = layers.iter().map(operators::attention);
    let mut result = run(platform, steps, layers.len(), observer);
    result.notes.push(
        "attention only, without projections; the platform prunes nothing, whatever the workload does"
            .to_owned(),
    );
    result
}

/// Tokens of a decoder, with its whole model.
pub fn simulate_decoding(
    platform: &Platform,
    decoding: &Decoding,
    observer: &mut dyn Observer,
) -> RunResult {
    let steps = decoding.lengths().map(|context| operators::token(decoding, context));
    run(platform, steps, decoding.tokens as usize, observer)
}

/// One image.
pub fn simulate_image(
    platform: &Platform,
    image: &MoeImage,
    observer: &mut dyn Observer,
) -> RunResult {
    run(platform, std::iter::once(operators::image(image)), 1, observer)
}

fn run(
    platform: &Platform,
    steps: impl Iterator<Item = Vec<Operator>>,
    total: usize,
    observer: &mut dyn Observer,
) -> RunResult {
    observer.begin(&UNITS, CLOCK_HZ);
    let mut totals = Totals::default();
    for (done, operators) in (1..).zip(steps) {
        let start = totals.nanoseconds as u64;
        for operator in &operators {
            totals.add(platform, operator);
        }
        let end = totals.nanoseconds as u64;
        if observer.wants_events() {
            observer.span(0, &format!("step {done}"), start, end);
        }
        observer.progress(end, done, total as u64);
    }
    observer.end(totals.nanoseconds as u64);
    result(platform, &totals)
}

fn result(platform: &Platform, totals: &Totals) -> RunResult {
    let cycles = totals.nanoseconds.round() as u64;
    let unit = |(name, nanoseconds): (&'static str, f64)| UnitReport {
        name,
        busy_cycles: (nanoseconds.round() as u64).min(cycles),
        starved_cycles: 0,
        blocked_cycles: 0,
        beats: totals.calls,
    };
    let phases = totals.phases.iter();
    let bytes = totals.elements.saturating_mul(platform.memory.element_bytes.into());
    RunResult {
        cycles,
        clock_hz: CLOCK_HZ,
        ops_executed: totals.flops,
        ops_dense: totals.flops,
        traffic: Traffic::default(),
        streams: vec![Stream { name: "operands and results", bytes, write: false }],
        writes: 0,
        dram: None,
        admission: None,
        phases: phases.map(|&(name, time)| Phase { name, cycles: time.round() as u64 }).collect(),
        units: UNITS.into_iter().zip(totals.parts).map(unit).collect(),
        notes: notes(platform, totals),
    }
}

fn notes(platform: &Platform, totals: &Totals) -> Vec<String> {
    let calibration = &platform.calibration;
    vec![
        if calibration.time_us == 0 {
            "nothing is calibrated: rates and overheads are published, for other workloads"
                .to_owned()
        } else {
            format!(
                "`{}` is calibrated on one point, {} us for `{}`; all else is predicted",
                calibration.parameter, calibration.time_us, calibration.workload
            )
        },
        format!("{} calls, one after the other; a cycle is a nanosecond", totals.calls),
    ]
}

/// Energy of a run: power over that of the idle platform, as long as it takes.
pub fn energy(platform: &Platform, result: &RunResult) -> Energy {
    let seconds = result.cycles as f64 / result.clock_hz as f64;
    Energy {
        terms: vec![("platform", seconds * f64::from(platform.dynamic_mw) * 1e-3)],
        notes: vec![
            "energy: one power for the whole run; where it is measured, that of the idle platform is \
             taken off (`attelier show` names the source)"
                .to_owned(),
        ],
    }
}

#[cfg(test)]
mod tests {
    use attelier_workloads::{Knobs, Task, task};

    use super::*;
    use crate::observe::Nobody;

    /// Every platform that can be run.
    const PLATFORMS: [&str; 11] = [
        "titan-xp",
        "jetson-nano",
        "xeon-e5-2640-v4",
        "raspberry-pi-4",
        "t4",
        "xeon-gold-6154",
        "rtx-a6000",
        "xeon-6226r",
        "rtx-8000",
        "a100",
        "h100",
    ];

    fn simulate(platform: &Platform, name: &str) -> RunResult {
        match task::load_with(name, &Knobs::default()).unwrap() {
            Task::Attention(workload) => {
                simulate_attention(platform, &workload.requests, &mut Nobody)
            }
            Task::Decoding(decoding) => simulate_decoding(platform, &decoding, &mut Nobody),
            Task::Image(image) => simulate_image(platform, &image, &mut Nobody),
        }
    }

    #[test]
    fn every_platform_meets_the_point_that_it_was_calibrated_on() {
        for name in PLATFORMS {
            let platform = Platform::preset(name).unwrap();
            let calibration = &platform.calibration;
            if calibration.time_us == 0 {
                continue;
            }
            let found = simulate(&platform, &calibration.workload).cycles as f64 / 1e3;
            let deviation = found / calibration.time_us as f64 - 1.0;
            assert!(deviation.abs() < 0.02, "{name}: {found} us, {deviation:+.3}");
        }
    }

    /// Products of 16 heads with 1000 keys of 64 elements move 4.1 MB of keys: 33 MB/ms at the
    /// efficiency of the preset, so memory binds; the arithmetic is 2 MFLOP.
    #[test]
    fn a_call_takes_the_longer_of_arithmetic_and_traffic_and_its_overhead() {
        let platform = Platform::preset("raspberry-pi-4").unwrap();
        let operator = Operator {
            name: "scores",
            class: Class::Product,
            flops: 2_048_000,
            elements: 1_024_000,
            calls: 3,
        };
        let mut totals = Totals::default();
        totals.add(&platform, &operator);
        let rate = 12.8 * f64::from(platform.memory.efficiency_permille) / 1000.0;
        let expected = 3.0 * (4.0 * 1_024_000.0 / rate + 10_000.0);
        assert!((totals.nanoseconds - expected).abs() < 1.0, "{}", totals.nanoseconds);
        assert_eq!(totals.parts[0], 0.0);
        let mut arithmetic = Totals::default();
        arithmetic.add(&platform, &Operator { elements: 1, calls: 1, ..operator });
        // 48 GFLOP/s at 80 %.
        assert!((arithmetic.nanoseconds - (2_048_000.0 / 38.4 + 10_000.0)).abs() < 1.0);
    }
}
