//! Energy of HBM2, per bit and per row: no logic node applies.
//!
//! Reference: M. O'Connor et al., Fine-Grained DRAM, MICRO 2017. Other devices have their currents in their presets.

use super::{Constant, row};

const OCONNOR: &str = "O'Connor et al., MICRO 2017, HBM2";

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
pub(super) const CONSTANTS: &[Constant] =
    &[HBM2_ARRAY, HBM2_PATH, HBM2_IO, HBM2_ACTIVATE, HBM2_AVERAGE];

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

    #[track_caller]
    fn close(ours: f64, expected: f64) {
        assert!((ours - expected).abs() < 1e-9 * expected.abs().max(1.0), "{ours} {expected}");
    }

    #[test]
    fn transfer_and_average_differ_by_one_activation_per_256_bytes() {
        close(hbm2_transfer_pj_per_bit(), 3.48);
        let counted = hbm2_pj(2048, 1) / 2048.0;
        assert!((counted - HBM2_AVERAGE.value).abs() < 0.01, "{counted}");
        close(hbm2_average_pj(100), 392.0);
    }
}
