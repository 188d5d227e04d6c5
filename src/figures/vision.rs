//! Edge-MoE and M3ViT beside CPUs, GPUs and later accelerators.

use anyhow::Result;
use attelier_sim::observe::Observer;

use super::{
    Outcome, Row,
    measure::{Job, job, measure},
};
use crate::published::{self, Number};

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

/// Table 4 of M3ViT: the GPU from its model, the FPGA as a line to compare with.
pub fn m3vit_table4(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let images =
        [("NYUD-v2", "m3vit-small/nyud-v2"), ("PASCAL-Context", "m3vit-small/pascal-context")];
    let jobs: Vec<Job> = images
        .iter()
        .map(|(_, name)| job("rtx-8000", &[], name, &[], seed))
        .collect::<Result<_>>()?;
    let found = measure(&jobs, seed, observer)?;
    let mut rows = Vec::new();
    for number in published::of("m3vit", "table4") {
        let image = images.iter().position(|(data, _)| number.quantity.ends_with(data));
        let row = match image.and_then(|index| found.get(index)) {
            Some(run) if number.item == "rtx-8000, MoE ViT-small" => {
                let ours = if number.unit == "ms" { run.seconds * 1e3 } else { run.joules()? };
                if number.quantity.ends_with("NYUD-v2") {
                    Row::not_comparable(number, Some(ours), CALIBRATED)
                } else {
                    Row::beside(number, ours, "predicted from the other data set; backbone only")
                }
            }
            _ => Row::not_comparable(number, None, missing(number)),
        };
        rows.push(row);
    }
    Ok(Outcome::of(rows, Vec::new()))
}

fn missing(number: &Number) -> &'static str {
    if number.item.starts_with("FPGA") {
        "the FPGA of M3ViT is no design here; its numbers are an estimate of its authors"
    } else if number.item.contains("ResNet") {
        "convolutions are no workload here"
    } else {
        "the dense model, and memory on the chip of a GPU, are not modelled"
    }
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
