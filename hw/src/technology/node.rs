//! Process nodes: how area and energy shrink from 45 nm.
//!
//! Reference: A. Stillmaker and B. Baas, Scaling equations for the accurate prediction of CMOS device performance
//! from 180 nm to 7 nm, Integration 58 (2017) 74-81. Its tables hold 45, 32, 20 and 16 nm; 40 and 28 nm are straight
//! lines between their neighbours. Coefficients were read in public code that reproduces them (accelergy's
//! library plug-in) and checked against the worked example of the authors' correction.

use serde::{Deserialize, Serialize};

use super::SUPPLY_V;

/// A process node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Node {
    /// 45 nm, that of the tables.
    #[serde(rename = "45nm")]
    N45,
    /// 40 nm.
    #[serde(rename = "40nm")]
    N40,
    /// 28 nm.
    #[serde(rename = "28nm")]
    N28,
    /// 16 nm, FinFET.
    #[serde(rename = "16nm")]
    N16,
}

/// A node of the paper: feature size \[nm\], area over that of 45 nm, and the coefficients of energy over
/// V^2, V and 1.
struct Tabulated {
    nm: f64,
    area: f64,
    energy: [f64; 3],
}

const N45: Tabulated = Tabulated { nm: 45.0, area: 1.0, energy: [1.103, -0.362, 0.2767] };
const N32: Tabulated = Tabulated { nm: 32.0, area: 0.46, energy: [0.9559, -0.7823, 0.471] };
const N20: Tabulated = Tabulated { nm: 20.0, area: 0.21, energy: [0.373, -0.1582, 0.04104] };
const N16: Tabulated = Tabulated { nm: 16.0, area: 0.19, energy: [0.2958, -0.1241, 0.03024] };

impl Tabulated {
    /// Energy of the paper's circuit at a supply of `volts`, in units of the paper.
    fn energy_at(&self, volts: f64) -> f64 {
        let [square, linear, constant] = self.energy;
        square * volts * volts + linear * volts + constant
    }

    /// The same at the supply of the tables.
    fn energy(&self) -> f64 {
        self.energy_at(SUPPLY_V)
    }
}

impl Node {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::N45, Self::N40, Self::N28, Self::N16];

    /// Names that a user may give.
    pub const NAMES: &[&str] = &["45nm", "40nm", "28nm", "16nm"];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::N45 => "45nm",
            Self::N40 => "40nm",
            Self::N28 => "28nm",
            Self::N16 => "16nm",
        }
    }

    /// The same quantity of two tabulated nodes, on the line between them.
    fn between(self, of: impl Fn(&Tabulated) -> f64) -> f64 {
        let line = |nm: f64, from: &Tabulated, to: &Tabulated| {
            of(from) + (of(to) - of(from)) * (from.nm - nm) / (from.nm - to.nm)
        };
        match self {
            Self::N45 => of(&N45),
            Self::N40 => line(40.0, &N45, &N32),
            Self::N28 => line(28.0, &N32, &N20),
            Self::N16 => of(&N16),
        }
    }

    /// Area over that at 45 nm.
    pub fn area(self) -> f64 {
        self.between(|node| node.area)
    }

    /// Energy of logic and SRAM over that at 45 nm, both at [`SUPPLY_V`].
    pub fn energy(self) -> f64 {
        self.between(Tabulated::energy) / N45.energy()
    }

    /// Leakage of a cell over that at 45 nm. Assumed: as [`Node::energy`], the rule of accelergy's library
    /// plug-in; the paper has no leakage, and at these nodes it depends on the threshold more than on the size.
    pub fn leakage(self) -> f64 {
        self.energy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The authors' corrected example: 1.3 V at 65 nm, coefficients 3.755, -4.398 and 1.975, is 2.604.
    #[test]
    fn energies_are_evaluated_as_in_the_worked_example() {
        let example = Tabulated { nm: 65.0, area: 1.0, energy: [3.755, -4.398, 1.975] };
        assert!((example.energy_at(1.3) - 2.604).abs() < 1e-3, "{}", example.energy_at(1.3));
        // By hand at 0.9 V: 0.89343 - 0.3258 + 0.2767.
        assert!((N45.energy() - 0.84433).abs() < 1e-9);
    }

    /// Ideal shrink is the square of the feature size: 0.79 and 0.39. A FinFET node shrinks less.
    #[test]
    fn areas_lie_near_the_square_of_the_feature_size() {
        assert!((Node::N40.area() / (40.0f64 / 45.0).powi(2) - 1.0).abs() < 0.01);
        assert!((Node::N28.area() / (28.0f64 / 45.0).powi(2) - 1.0).abs() < 0.04);
        assert!((Node::N16.area() - 0.19).abs() < 1e-12);
    }

    /// By hand: 32 nm is 0.54119, 20 nm 0.20079, 16 nm 0.15815 in units of the paper.
    #[test]
    fn energies_between_two_nodes_lie_on_the_line() {
        assert_eq!(Node::N45.energy(), 1.0);
        assert!((Node::N40.energy() - (0.84433 - 0.30314 * 5.0 / 13.0) / 0.84433).abs() < 1e-4);
        assert!((Node::N28.energy() - (0.54119 - 0.34040 / 3.0) / 0.84433).abs() < 1e-4);
        assert!((Node::N16.energy() - 0.15815 / 0.84433).abs() < 1e-4);
    }

    #[test]
    fn every_node_has_the_name_that_a_user_gives() {
        assert_eq!(Node::ALL.map(Node::name).as_slice(), Node::NAMES);
    }
}
