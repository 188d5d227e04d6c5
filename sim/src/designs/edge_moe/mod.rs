//! Edge-MoE (Sarkar et al., ICCAD 2023): a vision transformer with experts on one FPGA.
//!
//! * [`dataflow`]: loops of a call, iteration by iteration.
//! * [`attention`], [`linear`], [`layer_norm`], [`gating`], [`embedding`]: the loops of each unit.
//! * [`schedule`]: the order of calls, with the expert loop; [`timeline`]: their time.
//! * [`simulate`]: one image, in time; [`functional`]: its numbers; [`steps`]: what units take and give.
//!
//! `docs/designs/edge-moe.md` lists what is published and what is our choice. [`energy`] knows the
//! memory only; area and rows of the memory are not modelled.

pub mod attention;
pub mod dataflow;
pub mod embedding;
pub mod energy;
pub mod error;
pub mod functional;
pub mod gating;
pub mod layer_norm;
pub mod linear;
pub mod schedule;
pub mod steps;
pub mod timeline;
pub mod units;

use attelier_hw::edge_moe::EdgeMoe;
use attelier_workloads::vision::MoeImage;

pub use error::EdgeMoeError;

use crate::kernel::run::Mode;
use crate::observe::Observer;
use crate::result::{RunResult, Traffic};
use schedule::Schedule;
use timeline::{Timeline, Totals};

/// Simulates one image.
///
/// [`Mode::EveryCycle`] simulates every call; otherwise equal calls are simulated once. The result is
/// the same.
///
/// # Errors
/// Sizes that the loops of the machine do not divide, or matrices that its buffers do not hold.
pub fn simulate(
    machine: &EdgeMoe,
    image: &MoeImage,
    mode: Mode,
    observer: &mut dyn Observer,
) -> Result<RunResult, EdgeMoeError> {
    schedule::check(machine, &image.shape)?;
    let mut timeline = Timeline::new(machine, mode, observer);
    Schedule::new(machine, &image.shape).run(&mut timeline, &image.routing);
    let Totals { cycles, phases, units, streams, transactions } = timeline.finish();
    let ops = 2 * image.macs();
    Ok(RunResult {
        cycles,
        clock_hz: machine.clock_hz,
        ops_executed: ops,
        ops_dense: ops,
        traffic: Traffic { reads: transactions[0], ..Traffic::default() },
        streams,
        writes: transactions[1],
        dram: None,
        admission: None,
        phases,
        units,
        notes: notes(machine),
    })
}

fn notes(machine: &EdgeMoe) -> Vec<String> {
    let t = &machine.techniques;
    let off = [
        ("qk_reordering", t.qk_reordering),
        ("pv_reordering", t.pv_reordering),
        ("single_pass_softmax", t.single_pass_softmax),
        ("table_gelu", t.table_gelu),
        ("unified_linear", t.unified_linear),
        ("expert_reordering", t.expert_reordering),
    ];
    let off: Vec<_> = off.into_iter().filter(|(_, on)| !on).map(|(name, _)| name).collect();
    let mut notes = vec![
        "latencies of operators are assumed: no synthesis report is published; `attelier show` marks \
         each"
            .to_owned(),
    ];
    if !off.is_empty() {
        notes.push(format!("techniques left out: {}", off.join(", ")));
    }
    notes
}
