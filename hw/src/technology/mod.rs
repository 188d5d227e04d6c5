//! Energy, area and leakage of what machines are made of, from published tables.
//!
//! | module | subject |
//! |---|---|
//! | [`arithmetic`] | energy of additions, multiplications, comparisons |
//! | [`cells`] | area and leakage of standard cells; energy of flip-flops and wires |
//! | [`sram`] | energy, area and leakage of memories by size, width and ports |
//! | [`dram`] | energy of HBM2 |
//! | [`node`] | from 45 nm to 40, 28 and 16 nm |
//! | [`hardware`] | cells and memories of a unit, priced |
//!
//! Tables stand at 45 nm and 0.9 V; [`Node`] scales them. Nothing here is fitted to a result of a design. What
//! is not published is `assumed` and carries its reason.

pub mod arithmetic;
pub mod cells;
pub mod dram;
pub mod hardware;
pub mod node;
pub mod sram;

pub use self::{
    arithmetic::{FP32_ADD, FP32_MULTIPLY, add_pj, compare_pj, multiply_pj},
    cells::Cells,
    dram::{HBM2_ACTIVATE, HBM2_AVERAGE, hbm2_transfer_pj_per_bit},
    hardware::{Area, Hardware, Unit},
    node::Node,
    sram::{Sram, sram_read_pj_per_bit, sram_write_pj_per_bit},
};

/// One published or assumed number, with its source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constant {
    /// What it is.
    pub name: &'static str,
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Where it is printed, or `assumed:` and the reason.
    pub source: &'static str,
}

/// Supply of all energies and leakages here \[V\]: that of the arithmetic.
pub const SUPPLY_V: f64 = 0.9;

const HOROWITZ: &str = "Horowitz, ISSCC 2014, 45 nm at 0.9 V";

const fn row(name: &'static str, value: f64, unit: &'static str, source: &'static str) -> Constant {
    Constant { name, value, unit, source }
}

/// Every constant, for listings.
pub fn constants() -> impl Iterator<Item = &'static Constant> {
    [arithmetic::CONSTANTS, cells::CONSTANTS, sram::CONSTANTS, dram::CONSTANTS]
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_constant_has_a_source_and_a_name_of_its_own() {
        let mut names = std::collections::BTreeSet::new();
        for constant in constants() {
            assert!(constant.source.len() > 10, "{}", constant.name);
            assert!(constant.value > 0.0 && !constant.unit.is_empty(), "{}", constant.name);
            assert!(names.insert(constant.name), "{} stands twice", constant.name);
        }
        assert!(names.len() > 30);
    }
}
