//! Request traces: `arrival,op,address`.

use std::io;

use crate::error::{AddressError, CaseError};
use crate::mapping::{AddressMapping, Location};
use crate::request::Op;

/// One line of a request trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceRequest {
    /// Driver step from which the request may be offered.
    pub arrival: u64,
    /// Direction.
    pub op: Op,
    /// Byte address.
    pub address: u64,
    /// Where that is.
    pub location: Location,
}

/// Latest arrival accepted, about a quarter of a second of memory time: waiting for it costs every
/// refresh on the way.
const LAST_ARRIVAL: u64 = 1 << 28;

/// Reads a request trace; `file` is its name for error messages.
///
/// # Errors
/// A line is malformed, arrives before the one above it, or its address does not exist.
pub fn read_requests<R: io::Read>(
    input: R,
    mapping: &AddressMapping,
    file: &str,
) -> Result<Vec<TraceRequest>, CaseError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input);
    let mut record = csv::StringRecord::new();
    let mut requests = Vec::new();
    let mut line = 0u64;
    let mut head = true;
    loop {
        let more = reader.read_record(&mut record).map_err(|error| read_error(error, file))?;
        if !more {
            break;
        }
        line = record.position().map_or(line + 1, csv::Position::line);
        let wrong = |expected, found: &str| CaseError::Csv {
            file: file.to_owned(),
            line,
            expected,
            found: found.to_owned(),
        };
        let whole = record.iter().collect::<Vec<_>>().join(",");
        if std::mem::take(&mut head) {
            if whole.trim() != "arrival,op,address" {
                return Err(wrong("the header `arrival,op,address`", &whole));
            }
            continue;
        }
        if record.len() != 3 {
            return Err(wrong("three fields: arrival,op,address", &whole));
        }
        let (arrival, op, address) = (record[0].trim(), record[1].trim(), record[2].trim());
        // Rust's parsers take a leading plus, the format does not.
        let digits = |text: &str| !text.starts_with('+');
        let step: u64 = Some(arrival)
            .filter(|text| digits(text))
            .and_then(|text| text.parse().ok())
            .filter(|&step| step <= LAST_ARRIVAL)
            .ok_or_else(|| wrong("an arrival step from 0 to 2^28", arrival))?;
        if requests.last().is_some_and(|last: &TraceRequest| last.arrival > step) {
            return Err(wrong("an arrival no earlier than that of the line above", arrival));
        }
        let op = match op {
            "R" => Op::Read,
            "W" => Op::Write,
            _ => return Err(wrong("R or W", op)),
        };
        let bare = address.strip_prefix("0x").or(address.strip_prefix("0X")).unwrap_or(address);
        let address = Some(bare)
            .filter(|text| digits(text))
            .and_then(|text| u64::from_str_radix(text, 16).ok())
            .ok_or_else(|| wrong("a hexadecimal address", address))?;
        let outside =
            |source: AddressError| CaseError::Address { file: file.to_owned(), line, source };
        let location = mapping.decode(address).map_err(outside)?;
        requests.push(TraceRequest { arrival: step, op, address, location });
    }
    if line == 0 {
        let expected = "the header `arrival,op,address`";
        let file = file.to_owned();
        return Err(CaseError::Csv { file, line: 1, expected, found: "end of file".to_owned() });
    }
    Ok(requests)
}

fn read_error(error: csv::Error, file: &str) -> CaseError {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(source) => CaseError::Io { file: file.to_owned(), source },
        _ => CaseError::Csv {
            file: file.to_owned(),
            line,
            expected: "UTF-8 text",
            found: "other bytes".to_owned(),
        },
    }
}
