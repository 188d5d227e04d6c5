//! `attelier trace extract`: the attention of a real model on real text.

use std::{
    io::BufWriter,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use attelier_workloads::{
    Request, Summary, Workload,
    file::{open_model, open_texts, open_tokenizer},
    model::{Extraction, Model},
    summarise,
    trace::{Content, Header},
};
use clap::Args;
use flate2::{Compression, write::GzEncoder};

use crate::{
    cli::Common,
    observers::progress::Progress,
    output::{self, OutputFile},
};

/// What to extract, from where, to where.
#[derive(Debug, Args)]
pub struct ExtractArgs {
    /// Folder with `config.json`, `model.safetensors` and `tokenizer.json`
    #[arg(long, value_name = "FOLDER")]
    model: PathBuf,
    /// The text; what exceeds the model's longest input goes to further windows
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// Take every line as a text of its own
    #[arg(long)]
    per_line: bool,
    /// Let a decoder generate N tokens after each window
    #[arg(long, value_name = "N", default_value_t = 0)]
    steps: usize,
    /// The trace file to write, compressed if its name ends in `.gz`
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(args: &ExtractArgs, common: &Common) -> Result<Summary> {
    let outputs = [common.json.as_deref(), Some(args.output.as_path())];
    let folder = ["config.json", "model.safetensors", "tokenizer.json"];
    let inputs = folder.map(|name| args.model.join(name));
    let inputs = inputs.iter().map(PathBuf::as_path).chain([args.text.as_path()]);
    output::check_paths(&outputs, &inputs.map(Some).collect::<Vec<_>>())?;
    let target = OutputFile::create(&args.output)?;
    let texts = open_texts(&args.text, args.per_line)?;
    let model = open_model(&args.model)?;
    let tokenizer = open_tokenizer(&args.model, &model)?;
    let mut windows = Vec::new();
    for text in &texts {
        windows.extend(tokenizer.windows(text, args.steps)?);
    }
    if windows.is_empty() {
        bail!("{}: the tokenizer finds no token in the text", args.text.display());
    }
    let extraction = Extraction { windows: &windows, steps: args.steps };
    let header = header(args, &model, &texts, windows.len());
    let requests = write(&extraction, &model, header.clone(), &args.output, target)?;
    let Header { name, model, description, provenance, assumptions, .. } = header;
    Ok(summarise(&Workload { name, model, description, provenance, assumptions, requests })?)
}

fn header(args: &ExtractArgs, model: &Model, texts: &[String], windows: usize) -> Header {
    let stem = |path: &Path| {
        // A folder such as `.` has a name only once it is resolved.
        let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let stem = full.file_stem().unwrap_or(path.as_os_str());
        stem.to_string_lossy().into_owned()
    };
    let shape = model.shape();
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    Header {
        content: Content::Tensors,
        name: format!("{}/{}", stem(&args.model), stem(&args.text)),
        model: stem(&args.model),
        description: format!(
            "{} of {} layers and {} heads on {} texts in {windows} windows, {} steps each",
            model.family(),
            shape.layers,
            shape.heads,
            texts.len(),
            args.steps
        ),
        provenance: format!("attelier trace extract, text blake3 {}", hasher.finalize().to_hex()),
        assumptions: Vec::new(),
        requests: 0,
    }
}

fn write(
    extraction: &Extraction<'_>,
    model: &Model,
    header: Header,
    output: &Path,
    target: OutputFile,
) -> Result<Vec<Request>> {
    let shown = output.display().to_string();
    let calls = extraction.calls(model);
    let mut bar = Progress::new();
    let windows = extraction.windows.len();
    let mut progress = |done| bar.update(done, calls, "layers", format_args!("{windows} windows"));
    let (target, requests) = if output.extension().is_some_and(|extension| extension == "gz") {
        let encoder = BufWriter::new(GzEncoder::new(target, Compression::default()));
        let (encoder, requests) =
            extraction.write(model, &shown, encoder, header, &mut progress)?;
        let encoder = encoder.into_inner().map_err(std::io::IntoInnerError::into_error);
        let finished = encoder.and_then(GzEncoder::finish);
        (finished.with_context(|| format!("cannot write `{shown}`"))?, requests)
    } else {
        extraction.write(model, &shown, target, header, &mut progress)?
    };
    bar.finish();
    target.commit()?;
    Ok(requests)
}
