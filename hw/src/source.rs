//! Where a value comes from, as data.
//!
//! In a preset every value carries a trailing comment of the form `# kind: words`, continued by
//! the comment lines that directly follow. The kinds are `paper` (printed in the publication),
//! `release` (stands in the code its authors released), `secondary` (reported by somebody who read
//! the publication), `device` (a data sheet, or the table of a public simulator), `recalled`
//! (remembered from the publication and found nowhere) and `assumed` (published nowhere, with the
//! reason).

use std::fmt;

/// Source of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Printed in the publication; the words name section, table or figure.
    Paper(String),
    /// Stands in the code that the authors released; the words name the file.
    Release(String),
    /// Reported by somebody who read the publication; the words name who.
    Secondary(String),
    /// Of a device that can be bought; the words name data sheet or table.
    Device(String),
    /// Remembered from the publication, and confirmed by nothing that can be retrieved.
    Recalled(String),
    /// Published nowhere; the words are the reason for the choice.
    Assumed(String),
    /// Given by the user; the words name file and line, or the argument.
    User(String),
}

impl Source {
    /// Reads the comment of a preset value; `None` where the kind is missing or has no words.
    pub fn parse(comment: &str) -> Option<Self> {
        let (kind, words) = comment.split_once(':')?;
        let words = words.trim();
        if words.is_empty() {
            return None;
        }
        match kind.trim() {
            "paper" => Some(Self::Paper(words.to_owned())),
            "release" => Some(Self::Release(words.to_owned())),
            "secondary" => Some(Self::Secondary(words.to_owned())),
            "device" => Some(Self::Device(words.to_owned())),
            "recalled" => Some(Self::Recalled(words.to_owned())),
            "assumed" => Some(Self::Assumed(words.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paper(words) => write!(f, "paper: {words}"),
            Self::Release(words) => write!(f, "release: {words}"),
            Self::Secondary(words) => write!(f, "secondary: {words}"),
            Self::Device(words) => write!(f, "device: {words}"),
            Self::Recalled(words) => write!(f, "recalled: {words}"),
            Self::Assumed(words) => write!(f, "assumed: {words}"),
            Self::User(words) => write!(f, "user: {words}"),
        }
    }
}

/// The comment that belongs to the value ending at `end`: the rest of its line, then whole comment
/// lines up to the next line of another kind.
pub(crate) fn comment_after(text: &str, end: usize) -> String {
    let mut words = String::new();
    for line in text.get(end..).unwrap_or_default().lines() {
        let Some(comment) = line.trim_start().strip_prefix('#') else { break };
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(comment.trim());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_reads_and_prints_the_same() {
        for text in [
            "paper: Table I",
            "release: SpAtten.scala",
            "secondary: a review",
            "device: a data sheet",
            "recalled: tRP 12 ns",
            "assumed: no number: a guess",
        ] {
            assert_eq!(Source::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_source_without_kind_or_words_is_none() {
        for text in ["Table I", "paper:", "paper:  ", "rumour: heard", ""] {
            assert_eq!(Source::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_comment_continues_over_following_comment_lines_only() {
        let text = "a = 1  # one\n       # two\nb = 2 # three\n\n# four\n";
        assert_eq!(comment_after(text, 5), "one two");
        let b = text.find("b = 2").unwrap() + 5;
        assert_eq!(comment_after(text, b), "three");
    }

    #[test]
    fn a_value_without_comment_has_an_empty_one() {
        assert_eq!(comment_after("a = 1\n# next\n", 5), "");
        assert_eq!(comment_after("a = 1", 99), "");
    }
}
