//! Device tables: organisation, timing, rules, power numbers, each with its source.
//!
//! Built-in devices lie in `devices/*.toml`; [`Device::from_toml`] reads the same format from
//! anywhere. A table is refused when a number lacks a source, a name is unknown or timings
//! contradict each other.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::command::{Bus, CommandSet, CommandSpec, Effect, Level};
use crate::constraint::{self, Constraint, RawConstraint};
use crate::energy::{Geometry, IddTable, PerBitTable};
use crate::error::TableError;
use crate::mapping::AddressMapping;
use crate::organization::Organization;
use crate::policy::{
    ActiveListConfig, CommandSlots, ControllerConfig, PagePolicy, PerBankOrder, Policy, Refresh,
    Stepping,
};
use crate::timing::{self, Timing};

/// A checked device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Name.
    pub name: String,
    /// JEDEC family.
    pub standard: String,
    /// One line.
    pub description: String,
    /// Command clock period [ps].
    pub tck_ps: u64,
    /// Commands per cycle.
    pub slots: CommandSlots,
    /// Organisation.
    pub organization: Organization,
    /// Timings.
    pub timing: Timing,
    /// Commands, JEDEC ones first.
    pub commands: CommandSet,
    /// All rules.
    pub table: Vec<Constraint>,
    /// Rules that the device adds to the standard ones, before timings are put in.
    pub rules: Vec<RawConstraint>,
    /// Default address mapping.
    pub mapping: AddressMapping,
    /// Default refresh.
    pub refresh: Refresh,
    /// Currents, where known.
    pub idd: Option<IddTable>,
    /// Energy per bit, where known.
    pub per_bit: Option<PerBitTable>,
    /// Where each number comes from, as `(name, source)`.
    pub provenance: Vec<(String, String)>,
}

