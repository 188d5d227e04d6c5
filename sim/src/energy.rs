//! Energy of a SpAtten run: what every unit did, times what one such operation costs, and what the
//! hardware costs for being there ([`standing`]).
//!
//! Counts come from the run, costs from [`attelier_hw::technology`] at the node of the machine; nothing
//! is fitted. The terms are disjoint and add up to the total. How each is counted:
//!
//! | term | count |
//! |---|---|
//! | `dram` | bits read, at the average cost that already holds activation; where activations are counted, at the cost without |
//! | `dram_activate` | rows opened; this and the next two only where commands are counted |
//! | `dram_standby` | time of every pseudo-channel, with and without open rows |
//! | `dram_refresh` | refreshes of a bank |
//! | `key_sram`, `value_sram` | bits that arrive are written; every array beat reads one line |
//! | `qk_array`, `pv_array` | every multiplier in every beat, and the adders of the tree |
//! | `softmax` | elements, half of the beats times lanes, each with [`SOFTMAX_MULTIPLIES`] and [`SOFTMAX_ADDS`] |
//! | `quant_decision` | one comparison per lane and row |
//! | `topk` | two comparator arrays in every busy cycle of both engines |
//! | `importance` | one addition per probability and per element of an output |
//!
//! A buffer is many small memories: the released RTL builds it from two banks of one memory per
//! bit of the datapath, and a line is read from all memories of one bank.
//!
//! Ignored: logic that is none of these operations, such as control and the crossbars of the fetcher, of which
//! only clock, registers and leakage are counted; buffers of the clock tree.

pub mod standing;

use attelier_dram::Device;
use attelier_dram::energy::{Activity, Geometry, micron, per_bit};
use attelier_hw::spatten::Spatten;
use attelier_hw::technology::{self as cost, Hardware};

use self::standing::Standing;
use crate::result::RunResult;
use crate::units::dram_memory;

/// Banks of a buffer (Table I of the paper).
pub const SRAM_BANKS: u64 = 2;

/// Multiplications per softmax element: scale, exponential as a series of fifth order, division
/// (assumed to cost as much as a multiplication), requantisation.
pub const SOFTMAX_MULTIPLIES: u64 = 1 + 5 + 1 + 1;

/// Additions per softmax element: the series, and the sum.
pub const SOFTMAX_ADDS: u64 = 5 + 1;

/// Width of an importance accumulator; published nowhere \[bits\].
pub const IMPORTANCE_BITS: u32 = 32;

const PICO: f64 = 1e-12;

/// Cost of one operation of each kind \[pJ\].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Costs {
    /// One bit read from DRAM, activation included: for a memory without rows.
    pub dram_bit: f64,
    /// One bit read from DRAM, without activation.
    pub dram_transfer_bit: f64,
    /// One row opened and closed.
    pub dram_activate: f64,
    /// A cycle of a pseudo-channel with an open row.
    pub dram_active_cycle: f64,
    /// A cycle of a pseudo-channel without one.
    pub dram_precharged_cycle: f64,
    /// One refresh of a bank.
    pub dram_refresh: f64,
    /// One bit read from the key buffer.
    pub key_read_bit: f64,
    /// One bit written to the key buffer.
    pub key_write_bit: f64,
    /// One bit read from the value buffer.
    pub value_read_bit: f64,
    /// One bit written to the value buffer.
    pub value_write_bit: f64,
    /// One multiplication in the QxK array.
    pub qk_multiply: f64,
    /// One addition in the QxK array.
    pub qk_add: f64,
    /// One multiplication in the PxV array.
    pub pv_multiply: f64,
    /// One addition in the PxV array.
    pub pv_add: f64,
    /// One multiplication in the softmax pipeline.
    pub softmax_multiply: f64,
    /// One addition in the softmax pipeline.
    pub softmax_add: f64,
    /// One comparison of the quantization decision.
    pub decision_compare: f64,
    /// One comparison of the local-value top-k engine.
    pub value_compare: f64,
    /// One comparison of the token and head top-k engine.
    pub token_compare: f64,
    /// One addition to an importance.
    pub importance_add: f64,
}

/// What a DRAM costs beside its accesses \[pJ\].
struct DramStanding {
    active_cycle: f64,
    precharged_cycle: f64,
    refresh: f64,
}

