//! Importance accumulators: unsigned and saturating.

use attelier_hw::spatten::formats::{HEAD_IMPORTANCE_BITS, TOKEN_IMPORTANCE_BITS};

/// Adds one row of probabilities to the importance of its tokens (SpAtten algorithm 2).
pub fn add_tokens(importance: &mut [u64], tokens: &[u32], probabilities: &[u16]) {
    for (&token, &probability) in tokens.iter().zip(probabilities) {
        let sum = &mut importance[token as usize];
        *sum = (*sum + u64::from(probability)).min((1 << TOKEN_IMPORTANCE_BITS) - 1);
    }
}

/// Adds the magnitudes of one attention output to the importance of its head (SpAtten section
/// III-B). Codes of all heads of a layer count alike, so their values share one scale.
pub fn add_output(importance: &mut u64, output: &[i32]) {
    let magnitude: u64 = output.iter().map(|word| u64::from(word.unsigned_abs())).sum();
    *importance = (*importance + magnitude).min((1 << HEAD_IMPORTANCE_BITS) - 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_saturate() {
        let mut tokens = [0, (1 << 32) - 2, 5];
        add_tokens(&mut tokens, &[1, 2], &[7, 3]);
        assert_eq!(tokens, [0, (1 << 32) - 1, 8]);
        let mut head = (1 << 40) - 5;
        add_output(&mut head, &[-2, 2]);
        assert_eq!(head, (1 << 40) - 1);
    }
}
