//! Distances between commands, in cycles of the command clock, named as JEDEC does.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::schema::Field;

/// Distances between commands \[command-clock cycles\].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Command clock period \[ps\].
    pub tck_ps: u32,
    /// All-bank ACT to the first MAC.
    pub n_rcd_mac: u32,
    /// ACT to RD.
    pub n_rcd_rd: u32,
    /// ACT to WR.
    pub n_rcd_wr: u32,
    /// PRE to ACT.
    pub n_rp: u32,
    /// ACT to PRE.
    pub n_ras: u32,
    /// RD or MAC to PRE.
    pub n_rtp: u32,
    /// End of write data to PRE.
    pub n_wr: u32,
    /// Column command to column command.
    pub n_ccd: u32,
    /// Bus time of one burst.
    pub n_bl: u32,
    /// RD to its data.
    pub n_cl: u32,
    /// WR to its data.
    pub n_cwl: u32,
    /// End of write data to RD.
    pub n_wtr: u32,
    /// RD to WR.
    pub n_rtw: u32,
    /// MAC to the read-out of the accumulators.
    pub n_mac_rd: u32,
    /// Read-out of the accumulators to MAC.
    pub n_rd_mac: u32,
    /// ACT to ACT of another bank.
    pub n_rrd: u32,
    /// Window of four ACT, where rows are opened by bank group.
    pub n_faw: u32,
    /// Refresh to any other command.
    pub n_rfc: u32,
    /// Mean distance of refreshes.
    pub n_refi: u32,
}

const fn cycles(key: &'static str, min: u64) -> Field {
    Field::count(key, "command cycles", min, 1 << 20)
}

pub(super) const FIELDS: &[Field] = &[
    Field::count("tck_ps", "ps", 50, 100_000),
    cycles("n_rcd_mac", 1),
    cycles("n_rcd_rd", 1),
    cycles("n_rcd_wr", 1),
    cycles("n_rp", 1),
    cycles("n_ras", 1),
    cycles("n_rtp", 1),
    cycles("n_wr", 0),
    cycles("n_ccd", 1),
    cycles("n_bl", 1),
    cycles("n_cl", 0),
    cycles("n_cwl", 0),
    cycles("n_wtr", 0),
    cycles("n_rtw", 1),
    cycles("n_mac_rd", 1),
    cycles("n_rd_mac", 1),
    cycles("n_rrd", 1),
    cycles("n_faw", 1),
    cycles("n_rfc", 1),
    cycles("n_refi", 2),
];

/// Relations that the constraint tables need.
pub(super) fn check(config: &Config, raw: &Timing) -> Result<(), Diagnostic> {
    let needs = [
        ("n_ras", raw.n_ras, "n_rcd_rd", raw.n_rcd_rd),
        ("n_ras", raw.n_ras, "n_rcd_wr", raw.n_rcd_wr),
        ("n_ccd", raw.n_ccd, "n_bl", raw.n_bl),
        ("n_refi", raw.n_refi, "n_rfc + n_rp", raw.n_rfc + raw.n_rp + 1),
    ];
    for (name, value, bound_name, bound) in needs {
        if value < bound {
            let path = format!("timing.{name}");
            let first = bound_name.split(' ').next().unwrap_or(bound_name);
            return Err(config.refuse(
                &[&path, &format!("timing.{first}")],
                format!("`{path}` = {value} contradicts `{bound_name}`"),
                format!("expected `{path}` of at least {bound}, which follows from `{bound_name}`"),
                format!("set `{path}` to {bound} or more"),
            ));
        }
    }
    Ok(())
}
