//! What constraints and objectives may speak of, and what is said when they speak of nothing.

use anyhow::{Result, anyhow};
use serde_json::Value;

use super::{
    Outcome, Status,
    expression::{Expression, lookup, paths},
    spec::{Sited, Spec},
};

/// Sections of a result that may be named.
const RESULT: [&str; 13] = [
    "cycles",
    "seconds",
    "ops_executed",
    "ops_dense",
    "throughput",
    "traffic",
    "dram",
    "energy_j",
    "power_w",
    "area_mm2",
    "units",
    "admission",
    "phases",
];

/// Every name in the description with its place.
fn names(spec: &Spec) -> impl Iterator<Item = (Sited<()>, &str)> {
    fn all(site: Sited<()>, part: &Expression) -> impl Iterator<Item = (Sited<()>, &str)> {
        part.names.iter().map(move |name| (site.clone(), name.as_str()))
    }
    let constraints = spec.constraints.iter();
    let constraints = constraints.flat_map(|constraint| all(constraint.site(), &constraint.part));
    let objectives = spec.objectives.iter();
    constraints.chain(objectives.flat_map(|objective| all(objective.site(), &objective.part.value)))
}

/// Refuses names that stand for nothing.
pub fn check(spec: &Spec, parameters: &Value) -> Result<()> {
    for (site, name) in names(spec) {
        let section = name.split('.').next().unwrap_or_default();
        if lookup(parameters, name).is_some() || RESULT.contains(&section) {
            continue;
        }
        let all = paths(parameters).into_iter().chain(RESULT.map(str::to_owned));
        let near = attelier_hw::near::nearest(name, all);
        let help = near.map(|near| format!("did you mean `{near}`?"));
        let label = format!("expected a parameter of the point, or one of {}", RESULT.join(", "));
        return Err(spec.refuse(&site, format!("unknown name `{name}`"), label, help).into());
    }
    Ok(())
}

/// Refuses names that stand for no number, and objectives that are no number.
pub fn check_numbers(spec: &Spec, values: &Value) -> Result<()> {
    let objectives = spec.objectives.iter().flat_map(|objective| &objective.part.value.names);
    let objectives: Vec<&str> = objectives.map(String::as_str).collect();
    for (site, name) in names(spec) {
        let (title, label, help) = match lookup(values, name) {
            Some(Value::Number(_)) => continue,
            Some(Value::Object(section)) => {
                let paths = paths(&Value::Object(section.clone()));
                let paths: Vec<_> = paths.iter().map(|path| format!("{name}.{path}")).collect();
                let total = paths.iter().find(|path| path.ends_with(".total"));
                let help = total.or(paths.first()).map(|path| format!("did you mean `{path}`?"));
                (
                    format!("`{name}` is a section"),
                    format!("expected one of {}", paths.join(", ")),
                    help,
                )
            }
            None => {
                let help = attelier_hw::near::nearest(name, paths(values));
                let help = help.map(|near| format!("did you mean `{near}`?"));
                let label = "expected a number of the result".to_owned();
                (format!("unknown name `{name}`"), label, help)
            }
            Some(Value::Null) => {
                let label = format!("expected a number: {}", why_unknown(values, name));
                (format!("`{name}` is not known"), label, None)
            }
            // A constraint may look at a text or a switch.
            Some(_) if !objectives.contains(&name) => continue,
            Some(_) => {
                let title = format!("`{name}` cannot be small or large");
                (title, "expected a number".to_owned(), None)
            }
        };
        return Err(spec.refuse(&site, title, label, help).into());
    }
    Ok(())
}

/// Refuses expressions that do not give what they should: by the first result, before hours are spent on
/// the others.
pub fn check_values(spec: &Spec, values: &Value) -> Result<()> {
    let label = |reason: String| format!("at the first point: {reason}");
    for constraint in &spec.constraints {
        if let Err(reason) = constraint.part.holds(values) {
            return Err(spec
                .refuse(constraint, "this is no condition", label(reason), None)
                .into());
        }
    }
    for objective in &spec.objectives {
        if let Err(reason) = objective.part.value.number(values) {
            return Err(spec.refuse(objective, "this is no number", label(reason), None).into());
        }
    }
    Ok(())
}

/// What the result says about a value that it does not have.
fn why_unknown(values: &Value, name: &str) -> String {
    let key = name.rsplit('.').next().unwrap_or(name);
    let word = key.split('_').next().unwrap_or(key);
    let notes = values.get("notes").and_then(Value::as_array).into_iter().flatten();
    let note = notes.filter_map(Value::as_str).find(|note| note.contains(word));
    note.unwrap_or("this machine does not tell it").to_owned()
}

/// Why no point was simulated, if constraints are more to blame than the points.
pub fn nothing_left(spec: &Spec, outcomes: &[Outcome]) -> Option<anyhow::Error> {
    let count = |status| outcomes.iter().filter(|outcome| outcome.status == status).count();
    let simulated = outcomes.iter().any(|outcome| outcome.key.is_some());
    if simulated || count(Status::Excluded) < count(Status::Failed) {
        return None;
    }
    let excluding = |text: &str| {
        let by = |outcome: &&Outcome| {
            outcome.status == Status::Excluded && outcome.reason.as_deref() == Some(text)
        };
        outcomes.iter().filter(by).count()
    };
    let counts =
        spec.constraints.iter().map(|constraint| (excluding(&constraint.part.text), constraint));
    let counts: Vec<_> = counts.filter(|(count, _)| *count > 0).collect();
    let (count, worst) = counts.iter().max_by_key(|(count, _)| *count)?;
    let label = format!("this leaves out {count} of {} points", outcomes.len());
    let others = counts.iter().filter(|(_, other)| other.part.text != worst.part.text);
    let others: Vec<_> =
        others.map(|(count, other)| format!("`{}` {count}", other.part.text)).collect();
    let help = match others[..] {
        [] => "widen an axis or the constraint".to_owned(),
        _ => format!("before it, others leave out points too: {}", others.join(", ")),
    };
    let refused = spec.refuse(worst, "the constraints leave no point", label, Some(help));
    Some(anyhow!(refused))
}
