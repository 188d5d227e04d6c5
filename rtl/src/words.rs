//! Arithmetic on little-endian 64-bit words: what native execution does with signals above 64 bits.
//!
//! Results fill `out` entirely; the caller clears the bits above the signal's width.

use crate::bits::mask;

/// Word `at`, or `fill` beyond the end.
fn word(words: &[u64], at: usize, fill: u64) -> u64 {
    words.get(at).copied().unwrap_or(fill)
}

/// Clears the bits from `width` on.
pub fn clear_above(out: &mut [u64], width: u32) {
    for (at, value) in out.iter_mut().enumerate() {
        *value &= mask(width.saturating_sub(at as u32 * 64));
    }
}

/// `out = a + b + carry`.
pub fn add(out: &mut [u64], a: &[u64], b: &[u64], carry: bool) {
    let mut carry = carry;
    for (at, value) in out.iter_mut().enumerate() {
        let (sum, first) = word(a, at, 0).overflowing_add(word(b, at, 0));
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        *value = sum;
        carry = first | second;
    }
}

/// `out = a - b`.
pub fn subtract(out: &mut [u64], a: &[u64], b: &[u64]) {
    let mut borrow = false;
    for (at, value) in out.iter_mut().enumerate() {
        let (difference, first) = word(a, at, 0).overflowing_sub(word(b, at, 0));
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        *value = difference;
        borrow = first | second;
    }
}

/// `out = a * b`, the lowest words of it; signed operands are sign-extended by the caller.
pub fn multiply(out: &mut [u64], a: &[u64], b: &[u64]) {
    out.fill(0);
    for (i, x) in a.iter().enumerate() {
        let mut carry = 0u128;
        for (j, value) in out.iter_mut().skip(i).enumerate() {
            let product = u128::from(*x) * u128::from(word(b, j, 0));
            let sum = u128::from(*value) + product + carry;
            *value = sum as u64;
            carry = sum >> 64;
        }
    }
}

/// Whether `a < b`, both unsigned.
pub fn less(a: &[u64], b: &[u64]) -> bool {
    for at in (0..a.len().max(b.len())).rev() {
        let (x, y) = (word(a, at, 0), word(b, at, 0));
        if x != y {
            return x < y;
        }
    }
    false
}

/// `out = a << amount`.
pub fn shift_left(out: &mut [u64], a: &[u64], amount: u64) {
    let skip = usize::try_from(amount / 64).unwrap_or(usize::MAX);
    let bits = amount % 64;
    for (at, value) in out.iter_mut().enumerate() {
        let Some(from) = at.checked_sub(skip) else {
            *value = 0;
            continue;
        };
        let low = if bits == 0 || from == 0 { 0 } else { word(a, from - 1, 0) >> (64 - bits) };
        *value = word(a, from, 0) << bits | low;
    }
}

/// `out = a >> amount`, with words of `fill` coming in from above.
pub fn shift_right(out: &mut [u64], a: &[u64], amount: u64, fill: u64) {
    let skip = usize::try_from(amount / 64).unwrap_or(usize::MAX);
    let bits = amount % 64;
    for (at, value) in out.iter_mut().enumerate() {
        let from = at.saturating_add(skip);
        let high = if bits == 0 { 0 } else { word(a, from.saturating_add(1), fill) << (64 - bits) };
        *value = word(a, from, fill) >> bits | high;
    }
}

/// `out = a` with the bits from `width` on equal to bit `width - 1`.
pub fn sign_extend(out: &mut [u64], a: &[u64], width: u32) {
    let top = width.saturating_sub(1);
    let negative = word(a, top as usize / 64, 0) >> (top % 64) & 1 == 1;
    for (at, value) in out.iter_mut().enumerate() {
        let own = mask(width.saturating_sub(at as u32 * 64));
        *value = word(a, at, 0) & own | if negative { !own } else { 0 };
    }
}

/// Writes the `width` bits of `part` over the bits of `out` from `low` on, which are zero.
pub fn or_at(out: &mut [u64], part: &[u64], low: u32) {
    let (first, shift) = (low as usize / 64, low % 64);
    for (at, value) in part.iter().enumerate() {
        if let Some(own) = out.get_mut(first + at) {
            *own |= value << shift;
        }
        if shift > 0
            && let Some(own) = out.get_mut(first + at + 1)
        {
            *own |= value >> (64 - shift);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(value: u128) -> [u64; 2] {
        [value as u64, (value >> 64) as u64]
    }

    fn join(words: [u64; 2]) -> u128 {
        u128::from(words[0]) | u128::from(words[1]) << 64
    }

    proptest! {
        #[test]
        fn two_words_behave_as_u128(a: u128, b: u128, amount in 0u32..128, low in 0u32..64) {
            let (x, y) = (split(a), split(b));
            let mut out = [0; 2];
            add(&mut out, &x, &y, false);
            prop_assert_eq!(join(out), a.wrapping_add(b));
            subtract(&mut out, &x, &y);
            prop_assert_eq!(join(out), a.wrapping_sub(b));
            multiply(&mut out, &x, &y);
            prop_assert_eq!(join(out), a.wrapping_mul(b));
            prop_assert_eq!(less(&x, &y), a < b);
            shift_left(&mut out, &x, u64::from(amount));
            prop_assert_eq!(join(out), a << amount);
            shift_right(&mut out, &x, u64::from(amount), 0);
            prop_assert_eq!(join(out), a >> amount);
            shift_right(&mut out, &x, u64::from(amount), if x[1] >> 63 == 1 { u64::MAX } else { 0 });
            prop_assert_eq!(join(out), (a.cast_signed() >> amount).cast_unsigned());
            let width = amount + 1;
            sign_extend(&mut out, &x, width);
            let drop = 128 - width;
            prop_assert_eq!(join(out), ((a << drop).cast_signed() >> drop).cast_unsigned());
            out = [0; 2];
            or_at(&mut out, &[x[0]], low);
            prop_assert_eq!(join(out), u128::from(x[0]) << low);
        }
    }

    #[test]
    fn shifts_by_more_than_the_width_leave_nothing() {
        let mut out = [1; 2];
        shift_left(&mut out, &[u64::MAX; 2], u64::MAX);
        assert_eq!(out, [0; 2]);
        shift_right(&mut out, &[u64::MAX; 2], u64::MAX, 0);
        assert_eq!(out, [0; 2]);
    }
}
