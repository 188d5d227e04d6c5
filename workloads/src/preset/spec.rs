//! Records that preset files share, as written in TOML.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::PresetError;
use crate::Widths;

/// Where values come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Note {
    /// Published there.
    Source(String),
    /// Not published; the reason for the value.
    Assumed(String),
}

impl Note {
    pub fn text(&self) -> &str {
        match self {
            Note::Source(text) | Note::Assumed(text) => text,
        }
    }
}

/// The reasons of all that is assumed.
pub(crate) fn assumptions<'a>(notes: impl IntoIterator<Item = &'a Note>) -> Vec<String> {
    let assumed = |note: &Note| match note {
        Note::Assumed(text) => Some(text.clone()),
        Note::Source(_) => None,
    };
    notes.into_iter().filter_map(assumed).collect()
}

/// Where the published values come from, each source once.
pub(crate) fn sources<'a>(notes: impl IntoIterator<Item = &'a Note>) -> String {
    let mut texts: Vec<&str> = Vec::new();
    for note in notes {
        if let Note::Source(text) = note
            && !texts.contains(&text.as_str())
        {
            texts.push(text);
        }
    }
    texts.join("; ")
}

/// Shape of a model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    pub name: String,
    pub title: String,
    pub layers: u32,
    pub heads: u32,
    pub head_dim: u32,
    /// Longest context \[tokens\].
    pub positions: u32,
    pub note: Note,
}

/// Storage widths \[bits\].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredWidths {
    query: u32,
    key: u32,
    key_lsb: u32,
    value: u32,
    pub note: Note,
}

impl StoredWidths {
    pub fn widths(&self) -> Widths {
        Widths {
            query: Some(self.query),
            key: Some(self.key),
            key_lsb: self.key_lsb,
            value: Some(self.value),
        }
    }
}

pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, PresetError> {
    toml::from_str(text).map_err(|error| PresetError::Spec(error.to_string()))
}
