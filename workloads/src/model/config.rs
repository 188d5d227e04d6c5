//! The fields of a `config.json`.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::ModelError;
use super::layers::Activation;
use crate::suggest::nearest;

/// Largest size that any field may hold; ten times that of any released model.
const MAX_SIZE: u64 = 1 << 24;

/// Fields of a configuration, with the name of its file for errors.
pub(crate) struct Config {
    file: String,
    fields: Map<String, Value>,
}

impl Config {
    /// Parses the text of a configuration; `file` names it in errors.
    pub fn parse(file: &str, text: &str) -> Result<Config, ModelError> {
        let fields = serde_json::from_str(text).map_err(|error| ModelError::Format {
            file: file.to_owned(),
            expected: "the configuration of a model",
            reason: error.to_string(),
        })?;
        Ok(Config { file: file.to_owned(), fields })
    }

    /// Name of the file, for errors.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Names of all fields.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// The value of a field; absent and null are the same.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    /// A size from 1.
    pub fn size(&self, field: &str) -> Result<usize, ModelError> {
        self.whole(field, 1..=MAX_SIZE)
    }

    /// A number of layers or heads.
    pub fn count(&self, field: &str) -> Result<usize, ModelError> {
        self.whole(field, 1..=u64::from(crate::limits::INDEX))
    }

    /// A size that may be absent.
    pub fn maybe_size(&self, field: &str) -> Result<Option<usize>, ModelError> {
        self.get(field).map(|_| self.size(field)).transpose()
    }

    fn whole(&self, field: &str, range: RangeInclusive<u64>) -> Result<usize, ModelError> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let value = self.required(field, &expected)?;
        let number = value.as_u64().filter(|number| range.contains(number));
        let number = number.and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| self.error(field, value, expected))
    }

    /// A number above 0.
    pub fn positive(&self, field: &str) -> Result<f32, ModelError> {
        let expected = "a number above 0";
        let value = self.required(field, expected)?;
        let number = value.as_f64().map(|number| number as f32);
        let number = number.filter(|number| number.is_finite() && *number > 0.0);
        number.ok_or_else(|| self.error(field, value, expected))
    }

    /// A number above 0, or another value where it is absent.
    pub fn positive_or(&self, field: &str, absent: f32) -> Result<f32, ModelError> {
        if self.get(field).is_some() { self.positive(field) } else { Ok(absent) }
    }

    /// True or false, or another value where it is absent.
    pub fn flag_or(&self, field: &str, absent: bool) -> Result<bool, ModelError> {
        match self.get(field) {
            None => Ok(absent),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(self.error(field, value, "true or false")),
        }
    }

    /// Text.
    pub fn text(&self, field: &str, expected: &str) -> Result<&str, ModelError> {
        let value = self.required(field, expected)?;
        value.as_str().ok_or_else(|| self.error(field, value, expected))
    }

    /// An activation, or another one where it is absent.
    pub fn activation_or(&self, field: &str, absent: &str) -> Result<Activation, ModelError> {
        let absent = Value::from(absent);
        let value = self.get(field).unwrap_or(&absent);
        let known = value.as_str().and_then(Activation::named);
        known.ok_or_else(|| self.error(field, value, format!("one of {}", Activation::NAMES)))
    }

    /// Refuses a value other than the one that this reader can run; absent stands for that one.
    pub fn only(&self, field: &str, value: impl Into<Value>) -> Result<(), ModelError> {
        let value = value.into();
        match self.get(field) {
            Some(found) if *found != value => {
                Err(self.error(field, found, format!("{value}, the only variant that is known")))
            }
            _ => Ok(()),
        }
    }

    /// `whole` split into `parts` of equal size, both named by their fields.
    pub fn split(&self, whole: &str, parts: &str) -> Result<usize, ModelError> {
        let (size, count) = (self.size(whole)?, self.count(parts)?);
        if size % count != 0 {
            let expected = format!("a multiple of {count} (`{parts}`)");
            return Err(self.error(whole, &size.into(), expected));
        }
        Ok(size / count)
    }

    /// The error about a field that holds something else.
    pub fn error(&self, field: &str, found: &Value, expected: impl Into<String>) -> ModelError {
        ModelError::Config {
            file: self.file.clone(),
            field: field.to_owned(),
            found: found.to_string(),
            expected: expected.into(),
        }
    }

    fn required(&self, field: &str, expected: &str) -> Result<&Value, ModelError> {
        self.get(field).ok_or_else(|| {
            let near = nearest(field, self.fields.keys().map(String::as_str));
            let near = near.filter(|near| *near != field);
            let hint = near.map_or_else(String::new, |near| format!("; there is a `{near}`"));
            ModelError::Config {
                file: self.file.clone(),
                field: field.to_owned(),
                found: "missing".to_owned(),
                expected: format!("{expected}{hint}"),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: std::fmt::Debug>(outcome: Result<T, ModelError>, expected: &str) {
        assert_eq!(outcome.unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_field_that_is_missing_or_absurd_is_named() {
        let text =
            r#"{"hidden_sise":8,"layers":0,"heads":3,"width":1e99,"act":"softmax","kind":1}"#;
        let config = Config::parse("c.json", text).unwrap();
        check(
            config.size("hidden_size"),
            "c.json: `hidden_size` is missing: expected a whole number from 1 to 16777216; there \
             is a `hidden_sise`",
        );
        check(
            config.count("layers"),
            "c.json: `layers` is 0: expected a whole number from 1 to 4096",
        );
        check(
            config.size("width"),
            "c.json: `width` is 1e+99: expected a whole number from 1 to 16777216",
        );
        check(
            config.split("hidden_sise", "heads"),
            "c.json: `hidden_sise` is 8: expected a multiple of 3 (`heads`)",
        );
        check(
            config.activation_or("act", "gelu"),
            "c.json: `act` is \"softmax\": expected one of gelu, gelu_new, gelu_pytorch_tanh, \
             relu, silu",
        );
        check(
            config.activation_or("kind", "gelu"),
            "c.json: `kind` is 1: expected one of gelu, gelu_new, gelu_pytorch_tanh, relu, silu",
        );
        check(
            config.only("kind", "absolute"),
            "c.json: `kind` is 1: expected \"absolute\", the only variant that is known",
        );
        check(config.positive("layers"), "c.json: `layers` is 0: expected a number above 0");
    }

    #[test]
    fn text_that_is_no_object_is_refused() {
        for text in ["", "[]", "{\"a\":", "7"] {
            let error = Config::parse("c.json", text).err().unwrap().to_string();
            assert!(error.starts_with("c.json: this is not the configuration of a model: "));
        }
    }
}
