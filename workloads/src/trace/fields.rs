//! The fields of one JSON object with the place of each, so that an error can point at it.

use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{Problem, TraceError};
use crate::suggest::nearest;

/// One line of the file.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub file: &'a str,
    pub line: u64,
    pub text: &'a str,
}

impl Context<'_> {
    /// An error with the caret under the byte `offset`.
    pub fn error(&self, problem: Problem, offset: usize) -> TraceError {
        TraceError::new(problem, self.file).at(self.line, self.text, offset)
    }

    fn offset_of(&self, part: &str) -> usize {
        // `part` was borrowed from `text`; were it not, the caret would stand at the start.
        let offset = (part.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        if offset <= self.text.len() { offset } else { 0 }
    }
}

struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// Fields of one object. Getters take a field out; [`Fields::finish`] refuses what is left.
pub(super) struct Fields<'a> {
    context: Context<'a>,
    /// Text of the object itself, a part of the line.
    text: &'a str,
    known: &'static [&'static str],
    entries: Vec<(String, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    /// Parses `text`, which is the line or a part of it. Refuses unknown and repeated names.
    pub fn parse(
        context: Context<'a>,
        text: &'a str,
        known: &'static [&'static str],
    ) -> Result<Fields<'a>, TraceError> {
        let fields = Fields { known, ..Fields::open(context, text)? };
        for (name, value) in &fields.entries {
            if !known.contains(&name.as_str()) {
                let problem =
                    Problem::UnknownField { field: shorten(name), expected: known.join(", ") };
                return Err(fields
                    .error_at_name(problem, name, value)
                    .did_you_mean(nearest(name, known.iter().copied())));
            }
        }
        Ok(fields)
    }

    /// Parses an object whose names are free.
    pub fn open(context: Context<'a>, text: &'a str) -> Result<Fields<'a>, TraceError> {
        let entries = match serde_json::from_str::<Entries<'a>>(text) {
            Ok(Entries(entries)) => entries,
            Err(error) => return Err(not_json(context, text, &error)),
        };
        let fields = Fields { context, text, known: &[], entries };
        for (index, (name, value)) in fields.entries.iter().enumerate() {
            if fields.entries[..index].iter().any(|(earlier, _)| earlier == name) {
                let problem = Problem::DuplicateField { field: shorten(name) };
                return Err(fields.error_at_name(problem, name, value));
            }
        }
        Ok(fields)
    }

    /// Names in the order of the line.
    pub fn names(&self) -> Vec<String> {
        self.entries.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Text of a field, or `None` where it is absent or null.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        let (_, value) = self.entries.iter().find(|(entry, _)| entry == name)?;
        (value.get() != "null").then(|| value.get())
    }

    /// Whether the field is there, null or not.
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(entry, _)| entry == name)
    }

    /// A whole number.
    pub fn whole<T: FromStr>(&self, name: &'static str) -> Result<T, TraceError> {
        let expected = "a whole number from 0";
        match self.raw(name) {
            Some(raw) => raw.parse().map_err(|_| self.value_error(name, raw, expected)),
            None => Err(self.missing(name, expected)),
        }
    }

    /// A whole number that may be absent.
    pub fn maybe_whole(&self, name: &'static str) -> Result<Option<u32>, TraceError> {
        self.raw(name).map(|_| self.whole(name)).transpose()
    }

    /// A finite number that may be absent.
    pub fn maybe_number(&self, name: &'static str) -> Result<Option<f64>, TraceError> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        match raw.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(self.value_error(name, raw, "a finite number")),
        }
    }

    /// `true` or `false`; absent means false.
    pub fn flag(&self, name: &'static str) -> Result<bool, TraceError> {
        match self.raw(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(raw) => Err(self.value_error(name, raw, "true or false")),
        }
    }

    /// A string.
    pub fn string(&self, name: &'static str) -> Result<String, TraceError> {
        match self.raw(name) {
            Some(raw) => serde_json::from_str(raw)
                .map_err(|_| self.value_error(name, raw, "a string in double quotes")),
            None => Err(self.missing(name, "a string in double quotes")),
        }
    }

    /// A value of any other type.
    pub fn json<T: Deserialize<'a>>(
        &self,
        name: &'static str,
        expected: &str,
    ) -> Result<T, TraceError> {
        match self.raw(name) {
            Some(raw) => {
                serde_json::from_str(raw).map_err(|_| self.value_error(name, raw, expected))
            }
            None => Err(self.missing(name, expected)),
        }
    }

    /// An error about the value of `name`, with the caret under it.
    pub fn value_error(&self, name: &str, found: &str, expected: &str) -> TraceError {
        let problem = Problem::Value {
            field: name.to_owned(),
            found: shorten(found),
            expected: expected.to_owned(),
        };
        self.error_at(name, problem)
    }

    /// Any problem, with the caret under the value of `name` or, where it is absent, under the
    /// start of the object.
    pub fn error_at(&self, name: &str, problem: Problem) -> TraceError {
        let value = self.entries.iter().find(|(entry, _)| entry == name);
        let part = value.map_or(self.text, |(_, value)| value.get());
        self.context.error(problem, self.context.offset_of(part))
    }

    fn missing(&self, name: &'static str, expected: &str) -> TraceError {
        let problem = Problem::MissingField { field: name, expected: expected.to_owned() };
        let end = self.context.offset_of(self.text) + self.text.trim_end().len().saturating_sub(1);
        let absent = self.known.iter().copied().filter(|known| !self.has(known)).count();
        let error = self.context.error(problem, end);
        if absent == self.known.len() { error.help("the object is empty") } else { error }
    }

    fn error_at_name(&self, problem: Problem, name: &str, value: &RawValue) -> TraceError {
        let value_at = self.context.offset_of(value.get());
        let before = self.context.text.get(..value_at).unwrap_or("");
        let at = before.rfind(&format!("\"{name}\"")).unwrap_or(value_at);
        self.context.error(problem, at)
    }
}

fn not_json(context: Context<'_>, text: &str, error: &serde_json::Error) -> TraceError {
    // The columns of serde_json count bytes from 1; at the end of the text it may stand past it.
    let inside = error.column().saturating_sub(1).min(text.len());
    let offset = context.offset_of(text) + inside;
    let rest = text.get(inside..).unwrap_or("");
    if error.is_eof() {
        let problem = Problem::Cut {
            at: "in the middle of a line".to_owned(),
            expected: "a JSON object that is closed".to_owned(),
        };
        return context.error(problem, offset);
    }
    if error.is_data() {
        let problem = Problem::Syntax {
            what: "this is not a JSON object".to_owned(),
            expected: "an object in braces on one line".to_owned(),
        };
        return context.error(problem, context.offset_of(text));
    }
    let reason = error.to_string();
    let reason = reason.split(" at line").next().unwrap_or("invalid JSON").to_owned();
    let problem =
        Problem::Syntax { what: format!("this is not JSON ({reason})"), expected: "JSON".into() };
    let error = context.error(problem, offset);
    if ["NaN", "Inf", "-Inf", "aN", "nf"].iter().any(|word| rest.starts_with(word)) {
        return error.help("JSON has no NaN and no infinity; counts are whole numbers");
    }
    error
}

/// At most 40 characters of a value, for a message.
fn shorten(value: &str) -> String {
    const MOST: usize = 40;
    if value.chars().count() <= MOST {
        return value.to_owned();
    }
    value.chars().take(MOST).chain("...".chars()).collect()
}
