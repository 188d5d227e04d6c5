//! `attelier dram`: run a request trace or a DRAM case, print statistics, write its commands.

use std::{fmt::Write as _, fs, io::Write as _, path::PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use attelier_dram::{
    AddressMapping, Device,
    case::{self, CaseParams, CaseResult},
    policy::{ControllerConfig, Policy},
    trace::{Issued, write_csv},
    wave::write_vcd,
};
use attelier_workloads::suggest::nearest;
use clap::Args;

use self::summary::Summary;
use super::document;
use crate::{
    cli::Common,
    exit::Verdict,
    output::{self, OutputFile},
};

mod summary;

/// What to run, and where to write it.
#[derive(Debug, Args)]
#[command(after_help = policies())]
pub struct DramArgs {
    /// Request trace: csv with the header `arrival,op,address`, plain or gzip; arrival in command
    /// clock cycles, op R or W, address in hexadecimal bytes. Each channel takes one request per
    /// cycle, in the order of the trace
    #[arg(required_unless_present = "case", conflicts_with = "case")]
    pub requests: Option<PathBuf>,
    /// Folder with `params.json` and `requests.csv` or `requests.csv.gz`, instead of a trace; one
    /// request per cycle over all channels
    #[arg(long, value_name = "DIR", conflicts_with_all = ["device", "policy", "mapping", "vcd"])]
    pub case: Option<PathBuf>,
    /// Device: a name from `attelier list devices`, or a device table (TOML), which also chooses
    /// ranks, refresh and timings
    #[arg(long, value_name = "NAME", default_value = "hbm2-2000")]
    pub device: String,
    /// Policy of the controller, see below
    #[arg(long, value_name = "NAME", default_value = "frfcfs")]
    pub policy: String,
    /// Address bits from the lowest to the highest, such as "offset:5 rank:1 bankgroup:2 column:5
    /// bank:2 row:15" [default: the device's own]
    #[arg(long, value_name = "FIELDS")]
    pub mapping: Option<String>,
    /// Write the commands (csv: cycle, command, address)
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write when each request was taken and finished (csv)
    #[arg(long, value_name = "FILE")]
    pub completions: Option<PathBuf>,
    /// Write the command buses as a waveform
    #[arg(long, value_name = "FILE")]
    pub vcd: Option<PathBuf>,
}

/// The policies, one per line.
fn policies() -> String {
    let mut text = "Policies:\n".to_owned();
    for (name, what) in Policy::NAMES {
        text += &format!("  {name:<22}{what}\n");
    }
    text += "\nA trace enters one request per channel and cycle, so a sequential stream on spatten-hbm2 \
             comes\nnear the peak of its 16 channels; a folder given by --case enters one in all.\n";
    text
}

/// Runs the command.
pub fn run(args: &DramArgs, common: &Common) -> Result<Verdict> {
    let outputs = [&args.output, &args.completions, &args.vcd, &common.json];
    let outputs = outputs.map(Option::as_deref);
    let parts = ["params.json", "requests.csv", "requests.csv.gz"]
        .map(|name| args.case.as_ref().map(|dir| dir.join(name)));
    let [params, plain, zipped] = parts.each_ref().map(Option::as_deref);
    output::check_paths(&outputs, &[args.requests.as_deref(), params, plain, zipped])?;
    let files = outputs.map(|path| path.map(OutputFile::create).transpose());
    let [commands, completions, vcd, json] = files;
    let (commands, completions, vcd, json) = (commands?, completions?, vcd?, json?);

    // Only what is going to be written is kept: a long trace has many commands.
    let mut issued: Option<Vec<Issued>> = (commands.is_some() || vcd.is_some()).then(Vec::new);
    let (device, params, result) = match (&args.case, &args.requests) {
        (Some(dir), _) => {
            let (params, result) = case::run_case(dir, &mut issued)?;
            (None, params, result)
        }
        (None, Some(path)) => {
            let (device, params) = machine(args)?;
            let requests = case::load_requests(path, &params.mapping)?;
            let result = case::run_into(&params, &requests, &mut issued)?;
            (Some(device), params, result)
        }
        (None, None) => bail!("give a request trace, or --case with a folder"),
    };
    let summary = Summary::of(device.as_ref(), &params, &result);
    let issued = issued.unwrap_or_default();
    if let Some(mut file) = commands {
        write_csv(&mut file, &issued, &params.commands, &params.organization)
            .map_err(|error| file.explain(error))?;
        file.commit()?;
    }
    if let Some(mut file) = completions {
        let text = completions_csv(&result);
        file.write_all(text.as_bytes()).map_err(|error| file.explain(error))?;
        file.commit()?;
    }
    if let (Some(mut file), Some(device)) = (vcd, &device) {
        let (commands, organization) = (&params.commands, &params.organization);
        write_vcd(&mut file, &issued, commands, organization, device.tck_ps)
            .map_err(|error| file.explain(error))?;
        file.commit()?;
    }
    if let Some(file) = json {
        file.commit_json(&document("attelier-dram-1", &summary))?;
    }
    output::print(&summary.text())?;
    Ok(Verdict::Passed)
}

/// The device and the controller that the arguments name.
fn machine(args: &DramArgs) -> Result<(Device, CaseParams)> {
    let device = device(&args.device)?;
    let Some(policy) = Policy::named(&args.policy) else {
        let names = Policy::NAMES.map(|(name, _)| name);
        let hint = nearest(&args.policy, names)
            .map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
        bail!("no policy `{}`; known: {}{hint}", args.policy, names.join(", "));
    };
    let controller = ControllerConfig { policy, ..device.default_controller() };
    let mut params = CaseParams::of_device(&device, controller);
    if let Some(text) = &args.mapping {
        params.mapping = AddressMapping::parse(text, &device.organization).context("--mapping")?;
    }
    Ok((device, params))
}

fn device(name: &str) -> Result<Device> {
    if name.ends_with(".toml") {
        let text = fs::read_to_string(name).with_context(|| name.to_owned())?;
        return Device::from_toml(&text, name).with_context(|| name.to_owned());
    }
    match nearest(name, Device::names()) {
        Some(near) if near != name => {
            Device::builtin(name).map_err(|error| anyhow!("{error}; did you mean `{near}`?"))
        }
        _ => Ok(Device::builtin(name)?),
    }
}

/// One line per request, in trace order.
fn completions_csv(result: &CaseResult) -> String {
    let mut text = "index,accept,complete\n".to_owned();
    for (index, served) in result.served.iter().enumerate() {
        let line = writeln!(text, "{index},{},{}", served.accept, served.complete);
        line.expect("a String takes every write");
    }
    text
}
