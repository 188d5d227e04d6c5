//! Query times key: exact products, exact sums.
//!
//! The released RTL keeps the upper 12 bits of each product and lets the sums wrap, which real
//! operands overflow. Here a score of `D` products of `B`-bit words has `2 B + log2 D` bits.

/// Score of one query against one key, words of equal length.
pub fn score(query: &[i32], key: &[i32]) -> i64 {
    query.iter().zip(key).map(|(&q, &k)| i64::from(q * k)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_operands_do_not_wrap() {
        let least = [-(1 << 15); 4096];
        assert_eq!(score(&least, &least), 1i64 << 42);
    }
}
