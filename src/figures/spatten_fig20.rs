//! SpAtten, figure 20: speedup over the TITAN Xp as techniques are added, on GPT-2.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use attelier_sim::observe::Observer;
use attelier_workloads::{Task, Workload, request::Request};

use super::{
    Outcome, Row,
    measure::{Job, Measured, geomean, measure},
    spatten_fig14::workload,
};
use crate::{published, workload::task};

/// The GPT-2 runs whose counts are released.
const WORKLOADS: [&str; 2] = ["gpt2-small/wikitext2", "gpt2-medium/wikitext2"];

/// Settings of a machine without the parallel engine.
const NARROW: [&str; 2] = ["topk_value.parallelism=1", "topk_token.parallelism=1"];

/// Rows of the figure: name, whether tokens are pruned, whether the engine is parallel, and bits of queries,
/// keys and values where they are quantised without LSB planes.
struct Step {
    name: &'static str,
    prunes: bool,
    parallel: bool,
    bits: Option<[u32; 3]>,
    /// Why it is where it is.
    why: &'static str,
}

const STEPS: [Step; 4] = [
    Step {
        name: "dedicated datapath",
        prunes: false,
        parallel: false,
        bits: None,
        why: "keys of 8 + 4 bits computed twice and values of 8, as the released harness times this step; operands \
              of 32 bits would take 3.2 times the bytes",
    },
    Step {
        name: "+ token pruning",
        prunes: true,
        parallel: false,
        bits: None,
        why: "with heads of GPT-2-Medium; the engine of one comparator takes longer than pruning saves",
    },
    Step {
        name: "+ parallel top-k engine",
        prunes: true,
        parallel: true,
        bits: None,
        why: "operands are narrow before the quantization steps already, see the first row",
    },
    Step {
        name: "+ static quantization",
        prunes: true,
        parallel: true,
        // The released trace of this step, of another model.
        bits: Some([16, 12, 8]),
        why: "the step before is stored in the same bits, so nothing is gained here",
    },
];

/// The last row: all techniques.
const LAST: &str = "+ progressive quantization";
const LAST_WHY: &str =
    "all techniques, geometric mean of one run of each model; the paper shows the mean of eight";

/// Simulates every row.
pub fn reproduce(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    // Of each workload: the platform, all techniques, then the steps.
    let mut jobs = Vec::new();
    for name in WORKLOADS {
        let (pruned, dense) = (load(name, seed)?, load(&format!("{name}/dense"), seed)?);
        jobs.push(on("titan-xp", &[], dense.clone()));
        jobs.push(on("spatten", &[], load(&workload(name), seed)?));
        for step in &STEPS {
            let base = if step.prunes { &pruned } else { &dense };
            let sets: &[&str] = if step.parallel { &[] } else { &NARROW };
            jobs.push(on("spatten", sets, quantised(base, step.bits)));
        }
    }
    let found = measure(&jobs, seed, observer)?;
    let runs = found.chunks(STEPS.len() + 2);
    let speedup = |at: usize| {
        let one = |run: &[Arc<Measured>]| run[0].seconds / run[at].seconds;
        geomean(&runs.clone().map(one).collect::<Vec<_>>()).context("there are workloads")
    };
    let mut rows = Vec::new();
    let mut last = 1.0;
    let steps = STEPS.iter().map(|step| (step.name, step.why)).zip(2..);
    for ((name, why), at) in steps.chain([((LAST, LAST_WHY), 1)]) {
        let of = |quantity| published::find("spatten", "fig20", name, quantity);
        let ours = speedup(at)?;
        rows.push(Row::beside(of("speedup over titan-xp")?, ours, why));
        let note = "printed factors and printed speedups do not agree exactly";
        rows.push(Row::beside(of("factor")?, ours / last, why).with_note(note));
        last = ours;
    }
    let why = "part of the step before: the released counts of GPT-2-Medium prune heads and tokens together, those \
               of GPT-2-Small no heads";
    for quantity in ["speedup over titan-xp", "factor"] {
        let number = published::find("spatten", "fig20", "+ head pruning", quantity)?;
        rows.push(Row::not_comparable(number, None, why));
    }
    let work = |run: &[Arc<Measured>]| {
        let ops = |at: usize| run[at].result.ops_executed as f64;
        ops(2) / ops(3)
    };
    let work: Vec<f64> = runs.map(work).collect();
    let number =
        published::find("spatten", "fig20", "+ token pruning", "reduction of computation")?;
    let why = format!(
        "tokens, values and, on GPT-2-Medium, heads: {:.2} on GPT-2-Small, {:.2} on GPT-2-Medium; the paper \
         shows a mean of eight without heads",
        work[0], work[1]
    );
    rows.push(Row::beside(number, geomean(&work).context("there are workloads")?, why));
    Ok(Outcome::of(rows, notes()))
}

fn load(name: &str, seed: u64) -> Result<Workload> {
    match task(name, &[], seed)? {
        Task::Attention(workload) => Ok(workload),
        other => bail!("`{name}` is {}", other.kind()),
    }
}

fn on(design: &str, sets: &[&str], workload: Workload) -> Job {
    Job {
        design: design.to_owned(),
        sets: sets.iter().map(ToString::to_string).collect(),
        task: Arc::new(Task::Attention(workload)),
    }
}

/// The same requests with these bits of queries, keys and values and no LSB planes.
fn quantised(workload: &Workload, bits: Option<[u32; 3]>) -> Workload {
    let requests = workload.requests.iter().map(|request| {
        let mut request: Request = request.clone();
        [request.widths.query, request.widths.key, request.widths.value] = match bits {
            Some(bits) => bits.map(Some),
            None => [None; 3],
        };
        request.widths.key_lsb = 0;
        (request.requant, request.requant_threshold) = (false, None);
        request
    });
    Workload { requests: requests.collect(), ..workload.clone() }
}

fn notes() -> Vec<String> {
    vec![
        "rows before quantization read keys as 8 + 4 bits and compute them twice, and values as 8 bits: the \
         released harness times unquantised requests so, and so do we; they are not rows in single precision"
            .to_owned(),
        "the TITAN Xp is its model, calibrated on GPT-2-Medium".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_differ_in_what_they_say() {
        let Task::Attention(pruned) = task(WORKLOADS[0], &["tokens=2"], 0).unwrap() else {
            panic!("attention")
        };
        let plain = quantised(&pruned, None);
        assert!(plain.check().is_ok());
        assert!(plain.requests.iter().all(|request| request.widths.key.is_none()));
        assert_eq!(plain.requests[40].keys, pruned.requests[40].keys);
        let fixed = quantised(&pruned, Some([16, 12, 8]));
        assert!(fixed.check().is_ok());
        assert_eq!(fixed.requests[7].widths.value, Some(8));
    }
}
