//! What a design or unit on the command line stands for.

use anyhow::{Result, bail};
use attelier_hw::{
    config::Config,
    designs::DESIGNS,
    edge_moe::{EdgeMoe, TopSizes},
    near::nearest,
    pim_gpt::PimGpt,
    record::Record,
    spatten::Spatten,
    technology::Node,
};

use attelier_sim::units::pim_sequencer::PimSequencer;

use super::{Unit, edge_moe, elsa, pim_gpt, spatten};
use crate::{cli::Overrides, machines};

/// In a second.
const PICOSECONDS: u64 = 1_000_000_000_000;

/// Units of one machine.
pub struct Selection {
    /// Name of the design.
    pub design: &'static str,
    /// Hash of its parameters.
    pub config_hash: String,
    /// Clock that its parameters ask for \[Hz\].
    pub clock_hz: u64,
    /// Process of its chip; `None` for designs on an FPGA.
    pub node: Option<Node>,
    /// The machine that real work is recorded on, where that is possible.
    pub records: Option<Recorder>,
    /// Units that make up the whole machine; empty where some are not built.
    pub whole: &'static [&'static str],
    /// The board that the design is made for.
    pub board: Option<&'static str>,
    /// The units named, or all.
    pub units: Vec<Box<dyn Unit>>,
}

/// A machine whose real work can be applied to the hardware.
pub enum Recorder {
    /// Attention requests.
    Spatten(Spatten),
    /// Images.
    EdgeMoe(EdgeMoe),
}

/// Designs that share their hardware units.
struct Family {
    designs: &'static [&'static str],
    build: fn(&Config) -> Result<Selection>,
}

const FAMILIES: &[Family] = &[
    Family { designs: &["spatten", "spatten-eighth", "spatten-small"], build: of_spatten },
    Family { designs: &["pim-gpt", "pim-gpt-aim"], build: of_pim_gpt },
    Family { designs: &["edge-moe", "edge-moe-zcu104"], build: of_edge_moe },
    Family { designs: &["elsa"], build: elsa::select },
];

/// Boards of designs.
const BOARDS: [(&str, &str); 2] = [("edge-moe", "zcu102"), ("edge-moe-zcu104", "zcu104")];

fn of_spatten(config: &Config) -> Result<Selection> {
    let params = Spatten::check(config)?;
    Ok(Selection {
        design: config.design().name,
        config_hash: Record::config_hash(&params),
        clock_hz: params.clock_hz,
        node: Some(params.process),
        units: spatten::units(&params),
        records: Some(Recorder::Spatten(params)),
        whole: &[],
        board: None,
    })
}

fn of_pim_gpt(config: &Config) -> Result<Selection> {
    let params = PimGpt::check(config)?;
    // Timings that contradict each other are found when a memory is built from them.
    PimSequencer::new(&params)?;
    Ok(Selection {
        design: config.design().name,
        config_hash: Record::config_hash(&params),
        // All units run on the command clock.
        clock_hz: PICOSECONDS / u64::from(params.timing.tck_ps.max(1)),
        // TSMC 28 nm, as its published power and area.
        node: Some(Node::N28),
        units: pim_gpt::units(&params),
        records: None,
        whole: &[],
        board: None,
    })
}

fn of_edge_moe(config: &Config) -> Result<Selection> {
    let machine = EdgeMoe::check(config)?;
    if machine.arithmetic.saturate {
        bail!(
            "the hardware of `edge-moe` drops upper bits, as the released number formats do: expected \
             `arithmetic.saturate=false`"
        );
    }
    let design = config.design().name;
    let sizes = TopSizes::deployed(&machine);
    let mut units = edge_moe::units(&sizes.units);
    units.extend(edge_moe::units_of_top(&sizes));
    Ok(Selection {
        design,
        config_hash: Record::config_hash(&machine),
        clock_hz: machine.clock_hz,
        node: None,
        whole: &edge_moe::WHOLE,
        board: BOARDS.iter().find(|(name, _)| *name == design).map(|(_, board)| *board),
        units,
        records: Some(Recorder::EdgeMoe(machine)),
    })
}

/// The units of a target: a design, a unit of the default design, or `DESIGN/UNIT`, where the first words
/// of a name stand for all units that begin with them: `topk` for `topk_step`, `topk_value` and the rest.
///
/// # Errors
/// An unknown design or unit, a design without hardware, and whatever is wrong with its values.
pub fn select(target: &str, overrides: &Overrides) -> Result<Selection> {
    let (design, unit) = split(target);
    let loaded = machines::load(design, overrides)?;
    let name = loaded.config.design().name;
    let Some(family) = FAMILIES.iter().find(|family| family.designs.contains(&name)) else {
        let known: Vec<&str> = FAMILIES.iter().flat_map(|family| family.designs).copied().collect();
        bail!("there is no hardware of `{name}` yet: expected one of {}", known.join(", "));
    };
    let mut selection = (family.build)(&loaded.config)?;
    if let Some(unit) = unit {
        let known: Vec<&str> = selection.units.iter().map(|unit| unit.name()).collect();
        let is_exact = known.contains(&unit);
        let begins = |name: &str| name.strip_prefix(unit).is_some_and(|rest| rest.starts_with('_'));
        let is_meant = |name: &str| if is_exact { name == unit } else { begins(name) };
        if !known.iter().any(|name| is_meant(name)) {
            let mut candidates = known.clone();
            let mut expected = format!("a unit of `{name}`: {}", known.join(", "));
            if !target.contains('/') {
                let designs = FAMILIES.iter().flat_map(|family| family.designs).copied();
                expected +=
                    &format!("; or a design: {}", designs.clone().collect::<Vec<_>>().join(", "));
                candidates.extend(designs);
            }
            let near = nearest(unit, candidates);
            let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
            bail!("there is no `{unit}`: expected {expected}{near}");
        }
        selection.units.retain(|known| is_meant(known.name()));
    }
    Ok(selection)
}

/// Design and unit that a target names.
fn split(target: &str) -> (&str, Option<&str>) {
    if let Some((design, unit)) = target.split_once('/') {
        (design, Some(unit))
    } else if DESIGNS.iter().any(|design| design.name == target) {
        (target, None)
    } else {
        (machines::DEFAULT_DESIGN, Some(target))
    }
}
