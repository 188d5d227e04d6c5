//! Which values a design has: names, units, legal ranges, and what is derived from what.
//!
//! A schema is data. The loader interprets it for every design, so a new design brings a table and
//! needs no loader code. Rules that join several values live in the check of the unit instead.

/// All values of one design.
#[derive(Debug)]
pub struct Schema {
    /// Sections in the order in which they are printed; the root section has an empty name.
    pub sections: &'static [Section],
}

/// The values of one unit.
#[derive(Debug)]
pub struct Section {
    /// Name of the TOML table; empty for values outside any table.
    pub name: &'static str,
    /// Values a user may set.
    pub fields: &'static [Field],
    /// Values computed from those.
    pub derived: &'static [Derived],
}

/// A value that a user may set.
#[derive(Debug)]
pub struct Field {
    /// Name inside its section.
    pub key: &'static str,
    /// What one count of it is.
    pub unit: &'static str,
    /// Legal values.
    pub kind: Kind,
}

/// Legal values of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text in quotes.
    Text,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// Whole numbers from `min` to `max`.
    Count {
        /// Least legal value.
        min: u64,
        /// Greatest legal value.
        max: u64,
        /// Whether only powers of two are legal.
        power_of_two: bool,
    },
}

/// A value computed from others.
#[derive(Debug)]
pub struct Derived {
    /// Name inside its section.
    pub key: &'static str,
    /// What one count of it is.
    pub unit: &'static str,
    /// The rule, in terms of other values.
    pub rule: &'static str,
}

impl Field {
    /// A whole number from `min` to `max`.
    pub const fn count(key: &'static str, unit: &'static str, min: u64, max: u64) -> Self {
        Self { key, unit, kind: Kind::Count { min, max, power_of_two: false } }
    }

    /// A power of two from `min` to `max`.
    pub const fn power_of_two(key: &'static str, unit: &'static str, min: u64, max: u64) -> Self {
        Self { key, unit, kind: Kind::Count { min, max, power_of_two: true } }
    }

    /// A switch.
    pub const fn flag(key: &'static str) -> Self {
        Self { key, unit: "flag", kind: Kind::Flag }
    }

    /// One of some texts.
    pub const fn choice(key: &'static str, texts: &'static [&'static str]) -> Self {
        Self { key, unit: "text", kind: Kind::Choice(texts) }
    }

    /// A text.
    pub const fn text(key: &'static str) -> Self {
        Self { key, unit: "text", kind: Kind::Text }
    }
}

impl Kind {
    /// What a legal value looks like, in words.
    pub fn expected(self) -> String {
        match self {
            Self::Text => "a string in quotes".into(),
            Self::Choice(texts) => {
                let texts: Vec<_> = texts.iter().map(|text| format!("\"{text}\"")).collect();
                format!("one of {}", texts.join(", "))
            }
            Self::Flag => "a boolean: true or false".into(),
            Self::Count { min, max, power_of_two: false } => {
                format!("an integer from {min} to {max}")
            }
            Self::Count { min, max, power_of_two: true } => {
                format!("an integer from {min} to {max} that is a power of two")
            }
        }
    }
}

impl Schema {
    /// The section of that name.
    pub fn section(&self, name: &str) -> Option<&'static Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The field at a path such as `memory.channels`.
    pub fn field(&self, path: &str) -> Option<&'static Field> {
        let (section, key) = split(path);
        self.section(section)?.fields.iter().find(|field| field.key == key)
    }

    /// The derived value at a path such as `qk_array.keys_per_line`.
    pub fn derived(&self, path: &str) -> Option<&'static Derived> {
        let (section, key) = split(path);
        self.section(section)?.derived.iter().find(|derived| derived.key == key)
    }

    /// Paths of all fields, in printing order.
    pub fn paths(&self) -> impl Iterator<Item = String> + '_ {
        self.sections
            .iter()
            .flat_map(|section| section.fields.iter().map(|field| join(section.name, field.key)))
    }
}

/// Path of a key in a section.
pub(crate) fn join(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}
