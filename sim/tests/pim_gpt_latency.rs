//! Latency of a token: rows times (tRP + tRCD + 64 tCCD), and every overhead as a term of its own.
//!
//! The terms are closed forms of model sizes and parameters; nothing of the simulator enters. All
//! are command cycles of one layer.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use attelier_hw::config;
use attelier_hw::pim_gpt::PimGpt;
use attelier_sim::designs::pim_gpt::simulate;
use attelier_sim::kernel::run::Mode;
use attelier_sim::observe::Nobody;
use attelier_workloads::decoding::load_with;
use attelier_workloads::{Knobs, decoding::DecoderShape};

/// Tokens attended to: the mean of 1,024 generated ones.
const CONTEXT: u64 = 512;
const BANKS: u64 = 128;
const CHANNELS: u64 = 8;
/// Numbers of a row, and of a vector chunk.
const ROW: u64 = 1024;
/// Numbers of a burst, of a MAC command, and banks of a channel.
const BURST: u64 = 16;
/// MAC commands of a row.
const COLUMNS: u64 = 64;

/// Rows and MAC commands of every bank.
#[derive(Default)]
struct Work {
    rows: u64,
    macs: u64,
}

impl Work {
    /// `results` dot products of `inputs` numbers each, without gaps.
    fn add(&mut self, results: u64, inputs: u64) {
        let macs = results * inputs.div_ceil(BURST);
        self.macs += macs;
        self.rows += macs.div_ceil(COLUMNS);
    }
}

struct Sizes {
    hidden: u64,
    heads: u64,
    head_dim: u64,
}

impl Sizes {
    fn new(shape: &DecoderShape) -> Self {
        let [hidden, heads, head_dim] = [shape.hidden, shape.heads, shape.head_dim].map(u64::from);
        Self { hidden, heads, head_dim }
    }

    /// Turns in which the heads go to the channels, and columns of a head in one bank.
    fn value_rows(&self) -> (u64, u64) {
        (self.heads.div_ceil(CHANNELS), self.head_dim.div_ceil(BURST))
    }

    /// Heads of each chunk of keys.
    fn key_chunks(&self) -> Vec<u64> {
        let chunks = self.heads.div_ceil(ROW / self.head_dim);
        let share = |index| self.heads / chunks + u64::from(index < self.heads % chunks);
        (0..chunks).map(share).collect()
    }

    fn work(&self) -> Work {
        let mut work = Work::default();
        let d = self.hidden;
        for (inputs, outputs) in [(d, 3 * d), (d, d), (d, 4 * d), (4 * d, d)] {
            for start in (0..inputs).step_by(1024) {
                work.add(outputs.div_ceil(BANKS), ROW.min(inputs - start));
            }
        }
        for heads in self.key_chunks() {
            work.add(CONTEXT.div_ceil(BANKS) * heads, self.head_dim);
        }
        let (rounds, groups) = self.value_rows();
        for _ in 0..rounds * groups {
            work.add(1, CONTEXT);
        }
        work
    }
}

