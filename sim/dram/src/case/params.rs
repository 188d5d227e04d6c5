//! The parameter file of a case.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::case::Injection;
use crate::command::{ACT, CommandSet, REFA, REFPB};
use crate::constraint::{self, Constraint, RawConstraint};
use crate::device::Device;
use crate::error::{CaseError, TableError};
use crate::mapping::{AddressMapping, Field};
use crate::organization::Organization;
use crate::policy::{
    ActiveListConfig, BankQueuesConfig, CommandSlots, ControllerConfig, PagePolicy, PerBankOrder,
    Policy, Refresh, Scheduler, Stepping,
};
use crate::timing::{self, Timing};

/// A checked parameter file.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseParams {
    /// Organisation.
    pub organization: Organization,
    /// Commands.
    pub commands: CommandSet,
    /// Timings [cycles].
    pub timing: Timing,
    /// Rules in force.
    pub table: Vec<Constraint>,
    /// Address mapping.
    pub mapping: AddressMapping,
    /// Controller.
    pub controller: ControllerConfig,
    /// RD to completion [cycles].
    pub read_latency: u64,
    /// Cycle number of driver step 0.
    pub first_cycle: u64,
    /// Steps to run on after the last completion [cycles].
    pub tail: u64,
    /// Whether to run until every write has reached its bank, not only until it counts as complete.
    pub drain: bool,
    /// How many requests are offered per step.
    pub injection: Injection,
}

/// The file as it is written. The fields without a type describe how a recorded case came about;
/// nothing is read from them, and any other name is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "accepted, but of no influence")]
struct Raw {
    organization: Organization,
    timing: BTreeMap<String, Option<u64>>,
    constraint_table: Option<Vec<RawRow>>,
    address_mapping: RawMapping,
    policy: RawPolicy,
    refresh: RawRefresh,
    read_latency_cycles: Option<u64>,
    case: Option<IgnoredAny>,
    tool: Option<IgnoredAny>,
    commit: Option<IgnoredAny>,
    standard: Option<IgnoredAny>,
    org_preset: Option<IgnoredAny>,
    timing_preset: Option<IgnoredAny>,
    base_config: Option<IgnoredAny>,
    overrides: Option<IgnoredAny>,
    tck_ns: Option<IgnoredAny>,
    raw_timing_cycles: Option<IgnoredAny>,
    requests: Option<IgnoredAny>,
    unissued_writes: Option<IgnoredAny>,
    cycle_convention: Option<IgnoredAny>,
    results: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRow {
    scope: String,
    prev: Vec<String>,
    next: Vec<String>,
    min_cycles: i64,
    #[serde(default = "one")]
    window: u64,
    #[serde(default)]
    other_rank_only: bool,
}

fn one() -> u64 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "the name is accepted, but of no influence")]
struct RawMapping {
    lsb_to_msb: Vec<RawField>,
    name: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawField {
    field: String,
    lsb: u32,
    bits: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "two names are accepted, but of no influence")]
struct RawPolicy {
    model: String,
    #[serde(default = "open")]
    row_policy: String,
    scheduler: Option<String>,
    command_slots: String,
    read_queue: Option<usize>,
    write_queue: Option<usize>,
    write_low_watermark: Option<f64>,
    write_high_watermark: Option<f64>,
    transaction_queue: Option<usize>,
    unified_queue: Option<bool>,
    command_queue_per_bank: Option<usize>,
    row_hit_cap_before_precharge: Option<u32>,
    controller: Option<IgnoredAny>,
    priority_queue: Option<IgnoredAny>,
}

