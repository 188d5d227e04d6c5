//! Stored bits to data path words, and back: vectors of 4 to 16 bits per element in DRAM, left
//! aligned words on chip.
//!
//! Elements are packed without gaps, the first in the lowest bits of the first byte. Vectors of
//! fused heads are interleaved element by element (released `MatrixFetcher`). LSBs go directly below
//! the MSBs; the released RTL puts them into the lowest bits whatever the width of the MSBs.

/// A plane of stored codes: which bits of a word it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Width of a stored code \[bits\], 1 to 16.
    pub bits: u32,
    /// Bits of the word above it.
    pub above: u32,
}

/// Splits a code of `msb + lsb` bits into its planes: the upper bits with the sign, and the lower
/// ones as they are.
pub fn split(code: i32, lsb: u32) -> (i32, i32) {
    (code >> lsb, code & ((1 << lsb) - 1))
}

/// Writes `codes` as element `head + heads * i` of `bytes`; only the low `bits` of a code are used.
pub fn pack(bytes: &mut [u8], bits: u32, (head, heads): (u32, u32), codes: &[i32]) {
    for (at, &code) in (0..).zip(codes) {
        let first = (at * heads + head) * bits;
        for bit in 0..bits {
            let (position, set) = (first + bit, (code >> bit) as u8 & 1);
            let byte = &mut bytes[position as usize / 8];
            *byte = *byte & !(1 << (position % 8)) | set << (position % 8);
        }
    }
}

/// The stored code of element `at`, without sign.
fn raw(bytes: &[u8], bits: u32, at: u32) -> u32 {
    let first = (at * bits) as usize;
    let window = bytes[first / 8..].iter().take(4).rev();
    let window = window.fold(0u32, |window, &byte| window << 8 | u32::from(byte));
    window >> (first % 8) & ((1 << bits) - 1)
}

/// Words of `n` elements of one head: the code is sign-extended and moved to the top of a word of
/// `word_bits` bits.
pub fn words(
    bytes: &[u8],
    bits: u32,
    (head, heads): (u32, u32),
    n: u32,
    word_bits: u32,
) -> impl Iterator<Item = i32> {
    (0..n).map(move |at| {
        let code = raw(bytes, bits, at * heads + head);
        let signed = (code << (32 - bits)) as i32 >> (32 - bits);
        if bits > word_bits { signed >> (bits - word_bits) } else { signed << (word_bits - bits) }
    })
}

/// Adds the LSBs of a vector to its `words`, directly below the MSBs that `field` names.
pub fn merge(words: &mut [i32], bytes: &[u8], field: Field, word_bits: u32) {
    let Field { bits, above } = field;
    for (at, word) in (0..).zip(words) {
        *word |= (raw(bytes, bits, at) << (word_bits - above - bits)) as i32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lsbs_lie_directly_below_the_msbs() {
        // 6 + 4 bits on a 12-bit data path: the code 0b101101_1001 is the word 0b101101_1001_00.
        let code = 0b10_1101_1001 - (1 << 10);
        let (msb, lsb) = split(code, 4);
        let (mut high, mut low) = ([0; 3], [0; 3]);
        pack(&mut high, 6, (0, 1), &[1, msb]);
        pack(&mut low, 4, (0, 1), &[0, lsb]);
        let mut converted: Vec<i32> = words(&high, 6, (0, 1), 2, 12).collect();
        assert_eq!(converted, [1 << 6, msb << 6]);
        merge(&mut converted, &low, Field { bits: 4, above: 6 }, 12);
        assert_eq!(converted, [1 << 6, code << 2]);
    }

    #[test]
    fn six_bit_pairs_are_interleaved() {
        let mut bytes = [0; 3];
        pack(&mut bytes, 6, (0, 2), &[1, 2]);
        pack(&mut bytes, 6, (1, 2), &[3, -1]);
        // 1 | 3 << 6 | 2 << 12 | 63 << 18, little-endian.
        assert_eq!(bytes, [0b1100_0001, 0b0010_0000, 0b1111_1100]);
    }

    proptest! {
        #[test]
        fn words_are_the_codes_at_the_top(
            codes in prop::collection::vec(-128i32..128, 1..40),
            heads in 1u32..=2,
            lsb in 0u32..=4,
        ) {
            let (n, head) = (codes.len() as u32, heads - 1);
            let mut bytes = vec![0xa5; codes.len() * 2 + 2];
            let mut low = vec![0; codes.len() + 1];
            pack(&mut bytes, 8 - lsb, (head, heads), &codes.iter().map(|&c| split(c, lsb).0).collect::<Vec<_>>());
            pack(&mut low, lsb, (0, 1), &codes.iter().map(|&c| split(c, lsb).1).collect::<Vec<_>>());
            let mut converted: Vec<i32> = words(&bytes, 8 - lsb, (head, heads), n, 12).collect();
            if lsb > 0 {
                merge(&mut converted, &low, Field { bits: lsb, above: 8 - lsb }, 12);
            }
            let expected: Vec<i32> = codes.iter().map(|code| code * 16).collect();
            prop_assert_eq!(converted, expected);
        }
    }
}
