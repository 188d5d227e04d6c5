//! Conditions over parameters and results, and the names that they and the objectives use.
//!
//! A condition is an expression of Jinja without filters and functions, such as
//! `key_sram.bytes <= 196608 and cycles < 1e6`.

use std::collections::BTreeSet;

use minijinja::{Environment, Error, UndefinedBehavior};
use serde_json::{Map, Value};

/// A condition that a point must meet.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// As the user wrote it.
    pub text: String,
    /// The dotted names in it.
    pub names: BTreeSet<String>,
}

/// Why a text is no condition, and at which byte of it.
#[derive(Debug)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// First byte at fault.
    pub start: usize,
}

impl Constraint {
    /// Reads a condition.
    ///
    /// # Errors
    /// A text that is no expression, or one without a name, which is the same for every point.
    pub fn read(text: &str) -> Result<Self, Fault> {
        let environment = environment();
        let expression = environment.compile_expression(text).map_err(|error| Fault {
            message: error.detail().unwrap_or("not an expression").to_owned(),
            start: error.range().map_or(0, |range| range.start),
        })?;
        let names: BTreeSet<String> = expression.undeclared_variables(true).into_iter().collect();
        if names.is_empty() {
            let message = "it names no parameter and no result".to_owned();
            return Err(Fault { message, start: 0 });
        }
        Ok(Self { text: text.to_owned(), names })
    }

    /// Whether values meet it.
    ///
    /// # Errors
    /// A name without a value, operands that cannot be joined, an outcome that is no truth value; in
    /// words for the user.
    pub fn holds(&self, values: &Value) -> Result<bool, String> {
        let fail = |error: Error| {
            let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
            format!("constraint `{}`: {}{detail}", self.text, error.kind())
        };
        let environment = environment();
        let expression = environment.compile_expression(&self.text).map_err(fail)?;
        // JSON has no way to say that nothing is known; an order with nothing would be arbitrary.
        if let Some(name) =
            self.names.iter().find(|name| lookup(values, name).is_none_or(Value::is_null))
        {
            return Err(format!("constraint `{}`: `{name}` is not known", self.text));
        }
        let outcome = expression
            .eval(minijinja::Value::from(minijinja::value::Serde(values)))
            .map_err(fail)?;
        bool::try_from(outcome.clone())
            .map_err(|_| format!("constraint `{}` is {outcome}: expected a comparison", self.text))
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
}

/// The value at a dotted path.
pub fn lookup<'a>(values: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(values, |value, key| value.get(key))
}

/// The dotted paths of all values that are no tables.
pub fn paths(values: &Value) -> Vec<String> {
    fn walk(prefix: &str, values: &Map<String, Value>, found: &mut Vec<String>) {
        for (key, value) in values {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                Value::Object(inner) => walk(&path, inner, found),
                _ => found.push(path),
            }
        }
    }
    let mut found = Vec::new();
    if let Value::Object(values) = values {
        walk("", values, &mut found);
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(text: &str) -> Result<bool, String> {
        let values = json!({
            "key_sram": {"bytes": 196_608}, "cycles": 5_000, "seconds": 0.25, "area_mm2": null,
            "memory": {"kind": "hbm2"},
        });
        Constraint::read(text)
            .map_err(|fault| format!("{} at {}", fault.message, fault.start))?
            .holds(&values)
    }

    #[test]
    fn conditions_are_ordinary_arithmetic() {
        assert_eq!(holds("key_sram.bytes <= 196608"), Ok(true));
        assert_eq!(holds("key_sram.bytes < 196608"), Ok(false));
        assert_eq!(holds("cycles < 5e3 or seconds * 4 == 1"), Ok(true));
        assert_eq!(holds("cycles < 1e6 and not (seconds > 1)"), Ok(true));
        assert_eq!(holds("memory.kind == 'ideal'"), Ok(false));
        assert_eq!(holds("key_sram.bytes / 1024 + 8 <= 200"), Ok(true));
    }

    #[test]
    fn what_is_no_condition_is_refused_in_words() {
        assert!(
            holds("cycles <").unwrap_err().contains("unexpected end"),
            "{:?}",
            holds("cycles <")
        );
        assert!(holds("1 < 2").unwrap_err().contains("names no parameter"));
        assert!(holds("cycles + 1").unwrap_err().contains("is 5001: expected a comparison"));
        assert!(holds("area_mm2 < 3").unwrap_err().contains("`area_mm2` is not known"));
        assert!(holds("range(cycles)").is_err());
    }

    #[test]
    fn names_are_whole_paths() {
        let constraint = Constraint::read("a.b + c < 2 * a.d.e").unwrap();
        assert_eq!(Vec::from_iter(constraint.names), ["a.b", "a.d.e", "c"]);
        assert_eq!(
            paths(&json!({"a": {"b": 1, "d": {"e": [1]}}, "c": null})),
            ["a.b", "a.d.e", "c"]
        );
        assert_eq!(lookup(&json!({"a": {"b": 1}}), "a.b"), Some(&json!(1)));
    }
}
