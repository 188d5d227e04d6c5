//! Expressions over parameters and results: conditions, and numbers that are to be small or large.
//!
//! They are expressions of Jinja without filters and functions, such as
//! `key_sram.bytes <= 196608 and cycles < 1e6`.

use std::collections::BTreeSet;

use minijinja::{Environment, Error, UndefinedBehavior};
use serde_json::{Map, Value};

/// A checked expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// As the user wrote it.
    pub text: String,
    /// The dotted names in it.
    pub names: BTreeSet<String>,
}

/// Why a text is no expression, and at which byte of it.
#[derive(Debug)]
pub struct Fault {
    /// What is wrong.
    pub message: String,
    /// First byte at fault.
    pub start: usize,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// A text that is none, or one without a name, which is the same for every point.
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

    /// Whether it is one name and nothing else.
    pub fn is_name(&self) -> bool {
        self.names.len() == 1 && self.names.contains(self.text.trim())
    }

    /// Whether values meet it.
    ///
    /// # Errors
    /// As [`number`](Self::number); an outcome that is no truth value.
    pub fn holds(&self, values: &Value) -> Result<bool, String> {
        let outcome = self.evaluate(values)?;
        bool::try_from(outcome.clone())
            .map_err(|_| format!("`{}` is {outcome}: expected a comparison", self.text))
    }

    /// Its number; a whole one stays whole.
    ///
    /// # Errors
    /// A name without a value, operands that cannot be joined, an outcome that is no number; in words
    /// for the user.
    pub fn number(&self, values: &Value) -> Result<Value, String> {
        let outcome = self.evaluate(values)?;
        let number = serde_json::to_value(&outcome).ok().filter(Value::is_number);
        number.ok_or_else(|| format!("`{}` is {outcome}: expected a number", self.text))
    }

    fn evaluate(&self, values: &Value) -> Result<minijinja::Value, String> {
        let fail = |error: Error| {
            let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
            format!("`{}`: {}{detail}", self.text, error.kind())
        };
        // JSON has no way to say that nothing is known; an order with nothing would be arbitrary.
        if let Some(name) =
            self.names.iter().find(|name| lookup(values, name).is_none_or(Value::is_null))
        {
            let of = if self.is_name() { String::new() } else { format!("`{}`: ", self.text) };
            return Err(format!("{of}`{name}` is not known"));
        }
        let environment = environment();
        let expression = environment.compile_expression(&self.text).map_err(fail)?;
        expression.eval(minijinja::Value::from(minijinja::value::Serde(values))).map_err(fail)
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
        Expression::read(text)
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
    fn numbers_stay_whole_where_they_can() {
        let values = json!({"a": {"b": 6}, "c": 4, "d": 0.5, "e": "text"});
        let number = |text: &str| Expression::read(text).unwrap().number(&values);
        assert_eq!(number("a.b"), Ok(json!(6)));
        assert_eq!(number("a.b * c + 1"), Ok(json!(25)));
        assert_eq!(number("c * d"), Ok(json!(2.0)));
        assert!(number("c < 5").unwrap_err().contains("expected a number"));
        assert!(number("e").unwrap_err().contains("expected a number"));
        assert_eq!(number("f"), Err("`f` is not known".to_owned()));
        assert!(number("c / (d - d)").is_err(), "{:?}", number("c / (d - d)"));
        assert!(Expression::read("a.b").unwrap().is_name());
        assert!(!Expression::read("a.b + a.b").unwrap().is_name());
    }

    #[test]
    fn names_are_whole_paths() {
        let constraint = Expression::read("a.b + c < 2 * a.d.e").unwrap();
        assert_eq!(Vec::from_iter(constraint.names), ["a.b", "a.d.e", "c"]);
        assert_eq!(
            paths(&json!({"a": {"b": 1, "d": {"e": [1]}}, "c": null})),
            ["a.b", "a.d.e", "c"]
        );
        assert_eq!(lookup(&json!({"a": {"b": 1}}), "a.b"), Some(&json!(1)));
    }
}
