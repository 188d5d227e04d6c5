//! Presets against the traces released with the SpAtten paper, request by request.
//!
//! The traces are not part of this repository. They are looked for in the folder named by
//! `ATTELIER_SHARED`, or `../shared` beside the repository; where they are absent the tests say so
//! and pass, unless `ATTELIER_REQUIRE_ALL=1`.

use attelier_workloads::{Request, Workload, load, open};

mod common;

fn released(name: &str) -> Option<Workload> {
    let path = common::shared("data/spatten")?.join(name);
    Some(open(&path).expect("a released trace is readable"))
}

/// Everything but whether the LSBs were needed, which depends on data.
fn without_lsb_need(request: &Request) -> Request {
    Request { requant: false, ..request.clone() }
}

fn compare(preset: &str, file: &str) -> Option<(Workload, Workload)> {
    let released = released(file)?;
    let ours = load(preset).expect("a preset of that name");
    assert_eq!(ours.requests.len(), released.requests.len(), "{preset}");
    for (ours, released) in ours.requests.iter().zip(&released.requests) {
        assert_eq!(without_lsb_need(ours), without_lsb_need(released), "{preset}");
    }
    eprintln!("{preset}: {} requests equal", ours.requests.len());
    Some((ours, released))
}

#[test]
fn gpt2_small_dense_is_the_released_trace() {
    let file = "summary-gpt2-small-wikitext2-per8-step1+dedic.csv.gz";
    if let Some((ours, released)) = compare("gpt2-small/wikitext2/dense", file) {
        assert_eq!(ours.requests, released.requests);
    }
}

#[test]
fn gpt2_medium_dense_is_the_released_trace() {
    let file = "summary-gpt2-medium-ptb-per0.csv.gz";
    if let Some((ours, released)) = compare("gpt2-medium/ptb/dense", file) {
        assert_eq!(ours.requests, released.requests);
    }
}

#[test]
fn gpt2_medium_pruned_is_the_released_trace() {
    let file =
        "summary-gpt2-medium-wikitext2-per0-hp-step5+dedic+glob_p+local_p+hp+topk+quant.csv.gz";
    if let Some((ours, released)) = compare("gpt2-medium/wikitext2", file) {
        assert_eq!(ours.requests, released.requests);
    }
}

#[test]
fn gpt2_small_pruned_is_the_released_trace_up_to_the_seeded_lsb_draw() {
    let file = "summary-gpt2-small-wikitext2-per8.csv.gz";
    let Some((ours, released)) = compare("gpt2-small/wikitext2", file) else { return };
    let lsb = |w: &Workload, keep: &dyn Fn(&Request) -> bool| {
        w.requests.iter().filter(|r| r.requant && keep(r)).count()
    };
    assert_eq!(lsb(&released, &|_| true), 323);
    // 304 of the 323 have rate 1; the rest are draws with a standard deviation of 4.1 in total.
    let total = lsb(&ours, &|_| true);
    assert!(total.abs_diff(323) <= 13, "{total} LSB requests instead of 323 +- 3 sigma");
    // Per layer and token: drawn are at most 5 of 12 heads on average, and layers stay apart.
    for iteration in 0..32 {
        for layer in 0..12 {
            let here = |r: &Request| r.iteration == iteration && r.layer == layer;
            let (a, b) = (lsb(&ours, &here), lsb(&released, &here));
            assert!(a.abs_diff(b) <= 6, "iteration {iteration}, layer {layer}: {a} instead of {b}");
        }
    }
}

#[test]
fn the_single_request_sample_is_read() {
    let Some(sample) = released("small.csv") else { return };
    assert_eq!(sample.requests.len(), 1);
    assert_eq!(sample.requests[0].keys, 993);
    assert_eq!(sample.name, "small");
    assert!(sample.provenance.contains("medium_baseline_train+eval"), "{}", sample.provenance);
}
