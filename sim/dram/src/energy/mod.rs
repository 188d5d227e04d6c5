//! Energy from counted commands and state residency, term by term.
//!
//! Three models share one [`Activity`]: [`micron`] (Micron's five terms as DRAMsim3 applies them),
//! [`drampower`] (per-bank background of DRAMPower) and [`per_bit`] (activation plus energy per
//! bit, for HBM2). They are alternatives: adding two of them counts everything twice.

use std::collections::BTreeMap;

use crate::channel::Channel;
use crate::command::{ACT, RD, RDA, REFA, REFPB, WR, WRA};
use crate::device::Device;
use crate::error::TableError;
use crate::organization::Organization;
use crate::timing::Timing;

pub mod drampower;
pub mod interface;
pub mod micron;
pub mod per_bit;

pub use per_bit::PerBitTable;

/// What happened, summed over ranks and channels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Activity {
    /// Rows opened.
    pub activates: u64,
    /// Banks closed.
    pub precharges: u64,
    /// Column reads.
    pub reads: u64,
    /// Column writes.
    pub writes: u64,
    /// All-bank refreshes of one rank.
    pub refreshes_all_bank: u64,
    /// Per-bank refreshes.
    pub refreshes_per_bank: u64,
    /// Rank time with at least one open bank [cycles].
    pub active_cycles: u64,
    /// Rank time without an open bank, refreshes included [cycles].
    pub precharged_cycles: u64,
    /// Sum over banks of the time each was open [bank-cycles].
    pub bank_active_cycles: u64,
    /// Rank time in power-down with open banks [cycles]; none of the controllers here enters it.
    pub active_power_down_cycles: u64,
    /// Rank time in power-down without open banks [cycles]; as above.
    pub precharge_power_down_cycles: u64,
    /// Rank time in self-refresh [cycles]; as above.
    pub self_refresh_cycles: u64,
}

impl Activity {
    /// Activity of one channel up to `cycle`.
    #[must_use]
    pub fn of(channel: &Channel, cycle: u64) -> Activity {
        let counts = channel.command_counts();
        let mut activity = Activity {
            activates: counts[ACT.index()],
            reads: counts[RD.index()] + counts[RDA.index()],
            writes: counts[WR.index()] + counts[WRA.index()],
            refreshes_all_bank: counts[REFA.index()],
            refreshes_per_bank: counts[REFPB.index()],
            ..Activity::default()
        };
        for rank in channel.residency(cycle).ranks() {
            activity.active_cycles += rank.active;
            activity.precharged_cycles += rank.precharged;
            activity.bank_active_cycles += rank.bank_active;
            activity.precharges += rank.closings;
        }
        activity
    }

    /// Adds another channel.
    pub fn add(&mut self, other: &Activity) {
        self.activates += other.activates;
        self.precharges += other.precharges;
        self.reads += other.reads;
        self.writes += other.writes;
        self.refreshes_all_bank += other.refreshes_all_bank;
        self.refreshes_per_bank += other.refreshes_per_bank;
        self.active_cycles += other.active_cycles;
        self.precharged_cycles += other.precharged_cycles;
        self.bank_active_cycles += other.bank_active_cycles;
        self.active_power_down_cycles += other.active_power_down_cycles;
        self.precharge_power_down_cycles += other.precharge_power_down_cycles;
        self.self_refresh_cycles += other.self_refresh_cycles;
    }
}

/// One term of an energy account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Term {
    /// Name, such as `activate`.
    pub name: &'static str,
    /// Energy [J].
    pub joules: f64,
}

/// Terms of one model; each charge appears in exactly one of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    /// The terms, in the order of the model's equations.
    pub terms: Vec<Term>,
}

impl Account {
    pub(crate) fn push(&mut self, name: &'static str, picojoules: f64) {
        self.terms.push(Term { name, joules: picojoules * 1e-12 });
    }

    /// Sum of all terms [J].
    #[must_use]
    pub fn total(&self) -> f64 {
        self.terms.iter().map(|term| term.joules).sum()
    }

    /// One term [J]; zero when the model has none of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> f64 {
        self.terms.iter().filter(|term| term.name == name).map(|term| term.joules).sum()
    }
}

/// What the equations need besides currents.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    /// Command clock period [ns].
    pub tck_ns: f64,
    /// Devices that make up one rank; below one where ranks are pseudo-channels of a device.
    pub devices: f64,
    /// Banks of one rank.
    pub banks: f64,
    /// tRAS [cycles].
    pub ras: f64,
    /// tRP [cycles].
    pub rp: f64,
    /// tRC [cycles].
    pub rc: f64,
    /// Data-bus time of one column command [cycles].
    pub burst: f64,
    /// tRFC [cycles].
    pub rfc: f64,
    /// tRFCpb [cycles].
    pub rfc_per_bank: f64,
    /// Bits of one column command.
    pub transaction_bits: f64,
}

impl Geometry {
    /// Takes everything from a device.
    #[must_use]
    pub fn of(device: &Device) -> Geometry {
        Geometry::new(&device.organization, &device.timing, device.tck_ps as f64 / 1000.0)
    }

