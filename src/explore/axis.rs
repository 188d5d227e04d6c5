//! An axis of a space: parameters that move together, and the values they take.

use std::ops::Range;

use attelier_hw::diagnostic::Diagnostic;
use serde::Deserialize;
use toml::{Spanned, Value};

use super::spec::Reader;

/// Most values on one axis.
const MOST_VALUES: usize = 10_000;

/// Parameters that move together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// The parameters, as `--set` names them.
    pub paths: Vec<String>,
    /// The steps of the axis; in each, a value for every parameter, as `--set` takes it.
    pub values: Vec<Vec<String>>,
}

/// An axis as the user writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table with `path` and `values`")]
pub(super) struct RawAxis {
    path: Option<Spanned<String>>,
    paths: Option<Spanned<Vec<Spanned<String>>>>,
    values: Option<Spanned<Vec<Spanned<Value>>>>,
    range: Option<Spanned<Steps>>,
    powers_of_two: Option<Spanned<Powers>>,
}

/// Evenly spaced whole numbers; both ends are values where the step meets them.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Steps {
    from: i64,
    to: i64,
    #[serde(default = "one")]
    step: i64,
}

/// Powers of two; both ends are powers of two.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Powers {
    from: u64,
    to: u64,
}

fn one() -> i64 {
    1
}

impl Axis {
    /// Its name in tables: that of its first parameter.
    pub fn name(&self) -> &str {
        self.paths.first().map_or("", String::as_str)
    }

    /// Checks an axis that stands at `span`.
    pub(super) fn check(raw: Spanned<RawAxis>, reader: &Reader<'_>) -> Result<Self, Diagnostic> {
        let span = raw.span();
        let RawAxis { path, paths, values, range, powers_of_two } = raw.into_inner();
        let refuse = |span: Range<usize>, title: &str, label: &str, help: &str| {
            reader.refuse(span, title, label, Some(help.to_owned()))
        };
        let paths = match (path, paths) {
            (Some(path), None) => vec![path],
            (None, Some(paths)) if !paths.get_ref().is_empty() => paths.into_inner(),
            _ => {
                return Err(refuse(
                    span,
                    "an axis needs a parameter",
                    "expected `path`, or `paths` for parameters that move together",
                    "write for example `path = \"topk_value.parallelism\"`",
                ));
            }
        };
        for path in &paths {
            reader.check_path(path.get_ref(), path.span())?;
        }
        let steps = match (values, range, powers_of_two) {
            (Some(values), None, None) => listed(values, paths.len(), reader)?,
            (None, Some(range), None) => {
                let (span, steps) = (range.span(), range.into_inner());
                same(span.clone(), steps.values(), paths.len()).ok_or_else(|| {
                    refuse(
                        span,
                        "the range has no values",
                        "expected `from` at most `to`, a `step` of 1 or more, and at most 10000 values",
                        "write for example `range = { from = 8, to = 32, step = 8 }`",
                    )
                })?
            }
            (None, None, Some(powers)) => {
                let (span, powers) = (powers.span(), powers.into_inner());
                same(span.clone(), powers.values(), paths.len()).ok_or_else(|| {
                    refuse(
                        span,
                        "the ends are no powers of two",
                        "expected powers of two, `from` at most `to`",
                        "write for example `powers_of_two = { from = 1, to = 16 }`",
                    )
                })?
            }
            _ => {
                return Err(refuse(
                    span,
                    "an axis needs one list of values",
                    "expected one of `values`, `range` and `powers_of_two`",
                    "write for example `values = [1, 2, 4]`",
                ));
            }
        };
        let paths: Vec<String> = paths.into_iter().map(Spanned::into_inner).collect();
        for step in &steps {
            for (path, value) in paths.iter().zip(&step.values) {
                reader.check_set(&format!("{path}={value}"), step.span.clone())?;
            }
        }
        Ok(Self { paths, values: steps.into_iter().map(|step| step.values).collect() })
    }
}

/// One step of an axis and where it stands.
struct Step {
    values: Vec<String>,
    span: Range<usize>,
}

/// The same value for each of `parameters`.
fn same(span: Range<usize>, values: Option<Vec<String>>, parameters: usize) -> Option<Vec<Step>> {
    let step = |value| Step { values: vec![value; parameters], span: span.clone() };
    Some(values?.into_iter().map(step).collect())
}

fn listed(
    values: Spanned<Vec<Spanned<Value>>>,
    parameters: usize,
    reader: &Reader<'_>,
) -> Result<Vec<Step>, Diagnostic> {
    let span = values.span();
    if values.get_ref().is_empty() || values.get_ref().len() > MOST_VALUES {
        let label = format!("expected 1 to {MOST_VALUES} values");
        return Err(reader.refuse(span, "the list of values is empty or too long", &label, None));
    }
    let step = |value: Spanned<Value>| {
        let span = value.span();
        let texts = match value.into_inner() {
            Value::Array(each) if each.len() == parameters => {
                each.iter().map(text).collect::<Option<_>>()
            }
            value => text(&value).map(|text| vec![text; parameters]),
        };
        let label =
            "expected a number, a text, true or false, or a list with one for each of `paths`";
        let refuse = || reader.refuse(span.clone(), "this is no value of the axis", label, None);
        Ok(Step { values: texts.ok_or_else(refuse)?, span: span.clone() })
    };
    values.into_inner().into_iter().map(step).collect()
}

/// A value as `--set` takes it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Some(value.to_string()),
        Value::Array(_) | Value::Table(_) | Value::Datetime(_) => None,
    }
}

impl Steps {
    fn values(self) -> Option<Vec<String>> {
        let step = usize::try_from(self.step).ok().filter(|&step| step > 0)?;
        let span = usize::try_from(self.to.checked_sub(self.from)?).ok()?;
        let few = span / step < MOST_VALUES;
        few.then(|| (self.from..=self.to).step_by(step).map(|value| value.to_string()).collect())
    }
}

impl Powers {
    fn values(self) -> Option<Vec<String>> {
        let Self { from, to } = self;
        let legal = from.is_power_of_two() && to.is_power_of_two() && from <= to;
        legal.then(|| {
            (from.trailing_zeros()..=to.trailing_zeros())
                .map(|log| (1u64 << log).to_string())
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_both_ends_where_the_step_meets_them() {
        let values = |from, to, step| Steps { from, to, step }.values();
        assert_eq!(values(8, 32, 8).unwrap(), ["8", "16", "24", "32"]);
        assert_eq!(values(8, 31, 8).unwrap(), ["8", "16", "24"]);
        assert_eq!(values(-1, 1, 1).unwrap(), ["-1", "0", "1"]);
        assert_eq!(values(5, 5, i64::MAX).unwrap(), ["5"]);
        for (from, to, step) in [(2, 1, 1), (1, 2, 0), (1, 2, -1), (i64::MIN, i64::MAX, 1)] {
            assert_eq!(values(from, to, step), None, "{from} {to} {step}");
        }
    }

    #[test]
    fn powers_of_two_hold_both_ends() {
        let values = |from, to| Powers { from, to }.values();
        assert_eq!(values(1, 8).unwrap(), ["1", "2", "4", "8"]);
        assert_eq!(values(1 << 63, 1 << 63).unwrap(), ["9223372036854775808"]);
        assert_eq!(values(0, 8).or(values(1, 3)).or(values(4, 2)), None);
    }
}
