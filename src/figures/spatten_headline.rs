//! SpAtten, what the abstract and section V-B sum up: throughput, power, DRAM traffic, work; with Table II
//! and the points of figure 18.

use std::sync::Arc;

use anyhow::{Context, Result};
use attelier_sim::observe::Observer;

use super::{
    Outcome, Row,
    measure::{Job, Measured, geomean, job, measure},
    spatten_fig14::benchmarks,
};
use crate::published;

/// SpAtten on all benchmarks: the GPT-2 ones, and the BERT ones.
struct Runs {
    gpt2: Vec<Arc<Measured>>,
    bert: Vec<Arc<Measured>>,
}

fn runs(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Runs> {
    let names = benchmarks();
    let jobs: Vec<Job> =
        names.iter().map(|name| job("spatten", &[], name, &[], seed)).collect::<Result<_>>()?;
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
    let tera = |runs: &[Arc<Measured>]| mean(runs.iter().map(|run| run.executed_per_s() / 1e12));
    let assumed = "lengths, pruning and widths of BERT are not published and assumed";
    let same = "two of eight runs have published counts; the others use those of WikiText-2";
    let all = || gpt2.iter().chain(&bert);
    let work: Vec<f64> =
        all().map(|run| run.result.ops_dense as f64 / run.result.ops_executed as f64).collect();
    let work = geomean(&work).context("there are benchmarks")?;
    let refetched = mean(gpt2.iter().map(|run| {
        let traffic = &run.result.traffic;
        100.0 * traffic.key_lsb_bytes as f64 / traffic.key_bytes.max(1) as f64
    }));
    let mut rows = vec![
        Row::beside(of("bert", "executed")?, tera(&bert), assumed),
        Row::beside(of("gpt2", "executed")?, tera(&gpt2), same),
        Row::beside(
            of("all", "computation reduction")?,
            work,
            "geometric mean of dense over executed operations; the paper does not say which mean",
        ),
        Row::not_comparable(
            of("all", "inputs that need LSBs")?,
            Some(refetched),
            "ours are LSB bytes over key bytes of the GPT-2 runs, whose refetches are given by the workload",
        ),
    ];
    rows.push(traffic(&gpt2)?);
    let ratio = |run: &Arc<Measured>| run.result.ops_dense as f64 / run.result.ops_executed as f64;
    let pruned = geomean(&gpt2.iter().map(ratio).collect::<Vec<_>>());
    rows.push(Row::beside(
        of("gpt2", "token and value pruning")?,
        pruned.context("there are GPT-2 benchmarks")?,
        "computation of the GPT-2 runs, heads included; two of eight have published counts",
    ));
    let derived = "an input of our assumed BERT workloads: they were derived from it";
    let widths = "widths of BERT are assumed, and those of six GPT-2 runs taken from two others";
    for (item, quantity, why) in [
        ("all", "token and value pruning", derived),
        ("all", "head pruning", derived),
        ("all", "DRAM saving of quantization", widths),
        (
            "bert",
            "token pruning with topk and gather on CPU or GPU, at most",
            "the models of the platforms run dense attention only",
        ),
    ] {
        rows.push(Row::not_comparable(of(item, quantity)?, None, why));
    }
    Ok(Outcome::of(rows, notes()))
}

/// Less DRAM traffic than dense attention in single precision.
fn traffic(gpt2: &[Arc<Measured>]) -> Result<Row> {
    let number = published::find("spatten", "headline", "all", "DRAM access reduction")?;
    // Of one query 4 n d operations meet 8 n d bytes of keys and values in single precision.
    let less = |run: &Arc<Measured>| 2.0 * run.result.ops_dense as f64 / run.bytes() as f64;
    let decode: Vec<f64> = gpt2.iter().map(less).collect();
    let decode = geomean(&decode).context("there are GPT-2 benchmarks")?;
    Ok(Row::not_comparable(
        number,
        Some(decode),
        "ours is the geometric mean of the eight GPT-2 runs over 32-bit keys and values; that of BERT \
         depends on widths and ratios that are not published",
    ))
}

/// Power and its parts.
pub fn table2(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let Runs { gpt2, bert } = runs(seed, observer)?;
    let all: Vec<_> = gpt2.iter().chain(&bert).collect();
    let power = |of: &dyn Fn(&Measured) -> f64| mean(all.iter().map(|run| of(run) / run.seconds));
    let sram = |run: &Measured| run.joules_of(|name| name.ends_with("_sram"));
    let dram = power(&|run| run.dram_joules());
    let total = power(&|run| run.joules_of(|_| true));
    let sram = power(&sram);
    let topk = power(&|run| run.joules_of(|name| name == "topk"));
    let of = |item: &str, quantity: &str| published::find("spatten", "table2", item, quantity);
    let low = "activity times published cost per operation, with clock, registers, wires and leakage of the \
               generated hardware; one small memory per bit is counted, as the released RTL has it, and \
               crossbars, FIFOs and control only by their clock and leakage";
    let rows = vec![
        Row::beside(of("total", "power")?, total, low),
        Row::beside(of("DRAM", "power")?, dram, "mean of 30 benchmarks; the paper names none"),
        Row::beside(of("on chip", "power")?, total - dram, low),
        Row::beside(of("SRAM", "power")?, sram, "two banks of one memory per bit of the datapath"),
        Row::beside(of("logic", "power")?, total - dram - sram, low),
        Row::beside(of("DRAM", "share of power")?, 100.0 * dram / total, "mean of 30 benchmarks"),
        Row::beside(of("top-k", "share of power")?, 100.0 * topk / total, "comparisons only"),
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
    let mut rows = Vec::new();
    for (item, runs) in [
        ("spatten/gpt2", &gpt2),
        ("spatten/bert", &bert),
        ("titan-xp/gpt2", &titan[0]),
        ("titan-xp/bert", &titan[1]),
    ] {
        let of = |quantity| published::find("spatten", "fig18", item, quantity);
        let tera = mean(runs.iter().map(|run| run.executed_per_s() / 1e12));
        let intensity =
            mean(runs.iter().map(|run| run.result.ops_executed as f64 / run.bytes() as f64));
        rows.push(Row::beside(of("executed")?, tera, "mean of the benchmarks"));
        let number = of("operations per byte")?;
        rows.push(if item.starts_with("titan") {
            let why =
                "ours counts every copy of the framework, the paper operands and outputs only";
            Row::not_comparable(number, Some(intensity), why)
        } else {
            let why = "ours counts queries, keys and values, the paper outputs too";
            Row::beside(number, intensity, why)
        });
    }
    Ok(Outcome::of(rows, Vec::new()))
}

fn notes() -> Vec<String> {
    vec!["plain means over the benchmarks, unless a row says otherwise".to_owned()]
}
