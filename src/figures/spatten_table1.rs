//! SpAtten, Table I: parameters of the machine. They are inputs: beside the published ones stand those that the
//! preset has, so that a reader sees where it differs, and nothing is scored.

use anyhow::{Context, Result};
use attelier_hw::spatten::Spatten;
use attelier_sim::observe::Observer;

use super::{Outcome, Row};
use crate::published::{self, Number};

/// Bytes of what the paper calls a KB.
const KILOBYTE: f64 = 1000.0;

/// Every parameter of the preset beside the published one.
pub fn reproduce(_seed: u64, _observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let machine = Spatten::preset("spatten").map_err(|fault| anyhow::anyhow!("{fault}"))?;
    let rows = published::of("spatten", "table1").map(|number| {
        let ours = parameter(&machine, number)
            .with_context(|| format!("Table I: {}, {}", number.item, number.quantity))?;
        let why = match number.unit.as_str() {
            "KB" => "an input: the released RTL has 196,608 bytes, 192 KiB",
            _ => "an input of the preset",
        };
        Ok(Row::not_comparable(number, Some(ours), why))
    });
    Ok(Outcome::of(rows.collect::<Result<_>>()?, Vec::new()))
}

/// A parameter of the machine in the unit of the paper.
fn parameter(machine: &Spatten, number: &Number) -> Option<f64> {
    let memory = &machine.memory;
    let hertz = machine.clock_hz as f64;
    let channel = f64::from(memory.transaction_bytes) * hertz * 1e-9;
    Some(match (number.item.as_str(), number.quantity.as_str()) {
        ("arrays", "multipliers of each") => machine.qk_array.multipliers.into(),
        ("arrays", "width") => machine.datapath_bits.into(),
        ("memory", "channels") => memory.channels.into(),
        ("memory", "bandwidth of a channel") => channel,
        ("memory", "bandwidth") => channel * f64::from(memory.channels),
        ("key SRAM", _) => machine.key_sram.bytes as f64 / KILOBYTE,
        ("value SRAM", _) => machine.value_sram.bytes as f64 / KILOBYTE,
        ("softmax", "parallelism") => machine.softmax.lanes.into(),
        ("softmax", "FIFO depth") => machine.softmax.fifo_depth.into(),
        ("top-k", "comparators of each array") => machine.topk_value.parallelism.into(),
        ("top-k", "FIFO depth") => {
            f64::from(machine.topk_value.capacity) / f64::from(machine.topk_value.parallelism)
        }
        ("fetcher", "FIFO depth") => machine.qkv_fetcher.fifo_depth.into(),
        ("fetcher", "address lanes") => machine.qkv_fetcher.lanes.into(),
        ("all", "clock") => hertz * 1e-9,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use attelier_sim::observe::Nobody;

    use super::*;

    /// The preset is the published machine, but for the size of the buffers, which the paper rounds.
    #[test]
    fn the_preset_has_the_published_parameters_and_none_is_scored() {
        let outcome = reproduce(0, &mut Nobody).unwrap();
        assert_eq!(outcome.rows.len(), 14);
        for row in &outcome.rows {
            let (ours, published) = (row.ours.unwrap(), row.published.unwrap());
            assert!((ours / published - 1.0).abs() < 0.004, "{}: {ours}", row.item);
            assert_eq!(row.deviation, None);
        }
    }
}
