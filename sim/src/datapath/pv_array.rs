//! Probability times value: exact products and sums, rounded once when a pass is complete.

/// Adds the products of one probability and the words of its value to the sums of a pass.
pub fn accumulate(sums: &mut [i64], probability: u16, value: &[i32]) {
    for (sum, &word) in sums.iter_mut().zip(value) {
        *sum += i64::from(probability) * i64::from(word);
    }
}

/// Attention output: a sum without the fraction bits of the probabilities, rounded half up,
/// saturated to a word of `word_bits` bits.
pub fn round(sum: i64, word_bits: u32) -> i32 {
    let rounded = (sum + (1i64 << (word_bits - 1))) >> word_bits;
    let limit = 1i64 << (word_bits - 1);
    rounded.clamp(-limit, limit - 1) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certain_probability_passes_the_value_almost_whole() {
        let mut sums = [0; 3];
        accumulate(&mut sums, 4095, &[2047, -2048, 1]);
        // 2047 x 4095 / 4096 = 2046.5 rounds up; -2047.5 rounds up to -2047.
        assert_eq!(sums.map(|sum| round(sum, 12)), [2047, -2047, 1]);
    }

    #[test]
    fn rounding_is_half_up_and_saturates() {
        assert_eq!([2048, 2047, -2048, -2049].map(|sum| round(sum, 12)), [1, 0, 0, -1]);
        assert_eq!([1 << 30, -(1 << 30)].map(|sum| round(sum, 12)), [2047, -2048]);
    }
}
