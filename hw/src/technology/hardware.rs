//! What units consist of, and what that takes: area, leakage, energy of a clock cycle.
//!
//! Counts come from generated hardware (`attelier_rtl::estimate::cells`); this prices them.

use super::{Cells, Node, Sram};

/// Cells and memories of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Name, the same in `hw`, `sim` and `rtl`.
    pub name: &'static str,
    /// Standard cells.
    pub cells: Cells,
    /// Memories and how many there are of each.
    pub memories: Vec<(Sram, u64)>,
}

/// Units of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardware {
    /// The process.
    pub node: Node,
    /// In the order of the data.
    pub units: Vec<Unit>,
}

/// Area by what takes it \[um2\].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Area {
    /// Cells without state.
    pub logic: f64,
    /// Flip-flops, latches and clock gates.
    pub registers: f64,
    /// Memories.
    pub memory: f64,
}

impl Area {
    /// The sum \[um2\].
    pub fn total(&self) -> f64 {
        self.logic + self.registers + self.memory
    }
}

impl std::ops::AddAssign for Area {
    fn add_assign(&mut self, other: Self) {
        self.logic += other.logic;
        self.registers += other.registers;
        self.memory += other.memory;
    }
}

impl Unit {
    /// Area \[um2\].
    pub fn area(&self, node: Node) -> Area {
        let registers = self.cells.register_um2(node);
        Area {
            logic: self.cells.area_um2(node) - registers,
            registers,
            memory: self.of_memories(|memory| memory.area_um2(node)),
        }
    }

    /// Leakage of the cells and of the memories \[W\].
    pub fn leakage_w(&self, node: Node) -> [f64; 2] {
        [self.cells.leakage_w(node), self.of_memories(|memory| memory.leakage_w(node))]
    }

    fn of_memories(&self, one: impl Fn(&Sram) -> f64) -> f64 {
        // The sum of nothing is -0.
        0.0 + self.memories.iter().map(|(memory, count)| *count as f64 * one(memory)).sum::<f64>()
    }
}

impl Hardware {
    /// A unit.
    pub fn unit(&self, name: &str) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.name == name)
    }

    /// Area of all units \[um2\].
    pub fn area(&self) -> Area {
        let mut area = Area::default();
        for unit in &self.units {
            area += unit.area(self.node);
        }
        area
    }

    /// Area of some units \[um2\]; 0 for names that do not exist.
    pub fn area_of(&self, names: &[&str]) -> f64 {
        let units = self.units.iter().filter(|unit| names.contains(&unit.name));
        units.map(|unit| unit.area(self.node).total()).sum()
    }

    /// Leakage of all cells and of all memories \[W\].
    pub fn leakage_w(&self) -> [f64; 2] {
        let mut sum = [0.0; 2];
        for unit in &self.units {
            let [cells, memories] = unit.leakage_w(self.node);
            sum[0] += cells;
            sum[1] += memories;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_and_leakages_of_units_add_up() {
        let sram = Sram { words: 64, bits: 8, ports: 1 };
        let unit = |name| Unit {
            name,
            cells: Cells { and: 5, flip_flop: 3, ..Cells::default() },
            memories: vec![(sram, 2)],
        };
        let hardware = Hardware { node: Node::N40, units: vec![unit("a"), unit("b")] };
        let one = unit("a").area(Node::N40);
        assert!((one.logic / Node::N40.area() - 5.0 * 1.064).abs() < 1e-9);
        assert!((one.registers / Node::N40.area() - 3.0 * 4.522).abs() < 1e-9);
        assert_eq!(one.memory, 2.0 * sram.area_um2(Node::N40));
        assert!((hardware.area().total() - 2.0 * one.total()).abs() < 1e-9);
        assert!((hardware.area_of(&["b"]) - one.total()).abs() < 1e-9);
        let [cells, memories] = hardware.leakage_w();
        assert_eq!([cells / 2.0, memories / 2.0], unit("a").leakage_w(Node::N40));
    }
}
