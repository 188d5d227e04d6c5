//! PIM-GPT: what channels, bandwidth, multipliers, clocks, tokens and the LM head do to latency and energy.
//!
//! Of the published curves one bound can be read, and it has chosen a parameter: no row is scored.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use anyhow::{Context, Result};
use attelier_sim::{
    kernel::run::Mode,
    observe::{Nobody, Observer},
};
use rayon::prelude::*;

use super::{Outcome, Row};
use crate::{
    cli::Overrides,
    machines,
    published::{self, Number, PIM_GPT},
    table::{
        Align::{Left, Right},
        significant, table,
    },
    workload,
};

const DESIGN: &str = "pim-gpt";

/// The smallest model and the widest.
const MODELS: [&str; 2] = ["gpt2-small", "gpt3-xl"];

/// 64 tokens around the mean context of 1,024 generated ones.
const AROUND_512: &[&str] = &["context=480", "tokens=64"];

/// Clocks of the ASIC: the published one and the slowest of the published sweep.
const CLOCKS: [&str; 2] = ["asic.clock_hz=1_000_000_000", "asic.clock_hz=100_000_000"];

/// One machine and one workload.
struct Point {
    label: &'static str,
    sets: &'static [&'static str],
    knobs: &'static [&'static str],
}

const fn machine(label: &'static str, sets: &'static [&'static str]) -> Point {
    Point { label, sets, knobs: AROUND_512 }
}

const fn text(label: &'static str, knobs: &'static [&'static str]) -> Point {
    Point { label, sets: &[], knobs }
}

/// Half of the bandwidth.
const SLOW_PINS: &str = "pins at 8 Gb/s, columns every 2 ns";

const POINTS: [Point; 23] = [
    machine("the preset", &[]),
    // The larger model needs more rows of each bank then.
    machine("4 channels of 32,768 rows", &["memory.channels=4", "memory.rows=32768"]),
    machine("16 channels", &["memory.channels=16"]),
    machine("32 channels", &["memory.channels=32"]),
    // Columns come no faster than their bursts leave, so that slower pins slow the banks down too.
    machine(SLOW_PINS, &["timing.n_bl=4", "timing.n_ccd=4", "timing.n_rtw=6"]),
    machine("pins at 32 Gb/s", &["timing.n_bl=1", "timing.n_rtw=3"]),
    machine("4 multipliers per bank", &["mac.multipliers=4"]),
    machine("8 multipliers per bank", &["mac.multipliers=8"]),
    machine("32 multipliers per bank", &["mac.multipliers=32"]),
    machine("MAC at 500 MHz", &["mac.clock_hz=500_000_000"]),
    machine("ASIC at 500 MHz", &["asic.clock_hz=500_000_000"]),
    machine("ASIC at 200 MHz", &["asic.clock_hz=200_000_000"]),
    machine("ASIC at 100 MHz", &["asic.clock_hz=100_000_000"]),
    machine("rows opened by bank group", &["memory.activation=bank-group"]),
    machine("one buffer", &["memory.double_buffer=false"]),
    machine("read-out in a MAC's slot", &["timing.n_mac_rd=2", "timing.n_rd_mac=2"]),
    machine("results not streamed", &["overlap.stream_results=false"]),
    machine("no refresh", &["memory.refresh=false"]),
    machine("energy setting v1", &["energy.setting=v1"]),
    text("context of 128", &["context=96", "tokens=64"]),
    text("context of 2,048", &["context=2016", "tokens=64"]),
    text("context of 8,000", &["context=7968", "tokens=64"]),
    text("with LM head", &["context=480", "tokens=64", "lm_head=true"]),
];

/// Every model that was published.
pub(super) const ALL_MODELS: [&str; 8] = [
    "gpt2-small",
    "gpt2-medium",
    "gpt2-large",
    "gpt2-xl",
    "gpt3-small",
    "gpt3-medium",
    "gpt3-large",
    "gpt3-xl",
];

/// Function units of the ASIC, in cycles from one number of a lane to its next.
///
/// Six is a Taylor series of six terms on the one multiplier of a lane; ten is a cubic argument, its
/// tanh and two multiplications there.
const FUNCTION_UNITS: [(&str, &[&str]); 3] = [
    ("1 each", &[]),
    ("exp 6", &["asic.exp_interval=6"]),
    ("exp 6, GELU 10", &["asic.exp_interval=6", "asic.gelu_interval=10"]),
];

/// Latency and energy of one token.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    joules: f64,
}

/// One simulation: a model, what is set, and its workload.
type Job = (&'static str, Vec<&'static str>, &'static [&'static str]);

