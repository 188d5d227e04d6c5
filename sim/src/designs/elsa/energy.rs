//! Energy of a run: power of the modules of Table I while they work, and of all of them at any time.
//!
//! | term | cycles |
//! |---|---|
//! | `hash_computation`, `candidate_selection`, `output_division` | in which the module works |
//! | `norm_computation` | one for each key |
//! | `attention_computation` | one for each candidate, shared by the banks |
//! | `key_hash_sram`, `key_norm_sram` | of candidate selection |
//! | `key_sram` | of attention, and one for each key before the first query, shared by the banks |
//! | `value_sram` | of attention |
//! | `query_sram` | one for each query |
//! | `output_sram` | of output division |
//! | `static` | all |
//!
//! Powers are the peaks of a synthesis at 40 nm. Ignored: the multipliers of attention that norms borrow,
//! writes of hashes and norms, and whatever fills the memories of the matrices.

use attelier_hw::elsa::Elsa;

use crate::energy::Energy;
use crate::result::RunResult;

/// Energy of a run of the machine `params`.
pub fn energy(params: &Elsa, result: &RunResult) -> Energy {
    let cycle = 1.0 / params.clock_hz as f64;
    let unit = |name: &str| result.units.iter().find(|unit| unit.name == name);
    let busy = |name: &str| unit(name).map_or(0, |unit| unit.busy_cycles) as f64;
    let beats = |name: &str| unit(name).map_or(0, |unit| unit.beats) as f64;
    let banks = f64::from(params.pipeline.banks);
    let selection = busy("candidate_selection");
    let attention = beats("attention_computation") / banks;
    let keys = beats("norm_computation");
    let division = busy("output_division");
    let power = &params.dynamic_uw;
    let dynamic = [
        ("hash_computation", power.hash_computation, busy("hash_computation")),
        ("norm_computation", power.norm_computation, keys),
        ("candidate_selection", power.candidate_selection, selection),
        ("attention_computation", power.attention_computation, attention),
        ("output_division", power.output_division, division),
        ("key_hash_sram", power.key_hash_sram, selection),
        ("key_norm_sram", power.key_norm_sram, selection),
        ("key_sram", power.key_sram, attention + keys / banks),
        ("value_sram", power.value_sram, attention),
        ("query_sram", power.query_sram, beats("output_division")),
        ("output_sram", power.output_sram, division),
    ];
    let joules = |uw: f64, cycles: f64| cycles * cycle * uw * 1e-6;
    let mut terms: Vec<(&'static str, f64)> =
        dynamic.map(|(name, uw, cycles)| (name, joules(f64::from(uw), cycles))).to_vec();
    terms.push(("static", joules(params.static_uw.total() as f64, result.cycles as f64)));
    Energy {
        terms,
        notes: vec![
            "energy: power of the modules and of the memories of the matrices at 40 nm (Table I); what \
             fills those memories is not in it"
                .to_owned(),
        ],
    }
}
