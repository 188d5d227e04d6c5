//! SpAtten, figure 19: throughput over the parallelism of the top-k engines, and over the size of
//! the key and value buffers.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use attelier_sim::{
    kernel::run::Mode,
    observe::{Nobody, Observer},
};
use attelier_workloads::Task;
use rayon::prelude::*;

use super::{Outcome, Row};
use crate::{
    cli::Overrides,
    machines,
    published::{self, SPATTEN},
    table::{
        Align::{Left, Right},
        significant, table,
    },
    workload,
};

const DESIGN: &str = "spatten";

/// GPT-2 runs whose counts are published.
const WORKLOADS: [&str; 2] = ["gpt2-small/wikitext2", "gpt2-medium/wikitext2"];

/// Bytes of the buffer that the paper calls 196 KB.
const SRAM_BYTES: u64 = 196_608;

/// All points run on ideal memory, which takes a tenth of the time.
const MEMORY: &str = "memory.kind=ideal";

/// One axis of the figure.
struct Sweep {
    /// What changes, for people.
    name: &'static str,
    points: Vec<Point>,
    /// Point that others are divided by.
    base: usize,
    /// Why the shape over the points is another one.
    why: &'static str,
}

/// What the amounts differ by: the figure says neither which run it is nor what it counts.
const UNNAMED: &str = "the paper names neither the run nor what it counts: its peak of 776 GOP/s lies above its own mean \
                       of executed operations, 430, and below what dense operations over the time of a pruned run \
                       give";

/// One machine of a sweep.
struct Point {
    label: String,
    sets: Vec<String>,
    published: f64,
}

/// Throughput of one run [GOP/s].
#[derive(Clone, Copy)]
struct Rates {
    executed: f64,
    dense: f64,
}

/// Simulates all points of both sweeps on both workloads.
pub fn reproduce(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let sweeps = [topk()?, sram()?];
    let workloads = WORKLOADS.map(|name| workload::task(name, &[], seed));
    let mut runs = Vec::new();
    for workload in &workloads {
        let workload = workload.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
        runs.extend(sweeps.iter().map(|sweep| (sweep, workload)));
    }
    let jobs: Vec<(&Point, &Task)> = runs
        .iter()
        .flat_map(|(sweep, workload)| sweep.points.iter().map(move |point| (point, *workload)))
        .collect();
    let total = jobs.len() as u64;
    observer.begin(&[], 1);
    let (done, observer) = (AtomicU64::new(0), Mutex::new(observer));
    let rates: Vec<Rates> = jobs
        .par_iter()
        .map(|(point, workload)| {
            let rates = simulate(point, workload, seed)?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            observer.lock().unwrap_or_else(PoisonError::into_inner).progress(0, done, total);
            Ok(rates)
        })
        .collect::<Result<_>>()?;
    observer.lock().unwrap_or_else(PoisonError::into_inner).end(0);

    let mut rates = rates.into_iter();
    let mut outcome = Outcome { rows: Vec::new(), text: String::new(), notes: notes() };
    for (sweep, workload) in runs {
        let ours: Vec<Rates> = rates.by_ref().take(sweep.points.len()).collect();
        compare(&mut outcome, sweep, &ours, workload.name());
    }
    let reasons = super::reasons(&outcome.rows);
    outcome.notes.extend(reasons);
    Ok(outcome)
}

fn simulate(point: &Point, workload: &Task, seed: u64) -> Result<Rates> {
    let set = [&[MEMORY.to_owned()][..], &point.sets].concat();
    let loaded = machines::load(DESIGN, &Overrides { config: None, set })?;
    let result = loaded.machine.simulate(workload, Mode::Jump, seed, &mut Nobody)?;
    let nanoseconds = result.cycles as f64 * 1e9 / result.clock_hz as f64;
    Ok(Rates {
        executed: result.ops_executed as f64 / nanoseconds,
        dense: result.ops_dense as f64 / nanoseconds,
    })
}

fn topk() -> Result<Sweep> {
    let points = published::sweep("spatten", "fig19", "throughput over top-k parallelism")?;
    let points = points.into_iter().map(|(width, published)| Point {
        label: format!("width {width}"),
        sets: vec![
            format!("topk_value.parallelism={width}"),
            format!("topk_token.parallelism={width}"),
        ],
        published,
    });
    Ok(Sweep {
        name: "parallelism of both top-k engines",
        points: points.collect(),
        base: 4,
        why: "of a run whose lists are shorter or fewer, narrow engines hold up less: the released counts of \
              WikiText-2 may not be those of the figure, and rounds of quick-select are drawn",
    })
}

fn sram() -> Result<Sweep> {
    let points = published::sweep("spatten", "fig19", "throughput over K and V SRAM in KB")?;
    let smallest = points.first().map_or(1, |point| point.0);
    let points = points.into_iter().map(|(kilobytes, published)| {
        let bytes = SRAM_BYTES * u64::from(kilobytes / smallest);
        Point {
            label: format!("{kilobytes} KB"),
            sets: vec![format!("key_sram.bytes={bytes}"), format!("value_sram.bytes={bytes}")],
            published,
        }
    });
    Ok(Sweep {
        name: "size of key and of value buffer",
        points: points.collect(),
        base: 0,
        why: "here the preset is bound by its key buffer: lines are held until the quantization decision, as in the \
              released RTL, so that a larger one lets the next keys come earlier; the paper gains nothing",
    })
}

