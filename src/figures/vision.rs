//! Edge-MoE beside a CPU, a GPU and later accelerators.

use anyhow::Result;
use attelier_sim::observe::Observer;

use super::{
    Outcome, Row,
    measure::{Job, job, measure},
};
use crate::published;

const CALIBRATED: &str = "the point that the platform was calibrated on: it says nothing";

/// Edge-MoE beside the Xeon and the A6000.
pub fn edge_moe_platforms(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let designs = ["xeon-6226r", "rtx-a6000", "edge-moe"];
    let jobs: Vec<Job> = designs
        .iter()
        .map(|design| job(design, &[], "m3vit-tiny/cityscapes", &[], seed))
        .collect::<Result<_>>()?;
    let found = measure(&jobs, seed, observer)?;
    let mut rows = Vec::new();
    for (design, run) in designs.iter().zip(&found) {
        for number in published::of("edge-moe", "platforms").filter(|n| n.item == *design) {
            let ours = match (number.quantity.as_str(), *design) {
                ("time of an image", _) => Some(run.seconds * 1e3),
                ("energy of an image", design) if design != "edge-moe" => Some(run.joules()?),
                _ => None,
            };
            rows.push(match (*design, ours) {
                ("edge-moe", Some(ours)) => Row::beside(number, ours, "predicted"),
                ("edge-moe", None) => {
                    Row::not_comparable(number, None, "power of this design is not modelled")
                }
                _ => Row::not_comparable(number, ours, CALIBRATED),
            });
        }
    }
    Ok(Outcome::of(rows, Vec::new()))
}

/// Later accelerators of the same model, as lines beside ours.
pub fn rivals(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let jobs = [job("edge-moe", &[], "m3vit-tiny/cityscapes", &[], seed)?];
    let ours = measure(&jobs, seed, observer)?[0].seconds * 1e3;
    let mut rows = Vec::new();
    for number in published::numbers().iter().filter(|number| number.paper == "rivals") {
        let edge_moe = number.item.starts_with("Edge-MoE");
        rows.push(match (edge_moe, number.quantity.as_str()) {
            (true, "time of an image") => Row::beside(number, ours, "quoted from Edge-MoE"),
            (_, "throughput, 2.5 GOP per image" | "energy efficiency") => Row::not_comparable(
                number,
                None,
                "counted with 2.5 GOP per image, where the measured one has 1.565: compare times",
            ),
            _ => Row::not_comparable(number, None, "a line to compare with: no design here"),
        });
    }
    Ok(Outcome::of(rows, vec![format!("our Edge-MoE takes {ours:.2} ms for an image")]))
}
