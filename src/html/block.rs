//! What a section of the page is made of, with every number as the text that people read.

use serde::Serialize;

use crate::{documents::quantity, table::percent};

/// The sections of one document.
#[derive(Debug, Serialize)]
pub struct Section {
    /// Heading.
    pub title: String,
    /// The file.
    pub file: String,
    /// Parts in their order.
    pub blocks: Vec<Block>,
}

/// A part of a section; the template knows how to draw each.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Block {
    /// Names and what they are.
    Facts {
        /// Heading.
        title: String,
        /// The facts.
        rows: Vec<Fact>,
    },
    /// A table that can be sorted.
    Table(Table),
    /// When each unit was busy.
    Timeline(Timeline),
    /// Paragraphs.
    Notes {
        /// Heading.
        title: String,
        /// The paragraphs.
        items: Vec<String>,
    },
    /// A scatter of points, drawn in the browser.
    Exploration {
        /// Place among the explorations of the page.
        place: usize,
    },
}

/// A name and what it is.
#[derive(Debug, Serialize)]
pub struct Fact {
    name: String,
    text: String,
    /// Whether it is to be typed or copied.
    code: bool,
}

/// A table that can be sorted.
#[derive(Debug, Serialize)]
pub struct Table {
    title: String,
    /// What the bars show; empty without bars.
    legend: Vec<Legend>,
    columns: Vec<Heading>,
    rows: Vec<Vec<Cell>>,
    /// Whether it is closed at first.
    folded: bool,
}

/// One colour of the bars.
#[derive(Debug, Serialize)]
struct Legend {
    class: &'static str,
    text: &'static str,
}

/// A heading of a column.
#[derive(Debug, Serialize)]
struct Heading {
    name: String,
    numeric: bool,
    /// A bar takes the room that is left and sorts as the column before it.
    bar: bool,
}

/// A cell.
#[derive(Debug, Clone, Serialize)]
pub struct Cell {
    text: String,
    /// What it is sorted by, if not by its text; a number as JSON.
    key: Option<String>,
    /// Parts of its bar.
    bar: Vec<Part>,
    /// Whether zero is in the middle.
    middle: bool,
}

/// A part of a bar, in hundredths of its room.
#[derive(Debug, Clone, Serialize)]
pub struct Part {
    x: f64,
    width: f64,
    class: &'static str,
    tip: String,
}

/// When each unit was busy.
#[derive(Debug, Serialize)]
pub struct Timeline {
    /// Heading.
    pub title: String,
    /// What is drawn.
    pub caption: String,
    /// One for each unit or track.
    pub rows: Vec<TimelineRow>,
    /// Texts below the axis.
    pub ticks: Vec<String>,
    /// End of the axis \[cycles\].
    pub cycles: u64,
    /// Core clock [Hz].
    pub clock_hz: u64,
}

/// One unit of a timeline.
#[derive(Debug, Serialize)]
pub struct TimelineRow {
    /// Unit.
    pub name: String,
    /// Spans, when they are few.
    pub spans: Vec<Part>,
    /// Outline of the share in which it was busy, as an SVG path in a box of 1000 by 100.
    pub path: String,
    /// Those shares in per mille, one for each part of the time, parted by blanks.
    pub shares: String,
    /// Share of the whole time.
    pub occupied: String,
}

impl Fact {
    /// A fact in words.
    pub fn new(name: &str, text: impl Into<String>) -> Self {
        Self { name: name.to_owned(), text: text.into(), code: false }
    }

    /// A fact to be typed or compared letter by letter.
    pub fn code(name: &str, text: impl Into<String>) -> Self {
        Self { code: true, ..Self::new(name, text) }
    }

    /// Whether it is to be typed or compared letter by letter.
    pub fn is_code(&self) -> bool {
        self.code
    }
}

impl Table {
    /// A table without columns.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            legend: Vec::new(),
            columns: Vec::new(),
            rows: Vec::new(),
            folded: false,
        }
    }

    /// With a column of words.
    pub fn text(mut self, name: &str) -> Self {
        self.columns.push(Heading { name: name.to_owned(), numeric: false, bar: false });
        self
    }

    /// With a column of numbers.
    pub fn number(mut self, name: &str) -> Self {
        self.columns.push(Heading { name: name.to_owned(), numeric: true, bar: false });
        self
    }

    /// With a column of bars.
    pub fn bar(mut self, name: &str) -> Self {
        self.columns.push(Heading { name: name.to_owned(), numeric: false, bar: true });
        self
    }

    /// With a line that says what the colours of the bars are.
    pub fn legend(mut self, parts: &[(&'static str, &'static str)]) -> Self {
        let legend = |&(class, text): &(&'static str, &'static str)| Legend { class, text };
        self.legend = parts.iter().map(legend).collect();
        self
    }

    /// Closed at first, for long ones.
    pub fn folded(mut self) -> Self {
        self.folded = true;
        self
    }

    /// With these rows.
    pub fn rows(mut self, rows: impl IntoIterator<Item = Vec<Cell>>) -> Self {
        self.rows.extend(rows);
        self
    }

    /// As a part of a section; none without rows.
    pub fn block(self) -> Option<Block> {
        (!self.rows.is_empty()).then_some(Block::Table(self))
    }
}

impl Cell {
    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), key: None, bar: Vec::new(), middle: false }
    }

    /// The number at this place of a result; a dash where it is not known.
    pub fn number(path: &str, value: Option<f64>) -> Self {
        match value {
            Some(value) => Self::keyed(quantity::text(path, value), value),
            None => Self::text("–"),
        }
    }

    /// A share of one.
    pub fn share(value: Option<f64>) -> Self {
        value.map_or_else(|| Self::text("–"), |value| Self::keyed(percent(Some(value)), value))
    }

    /// A relative deviation with its sign.
    pub fn deviation(value: f64) -> Self {
        Self::keyed(format!("{:+.1} %", value * 100.0), value)
    }

    /// Words that stand for a number.
    pub fn keyed(text: String, value: f64) -> Self {
        Self { key: Some(value.to_string()), ..Self::text(text) }
    }

    /// A bar of parts, one behind the other: share of the room, colour, and what it stands for.
    pub fn bar(parts: impl IntoIterator<Item = (f64, &'static str, String)>) -> Self {
        let mut x = 0.0;
        let mut all = 0.0;
        let mut bar = Vec::new();
        for (share, class, tip) in parts {
            let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
            let width = (share * 100.0).min(100.0 - x);
            bar.push(Part { x: rounded(x), width: rounded(width), class, tip });
            x += width;
            all += share;
        }
        Self { key: Some(all.to_string()), bar, ..Self::text("") }
    }

    /// A bar from the middle to the left or right; `share` of -1 or 1 takes all the room.
    pub fn deviation_bar(share: f64, tip: String) -> Self {
        let size = if share.is_finite() { share.clamp(-1.0, 1.0) * 50.0 } else { 0.0 };
        let part = Part {
            x: rounded(50.0 + size.min(0.0)),
            width: rounded(size.abs()),
            class: "busy",
            tip,
        };
        Self { key: Some(share.to_string()), bar: vec![part], middle: true, ..Self::text("") }
    }
}

impl Part {
    /// A part of a row of time.
    pub fn span(x: f64, width: f64, tip: String) -> Self {
        Self { x: rounded(x), width: rounded(width), class: "busy", tip }
    }
}

/// To a thousandth, finer than any screen: the digits behind it would only fill the file.
pub fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
