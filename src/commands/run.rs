//! `attelier run`: simulate a workload on a design.

use std::{io, path::PathBuf};

use anyhow::{Context, Result, bail};
use attelier_sim::{
    kernel::run::Mode,
    observe::{Nobody, Observer},
};
use attelier_workloads::{Task, pruning::Pruning};
use clap::Args;

use crate::{
    cli::{Common, Overrides, command_line},
    exit::Verdict,
    machines::{self, Loaded},
    observers::{Many, perfetto::PerfettoWriter, progress::Progress, vcd::VcdWriter},
    output::{self, OutputFile},
    published,
    report::Report,
    simulation::{Counts, Subject, about},
    values::{self, ImageSource, Source, TextArgs},
    workload,
};

/// What to simulate, and what to record of it.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Design [default: spatten]; see `attelier list designs`
    pub design: Option<String>,
    /// Workload preset, trace file or model folder [default: that of the design]; a preset is
    /// changed with `--set workload.tokens=N`, `workload.context=N`, `workload.seed=N`, `attention/*`
    /// also with `layers`, `heads` and `head_dim`, for whole
    /// models `workload.lm_head=true`, for images `workload.task=N`, `experts`, `top_k`, `skew` and
    /// `queues=N,N,...`; a model or a trace with tensors is pruned with `workload.token_keep=0.5`, `head_keep`, `value_keep`,
    /// `query_bits`, `key_bits`, `key_lsb_bits`, `value_bits`, `requant_threshold`
    pub workload: Option<String>,
    /// Text for models.
    #[command(flatten)]
    pub text: TextArgs,
    /// Compare every output with the reference kernels, which takes longer
    #[arg(long)]
    pub check: bool,
    /// Departures from the preset.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Write a waveform (value change dump, for GTKWave or Surfer)
    #[arg(long, value_name = "FILE")]
    pub vcd: Option<PathBuf>,
    /// Write a timeline (Chrome trace events, for ui.perfetto.dev)
    #[arg(long, value_name = "FILE")]
    pub perfetto: Option<PathBuf>,
    /// Evaluate every cycle instead of leaping over steady ones: slower, same result
    #[arg(long)]
    pub every_cycle: bool,
}

impl RunArgs {
    /// Refuses options for text and attention: `why` with the workload in place of `NAME`.
    fn refuse_text(&self, why: &str, name: &str) -> Result<()> {
        let options = [
            (self.check, "--check"),
            (self.text.text.is_some(), "--text"),
            (self.text.steps.is_some(), "--steps"),
        ];
        match options.into_iter().find(|(given, _)| *given) {
            Some((_, option)) => bail!("`{option}` {}", why.replace("NAME", name)),
            None => Ok(()),
        }
    }
}

/// A checked machine and a checked workload.
struct Job {
    design: &'static str,
    loaded: Loaded,
    work: Work,
    check: bool,
    /// What departs from design and workload as published.
    changes: Vec<String>,
}

/// What is to be done.
enum Work {
    /// Counts.
    Counts(Counts),
    /// Real values, pruned like this.
    Values { source: Source, pruning: Pruning },
    /// The numbers of an image.
    Image(Box<ImageSource>),
}