fn open() -> String {
    "open".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRefresh {
    enabled: bool,
    #[serde(default)]
    kind: String,
    interval_cycles: Option<u64>,
}

impl CaseParams {
    /// A device under a controller, with the device's own mapping.
    ///
    /// As in the recorded cases, a request that arrives at step i has its first command at cycle
    /// i + 1 at the earliest: the active list sees it one cycle later, the bank queues take a cycle
    /// to pass it on.
    #[must_use]
    pub fn of_device(device: &Device, controller: ControllerConfig) -> CaseParams {
        CaseParams {
            organization: device.organization.clone(),
            commands: device.commands.clone(),
            timing: device.timing.clone(),
            table: device.table.clone(),
            mapping: device.mapping.clone(),
            read_latency: device.timing.read_latency(),
            first_cycle: match &controller.policy {
                Policy::ActiveList(_) => 1,
                Policy::BankQueues(_) => 0,
            },
            controller,
            tail: 0,
            drain: true,
            injection: Injection::OnePerChannel,
        }
    }

    /// Reads a parameter file; `file` is its name for error messages.
    ///
    /// # Errors
    /// The text is not the JSON expected, or its values describe no DRAM.
    pub fn from_json(text: &str, file: &str) -> Result<CaseParams, CaseError> {
        let raw: Raw = serde_json::from_str(text)
            .map_err(|source| CaseError::Json { file: file.to_owned(), source })?;
        let table_error = |source| CaseError::Table { file: file.to_owned(), source };
        let organization = raw.organization;
        organization.check().map_err(table_error)?;
        let timing = timing(raw.timing, &organization).map_err(table_error)?;
        let commands = CommandSet::jedec();
        let table = match &raw.constraint_table {
            Some(rows) if rows.is_empty() => {
                return Err(field(file, "constraint_table", "[]", "at least one rule, or none"));
            }
            Some(rows) => convert(rows, &commands),
            None => constraint::standard(&commands, &timing, &organization),
        }
        .map_err(table_error)?;
        let mapping = mapping(&raw.address_mapping, &organization).map_err(table_error)?;
        let refresh = refresh(&raw.refresh, &raw.policy, &timing, &organization, file)?;
        refresh.check_timing(&timing, &organization).map_err(table_error)?;
        if raw.constraint_table.is_some() {
            // A table is taken as it is, so what it leaves out would cost nothing.
            check_refresh_rules(refresh, &table).map_err(table_error)?;
            constraint::check_shared_bus(&table, &organization).map_err(table_error)?;
        }
        let (policy, first_cycle, tail) = policy(&raw.policy, file)?;
        let controller = ControllerConfig {
            policy,
            slots: slots(&raw.policy.command_slots, file)?,
            page: page(&raw.policy.row_policy, file)?,
            refresh,
            stepping: Stepping::Jump,
        };
        controller.check().map_err(table_error)?;
        let read_latency = raw.read_latency_cycles.unwrap_or_else(|| timing.read_latency());
        if read_latency > crate::timing::LONGEST {
            return Err(field(file, "read_latency_cycles", read_latency, "at most 2^32"));
        }
        Ok(CaseParams {
            organization,
            commands,
            timing,
            table,
            mapping,
            controller,
            read_latency,
            first_cycle,
            tail,
            drain: false,
            injection: Injection::OnePerStep,
        })
    }
}

fn field(
    file: &str,
    field: &'static str,
    value: impl ToString,
    expected: &'static str,
) -> CaseError {
    CaseError::Field { file: file.to_owned(), field, value: value.to_string(), expected }
}

fn convert(rows: &[RawRow], commands: &CommandSet) -> Result<Vec<Constraint>, TableError> {
    let mut table = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let raw = RawConstraint {
            scope: row.scope.clone(),
            preceding: row.prev.clone(),
            following: row.next.clone(),
            distance: String::new(),
            window: row.window,
            sibling: row.other_rank_only,
            when: None,
        };
        table.extend(constraint::from_names(index, &raw, row.min_cycles, commands)?);
    }
    Ok(table)
}

/// Known timings. The turn-around of a data bus that ranks share follows, where it is not given,
/// from tRTW = tCL + tBL - tCWL + turn-around.
fn timing(
    given: BTreeMap<String, Option<u64>>,
    organization: &Organization,
) -> Result<Timing, TableError> {
    for name in given.keys() {
        if !timing::NAMES.iter().any(|(known, _)| known == name) {
            let suggestion = timing::suggest(name);
            return Err(TableError::UnknownTiming { name: name.clone(), suggestion });
        }
    }
    let given = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let mut values: BTreeMap<String, u64> = given.collect();
    if organization.ranks_share_data_bus() {
        let get = |name: &str| values.get(name).copied().unwrap_or(0).min(timing::LONGEST);
        let turn = (get("tRTW") + get("tCWL")).saturating_sub(get("tCL") + get("tBL"));
        values.entry("tCS".to_owned()).or_insert(turn);
    }
    Timing::new(values)
}

/// A table must say what a refresh costs.
fn check_refresh_rules(refresh: Refresh, table: &[Constraint]) -> Result<(), TableError> {
    let (command, name) = match refresh {
        Refresh::Off => return Ok(()),
        Refresh::AllBank { .. } => (REFA, "REFA"),
        Refresh::PerBank { .. } => (REFPB, "REFPB"),
    };
    if constraint::relates(table, command, ACT) {
        return Ok(());
    }
    Err(TableError::MissingRule { preceding: name, following: "ACT" })
}

fn mapping(raw: &RawMapping, organization: &Organization) -> Result<AddressMapping, TableError> {
    let mut fields = Vec::new();
    let mut lsb = 0u32;
    for entry in &raw.lsb_to_msb {
        if entry.bits > 0 && entry.lsb != lsb {
            let reason = format!("{} starts at bit {}, expected {lsb}", entry.field, entry.lsb);
            return Err(TableError::Mapping { reason });
        }
        fields.push((Field::from_name(&entry.field)?, entry.bits));
        lsb = lsb.saturating_add(entry.bits);
    }
    AddressMapping::new(&fields, organization)
}

