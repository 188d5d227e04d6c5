//! Floating-point numbers that model drivers draw.

use attelier_rtl::bits::Bits;
use attelier_sim::datapath::bf16::{Bf16, Float};

use crate::cosim::Random;

/// A number of any kind; the corners of the format and exponents near 1 are frequent.
pub fn number<const FRACTION: u32>(random: &mut Random) -> Float<FRACTION> {
    let exponent = match random.below(8) {
        0 => random.bits(8),
        1 => [0, 1, 2, 254, 255][random.below(5) as usize],
        _ => 112 + random.below(32),
    };
    with_exponent(random, exponent)
}

/// A finite number of moderate size, or zero.
pub fn moderate<const FRACTION: u32>(random: &mut Random) -> Float<FRACTION> {
    let exponent = if random.chance(1, 16) { 0 } else { 110 + random.below(24) };
    with_exponent(random, exponent)
}

/// A number near another one: equal, opposite or a few units in the last place away.
pub fn near<const FRACTION: u32>(random: &mut Random, other: Float<FRACTION>) -> Float<FRACTION> {
    let shift = if random.chance(1, 4) { 4 } else { 0 };
    let distance = (random.below(9) << shift) as u32;
    let bits = match random.chance(1, 2) {
        true => other.to_bits().wrapping_add(distance),
        false => other.to_bits().wrapping_sub(distance),
    };
    let number = Float::from_bits(bits);
    if random.chance(1, 2) { number.negate() } else { number }
}

fn with_exponent<const FRACTION: u32>(random: &mut Random, exponent: u64) -> Float<FRACTION> {
    // Fractions of few ones or zeros meet ties and carries.
    let fraction = match random.below(4) {
        0 => 0,
        1 => random.bits(FRACTION) & random.bits(FRACTION) & random.bits(FRACTION),
        2 => random.bits(FRACTION) | random.bits(FRACTION) | random.bits(FRACTION),
        _ => random.bits(FRACTION),
    };
    let sign = random.bits(1) << (FRACTION + 8);
    Float::from_bits((sign | exponent << FRACTION | fraction) as u32)
}

/// Numbers side by side, the first one lowest.
pub fn packed(numbers: &[Bf16]) -> Bits {
    let mut bits = Bits::zero(numbers.len() as u32 * 16);
    for (at, number) in (0..).zip(numbers) {
        bits.place(at * 16, &Bits::new(number.to_bits().into(), 16));
    }
    bits
}

/// Bits where nothing is meant.
pub fn noise(random: &mut Random, width: u32) -> Bits {
    let words: Vec<u64> = (0..width.div_ceil(64)).map(|_| random.bits(64)).collect();
    Bits::from_words(&words, width)
}
