//! SpAtten, figure 20: speedup over the TITAN Xp as techniques are added, on GPT-2.

use std::sync::Arc;

use anyhow::{Result, bail};
use attelier_sim::observe::Observer;
use attelier_workloads::{Task, Workload, request::Request};

use super::{
    Outcome, Row,
    measure::{Job, measure},
};
use crate::{published, workload};

/// The one GPT-2 run whose counts with all techniques are published.
const WORKLOAD: &str = "gpt2-small/wikitext2";

/// Settings of a machine without the parallel engine.
const NARROW: [&str; 2] = ["topk_value.parallelism=1", "topk_token.parallelism=1"];

/// Rows of the figure: name, whether tokens are pruned, whether the engine is parallel, and bits of queries,
/// keys and values where they are quantised without LSB planes.
struct Step {
    name: &'static str,
    prunes: bool,
    parallel: bool,
    bits: Option<[u32; 3]>,
}

const STEPS: [Step; 4] = [
    Step { name: "dedicated datapath", prunes: false, parallel: false, bits: None },
    Step { name: "+ token pruning", prunes: true, parallel: false, bits: None },
    Step { name: "+ parallel top-k engine", prunes: true, parallel: true, bits: None },
    Step {
        name: "+ static quantization",
        prunes: true,
        parallel: true,
        // The released trace of this step, of another model.
        bits: Some([16, 12, 8]),
    },
];

/// The last row: the preset as it is.
const LAST: &str = "+ progressive quantization";

/// Simulates every row.
pub fn reproduce(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let load = |name: &str| match workload::task(name, &[], seed)? {
        Task::Attention(workload) => Ok(workload),
        other => bail!("`{name}` is {}", other.kind()),
    };
    let (pruned, dense) = (load(WORKLOAD)?, load(&format!("{WORKLOAD}/dense"))?);
    let on = |design: &str, sets: &[&str], workload: Workload| Job {
        design: design.to_owned(),
        sets: sets.iter().map(ToString::to_string).collect(),
        task: Arc::new(Task::Attention(workload)),
    };
    let mut jobs = vec![on("titan-xp", &[], dense.clone()), on("spatten", &[], pruned.clone())];
    for step in &STEPS {
        let base = if step.prunes { &pruned } else { &dense };
        let sets: &[&str] = if step.parallel { &[] } else { &NARROW };
        jobs.push(on("spatten", sets, quantised(base, step.bits)));
    }
    let found = measure(&jobs, seed, observer)?;
    let titan = found[0].seconds;
    let mut rows = Vec::new();
    let mut last = titan;
    let measured = STEPS.iter().map(|step| step.name).zip(&found[2..]);
    for (name, run) in measured.chain([(LAST, &found[1])]) {
        let of = |quantity| published::find("spatten", "fig20", name, quantity);
        let note = format!("{WORKLOAD}; the paper shows the mean of eight GPT-2 runs");
        rows.push(Row::beside(of("speedup over titan-xp")?, titan / run.seconds, note.clone()));
        let factor = format!("{note}; printed factors and printed speedups do not agree exactly");
        rows.push(Row::beside(of("factor")?, last / run.seconds, factor));
        last = run.seconds;
    }
    let why = "this run has no head pruning; that of GPT-2-Medium is in its preset";
    for quantity in ["speedup over titan-xp", "factor"] {
        let number = published::find("spatten", "fig20", "+ head pruning", quantity)?;
        rows.push(Row::not_comparable(number, None, why));
    }
    let work = |run: usize| found[run].result.ops_executed as f64;
    let number =
        published::find("spatten", "fig20", "+ token pruning", "reduction of computation")?;
    let why = "token and local value pruning of one run; the paper shows a mean of eight";
    rows.push(Row::beside(number, work(2) / work(1), why));
    Ok(Outcome::of(rows, notes()))
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
        let Task::Attention(pruned) = workload::task(WORKLOAD, &["tokens=2"], 0).unwrap() else {
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
