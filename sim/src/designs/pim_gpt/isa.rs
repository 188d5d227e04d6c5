//! Instructions that the ASIC gives: to all channels at once, and to itself.
//!
//! One instruction per line, `#` begins a comment, numbers are decimal:
//!
//! | line | effect |
//! |---|---|
//! | `CHAN n` | what follows goes to the first `n` channels |
//! | `WRVEC half bursts @e` | writes a vector to a half of the buffer of each channel, when event `e` has happened |
//! | `WRVEC half bursts @e shadow` | the same, one burst behind each MAC command that follows |
//! | `REF` | refreshes, if a refresh is due |
//! | `ACTAB row` | opens a row in every bank |
//! | `MACAB half column count` | `count` columns of every bank times the vector in a half, added to the accumulators |
//! | `RDACC` | reads and clears the accumulators: one number per bank, a beat for the ASIC |
//! | `PREAB` | closes all banks |
//! | `WRROW channel bank row column bursts @e` | opens a row of one bank, writes, closes: keys |
//! | `WRELT row column @e` | opens a row of every bank, writes one number to each, closes: values |
//! | `BEAT function` | what the ASIC does with the beats that follow |
//! | `ASIC function numbers @e` | the ASIC computes; when it is done, event `e` has happened |
//!
//! Memory instructions start in order, and so do those of the ASIC; the two sides wait for each other
//! only through beats and events. An event that never happens is no obstacle: `@-`.

use std::fmt;
use std::str::FromStr;

use super::error::IsaError;

/// An event: something the ASIC has computed.
pub type Event = Option<u32>;

/// One instruction; see the table of this module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the table above documents every field under the same name")]
pub enum Instruction {
    Channels { count: u32 },
    WriteVector { half: u32, bursts: u32, after: Event, shadow: bool },
    Refresh,
    Activate { row: u32 },
    Mac { half: u32, column: u32, count: u32 },
    ReadAccumulators,
    Precharge,
    WriteRow { channel: u32, bank: u32, row: u32, column: u32, bursts: u32, after: Event },
    WriteElement { row: u32, column: u32, after: Event },
    Beat { function: Function },
    Asic { function: Function, numbers: u32, event: Event },
}

/// What the ASIC computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Function {
    /// Addition of partial results.
    PartialSum,
    /// Partial results, and the bias.
    Bias,
    /// Partial results, bias, residual, and the sums for the normalization that follows.
    Residual,
    /// Largest score so far.
    Maximum,
    /// Partial results, and the division by the sum of exponentials.
    Divide,
    /// Partial results, bias, and GELU or its like.
    Activation,
    /// Nothing more: what came before is done.
    Drain,
    /// Normalization, when the sums are there.
    Norm,
    /// Exponentials and their sum, and where the division is not late, the division.
    Softmax,
}

impl Function {
    const ALL: [(Function, &'static str); 9] = [
        (Function::PartialSum, "PSUM"),
        (Function::Bias, "BIAS"),
        (Function::Residual, "RESIDUAL"),
        (Function::Maximum, "MAX"),
        (Function::Divide, "DIVIDE"),
        (Function::Activation, "GELU"),
        (Function::Drain, "DRAIN"),
        (Function::Norm, "NORM"),
        (Function::Softmax, "SOFTMAX"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(function, _)| *function == self).map_or("", |(_, name)| name)
    }
}

struct Shown(Event);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(event) => write!(f, "@{event}"),
            None => f.write_str("@-"),
        }
    }
}

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Channels { count } => write!(f, "CHAN {count}"),
            Self::WriteVector { half, bursts, after, shadow } => {
                let shadow = if shadow { " shadow" } else { "" };
                write!(f, "WRVEC {half} {bursts} {}{shadow}", Shown(after))
            }
            Self::Refresh => f.write_str("REF"),
            Self::Activate { row } => write!(f, "ACTAB {row}"),
            Self::Mac { half, column, count } => write!(f, "MACAB {half} {column} {count}"),
            Self::ReadAccumulators => f.write_str("RDACC"),
            Self::Precharge => f.write_str("PREAB"),
            Self::WriteRow { channel, bank, row, column, bursts, after } => {
                write!(f, "WRROW {channel} {bank} {row} {column} {bursts} {}", Shown(after))
            }
            Self::WriteElement { row, column, after } => {
                write!(f, "WRELT {row} {column} {}", Shown(after))
            }
            Self::Beat { function } => write!(f, "BEAT {}", function.name()),
            Self::Asic { function, numbers, event } => {
                write!(f, "ASIC {} {numbers} {}", function.name(), Shown(event))
            }
        }
    }
}

/// Words of one line.
struct Words<'a> {
    words: std::str::SplitWhitespace<'a>,
    mnemonic: &'a str,
}

