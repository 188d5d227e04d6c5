//! Values that model drivers of Edge-MoE draw, how they lie in a word, and what is known of results.

use std::collections::VecDeque;

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

/// Features of `lanes` lanes.
pub fn features(random: &mut Random, lanes: u32, width: u32) -> Vec<i32> {
    (0..lanes).map(|_| number(random, width) as i32).collect()
}

/// What the functional model says that a unit gives, one after the other; nothing is known of what comes
/// of drawn stimulus.
///
/// Numbers are compared between model and hardware in any case. Where the model's differ from these, the
/// driver expects the unit to show nothing, which the hardware then contradicts.
pub struct Results<T>(Option<VecDeque<T>>);

impl<T: PartialEq> Results<T> {
    /// Nothing is known.
    pub fn unknown() -> Self {
        Self(None)
    }

    /// These.
    pub fn known(results: impl IntoIterator<Item = T>) -> Self {
        Self(Some(results.into_iter().collect()))
    }

    /// Whether anything is known.
    pub fn are_known(&self) -> bool {
        self.0.is_some()
    }

    /// Whether `found` is what comes next.
    pub fn allow(&self, found: &T) -> bool {
        self.0.as_ref().is_none_or(|results| results.front() == Some(found))
    }

    /// What comes next has left.
    pub fn leave(&mut self) {
        if let Some(results) = &mut self.0 {
            results.pop_front();
        }
    }
}
