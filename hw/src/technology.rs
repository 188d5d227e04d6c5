//! Energy of one operation, from published tables.
//!
//! Logic and SRAM stand at 45 nm and 0.9 V. The designs of this crate are 40 nm; like the SpAtten
//! paper, which took 45 nm figures for its floating-point units, no scaling is applied, so the
//! numbers are an upper bound for 40 nm. DRAM energy is per bit of HBM2 and has no logic node.
//!
//! Nothing here is fitted to a result. What is not published carries its reason. Not modelled:
//! leakage, clock tree, wires between units.
//!
//! References: M. Horowitz, ISSCC 2014 (energy table); M. O'Connor et al., Fine-Grained DRAM, MICRO
//! 2017; NVlabs/timeloop and KULeuven-MICAS/zigzag (public repositories).

/// One published or assumed number, with its source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constant {
    /// What it is the energy of, or the name of an exponent.
    pub name: &'static str,
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Where it is printed, or `assumed:` and the reason.
    pub source: &'static str,
}

const HOROWITZ: &str = "Horowitz, ISSCC 2014, 45 nm at 0.9 V";
const OCONNOR: &str = "O'Connor et al., MICRO 2017, HBM2";

const fn row(name: &'static str, value: f64, unit: &'static str, source: &'static str) -> Constant {
    Constant { name, value, unit, source }
}

/// Integer addition, 8 bits.
pub const ADD_8: Constant = row("add 8 bit", 0.03, "pJ", HOROWITZ);
/// Integer addition, 16 bits.
pub const ADD_16: Constant = row("add 16 bit", 0.05, "pJ", HOROWITZ);
/// Integer addition, 32 bits.
pub const ADD_32: Constant = row("add 32 bit", 0.1, "pJ", HOROWITZ);
/// Integer multiplication, 8 bits; the anchor of [`multiply_pj`].
pub const MULTIPLY_8: Constant = row("multiply 8 bit", 0.2, "pJ", HOROWITZ);
/// Integer multiplication, 32 bits.
pub const MULTIPLY_32: Constant = row("multiply 32 bit", 3.1, "pJ", HOROWITZ);
/// Growth of multiplication energy with the width of both operands.
pub const MULTIPLY_WIDTH_EXPONENT: Constant = row(
    "multiply width exponent",
    2.0,
    "1",
    "assumed: energy follows the product of the widths, as in timeloop's built-in model; from 8 to \
     32 bits the table of Horowitz grows with 1.98",
);
/// Energy of a comparison over that of an addition of the same width.
pub const COMPARE_OVER_ADD: Constant = row(
    "compare over add",
    1.0,
    "1",
    "assumed: no table has comparators; one is a subtractor whose difference is not kept",
);
/// Addition in single precision.
pub const FP32_ADD: Constant = row("fp32 add", 0.9, "pJ", HOROWITZ);
/// Multiplication in single precision.
pub const FP32_MULTIPLY: Constant = row("fp32 multiply", 3.7, "pJ", HOROWITZ);
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
/// HBM2, from the array to the global sense amplifiers.
pub const HBM2_ARRAY: Constant =
    row("HBM2 before the global sense amplifiers", 1.51, "pJ/bit", OCONNOR);
/// HBM2, from the global sense amplifiers to the interface.
pub const HBM2_PATH: Constant =
    row("HBM2 behind the global sense amplifiers", 1.17, "pJ/bit", OCONNOR);
/// HBM2 interface.
pub const HBM2_IO: Constant = row("HBM2 interface, 50 % activity", 0.80, "pJ/bit", OCONNOR);
/// HBM2 activation and precharge of one row of 1 KB.
pub const HBM2_ACTIVATE: Constant = row("HBM2 activate and precharge", 909.0, "pJ", OCONNOR);
/// HBM2 with an average share of activation in it: never add [`HBM2_ACTIVATE`] to this one.
pub const HBM2_AVERAGE: Constant =
    row("HBM2 average, activation included", 3.92, "pJ/bit", OCONNOR);

