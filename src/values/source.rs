//! Where real values come from: a model folder with text, or a trace with tensors.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use attelier_workloads::Workload;
use attelier_workloads::file::{open_model, open_tensor_trace, open_texts, open_tokenizer};
use attelier_workloads::model::Model;
use attelier_workloads::pruning::Pruning;
use attelier_workloads::replay::Replays;
use clap::Args;

use super::{Fidelity, ValueResult, ValueRun, decode, encode, replay};
use crate::observers::progress::Progress;

/// Sentences for a run that names no text, one per line.
const DEFAULT_TEXT: &str = include_str!("sentences.txt");

/// Tokens that a decoder generates for a run that names no number.
const DEFAULT_STEPS: usize = 8;

/// What a model reads.
#[derive(Debug, Clone, Default, Args)]
pub struct TextArgs {
    /// Text for a model folder [default: a few sentences of the program's own]; what exceeds the
    /// model's longest input goes to further windows
    #[arg(long, value_name = "FILE")]
    pub text: Option<PathBuf>,
    /// Take every line of the text as a text of its own
    #[arg(long, requires = "text")]
    pub per_line: bool,
    /// Tokens that a decoder generates after each text, on the machine [default: 8]
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
}

/// A source of real values.
pub enum Source {
    /// A model and its texts.
    Model {
        /// Its name, from the folder and the text.
        name: String,
        /// It.
        model: Box<Model>,
        /// Tokens of each text.
        texts: Vec<Vec<u32>>,
        /// Tokens to generate after each.
        steps: usize,
    },
    /// Recorded operands.
    Trace {
        /// Name of the workload.
        name: String,
        /// The file.
        file: PathBuf,
        /// Layers.
        layers: usize,
        /// Inputs and decode steps.
        inputs: u64,
        /// Inputs that are prompts of decoders, which the machine does not compute.
        prompts: u64,
    },
}

/// The files that are read for `workload`: those of a model folder, or itself.
pub fn files(workload: &str) -> Vec<PathBuf> {
    let path = Path::new(workload);
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    // Also what a model in several files consists of.
    let names = ["config.json", "model.safetensors", "tokenizer.json"].map(PathBuf::from);
    let others = std::fs::read_dir(path).into_iter().flatten().flatten();
    let others = others.map(|entry| PathBuf::from(entry.file_name()));
    names.into_iter().chain(others).map(|name| path.join(name)).collect()
}

impl Source {
    /// The source that `workload` names; `None` if it names none.
    ///
    /// # Errors
    /// A folder that is no model, a text that cannot be read.
    pub fn open(workload: &str, args: &TextArgs) -> Result<Option<Source>> {
        let path = Path::new(workload);
        if path.is_dir() {
            return Source::model(path, args).map(Some);
        }
        if let Some(text) = &args.text {
            bail!(
                "`--text {}` is read by models, and `{workload}` is no model folder",
                text.display()
            );
        }
        if args.steps.is_some() {
            bail!("`--steps` is for decoder models, and `{workload}` is no model folder");
        }
        if !path.is_file() {
            return Ok(None);
        }
        let Some(reader) = open_tensor_trace(path)? else { return Ok(None) };
        let name = reader.header().name.clone();
        // The whole file is read once for its layers, which also finds what is wrong with it
        // before anything is computed.
        let (mut layers, mut inputs, mut prompts) = (0, 0, 0);
        let mut last_prompt = None;
        for record in reader {
            let request = record?.request;
            layers = layers.max(request.layer as usize + 1);
            inputs = u64::from(request.iteration) + 1;
            let is_prompt = request.causal && request.queries > 1;
            if is_prompt && last_prompt != Some(request.iteration) {
                last_prompt = Some(request.iteration);
                prompts += 1;
            }
        }
        if prompts == inputs {
            bail!(
                "{}: all {inputs} inputs are prompts of a decoder, which the machine does not compute: \
                 expected decode steps too, as `attelier trace extract --steps 8` writes them",
                path.display()
            );
        }
        Ok(Some(Source::Trace { name, file: path.to_owned(), layers, inputs, prompts }))
    }

