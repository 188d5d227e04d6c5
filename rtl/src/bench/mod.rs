//! Comparison of native execution with Verilog simulators.
//!
//! A [`Case`] holds a module, what its inputs see in every cycle, and what its outputs must show. A
//! [`Bench`] writes many cases into one self-checking test bench, runs a simulator over it, and
//! counts what was compared. Nothing compared is an error, never a success.

mod mutants;
mod text;
mod tools;

use std::{collections::BTreeMap, fs, io, path::Path, sync::Arc};

use thiserror::Error;

pub use self::{
    mutants::{Mutant, mutants},
    tools::{Tool, lint, yosys},
};
use crate::{bits::Bits, design::Design, error, ir::Module, native::Simulator};

/// Cycles of reset before the first vector.
pub const RESET_CYCLES: usize = 2;

/// Why a comparison has no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BenchError {
    /// The design is refused.
    #[error(transparent)]
    Design(#[from] error::Error),
    /// A vector that does not belong to the module.
    #[error("vector {vector} of `{module}` has {found} values; expected one per input, {expected}")]
    Vector {
        /// Module.
        module: String,
        /// Number of the vector, from 0.
        vector: usize,
        /// Its values.
        found: usize,
        /// Inputs of the module.
        expected: usize,
    },
    /// Files could not be written, or a tool does not start.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A tool failed.
    #[error("{tool} failed:\n{output}")]
    Tool {
        /// The tool.
        tool: &'static str,
        /// What it printed.
        output: String,
    },
    /// Nothing was compared.
    #[error("{tool} compared nothing for `{module}`")]
    NothingCompared {
        /// The tool.
        tool: &'static str,
        /// Module.
        module: String,
    },
}

/// A module, its input vectors, and the outputs expected.
#[derive(Debug, Clone)]
pub struct Case {
    module: Arc<Module>,
    vectors: Vec<Vec<Bits>>,
    expected: Vec<Vec<Bits>>,
}

impl Case {
    /// A case whose outputs are those of native execution. Each vector holds one value per input,
    /// in the order of the ports, for one cycle.
    ///
    /// # Errors
    /// A vector with another number of values.
    pub fn native(module: &Arc<Module>, vectors: Vec<Vec<Bits>>) -> Result<Self, BenchError> {
        let expected = run_native(module, &vectors)?;
        Ok(Self { module: Arc::clone(module), vectors, expected })
    }

    /// The same vectors and expected outputs with another module of the same ports: a mutant, which
    /// the comparison must catch.
    #[must_use]
    pub fn with_module(&self, module: &Arc<Module>) -> Self {
        Self { module: Arc::clone(module), ..self.clone() }
    }

    /// The module.
    pub fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// Outputs expected, one row per vector.
    pub fn expected(&self) -> &[Vec<Bits>] {
        &self.expected
    }
}

/// What the outputs show natively, before the edge of every vector's cycle, after a reset.
///
/// # Errors
/// A vector with another number of values than the module has inputs.
pub fn run_native(
    module: &Arc<Module>,
    vectors: &[Vec<Bits>],
) -> Result<Vec<Vec<Bits>>, BenchError> {
    let design = Design::new([module])?;
    let mut simulator = Simulator::new(&design, module.name())?;
    let inputs: Vec<_> =
        module.inputs().map(|(name, _)| simulator.input(name)).collect::<Result<_, _>>()?;
    let outputs: Vec<_> =
        module.outputs().map(|(name, _)| simulator.output(name)).collect::<Result<_, _>>()?;
    for (number, vector) in vectors.iter().enumerate() {
        if vector.len() != inputs.len() {
            return Err(BenchError::Vector {
                module: module.name().to_owned(),
                vector: number,
                found: vector.len(),
                expected: inputs.len(),
            });
        }
    }
    // The bench holds the first vector during the reset.
    for (port, value) in inputs.iter().zip(vectors.first().into_iter().flatten()) {
        simulator.write_bits(*port, value);
    }
    for _ in 0..RESET_CYCLES {
        if module.has_reset() {
            simulator.reset();
        } else {
            simulator.step();
        }
    }
    let mut rows = Vec::with_capacity(vectors.len());
    for vector in vectors {
        for (port, value) in inputs.iter().zip(vector) {
            simulator.write_bits(*port, value);
        }
        rows.push(outputs.iter().map(|port| simulator.read_bits(*port)).collect());
        simulator.step();
    }
    Ok(rows)
}

/// What was compared for one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Module.
    pub module: String,
    /// Input vectors applied.
    pub vectors: u64,
    /// Cycles run, with those of the reset.
    pub cycles: u64,
    /// Output values compared.
    pub signals: u64,
    /// Vectors after which an output differed.
    pub mismatches: u64,
    /// Vectors after which an output was unknown; always 0 under Verilator, which has two states.
    pub unknown: u64,
    /// The first difference.
    pub first: Option<String>,
}

impl Comparison {
    /// Whether all outputs were equal and known.
    pub fn is_equal(&self) -> bool {
        self.mismatches == 0 && self.unknown == 0
    }
}

/// Many cases for one run of a simulator.
#[derive(Debug, Clone, Default)]
pub struct Bench {
    cases: Vec<Case>,
}

impl Bench {
    /// Adds a case.
    pub fn add(&mut self, case: Case) {
        self.cases.push(case);
    }

    /// The cases.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Writes Verilog, bench and vectors into a folder; returns the names of the Verilog files.
    ///
    /// # Errors
    /// Two different modules of one name; files that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<String>, BenchError> {
        let design = Design::new(self.cases.iter().map(|case| &case.module))?;
        let mut names = Vec::new();
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text)
                .map_err(|source| BenchError::Io { what: format!("writing {name}"), source })
        };
        for file in design.verilog() {
            write(&file.name, &file.text)?;
            names.push(file.name);
        }
        for (number, case) in self.cases.iter().enumerate() {
            write(&format!("case_{number}.hex"), &text::rows(case))?;
        }
        write("bench.v", &text::bench(&self.cases))?;
        names.push("bench.v".to_owned());
        Ok(names)
    }

    /// Runs all cases under a simulator.
    ///
    /// # Errors
    /// The simulator does not start, fails, or compared nothing for some case.
    pub fn run(&self, tool: Tool) -> Result<Vec<Comparison>, BenchError> {
        let folder = tempfile::tempdir()
            .map_err(|source| BenchError::Io { what: "a temporary folder".to_owned(), source })?;
        let files = self.write(folder.path())?;
        let output = tools::simulate(tool, folder.path(), &files)?;
        let results = text::results(&output);
        self.cases
            .iter()
            .enumerate()
            .map(|(number, case)| comparison(tool, case, number, &results))
            .collect()
    }
}

fn comparison(
    tool: Tool,
    case: &Case,
    number: usize,
    results: &BTreeMap<usize, text::Result>,
) -> Result<Comparison, BenchError> {
    let module = case.module.name().to_owned();
    match results.get(&number) {
        Some(result) if result.vectors > 0 && result.vectors == case.vectors.len() as u64 => {
            Ok(Comparison {
                module,
                vectors: result.vectors,
                cycles: result.cycles,
                signals: result.vectors * case.module.outputs().count() as u64,
                mismatches: result.mismatches,
                unknown: result.unknown,
                first: result.first.as_ref().map(|first| text::explain(case, first)),
            })
        }
        _ => Err(BenchError::NothingCompared { tool: tool.name(), module }),
    }
}