impl DramStanding {
    /// Of the device that the memory is made of: standby by its currents, refresh by its table, as the models of
    /// [`attelier_dram::energy`] have them.
    fn of_device() -> Self {
        let device = Device::builtin(dram_memory::DEVICE).expect("a device that is built in");
        let geometry = Geometry::of(&device);
        let standby = |activity: Activity, term: &str| {
            let account = device.idd.as_ref().map(|idd| micron::energy(&activity, idd, &geometry));
            account.map_or(0.0, |account| account.get(term) / PICO)
        };
        let once = Activity { refreshes_per_bank: 1, ..Activity::default() };
        let table = device.per_bit.as_ref();
        Self {
            active_cycle: standby(
                Activity { active_cycles: 1, ..Activity::default() },
                "active_standby",
            ),
            precharged_cycle: standby(
                Activity { precharged_cycles: 1, ..Activity::default() },
                "precharge_standby",
            ),
            refresh: table.map_or(0.0, |table| {
                per_bit::energy(&once, table, &geometry).get("refresh") / PICO
            }),
        }
    }
}

impl Costs {
    /// Costs of the machine `params`.
    pub fn of(params: &Spatten) -> Self {
        let bits = params.datapath_bits;
        let on_chip = |picojoules: f64| picojoules * params.process.energy();
        let standing = DramStanding::of_device();
        let macro_bytes = |bytes: u64| bytes / (SRAM_BANKS * u64::from(bits));
        let key = macro_bytes(params.key_sram.bytes);
        let value = macro_bytes(params.value_sram.bytes);
        Self {
            dram_bit: cost::HBM2_AVERAGE.value,
            dram_transfer_bit: cost::hbm2_transfer_pj_per_bit(),
            dram_activate: cost::HBM2_ACTIVATE.value,
            dram_active_cycle: standing.active_cycle,
            dram_precharged_cycle: standing.precharged_cycle,
            dram_refresh: standing.refresh,
            key_read_bit: on_chip(cost::sram_read_pj_per_bit(key)),
            key_write_bit: on_chip(cost::sram_write_pj_per_bit(key)),
            value_read_bit: on_chip(cost::sram_read_pj_per_bit(value)),
            value_write_bit: on_chip(cost::sram_write_pj_per_bit(value)),
            qk_multiply: on_chip(cost::multiply_pj(bits)),
            qk_add: on_chip(cost::add_pj(bits)),
            pv_multiply: on_chip(cost::multiply_pj(bits)),
            pv_add: on_chip(cost::add_pj(bits)),
            softmax_multiply: on_chip(cost::FP32_MULTIPLY.value),
            softmax_add: on_chip(cost::FP32_ADD.value),
            decision_compare: on_chip(cost::compare_pj(bits)),
            value_compare: on_chip(cost::compare_pj(bits)),
            token_compare: on_chip(cost::compare_pj(IMPORTANCE_BITS)),
            importance_add: on_chip(cost::add_pj(IMPORTANCE_BITS)),
        }
    }

    /// The same, with each buffer as one undivided memory: the upper bound of the SRAM terms.
    pub fn with_undivided_sram(self, params: &Spatten) -> Self {
        let (key, value) = (params.key_sram.bytes, params.value_sram.bytes);
        let on_chip = |picojoules: f64| picojoules * params.process.energy();
        Self {
            key_read_bit: on_chip(cost::sram_read_pj_per_bit(key)),
            key_write_bit: on_chip(cost::sram_write_pj_per_bit(key)),
            value_read_bit: on_chip(cost::sram_read_pj_per_bit(value)),
            value_write_bit: on_chip(cost::sram_write_pj_per_bit(value)),
            ..self
        }
    }
}

/// Energy by physical cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Energy {
    /// Name and energy \[J\] of every term.
    pub terms: Vec<(&'static str, f64)>,
    /// What a reader must know about them.
    pub notes: Vec<String>,
}

impl Energy {
    /// Sum of the terms \[J\].
    pub fn total(&self) -> f64 {
        self.terms.iter().map(|(_, joules)| joules).sum()
    }

    /// One term \[J\]; 0 for a name that does not exist.
    pub fn term(&self, name: &str) -> f64 {
        self.terms.iter().filter(|(term, _)| *term == name).map(|(_, joules)| joules).sum()
    }
}

/// Energy of a run of the machine `params`. Where its hardware is known, so is what that costs for being there.
pub fn spatten(params: &Spatten, result: &RunResult, hardware: Option<&Hardware>) -> Energy {
    let costs = Costs::of(params);
    let standing = hardware.map(Standing::of);
    let mut energy = spatten_with(params, result, &costs, standing.as_ref());
    let undivided = spatten_with(params, result, &costs.with_undivided_sram(params), None);
    let sram = |energy: &Energy| 1e3 * (energy.term("key_sram") + energy.term("value_sram"));
    let dram = match result.dram {
        None => format!("{} pJ per DRAM bit with average activation", costs.dram_bit),
        Some(_) => format!(
            "{:.2} pJ per DRAM bit, {} pJ per row opened, {} pJ per refresh of a bank, {} pJ per nanosecond of a \
             pseudo-channel ({} with an open row)",
            costs.dram_transfer_bit,
            costs.dram_activate,
            costs.dram_refresh,
            costs.dram_precharged_cycle,
            costs.dram_active_cycle
        ),
    };
    let clock = match &standing {
        None => {
            "energy not modelled: clock, registers, wires and leakage, as this hardware is not \
                 generated"
                .to_owned()
        }
        Some(standing) => format!(
            "energy of the clock: units that do nothing are switched off (assumed), {:.3} mJ; always on \
             it would be {:.3} mJ",
            1e3 * energy.term("clock"),
            1e3 * standing.ungated_clock_j(result)
        ),
    };
    energy.notes = vec![
        format!(
            "energy: published cost per operation at 45 nm, scaled to {}, {dram}; a division counts as a \
             multiplication (assumed)",
            params.process.name()
        ),
        format!(
            "energy of the buffers: {} banks of one memory per datapath bit, {:.3} mJ; as two \
             undivided memories it would be {:.3} mJ",
            SRAM_BANKS,
            sram(&energy),
            sram(&undivided)
        ),
        clock,
    ];
    energy
}

