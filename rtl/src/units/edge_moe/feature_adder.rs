//! The adder: residual additions, and the weighted results of an expert added to those that are there.

use std::sync::Arc;

use attelier_hw::edge_moe::{Sizes, formats::FEATURE};

use super::outlet::Outlet;
use crate::{
    Error, ModuleBuilder, Signal,
    bits::index_width,
    ir::Module,
    units::spatten::parts::{history, within},
};

/// Product, sum.
const STAGES: u32 = 2;
/// Places of the output queue.
const PLACES: u32 = 4;

/// The module `feature_adder`.
///
/// # Errors
/// Fewer than two lanes or more than 64, tokens that are no whole number of words or fewer than two.
pub fn feature_adder(sizes: &Sizes) -> Result<Arc<Module>, Error> {
    let name = "feature_adder";
    let lanes = within(name, "lanes", sizes.lanes, 2..65, "2 to 64 lanes")?;
    let words = sizes.token_words();
    if !sizes.width.is_multiple_of(lanes) || words < 2 {
        return Err(Error::parameter(name, "width", sizes.width, "at least two whole words"));
    }
    let word = lanes * FEATURE.bits;

    let m = ModuleBuilder::new(name);
    m.doc("Adds two streams of words, feature by feature; sums wrap. Where `weighted`, what is added is first");
    m.doc("multiplied with a score, which stays for the TOKEN_WORDS words of a token; the product is cut to a");
    m.doc("feature. `weighted` stays as it is while something is under way.");
    m.parameter("LANES", lanes);
    m.parameter("TOKEN_WORDS", words);
    m.latency(format!("{} cycles to `m_axis_tvalid`: product, sum, queue", STAGES + 1));
    let weighted = m.input("weighted", 1);
    let kept_valid = m.input("s_kept_tvalid", 1);
    let kept = m.input("s_kept_tdata", word).comment("What is there.");
    let added_valid = m.input("s_added_tvalid", 1);
    let added = m.input("s_added_tdata", word).comment("What is added.");
    let score_valid = m.input("s_score_tvalid", 1);
    let score = m.input("s_score_tdata", FEATURE.bits);

    let takes = m.forward("takes", 1);
    let outlet = Outlet::new(&m, "m_axis", PLACES, &takes);

    m.section("a word of both streams, and the score of its token");
    let has_score = m.wire("has_score", &(!&weighted | score_valid));
    let is_open = m.wire("is_open", &(&outlet.has_room & has_score));
    m.drive(&takes, m.all_of(&[is_open.clone(), kept_valid.clone(), added_valid.clone()]));
    let word_at = m.register("word", index_width(words.into())).comment("Word of the token.");
    let last_word = m.wire("last_word", &word_at.eq(u64::from(words - 1)));
    m.update_when(&word_at, &takes, (!&last_word).gate(&(&word_at + 1)));

    m.section("product, and then the sum");
    let sums: Vec<Signal> = (0u32..)
        .zip(kept.lanes(lanes).into_iter().zip(added.lanes(lanes)))
        .map(|(at, (kept, added))| {
            let exact = m.wire(format!("exact_{at}"), &added.as_signed().mul(&score.as_signed()));
            m.discard(&exact);
            let cut = exact.bits(FEATURE.fraction..FEATURE.fraction + FEATURE.bits);
            let summand = m.wire(format!("summand_{at}"), &weighted.mux(&cut, &added));
            let term = m.pipe(format!("term_{at}"), &summand);
            let kept = m.pipe(format!("kept_{at}"), &kept);
            m.pipe(format!("sum_{at}"), &(kept + term))
        })
        .collect();
    let taken = history(&m, "taken", &takes, STAGES);
    outlet.offer(&m, &taken[STAGES as usize], &[("tdata", m.pack(&sums))]);

    m.output("s_kept_tready", &(&is_open & added_valid));
    m.output("s_added_tready", &(&is_open & kept_valid));
    let ends = m.wire("token_ends", &m.all_of(&[weighted, takes, last_word]));
    m.output_for("s_score_tready", &ends, "The last word of its token is taken.");
    m.finish()
}