/// Simulates all points of both models, and the function units of the ASIC for every model.
pub fn reproduce(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let points = MODELS.iter().flat_map(|&model| {
        POINTS.iter().map(move |point| (model, point.sets.to_vec(), point.knobs))
    });
    let asic = ALL_MODELS.iter().flat_map(|&model| {
        FUNCTION_UNITS.iter().flat_map(move |(_, units)| {
            CLOCKS.map(|clock| (model, [units, &[clock][..]].concat(), AROUND_512))
        })
    });
    let jobs: Vec<Job> = points.chain(asic).collect();
    let total = jobs.len() as u64;
    observer.begin(&[], 1);
    let (done, observer) = (AtomicU64::new(0), Mutex::new(observer));
    let costs: Vec<Cost> = jobs
        .par_iter()
        .map(|(model, sets, knobs)| {
            let cost = simulate(model, sets, knobs, seed)?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            observer.lock().unwrap_or_else(PoisonError::into_inner).progress(0, done, total);
            Ok(cost)
        })
        .collect::<Result<_>>()?;
    observer.lock().unwrap_or_else(PoisonError::into_inner).end(0);
    let (points, asic) = costs.split_at(MODELS.len() * POINTS.len());
    let mut outcome = Outcome { rows: Vec::new(), text: String::new(), notes: notes() };
    for (model, costs) in MODELS.iter().zip(points.chunks(POINTS.len())) {
        outcome.text += &format!("{model}\n{}\n", points_table(costs));
        outcome.rows.extend(point_rows(model, costs));
    }
    let bound = published::find("pim-gpt", "asic-clock", "100 MHz, at most", "longer latency")?;
    slow_asic(&mut outcome, asic, bound);
    let reasons = super::reasons(&outcome.rows);
    outcome.notes.extend(reasons);
    Ok(outcome)
}

