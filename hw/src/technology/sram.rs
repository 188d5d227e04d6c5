//! Memories at 45 nm: energy of an access by capacity; area and leakage by words, bits and ports.
//!
//! Energy per bit grows with the capacity from one printed point (Horowitz, ISSCC 2014). Area and leakage are
//! straight fits to 22 memories with one port that CACTI made for the 45 nm platform of OpenROAD-flow-scripts
//! (`fakeram45_*.lib`, 32 to 2048 words of 8 to 256 bits, transistors `itrs-hp`, 300 K): least squares of the
//! relative error, none left out.
//!
//! | quantity | fit | mean error | worst |
//! |---|---|---|---|
//! | area \[um2\] | 0.5522 words bits + 0.2480 bits^2 | 12 % | -30 %, 64 x 64 |
//! | leakage \[nW\] | 27.75 words bits + 636.3 bits | 16 % | +42 %, 64 x 96 |
//!
//! The square of the width is the routing of a word to the side of the memory. Transistors of that kind leak
//! more than those of a compiled memory: A3 prints 0.987 mW for 20 KB at 40 nm, the fit gives four times as much.

use super::{Constant, HOROWITZ, Node, arithmetic::multiply_pj, row};

const CACTI: &str = "fit to 22 memories of CACTI at 45 nm, OpenROAD-flow-scripts, nangate45";

/// Read of 64 bits from 8 KB; the anchor of [`sram_read_pj_per_bit`].
pub const SRAM_READ_64_BIT_8_KB: Constant = row("SRAM read 64 bit, 8 KB", 10.0, "pJ", HOROWITZ);
/// Growth of SRAM read energy with capacity.
pub const SRAM_CAPACITY_EXPONENT: Constant = row(
    "SRAM capacity exponent",
    0.55,
    "1",
    "assumed: CACTI points cached by zigzag grow with exponents 0.5 to 0.65 above 4 KB; the table \
     of Horowitz (8, 32, 1024 KB) with 0.5 and 0.46",
);
/// SRAM write energy over read energy.
pub const SRAM_WRITE_OVER_READ: Constant = row(
    "SRAM write over read",
    1.0,
    "1",
    "assumed: CACTI points cached by zigzag give 1.3 at 256 KB and 0.97 to 1.0 from 512 KB up",
);
/// Second SRAM rule, smaller end: energy per 16 bits at 0.5 KB, in multiplications of 16 bits.
pub const SRAM_LINEAR_HALF_KB: Constant = row(
    "SRAM linear rule, 0.5 KB",
    1.0,
    "16-bit multiplies per 16 bit",
    "timeloop, built-in table derived from Eyeriss",
);
/// Second SRAM rule, larger end: energy per 16 bits at 100 KB, in multiplications of 16 bits.
pub const SRAM_LINEAR_100_KB: Constant = row(
    "SRAM linear rule, 100 KB",
    6.0,
    "16-bit multiplies per 16 bit",
    "timeloop, built-in table derived from Eyeriss",
);
/// Area of a bit.
pub const SRAM_BIT_AREA: Constant = row("SRAM area of a bit", 0.552_204, "um2", CACTI);
/// Area of the wires of a word, over the square of its width.
pub const SRAM_WIDTH_AREA: Constant = row("SRAM area of a word", 0.247_983, "um2/bit2", CACTI);
/// Leakage of a bit.
pub const SRAM_BIT_LEAKAGE: Constant = row("SRAM leakage of a bit", 27.750_2, "nW", CACTI);
/// Leakage of the circuits of a column.
pub const SRAM_COLUMN_LEAKAGE: Constant = row("SRAM leakage of a column", 636.346, "nW", CACTI);
/// Area of a port beyond the first, over the area with one.
pub const SRAM_PORT_AREA: Constant = row(
    "SRAM area of a further port",
    1.0,
    "1",
    "assumed: a further word line and pair of bit lines make a cell about twice as large, and every port has a \
     decoder and columns of its own",
);
/// Leakage of a port beyond the first, over the leakage with one.
pub const SRAM_PORT_LEAKAGE: Constant = row(
    "SRAM leakage of a further port",
    1.0 / 3.0,
    "1",
    "assumed: two transistors more in a cell of six",
);

/// Every constant, for listings.
pub(super) const CONSTANTS: &[Constant] = &[
    SRAM_READ_64_BIT_8_KB,
    SRAM_CAPACITY_EXPONENT,
    SRAM_WRITE_OVER_READ,
    SRAM_LINEAR_HALF_KB,
    SRAM_LINEAR_100_KB,
    SRAM_BIT_AREA,
    SRAM_WIDTH_AREA,
    SRAM_BIT_LEAKAGE,
    SRAM_COLUMN_LEAKAGE,
    SRAM_PORT_AREA,
    SRAM_PORT_LEAKAGE,
];

/// Most words of one array; a larger memory is several. The largest point of the fit.
const MOST_WORDS: u64 = 2048;
/// Most bits of one array.
const MOST_BITS: u64 = 256;

