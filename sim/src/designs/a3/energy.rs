//! Energy of a run: power of the modules of Table I while they work and while they wait, and bits that
//! arrive.
//!
//! | term | count |
//! |---|---|
//! | `dot_product`, `exponent`, `output`, `candidate_search` | cycles in which the module works |
//! | `post_scoring` | a cycle per 16 candidates |
//! | `key_sram`, `value_sram`, `sorted_key_sram` | cycles of dot products, outputs and search |
//! | `static` | all cycles, every module that the machine has |
//! | `dram` | bits of queries, keys and values |
//!
//! Dynamic power holds the clock and the registers, static power is leakage, as published: nothing of
//! `hw::technology` is added to either. Ignored, as in the paper: the host that sorts and copies.

use attelier_hw::a3::{A3, Modules};

use crate::energy::Energy;
use crate::result::RunResult;

/// Energy of a run of the machine `params`.
pub fn energy(params: &A3, result: &RunResult) -> Energy {
    let cycle = 1.0 / params.clock_hz as f64;
    let unit = |name: &str| result.units.iter().find(|unit| unit.name == name);
    let busy = |name: &str| unit(name).map_or(0, |unit| unit.busy_cycles) as f64;
    let dynamic = |name, uw: u32, cycles: f64| (name, cycles * cycle * f64::from(uw) * 1e-6);
    let power = &params.dynamic_uw;
    let mut terms = vec![
        dynamic("dot_product", power.dot_product, busy("dot_product")),
        dynamic("exponent", power.exponent, busy("exponent")),
        dynamic("output", power.output, busy("output")),
        dynamic("key_sram", power.key_sram, busy("dot_product")),
        dynamic("value_sram", power.value_sram, busy("output")),
    ];
    if params.search.enabled {
        let search = busy("candidate_search");
        terms.push(dynamic("candidate_search", power.candidate_search, search));
        terms.push(dynamic("post_scoring", power.post_scoring, busy("post_scoring")));
        terms.push(dynamic("sorted_key_sram", power.sorted_key_sram, search));
    }
    let waiting = static_uw(&params.static_uw, params.search.enabled);
    terms.push(("static", result.cycles as f64 * cycle * waiting * 1e-6));
    let traffic = &result.traffic;
    let bits = 8 * (traffic.query_bytes + traffic.key_bytes + traffic.value_bytes);
    terms.push(("dram", bits as f64 * f64::from(params.memory.fj_per_bit) * 1e-15));
    Energy {
        terms,
        notes: vec![
            "energy: power of the modules at 40 nm (Table I) and bits from memory; the host that sorts \
             and copies is not in it"
                .to_owned(),
        ],
    }
}

/// Static power of the modules that the machine has \[uW\].
fn static_uw(modules: &Modules, search: bool) -> f64 {
    let base = [
        modules.dot_product,
        modules.exponent,
        modules.output,
        modules.key_sram,
        modules.value_sram,
    ];
    let more = [modules.candidate_search, modules.post_scoring, modules.sorted_key_sram];
    let sum = |parts: &[u32]| parts.iter().copied().map(f64::from).sum::<f64>();
    sum(&base) + if search { sum(&more) } else { 0.0 }
}