impl<'a> Words<'a> {
    fn next(&mut self, what: &'static str) -> Result<&'a str, IsaError> {
        let missing = || IsaError::Operand {
            mnemonic: self.mnemonic.to_owned(),
            found: "nothing".to_owned(),
            expected: what,
        };
        self.words.next().ok_or_else(missing)
    }

    fn wrong(&self, found: &str, expected: &'static str) -> IsaError {
        let found = format!("`{found}`");
        IsaError::Operand { mnemonic: self.mnemonic.to_owned(), found, expected }
    }

    fn number(&mut self) -> Result<u32, IsaError> {
        const EXPECTED: &str = "a whole number below 2^32";
        let word = self.next(EXPECTED)?;
        word.parse().map_err(|_| self.wrong(word, EXPECTED))
    }

    fn event(&mut self) -> Result<Event, IsaError> {
        const EXPECTED: &str = "an event such as `@3`, or `@-`";
        let word = self.next(EXPECTED)?;
        match word.strip_prefix('@') {
            Some("-") => Ok(None),
            Some(digits) => digits.parse().map(Some).map_err(|_| self.wrong(word, EXPECTED)),
            None => Err(self.wrong(word, EXPECTED)),
        }
    }

    fn function(&mut self) -> Result<Function, IsaError> {
        const EXPECTED: &str = "PSUM, BIAS, RESIDUAL, MAX, DIVIDE, GELU, DRAIN, NORM or SOFTMAX";
        let word = self.next(EXPECTED)?;
        let found = Function::ALL.iter().find(|(_, name)| *name == word);
        found.map(|(function, _)| *function).ok_or_else(|| self.wrong(word, EXPECTED))
    }
}

impl FromStr for Instruction {
    type Err = IsaError;

    fn from_str(line: &str) -> Result<Self, IsaError> {
        let mut words = line.split_whitespace();
        let mnemonic = words.next().unwrap_or("");
        let mut w = Words { words, mnemonic };
        let instruction = match mnemonic {
            "CHAN" => Self::Channels { count: w.number()? },
            "WRVEC" => {
                let (half, bursts, after) = (w.number()?, w.number()?, w.event()?);
                let shadow = match w.words.next() {
                    None => false,
                    Some("shadow") => true,
                    Some(other) => return Err(w.wrong(other, "`shadow` or the end of the line")),
                };
                Self::WriteVector { half, bursts, after, shadow }
            }
            "REF" => Self::Refresh,
            "ACTAB" => Self::Activate { row: w.number()? },
            "MACAB" => Self::Mac { half: w.number()?, column: w.number()?, count: w.number()? },
            "RDACC" => Self::ReadAccumulators,
            "PREAB" => Self::Precharge,
            "WRROW" => Self::WriteRow {
                channel: w.number()?,
                bank: w.number()?,
                row: w.number()?,
                column: w.number()?,
                bursts: w.number()?,
                after: w.event()?,
            },
            "WRELT" => {
                Self::WriteElement { row: w.number()?, column: w.number()?, after: w.event()? }
            }
            "BEAT" => Self::Beat { function: w.function()? },
            "ASIC" => {
                Self::Asic { function: w.function()?, numbers: w.number()?, event: w.event()? }
            }
            _ => return Err(IsaError::Mnemonic { found: mnemonic.to_owned() }),
        };
        match w.words.next() {
            Some(extra) => Err(w.wrong(extra, "the end of the line")),
            None => Ok(instruction),
        }
    }
}

/// Reads a program; comments and empty lines are left out.
///
/// # Errors
/// The first line that is no instruction, with its number.
pub fn parse(text: &str) -> Result<Vec<Instruction>, IsaError> {
    let mut program = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or("").trim();
        if !line.is_empty() {
            let at = |error| IsaError::Line { number, source: Box::new(error) };
            program.push(line.parse().map_err(at)?);
        }
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instruction_reads_as_it_prints() {
        let text = "CHAN 8\nWRVEC 0 48 @-\nWRVEC 1 64 @12 shadow\nREF\nACTAB 700\nMACAB 1 0 64\n\
                    RDACC\nPREAB\nWRROW 3 15 900 16 48 @1\nWRELT 12 511 @1\nBEAT GELU\n\
                    ASIC SOFTMAX 6144 @16\n";
        let program = parse(text).unwrap();
        let printed: String = program.iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(printed, text);
        for (function, name) in Function::ALL {
            let line = format!("ASIC {name} 1 @-");
            let expected = Instruction::Asic { function, numbers: 1, event: None };
            assert_eq!(line.parse::<Instruction>().unwrap(), expected);
        }
    }

    #[test]
    fn comments_and_blank_lines_are_left_out() {
        let program = parse("# layer 0\n\n  REF   # if due\n").unwrap();
        assert_eq!(program, [Instruction::Refresh]);
    }

    #[test]
    fn a_faulty_line_is_named_with_what_was_expected() {
        for (text, expected) in [
            ("REF\nACTBA 3", "line 2: `ACTBA` is no instruction"),
            ("ACTAB", "line 1: ACTAB: found nothing: expected a whole number"),
            ("ACTAB x", "found `x`: expected a whole number"),
            ("ACTAB -1", "found `-1`"),
            ("REF 1", "found `1`: expected the end of the line"),
            ("WRVEC 0 48 12", "expected an event such as `@3`"),
            ("WRVEC 0 48 @- dark", "expected `shadow`"),
            ("BEAT RELU", "expected PSUM, BIAS"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
