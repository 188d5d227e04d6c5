//! Key and value buffers. One line holds one operand word for every multiplier it feeds.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::schema::{Derived, Field};

/// Key or value buffer, organised in lines of one datapath word per multiplier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineSram {
    /// Capacity \[B\].
    pub bytes: u64,
    /// Lines (derived: bytes / line_bytes).
    pub lines: u32,
    /// Bytes of one line (derived: multipliers x datapath bits / 8).
    pub line_bytes: u32,
}

/// What a user may set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    bytes: u64,
}

pub(super) const FIELDS: &[Field] = &[Field::count("bytes", "B", 1, MAX_BYTES)];

/// Largest capacity that may be set \[B\].
const MAX_BYTES: u64 = 1 << 40;

pub(super) const DERIVED: &[Derived] = &[
    Derived { key: "lines", unit: "lines", rule: "bytes / line_bytes" },
    Derived { key: "line_bytes", unit: "B", rule: "multipliers x datapath_bits / 8" },
];

/// `name` is the section of the buffer, `array` that of the multipliers it feeds. Suggestions are
/// whole groups of `group` lines, which the bitwidth converter asks for.
pub(super) fn check(
    config: &Config,
    (name, raw): (&str, &Raw),
    (array, multipliers): (&str, u32),
    datapath_bits: u32,
    group: u32,
) -> Result<LineSram, Diagnostic> {
    let size = format!("{name}.bytes");
    let paths = [size.as_str(), &format!("{array}.multipliers"), "datapath_bits"];
    let line_bits = u64::from(multipliers) * u64::from(datapath_bits);
    if line_bits % 8 != 0 {
        return Err(config.refuse(
            &paths[1..],
            format!("a line of {line_bits} bits is not a whole number of bytes"),
            format!("expected {multipliers} words whose width makes whole bytes"),
            format!("set `datapath_bits` to {}", datapath_bits.next_multiple_of(8)),
        ));
    }
    let line = line_bits / 8;
    let whole_groups = line * u64::from(group);
    let most = line * u64::from(u32::MAX).min(MAX_BYTES / line);
    let most_groups = most / whole_groups * whole_groups;
    if raw.bytes % line != 0 {
        let below = (raw.bytes / whole_groups * whole_groups).min(most_groups);
        let above = below + whole_groups;
        let near = match (below, above) {
            (0, above) => above.to_string(),
            (below, above) if above > most_groups => below.to_string(),
            (below, above) => format!("{below} or {above}"),
        };
        return Err(config.refuse(
            &paths,
            format!("`{size}` = {} is not a whole number of lines", raw.bytes),
            format!(
                "expected a multiple of {line} B ({multipliers} words of {datapath_bits} bits)"
            ),
            format!("set `{size}` to {near}"),
        ));
    }
    match (u32::try_from(raw.bytes / line), u32::try_from(line)) {
        (Ok(lines), Ok(line_bytes)) => Ok(LineSram { bytes: raw.bytes, lines, line_bytes }),
        _ => Err(config.refuse(
            &paths,
            format!("`{size}` = {} has too many lines", raw.bytes),
            format!("expected at most {} lines of {line} B", u32::MAX),
            format!("set `{size}` to at most {most_groups}"),
        )),
    }
}