/// Every constant, for listings.
pub const CONSTANTS: &[Constant] = &[
    ADD_8,
    ADD_16,
    ADD_32,
    MULTIPLY_8,
    MULTIPLY_32,
    MULTIPLY_WIDTH_EXPONENT,
    COMPARE_OVER_ADD,
    FP32_ADD,
    FP32_MULTIPLY,
    SRAM_READ_64_BIT_8_KB,
    SRAM_CAPACITY_EXPONENT,
    SRAM_WRITE_OVER_READ,
    SRAM_LINEAR_HALF_KB,
    SRAM_LINEAR_100_KB,
    HBM2_ARRAY,
    HBM2_PATH,
    HBM2_IO,
    HBM2_ACTIVATE,
    HBM2_AVERAGE,
];

/// Multiplication of two integers of `bits` each \[pJ\].
///
/// Energy is taken as proportional to the product of the widths, from the 8-bit row: 0.45 pJ for 12
/// bits. Timeloop's built-in model uses the same rule; it gives 3.2 pJ for 32 bits, where the table
/// prints 3.1.
pub fn multiply_pj(bits: u32) -> f64 {
    MULTIPLY_8.value * (f64::from(bits) / 8.0).powf(MULTIPLY_WIDTH_EXPONENT.value)
}

/// Addition of two integers of `bits` each \[pJ\]: straight lines through the printed 8, 16 and
/// 32-bit rows, and through the origin below 8 bits.
pub fn add_pj(bits: u32) -> f64 {
    let bits = f64::from(bits);
    let line = |x0: f64, y0: f64, x1: f64, y1: f64| y0 + (bits - x0) * (y1 - y0) / (x1 - x0);
    if bits <= 8.0 {
        line(0.0, 0.0, 8.0, ADD_8.value)
    } else if bits <= 16.0 {
        line(8.0, ADD_8.value, 16.0, ADD_16.value)
    } else {
        line(16.0, ADD_16.value, 32.0, ADD_32.value)
    }
}

/// Comparison of two integers of `bits` each \[pJ\].
pub fn compare_pj(bits: u32) -> f64 {
    add_pj(bits) * COMPARE_OVER_ADD.value
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

/// Transfer of one bit between an HBM2 array and the accelerator \[pJ/bit\], without activation.
pub fn hbm2_transfer_pj_per_bit() -> f64 {
    HBM2_ARRAY.value + HBM2_PATH.value + HBM2_IO.value
}

/// HBM2 traffic whose activations were counted \[pJ\].
pub fn hbm2_pj(bits: u64, activations: u64) -> f64 {
    bits as f64 * hbm2_transfer_pj_per_bit() + activations as f64 * HBM2_ACTIVATE.value
}

/// HBM2 traffic whose activations were not counted, as with ideal memory \[pJ\]. The constant
/// already contains activation at the average row locality of its source.
pub fn hbm2_average_pj(bits: u64) -> f64 {
    bits as f64 * HBM2_AVERAGE.value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(ours: f64, expected: f64) {
        assert!((ours - expected).abs() < 1e-9 * expected.abs().max(1.0), "{ours} {expected}");
    }

    #[test]
    fn a_multiply_of_12_bits_follows_the_quadratic_rule() {
        close(multiply_pj(8), 0.2);
        close(multiply_pj(12), 0.45);
        close(multiply_pj(16), 0.8);
    }

    #[test]
    fn the_quadratic_rule_meets_the_printed_32_bit_row_within_four_percent() {
        assert!((multiply_pj(32) / MULTIPLY_32.value - 1.0).abs() < 0.04);
    }

    #[test]
    fn additions_meet_every_printed_row_and_lie_between() {
        close(add_pj(8), 0.03);
        close(add_pj(16), 0.05);
        close(add_pj(32), 0.1);
        close(add_pj(12), 0.04);
        close(add_pj(4), 0.015);
        close(compare_pj(12), add_pj(12));
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

    #[test]
    fn transfer_and_average_differ_by_one_activation_per_256_bytes() {
        close(hbm2_transfer_pj_per_bit(), 3.48);
        let counted = hbm2_pj(2048, 1) / 2048.0;
        assert!((counted - HBM2_AVERAGE.value).abs() < 0.01, "{counted}");
        close(hbm2_average_pj(100), 392.0);
    }

    #[test]
    fn every_constant_has_a_source() {
        for constant in CONSTANTS {
            assert!(constant.source.len() > 10, "{}", constant.name);
            assert!(constant.value > 0.0 && !constant.unit.is_empty(), "{}", constant.name);
        }
    }
}