/// Runs the command.
pub fn run(args: &RunArgs, common: &Common) -> Result<Verdict> {
    let outputs = [&common.json, &args.vcd, &args.perfetto].map(Option::as_deref);
    let read = args.workload.as_deref().filter(|name| workload::file(name).is_some());
    let read = read.map(values::files).unwrap_or_default();
    let options = [&args.overrides.config, &args.text.text].map(Option::as_deref);
    let inputs = read.iter().map(|path| Some(path.as_path())).chain(options);
    output::check_paths(&outputs, &inputs.collect::<Vec<_>>())?;
    // Bad input is found before any file is touched, an unwritable file before the simulation.
    let job = Job::prepare(args, common.seed)?;
    let open = |path: &Option<PathBuf>| path.as_deref().map(OutputFile::create).transpose();
    let json_file = open(&common.json)?;
    let mut vcd_file = open(&args.vcd)?;
    let mut perfetto_file = open(&args.perfetto)?;

    let mut progress = Progress::new();
    let mut vcd = vcd_file.as_mut().map(|file| VcdWriter::new(file, job.design));
    let mut perfetto = perfetto_file.as_mut().map(|file| PerfettoWriter::new(file, job.design));
    let mut observers = Many::new();
    observers.add(&mut progress);
    if let Some(vcd) = &mut vcd {
        observers.add(vcd);
    }
    if let Some(perfetto) = &mut perfetto {
        observers.add(perfetto);
    }
    let mode = if args.every_cycle { Mode::EveryCycle } else { Mode::Jump };
    let report = job.run(mode, common.seed, &mut observers)?;
    let vcd_outcome = vcd.map_or(Ok(()), VcdWriter::finish);
    let perfetto_outcome = perfetto.map_or(Ok(()), PerfettoWriter::finish);
    check(vcd_file.as_ref(), vcd_outcome)?;
    check(perfetto_file.as_ref(), perfetto_outcome)?;

    if let Some(file) = json_file {
        file.commit_json(&report)?;
    }
    for file in [vcd_file, perfetto_file].into_iter().flatten() {
        file.commit()?;
    }
    output::print(&report.text())?;
    Ok(if report.checks.passed() { Verdict::Passed } else { Verdict::CheckFailed })
}

/// The result of the command, without files or text.
///
/// # Errors
/// As of the command.
pub fn report(args: &RunArgs, common: &Common) -> Result<Report> {
    let mode = if args.every_cycle { Mode::EveryCycle } else { Mode::Jump };
    Job::prepare(args, common.seed)?.run(mode, common.seed, &mut Nobody)
}

/// Explains a write error of a recording.
fn check(file: Option<&OutputFile>, outcome: io::Result<()>) -> Result<()> {
    outcome.map_err(|error| match file {
        Some(file) => file.explain(error),
        None => error.into(),
    })
}

impl Job {
    /// Loads and checks design and workload.
    fn prepare(args: &RunArgs, seed: u64) -> Result<Self> {
        let (knobs, set) = workload::split_sets(&args.overrides.set);
        let overrides = Overrides { config: args.overrides.config.clone(), set };
        let design = args.design.as_deref().unwrap_or(machines::DEFAULT_DESIGN);
        if args.workload.is_none() && workload::exists(design) {
            bail!(
                "`{design}` is a workload: name the design before it, as in `attelier run {} {design}`",
                machines::DEFAULT_DESIGN
            );
        }
        let loaded = machines::load(design, &overrides)?;
        let name = args.workload.as_deref().unwrap_or(loaded.default_workload);
        let image = match loaded.machine.computes_images() {
            true => {
                let knobs = workload::knobs(&knobs, seed)?;
                ImageSource::open(name, loaded.default_workload, &knobs)?
            }
            false => None,
        };
        let source = match workload::file(name).filter(|_| image.is_none()) {
            Some(_) if workload::is_config(name) => None,
            Some(_) => Source::open(name, &args.text)?,
            None => None,
        };
        let work = match (image, source) {
            (Some(image), _) => {
                args.refuse_text(
                    "has to do with text and attention, and `NAME` is an image, which always stands \
                     beside the same network in floats",
                    name,
                )?;
                Work::Image(Box::new(image))
            }
            (None, Some(source)) => Work::Values { source, pruning: values::pruning(&knobs)? },
            (None, None) => {
                args.refuse_text(
                    "needs real values, and `NAME` has counts only: expected a model folder or a trace \
                     with tensors (`attelier trace extract`)",
                    name,
                )?;
                Work::Counts(Counts::load(name, &knobs, seed)?)
            }
        };
        let file = args.overrides.config.iter().map(|file| format!("--config {}", file.display()));
        let sets = args.overrides.set.iter().map(|set| format!("--set {set}"));
        let changes = file.chain(sets).collect();
        let design = loaded.config.design().name;
        Ok(Self { design, loaded, work, check: args.check, changes })
    }

