//! One text of values, read against a schema: every value with its type checked, its place known.
//!
//! Ranges are not looked at here, because a later layer may replace the value.

use std::fmt;
use std::num::IntErrorKind;
use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, SourceText, quote};
use crate::near::nearest;
use crate::schema::{Field, Kind, Schema, join};

/// A value of one of the three kinds a schema knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Flag(bool),
    /// Negative or beyond 64 bits is kept, so that the range check can name it.
    Count(i128),
}

impl fmt::Display for Value {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(to, "{text:?}"),
            Self::Flag(flag) => write!(to, "{flag}"),
            Self::Count(count) => write!(to, "{count}"),
        }
    }
}

/// `path = value`, and where it stands.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) path: String,
    pub(crate) value: Value,
    /// Of the value \[bytes\].
    pub(crate) span: Range<usize>,
}

/// The value that a path has without this text, as an example of how one is written.
pub(crate) type Example<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads a TOML text.
pub(crate) fn read(
    schema: &Schema,
    origin: &Arc<SourceText>,
    example: Example<'_>,
) -> Result<Vec<Assignment>, Diagnostic> {
    let table = DeTable::parse(&origin.text).map_err(|error| Diagnostic {
        title: format!("{} is not valid TOML", quote(&origin.name)),
        label: error.message().to_owned(),
        origin: origin.clone(),
        span: error.span().unwrap_or(0..0),
        help: None,
    })?;
    let mut found = Vec::new();
    Reader { schema, origin, example }.walk("", table.get_ref(), &mut found)?;
    Ok(found)
}

/// Reads one `--set` argument, `path=value`.
pub(crate) fn read_set(
    schema: &Schema,
    origin: &Arc<SourceText>,
    example: Example<'_>,
) -> Result<Assignment, Diagnostic> {
    let reader = Reader { schema, origin, example };
    let text = origin.text.as_str();
    let refuse = |label: &str, span: Range<usize>| Diagnostic {
        title: format!("{} is not an assignment", quote(text)),
        label: label.to_owned(),
        origin: origin.clone(),
        span,
        help: Some("write for example `--set topk_value.parallelism=8`".into()),
    };
    if let Some(at) = text.find(['\n', '\r']) {
        return Err(refuse("expected one line", at..at + 1));
    }
    let Some(equals) = text.find('=') else {
        return Err(refuse("expected `path=value`", 0..text.len()));
    };
    let path = text[..equals].trim();
    let start = equals - text[..equals].trim_start().len();
    let Some(field) = schema.field(path) else {
        return Err(reader.unknown(path, start..start + path.len()));
    };
    let value = text[equals + 1..].trim();
    let start = text.len() - text[equals + 1..].trim_start().len();
    let span = start..start + value.len();
    // A choice needs no quotes, which a shell would take away.
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if matches!(field.kind, Kind::Choice(_)) && !value.is_empty() && value.chars().all(word) {
        return Ok(Assignment {
            path: path.to_owned(),
            value: Value::Text(value.to_owned()),
            span,
        });
    }
    // `a=1=2` and `a=` are left: whatever is no single TOML value has no legal type.
    let parsed = DeValue::parse(value).map_err(|_| reader.mistyped(path, field, None, &span))?;
    let value = reader.typed(path, field, parsed.get_ref(), &span)?;
    Ok(Assignment { path: path.to_owned(), value, span })
}

struct Reader<'a> {
    schema: &'a Schema,
    origin: &'a Arc<SourceText>,
    example: Example<'a>,
}

