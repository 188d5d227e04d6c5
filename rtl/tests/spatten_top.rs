//! The units around SpAtten's data path can be built.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use attelier_hw::spatten::Spatten;
use attelier_rtl::units::spatten as units;

#[test]
fn the_units_of_the_small_machine_can_be_built() {
    let params = Spatten::preset("spatten-small").unwrap();
    let built = [
        ("key_slots", units::key_slots(&params)),
        ("value_slots", units::value_slots(&params)),
        ("qkv_fetcher", units::qkv_fetcher(&params)),
        ("query_buffer", units::query_buffer(&params)),
        ("controller", units::controller(&params)),
        ("spatten_core", units::spatten_core(&params)),
        ("spatten", units::spatten(&params)),
    ];
    let faults: Vec<String> = built
        .iter()
        .filter_map(|(name, built)| Some(format!("{name}: {}", built.as_ref().err()?)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
