//! Machines that can be simulated: the one place where a design name meets its simulator.
//!
//! A new family of designs is an implementation of [`Machine`] and one line in `FAMILIES`.

mod a3;
mod edge_moe;
mod elsa;
mod heads;
mod host;
mod m3vit;
mod mnnfast;
mod pim_gpt;
mod platform;
pub mod spatten;

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, Result, bail};
use attelier_hw::{
    config::{self, Config},
    diagnostic::{Diagnostic, MAX_TEXT_BYTES, SourceText},
    record::Record,
};
use attelier_sim::{
    designs::pim_gpt::functional::Functional, energy::Energy, kernel::run::Mode, observe::Observer,
    result::RunResult,
};
use attelier_workloads::{
    Task,
    model::Gpt,
    pruning::Pruning,
    vision::{ImageTrace, Network},
};

use crate::{cli::Overrides, values::ValueRun};

/// The parameters of a checked design; every [`Record`] has them.
pub trait Parameters {
    /// Hash of all parameters.
    fn config_hash(&self) -> String;
    /// All parameters as TOML with units and sources.
    fn show(&self, config: &Config) -> String;
    /// All parameters, derived ones included, as sections of values.
    fn parameters(&self) -> serde_json::Value;
}

impl<R: Record> Parameters for R {
    fn config_hash(&self) -> String {
        Record::config_hash(self)
    }

    fn show(&self, config: &Config) -> String {
        Record::show(self, config)
    }

    fn parameters(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a record holds only text, switches and integers")
    }
}

/// A checked design that can run a workload.
pub trait Machine: Parameters + Send + Sync {
    /// Bandwidth that the memory offers [B/s].
    fn peak_bytes_per_s(&self) -> f64;
    /// Simulates.
    ///
    /// # Errors
    /// A task of a kind that the machine does not compute, or that does not fit it.
    fn simulate(
        &self,
        task: &Task,
        mode: Mode,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<RunResult>;
    /// This machine as the attention of a model of `layers` layers. With `checks`, outputs are
    /// compared with references on the way.
    ///
    /// # Errors
    /// Widths that the machine does not hold.
    fn values<'a>(
        &'a self,
        pruning: &Pruning,
        layers: usize,
        checks: bool,
    ) -> Result<Box<dyn ValueRun + 'a>>;
    /// Whether it computes all layers of a model; if not, it computes attention.
    fn computes_models(&self) -> bool {
        false
    }
    /// A model in the memory of a machine that computes all of it.
    fn functional<'a, 'm>(&self, _model: &'a Gpt<'m>, _checks: bool) -> Option<Functional<'a, 'm>> {
        None
    }
    /// Whether it computes the numbers of images.
    fn computes_images(&self) -> bool {
        false
    }
    /// Every number of an image for one task.
    ///
    /// # Errors
    /// A machine that does not compute images, or not of these sizes.
    fn compute_image(&self, _network: &Network, _task: usize) -> Result<ImageTrace<f64>> {
        bail!("this design computes no images: expected one such as `edge-moe`")
    }
    /// Energy of a run, where it is modelled.
    fn energy(&self, result: &RunResult) -> Option<Energy>;
    /// What is known of the energy of a run where the whole is not.
    fn known_energy(&self, _result: &RunResult) -> Option<Energy> {
        None
    }
    /// Area of its units [mm2]; empty where it is not known.
    fn areas_mm2(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }
    /// Area [mm2], where it is known.
    fn area_mm2(&self) -> Option<f64> {
        let areas = self.areas_mm2();
        (!areas.is_empty()).then(|| areas.iter().map(|(_, area)| area).sum())
    }
}

/// Joins the values of a configuration to a machine.
type Build = fn(&Config) -> Result<Box<dyn Machine>, Diagnostic>;

/// Designs that share a simulator.
struct Family {
    designs: &'static [&'static str],
    build: Build,
    default_workload: &'static str,
}

