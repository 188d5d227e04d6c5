//! Zero eliminator: moves the kept elements of a row to its front, in order.
//!
//! A prefix sum counts the dropped elements before each position; then `log2(n)` layers shift by
//! 1, 2, 4, ...: layer `b` moves an element iff bit `b` of its count is set (SpAtten section IV-C,
//! figure 10).

/// Compacts `row` in place: elements whose bit in `keep` is set come first, in order. Returns how
/// many there are. The row has at most 64 elements.
pub fn eliminate<T: Copy>(row: &mut [T], keep: u64) -> usize {
    let n = row.len();
    assert!(n <= 64, "a row has at most 64 lanes");
    let mut zeros_before = [0u8; 64];
    let mut dropped = 0u8;
    for (lane, zeros) in zeros_before.iter_mut().enumerate().take(n) {
        *zeros = dropped;
        dropped += u8::from(keep >> lane & 1 == 0);
    }
    let mut valid = if n == 64 { keep } else { keep & ((1u64 << n) - 1) };
    let mut layer = 0;
    while (1usize << layer) < n {
        let shift = 1usize << layer;
        for lane in shift..n {
            if valid >> lane & 1 == 1 && zeros_before[lane] >> layer & 1 == 1 {
                debug_assert!(valid >> (lane - shift) & 1 == 0, "two elements meet in one lane");
                row[lane - shift] = row[lane];
                zeros_before[lane - shift] = zeros_before[lane];
                valid = valid & !(1 << lane) | 1 << (lane - shift);
            }
        }
        layer += 1;
    }
    valid.count_ones() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_compaction(row in prop::collection::vec(any::<u32>(), 1..=64), keep: u64) {
            let expected: Vec<u32> = (0..row.len()).filter(|i| keep >> i & 1 == 1).map(|i| row[i]).collect();
            let mut shifted = row.clone();
            let kept = eliminate(&mut shifted, keep);
            prop_assert_eq!(&shifted[..kept], &expected[..]);
        }
    }

    #[test]
    fn all_rows_of_eight_lanes() {
        for keep in 0..256u64 {
            let mut row = [0, 1, 2, 3, 4, 5, 6, 7];
            let kept = eliminate(&mut row, keep);
            let expected: Vec<usize> = (0..8).filter(|i| keep >> i & 1 == 1).collect();
            assert_eq!(&row[..kept], &expected[..]);
        }
    }
}