const BUILT_IN: &[(&str, &str)] = &[
    ("hbm2-2000", include_str!("../devices/hbm2-2000.toml")),
    ("spatten-hbm2", include_str!("../devices/spatten-hbm2.toml")),
    ("hbm3-6400", include_str!("../devices/hbm3-6400.toml")),
    ("gddr6-14000", include_str!("../devices/gddr6-14000.toml")),
    ("gddr6-aim", include_str!("../devices/gddr6-aim.toml")),
    ("ddr4-2400", include_str!("../devices/ddr4-2400.toml")),
    ("ddr5-3200", include_str!("../devices/ddr5-3200.toml")),
    ("lpddr5-6400", include_str!("../devices/lpddr5-6400.toml")),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    standard: String,
    description: String,
    tck_ps: u64,
    slots: String,
    refresh: String,
    mapping: String,
    sources: BTreeMap<String, String>,
    organization: toml::Table,
    timing: BTreeMap<String, Sourced<u64>>,
    #[serde(default)]
    power: BTreeMap<String, Sourced<f64>>,
    #[serde(default)]
    per_bit: BTreeMap<String, Sourced<f64>>,
    #[serde(default)]
    command: Vec<RawCommand>,
    #[serde(default)]
    rule: Vec<RawConstraint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sourced<T> {
    value: T,
    source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCommand {
    name: String,
    scope: String,
    bus: String,
    effect: String,
}

impl Device {
    /// Names of the built-in devices.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|&(name, _)| name)
    }

    /// A built-in device.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn builtin(name: &str) -> Result<Device, TableError> {
        let known = BUILT_IN.iter().find(|&&(known, _)| known == name);
        let Some(&(name, text)) = known else {
            let known = Device::names().collect::<Vec<_>>().join(", ");
            return Err(TableError::UnknownDevice { name: name.to_owned(), known });
        };
        Device::from_toml(text, name)
    }

    /// Reads a device table; `file` is its name for error messages.
    ///
    /// # Errors
    /// The table cannot be read or describes no DRAM.
    pub fn from_toml(text: &str, file: &str) -> Result<Device, TableError> {
        let toml_error = |message: String| TableError::Toml { name: file.to_owned(), message };
        let mut raw: Raw = toml::from_str(text).map_err(|error| toml_error(error.to_string()))?;
        let mut provenance = Vec::new();
        let mut cite = |name: &str, key: &str| match raw.sources.get(key) {
            Some(source) => {
                provenance.push((name.to_owned(), source.clone()));
                Ok(())
            }
            None => Err(toml_error(format!("{name}: source `{key}` is not in [sources]"))),
        };
        let source = raw.organization.remove("source");
        let source = source.as_ref().and_then(toml::Value::as_str).unwrap_or_default();
        cite("organization", source)?;
        let organization: Organization = raw
            .organization
            .try_into()
            .map_err(|error: toml::de::Error| toml_error(format!("[organization] {error}")))?;
        organization.check()?;
        let mut values = BTreeMap::new();
        for (name, entry) in &raw.timing {
            let extension = !raw.command.is_empty();
            if !extension && !timing::NAMES.iter().any(|(known, _)| known == name) {
                let suggestion = timing::suggest(name);
                return Err(TableError::UnknownTiming { name: name.clone(), suggestion });
            }
            cite(name, &entry.source)?;
            values.insert(name.clone(), entry.value);
        }
        let timing = Timing::new(values)?;
        let mut commands = CommandSet::jedec();
        for command in &raw.command {
            commands.add(command.spec().map_err(toml_error)?)?;
        }
        let mut table = constraint::standard(&commands, &timing, &organization)?;
        table.extend(constraint::resolve(&raw.rule, &commands, &timing)?);
        let mut numbers = |entries: &BTreeMap<String, Sourced<f64>>| {
            let cited = entries.iter().map(|(name, entry)| {
                cite(name, &entry.source)?;
                Ok((name.clone(), entry.value))
            });
            cited.collect::<Result<BTreeMap<_, _>, TableError>>()
        };
        let idd = IddTable::from_values(&numbers(&raw.power)?, &raw.name)?;
        if let Some(idd) = &idd {
            idd.check(&Geometry::new(&organization, &timing, 1.0))?;
        }
        let per_bit = PerBitTable::from_values(&numbers(&raw.per_bit)?, &raw.name)?;
        if raw.tck_ps == 0 || raw.tck_ps > 1_000_000 {
            return Err(TableError::Controller {
                field: "tck_ps",
                value: raw.tck_ps.to_string(),
                expected: "1 to 1000000",
            });
        }
        Ok(Device {
            mapping: AddressMapping::parse(&raw.mapping, &organization)?,
            refresh: default_refresh(&raw.refresh, &timing, &organization)?,
            slots: match raw.slots.as_str() {
                "one" => CommandSlots::One,
                "two" => CommandSlots::Two,
                _ => return Err(unsupported("slots", &raw.slots, "one or two")),
            },
            name: raw.name,
            standard: raw.standard,
            description: raw.description,
            tck_ps: raw.tck_ps,
            organization,
            timing,
            commands,
            table,
            rules: raw.rule,
            idd,
            per_bit,
            provenance,
        })
    }

    /// The same device with another command clock and some other timings [cycles], which may be ones
    /// that it lacked.
    ///
    /// # Errors
    /// A timing that nobody knows, or timings that contradict each other.
    pub fn with_timing(&self, tck_ps: u64, changes: &[(&str, u64)]) -> Result<Device, TableError> {
        let mut values: BTreeMap<String, u64> =
            self.timing.iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for &(name, value) in changes {
            let known = timing::NAMES.iter().any(|(known, _)| *known == name);
            if !known && !values.contains_key(name) {
                let suggestion = timing::suggest(name);
                return Err(TableError::UnknownTiming { name: name.to_owned(), suggestion });
            }
            values.insert(name.to_owned(), value);
        }
        let timing = Timing::new(values)?;
        let mut table = constraint::standard(&self.commands, &timing, &self.organization)?;
        table.extend(constraint::resolve(&self.rules, &self.commands, &timing)?);
        let refresh = match self.refresh {
            Refresh::AllBank { .. } => Refresh::AllBank { interval: timing.need("tREFI")? },
            Refresh::PerBank { order, .. } => {
                Refresh::PerBank { interval: timing.need("tREFIpb")?, order }
            }
            Refresh::Off => Refresh::Off,
        };
        refresh.check_timing(&timing, &self.organization)?;
        if let Some(idd) = &self.idd {
            idd.check(&Geometry::new(&self.organization, &timing, 1.0))?;
        }
        Ok(Device { tck_ps, timing, table, refresh, ..self.clone() })
    }

    /// Open-page FR-FCFS with the device's own refresh and command bus.
    #[must_use]
    pub fn default_controller(&self) -> ControllerConfig {
        ControllerConfig {
            policy: Policy::ActiveList(ActiveListConfig::default()),
            slots: self.slots,
            page: PagePolicy::Open,
            refresh: self.refresh,
            stepping: Stepping::Jump,
        }
    }

    /// Command clock [Hz].
    #[must_use]
    pub fn clock_hz(&self) -> f64 {
        1e12 / self.tck_ps as f64
    }

    /// Data rate of one channel when its data buses never rest [B/s].
    #[must_use]
    pub fn peak_bandwidth(&self) -> f64 {
        use crate::organization::RankMeaning;
        let buses = match self.organization.rank_means {
            RankMeaning::Rank => 1,
            RankMeaning::PseudoChannel => self.organization.ranks,
        };
        let per_burst = f64::from(self.organization.tx_bytes) * f64::from(buses);
        per_burst * self.clock_hz() / self.timing.get("tBL") as f64
    }
}