fn simulate(model: &str, sets: &[&'static str], knobs: &[&str], seed: u64) -> Result<Cost> {
    let set = sets.iter().map(ToString::to_string).collect();
    let loaded = machines::load(DESIGN, &Overrides { config: None, set })?;
    let task = workload::task(model, knobs, seed)?;
    let result = loaded.machine.simulate(&task, Mode::Jump, seed, &mut Nobody)?;
    let energy = loaded.machine.energy(&result).context("energy of the machine is not modelled")?;
    let joules = energy.total();
    // Every point generates 64 tokens.
    let seconds = result.cycles as f64 / result.clock_hz as f64 / 64.0;
    Ok(Cost { seconds, joules: joules / 64.0 })
}

/// The table of one model.
fn points_table(costs: &[Cost]) -> String {
    let base = costs.first().map_or(0.0, |base| base.seconds);
    let rows = POINTS.iter().zip(costs).map(|(point, cost)| {
        vec![
            point.label.to_owned(),
            significant(cost.seconds * 1e6),
            format!("{:.3}", base / cost.seconds),
            significant(cost.joules * 1e3),
            significant(cost.joules / cost.seconds),
        ]
    });
    let columns =
        [("", Left), ("us/token", Right), ("speed", Right), ("mJ/token", Right), ("W", Right)];
    table(&columns, rows)
}

/// Time and energy of a token at every point of one model.
fn point_rows(model: &str, costs: &[Cost]) -> Vec<Row> {
    let rows = POINTS.iter().zip(costs).flat_map(|(point, cost)| {
        let sets = point.sets.iter().map(ToString::to_string);
        let knobs = point.knobs.iter().map(|knob| format!("workload.{knob}"));
        let note: Vec<String> = sets.chain(knobs).map(|set| format!("--set {set}")).collect();
        let of = |what: &str| format!("{model}, {}: {what} of a token", point.label);
        [
            Row::alone(PIM_GPT, of("time"), cost.seconds * 1e6, "us").with_note(note.join(" ")),
            Row::alone(PIM_GPT, of("energy"), cost.joules * 1e3, "mJ").with_note(note.join(" ")),
        ]
    });
    rows.collect()
}

/// How much longer a token takes with the slow clock, by model and function units: a table, and a row
/// for each beside the published bound, which has chosen the first of them.
fn slow_asic(outcome: &mut Outcome, costs: &[Cost], bound: &Number) {
    let mut rows = Vec::new();
    for (model, costs) in ALL_MODELS.iter().zip(costs.chunks(FUNCTION_UNITS.len() * CLOCKS.len())) {
        let mut cells = vec![(*model).to_owned()];
        for ((units, sets), costs) in FUNCTION_UNITS.iter().zip(costs.chunks(CLOCKS.len())) {
            let [fast, slow] = costs else { continue };
            let ours = 100.0 * (slow.seconds / fast.seconds - 1.0);
            let item =
                format!("{model}, ASIC at 100 MHz, cycles per function {units}: longer latency");
            let settings: Vec<String> = sets.iter().map(|set| format!("--set {set} ")).collect();
            let note = format!("{}--set {}", settings.concat(), CLOCKS[1]);
            cells.push(format!("{ours:.1}"));
            let why = match sets.is_empty() {
                true => {
                    "calibrated: function units start a number per lane and cycle because of this bound"
                }
                false => "what the bound excludes: not the machine of the preset",
            };
            let row = Row::new(PIM_GPT, item, [bound.value, ours], &bound.unit, why);
            outcome.rows.push(row.unscored(Some(ours)).with_note(note));
        }
        rows.push(cells);
    }
    let columns: Vec<_> = std::iter::once(("", Left))
        .chain(FUNCTION_UNITS.iter().map(|(units, _)| (*units, Right)))
        .collect();
    outcome.text += &format!(
        "longer latency with the ASIC at 100 MHz, by cycles per number of a function unit [%]; \
         published: at most {}\n{}\n",
        bound.value,
        table(&columns, rows.into_iter())
    );
}

fn notes() -> Vec<String> {
    vec![
        "64 tokens around a context of 512, the mean of 1,024 generated tokens; speed is relative to \
         the first row"
            .to_owned(),
        "the published curves could not be read; known are a slowdown of at most 20 % at 100 MHz, and \
         a nearly linear gain with channels"
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use attelier_sim::designs::pim_gpt::placement::Placement;

    use super::*;

    #[test]
    fn every_point_fits_its_machine_and_generates_64_tokens() {
        for (model, point) in MODELS.iter().flat_map(|m| POINTS.iter().map(move |p| (m, p))) {
            let sets: Vec<String> = point.sets.iter().map(ToString::to_string).collect();
            let config = attelier_hw::config::load(DESIGN, None, &sets).unwrap();
            let machine = attelier_hw::pim_gpt::PimGpt::check(&config).unwrap();
            let task = workload::task(model, point.knobs, 0).unwrap();
            let attelier_workloads::Task::Decoding(decoding) = task else { panic!("decoding") };
            assert_eq!(decoding.tokens, 64, "{}", point.label);
            let placed = Placement::new(&machine, &decoding.shape, decoding.longest(), true);
            assert!(placed.is_ok(), "{model}, {}: {}", point.label, placed.unwrap_err());
        }
    }

    #[test]
    fn points_are_compared_with_the_first() {
        let mut costs = vec![Cost { seconds: 1e-4, joules: 2e-3 }; POINTS.len()];
        costs[13].seconds = 1.1e-4;
        assert!(points_table(&costs).contains("0.909"));
    }

    #[test]
    fn the_slow_asic_is_compared_with_the_fast_one_of_the_same_units() {
        let mut outcome = Outcome { rows: Vec::new(), text: String::new(), notes: Vec::new() };
        let units = FUNCTION_UNITS.len();
        let mut costs = vec![Cost { seconds: 1e-4, joules: 2e-3 }; ALL_MODELS.len() * units * 2];
        costs[1].seconds = 1.1e-4;
        (costs[2].seconds, costs[3].seconds) = (2e-4, 2.6e-4);
        let bound = published::of("pim-gpt", "asic-clock").next().unwrap();
        slow_asic(&mut outcome, &costs, bound);
        assert_eq!(outcome.rows.len(), ALL_MODELS.len() * units);
        let ours: Vec<f64> =
            outcome.rows[..3].iter().map(|row| row.ours.unwrap().round()).collect();
        assert_eq!(ours, [10.0, 30.0, 0.0]);
        // The bound chose the parameter: it judges nothing.
        assert!(outcome.rows.iter().all(|row| row.deviation.is_none() && !row.why.is_empty()));
        assert!(outcome.rows[0].why.starts_with("calibrated") && bound.value == 20.0);
    }

    #[test]
    fn every_point_is_a_row_of_its_own() {
        let costs = vec![Cost { seconds: 1e-4, joules: 2e-3 }; POINTS.len()];
        let rows = point_rows("gpt2-small", &costs);
        assert_eq!(rows.len(), 2 * POINTS.len());
        let first: Vec<Option<f64>> = rows[..2].iter().map(|row| row.ours).collect();
        assert_eq!(first, [Some(100.0), Some(2.0)]);
        let pins =
            rows.iter().find(|row| row.item == format!("gpt2-small, {SLOW_PINS}: time of a token"));
        assert!(pins.unwrap().note.contains("--set timing.n_bl=4"));
        assert!(pins.unwrap().note.ends_with("--set workload.tokens=64"));
    }
}
