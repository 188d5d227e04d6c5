//! Units of ELSA.

mod candidate;
mod hash;

use anyhow::Result;
use attelier_hw::{config::Config, elsa::Elsa, record::Record, technology::Node};

use super::{Selection, Unit};

/// The hardware of a configuration.
///
/// # Errors
/// Whatever is wrong with its values.
pub fn select(config: &Config) -> Result<Selection> {
    let params = Elsa::check(config)?;
    Ok(Selection {
        design: config.design().name,
        config_hash: Record::config_hash(&params),
        clock_hz: params.clock_hz,
        // That of Table I.
        node: Some(Node::N40),
        units: units(&params),
        records: None,
        whole: &[],
        board: None,
    })
}

/// The units of a machine.
pub fn units(params: &Elsa) -> Vec<Box<dyn Unit>> {
    vec![hash::unit(params), candidate::unit(params)]
}