    fn model(folder: &Path, args: &TextArgs) -> Result<Source> {
        let model = open_model(folder)?;
        let tokenizer = open_tokenizer(folder, &model)?;
        if args.steps.is_some() && !model.is_decoder() {
            bail!("`--steps` is for decoders, and {} is an encoder", folder.display());
        }
        let steps = if model.is_decoder() { args.steps.unwrap_or(DEFAULT_STEPS) } else { 0 };
        if model.is_decoder() && steps == 0 {
            bail!("a decoder runs on the machine token by token: expected `--steps` of at least 1");
        }
        let (texts, of) = match &args.text {
            Some(file) => (open_texts(file, args.per_line)?, stem(file)),
            None => (DEFAULT_TEXT.lines().map(str::to_owned).collect(), "sentences".to_owned()),
        };
        let mut windows = Vec::new();
        for text in &texts {
            windows.extend(tokenizer.windows(text, steps)?);
        }
        if windows.is_empty() {
            let file =
                args.text.as_ref().map_or("sentences".into(), |file| file.display().to_string());
            bail!("{file}: the tokenizer finds no token in the text");
        }
        let name = format!("{}/{of}", stem(folder));
        Ok(Source::Model { name, model: Box::new(model), texts: windows, steps })
    }

    /// Name of the workload.
    pub fn name(&self) -> &str {
        match self {
            Source::Model { name, .. } | Source::Trace { name, .. } => name,
        }
    }

    /// What was computed, as the workload that it is to the machine. Its provenance tells runs apart
    /// whose counts are equal.
    pub fn workload(&self, values: &ValueResult) -> Workload {
        let (model, of) = match self {
            Source::Model { model, texts, .. } => {
                (model.family(), format!("{} texts of a model folder", texts.len()))
            }
            Source::Trace { prompts: 0, .. } => ("unknown", "operands of a trace".to_owned()),
            Source::Trace { prompts, .. } => {
                let of = "operands of a trace without its prompts of decoders";
                ("unknown", format!("{of}, {prompts} in number"))
            }
        };
        Workload {
            name: self.name().to_owned(),
            model: model.to_owned(),
            description: String::new(),
            provenance: format!("{of}; outputs blake3 {}", values.digest),
            assumptions: Vec::new(),
            requests: values.requests.clone(),
        }
    }

    /// Layers of the model.
    pub fn layers(&self) -> usize {
        match self {
            Source::Model { model, .. } => model.shape().layers,
            Source::Trace { layers, .. } => *layers,
        }
    }

    /// Computes everything with the machine as attention, with a progress bar.
    ///
    /// # Errors
    /// What the model or the machine refuses.
    pub fn compute(&self, run: &mut dyn ValueRun) -> Result<Option<Fidelity>> {
        let mut bar = Progress::new();
        let total = match self {
            Source::Model { texts, steps, .. } => (texts.len() * (*steps).max(1)) as u64,
            Source::Trace { inputs, .. } => *inputs,
        };
        let mut done = 0;
        let fidelity = self.compute_with(run, &mut || {
            done += 1;
            bar.update(done, total, "inputs", "computing");
        });
        bar.finish();
        fidelity
    }

    /// As [`Source::compute`]; `tick` is called after every input and step.
    ///
    /// # Errors
    /// As [`Source::compute`].
    pub fn compute_with(
        &self,
        run: &mut dyn ValueRun,
        tick: &mut dyn FnMut(),
    ) -> Result<Option<Fidelity>> {
        match self {
            Source::Model { model, texts, steps, .. } if model.is_decoder() => {
                decode(model, texts, *steps, run, tick).map(Some)
            }
            Source::Model { model, texts, .. } => encode(model, texts, run, tick).map(Some),
            Source::Trace { file, .. } => {
                let shown = file.display().to_string();
                let reader = open_tensor_trace(file)?
                    .with_context(|| format!("{shown}: the file has changed"))?;
                for input in Replays::new(&shown, reader) {
                    let input = input?;
                    // The prompt of a decoder is computed elsewhere and starts another text.
                    if input.is_prompt() {
                        run.forget();
                    } else {
                        replay(&input, run)?;
                    }
                    tick();
                }
                Ok(None)
            }
        }
    }
}

/// Settings from assignments `knob=value`.
///
/// # Errors
/// What is no assignment, no knob, or out of range.
pub fn pruning(sets: &[&str]) -> Result<Pruning> {
    let mut pruning = Pruning::default();
    for set in sets {
        let Some((name, value)) = set.split_once('=') else {
            bail!("`--set workload.{set}` is no assignment: expected `workload.{set}=VALUE`");
        };
        pruning
            .set(name.trim(), value.trim())
            .with_context(|| format!("`--set workload.{set}`"))?;
    }
    Ok(pruning)
}

/// Name of a file or folder without its extension.
pub(super) fn stem(path: &Path) -> String {
    // A folder such as `.` has a name only once it is resolved.
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    full.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
