//! Boards with an FPGA: what the device on each has (Zynq UltraScale+ MPSoC data sheet, AMD DS891).

use crate::diagnostic::quote;

/// A board.
#[derive(Debug, PartialEq, Eq)]
pub struct Board {
    /// Name on the command line.
    pub name: &'static str,
    /// Device on it.
    pub device: &'static str,
    /// What it has.
    pub resources: Resources,
}

/// Resources of a device, or what hardware takes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resources {
    /// Look-up tables, those used as memory among them.
    pub lut: u64,
    /// Flip-flops.
    pub ff: u64,
    /// DSP48E2.
    pub dsp: u64,
    /// Block RAM in halves of a RAMB36.
    pub ramb18: u64,
    /// URAM288.
    pub uram: u64,
}

/// Every board.
pub const BOARDS: &[Board] = &[
    Board {
        name: "zcu102",
        device: "XCZU9EG",
        resources: Resources { lut: 274_080, ff: 548_160, dsp: 2520, ramb18: 1824, uram: 0 },
    },
    Board {
        name: "zcu104",
        device: "XCZU7EV",
        resources: Resources { lut: 230_400, ff: 460_800, dsp: 1728, ramb18: 624, uram: 96 },
    },
];

impl Board {
    /// The board of that name.
    ///
    /// # Errors
    /// A sentence that names all boards.
    pub fn find(name: &str) -> Result<&'static Self, String> {
        BOARDS.iter().find(|board| board.name == name).ok_or_else(|| {
            let known: Vec<&str> = BOARDS.iter().map(|board| board.name).collect();
            format!("there is no board {}: expected one of {}", quote(name), known.join(", "))
        })
    }
}

impl Resources {
    /// Names and counts, in the order of lists.
    pub fn counts(&self) -> [(&'static str, u64); 5] {
        let Self { lut, ff, dsp, ramb18, uram } = *self;
        [("LUT", lut), ("FF", ff), ("DSP", dsp), ("RAMB18", ramb18), ("URAM", uram)]
    }

    /// These and `other` together.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            lut: self.lut.saturating_add(other.lut),
            ff: self.ff.saturating_add(other.ff),
            dsp: self.dsp.saturating_add(other.dsp),
            ramb18: self.ramb18.saturating_add(other.ramb18),
            uram: self.uram.saturating_add(other.uram),
        }
    }

    /// What is needed beyond these: name, needed, there.
    pub fn lacking(&self, needed: &Self) -> Vec<(&'static str, u64, u64)> {
        let pairs = self.counts().into_iter().zip(needed.counts());
        pairs
            .filter(|((_, there), (_, needed))| needed > there)
            .map(|((name, there), (_, needed))| (name, needed, there))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_named() {
        let board = Board::find("zcu104").unwrap();
        assert_eq!(board.resources.lacking(&board.resources), []);
        let needed = Resources { dsp: 2000, ramb18: 624, uram: 97, ..Resources::default() };
        assert_eq!(board.resources.lacking(&needed), [("DSP", 2000, 1728), ("URAM", 97, 96)]);
    }

    #[test]
    fn an_unknown_board_is_answered_with_all() {
        let text = Board::find("zcu106").unwrap_err();
        assert!(text.contains("zcu102, zcu104"), "{text}");
    }
}
