//! Activation plus energy per bit, the usual account for HBM2.
//!
//! Constants after O'Connor et al., MICRO 2017. The familiar 3.9 pJ/bit already holds an assumed
//! share of activation; the terms here do not, so activations are charged on their own and nothing
//! twice.

use std::collections::BTreeMap;

use crate::energy::{Account, Activity, Geometry};
use crate::error::TableError;

/// Energies of one device [pJ].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerBitTable {
    /// One activation with its precharge.
    pub activate: f64,
    /// Cell array to the edge of the die, per bit.
    pub array: f64,
    /// Path to the pads, per bit.
    pub io_path: f64,
    /// Pads and channel, per bit.
    pub phy: f64,
    /// One all-bank refresh.
    pub refresh: f64,
}

impl PerBitTable {
    /// Reads the five entries.
    ///
    /// # Errors
    /// One is absent, negative or unknown.
    pub fn from_values(
        values: &BTreeMap<String, f64>,
        device: &str,
    ) -> Result<Option<PerBitTable>, TableError> {
        if values.is_empty() {
            return Ok(None);
        }
        let take = |name: &'static str| {
            let value =
                values.get(name).copied().filter(|value| value.is_finite() && *value >= 0.0);
            value.ok_or_else(|| TableError::MissingData { device: device.to_owned(), what: name })
        };
        if values.len() != 5 {
            return Err(TableError::Controller {
                field: "per_bit",
                value: format!("{} entries", values.len()),
                expected: "exactly the five of this model",
            });
        }
        Ok(Some(PerBitTable {
            activate: take("activate_pj")?,
            array: take("array_pj_per_bit")?,
            io_path: take("io_path_pj_per_bit")?,
            phy: take("phy_pj_per_bit")?,
            refresh: take("refresh_pj")?,
        }))
    }
}

/// Energy of an activity; standby is not part of this model.
#[must_use]
pub fn energy(activity: &Activity, table: &PerBitTable, geometry: &Geometry) -> Account {
    let bits = (activity.reads + activity.writes) as f64 * geometry.transaction_bits;
    let refreshes =
        activity.refreshes_all_bank as f64 + activity.refreshes_per_bank as f64 / geometry.banks;
    let mut account = Account::default();
    account.push("activate_precharge", activity.activates as f64 * table.activate);
    account.push("array", bits * table.array);
    account.push("io_path", bits * table.io_path);
    account.push("phy", bits * table.phy);
    account.push("refresh", refreshes * table.refresh);
    account
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;

    #[test]
    fn eight_reads_per_activation_cost_the_familiar_pj_per_bit() {
        let device = Device::builtin("hbm2-2000").expect("built in");
        let table = device.per_bit.expect("has energies per bit");
        let activity = Activity { activates: 1, reads: 8, ..Activity::default() };
        let account = energy(&activity, &table, &Geometry::of(&device));
        let per_bit = account.total() * 1e12 / (8.0 * 256.0);
        assert!((per_bit - 3.92).abs() < 0.005, "{per_bit} pJ/bit");
    }
}
