//! Refusals that point at the text they refuse.
//!
//! A [`Diagnostic`] is data first: callers may read its parts, and its `Display` form draws the
//! line, a caret, what was expected and a suggestion, in the layout that compilers use.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// Longest text read as a configuration \[B\]; larger input is some other file given by mistake.
pub const MAX_TEXT_BYTES: usize = 1 << 20;

/// A text that values come from: a preset, a configuration file, or one `--set` argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// How messages call it: a file name, `--set`, or `preset spatten`.
    pub name: String,
    /// The whole text.
    pub text: String,
}

impl SourceText {
    /// Names a text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Reads the bytes of a configuration file.
    ///
    /// # Errors
    /// A text above [`MAX_TEXT_BYTES`], or bytes that are not UTF-8.
    pub fn from_bytes(name: impl Into<String>, bytes: &[u8]) -> Result<Self, Diagnostic> {
        let name = name.into();
        if bytes.len() > MAX_TEXT_BYTES {
            return Err(Diagnostic {
                title: format!("{} is too large for a configuration", quote(&name)),
                label: format!(
                    "expected at most {MAX_TEXT_BYTES} bytes of TOML, found {}",
                    bytes.len()
                ),
                origin: Arc::new(Self::new(name, "")),
                span: 0..0,
                help: Some(
                    "give a trace as WORKLOAD; a configuration holds parameters only".into(),
                ),
            });
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(name, text)),
            Err(error) => {
                let valid = error.valid_up_to();
                let text = String::from_utf8_lossy(&bytes[..valid]).into_owned();
                Err(Diagnostic {
                    title: format!("{} is not a text file", quote(&name)),
                    label: format!("expected UTF-8 text, found other bytes at offset {valid}"),
                    origin: Arc::new(Self::new(name, text)),
                    span: valid..valid,
                    help: Some("a configuration is a TOML file".into()),
                })
            }
        }
    }

    /// Line of a byte offset, counted from 1.
    pub fn line_of(&self, offset: usize) -> usize {
        let end = offset.min(self.text.len());
        1 + self.text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count()
    }
}

/// One refused input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub title: String,
    /// What was expected, drawn at the caret.
    pub label: String,
    /// The text at fault.
    pub origin: Arc<SourceText>,
    /// Where in that text \[bytes\].
    pub span: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Line of the fault, counted from 1.
    pub fn line(&self) -> usize {
        self.origin.line_of(self.span.start)
    }

    /// The refused piece of text.
    pub fn snippet(&self) -> &str {
        &self.origin.text[self.drawn_span()]
    }

    /// The message with terminal colours; `Display` gives the same layout in plain text.
    pub fn styled(&self) -> String {
        self.draw(&Renderer::styled())
    }

    fn draw(&self, renderer: &Renderer) -> String {
        let snippet = Snippet::source(self.origin.text.as_str())
            .path(self.origin.name.as_str())
            .annotation(AnnotationKind::Primary.span(self.drawn_span()).label(self.label.as_str()));
        let mut group = Level::ERROR.primary_title(self.title.as_str()).element(snippet);
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.clone().decor_style(DecorStyle::Ascii).render(&[group])
    }

    /// The span, moved onto character boundaries inside the text.
    fn drawn_span(&self) -> Range<usize> {
        let text = &self.origin.text;
        let end = floor_boundary(text, self.span.end);
        floor_boundary(text, self.span.start.min(end))..end
    }
}

/// The last character boundary at or before `offset`.
fn floor_boundary(text: &str, offset: usize) -> usize {
    let inside = offset.min(text.len());
    (0..=inside).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.draw(&Renderer::plain()))
    }
}

impl std::error::Error for Diagnostic {}

/// User text inside a message: in backticks, control characters escaped, long text cut.
pub(crate) fn quote(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text.chars().take(SHOWN).flat_map(escaped).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push_str("...");
    }
    format!("`{shown}`")
}

fn escaped(c: char) -> Vec<char> {
    if c.is_control() { c.escape_default().collect() } else { vec![c] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Diagnostic {
        Diagnostic {
            title: "`memory.channels` is illegal".into(),
            label: "expected a power of two".into(),
            origin: Arc::new(SourceText::new("mine.toml", "[memory]\nchannels = 3\n")),
            span: 20..21,
            help: Some("write 2 or 4".into()),
        }
    }

    #[test]
    fn the_caret_stands_below_the_fault() {
        let drawn = sample().to_string();
        let expected = "\
error: `memory.channels` is illegal
 --> mine.toml:2:12
  |
2 | channels = 3
  |            ^ expected a power of two
  |
  = help: write 2 or 4";
        assert_eq!(drawn, expected);
        assert_eq!(sample().line(), 2);
        assert_eq!(sample().snippet(), "3");
    }

    #[test]
    fn colours_change_no_word() {
        assert!(sample().styled().contains("expected a power of two"));
        assert!(sample().styled().contains('\u{1b}'));
    }

    #[test]
    fn a_span_outside_the_text_or_inside_a_character_is_drawn_nearby() {
        let mut fault = sample();
        fault.origin = Arc::new(SourceText::new("--set", "a=\u{e9}\u{e9}"));
        for (start, end) in [(0, 99), (3, 4), (99, 100), (5, 2)] {
            fault.span = start..end;
            assert!(fault.to_string().contains("power of two"), "{start}..{end}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_with_their_offset() {
        let fault = SourceText::from_bytes("trace.bin", b"ab\xff\xfe").unwrap_err();
        assert!(fault.to_string().contains("offset 2"), "{fault}");
        assert!(SourceText::from_bytes("ok.toml", b"a = 1").is_ok());
    }

    #[test]
    fn a_huge_file_is_refused_by_its_size() {
        let fault = SourceText::from_bytes("big", &vec![b'#'; MAX_TEXT_BYTES + 1]).unwrap_err();
        assert!(fault.to_string().contains("at most 1048576 bytes"), "{fault}");
    }

    #[test]
    fn quoted_user_text_cannot_drive_a_terminal() {
        assert_eq!(quote("a\u{1b}[31m"), "`a\\u{1b}[31m`");
        assert!(quote(&"x".repeat(500)).len() < 100);
    }
}