/// A memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sram {
    /// Words.
    pub words: u64,
    /// Width of a word \[bits\].
    pub bits: u64,
    /// Ports, each of which reads or writes one word per cycle; at least one.
    pub ports: u64,
}

impl Sram {
    /// Bits that it holds.
    pub fn capacity_bits(&self) -> u64 {
        self.words.saturating_mul(self.bits)
    }

    /// Area \[um2\].
    pub fn area_um2(&self, node: Node) -> f64 {
        let array = |words: f64, bits: f64| {
            SRAM_BIT_AREA.value * words * bits + SRAM_WIDTH_AREA.value * bits * bits
        };
        let ports = 1.0 + SRAM_PORT_AREA.value * self.further_ports();
        node.area() * ports * self.of_arrays(array)
    }

    /// Leakage \[W\].
    pub fn leakage_w(&self, node: Node) -> f64 {
        let array = |words: f64, bits: f64| {
            SRAM_BIT_LEAKAGE.value * words * bits + SRAM_COLUMN_LEAKAGE.value * bits
        };
        let ports = 1.0 + SRAM_PORT_LEAKAGE.value * self.further_ports();
        node.leakage() * ports * self.of_arrays(array) * 1e-9
    }

    fn further_ports(&self) -> f64 {
        self.ports.saturating_sub(1) as f64
    }

    /// The sum over the equal arrays that the memory consists of, each within the points of the fits.
    fn of_arrays(&self, one: impl Fn(f64, f64) -> f64) -> f64 {
        let rows = self.words.div_ceil(MOST_WORDS).max(1) as f64;
        let columns = self.bits.div_ceil(MOST_BITS).max(1) as f64;
        rows * columns * one(self.words as f64 / rows, self.bits as f64 / columns)
    }
}

/// Read of one bit from an SRAM of `capacity_bytes` \[pJ/bit\]:
/// `E0 / w0 x (C / C0)^0.55` with `E0` = 10 pJ for `w0` = 64 bits at `C0` = 8 KB.
///
/// [`sram_read_pj_per_bit_linear`] is an independent rule; the distance between the two is the
/// uncertainty of this term, about a factor of two at 100 KB.
pub fn sram_read_pj_per_bit(capacity_bytes: u64) -> f64 {
    let ratio = capacity_bytes as f64 / 8192.0;
    SRAM_READ_64_BIT_8_KB.value / 64.0 * ratio.powf(SRAM_CAPACITY_EXPONENT.value)
}

/// Write of one bit into an SRAM of `capacity_bytes` \[pJ/bit\].
pub fn sram_write_pj_per_bit(capacity_bytes: u64) -> f64 {
    sram_read_pj_per_bit(capacity_bytes) * SRAM_WRITE_OVER_READ.value
}

