//! Currents of a channel and power of the logic.
//!
//! Currents other than standby are what a command adds to standby, so that terms are disjoint.

use serde::{Deserialize, Serialize};

use crate::schema::Field;

/// How commands to all banks at once are charged. The two versions of the paper give energies that
/// differ by 2.7 to 2.8 for the same latencies; the reason is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Setting {
    /// As ordinary commands to one bank: the reading that meets the first version (October 2023).
    V1,
    /// For what all banks do: an activation per bank, and a MAC as `mac_over_read` reads. The reading
    /// that meets the second version (April 2024) and the journal.
    V2,
}

/// Currents of a channel and power of the logic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Energy {
    /// How commands to all banks are charged.
    pub setting: Setting,
    /// Supply \[mV\].
    pub vdd_mv: u32,
    /// Standby with open rows, IDD3N \[uA\].
    pub active_standby_ua: u32,
    /// Standby without open rows, IDD2N \[uA\].
    pub precharge_standby_ua: u32,
    /// Added by opening and closing rows of one bank every nRC \[uA\].
    pub activate_ua: u32,
    /// Added by reading without pause, IDD4R - IDD3N \[uA\].
    pub read_ua: u32,
    /// Added by writing without pause, IDD4W - IDD3N \[uA\].
    pub write_ua: u32,
    /// Added by refreshing, IDD5 - IDD3N \[uA\].
    pub refresh_ua: u32,
    /// A MAC of all banks in units of a read of one bank, under setting `v2`.
    pub mac_over_read: u32,
    /// One bit over the pins \[fJ\].
    pub pin_fj_per_bit: u32,
    /// MAC units of one channel, all busy \[uW\].
    pub mac_uw: u32,
    /// The ASIC \[uW\].
    pub asic_uw: u32,
    /// Area of the ASIC \[um2\].
    pub asic_um2: u32,
}

const fn current(key: &'static str) -> Field {
    Field::count(key, "uA", 0, 10_000_000)
}

pub(super) const FIELDS: &[Field] = &[
    Field::choice("setting", &["v2", "v1"]),
    Field::count("vdd_mv", "mV", 1, 10_000),
    current("active_standby_ua"),
    current("precharge_standby_ua"),
    current("activate_ua"),
    current("read_ua"),
    current("write_ua"),
    current("refresh_ua"),
    Field::count("mac_over_read", "reads of one bank", 1, 64),
    Field::count("pin_fj_per_bit", "fJ/bit", 0, 1_000_000),
    Field::count("mac_uw", "uW per channel", 0, 100_000_000),
    Field::count("asic_uw", "uW", 0, 1_000_000_000),
    Field::count("asic_um2", "um2", 0, 1_000_000_000),
];
