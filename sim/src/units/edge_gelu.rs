//! GELU of Edge-MoE: ReLU minus a table (section IV-C of the paper).
//!
//! ReLU(x) - GELU(x) is even and, from 5.5 on, below what a table keeps. Between two entries, 1/32
//! apart, it is interpolated with the remaining 17 bits of x; the product is cut toward minus infinity.
//! The largest error against x Phi(x) is 9.76e-5, at x = 1/64, where the curvature of the function
//! is largest: (1/32)^2 / 8 times its second derivative of 0.8. Beyond 5.5 it is below 1.1e-7.

use attelier_hw::edge_moe::formats::FEATURE;
use attelier_hw::edge_moe::tables::{GELU_DELTA, GELU_STEP_BITS};

/// Bits of a feature between two entries.
const REST_BITS: u32 = FEATURE.fraction - GELU_STEP_BITS;

/// GELU of a feature.
pub fn gelu(x: i32) -> i32 {
    let magnitude = x.unsigned_abs();
    let index = (magnitude >> REST_BITS) as usize;
    let delta = match GELU_DELTA.get(index..index + 2) {
        Some(&[below, above]) => {
            let rest = i64::from(magnitude % (1 << REST_BITS));
            below + ((i64::from(above - below) * rest) >> REST_BITS) as i32
        }
        _ => 0,
    };
    x.max(0) - delta
}

#[cfg(test)]
mod tests {
    use attelier_workloads::reference;

    use super::*;
    use crate::datapath::fixed::{ONE, real};

    #[test]
    fn entries_are_the_difference_between_relu_and_gelu() {
        for (index, &entry) in GELU_DELTA.iter().enumerate() {
            let x = index as f64 / 32.0;
            let expected = (x - reference::gelu(x)) * f64::from(ONE);
            assert_eq!(f64::from(entry), expected.round(), "{x}");
            assert_eq!(gelu((index as i32) << 17), ((index as i32) << 17) - entry);
            assert_eq!(gelu(-((index as i32) << 17)), -entry);
        }
    }

    #[test]
    fn errors_stay_below_a_ten_thousandth() {
        let mut worst = (0.0, 0);
        for x in (-8 * ONE..=8 * ONE).step_by(97) {
            let error = (real(FEATURE, gelu(x)) - reference::gelu(real(FEATURE, x))).abs();
            worst = if error > worst.0 { (error, x) } else { worst };
        }
        assert!((9.7e-5..1e-4).contains(&worst.0), "{worst:?}");
        assert!((real(FEATURE, worst.1).abs() - 1.0 / 64.0).abs() < 1e-3, "{worst:?}");
    }

    #[test]
    fn far_out_it_is_relu() {
        for x in [6 * ONE, i32::MAX, -6 * ONE, i32::MIN] {
            assert_eq!(gelu(x), x.max(0));
        }
    }
}
