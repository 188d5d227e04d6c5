//! Checked records as text: the listing with units and sources, the canonical form, the hash.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::config::Config;
use crate::schema::{Section, join};

/// Width of the value column of a listing, so that comments line up.
const VALUE_COLUMN: usize = 30;

/// A checked record of one design.
///
/// Implemented for records that hold text, switches, integers below 2^63, and records of those; the
/// path of a settable value is the same as in the schema.
pub trait Record: Serialize {
    /// Every value by its path, as TOML writes it; derived ones included.
    fn leaves(&self) -> BTreeMap<String, String> {
        let table = toml::Table::try_from(self)
            .expect("a checked record holds only text, switches and integers below 2^63");
        let mut leaves = BTreeMap::new();
        flatten("", &table, &mut leaves);
        leaves
    }

    /// One line `path = value` for each value, in the order of the paths. Equal records have equal
    /// canonical forms, however they were written.
    fn canonical(&self) -> String {
        let mut text = String::new();
        for (path, value) in self.leaves() {
            text.push_str(&path);
            text.push_str(" = ");
            text.push_str(&value);
            text.push('\n');
        }
        text
    }

    /// The first 16 hexadecimal digits of the BLAKE3 hash of the canonical form.
    fn config_hash(&self) -> String {
        let hash = blake3::hash(self.canonical().as_bytes()).to_hex();
        hash.as_str()[..16].to_owned()
    }

    /// The whole record as TOML: units and sources as comments, derived values as comment lines.
    ///
    /// The text is a configuration file that gives the same record again.
    fn show(&self, config: &Config) -> String {
        let leaves = self.leaves();
        let mut text =
            format!("# {}\n# config_hash {}\n", config.design().summary, self.config_hash());
        for section in config.schema().sections {
            show_section(&mut text, section, &leaves, config);
        }
        text
    }
}

fn show_section(
    text: &mut String,
    section: &Section,
    leaves: &BTreeMap<String, String>,
    config: &Config,
) {
    text.push('\n');
    if !section.name.is_empty() {
        push_line(text, format_args!("[{}]", section.name));
    }
    for field in section.fields {
        let path = join(section.name, field.key);
        let Some(value) = leaves.get(&path) else { continue };
        let assignment = format!("{} = {value}", field.key);
        let source = config.source(&path).map(ToString::to_string).unwrap_or_default();
        // A source may quote user text; a line break would end the comment.
        let source = source.replace(char::is_control, " ");
        push_line(text, format_args!("{assignment:VALUE_COLUMN$}  # [{}] {source}", field.unit));
    }
    for derived in section.derived {
        let Some(value) = leaves.get(&join(section.name, derived.key)) else { continue };
        let assignment = format!("# {} = {value}", derived.key);
        let (unit, rule) = (derived.unit, derived.rule);
        push_line(text, format_args!("{assignment:VALUE_COLUMN$}  # [{unit}] derived: {rule}"));
    }
}

fn push_line(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a String takes every write");
}

fn flatten(section: &str, table: &toml::Table, leaves: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let path = join(section, key);
        match value {
            toml::Value::Table(inner) => flatten(&path, inner, leaves),
            value => {
                leaves.insert(path, value.to_string());
            }
        }
    }
}
