//! SpAtten, what the abstract and section V-B sum up: throughput, power, DRAM traffic, work; with Table II
//! and the points of figure 18.

use std::sync::Arc;

use anyhow::{Context, Result};
use attelier_sim::observe::Observer;
use attelier_workloads::{Request, Task};

use super::{
    Outcome, Row,
    measure::{Job, Measured, geomean, job, measure},
    spatten_fig13::Chip,
    spatten_fig14::{benchmarks, workload},
};
use crate::{
    published::{self, Number, SPATTEN},
    workload::task,
};

/// SpAtten on all benchmarks: the GPT-2 ones, and the BERT ones.
struct Runs {
    gpt2: Vec<Arc<Measured>>,
    bert: Vec<Arc<Measured>>,
}

fn runs(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Runs> {
    let names = benchmarks();
    let jobs: Vec<Job> = names
        .iter()
        .map(|name| job("spatten", &[], &workload(name), &[], seed))
        .collect::<Result<_>>()?;
    let found = measure(&jobs, seed, observer)?;
    let (gpt2, bert): (Vec<_>, Vec<_>) =
        names.into_iter().zip(found).partition(|(name, _)| name.starts_with("gpt2"));
    let runs = |named: Vec<(&str, Arc<Measured>)>| named.into_iter().map(|(_, run)| run).collect();
    Ok(Runs { gpt2: runs(gpt2), bert: runs(bert) })
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.into_iter().collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// Throughput, traffic and work over all benchmarks.
pub fn reproduce(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let Runs { gpt2, bert } = runs(seed, observer)?;
    let of = |item: &str, quantity: &str| published::find("spatten", "headline", item, quantity);
    let reduction = |runs: &[Arc<Measured>]| {
        let ratio =
            |run: &Arc<Measured>| run.result.ops_dense as f64 / run.result.ops_executed as f64;
        geomean(&runs.iter().map(ratio).collect::<Vec<_>>()).context("there are benchmarks")
    };
    let all: Vec<Arc<Measured>> = gpt2.iter().chain(&bert).cloned().collect();
    let mut rows = Vec::new();
    rows.extend(executed(of("bert", "executed")?, &bert, "lengths of all tasks are assumed"));
    rows.extend(executed(
        of("gpt2", "executed")?,
        &gpt2,
        "counts of two runs are released, those of the others taken from them",
    ));
    rows.push(Row::not_comparable(
        of("all", "computation reduction")?,
        Some(reduction(&all)?),
        "an input for 22 of the 30: pruning of BERT is derived from the published means of 1.9 and 1.1; the row of \
         GPT-2 below has counts of its own",
    ));
    rows.push(Row::not_comparable(
        of("all", "inputs that need LSBs")?,
        None,
        "an input: 7.0 % of the heads in the released trace of GPT-2-Small, and this number itself for \
         GPT-2-Medium; `attelier run spatten MODEL` measures it on real values",
    ));
    rows.extend(traffic(seed, &all)?);
    rows.push(Row::beside(
        of("gpt2", "token and value pruning")?,
        reduction(&gpt2)?,
        "computation of the GPT-2 runs, heads of GPT-2-Medium included; two of eight have published counts",
    ));
    for (item, quantity, why) in [
        (
            "all",
            "token and value pruning",
            "an input: pruning of the BERT workloads is derived from it, 1.9^30 / 3.8^8 over 22",
        ),
        ("all", "head pruning", "an input of the BERT workloads"),
        (
            "bert",
            "token pruning with topk and gather on CPU or GPU, at most",
            "a batch of sentences with topk and gather of PyTorch between layers; the platforms here run dense \
             attention of one sentence",
        ),
    ] {
        rows.push(Row::not_comparable(of(item, quantity)?, None, why));
    }
    Ok(Outcome::of(rows, notes()))
}

/// Executed operations per second as a mean of the runs, and all operations over all time: the paper does not
/// say which it is.
fn executed(number: &Number, runs: &[Arc<Measured>], assumed: &str) -> [Row; 2] {
    let tera: Vec<f64> = runs.iter().map(|run| run.executed_per_s() / 1e12).collect();
    let least = tera.iter().copied().fold(f64::INFINITY, f64::min);
    let most = tera.iter().copied().fold(0.0, f64::max);
    let sum = |of: &dyn Fn(&Measured) -> f64| runs.iter().map(|run| of(run)).sum::<f64>();
    let over_all = sum(&|run| run.result.ops_executed as f64) / sum(&|run| run.seconds) / 1e12;
    let note = format!("plain mean, from {least:.3} to {most:.3} TFLOPS");
    let item = format!("{}: executed, all operations over all time", number.item);
    let other = Row::new(SPATTEN, item, [number.value, over_all], &number.unit, assumed);
    [
        Row::beside(number, mean(tera), assumed).with_note(note),
        other.with_note("the longest runs weigh most"),
    ]
}

/// Less DRAM traffic than dense attention in single precision, and the part of it that narrow operands have.
fn traffic(seed: u64, all: &[Arc<Measured>]) -> Result<[Row; 2]> {
    let (gpt2, bert): (Vec<_>, Vec<_>) =
        benchmarks().into_iter().partition(|name| name.starts_with("gpt2"));
    let (mut whole, mut narrow) = (Vec::new(), Vec::new());
    for (name, run) in gpt2.iter().chain(&bert).zip(all) {
        let wide = |name: &str| Ok::<_, anyhow::Error>(wide_bytes(&task(name, &[], seed)?));
        whole.push(wide(&format!("{name}/dense"))? / run.bytes() as f64);
        narrow.push(wide(&workload(name))? / run.bytes() as f64);
    }
    let split = |values: &[f64]| -> Result<[f64; 3]> {
        let (gpt2, bert) = values.split_at(gpt2.len());
        let mean = |values: &[f64]| geomean(values).context("there are benchmarks");
        Ok([mean(values)?, mean(bert)?, mean(gpt2)?])
    };
    let row = |quantity: &str, [mean, bert, gpt2]: [f64; 3]| {
        let number = published::find("spatten", "headline", "all", quantity)?;
        let why = "no local values are pruned and no narrower bits than 8 stored on BERT, 22 of the 30, because the \
                   paper gives neither: vectors of 8 bits save 4 times at most, less what fills a transaction";
        let note = format!(
            "geometric mean of 30 over queries, keys and values of 32 bits; {bert:.1} on BERT, {gpt2:.1} on GPT-2"
        );
        Ok::<_, anyhow::Error>(Row::beside(number, mean, why).with_note(note))
    };
    Ok([
        row("DRAM access reduction", split(&whole)?)?,
        row("DRAM saving of quantization", split(&narrow)?)?,
    ])
}

/// Bytes of all queries, keys and values of a task in single precision.
fn wide_bytes(task: &Task) -> f64 {
    let Task::Attention(workload) = task else { return f64::NAN };
    let vectors = |r: &Request| u64::from(r.queries) + u64::from(r.keys) + u64::from(r.values);
    let bytes = |r: &Request| 4 * vectors(r) * u64::from(r.head_dim);
    workload.requests.iter().map(bytes).sum::<u64>() as f64
}

/// Power and its parts.
pub fn table2(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let Runs { gpt2, bert } = runs(seed, observer)?;
    let chip = Chip::preset()?;
    let all: Vec<_> = gpt2.iter().chain(&bert).collect();
    let power = |of: &dyn Fn(&Measured) -> f64| mean(all.iter().map(|run| of(run) / run.seconds));
    let dram = power(&|run| run.dram_joules());
    let total = power(&|run| run.joules_of(|_| true));
    let sram = power(&|run| run.joules_of(|name| name.ends_with("_sram")));
    let topk = power(&|run| chip.topk_joules(run));
    let of = |item: &str, quantity: &str| published::find("spatten", "table2", item, quantity);
    let watts =
        |runs: &[Arc<Measured>]| mean(runs.iter().map(|run| run.dram_joules() / run.seconds));
    let rate =
        |runs: &[Arc<Measured>]| mean(runs.iter().map(|run| run.bytes() as f64 / run.seconds));
    let note = format!(
        "DRAM takes {:.2} W at {:.0} GB/s on GPT-2, {:.2} W at {:.0} GB/s on BERT",
        watts(&gpt2),
        1e-9 * rate(&gpt2),
        watts(&bert),
        1e-9 * rate(&bert)
    );
    // Figure 18 gives operations per byte and operations per second of both families.
    let fig18 = |item, quantity| published::value("spatten", "fig18", item, quantity);
    let theirs = |item| {
        Ok::<_, anyhow::Error>(1e3 * fig18(item, "executed")? / fig18(item, "operations per byte")?)
    };
    let bursts = format!(
        "5.71 W are 182 GB/s at the 3.92 pJ per bit of an average HBM2; by figure 18 the paper moves {:.0} GB/s on \
         GPT-2 and {:.0} GB/s on BERT, so its power must be that of GPT-2, ours is the mean of 30 benchmarks of which \
         22 are BERT",
        theirs("spatten/gpt2")?,
        theirs("spatten/bert")?
    );
    let logic = "activity times published cost per operation, with clock, registers, wires and leakage of the \
                 generated hardware; of crossbars, FIFOs and control only clock and leakage are counted";
    let topk_why = "comparisons, clock, registers and leakage; the logic that moves the survivors is not in it, \
                    and 22 of 30 benchmarks prune no local values, but tokens and heads once a layer";
    let rows = vec![
        Row::beside(of("total", "power")?, total, bursts.clone())
            .with_note(note.clone())
            .summing_up(),
        Row::beside(of("DRAM", "power")?, dram, bursts.clone()).with_note(note.clone()),
        Row::beside(of("on chip", "power")?, total - dram, logic),
        Row::beside(of("SRAM", "power")?, sram, "two banks of one memory per bit of the datapath"),
        Row::beside(of("logic", "power")?, total - dram - sram, logic),
        Row::beside(of("DRAM", "share of power")?, 100.0 * dram / total, bursts).with_note(note),
        Row::beside(of("top-k", "share of power")?, 100.0 * topk / total, topk_why)
            .with_note("of the power with DRAM; the energy is that of figure 13"),
    ];
    Ok(Outcome::of(rows, vec!["plain mean of the power of all 30 benchmarks".to_owned()]))
}

/// Points under the roofs.
pub fn fig18(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let Runs { gpt2, bert } = runs(seed, observer)?;
    let platform = |names: &[&str], observer: &mut (dyn Observer + Send)| {
        let jobs: Vec<Job> = names
            .iter()
            .map(|name| job("titan-xp", &[], name, &[], seed))
            .collect::<Result<_>>()?;
        measure(&jobs, seed, observer)
    };
    let (gpt2_names, bert_names): (Vec<&str>, Vec<&str>) =
        benchmarks().into_iter().partition(|name| name.starts_with("gpt2"));
    let titan = [platform(&gpt2_names, observer)?, platform(&bert_names, observer)?];
    let tera = |run: &Measured| run.executed_per_s() / 1e12;
    let of_squad = |is: bool| {
        let named = bert_names.iter().zip(&titan[1]);
        mean(named.filter(|(name, _)| name.contains("/squad") == is).map(|(_, run)| tera(run)))
    };
    let squad = format!(
        "{:.3} TFLOPS on the four tasks of SQuAD, {:.3} on the 18 short ones: on SQuAD the published speedups make the \
         TITAN Xp six to seven times slower than its calls and copies explain (figure 14)",
        of_squad(true),
        of_squad(false)
    );
    // Of n keys and queries of 8 bits, 4 n^2 d operations over 3 n d bytes.
    let lengths = "attention of n tokens in 8 bits has 4n/3 operations per byte of queries, keys and values: our tasks, \
                   whose lengths are assumed, have 64 tokens on average, of which pruning leaves 52; the paper's 83 \
                   need 62 that are left, and more if its outputs are counted";
    let mut rows = Vec::new();
    for (item, runs, speed, bytes) in [
        ("spatten/gpt2", &gpt2, "", ""),
        ("spatten/bert", &bert, "", lengths),
        ("titan-xp/gpt2", &titan[0], "", ""),
        ("titan-xp/bert", &titan[1], squad.as_str(), ""),
    ] {
        let of = |quantity| published::find("spatten", "fig18", item, quantity);
        let intensity =
            mean(runs.iter().map(|run| run.result.ops_executed as f64 / run.bytes() as f64));
        let executed = Row::beside(of("executed")?, mean(runs.iter().map(|run| tera(run))), speed);
        rows.push(executed.with_note("mean of the benchmarks").summing_up());
        let number = of("operations per byte")?;
        rows.push(if item.starts_with("titan") {
            let why =
                "ours counts every copy of the framework, the paper operands and outputs only";
            Row::not_comparable(number, Some(intensity), why)
        } else {
            Row::beside(number, intensity, bytes).with_note("bytes of queries, keys and values")
        });
    }
    Ok(Outcome::of(rows, Vec::new()))
}

fn notes() -> Vec<String> {
    vec!["plain means over the benchmarks, unless a row says otherwise".to_owned()]
}