/// Energy of a run at given costs, without notes.
pub fn spatten_with(
    params: &Spatten,
    result: &RunResult,
    costs: &Costs,
    standing: Option<&Standing>,
) -> Energy {
    let beats = |name: &str| units(result, name).map(|unit| unit.beats).sum::<u64>() as f64;
    let busy = |name: &str| units(result, name).map(|unit| unit.busy_cycles).sum::<u64>() as f64;
    let traffic = &result.traffic;
    let key_bits = bits(traffic.key_bytes + traffic.key_lsb_bytes);
    let value_bits = bits(traffic.value_bytes);
    let head_dim = f64::from(params.head_dim);
    let lanes = f64::from(params.softmax.lanes);
    let (qk, pv) = (beats("qk_array"), beats("pv_array"));
    let qk_width = f64::from(params.qk_array.multipliers);
    let pv_width = f64::from(params.pv_array.multipliers);
    // A tree from n products to m sums has n - m adders; PxV then adds each sum to its register.
    let qk_adders = qk_width - f64::from(params.qk_array.keys_per_line);
    let elements = beats("softmax") / 2.0 * lanes;
    let comparators = |engine: &attelier_hw::spatten::TopK| 2.0 * f64::from(engine.parallelism);
    let dram_bit = if result.dram.is_some() { costs.dram_transfer_bit } else { costs.dram_bit };
    let mut terms = vec![
        ("dram", (bits(traffic.query_bytes) + key_bits + value_bits) * dram_bit),
        (
            "key_sram",
            key_bits * costs.key_write_bit
                + qk * bits(u64::from(params.key_sram.line_bytes)) * costs.key_read_bit,
        ),
        (
            "value_sram",
            value_bits * costs.value_write_bit
                + pv * bits(u64::from(params.value_sram.line_bytes)) * costs.value_read_bit,
        ),
        ("qk_array", qk * (qk_width * costs.qk_multiply + qk_adders * costs.qk_add)),
        ("pv_array", pv * pv_width * (costs.pv_multiply + costs.pv_add)),
        (
            "softmax",
            elements
                * (SOFTMAX_MULTIPLIES as f64 * costs.softmax_multiply
                    + SOFTMAX_ADDS as f64 * costs.softmax_add),
        ),
        ("quant_decision", beats("quant_decision") * lanes * costs.decision_compare),
        (
            "topk",
            busy("topk_value") * comparators(&params.topk_value) * costs.value_compare
                + busy("topk_token") * comparators(&params.topk_token) * costs.token_compare,
        ),
        (
            "importance",
            (beats("token_importance") * lanes + beats("head_importance") * head_dim)
                * costs.importance_add,
        ),
    ];
    if let Some(dram) = result.dram {
        let activity = &dram.activity;
        let standby = activity.active_cycles as f64 * costs.dram_active_cycle
            + activity.precharged_cycles as f64 * costs.dram_precharged_cycle;
        let refreshes = activity.refreshes_per_bank as f64 * costs.dram_refresh;
        let counted = [
            ("dram_activate", dram.activates as f64 * costs.dram_activate),
            ("dram_standby", standby),
            ("dram_refresh", refreshes),
        ];
        terms.splice(1..1, counted);
    }
    let mut terms: Vec<_> = terms.into_iter().map(|(name, pico)| (name, pico * PICO)).collect();
    if let Some(standing) = standing {
        terms.extend(standing::TERMS.into_iter().zip(standing.joules(params, result)));
    }
    Energy { terms, notes: Vec::new() }
}

fn units<'a>(
    result: &'a RunResult,
    name: &'a str,
) -> impl Iterator<Item = &'a crate::result::UnitReport> {
    result.units.iter().filter(move |unit| unit.name == name)
}

fn bits(bytes: u64) -> f64 {
    8.0 * bytes as f64
}

#[cfg(test)]
mod tests;
