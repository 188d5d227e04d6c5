//! Lines of a possibly compressed text, in bounded memory.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Problem, TraceError};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One line without its line break.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub text: &'a str,
    /// From 1.
    pub number: u64,
    /// Whether a line break followed; only the last line of a file can lack one.
    pub terminated: bool,
}

/// Reads line after line; never holds more than one line and one buffer.
pub(crate) struct Lines<'r> {
    file: String,
    inner: Box<dyn BufRead + 'r>,
    compressed: bool,
    limit: usize,
    number: u64,
    buffer: Vec<u8>,
}

impl<'r> Lines<'r> {
    /// Looks at the first bytes to tell gzip from plain text. `limit` bounds a line \[bytes\].
    pub(crate) fn new(
        file: &str,
        mut reader: impl Read + 'r,
        limit: usize,
    ) -> Result<Lines<'r>, TraceError> {
        let mut head = Vec::with_capacity(BYTE_ORDER_MARK.len());
        (&mut reader)
            .take(BYTE_ORDER_MARK.len() as u64)
            .read_to_end(&mut head)
            .map_err(|source| TraceError::new(Problem::Io { action: "read", source }, file))?;
        let compressed = head.starts_with(&GZIP_MAGIC);
        if head == BYTE_ORDER_MARK {
            head.clear();
        }
        let plain = BufReader::new(Cursor::new(head).chain(reader));
        let inner: Box<dyn BufRead + 'r> = if compressed {
            Box::new(BufReader::new(MultiGzDecoder::new(plain)))
        } else {
            Box::new(plain)
        };
        let buffer = Vec::new();
        Ok(Lines { file: file.to_owned(), inner, compressed, limit, number: 0, buffer })
    }

    /// First byte of the text, without consuming it; a byte order mark is dropped.
    pub(crate) fn first_byte(&mut self) -> Result<Option<u8>, TraceError> {
        let available = match self.inner.fill_buf() {
            Ok(available) => available,
            Err(error) => return Err(self.failure(error)),
        };
        if available.starts_with(BYTE_ORDER_MARK) {
            self.inner.consume(BYTE_ORDER_MARK.len());
            return self.first_byte();
        }
        Ok(available.first().copied())
    }

    /// Changes the bound of the lines to come \[bytes\].
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Name of the file, for errors.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// Number of the line read last; 0 before the first.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The next line, or `None` at the end.
    pub(crate) fn next_line(&mut self) -> Result<Option<Line<'_>>, TraceError> {
        self.buffer.clear();
        let mut terminated = false;
        while !terminated {
            let available = match self.inner.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failure(error)),
            };
            if available.is_empty() {
                break;
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            terminated = end.is_some();
            let take = end.unwrap_or(available.len());
            let room = self.limit.saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(&available[..take.min(room)]);
            self.inner.consume(take + usize::from(terminated));
            if take > room {
                self.number += 1;
                return Err(self.too_long());
            }
        }
        if self.buffer.is_empty() && !terminated {
            return Ok(None);
        }
        self.number += 1;
        if self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        match text_of(&self.buffer) {
            Ok(text) => Ok(Some(Line { text, number: self.number, terminated })),
            Err(reason) => {
                Err(TraceError::new(Problem::Binary { reason }, &self.file).at_line(self.number))
            }
        }
    }

    fn too_long(&self) -> TraceError {
        // A cut character at the very end of the buffer does not make a file binary.
        let whole = self.buffer.len().saturating_sub(4);
        let problem = match text_of(&self.buffer[..whole]) {
            Err(reason) if whole == 0 || !is_cut_character(&self.buffer[..whole]) => {
                Problem::Binary { reason }
            }
            _ => Problem::LineTooLong { limit: self.limit },
        };
        TraceError::new(problem, &self.file).at_line(self.number)
    }

    fn failure(&self, source: io::Error) -> TraceError {
        let damaged =
            matches!(source.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData);
        let problem = if self.compressed && source.kind() == io::ErrorKind::UnexpectedEof {
            Problem::Gzip { state: "cut short", line: self.number }
        } else if self.compressed && damaged {
            Problem::Gzip { state: "damaged", line: self.number }
        } else {
            Problem::Io { action: "read", source }
        };
        TraceError::new(problem, &self.file)
            .at_line(self.number + 1)
            .help("copy or download the file again, or check it with `gzip -t`")
    }
}

fn is_cut_character(bytes: &[u8]) -> bool {
    matches!(std::str::from_utf8(bytes), Err(error) if error.error_len().is_none())
}

fn text_of(bytes: &[u8]) -> Result<&str, &'static str> {
    if bytes.contains(&0) {
        return Err("it holds a zero byte");
    }
    std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn collect(bytes: &[u8], limit: usize) -> Result<Vec<(String, bool)>, TraceError> {
        let mut lines = Lines::new("f", bytes, limit)?;
        let mut all = Vec::new();
        while let Some(line) = lines.next_line()? {
            all.push((line.text.to_owned(), line.terminated));
        }
        Ok(all)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_gzip_give_the_same_lines() {
        let text = b"one\r\n\nthree";
        let expected =
            vec![("one".to_owned(), true), (String::new(), true), ("three".to_owned(), false)];
        let mut marked = Lines::new("f", &b"\xef\xbb\xbf{}"[..], 10).unwrap();
        assert_eq!(marked.first_byte().unwrap(), Some(b'{'));
        assert_eq!(collect(text, 10).unwrap(), expected);
        assert_eq!(collect(&gzip(text), 10).unwrap(), expected);
        assert_eq!(collect(b"", 10).unwrap(), vec![]);
    }

    #[test]
    fn a_line_at_the_bound_passes_and_one_byte_more_is_refused() {
        assert_eq!(collect(b"12345\n6", 5).unwrap().len(), 2);
        let error = collect(b"12345\n123456\n", 5).unwrap_err();
        assert!(matches!(error.problem, Problem::LineTooLong { limit: 5 }));
        assert_eq!(error.place.line, Some(2));
    }

    #[test]
    fn cut_and_damaged_gzip_are_told_apart() {
        let text: Vec<u8> = (0..20_000u32).flat_map(|i| format!("{i}\n").into_bytes()).collect();
        let whole = gzip(&text);
        let cut = collect(&whole[..whole.len() / 2], 100).unwrap_err();
        assert!(matches!(cut.problem, Problem::Gzip { state: "cut short", line } if line > 0));
        let mut damaged = whole.clone();
        let last = damaged.len() - 6;
        damaged[last] ^= 0xff;
        let error = collect(&damaged, 100).unwrap_err();
        assert!(matches!(error.problem, Problem::Gzip { state: "damaged", .. }), "{error}");
    }

    #[test]
    fn binary_is_recognised_with_and_without_line_breaks() {
        for bytes in [&b"ab\0c\n"[..], b"\xff\xfe\n", &[0u8; 5000], &[0xc3; 5000]] {
            let error = collect(bytes, 1000).unwrap_err();
            assert!(matches!(error.problem, Problem::Binary { .. }), "{error}");
        }
    }
}
