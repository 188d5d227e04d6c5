//! Values of any width from 1 to 4096 bits.

use std::fmt;

/// Widest signal \[bits\].
pub const MAX_WIDTH: u32 = 4096;

/// Number of 64-bit words that hold `width` bits.
pub(crate) fn words_for(width: u32) -> usize {
    width.div_ceil(64) as usize
}

/// The lowest `width` bits set, in one word; all bits from a width of 64 on.
pub(crate) fn mask(width: u32) -> u64 {
    if width >= 64 { u64::MAX } else { (1 << width) - 1 }
}

/// Bits needed to count from 0 to `states - 1`, at least 1: the width of an address or index.
pub fn index_width(states: u64) -> u32 {
    (u64::BITS - states.saturating_sub(1).leading_zeros()).max(1)
}

/// A value with a width. Bits above the width are zero.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bits {
    width: u32,
    /// Little-endian words.
    words: Vec<u64>,
}

impl Bits {
    /// Zero of `width` bits.
    pub fn zero(width: u32) -> Self {
        Self { width, words: vec![0; words_for(width)] }
    }

    /// The lowest `width` bits of `value`.
    pub fn new(value: u64, width: u32) -> Self {
        Self::from_words(&[value], width)
    }

    /// The lowest `width` bits of little-endian `words`; missing words are zero.
    pub fn from_words(words: &[u64], width: u32) -> Self {
        let mut bits = Self::zero(width);
        for (own, word) in bits.words.iter_mut().zip(words) {
            *own = *word;
        }
        if let Some(top) = bits.words.last_mut() {
            *top &= mask(width - (words_for(width) as u32 - 1) * 64);
        }
        bits
    }

    /// Two's complement of `value` in `width` bits.
    pub fn from_signed(value: i64, width: u32) -> Self {
        let mut words = vec![if value < 0 { u64::MAX } else { 0 }; words_for(width)];
        if let Some(low) = words.first_mut() {
            *low = value.cast_unsigned();
        }
        Self::from_words(&words, width)
    }

    /// Every bit set.
    pub fn ones(width: u32) -> Self {
        Self::from_words(&vec![u64::MAX; words_for(width)], width)
    }

    /// Width \[bits\].
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Little-endian words.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Little-endian words, to be written; the caller keeps the bits above the width zero.
    pub(crate) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// The lowest 64 bits.
    pub fn low(&self) -> u64 {
        self.words.first().copied().unwrap_or(0)
    }

    /// Bit `index`; false above the width.
    pub fn bit(&self, index: u32) -> bool {
        self.words.get(index as usize / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Sets bit `index`; nothing above the width.
    pub fn set_bit(&mut self, index: u32) {
        if index < self.width
            && let Some(word) = self.words.get_mut(index as usize / 64)
        {
            *word |= 1 << (index % 64);
        }
    }

    /// Writes `part` over the bits from `low` on; what lies above the width is cut off.
    pub fn place(&mut self, low: u32, part: &Self) {
        let (first, shift) = (low as usize / 64, low % 64);
        let cover = Self::ones(part.width);
        for (at, (word, covered)) in part.words.iter().zip(&cover.words).enumerate() {
            if let Some(own) = self.words.get_mut(first + at) {
                *own = *own & !(covered << shift) | word << shift;
            }
            if shift > 0
                && let Some(own) = self.words.get_mut(first + at + 1)
            {
                *own = *own & !(covered >> (64 - shift)) | word >> (64 - shift);
            }
        }
        *self = Self::from_words(&self.words, self.width);
    }

    /// `width` bits from `low` on; zeros beyond the end.
    pub fn part(&self, low: u32, width: u32) -> Self {
        let mut words = vec![0; words_for(width)];
        crate::words::shift_right(&mut words, &self.words, u64::from(low), 0);
        Self::from_words(&words, width)
    }

    /// Whether no bit is set.
    pub fn is_zero(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether every bit is set.
    pub fn is_ones(&self) -> bool {
        *self == Self::ones(self.width)
    }
}

/// Hexadecimal digits, as many as the width needs.
impl fmt::LowerHex for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = self.width.div_ceil(4);
        for word in self.words.iter().rev() {
            let here = if digits.is_multiple_of(16) { 16 } else { digits % 16 };
            write!(f, "{word:0width$x}", width = here as usize)?;
            digits -= here;
        }
        Ok(())
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}'h{self:x}", self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_has_as_many_digits_as_the_width_needs() {
        assert_eq!(format!("{:x}", Bits::new(0x5, 9)), "005");
        assert_eq!(format!("{:x}", Bits::from_words(&[1, 2], 68)), "20000000000000001");
        assert_eq!(format!("{:x}", Bits::ones(64)), "ffffffffffffffff");
    }

    #[test]
    fn values_are_cut_to_their_width() {
        assert_eq!(Bits::new(0x1ff, 8).low(), 0xff);
        assert_eq!(Bits::from_signed(-1, 70), Bits::ones(70));
        assert_eq!(Bits::from_words(&[0, u64::MAX], 65).words(), &[0, 1]);
    }

    #[test]
    fn a_part_that_was_placed_is_found_again_and_the_rest_is_untouched() {
        for low in [0, 1, 60, 64, 100, 129] {
            let mut bits = Bits::ones(200);
            bits.place(low, &Bits::new(0x1234_5678, 70));
            assert_eq!(bits.part(low, 70).low(), 0x1234_5678, "at {low}");
            assert!((0..200).filter(|at| *at < low || *at >= low + 70).all(|at| bits.bit(at)));
        }
    }

    #[test]
    fn index_widths_count_states() {
        let widths: Vec<u32> = [0, 1, 2, 3, 4, 5, 8, 9].map(index_width).to_vec();
        assert_eq!(widths, [1, 1, 1, 2, 2, 3, 3, 4]);
    }
}