const FAMILIES: &[Family] = &[
    Family {
        designs: &["spatten", "spatten-eighth"],
        build: spatten::build,
        default_workload: attelier_workloads::preset::DEFAULT,
    },
    Family {
        designs: &["spatten-small"],
        build: spatten::build,
        default_workload: "small-decoder/text",
    },
    Family {
        designs: &["pim-gpt", "pim-gpt-aim"],
        build: pim_gpt::build,
        default_workload: "gpt2-xl",
    },
    Family {
        designs: &["edge-moe", "edge-moe-zcu104"],
        build: edge_moe::build,
        default_workload: "m3vit-tiny/cityscapes",
    },
    Family {
        designs: &["a3", "a3-conservative", "a3-aggressive"],
        build: a3::build,
        default_workload: "bert-base/squad-v1",
    },
    Family { designs: &["mnnfast"], build: mnnfast::build, default_workload: "bert-base/squad-v1" },
    Family { designs: &["elsa"], build: elsa::build, default_workload: "bert-base/squad-v1" },
    Family {
        designs: &["titan-xp", "jetson-nano", "xeon-e5-2640-v4", "raspberry-pi-4", "a100", "h100"],
        build: platform::build,
        default_workload: "gpt2-medium/wikitext2/dense",
    },
    Family {
        designs: &["t4", "xeon-gold-6154"],
        build: platform::build,
        default_workload: "gpt2-small",
    },
    Family {
        designs: &["rtx-a6000", "xeon-6226r"],
        build: platform::build,
        default_workload: "m3vit-tiny/cityscapes",
    },
    Family {
        designs: &["rtx-8000"],
        build: platform::build,
        default_workload: "m3vit-small/nyud-v2",
    },
    Family { designs: &["host"], build: host::build, default_workload: "bert-base/squad-v1" },
    Family { designs: &["m3vit"], build: m3vit::build, default_workload: "m3vit-small/nyud-v2" },
];

/// The design of a run that names none.
pub const DEFAULT_DESIGN: &str = "spatten";

/// A machine with the configuration that it was made from.
pub struct Loaded {
    /// Its values and their sources.
    pub config: Config,
    /// The machine.
    pub machine: Box<dyn Machine>,
    /// The workload of a run that names none.
    pub default_workload: &'static str,
}

/// Loads and checks a design: preset, then configuration file, then assignments.
///
/// # Errors
/// An unknown design, and whatever is wrong with its values, at its place.
pub fn load(design: &str, overrides: &Overrides) -> Result<Loaded> {
    let file = overrides.config.as_deref().map(read_config).transpose()?;
    build(config::load(design, file, &overrides.set)?)
}

/// Builds and checks the machine of a configuration.
///
/// # Errors
/// Values that make no machine, at their place.
pub fn build(config: Config) -> Result<Loaded> {
    let name = config.design().name;
    let family = FAMILIES.iter().find(|family| family.designs.contains(&name));
    let family = family.with_context(|| format!("design `{name}` has no simulator yet"))?;
    let machine = (family.build)(&config)?;
    Ok(Loaded { config, machine, default_workload: family.default_workload })
}

/// Reads a configuration file, not much more of it than a configuration may have.
fn read_config(path: &Path) -> Result<SourceText> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_TEXT_BYTES as u64 + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read the configuration `{}`", path.display()))?;
    Ok(SourceText::from_bytes(path.display().to_string(), &bytes)?)
}

#[cfg(test)]
mod tests {
    use attelier_hw::designs::DESIGNS;
    use attelier_workloads::Knobs;

    use super::*;

    #[test]
    fn every_design_has_a_simulator_and_a_default_workload_that_exists() {
        for design in DESIGNS {
            let loaded = load(design.name, &Overrides::default()).unwrap();
            let task =
                attelier_workloads::task::load_with(loaded.default_workload, &Knobs::default());
            assert!(task.is_ok(), "{}", design.name);
            assert!(loaded.machine.peak_bytes_per_s() > 0.0);
        }
    }
}
