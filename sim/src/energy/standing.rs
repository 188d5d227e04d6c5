//! What hardware costs for being there: clock, registers, wires and leakage.
//!
//! | term | count |
//! |---|---|
//! | `clock` | cycles in which a unit works, times its flip-flops, their pins and a tree of wires |
//! | `registers` | the same cycles, times the bits of registers that change |
//! | `wires` | bits between DRAM pins, buffers and arrays, times the distance |
//! | `leakage_logic`, `leakage_sram` | all of the time, cells and memories |
//!
//! A unit that does nothing has its clock switched off (assumed; a synthesis inserts such gates behind every
//! enable). The controller always runs. What has no activity of its own works with its neighbour: buffers and
//! their slots, and the buffer of queries, with the arrays that read them.

use attelier_hw::{
    spatten::Spatten,
    technology::{Hardware, cells::wire_j_per_bit},
};

use super::{bits, units};
use crate::result::RunResult;

/// Costs of the hardware of one unit.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitCosts {
    /// Name in the hardware.
    pub name: &'static str,
    /// Leakage of its cells \[W\].
    pub leakage_logic_w: f64,
    /// Leakage of its memories \[W\].
    pub leakage_sram_w: f64,
    /// A cycle of its clock \[J\].
    pub clock_j: f64,
    /// A cycle in which its registers take new words \[J\].
    pub register_j: f64,
}

/// Costs of the hardware of a machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Per unit.
    pub units: Vec<UnitCosts>,
    /// One bit from the key buffer to its array \[J\].
    pub key_wire_j: f64,
    /// One bit from the value buffer to its array \[J\].
    pub value_wire_j: f64,
    /// One bit from the pins of the DRAM to a buffer \[J\].
    pub pin_wire_j: f64,
}

/// Energy of the wires of a run, by who drives them \[J\].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wires {
    /// From the pins of the DRAM to the buffers.
    pub pins: f64,
    /// From the key buffer to its array.
    pub keys: f64,
    /// From the value buffer to its array.
    pub values: f64,
}

impl Wires {
    /// All of them \[J\].
    pub fn total(self) -> f64 {
        self.pins + self.keys + self.values
    }
}

/// Names of the terms.
pub const TERMS: [&str; 5] = ["clock", "registers", "wires", "leakage_logic", "leakage_sram"];

impl Standing {
    /// Costs of `hardware`.
    ///
    /// Distances are assumed: from a buffer to its array the side of a square that holds both; from the pins half
    /// of the side of the machine.
    pub fn of(hardware: &Hardware) -> Self {
        let node = hardware.node;
        let units = hardware.units.iter().map(|unit| {
            let [leakage_logic_w, leakage_sram_w] = unit.leakage_w(node);
            UnitCosts {
                name: unit.name,
                leakage_logic_w,
                leakage_sram_w,
                clock_j: unit.cells.clock_j(node),
                register_j: unit.cells.register_j(node),
            }
        });
        let side = |names: &[&str]| hardware.area_of(names).sqrt();
        Self {
            units: units.collect(),
            key_wire_j: wire_j_per_bit(side(&["key_sram", "qk_array"])),
            value_wire_j: wire_j_per_bit(side(&["value_sram", "pv_array"])),
            pin_wire_j: wire_j_per_bit(hardware.area().total().sqrt() / 2.0),
        }
    }

    /// Energy of each of [`TERMS`] that the units `of` cause \[J\]; wires lie between units, see [`Self::wires`].
    pub fn of_units(&self, result: &RunResult, of: impl Fn(&str) -> bool) -> [f64; 5] {
        let seconds = result.cycles as f64 / result.clock_hz.max(1) as f64;
        let mut terms = [0.0; 5];
        for unit in self.units.iter().filter(|unit| of(unit.name)) {
            let working = working_cycles(result, unit.name);
            terms[0] += working * unit.clock_j;
            terms[1] += working * unit.register_j;
            terms[3] += seconds * unit.leakage_logic_w;
            terms[4] += seconds * unit.leakage_sram_w;
        }
        terms
    }

    /// Energy of each of [`TERMS`] \[J\].
    pub fn joules(&self, params: &Spatten, result: &RunResult) -> [f64; 5] {
        let mut terms = self.of_units(result, |_| true);
        terms[2] = self.wires(params, result).total();
        terms
    }

