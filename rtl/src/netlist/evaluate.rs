//! What each operation means, for values of any width.

use super::Op;
use crate::{
    bits::{mask, words_for},
    words,
};

/// An operand: its words and width \[bits\].
pub type Value<'a> = (&'a [u64], u32);

/// Computes one node. `scratch` is kept between calls so that nothing is allocated.
///
/// [`Op::Source`], [`Op::Constant`] and [`Op::Read`] compute nothing and leave `out` alone.
pub fn evaluate(op: &Op, operands: &[Value<'_>], width: u32, out: &mut [u64]) {
    match (op, operands) {
        (Op::Not, [a]) => {
            for (value, word) in out.iter_mut().zip(a.0) {
                *value = !word;
            }
        }
        (Op::And, [a, b]) => bitwise(out, a, b, |x, y| x & y),
        (Op::Or, [a, b]) => bitwise(out, a, b, |x, y| x | y),
        (Op::Xor, [a, b]) => bitwise(out, a, b, |x, y| x ^ y),
        (Op::Add, [a, b]) => words::add(out, a.0, b.0, false),
        (Op::Subtract, [a, b]) => words::subtract(out, a.0, b.0),
        (Op::Multiply, [a, b]) => words::multiply(out, a.0, b.0),
        (Op::MultiplySigned, [a, b]) => {
            let (a, b) = (extended(a, out.len()), extended(b, out.len()));
            words::multiply(out, &a, &b);
        }
        (Op::Equal, [a, b]) => one_bit(out, a.0 == b.0),
        (Op::Less, [a, b]) => one_bit(out, words::less(a.0, b.0)),
        (Op::LessSigned, [a, b]) => {
            let (x, y) = (negative(a), negative(b));
            one_bit(out, if x == y { words::less(a.0, b.0) } else { x });
        }
        (Op::ShiftLeft, [a, b]) => words::shift_left(out, a.0, amount(b)),
        (Op::ShiftRight, [a, b]) => words::shift_right(out, a.0, amount(b), 0),
        (Op::ShiftRightSigned, [a, b]) => {
            let fill = if negative(a) { u64::MAX } else { 0 };
            words::shift_right(out, &extended(a, a.0.len()), amount(b), fill);
        }
        (Op::Mux, [select, a, b]) => {
            let chosen = if select.0.first() == Some(&1) { a } else { b };
            out.copy_from_slice(chosen.0);
        }
        (Op::All, [a]) => {
            let words = words_for(a.1) as u32;
            let all = a.0.iter().zip(0u32..).all(|(word, at)| {
                *word == if at + 1 == words { mask(a.1 - at * 64) } else { u64::MAX }
            });
            one_bit(out, all);
        }
        (Op::Any, [a]) => one_bit(out, a.0.iter().any(|word| *word != 0)),
        (Op::Parity, [a]) => {
            let ones: u32 = a.0.iter().map(|word| word.count_ones()).sum();
            one_bit(out, ones % 2 == 1);
        }
        (Op::Concat, parts) => {
            out.fill(0);
            let mut low = 0;
            for (words, width) in parts.iter().rev() {
                words::or_at(out, words, low);
                low += width;
            }
        }
        (Op::Slice(low), [a]) => words::shift_right(out, a.0, u64::from(*low), 0),
        (Op::ZeroExtend, [a]) => {
            out.fill(0);
            words::or_at(out, a.0, 0);
        }
        (Op::SignExtend, [a]) => words::sign_extend(out, a.0, a.1),
        _ => return,
    }
    words::clear_above(out, width);
}

fn bitwise(out: &mut [u64], a: &Value<'_>, b: &Value<'_>, op: impl Fn(u64, u64) -> u64) {
    for (value, (x, y)) in out.iter_mut().zip(a.0.iter().zip(b.0)) {
        *value = op(*x, *y);
    }
}

fn one_bit(out: &mut [u64], value: bool) {
    out.fill(0);
    if let Some(low) = out.first_mut() {
        *low = u64::from(value);
    }
}

fn negative(value: &Value<'_>) -> bool {
    let top = value.1.saturating_sub(1);
    value.0.get(top as usize / 64).is_some_and(|word| word >> (top % 64) & 1 == 1)
}

/// A shift amount; anything beyond 64 bits shifts everything out.
fn amount(value: &Value<'_>) -> u64 {
    match value.0 {
        [low, high @ ..] if high.iter().all(|word| *word == 0) => *low,
        _ => u64::MAX,
    }
}

fn extended(value: &Value<'_>, words: usize) -> Vec<u64> {
    let mut out = vec![0; words];
    words::sign_extend(&mut out, value.0, value.1);
    out
}
