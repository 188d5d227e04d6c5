//! Case folders on disk.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::case::{CaseParams, CaseResult, TraceRequest, read_requests, run_into};
use crate::error::CaseError;
use crate::mapping::AddressMapping;
use crate::trace::CommandSink;

/// Reads `params.json` and `requests.csv` or `requests.csv.gz` of a folder.
///
/// # Errors
/// A file is absent or malformed, or there are two request files.
pub fn load(dir: &Path) -> Result<(CaseParams, Vec<TraceRequest>), CaseError> {
    let params_path = dir.join("params.json");
    let text =
        std::fs::read_to_string(&params_path).map_err(|source| io_error(&params_path, source))?;
    let params = CaseParams::from_json(&text, &params_path.display().to_string())?;
    let zipped = dir.join("requests.csv.gz");
    let plain = dir.join("requests.csv");
    let path = match (plain.exists(), zipped.exists()) {
        (true, true) => {
            let (file, other) = (plain.display().to_string(), zipped.display().to_string());
            return Err(CaseError::TwoFiles { file, other });
        }
        (true, false) => plain,
        (false, _) => zipped,
    };
    let requests = load_requests(&path, &params.mapping)?;
    Ok((params, requests))
}

/// Reads a request trace, plain or gzip.
///
/// # Errors
/// The file is absent or malformed, or an address does not exist.
pub fn load_requests(
    path: &Path,
    mapping: &AddressMapping,
) -> Result<Vec<TraceRequest>, CaseError> {
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    let mut file = BufReader::new(file);
    let start = file.fill_buf().map_err(|source| io_error(path, source))?;
    let gzip = start.starts_with(&[0x1f, 0x8b]);
    let input: Box<dyn Read> =
        if gzip { Box::new(flate2::read::MultiGzDecoder::new(file)) } else { Box::new(file) };
    read_requests(input, mapping, &path.display().to_string())
}

/// Loads and runs a case folder; `sink` receives the commands.
///
/// # Errors
/// A file is absent or malformed, or the case cannot be served.
pub fn run_case<S: CommandSink>(
    dir: &Path,
    sink: &mut S,
) -> Result<(CaseParams, CaseResult), CaseError> {
    let (params, requests) = load(dir)?;
    let result = run_into(&params, &requests, sink)?;
    Ok((params, result))
}

fn io_error(path: &Path, source: io::Error) -> CaseError {
    CaseError::Io { file: path.display().to_string(), source }
}
