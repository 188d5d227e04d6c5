//! Edge-MoE beside a CPU, a GPU and later accelerators.

use anyhow::{Context, Result};
use attelier_sim::observe::Observer;

use super::{
    Outcome, Row,
    measure::{Job, Measured, job, measure},
};
use crate::published::{self, Number};

const CALIBRATED: &str = "the point that the platform was calibrated on: it says nothing";

/// Energies of the machine are its times in other words, since its power is the published one.
const AT_PUBLISHED_POWER: &str = "our time at the published 14.54 W, because power of this design is not modelled: it \
                                  deviates as the time does";

const POWER: &str = "power of this design is not modelled";

/// Edge-MoE beside the Xeon and the A6000.
pub fn edge_moe_platforms(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let designs = ["xeon-6226r", "rtx-a6000", "edge-moe"];
    let jobs: Vec<Job> = designs
        .iter()
        .map(|design| job(design, &[], "m3vit-tiny/cityscapes", &[], seed))
        .collect::<Result<_>>()?;
    let found = measure(&jobs, seed, observer)?;
    let run = |name: &str| -> Result<&Measured> {
        let at = designs.iter().position(|design| *design == name);
        at.map(|at| found[at].as_ref()).with_context(|| format!("`{name}` was not simulated"))
    };
    let watts = published::value("edge-moe", "platforms", "edge-moe", "power")?;
    let joules = watts * run("edge-moe")?.seconds;
    let mut rows = Vec::new();
    for number in published::of("edge-moe", "platforms") {
        let own = number.item == "edge-moe";
        let this = run(&number.item)?;
        rows.push(match number.quantity.as_str() {
            "time of an image" if own => {
                Row::beside(number, this.seconds * 1e3, "").with_note("predicted")
            }
            "time of an image" => Row::not_comparable(number, Some(this.seconds * 1e3), CALIBRATED),
            "energy of an image" if own => {
                Row::not_comparable(number, Some(joules), AT_PUBLISHED_POWER)
            }
            "energy of an image" => Row::not_comparable(number, Some(this.joules()?), CALIBRATED),
            "power" if own => Row::not_comparable(number, None, POWER),
            "power" => Row::not_comparable(number, None, "an input of the platform"),
            quantity => {
                let over = quantity.strip_prefix("energy efficiency over ");
                let over = run(over.context("a ratio of energies")?)?;
                Row::not_comparable(number, Some(over.joules()? / joules), AT_PUBLISHED_POWER)
            }
        });
    }
    Ok(Outcome::of(rows, Vec::new()))
}

/// Later accelerators of the same model, as lines beside ours.
pub fn rivals(seed: u64, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let jobs = [job("edge-moe", &[], "m3vit-tiny/cityscapes", &[], seed)?];
    let run = &measure(&jobs, seed, observer)?[0];
    let (ours, clock) = (run.seconds * 1e3, run.result.clock_hz as f64 * 1e-6);
    let giga = run.result.ops_dense as f64 * 1e-9;
    let mut rows = Vec::new();
    for number in published::numbers().iter().filter(|number| number.paper == "rivals") {
        let edge_moe = number.item.starts_with("Edge-MoE");
        rows.push(match (edge_moe, number.quantity.as_str()) {
            (true, "time of an image") => {
                Row::beside(number, ours, "").with_note("quoted from Edge-MoE")
            }
            (true, "clock") => Row::not_comparable(number, Some(clock), "an input of `edge-moe`"),
            (true, "power") => Row::not_comparable(number, None, POWER),
            (_, "throughput" | "energy efficiency") => {
                Row::not_comparable(number, None, counted(number, giga)?)
            }
            _ => Row::not_comparable(number, None, "a line to compare with: no design here"),
        });
    }
    Ok(Outcome::of(rows, vec![format!("our Edge-MoE takes {ours:.2} ms for an image")]))
}

/// How the authors of a line count operations, its throughput times its time, beside `tiny` of M3ViT-T \[GOP\].
fn counted(number: &Number, tiny: f64) -> Result<String> {
    let of = |quantity| published::value("rivals", &number.figure, &number.item, quantity);
    let theirs = of("throughput")? * of("time of an image")? * 1e-3;
    let model = match number.item.contains("M3ViT-S") {
        true => "no operations of M3ViT-S are counted here".to_owned(),
        false => format!("the layers of M3ViT-T that are simulated have {tiny:.2}"),
    };
    Ok(format!(
        "its throughput and its time make {theirs:.2} GOP per image; {model}: compare times"
    ))
}

#[cfg(test)]
mod tests {
    use attelier_sim::observe::Nobody;

    use super::*;

    /// 97.04 GOP/s in 25.76 ms, 561.79 in 3.65 and 1,936.84 in 4.45.
    #[test]
    fn lines_do_not_count_the_operations_of_an_image_alike() {
        let counted = |item: &str| {
            let line = published::numbers().iter().find(|number| {
                number.paper == "rivals" && number.item == item && number.quantity == "throughput"
            });
            counted(line.unwrap(), 1.565).unwrap()
        };
        assert!(counted("UbiMoE, ZCU102").contains("make 2.50 GOP"));
        assert!(counted("V100S, M3ViT-T").contains("make 2.05 GOP"));
        let small = counted("V100S, M3ViT-S");
        assert!(small.contains("make 8.62 GOP") && small.contains("no operations of M3ViT-S"));
    }

    /// 1.129 J over 14.54 W in 33.2 ms; nothing of it is scored beside the time.
    #[test]
    fn energies_at_the_published_power_are_shown_and_not_scored() {
        let outcome = edge_moe_platforms(0, &mut Nobody).unwrap();
        let row = outcome.rows.iter().find(|row| row.item.ends_with("over rtx-a6000")).unwrap();
        let time =
            outcome.rows.iter().find(|row| row.item == "edge-moe: time of an image").unwrap();
        let expected = 1.129 / (14.54e-3 * time.ours.unwrap());
        assert!((row.ours.unwrap() / expected - 1.0).abs() < 0.01, "{row:?}");
        assert_eq!(row.deviation, None);
        assert_eq!(outcome.rows.iter().filter(|row| row.deviation.is_some()).count(), 1);
    }
}
