//! Interface energy: termination (static) and switching (dynamic), from caller-supplied constants.
//!
//! `static = zeros V^2 / R t_bit`, `dynamic = rises E_dyn`, after DRAMPower 6. Both constants
//! depend on board and drive strength and have no default.

use crate::energy::{Account, Activity, Geometry};

/// Electrical constants and data statistics of one interface.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interface {
    /// Supply of the output drivers [V].
    pub vddq: f64,
    /// Equivalent termination resistance [ohm].
    pub r_eq: f64,
    /// Time of one bit on a pin [ns].
    pub bit_time_ns: f64,
    /// Energy of one rising edge [pJ].
    pub dynamic_pj: f64,
    /// Share of bits that are zero.
    pub zeros: f64,
    /// Share of bits that rise.
    pub rises: f64,
}

/// Data-pin energy of an activity, reads (driven by the DRAM) apart from writes (by the controller).
#[must_use]
pub fn energy(activity: &Activity, interface: &Interface, geometry: &Geometry) -> Account {
    let i = interface;
    // V^2 / ohm is W; times ns gives nJ, times 1000 pJ.
    let zero = i.vddq * i.vddq / i.r_eq * i.bit_time_ns * 1000.0;
    let mut account = Account::default();
    let directions = [
        ("interface_read_static", "interface_read_dynamic", activity.reads),
        ("interface_write_static", "interface_write_dynamic", activity.writes),
    ];
    for (fixed, switching, commands) in directions {
        let bits = commands as f64 * geometry.transaction_bits;
        account.push(fixed, bits * i.zeros * zero);
        account.push(switching, bits * i.rises * i.dynamic_pj);
    }
    account
}
