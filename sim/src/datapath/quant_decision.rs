//! Are the probabilities of a pass so flat that it needs the LSBs of its keys?

/// Threshold as an unsigned fraction of `word_bits` bits: the smallest code that is not below
/// `threshold` (0 to 1), so that `code < threshold_code` is `probability < threshold`.
pub fn threshold_code(threshold: f64, word_bits: u32) -> u16 {
    let one = f64::from(1u32 << word_bits);
    (threshold * one).ceil().clamp(0.0, one).min(f64::from(u16::MAX)) as u16
}

/// Whether the largest probability stays below the threshold (SpAtten section III-D). The running
/// maximum of a lane starts at 0, as in the released `RequantDecision`.
pub fn is_flat(probabilities: &[u16], threshold: u16) -> bool {
    probabilities.iter().copied().max().unwrap_or(0) < threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_compare_like_probabilities() {
        // 0.05 is 204.8 / 4096, 0.25 is 1024 / 4096 exactly.
        assert_eq!([0.05, 0.25, 0.0, 1.0].map(|t| threshold_code(t, 12)), [205, 1024, 0, 4096]);
        assert!(is_flat(&[3, 204], 205));
        assert!(!is_flat(&[205, 3], 205));
        assert!(!is_flat(&[0], 0));
    }
}