    /// Energy of the wires.
    pub fn wires(&self, params: &Spatten, result: &RunResult) -> Wires {
        let beats = |name: &str| units(result, name).map(|unit| unit.beats).sum::<u64>() as f64;
        let traffic = &result.traffic;
        let arriving =
            traffic.query_bytes + traffic.key_bytes + traffic.key_lsb_bytes + traffic.value_bytes;
        let lines = |name: &str, bytes: u32| beats(name) * bits(bytes.into());
        Wires {
            pins: bits(arriving) * self.pin_wire_j,
            keys: lines("qk_array", params.key_sram.line_bytes) * self.key_wire_j,
            values: lines("pv_array", params.value_sram.line_bytes) * self.value_wire_j,
        }
    }

    /// Energy of the clock if no unit were ever switched off \[J\].
    pub fn ungated_clock_j(&self, result: &RunResult) -> f64 {
        result.cycles as f64 * self.units.iter().map(|unit| unit.clock_j).sum::<f64>()
    }
}

/// Cycles in which the clock of a unit runs.
fn working_cycles(result: &RunResult, name: &str) -> f64 {
    let active = match name {
        "controller" => return result.cycles as f64,
        "key_sram" | "key_slots" | "query_buffer" => "qk_array",
        "value_sram" | "value_slots" => "pv_array",
        name => name,
    };
    units(result, active).map(|unit| unit.busy_cycles).sum::<u64>() as f64
}

#[cfg(test)]
mod tests {
    use attelier_hw::technology::{Cells, Node, Sram, Unit};

    use super::*;
    use crate::energy::tests::{close, machine, result};

    fn hardware() -> Hardware {
        let memory = Sram { words: 64, bits: 64, ports: 1 };
        let unit = |name, memories| Unit {
            name,
            cells: Cells { and: 100, flip_flop: 50, ..Cells::default() },
            memories,
        };
        let units = ["controller", "key_sram", "qk_array", "value_sram", "pv_array"];
        let memories = |name: &str| if name.ends_with("sram") { vec![(memory, 3)] } else { vec![] };
        let units = units.into_iter().map(|name| unit(name, memories(name))).collect();
        Hardware { node: Node::N45, units }
    }

    /// The run of the other tests: 10,000 cycles of 1 ns, 100 beats of 6,144 bits of keys, 30 of values. A unit
    /// has a clock of 50 flip-flops; controller 10,000 cycles, two units 100 and two 30.
    #[test]
    fn terms_are_what_a_hand_calculation_gives() {
        let (hardware, result) = (hardware(), result());
        let terms = Standing::of(&hardware).joules(&machine(), &result);
        let cells = Cells { and: 100, flip_flop: 50, ..Cells::default() };
        close(terms[0], 10_260.0 * cells.clock_j(Node::N45));
        close(terms[1], 10_260.0 * cells.register_j(Node::N45));
        close(terms[3], 1e-5 * 5.0 * cells.leakage_w(Node::N45));
        let memory = Sram { words: 64, bits: 64, ports: 1 };
        close(terms[4], 1e-5 * 6.0 * memory.leakage_w(Node::N45));
        let (logic, arrays) = (cells.area_um2(Node::N45), 3.0 * memory.area_um2(Node::N45));
        let near = (2.0 * logic + arrays).sqrt();
        let far = (5.0 * logic + 2.0 * arrays).sqrt() / 2.0;
        let expected =
            (614_400.0 + 184_320.0) * wire_j_per_bit(near) + 320_000.0 * wire_j_per_bit(far);
        close(terms[2], expected);
        let wires = Standing::of(&hardware).wires(&machine(), &result);
        close(wires.pins, 320_000.0 * wire_j_per_bit(far));
        close(wires.keys, 614_400.0 * wire_j_per_bit(near));
        close(wires.values, 184_320.0 * wire_j_per_bit(near));
    }

    #[test]
    fn parts_of_units_add_up_and_a_clock_that_never_stops_costs_most() {
        let (standing, result) = (Standing::of(&hardware()), result());
        let all = standing.of_units(&result, |_| true);
        let one = standing.of_units(&result, |name| name == "qk_array");
        let others = standing.of_units(&result, |name| name != "qk_array");
        for at in 0..TERMS.len() {
            assert!((one[at] + others[at] - all[at]).abs() <= 1e-12 * all[at], "{}", TERMS[at]);
        }
        let cells = Cells { and: 100, flip_flop: 50, ..Cells::default() };
        close(standing.ungated_clock_j(&result), 50_000.0 * cells.clock_j(Node::N45));
    }
}
