//! The values of one design, laid over each other: preset, then file, then each `--set`.
//!
//! Every value keeps the text it came from, so that a refusal found much later, when several values
//! are joined, still points into what the user wrote.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::designs::{self, Design};
use crate::diagnostic::{Diagnostic, SourceText};
use crate::layer::{self, Assignment, Value};
use crate::near::nearest;
use crate::schema::{Kind, Schema};
use crate::source::{Source, comment_after};

/// All values of one design, each inside its legal range.
#[derive(Debug, Clone)]
pub struct Config {
    design: &'static Design,
    values: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    value: Value,
    origin: Arc<SourceText>,
    span: Range<usize>,
    /// 0 for the preset; later layers count up.
    layer: usize,
    source: Source,
}

/// Loads a design: its preset, then a configuration file, then `--set` arguments in their order.
///
/// # Errors
/// An unknown design or parameter, a wrong type, a value outside its range, or a text that is no
/// TOML; each with its place and, where one is near, the name that was probably meant.
pub fn load(design: &str, file: Option<SourceText>, sets: &[String]) -> Result<Config, Diagnostic> {
    let design = designs::find(design)?;
    let mut config = Config { design, values: BTreeMap::new() };
    let preset = SourceText::new(format!("preset {}", design.name), design.preset);
    config.lay_text(0, Arc::new(preset))?;
    if let Some(file) = file {
        config.lay_text(1, Arc::new(file))?;
    }
    for (index, text) in sets.iter().enumerate() {
        let origin = Arc::new(SourceText::new("--set", text.as_str()));
        let assignment = layer::read_set(design.schema, &origin, &|path| config.written(path))?;
        config.lay(2 + index, &origin, assignment)?;
    }
    config.check_ranges()?;
    Ok(config)
}