/// Read of one bit by Timeloop's rule \[pJ/bit\]: linear in capacity through its points at 0.5 KB
/// and 100 KB, counted in 16-bit multiplications of [`multiply_pj`]. A cross-check, not the model.
pub fn sram_read_pj_per_bit_linear(capacity_bytes: u64) -> f64 {
    let kilobytes = capacity_bytes as f64 / 1024.0;
    let slope = (SRAM_LINEAR_100_KB.value - SRAM_LINEAR_HALF_KB.value) / (100.0 - 0.5);
    let multiplies = SRAM_LINEAR_HALF_KB.value + (kilobytes - 0.5) * slope;
    multiplies * multiply_pj(16) / 16.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words, bits in whole bytes, area \[um2\] and leakage \[nW\] of the memories of CACTI.
    const POINTS: [(u64, u64, f64, f64); 22] = [
        (1024, 32, 16_406.082, 797_666.0),
        (128, 120, 9_280.208, 527_792.0),
        (128, 256, 33_990.259, 1_023_890.0),
        (128, 32, 3_295.740, 173_516.0),
        (128, 64, 5_479.600, 303_495.0),
        (2048, 40, 45_478.818, 1_876_600.0),
        (256, 16, 3_155.026, 169_783.0),
        (256, 32, 5_065.704, 289_841.0),
        (256, 40, 6_476.036, 338_924.0),
        (256, 48, 7_775.712, 388_152.0),
        (256, 96, 13_701.660, 697_753.0),
        (32, 32, 794.542, 45_733.0),
        (32, 64, 2_285.320, 78_524.9),
        (512, 64, 17_301.438, 823_237.0),
        (64, 128, 8_792.934, 337_765.0),
        (64, 16, 659.148, 58_926.6),
        (64, 24, 949.354, 72_554.6),
        (64, 32, 1_240.624, 81_627.2),
        (64, 256, 33_990.259, 692_663.0),
        (64, 64, 4_712.950, 187_170.0),
        (64, 8, 387.296, 26_746.0),
        (64, 96, 4_874.982, 163_620.0),
    ];

    type Shape = fn(f64, f64) -> f64;

    /// Least squares of the relative error of `a x + b y`.
    fn fit(x: Shape, y: Shape, of: impl Fn(&(u64, u64, f64, f64)) -> f64) -> [f64; 2] {
        let [mut xx, mut xy, mut yy, mut sx, mut sy] = [0.0; 5];
        for point in &POINTS {
            let (words, bits, value) = (point.0 as f64, point.1 as f64, of(point));
            let (x, y) = (x(words, bits) / value, y(words, bits) / value);
            xx += x * x;
            xy += x * y;
            yy += y * y;
            sx += x;
            sy += y;
        }
        let determinant = xx * yy - xy * xy;
        [(sx * yy - sy * xy) / determinant, (sy * xx - sx * xy) / determinant]
    }

    /// Mean and largest relative error.
    fn errors(of: impl Fn(&(u64, u64, f64, f64)) -> f64) -> (f64, f64) {
        let errors = POINTS.map(|point| of(&point).abs());
        (errors.iter().sum::<f64>() / errors.len() as f64, errors.into_iter().fold(0.0, f64::max))
    }

    fn one_port(point: &(u64, u64, f64, f64)) -> Sram {
        Sram { words: point.0, bits: point.1, ports: 1 }
    }

    #[test]
    fn areas_are_the_fit_to_the_published_memories() {
        let fitted = fit(|words, bits| words * bits, |_, bits| bits * bits, |point| point.2);
        assert!((fitted[0] / SRAM_BIT_AREA.value - 1.0).abs() < 1e-5, "{fitted:?}");
        assert!((fitted[1] / SRAM_WIDTH_AREA.value - 1.0).abs() < 1e-5, "{fitted:?}");
        let (mean, worst) = errors(|point| one_port(point).area_um2(Node::N45) / point.2 - 1.0);
        assert!((0.10..0.13).contains(&mean) && (0.28..0.31).contains(&worst), "{mean} {worst}");
    }

    #[test]
    fn leakages_are_the_fit_to_the_published_memories() {
        let fitted = fit(|words, bits| words * bits, |_, bits| bits, |point| point.3);
        assert!((fitted[0] / SRAM_BIT_LEAKAGE.value - 1.0).abs() < 1e-5, "{fitted:?}");
        assert!((fitted[1] / SRAM_COLUMN_LEAKAGE.value - 1.0).abs() < 1e-5, "{fitted:?}");
        let (mean, worst) =
            errors(|point| one_port(point).leakage_w(Node::N45) * 1e9 / point.3 - 1.0);
        assert!((0.14..0.17).contains(&mean) && (0.40..0.43).contains(&worst), "{mean} {worst}");
    }

    /// A3, Table I, prints 0.350 mm2 and 0.987 mW for a memory of 320 lines of 512 bits at 40 nm: with a port
    /// to write and one to read, the fit is a good half of the area, and leaks six times as much.
    #[test]
    fn a_compiled_memory_is_larger_and_leaks_less() {
        let memory = Sram { words: 320, bits: 512, ports: 2 };
        let area = memory.area_um2(Node::N40) * 1e-6 / 0.350;
        assert!((0.5..0.6).contains(&area), "{area}");
        let leakage = memory.leakage_w(Node::N40) * 1e3 / 0.987;
        assert!((5.0..6.5).contains(&leakage), "{leakage}");
    }

    #[test]
    fn a_large_memory_is_several_arrays_and_a_further_port_doubles_it() {
        let one = Sram { words: 2048, bits: 256, ports: 1 };
        let four = Sram { words: 4096, bits: 512, ports: 1 };
        close(four.area_um2(Node::N45), 4.0 * one.area_um2(Node::N45));
        let two_ports = Sram { ports: 2, ..one };
        close(two_ports.area_um2(Node::N45), 2.0 * one.area_um2(Node::N45));
        close(two_ports.leakage_w(Node::N45), 4.0 / 3.0 * one.leakage_w(Node::N45));
    }

    #[track_caller]
    fn close(ours: f64, expected: f64) {
        assert!((ours - expected).abs() < 1e-9 * expected.abs().max(1.0), "{ours} {expected}");
    }

    #[test]
    fn an_sram_read_meets_its_anchor_and_grows_as_stated() {
        close(sram_read_pj_per_bit(8192), 10.0 / 64.0);
        close(sram_read_pj_per_bit(8192 * 24), 10.0 / 64.0 * 24f64.powf(0.55));
        close(sram_write_pj_per_bit(8192), sram_read_pj_per_bit(8192));
    }

    #[test]
    fn the_linear_rule_meets_its_two_points() {
        close(sram_read_pj_per_bit_linear(512), 0.05);
        close(sram_read_pj_per_bit_linear(102_400), 0.3);
    }

    #[test]
    fn the_two_sram_rules_differ_by_about_two_at_100_kb() {
        let spread = sram_read_pj_per_bit(102_400) / sram_read_pj_per_bit_linear(102_400);
        assert!((1.8..2.3).contains(&spread), "{spread}");
    }
}
