//! Values that model drivers of Edge-MoE draw, and how they lie in a word.

use attelier_rtl::bits::Bits;

use crate::cosim::Random;

/// Width of a feature \[bits\].
pub const FEATURE_BITS: u32 = 32;

/// Numbers of `width` bits side by side, the first one lowest.
pub fn packed(numbers: impl IntoIterator<Item = i64>, width: u32) -> Bits {
    let numbers: Vec<i64> = numbers.into_iter().collect();
    let mut bits = Bits::zero(numbers.len() as u32 * width);
    for (at, number) in (0..).zip(numbers) {
        bits.place(at * width, &Bits::from_signed(number, width));
    }
    bits
}

/// A number of `width` bits: any, a small one, or a corner.
pub fn number(random: &mut Random, width: u32) -> i64 {
    let shift = 64 - width;
    let any = |random: &mut Random| ((random.bits(width) << shift) as i64) >> shift;
    match random.below(16) {
        0 => [0, 1, -1, i64::MAX >> shift, i64::MIN >> shift][random.below(5) as usize],
        1..4 => any(random),
        _ => any(random) >> random.below(width.into()),
    }
}
