//! Constraint tables: which command must keep which distance from which earlier command.
//!
//! A row says: inside one `scope`, a `following` command comes at least `distance` cycles after the
//! `window`-th last `preceding` command. A `sibling` row restricts the other nodes of that level
//! instead (the other ranks on a shared data bus). Nothing else in the crate knows a timing rule.

use serde::Deserialize;

use crate::command::{CommandId, CommandSet, Level, RD, WR};
use crate::error::TableError;
use crate::organization::Organization;
use crate::timing::{LONGEST, Timing};

/// One row of a constraint table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    /// Level at which the distance is kept.
    pub scope: Level,
    /// Earlier commands.
    pub preceding: Vec<CommandId>,
    /// Commands that have to wait.
    pub following: Vec<CommandId>,
    /// Least distance [cycles].
    pub distance: u64,
    /// Counts from the n-th last earlier command; 1 is the last.
    pub window: u8,
    /// Applies to the other nodes of the level under the same parent.
    pub sibling: bool,
}

/// One row as data files write it; `distance` is a sum such as `"tCL + tBL + 2 - tCWL"`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConstraint {
    /// Level name.
    pub scope: String,
    /// Names of earlier commands.
    pub preceding: Vec<String>,
    /// Names of commands that have to wait.
    pub following: Vec<String>,
    /// Sum of timing names and integers.
    pub distance: String,
    /// See [`Constraint::window`].
    #[serde(default = "one")]
    pub window: u64,
    /// See [`Constraint::sibling`].
    #[serde(default)]
    pub sibling: bool,
    /// The row holds only where the device gives this timing.
    pub when: Option<String>,
}

fn one() -> u64 {
    1
}

/// Resolves names and distances; rows whose `when` timing is absent and rows whose distance is not
/// positive drop out.
///
/// # Errors
/// A name, expression or window cannot be understood.
pub fn resolve(
    rows: &[RawConstraint],
    commands: &CommandSet,
    timing: &Timing,
) -> Result<Vec<Constraint>, TableError> {
    let mut table = Vec::new();
    for (row, raw) in rows.iter().enumerate() {
        if raw.when.as_ref().is_some_and(|name| !holds(name, timing)) {
            continue;
        }
        let distance = evaluate(&raw.distance, timing).map_err(|reason| {
            TableError::Expression { row, expression: raw.distance.clone(), reason }
        })?;
        let constraint = from_names(row, raw, distance, commands)?;
        table.extend(constraint);
    }
    Ok(table)
}

/// Whether a row's condition is met: the timing is given, or ACT takes more than one cycle.
fn holds(name: &str, timing: &Timing) -> bool {
    if name == "act_extra" { timing.get("act_cycles") > 1 } else { timing.find(name).is_some() }
}

/// Turns one row with an already known distance into a constraint; `None` when the distance is not
/// positive and so restricts nothing.
///
/// # Errors
/// A name, window or distance is out of range.
pub fn from_names(
    row: usize,
    raw: &RawConstraint,
    distance: i64,
    commands: &CommandSet,
) -> Result<Option<Constraint>, TableError> {
    let scope = Level::from_name(&raw.scope)
        .ok_or_else(|| TableError::UnknownScope { row, name: raw.scope.clone() })?;
    let ids = |names: &[String]| {
        names
            .iter()
            .map(|name| {
                commands
                    .find(name)
                    .ok_or_else(|| TableError::UnknownCommand { row, name: name.clone() })
            })
            .collect::<Result<Vec<_>, _>>()
    };
    let (preceding, following) = (ids(&raw.preceding)?, ids(&raw.following)?);
    let window = u8::try_from(raw.window)
        .ok()
        .filter(|window| (1..=64).contains(window))
        .ok_or(TableError::Window { row, window: raw.window })?;
    let Ok(distance) = u64::try_from(distance) else { return Ok(None) };
    if distance > LONGEST {
        return Err(TableError::Distance { row, distance });
    }
    let sibling = raw.sibling;
    let constraint = Constraint { scope, preceding, following, distance, window, sibling };
    Ok((distance > 0).then_some(constraint))
}

/// Value of a sum of timing names and integers.
fn evaluate(expression: &str, timing: &Timing) -> Result<i64, String> {
    let mut total = 0i64;
    let mut sign = 1i64;
    let mut expect_term = true;
    for word in expression.split_whitespace() {
        if expect_term {
            let value = match word.parse::<u32>() {
                Ok(number) => u64::from(number),
                Err(_) if word == "act_extra" => timing.find("act_cycles").unwrap_or(1) - 1,
                Err(_) => timing.find(word).ok_or_else(|| format!("no timing `{word}`"))?,
            };
            // Timings are at most 2^32, so a few hundred terms cannot overflow.
            let value = i64::try_from(value).map_err(|_| format!("`{word}` is too large"))?;
            total = total.checked_add(sign * value).ok_or("the sum overflows")?;
        } else {
            sign = match word {
                "+" => 1,
                "-" => -1,
                _ => return Err(format!("expected + or - before `{word}`")),
            };
        }
        expect_term = !expect_term;
    }
    if expect_term { Err("expected a timing name or a number".to_owned()) } else { Ok(total) }
}

/// Rules every JEDEC DRAM keeps, as data; devices append their own.
const STANDARD: &str = include_str!("../tables/standard-rules.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    rule: Vec<RawConstraint>,
}

/// The constraint table that follows from a set of JEDEC timings.
///
/// # Errors
/// `timing` lacks a name that the table needs, such as tCS where ranks share a data bus.
pub fn standard(
    commands: &CommandSet,
    timing: &Timing,
    organization: &Organization,
) -> Result<Vec<Constraint>, TableError> {
    let mut file: RuleFile = toml::from_str(STANDARD).map_err(|error| TableError::Toml {
        name: "tables/standard-rules.toml".to_owned(),
        message: error.to_string(),
    })?;
    if organization.ranks_share_data_bus() {
        timing.need("tCS")?;
    } else {
        file.rule.retain(|rule| !rule.sibling);
    }
    resolve(&file.rule, commands, timing)
}

/// Checks that column commands of ranks that share a data bus keep some distance.
///
/// # Errors
/// A pair of directions has no rule across ranks.
pub fn check_shared_bus(
    table: &[Constraint],
    organization: &Organization,
) -> Result<(), TableError> {
    if !organization.ranks_share_data_bus() {
        return Ok(());
    }
    let others = [(RD, "RD of another rank"), (WR, "WR of another rank")];
    for (preceding, name) in [(RD, "RD"), (WR, "WR")] {
        for (following, other) in others {
            let across = |row: &&Constraint| row.sibling || row.scope == Level::Channel;
            if !relates(table.iter().filter(across), preceding, following) {
                return Err(TableError::MissingRule { preceding: name, following: other });
            }
        }
    }
    Ok(())
}

/// Whether a table speaks of `following` after `preceding` at all.
#[must_use]
pub fn relates<'a>(
    table: impl IntoIterator<Item = &'a Constraint>,
    preceding: CommandId,
    following: CommandId,
) -> bool {
    let mut rows = table.into_iter();
    rows.any(|row| row.preceding.contains(&preceding) && row.following.contains(&following))
}