fn default_refresh(
    text: &str,
    timing: &Timing,
    organization: &Organization,
) -> Result<Refresh, TableError> {
    let refresh = match text {
        "off" => Refresh::Off,
        "all-bank" => Refresh::AllBank { interval: timing.need("tREFI")? },
        "per-bank" => {
            Refresh::PerBank { interval: timing.need("tREFIpb")?, order: PerBankOrder::IdleFirst }
        }
        _ => return Err(unsupported("refresh", text, "off, all-bank or per-bank")),
    };
    refresh.check_timing(timing, organization)?;
    Ok(refresh)
}

fn unsupported(field: &'static str, value: &str, expected: &'static str) -> TableError {
    TableError::Controller { field, value: value.to_owned(), expected }
}

impl RawCommand {
    fn spec(&self) -> Result<CommandSpec, String> {
        let scope = Level::from_name(&self.scope)
            .ok_or_else(|| format!("command {}: unknown scope `{}`", self.name, self.scope))?;
        let bus = match self.bus.as_str() {
            "row" => Bus::Row,
            "column" => Bus::Column,
            other => return Err(format!("command {}: unknown bus `{other}`", self.name)),
        };
        let effect = match self.effect.as_str() {
            "open" => Effect::Open,
            "close" => Effect::Close,
            "refresh" => Effect::Refresh,
            "compute" => Effect::Compute,
            "transfer-read" => Effect::Transfer { write: false },
            "transfer-write" => Effect::Transfer { write: true },
            "read" => Effect::Access { write: false, auto_precharge: false },
            "write" => Effect::Access { write: true, auto_precharge: false },
            other => return Err(format!("command {}: unknown effect `{other}`", self.name)),
        };
        Ok(CommandSpec { name: self.name.clone(), scope, bus, effect })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_device_is_legal_and_named_as_listed() {
        for name in Device::names() {
            let device = Device::builtin(name).expect("built-in tables are checked");
            assert_eq!(device.name, name);
            assert!(device.timing.get("tCCD_S") >= device.timing.get("tBL"), "{name}");
            assert!(device.timing.iter().all(|(name, _)| {
                device.provenance.iter().any(|(cited, source)| cited == name && !source.is_empty())
            }));
        }
    }

    #[test]
    fn other_timings_give_other_rules() {
        let device = Device::builtin("gddr6-aim").expect("built in");
        let same = device.with_timing(device.tck_ps, &[]).expect("legal");
        assert_eq!(same, device);
        let other = device.with_timing(1000, &[("tRP", 24), ("tFAW", 40)]).expect("legal");
        assert_eq!((other.timing.get("tRP"), other.tck_ps), (24, 1000));
        assert!(other.table.len() > device.table.len(), "rules about four activations");
        assert_ne!(other.table, device.table);
        let error = device.with_timing(500, &[("tRPP", 1)]).expect_err("no such timing");
        assert!(error.to_string().contains("tRP"), "{error}");
        assert!(device.with_timing(500, &[("tRAS", 1)]).is_err());
    }

    #[test]
    fn damaged_tables_are_refused_with_the_reason() {
        let text = BUILT_IN[0].1;
        let check = |from: &str, to: &str, expected: &str| {
            assert!(text.contains(from), "the table has no `{from}`");
            let error = Device::from_toml(&text.replace(from, to), "x.toml").expect_err(to);
            assert!(error.to_string().contains(expected), "{error}");
        };
        check(
            "tRAS = { value = 34",
            "tRAS = { value = 13",
            "tRAS = 13 must be at least tRCDRD = 14",
        );
        check("tWTR_L =", "tWTR_l =", "did you mean `tWTR_L`?");
        check("banks_per_group = 4", "banks_per_group = 0", "banks_per_group = 0");
        check("tRP = { value = 14", "tRP = { value = -1", "invalid value");
        check("row:15", "row:14", "row has 14 bits but the organisation has 32768 of them");
        check("source = \"jesd235\"", "source = \"x\"", "source `x` is not in [sources]");
        check("slots = \"two\"", "slots = \"three\"", "expected one or two");
        check("IDD3N = { value = 55", "IDD3N = { value = 39", "IDD3N = 39 mA is below precharge");
        check("IDD4R = { value = 390", "IDD4R = { value = 39", "IDD4R = 39 mA is below active");
        check("IDD0 = { value = 65", "IDD0 = { value = 49", "IDD0 = 49 mA is below standby");
        let with = "[power]\nIDD5PB = { value = 39, source = \"dramsim3\" }";
        check("[power]", with, "IDD5PB = 39 mA is below precharge standby (2N), 40.0 mA");
        check("rank_means =", "rank_meens =", "unknown field `rank_meens`");
        check(
            "refresh = \"all-bank\"",
            "refresh = \"often\"",
            "expected off, all-bank or per-bank",
        );
    }

    #[test]
    fn an_unknown_device_is_answered_with_the_list() {
        let error = Device::builtin("ddr9").expect_err("no such device");
        assert!(error.to_string().contains("hbm2-2000, spatten-hbm2"));
    }
}