fn refresh(
    raw: &RawRefresh,
    policy: &RawPolicy,
    timing: &Timing,
    organization: &Organization,
    file: &str,
) -> Result<Refresh, CaseError> {
    if !raw.enabled {
        return Ok(Refresh::Off);
    }
    let missing = || field(file, "refresh.interval_cycles", "null", "a number of cycles");
    if raw.kind.is_empty() || raw.kind.starts_with("all-bank") {
        let interval = raw.interval_cycles.or(timing.find("tREFI")).ok_or_else(missing)?;
        return Ok(Refresh::AllBank { interval });
    }
    if raw.kind.starts_with("per-bank") {
        let share = |interval: u64| (interval / u64::from(organization.banks_per_rank())).max(1);
        let known = raw.interval_cycles.or(timing.find("tREFIpb"));
        let interval = known.or(timing.find("tREFI").map(share)).ok_or_else(missing)?;
        let in_turn = policy.model == "dramsim3";
        let order = if in_turn { PerBankOrder::InTurn } else { PerBankOrder::IdleFirst };
        return Ok(Refresh::PerBank { interval, order });
    }
    Err(field(file, "refresh.kind", &raw.kind, "`all-bank ...` or `per-bank ...`"))
}

fn policy(raw: &RawPolicy, file: &str) -> Result<(Policy, u64, u64), CaseError> {
    let active_list = [
        ("policy.read_queue", raw.read_queue.is_some()),
        ("policy.write_queue", raw.write_queue.is_some()),
        ("policy.write_low_watermark", raw.write_low_watermark.is_some()),
        ("policy.write_high_watermark", raw.write_high_watermark.is_some()),
    ];
    let bank_queues = [
        ("policy.transaction_queue", raw.transaction_queue.is_some()),
        ("policy.unified_queue", raw.unified_queue.is_some()),
        ("policy.command_queue_per_bank", raw.command_queue_per_bank.is_some()),
        ("policy.row_hit_cap_before_precharge", raw.row_hit_cap_before_precharge.is_some()),
    ];
    let foreign = |fields: [(&'static str, bool); 4], expected| {
        let given = fields.into_iter().find(|&(_, given)| given);
        given.map_or(Ok(()), |(name, _)| Err(field(file, name, "given", expected)))
    };
    match raw.model.as_str() {
        "ramulator2" => {
            foreign(bank_queues, "it only with the model dramsim3")?;
            let default = ActiveListConfig::default();
            let scheduler = match raw.scheduler.as_deref() {
                None | Some("FRFCFS") => Scheduler::FrFcfs,
                Some("FRFCFS-RowHit") => Scheduler::FrFcfsRowHit,
                Some(other) => {
                    let expected = "FRFCFS or FRFCFS-RowHit";
                    return Err(field(file, "policy.scheduler", other, expected));
                }
            };
            let config = ActiveListConfig {
                scheduler,
                read_queue: raw.read_queue.unwrap_or(default.read_queue),
                write_queue: raw.write_queue.unwrap_or(default.write_queue),
                write_low_watermark: raw.write_low_watermark.unwrap_or(default.write_low_watermark),
                write_high_watermark: raw
                    .write_high_watermark
                    .unwrap_or(default.write_high_watermark),
            };
            Ok((Policy::ActiveList(config), 1, 0))
        }
        "dramsim3" => {
            foreign(active_list, "it only with the model ramulator2")?;
            let known = "per-bank queues, round-robin, first-ready";
            if let Some(other) = raw.scheduler.as_deref().filter(|&name| name != known) {
                return Err(field(file, "policy.scheduler", other, known));
            }
            let default = BankQueuesConfig::default();
            let config = BankQueuesConfig {
                transaction_queue: raw.transaction_queue.unwrap_or(default.transaction_queue),
                unified_queue: raw.unified_queue.unwrap_or(default.unified_queue),
                command_queue: raw.command_queue_per_bank.unwrap_or(default.command_queue),
                row_hit_cap: raw.row_hit_cap_before_precharge.unwrap_or(default.row_hit_cap),
                ..default
            };
            Ok((Policy::BankQueues(config), 0, 4000))
        }
        other => Err(field(file, "policy.model", other, "ramulator2 or dramsim3")),
    }
}

fn slots(text: &str, file: &str) -> Result<CommandSlots, CaseError> {
    if text.starts_with("one per cycle") {
        Ok(CommandSlots::One)
    } else if text.starts_with("column+row") || text.starts_with("up to two per cycle") {
        Ok(CommandSlots::Two)
    } else {
        let expected = "`one per cycle`, `column+row per cycle` or `up to two per cycle`";
        Err(field(file, "policy.command_slots", text, expected))
    }
}

fn page(text: &str, file: &str) -> Result<PagePolicy, CaseError> {
    match text {
        "open" => Ok(PagePolicy::Open),
        "closed" => Ok(PagePolicy::Closed),
        other => Err(field(file, "policy.row_policy", other, "open or closed")),
    }
}
