//! Kinds of JSON documents.

use anyhow::{Result, bail};
use attelier_workloads::suggest::nearest;

/// The command that wrote a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A simulation.
    Run,
    /// Points of a design space.
    Explore,
    /// Hardware against the simulator.
    Cosim,
    /// Cells of a synthesis.
    Synth,
    /// Published numbers beside ours.
    Reproduce,
    /// Fidelity of a model over pruning and bits.
    Fidelity,
    /// Parameters of a design.
    Show,
    /// Files of emitted Verilog.
    Rtl,
}

/// Every kind with its schema and its title.
const KINDS: [(Kind, &str, &str); 8] = [
    (Kind::Run, "attelier-run-1", "Simulation"),
    (Kind::Explore, "attelier-explore-1", "Exploration"),
    (Kind::Cosim, "attelier-cosim-1", "Co-simulation"),
    (Kind::Synth, "attelier-synth-1", "Synthesis"),
    (Kind::Reproduce, "attelier-reproduce-1", "Published beside ours"),
    (Kind::Fidelity, "attelier-fidelity-1", "Fidelity"),
    (Kind::Show, "attelier-show-1", "Parameters"),
    (Kind::Rtl, "attelier-rtl-1", "Verilog"),
];

impl Kind {
    /// The kind with this schema.
    ///
    /// # Errors
    /// A schema that this version does not know.
    pub fn of(schema: &str) -> Result<Self> {
        if let Some((kind, ..)) = KINDS.iter().find(|(_, known, _)| *known == schema) {
            return Ok(*kind);
        }
        let known = KINDS.map(|(_, schema, _)| schema);
        let help = nearest(schema, known).map(|near| format!("; did you mean `{near}`?"));
        bail!(
            "unknown schema `{schema}`: expected one of {}{}",
            known.join(", "),
            help.unwrap_or_default()
        );
    }

    /// Value of `schema`.
    pub fn schema(self) -> &'static str {
        self.entry().1
    }

    /// For headings.
    pub fn title(self) -> &'static str {
        self.entry().2
    }

    fn entry(self) -> &'static (Kind, &'static str, &'static str) {
        let entry = KINDS.iter().find(|(kind, ..)| *kind == self);
        entry.expect("every kind is in the list, as a test holds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_schema() {
        use Kind::{Cosim, Explore, Fidelity, Reproduce, Rtl, Run, Show, Synth};
        for kind in [Run, Explore, Cosim, Synth, Reproduce, Fidelity, Show, Rtl] {
            assert_eq!(Kind::of(kind.schema()).unwrap(), kind);
            assert!(!kind.title().is_empty());
        }
    }

    #[test]
    fn a_schema_of_another_version_is_named() {
        let message = Kind::of("attelier-run-2").unwrap_err().to_string();
        assert!(message.contains("`attelier-run-2`"), "{message}");
        assert!(message.ends_with("did you mean `attelier-run-1`?"), "{message}");
    }
}