    /// Takes everything from organisation and timing.
    #[must_use]
    pub fn new(organization: &Organization, timing: &Timing, tck_ns: f64) -> Geometry {
        let o = organization;
        let cycles = |name: &str| timing.get(name) as f64;
        Geometry {
            tck_ns,
            devices: f64::from(o.channel_width_bits) / f64::from(o.device_dq),
            banks: f64::from(o.banks_per_rank()),
            ras: cycles("tRAS"),
            rp: cycles("tRP"),
            rc: cycles("tRC"),
            burst: cycles("tBL"),
            rfc: cycles("tRFC"),
            rfc_per_bank: cycles("tRFCpb"),
            transaction_bits: 8.0 * f64::from(o.tx_bytes),
        }
    }
}

/// Currents of one supply [mA] and its voltage [V].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Domain {
    /// Supply voltage [V].
    pub voltage: f64,
    /// One bank activated and precharged every tRC.
    pub i0: f64,
    /// Precharge standby.
    pub i2n: f64,
    /// Precharge power-down.
    pub i2p: f64,
    /// Active standby, all banks open.
    pub i3n: f64,
    /// Active power-down.
    pub i3p: f64,
    /// Burst read.
    pub i4r: f64,
    /// Burst write.
    pub i4w: f64,
    /// All-bank refresh.
    pub i5ab: f64,
    /// Per-bank refresh; `None` where the data sheet gives none.
    pub i5pb: Option<f64>,
    /// Self-refresh.
    pub i6: f64,
}

/// Currents of all supplies.
#[derive(Debug, Clone, PartialEq)]
pub struct IddTable {
    /// VDD first, then VPP where given.
    pub domains: Vec<Domain>,
}

impl IddTable {
    /// Reads `VDD`, `IDD0`, ... and, where present, `VPP`, `IPP0`, ...
    ///
    /// # Errors
    /// A name is unknown, a needed current is absent or a value is negative.
    pub fn from_values(
        values: &BTreeMap<String, f64>,
        device: &str,
    ) -> Result<Option<IddTable>, TableError> {
        if values.is_empty() {
            return Ok(None);
        }
        let known = ["0", "2N", "2P", "3N", "3P", "4R", "4W", "5AB", "5PB", "6"];
        for (name, &value) in values {
            let tail = name.strip_prefix("IDD").or(name.strip_prefix("IPP"));
            let named = ["VDD", "VPP"].contains(&name.as_str())
                || tail.is_some_and(|tail| known.contains(&tail));
            if !named || !value.is_finite() || value < 0.0 {
                return Err(TableError::Controller {
                    field: "power",
                    value: format!("{name} = {value}"),
                    expected: "VDD, IDD0, 2N, 2P, 3N, 3P, 4R, 4W, 5AB, 5PB, 6 or VPP, IPP..., not negative",
                });
            }
        }
        let missing = |what| TableError::MissingData { device: device.to_owned(), what };
        let mut domains = Vec::new();
        for (supply, prefix) in [("VDD", "IDD"), ("VPP", "IPP")] {
            let Some(&voltage) = values.get(supply) else { continue };
            let find = |tail: &str| values.get(&format!("{prefix}{tail}")).copied();
            domains.push(Domain {
                voltage,
                i0: find("0").ok_or_else(|| missing("IDD0"))?,
                i2n: find("2N").ok_or_else(|| missing("IDD2N"))?,
                i3n: find("3N").ok_or_else(|| missing("IDD3N"))?,
                i4r: find("4R").ok_or_else(|| missing("IDD4R"))?,
                i4w: find("4W").ok_or_else(|| missing("IDD4W"))?,
                i5ab: find("5AB").ok_or_else(|| missing("IDD5AB"))?,
                i5pb: find("5PB"),
                i2p: find("2P").unwrap_or(0.0),
                i3p: find("3P").unwrap_or(0.0),
                i6: find("6").unwrap_or(0.0),
            });
        }
        if domains.is_empty() { Err(missing("VDD")) } else { Ok(Some(IddTable { domains })) }
    }

    /// Checks that no term of a model would be negative.
    ///
    /// # Errors
    /// A current lies below the standby that it contains.
    pub fn check(&self, geometry: &Geometry) -> Result<(), TableError> {
        let g = geometry;
        for (domain, supply) in self.domains.iter().zip(["IDD", "IPP"]) {
            let d = domain;
            let shared = f64::midpoint(d.i3n, d.i2n);
            let one_open = (d.i3n + (g.banks - 1.0) * shared) / g.banks;
            let cycled = d.i3n * g.ras + d.i2n * (g.rc - g.ras);
            let checks = [
                ("3N", d.i3n, "precharge standby (2N)", d.i2n),
                ("4R", d.i4r, "active standby (3N)", d.i3n),
                ("4W", d.i4w, "active standby (3N)", d.i3n),
                ("5AB", d.i5ab, "active standby (3N)", d.i3n),
                ("5PB", d.i5pb.unwrap_or(d.i2n), "precharge standby (2N)", d.i2n),
                ("0", d.i0, "standby during one row cycle", (cycled / g.rc).max(one_open)),
            ];
            for (name, current, floor, least) in checks {
                if current < least {
                    let name = format!("{supply}{name}");
                    return Err(TableError::Current { name, current, floor, least });
                }
            }
        }
        Ok(())
    }
}
