//! Real values on machines that treat every head for itself.

use std::borrow::Cow;

use anyhow::{Context, Result, bail};
use attelier_sim::{
    designs::heads::{Arithmetic, Functional, HeadWork, Recorded},
    kernel::run::Mode,
    observe::Observer,
    result::RunResult,
};
use attelier_workloads::{
    AttentionModel, Knobs, Request, Task, Workload, model::Attention, pruning::Pruning,
};
use ndarray::Array2;

use crate::values::{ValueResult, ValueRun};

/// Time of known work.
type Simulate<'a> = Box<dyn FnOnce(&[HeadWork], &mut dyn Observer) -> Result<RunResult> + 'a>;

/// A run with real values.
pub struct Values<'a, A> {
    functional: Functional<A>,
    simulate: Simulate<'a>,
}

impl<'a, A: Arithmetic> Values<'a, A> {
    /// A run of a model of `layers` layers; `simulate` gives its time.
    pub fn new(
        arithmetic: A,
        layers: usize,
        checks: bool,
        simulate: impl FnOnce(&[HeadWork], &mut dyn Observer) -> Result<RunResult> + 'a,
    ) -> Self {
        let functional = Functional::new(arithmetic, layers, checks);
        Self { functional, simulate: Box::new(simulate) }
    }
}

impl<A: Arithmetic> ValueRun for Values<'_, A> {
    // Heads remember nothing.
    fn forget(&mut self) {}

    fn compare_with(&mut self, dense: Vec<Array2<f32>>) {
        self.functional.compare_with(dense);
    }

    fn as_attention(&mut self) -> &mut dyn Attention {
        &mut self.functional
    }

    fn simulate(
        self: Box<Self>,
        _mode: Mode,
        _seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<ValueResult> {
        let Recorded { work, outputs, checks } = self.functional.finish();
        let result = (self.simulate)(&work, observer)?;
        let mut digest = blake3::Hasher::new();
        for output in outputs {
            digest.update(&output.to_le_bytes());
        }
        Ok(ValueResult {
            result,
            requests: work.iter().map(HeadWork::request).collect(),
            digest: digest.finalize().to_hex().to_string(),
            comparison: None,
            layers: checks,
        })
    }
}

/// Refuses knobs of pruning, which belong to SpAtten.
///
/// # Errors
/// Any knob that is set.
pub fn refuse_pruning(design: &str, pruning: &Pruning) -> Result<()> {
    if *pruning != Pruning::default() {
        bail!("`{design}` has no cascade pruning and no bit planes: leave out their knobs");
    }
    Ok(())
}

/// The attention requests of a task; those of a model that others compute whole, too.
///
/// # Errors
/// A task without attention, or with more of it than a workload may hold.
pub fn attention_of<'t>(design: &str, task: &'t Task) -> Result<Cow<'t, Workload>> {
    match task {
        Task::Attention(workload) => Ok(Cow::Borrowed(workload)),
        Task::Decoding(decoding) => {
            let model = AttentionModel::from(decoding).with(&Knobs::default())?;
            Ok(Cow::Owned(model.workload()?))
        }
        Task::Image(_) => bail!(
            "`{design}` computes attention only, and `{}` is {}: expected a workload such as \
             `bert-base/squad-v1`",
            task.name(),
            task.kind()
        ),
    }
}

/// Runs the attention of a task; the result says so where the task is more than that.
///
/// # Errors
/// As [`attention_of`], and whatever `run` refuses, with the names of workload and design.
pub fn with_attention(
    design: &str,
    task: &Task,
    run: impl FnOnce(&[Request]) -> Result<RunResult>,
) -> Result<RunResult> {
    let workload = attention_of(design, task)?;
    let mut result = run(&workload.requests)
        .with_context(|| format!("cannot run `{}` on `{design}`", workload.name))?;
    if let Cow::Owned(workload) = &workload {
        result.notes.push(format!("{}, and nothing else of the model", workload.description));
        let new = workload.assumptions.iter().filter(|text| !task.assumptions().contains(text));
        result.notes.extend(new.map(|text| format!("workload, assumed: {text}")));
    }
    Ok(result)
}
