//! Synthesis by Yosys for UltraScale+, as a second opinion on [`crate::estimate`].

use std::{collections::BTreeMap, fmt::Write as _, process::Command};

use crate::{
    Design,
    ir::MemoryStyle,
    witness::{ToolError, run, write_sources},
};

/// What a design takes on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cells {
    /// Look-up tables for logic, inverters among them.
    pub lut: u64,
    /// Look-up tables used as memory or shift register.
    pub lutram: u64,
    /// Multiplexers behind look-up tables (MUXF7, MUXF8), which cost none.
    pub wide_mux: u64,
    /// Carry cells of four bits.
    pub carry4: u64,
    /// Flip-flops.
    pub ff: u64,
    /// DSP48E2.
    pub dsp: u64,
    /// Block RAM in halves of a RAMB36.
    pub ramb18: u64,
    /// URAM288.
    pub uram: u64,
}

/// Synthesises a module of a design with everything below it, flattened, without pads.
///
/// # Errors
/// Yosys is missing, refuses the Verilog, or prints no statistics.
pub fn synthesise(design: &Design, top: &str) -> Result<Cells, ToolError> {
    design.module(top)?;
    let folder = tempfile::Builder::new().prefix("attelier-yosys-").tempdir()?;
    let mut script = String::new();
    for file in write_sources(design, folder.path())? {
        let _ = write!(script, "read_verilog {file}; ");
    }
    // Without being asked for, UltraRAM is not used; if it is, memories that say nothing may get it too.
    let uses_uram = design
        .modules()
        .any(|module| module.memories().iter().any(|memory| memory.style == MemoryStyle::Ultra));
    let uram = if uses_uram { " -uram" } else { "" };
    let _ = write!(
        script,
        "synth_xilinx -family xcup -noiopad -noclkbuf{uram} -top {top} -flatten; stat -top {top}"
    );
    let mut yosys = Command::new("yosys");
    yosys.current_dir(folder.path()).args(["-Q", "-T", "-p", &script]);
    let text = run("yosys", &mut yosys, |_| Ok(()))?;
    let statistics = text.rsplit_once("Number of cells:").map(|(_, tail)| tail);
    let statistics = statistics.ok_or_else(|| ToolError::Answer {
        program: "yosys",
        line: text.lines().last().unwrap_or_default().to_owned(),
    })?;
    Ok(Cells::read(statistics))
}

/// Version of the Yosys that is installed: tables differ by a fifth between versions.
///
/// # Errors
/// Yosys is missing.
pub fn yosys_version() -> Result<String, ToolError> {
    let text = run("yosys", Command::new("yosys").arg("-V"), |_| Ok(()))?;
    Ok(text.split(" (").next().unwrap_or(&text).trim().to_owned())
}

impl Cells {
    /// Reads lines of a cell type and a count.
    fn read(statistics: &str) -> Self {
        let mut cells = BTreeMap::new();
        for line in statistics.lines() {
            if let [cell, count] = line.split_whitespace().collect::<Vec<_>>()[..]
                && let Ok(count) = count.parse::<u64>()
            {
                cells.insert(cell, count);
            }
        }
        let sum = |prefixes: &[&str]| -> u64 {
            let named = |cell: &str| prefixes.iter().any(|prefix| cell.starts_with(prefix));
            cells.iter().filter(|(cell, _)| named(cell)).map(|(_, count)| count).sum()
        };
        Self {
            lut: sum(&["LUT", "INV"]),
            // A 16-output memory cell fills a slice of eight tables.
            lutram: 8 * sum(&["RAM32M16", "RAM64M8"])
                + sum(&["SRL", "RAM32X1", "RAM64X1"])
                + 2 * sum(&["RAM128X1"])
                + 4 * sum(&["RAM256X1"])
                + 8 * sum(&["RAM512X1"]),
            wide_mux: sum(&["MUXF"]),
            carry4: sum(&["CARRY4"]),
            ff: sum(&["FD"]),
            dsp: sum(&["DSP48"]),
            ramb18: sum(&["RAMB18"]) + 2 * sum(&["RAMB36"]),
            uram: sum(&["URAM288"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_read_by_kind() {
        let text = "  12\n   CARRY4 3\n  FDRE 20\n FDSE 1\n INV 2\n LUT2 5\n LUT6 7\n MUXF7 4\n \
                    RAMB18E2 1\n RAMB36E2 2\n RAM32M16 3\n DSP48E2 9\n URAM288 1\n SRL16E 6\n";
        let expected = Cells {
            lut: 14,
            lutram: 30,
            wide_mux: 4,
            carry4: 3,
            ff: 21,
            dsp: 9,
            ramb18: 5,
            uram: 1,
        };
        assert_eq!(Cells::read(text), expected);
    }
}
