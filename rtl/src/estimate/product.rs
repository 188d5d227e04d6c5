//! Products as DSP48E2 and the sums that join them.
//!
//! Operands that are too wide for a multiplier are cut as Yosys cuts them (`techlibs/common/mul2dsp.v` with the
//! widths of `synth_xilinx -family xcup`): into parts of 17 bits from below, so that partial products lie 17 bits
//! apart, and one part that is as wide as a multiplier takes. Partial products are added one after the other in
//! tables: for UltraScale+ Yosys uses neither the adder behind a multiplier nor the registers around it.

use super::{blast::Blasted, gates::Bit};

/// Operand widths of a DSP48E2 multiplier \[bits\] (Xilinx UG579), two's complement.
const DSP_WIDE: usize = 27;
/// See [`DSP_WIDE`].
const DSP_NARROW: usize = 18;
/// Width of a lower part of an operand \[bits\]; the multiplier sees a 0 above it as the sign.
const PART: usize = 17;

impl Blasted {
    /// The `width` lowest bits of a product.
    pub(super) fn product(&mut self, a: &[Bit], b: &[Bit], signed: bool, width: usize) -> Vec<Bit> {
        // A multiplier takes two's complement: numbers without sign get a 0 above.
        let of = |word: &[Bit]| significant(word, signed).min(width) + usize::from(!signed);
        let (a, b) = (of(a), of(b));
        let product = self.partial(a.max(b), a.min(b), width);
        extended(product, width)
    }

    /// A product of operands of these widths, two's complement.
    fn partial(&mut self, wide: usize, narrow: usize, width: usize) -> Vec<Bit> {
        let width = width.min(wide + narrow);
        // The wide operand is cut first, then each part meets the narrow one.
        let cuts_wide = wide > DSP_WIDE;
        let (cut, most) = if cuts_wide { (wide, DSP_WIDE) } else { (narrow, DSP_NARROW) };
        if cut <= most {
            self.dsp += 1;
            return self.inputs(width);
        }
        let lower = (cut - most).div_ceil(PART);
        let mut sum: Option<Vec<Bit>> = None;
        for at in 0..=lower {
            let part = if at < lower { PART + 1 } else { cut - lower * PART };
            let place = at * PART;
            let above = width.saturating_sub(place);
            let product = match cuts_wide {
                true => self.partial(part, narrow, above),
                false => self.partial(wide, part, above),
            };
            let placed = [vec![Bit::ZERO; place], product].concat();
            sum = Some(match sum {
                None => placed,
                Some(sum) => {
                    let bits = width.min(placed.len().max(sum.len()) + 1);
                    self.sum(&extended(placed, bits), &extended(sum, bits), Bit::ZERO)
                }
            });
        }
        sum.unwrap_or_default()
    }
}

/// Bits of a word without those above that only repeat the sign, or are 0 where there is none.
fn significant(word: &[Bit], signed: bool) -> usize {
    let mut width = word.len();
    let repeats = |width: usize| match signed {
        true => width > 1 && word[width - 1] == word[width - 2],
        false => width > 0 && word[width - 1] == Bit::ZERO,
    };
    while repeats(width) {
        width -= 1;
    }
    width
}

/// A word of two's complement with copies of its sign above.
fn extended(mut word: Vec<Bit>, width: usize) -> Vec<Bit> {
    let sign = word.last().copied().unwrap_or(Bit::ZERO);
    word.resize(width, sign);
    word
}