impl Config {
    /// The design it started from.
    pub fn design(&self) -> &'static Design {
        self.design
    }

    /// Its schema.
    pub fn schema(&self) -> &'static Schema {
        self.design.schema
    }

    /// Where the value at a path comes from; `None` for a path outside the schema.
    pub fn source(&self, path: &str) -> Option<&Source> {
        self.values.get(path).map(|entry| &entry.source)
    }

    /// The raw record: the values as the user may write them, typed but not yet joined.
    ///
    /// # Errors
    /// A record whose fields are not those of the schema.
    pub(crate) fn raw<T: DeserializeOwned>(&self) -> Result<T, Diagnostic> {
        let mut root = toml::Table::new();
        for (path, entry) in &self.values {
            let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
            let value = entry.value.to_toml();
            if section.is_empty() {
                root.insert(key.to_owned(), value);
            } else if let toml::Value::Table(inner) =
                root.entry(section).or_insert_with(|| toml::Table::new().into())
            {
                inner.insert(key.to_owned(), value);
            }
        }
        root.try_into().map_err(|error: toml::de::Error| Diagnostic {
            title: format!("the preset `{}` does not fill its record", self.design.name),
            label: error.message().to_owned(),
            origin: Arc::new(SourceText::new(
                format!("preset {}", self.design.name),
                self.design.preset,
            )),
            span: 0..0,
            help: None,
        })
    }

    /// A refusal of several values together. It points at the one laid last, because that is what
    /// the user can have meant to change.
    pub(crate) fn refuse(
        &self,
        paths: &[&str],
        title: impl Into<String>,
        label: impl Into<String>,
        help: impl Into<String>,
    ) -> Diagnostic {
        // On equal layers the first path wins: `max_by_key` takes the last of equals.
        let entries = paths.iter().rev().filter_map(|path| self.values.get(*path));
        let (origin, span) = match entries.max_by_key(|entry| entry.layer) {
            Some(entry) => (entry.origin.clone(), entry.span.clone()),
            None => (Arc::new(SourceText::new(self.design.name, "")), 0..0),
        };
        Diagnostic {
            title: title.into(),
            label: label.into(),
            origin,
            span,
            help: Some(help.into()),
        }
    }

    /// A value as it is written.
    fn written(&self, path: &str) -> Option<String> {
        self.values.get(path).map(|entry| entry.value.to_string())
    }

    fn lay_text(&mut self, layer: usize, origin: Arc<SourceText>) -> Result<(), Diagnostic> {
        let assignments = layer::read(self.design.schema, &origin, &|path| self.written(path))?;
        for assignment in assignments {
            self.lay(layer, &origin, assignment)?;
        }
        Ok(())
    }

    fn lay(
        &mut self,
        layer: usize,
        origin: &Arc<SourceText>,
        assignment: Assignment,
    ) -> Result<(), Diagnostic> {
        let Assignment { path, value, span } = assignment;
        let before = self.values.get(&path);
        if path == "name" && before.is_some_and(|entry| entry.value != value) {
            let name = self.design.name;
            return Err(Diagnostic {
                title: "the text describes another design".into(),
                label: format!("expected \"{name}\", the design asked for"),
                origin: origin.clone(),
                span,
                help: Some("name that design on the command line, or leave `name` out".into()),
            });
        }
        let source = match before {
            // Saying the same again takes nothing from where the value was first found.
            Some(entry) if entry.value == value => entry.source.clone(),
            Some(_) => Source::User(place(origin, span.start)),
            None => {
                Source::parse(&comment_after(&origin.text, span.end)).ok_or_else(|| Diagnostic {
                    title: format!("`{path}` has no source"),
                    label:
                        "expected a comment `# KIND: ...` with paper, release, secondary, device, \
                         recalled or assumed"
                            .into(),
                    origin: origin.clone(),
                    span: span.clone(),
                    help: Some("every value of a preset says where it comes from".into()),
                })?
            }
        };
        self.values.insert(path, Entry { value, origin: origin.clone(), span, layer, source });
        Ok(())
    }

    fn check_ranges(&self) -> Result<(), Diagnostic> {
        for path in self.schema().paths() {
            let (Some(entry), Some(field)) = (self.values.get(&path), self.schema().field(&path))
            else {
                continue;
            };
            if let (Kind::Choice(texts), Value::Text(text)) = (field.kind, &entry.value)
                && !texts.contains(&text.as_str())
            {
                return Err(Diagnostic {
                    title: format!("`{path}` has no such choice"),
                    label: format!("expected {}", field.kind.expected()),
                    origin: entry.origin.clone(),
                    span: entry.span.clone(),
                    help: nearest(text, texts.iter().copied())
                        .map(|near| format!("did you mean \"{near}\"?"))
                        .or(texts.first().map(|text| format!("write for example \"{text}\""))),
                });
            }
            let (Kind::Count { min, max, power_of_two }, Value::Count(count)) =
                (field.kind, &entry.value)
            else {
                continue;
            };
            let inside = (i128::from(min)..=i128::from(max)).contains(count);
            let power = u64::try_from(*count).is_ok_and(u64::is_power_of_two);
            if inside && (power || !power_of_two) {
                continue;
            }
            let near = nearest_legal(*count, min, max, power_of_two);
            return Err(Diagnostic {
                title: format!("`{path}` is out of range"),
                label: format!("expected {} [{}]", field.kind.expected(), field.unit),
                origin: entry.origin.clone(),
                span: entry.span.clone(),
                help: Some(format!("nearest: {near}")),
            });
        }
        Ok(())
    }
}

impl Value {
    fn to_toml(&self) -> toml::Value {
        match self {
            Self::Text(text) => toml::Value::String(text.clone()),
            Self::Flag(flag) => toml::Value::Boolean(*flag),
            // The range check has run; saturation here cannot be seen.
            Self::Count(count) => toml::Value::Integer(i64::try_from(*count).unwrap_or(i64::MAX)),
        }
    }
}

fn place(origin: &SourceText, offset: usize) -> String {
    if origin.name == "--set" {
        format!("--set {}", origin.text)
    } else {
        format!("{}:{}", origin.name, origin.line_of(offset))
    }
}

/// The legal value or two values around `count`.
fn nearest_legal(count: i128, min: u64, max: u64, power_of_two: bool) -> String {
    if count <= i128::from(min) {
        return min.to_string();
    }
    if count >= i128::from(max) {
        return max.to_string();
    }
    let inside = u64::try_from(count).unwrap_or(max);
    if power_of_two {
        let above = inside.next_power_of_two();
        format!("{} or {above}", above / 2)
    } else {
        inside.to_string()
    }
}
