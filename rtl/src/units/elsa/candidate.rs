//! Candidate selection of a bank: which keys of a word come near enough to the query.

use std::sync::Arc;

use attelier_hw::elsa::Elsa;

use crate::{
    Error, ModuleBuilder, Signal,
    bits::{Bits, index_width},
    ir::Module,
    units::spatten::parts::{delay, history},
};

/// Difference, count, cosine, product, comparison.
const STAGES: u32 = 5;

/// The module `elsa_candidate`: an `elsa_candidate_lane` for each key of a word.
///
/// # Errors
/// None for a checked machine.
pub fn elsa_candidate(params: &Elsa) -> Result<Arc<Module>, Error> {
    let lanes = params.pipeline.selectors;
    let words = params.rows.div_ceil(params.pipeline.banks).div_ceil(lanes);
    let estimate_bits = estimate_bits(params);
    let lane = candidate_lane(params)?;
    let m = ModuleBuilder::new("elsa_candidate");
    m.doc("Selection modules of a bank. A word of keys enters with hashes and norms in each cycle; the bits of");
    m.doc("`m_axis_tkeep` say which of them are candidates of the query. Query and threshold stay until others");
    m.doc("are written; the threshold is that of the cycle of the comparison.");
    m.parameter("KEYS", lanes);
    m.parameter("HASH_BITS", params.head_dim);
    m.parameter("NORM_BITS", params.format.norm_bits);
    m.latency(format!("{STAGES} cycles: difference, count, cosine, product, comparison"));
    let query_write = m.input("query_write", 1);
    let query_hash = m.input("query_hash", params.head_dim);
    let threshold_write = m.input("threshold_write", 1);
    let threshold = m
        .input("threshold", estimate_bits)
        .comment("Learned threshold times the largest norm, two's complement.");
    let valid = m.input("s_axis_tvalid", 1);
    let row = m.input("s_axis_trow", index_width(words.into()));
    let keep = m.input("s_axis_tkeep", lanes).comment("Which keys there are.");
    let hashes = m.inputs("key_hash", lanes, params.head_dim);
    let norms = m.inputs("key_norm", lanes, params.format.norm_bits);

    let query = m.pipe_when("query", &query_write, &query_hash);
    let limit = m.pipe_when("limit", &threshold_write, &threshold);
    let candidates: Vec<Signal> = (0..)
        .zip(hashes.iter().zip(&norms))
        .map(|(at, (hash, norm)): (u32, _)| {
            let instance = m.instance(format!("lane_{at}"), &lane);
            instance
                .input("query_hash", &query)
                .input("key_hash", hash)
                .input("key_norm", norm)
                .input("is_key", keep.bit(at))
                .input("threshold", &limit);
            instance.output("is_candidate")
        })
        .collect();
    let valids = history(&m, "valid", &valid, STAGES);
    m.output("m_axis_tvalid", &valids[STAGES as usize]);
    m.output("m_axis_trow", &delay(&m, "row", &row, STAGES));
    m.output("m_axis_tkeep", &m.pack(&candidates));
    m.finish()
}

/// Bits of an estimate: a signed cosine that may be 1, times a norm.
fn estimate_bits(params: &Elsa) -> u32 {
    cosine_bits(params) + params.format.norm_bits + 1
}

/// A sign, a one and the fraction.
fn cosine_bits(params: &Elsa) -> u32 {
    params.selection.cosine_fraction_bits + 2
}

fn candidate_lane(params: &Elsa) -> Result<Arc<Module>, Error> {
    let m = ModuleBuilder::new("elsa_candidate_lane");
    m.doc("Whether one key is a candidate: the number of bits in which its hash differs from that of the query");
    m.doc("selects the cosine of an angle, and cosine times norm is compared with the threshold.");
    m.parameter("HASH_BITS", params.head_dim);
    m.latency(format!("{STAGES} cycles: difference, count, cosine, product, comparison"));
    let query_hash = m.input("query_hash", params.head_dim);
    let key_hash = m.input("key_hash", params.head_dim);
    let key_norm = m.input("key_norm", params.format.norm_bits);
    let is_key = m.input("is_key", 1);
    let threshold = m.input("threshold", estimate_bits(params));

    m.section("bits that differ, and how many");
    let difference = m.pipe("difference", &(query_hash ^ key_hash));
    let mut counts = difference.lanes(params.head_dim);
    while counts.len() > 1 {
        let pairs = counts.chunks(2);
        counts = pairs
            .map(|pair| pair[1..].iter().fold(pair[0].clone(), |a, b| a.add_full(b)))
            .collect();
    }
    let distance = m.pipe("distance", &counts[0]);

    m.section("cosine of the angle, less the bias");
    let one = f64::from(1u32 << params.selection.cosine_fraction_bits);
    let bias = f64::from(params.selection.bias_mrad) / 1000.0;
    let cosines: Vec<Signal> = (0..=params.head_dim)
        .map(|distance| {
            let angle =
                std::f64::consts::PI / f64::from(params.head_dim) * f64::from(distance) - bias;
            let cosine = (one * angle.max(0.0).cos()).round() as i64;
            m.literal(Bits::from_signed(cosine, cosine_bits(params)), true)
        })
        .collect();
    let cosine = m.pipe("cosine", &m.select(&distance, &cosines));

    m.section("estimate and comparison");
    let norm = delay(&m, "norm", &key_norm, STAGES - 2);
    let norm = norm.extend(params.format.norm_bits + 1).as_signed();
    let estimate = m.pipe("estimate", &cosine.mul(&norm));
    let exceeds = m.wire("exceeds", &threshold.as_signed().lt(&estimate));
    let is_key = delay(&m, "is_key", &is_key, STAGES - 1);
    let is_candidate = m.pipe("result", &(exceeds & is_key));
    m.output("is_candidate", &is_candidate);
    m.finish()
}