/// Terms of one layer \[command cycles\].
fn terms(machine: &PimGpt, sizes: &Sizes) -> Vec<(&'static str, f64)> {
    let t = &machine.timing;
    let [rp, rcd, rcd_wr, ccd, wr] =
        [t.n_rp, t.n_rcd_mac, t.n_rcd_wr, t.n_ccd, t.n_cwl + t.n_bl + t.n_wr].map(u64::from);
    // Command cycles of one of the ASIC.
    let asic = machine.command_hz() / machine.asic.clock_hz;
    let a = &machine.asic;
    let [operation, exp, gelu, rsqrt] =
        [a.operation_cycles, a.exp_cycles, a.gelu_cycles, a.rsqrt_cycles]
            .map(|cycles| u64::from(cycles) * asic);
    // One number from every bank meets one lane each, and two adders.
    let (lanes, adders) = (u64::from(a.multipliers), u64::from(a.adders));
    assert_eq!((lanes, adders), (BANKS, 2 * BANKS));
    let additions = |count: u64| (count * asic).div_ceil(2);

    let Sizes { hidden, .. } = *sizes;
    let (rounds, groups) = sizes.value_rows();
    let work = sizes.work();
    // All numbers of a matrix without idle banks and half-filled rows, as published estimates count.
    let numbers = 12 * hidden * hidden + 2 * CONTEXT * hidden;
    let ideal = numbers as f64 / (BANKS * ROW) as f64;
    let row = (rp + rcd + COLUMNS * ccd) as f64;
    let opened = (work.rows * (rp + rcd) + work.macs * ccd) as f64;

    // The first chunk of each vector: normalized state twice, queries, mixed heads, activations;
    // and the probabilities of each turn.
    let key_chunks = sizes.key_chunks();
    let state = hidden.min(ROW).div_ceil(BURST);
    let queries = (key_chunks[0] * sizes.head_dim).div_ceil(BURST);
    let activations = (4 * hidden).min(ROW).div_ceil(BURST);
    let bursts = 3 * state + queries + activations + rounds * CONTEXT.div_ceil(BURST);
    // The banks precharge meanwhile, but for the first: there nothing was open.
    let starts = 5 + rounds;

    // A row of one bank per chunk of keys; it opens when the one before it has been closed.
    let pieces = key_chunks.len() as u64;
    let keys = pieces * (rcd_wr + wr) + (hidden / BURST - pieces) * ccd + (pieces - 1) * rp;
    // A row of all banks per column of a head, opened, written once, closed.
    let values = rounds * groups * (rp + rcd_wr + wr);

    // Last MAC, precharge, read-out, and its data on the bus; the MAC's own slot is in the rows.
    let result = 1 + u64::from(t.n_cl + t.n_bl);
    // Beat and latency of what the results meet: bias, division, residual twice, activation.
    let beat = |additions_of: u64, latency: u64| additions(additions_of) + latency;
    let divide = beat(2, 2 * operation);
    let residual = beat(5, 3 * operation);
    let activation = beat(2, gelu);
    // Sums of all lanes, inverse root, two operations; then the vector leaves with its first beat.
    let norm = u64::from(adders.ilog2()) * operation + rsqrt + 2 * operation + 2 * asic;
    // The keys open their row when the banks are precharged and the numbers are there.
    let bias = (result + beat(2, 2 * operation)).max(rp);
    // Probabilities of the first turn; the banks write values meanwhile.
    let turn = sizes.heads.min(CHANNELS) * CONTEXT;
    let softmax = result + additions(1) + exp + (turn * asic).div_ceil(lanes).min(asic);
    let waits = [
        bias,
        softmax.saturating_sub(values),
        result + divide,
        2 * (result + residual + norm),
        result + activation,
    ];
    vec![
        ("rows", ideal * row),
        ("idle banks and half-filled rows", opened - ideal * row),
        ("vectors", (bursts * ccd) as f64),
        ("precharges behind vectors", -((starts * rp) as f64)),
        ("keys", keys as f64),
        ("values", values as f64),
        ("results and ASIC", waits.iter().sum::<u64>() as f64),
    ]
}

/// Microseconds per token of ideal rows of 88 ns, from the published sizes of the models.
const ROWS_US: [(&str, f64); 8] = [
    ("gpt2-small", 63.4),
    ("gpt2-medium", 219.6),
    ("gpt2-large", 506.9),
    ("gpt2-xl", 1042.8),
    ("gpt3-small", 63.4),
    ("gpt3-medium", 219.6),
    ("gpt3-large", 481.5),
    ("gpt3-xl", 844.8),
];

#[test]
fn latency_is_that_of_the_rows_and_stated_overheads() {
    let machine = PimGpt::check(&config::load("pim-gpt", None, &[]).unwrap()).unwrap();
    let refresh = f64::from(machine.timing.n_rfc) / f64::from(machine.timing.n_refi);
    for (model, rows_us) in ROWS_US {
        let knobs =
            Knobs { tokens: Some(1), context: Some(CONTEXT as u32 - 1), ..Knobs::default() };
        let token = load_with(model, &knobs).unwrap();
        let us = |cycles: f64| cycles * 1e6 / machine.command_hz() as f64;
        let layers = f64::from(token.shape.layers);
        let terms = terms(&machine, &Sizes::new(&token.shape));
        assert!((us(terms[0].1 * layers) - rows_us).abs() < 0.06, "{model}: rows");
        let without: f64 = terms.iter().map(|(_, cycles)| us(cycles * layers)).sum();
        let stated = without / (1.0 - refresh);
        let ours = us(simulate(&machine, &token, Mode::Jump, &mut Nobody).unwrap().cycles as f64);
        let listed: Vec<String> = terms
            .iter()
            .map(|(name, cycles)| format!("{name} {:.2}", us(cycles * layers)))
            .chain([format!("refresh {:.2}", stated - without)])
            .collect();
        eprintln!(
            "{model}: {ours:.1} us, stated {stated:.1} ({:+.2} %): {}",
            100.0 * (ours / stated - 1.0),
            listed.join(", ")
        );
        assert!((ours / stated - 1.0).abs() < 0.05, "{model}: {ours} us, {stated} stated");
    }
}