impl Reader<'_> {
    fn walk(
        &self,
        section: &str,
        table: &DeTable<'_>,
        found: &mut Vec<Assignment>,
    ) -> Result<(), Diagnostic> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let path = join(section, key.get_ref());
            // A key with a dot in quotes spells a path that its table does not have.
            let plain = !key.get_ref().contains('.');
            if let Some(field) = self.schema.field(&path).filter(|_| plain) {
                let span = value.span();
                let value = self.typed(&path, field, value.get_ref(), &span)?;
                found.push(Assignment { path, value, span });
            } else if section.is_empty()
                && !path.is_empty()
                && let Some(known) = self.schema.section(&path)
            {
                let DeValue::Table(inner) = value.get_ref() else {
                    return Err(self.not_a_section(&path, known.fields, value.span()));
                };
                self.walk(&path, inner, found)?;
            } else {
                return Err(self.unknown(&path, key.span()));
            }
        }
        Ok(())
    }

    fn typed(
        &self,
        path: &str,
        field: &Field,
        value: &DeValue<'_>,
        span: &Range<usize>,
    ) -> Result<Value, Diagnostic> {
        match (field.kind, value) {
            (Kind::Text | Kind::Choice(_), DeValue::String(text)) => {
                Ok(Value::Text(text.to_string()))
            }
            (Kind::Flag, DeValue::Boolean(flag)) => Ok(Value::Flag(*flag)),
            (Kind::Count { .. }, DeValue::Integer(digits)) => {
                match i128::from_str_radix(digits.as_str(), digits.radix()) {
                    Ok(count) => Ok(Value::Count(count)),
                    Err(error) => match error.kind() {
                        IntErrorKind::PosOverflow => Ok(Value::Count(i128::MAX)),
                        IntErrorKind::NegOverflow => Ok(Value::Count(i128::MIN)),
                        // The TOML reader lets a bare `0x` through.
                        _ => Err(self.mistyped(path, field, None, span)),
                    },
                }
            }
            _ => Err(self.mistyped(path, field, Some(value.type_str()), span)),
        }
    }

    fn mistyped(
        &self,
        path: &str,
        field: &Field,
        found: Option<&str>,
        span: &Range<usize>,
    ) -> Diagnostic {
        let given = self.origin.text.get(span.clone()).unwrap_or_default();
        let found = match found {
            Some(kind) => format!("{} {kind}", article(kind)),
            None if given.is_empty() => "nothing".into(),
            None => quote(given),
        };
        let example = match (self.example)(path) {
            Some(value) => value,
            None => match field.kind {
                Kind::Text => "\"text\"".to_owned(),
                Kind::Choice(texts) => format!("\"{}\"", texts.first().unwrap_or(&"")),
                Kind::Flag => "true".to_owned(),
                Kind::Count { min, .. } => min.to_string(),
            },
        };
        Diagnostic {
            title: format!("`{path}` has the wrong type"),
            label: format!("expected {}, found {found}", field.kind.expected()),
            origin: self.origin.clone(),
            span: span.clone(),
            help: Some(format!("write for example `{path} = {example}` [{}]", field.unit)),
        }
    }

    fn not_a_section(&self, name: &str, fields: &[Field], span: Range<usize>) -> Diagnostic {
        Diagnostic {
            title: format!("`{name}` is a section, not a value"),
            label: format!("expected a table with the keys {}", keys(fields)),
            origin: self.origin.clone(),
            span,
            help: fields.first().map(|field| format!("set for example `{name}.{}`", field.key)),
        }
    }

    fn unknown(&self, path: &str, span: Range<usize>) -> Diagnostic {
        let refuse = |label: String, help: Option<String>| Diagnostic {
            title: format!("unknown parameter {}", quote(path)),
            label,
            origin: self.origin.clone(),
            span: span.clone(),
            help,
        };
        if let Some(section) = self.schema.section(path).filter(|_| !path.is_empty()) {
            return self.not_a_section(path, section.fields, span);
        }
        if let Some(derived) = self.schema.derived(path) {
            let label = "this value is derived, expected one of those it follows from";
            return refuse(label.into(), Some(format!("`{path}` = {}", derived.rule)));
        }
        let sections = self.schema.sections.iter().map(|section| section.name);
        let near = nearest(path, self.schema.paths())
            .or_else(|| nearest(path, sections.filter(|name| !name.is_empty())));
        let help = near.map(|near| format!("did you mean `{near}`?"));
        let section = path.rsplit_once('.').and_then(|(name, _)| self.schema.section(name));
        let label = match section {
            Some(section) => format!("expected one of {}", keys(section.fields)),
            None => {
                let names = self.schema.sections.iter().filter(|section| !section.name.is_empty());
                let names: Vec<_> = names.map(|section| section.name).collect();
                format!("expected a path such as `memory.channels`; sections: {}", names.join(", "))
            }
        };
        refuse(label, help)
    }
}

fn keys(fields: &[Field]) -> String {
    fields.iter().map(|field| format!("`{}`", field.key)).collect::<Vec<_>>().join(", ")
}

fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
