//! Standard cells at 45 nm: area, leakage, and the energy of flip-flops and wires.
//!
//! The library is the open 45 nm library of Nangate, typical corner, 1.1 V and 25 C, as OpenSTA ships it
//! (`nangate45_typ.lib`); wires are those that OpenROAD-flow-scripts extracts for it (`setRC.tcl`). Energies and
//! leakages are carried to [`SUPPLY_V`]: energy with the square of the supply, leakage with the supply.
//!
//! Ignored: placement (areas are those of cells, as a synthesis reports them), buffers, larger drive strengths.

use super::{Constant, Node, SUPPLY_V, row};

const NANGATE: &str = "Nangate 45 nm open cell library, typical, 1.1 V, 25 C";
const WIRES: &str = "OpenROAD-flow-scripts, nangate45, setRC.tcl";
/// Supply of the library \[V\].
const LIBRARY_V: f64 = 1.1;

/// Area and leakage of one kind of cell.
struct Cell {
    /// Area \[um2\].
    area: Constant,
    /// Leakage at the supply of the library \[nW\].
    leakage: Constant,
}

const fn cell(area: Constant, leakage: Constant) -> Cell {
    Cell { area, leakage }
}

macro_rules! cells {
    ($($(#[$doc:meta])* $name:ident, $field:ident, $cell:literal: $area:literal um2, $leakage:literal nW;)*) => {
        $(const $name: Cell = cell(
            row(concat!("area of ", $cell), $area, "um2", NANGATE),
            row(concat!("leakage of ", $cell), $leakage, "nW", NANGATE),
        );)*

        /// How many standard cells of each kind a piece of logic has.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Cells {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl Cells {
            /// Kinds with their count.
            fn counted(&self) -> impl Iterator<Item = (u64, &'static Cell)> {
                [$((self.$field, &$name)),*].into_iter()
            }

            /// The same several times.
            #[must_use]
            pub fn times(self, n: u64) -> Self {
                Self { $($field: self.$field.saturating_mul(n)),* }
            }
        }

        impl std::ops::AddAssign for Cells {
            fn add_assign(&mut self, other: Self) {
                $(self.$field = self.$field.saturating_add(other.$field);)*
            }
        }

        /// Every constant, for listings.
        pub(super) const CONSTANTS: &[Constant] = &[
            $($name.area, $name.leakage,)*
            FLIP_FLOP_CLOCK, FLIP_FLOP_CLOCK_PIN, FLIP_FLOP_TOGGLE, REGISTER_ACTIVITY, CLOCK_WIRE, SIGNAL_WIRE,
            WIRE_ACTIVITY,
        ];
    };
}

cells! {
    /// Inverters.
    INVERTER, inverter, "INV_X1": 0.532 um2, 14.353185 nW;
    /// Conjunctions and disjunctions of two.
    AND, and, "AND2_X1": 1.064 um2, 25.066064 nW;
    /// Exclusive ors of two.
    XOR, xor, "XOR2_X1": 1.596 um2, 36.163718 nW;
    /// Multiplexers of two.
    MUX, mux, "MUX2_X1": 1.862 um2, 35.92839 nW;
    /// Half adders.
    HALF_ADDER, half_adder, "HA_X1": 2.66 um2, 61.229735 nW;
    /// Full adders.
    FULL_ADDER, full_adder, "FA_X1": 4.256 um2, 75.762253 nW;
    /// Flip-flops, clocked with the unit.
    FLIP_FLOP, flip_flop, "DFF_X1": 4.522 um2, 79.112308 nW;
    /// Latches, which hold words of small memories.
    LATCH, latch, "DLH_X1": 2.66 um2, 40.86324 nW;
    /// Clock gates.
    CLOCK_GATE, clock_gate, "CLKGATE_X1": 3.458 um2, 48.64726 nW;
}

/// Energy inside a flip-flop in a cycle in which its value stays.
pub const FLIP_FLOP_CLOCK: Constant = row(
    "DFF_X1 clocked, value kept",
    6.92,
    "fJ at 1.1 V",
    "Nangate 45 nm open cell library, pin CK, fastest slope: 2.44 + 4.50 fJ at 0, 2.63 + 4.27 fJ at 1",
);
/// Capacitance of its clock pin.
pub const FLIP_FLOP_CLOCK_PIN: Constant = row("DFF_X1 clock pin", 0.949653, "fF", NANGATE);
/// What a flip-flop takes more when its value changes.
pub const FLIP_FLOP_TOGGLE: Constant = row(
    "DFF_X1 changed",
    12.0,
    "fJ at 1.1 V",
    "Nangate 45 nm open cell library, fastest slope, least load: both outputs 8.71 fJ up, 7.95 fJ down, and \
     3.7 fJ at pin D",
);
/// Share of the bits of a working unit's registers that change in a cycle.
pub const REGISTER_ACTIVITY: Constant = row(
    "register activity",
    0.5,
    "1",
    "assumed: of two independent words, half of the bits differ",
);
/// Capacitance of a clock wire.
pub const CLOCK_WIRE: Constant = row("clock wire, metal 5", 0.109256, "fF/um", WIRES);
/// Capacitance of a signal wire.
pub const SIGNAL_WIRE: Constant = row("signal wire, metal 3", 0.103981, "fF/um", WIRES);
/// Share of the wires of a bus that change from one word to the next.
pub const WIRE_ACTIVITY: Constant =
    row("wire activity", 0.5, "1", "assumed: of two independent words, half of the bits differ");

/// From the supply of the library to that of all energies here.
const TO_SUPPLY: f64 = (SUPPLY_V / LIBRARY_V) * (SUPPLY_V / LIBRARY_V);

impl Cells {
    /// Area of all cells \[um2\].
    pub fn area_um2(&self, node: Node) -> f64 {
        node.area() * self.counted().map(|(n, cell)| n as f64 * cell.area.value).sum::<f64>()
    }

    /// Area of what holds state \[um2\].
    pub fn register_um2(&self, node: Node) -> f64 {
        let &Self { flip_flop, latch, clock_gate, .. } = self;
        Self { flip_flop, latch, clock_gate, ..Self::default() }.area_um2(node)
    }

    /// Leakage of all cells \[W\].
    pub fn leakage_w(&self, node: Node) -> f64 {
        let nanowatts = self.counted().map(|(n, cell)| n as f64 * cell.leakage.value).sum::<f64>();
        nanowatts * 1e-9 * (SUPPLY_V / LIBRARY_V) * node.leakage()
    }

    /// Energy of one clock cycle of all flip-flops \[J\]: inside them, at their pins, and of a tree of wires
    /// that reaches them.
    ///
    /// Through `n` points in an area `A` a tree has a length of about the square root of `n A`. Buffers of the
    /// tree are not counted.
    pub fn clock_j(&self, node: Node) -> f64 {
        let n = self.flip_flop as f64;
        let inside = n * FLIP_FLOP_CLOCK.value * TO_SUPPLY * node.energy();
        let pins = n * FLIP_FLOP_CLOCK_PIN.value * SUPPLY_V * SUPPLY_V * node.energy();
        let tree = (n * self.area_um2(node)).sqrt() * CLOCK_WIRE.value * SUPPLY_V * SUPPLY_V;
        (inside + pins + tree) * 1e-15
    }

    /// Energy of one cycle in which all registers take new words, beyond that of the clock \[J\].
    pub fn register_j(&self, node: Node) -> f64 {
        let changed = self.flip_flop as f64 * REGISTER_ACTIVITY.value;
        changed * FLIP_FLOP_TOGGLE.value * TO_SUPPLY * node.energy() * 1e-15
    }
}

/// Energy of one bit over a wire of that length \[J\]: half of `C V^2` where it changes.
pub fn wire_j_per_bit(length_um: f64) -> f64 {
    WIRE_ACTIVITY.value * 0.5 * SIGNAL_WIRE.value * length_um * SUPPLY_V * SUPPLY_V * 1e-15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(ours: f64, expected: f64) {
        assert!((ours - expected).abs() < 1e-9 * expected.abs(), "{ours} {expected}");
    }

    #[test]
    fn areas_and_leakages_add_up_by_hand() {
        let cells = Cells { and: 10, flip_flop: 2, ..Cells::default() };
        close(cells.area_um2(Node::N45), 10.64 + 9.044);
        close(cells.register_um2(Node::N45), 9.044);
        close(cells.leakage_w(Node::N45), (250.66064 + 158.224616) * 1e-9 * 0.9 / 1.1);
        close(cells.times(3).area_um2(Node::N16), 3.0 * 0.19 * (10.64 + 9.044));
    }

    /// Four flip-flops of 18.088 um2: 4 x 6.92 fJ and 4 x 0.949653 fF, and sqrt(4 x 18.088) um of wire.
    #[test]
    fn a_clock_cycle_costs_what_a_hand_calculation_gives() {
        let cells = Cells { flip_flop: 4, ..Cells::default() };
        let wire = 72.352f64.sqrt() * 0.109256 * 0.81;
        close(
            cells.clock_j(Node::N45) * 1e15,
            4.0 * 6.92 * 0.81 / 1.21 + 4.0 * 0.949653 * 0.81 + wire,
        );
        close(cells.register_j(Node::N45) * 1e15, 2.0 * 12.0 * 0.81 / 1.21);
    }

    /// The table of Horowitz (ISSCC 2014, as recalled) has 36 um2 for an adder of 8 bits and 282 um2 for a
    /// multiplier: full adders, and an array of conjunctions and full adders.
    #[test]
    fn adders_and_multipliers_of_cells_meet_the_printed_areas() {
        let adder = Cells { full_adder: 8, ..Cells::default() };
        let multiplier = Cells { and: 64, full_adder: 56, ..Cells::default() };
        assert!((adder.area_um2(Node::N45) / 36.0 - 1.0).abs() < 0.06);
        assert!((multiplier.area_um2(Node::N45) / 282.0 - 1.0).abs() < 0.1);
    }

    /// A3, Table I: the five modules of logic leak 6.615 mW on 0.463 mm2 of 40 nm.
    #[test]
    fn leakage_per_area_is_that_of_published_modules_within_a_half() {
        let cells =
            Cells { and: 1000, xor: 100, full_adder: 200, flip_flop: 300, ..Cells::default() };
        let density = cells.leakage_w(Node::N40) * 1e3 / (cells.area_um2(Node::N40) * 1e-6);
        assert!((density / (6.615 / 0.463)).ln().abs() < 1.5f64.ln(), "{density} mW/mm2");
    }

    /// Keckler et al., IEEE Micro 2011, have 240 fJ per bit and mm at 40 nm for a wire with repeaters; a bare
    /// one takes less, a fourth at least.
    #[test]
    fn a_millimetre_costs_tens_of_femtojoules() {
        close(wire_j_per_bit(1000.0) * 1e15, 0.25 * 103.981 * 0.81);
    }
}
