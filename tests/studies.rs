//! The figures of the studies are those of the ready-made spaces: PIM-GPT's is small enough to be
//! explored here. `cargo xtask studies` draws all again.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::{fs, path::Path};

use common::attelier;

#[test]
fn the_study_of_pim_gpt_shows_what_the_program_finds() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let spec = repository.join("workloads/explore/pim-gpt.toml");
    attelier(folder.path(), &["explore", spec.to_str().unwrap(), "-o", "out"]).code(0);
    for name in ["front", "sensitivity"] {
        let drawn = fs::read_to_string(folder.path().join(format!("out/{name}.svg"))).unwrap();
        let shown = repository.join(format!("docs/figures/explore-pim-gpt-{name}.svg"));
        let shown = fs::read_to_string(shown).unwrap();
        assert!(
            drawn == shown,
            "{name}.svg has changed: run `cargo xtask studies` and read the page"
        );
    }
}