/// Adds the rows and the table of one sweep on one workload.
fn compare(outcome: &mut Outcome, sweep: &Sweep, ours: &[Rates], workload: &str) {
    let Sweep { name, points, base, why } = sweep;
    let [base_theirs, base_executed] = [points[*base].published, ours[*base].executed];
    let mut cells = Vec::new();
    for (point, rates) in points.iter().zip(ours) {
        let note = format!("{workload}, --set {MEMORY} --set {}", point.sets.join(" --set "));
        let row = |what: &str, pair: [f64; 2], unit, why: &str| {
            let item = format!("fig19, {workload}, {}, {what}", point.label);
            Row::new(SPATTEN, item, pair, unit, why).with_note(note.clone())
        };
        let executed = row("executed", [point.published, rates.executed], "GOP/s", UNNAMED);
        let dense = row("dense-equivalent", [point.published, rates.dense], "GOP/s", UNNAMED);
        let shape = format!("executed relative to {}", points[*base].label);
        let pair = [point.published / base_theirs, rates.executed / base_executed];
        let mut shape = row(&shape, pair, "1", why);
        if point.label == points[*base].label {
            shape.why = "the point that the others are divided by".to_owned();
            shape = shape.unscored(Some(1.0));
        }
        cells.push(vec![
            point.label.clone(),
            significant(point.published),
            significant(rates.executed),
            executed.judged(),
            significant(rates.dense),
            dense.judged(),
            format!("{:.2}", point.published / base_theirs),
            format!("{:.2}", rates.executed / base_executed),
            shape.judged(),
        ]);
        outcome.rows.extend([executed, dense, shape]);
    }
    let columns = [
        ("", Left),
        ("published", Right),
        ("executed", Right),
        ("deviation", Left),
        ("dense-eq.", Right),
        ("deviation", Left),
        ("published", Right),
        ("ours", Right),
        ("deviation", Left),
    ];
    outcome.text += &format!(
        "{name}, {workload} [GOP/s; right: executed relative to {}]\n{}\n",
        points[*base].label,
        table(&columns, cells)
    );
}

fn notes() -> Vec<String> {
    vec![
        "the paper names neither the GPT-2 run of this figure, nor whether its GFLOPS count \
         executed or dense-equivalent operations: both runs with published counts and both \
         countings are shown"
            .to_owned(),
        "ideal memory in every row; the preset, like the paper, has HBM2".to_owned(),
        "same machine, workload and seed in every row but for the parameter named; nothing is \
         tuned to this figure"
            .to_owned(),
        "196 KB is 196,608 bytes, as in the released RTL; 392 and 784 KB are two and four times \
         that"
            .to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_a_legal_machine() {
        for point in topk().unwrap().points.iter().chain(&sram().unwrap().points) {
            let overrides = Overrides { config: None, set: point.sets.clone() };
            assert!(machines::load(DESIGN, &overrides).is_ok(), "{}", point.label);
        }
        let set = &sram().unwrap().points[0].sets;
        let preset = machines::load(DESIGN, &Overrides::default()).unwrap();
        let overrides = Overrides { config: None, set: set.clone() };
        let first = machines::load(DESIGN, &overrides).unwrap();
        assert_eq!(first.machine.config_hash(), preset.machine.config_hash());
    }

    #[test]
    fn a_sweep_is_compared_in_amount_and_in_shape() {
        let mut outcome = Outcome { rows: Vec::new(), text: String::new(), notes: Vec::new() };
        let ours = [20.0, 40.0, 60.0, 80.0, 100.0, 110.0];
        let ours = ours.map(|executed| Rates { executed, dense: 10.0 * executed });
        compare(&mut outcome, &topk().unwrap(), &ours, "w");
        assert_eq!(outcome.rows.len(), 18);
        let json = serde_json::to_value(&outcome.rows[2]).unwrap();
        assert_eq!(json["paper"], SPATTEN);
        assert_eq!(json["item"], "fig19, w, width 1, executed relative to width 16");
        assert_eq!(json["ours"], 0.2);
        assert_eq!(json["published"], 168.0 / 776.0);
        assert_eq!(json["verdict"], "within 10 %");
        assert_eq!(json["unit"], "1");
        let note = "w, --set memory.kind=ideal --set topk_value.parallelism=1 --set topk_token.parallelism=1";
        assert_eq!(json["note"], note);
        assert_eq!(outcome.rows[14].judged(), "not comparable");
        assert!(outcome.rows.iter().all(|row| !row.why.is_empty() && !row.why.contains("--set")));
        assert_eq!(serde_json::to_value(&outcome.rows[1]).unwrap()["ours"], 200.0);
        assert!(outcome.text.contains("width 32"), "{}", outcome.text);
    }
}