    /// Simulates; tells everything there is to say about it.
    fn run(&self, mode: Mode, seed: u64, observer: &mut dyn Observer) -> Result<Report> {
        match &self.work {
            Work::Counts(counts) => {
                self.subject().simulate(counts, command_line(), mode, seed, observer)
            }
            Work::Image(source) => self.image(source, mode, seed, observer),
            Work::Values { source, pruning } if self.loaded.machine.computes_models() => {
                self.generate(source, pruning, mode, seed, observer)
            }
            Work::Values { source, pruning } => {
                let machine = &self.loaded.machine;
                let mut run = machine.values(pruning, source.layers(), self.check)?;
                let fidelity = source.compute(run.as_mut())?;
                let values = run.simulate(mode, seed, observer)?;
                let workload = source.workload(&values);
                // Equal counts can come from different texts.
                let counts = workload.content_hash();
                let hash = [counts.as_bytes(), values.digest.as_bytes()].concat();
                let name = &workload.name;
                let report =
                    self.subject().report(name, blake3::hash(&hash), &values.result, |identity| {
                        identity.started_by(command_line(), seed)
                    });
                let report = report.with_values(&values, fidelity);
                let beside = published::beside_values(self.design, &report);
                Ok(report.beside(beside).noting(about(&workload.into())))
            }
        }
    }

    /// An image, whose queues follow from its numbers.
    fn image(
        &self,
        source: &ImageSource,
        mode: Mode,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        let machine = self.loaded.machine.as_ref();
        let computed = source.compute(machine)?;
        let task = Task::Image(computed.image.clone());
        let result = machine.simulate(&task, mode, seed, observer)?;
        // Equal queues can come from different images.
        let hash = [*task.content_hash().as_bytes(), *computed.digest.as_bytes()].concat();
        let report = self.subject().report(task.name(), blake3::hash(&hash), &result, |identity| {
            identity.started_by(command_line(), seed)
        });
        let beside = published::beside_image(self.design, &report);
        Ok(report.with_image(&computed).beside(beside).noting(about(&task)))
    }

    /// A model on a machine that computes all of it.
    fn generate(
        &self,
        source: &Source,
        pruning: &Pruning,
        mode: Mode,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<Report> {
        let (name, machine) = (source.name(), &self.loaded.machine);
        let Source::Model { model, texts, steps, .. } = source else {
            bail!(
                "`{}` computes whole models, and `{name}` holds attention only: expected a model folder",
                self.design
            );
        };
        if *pruning != Pruning::default() {
            bail!("`{}` prunes and quantises nothing: leave out the knobs of pruning", self.design);
        }
        let gpt = model.as_gpt()?;
        let task = Task::Decoding(values::longest(name, model, &gpt, texts, *steps)?);
        // Whether the model fits is known before its numbers are computed.
        let result = machine.simulate(&task, mode, seed, observer)?;
        let mut functional = machine
            .functional(&gpt, self.check)
            .with_context(|| format!("`{}` has no numbers", self.design))?;
        let mut bar = Progress::new();
        let total = texts.iter().map(|text| text.len() + steps).sum::<usize>() as u64;
        let mut done = 0;
        let generated = values::generate(&gpt, texts, *steps, &mut functional, &mut || {
            done += 1;
            bar.update(done, total, "tokens", "computing");
        })?;
        bar.finish();
        // Equal counts can come from different texts.
        let hash = [*task.content_hash().as_bytes(), *generated.digest.as_bytes()].concat();
        let report = self.subject().report(name, blake3::hash(&hash), &result, |identity| {
            identity.started_by(command_line(), seed)
        });
        Ok(report.with_generated(&generated).noting(about(&task)))
    }

    fn subject(&self) -> Subject<'_> {
        let machine = self.loaded.machine.as_ref();
        Subject { design: self.design, machine, changes: &self.changes }
    }
}
