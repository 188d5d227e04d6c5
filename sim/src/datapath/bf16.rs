//! BF16 and FP32 arithmetic as bit algorithms, the way an adder and a multiplier are built.
//!
//! Both formats have 8 exponent bits and differ in their fraction, so one algorithm serves both.
//! Rules, which hardware that is compared with this has to follow:
//!
//! * Results are rounded once, to nearest, ties to even.
//! * Subnormal numbers do not exist: operands with an exponent of 0 are zeros of their sign, and a result
//!   that is smaller than the smallest normal number after rounding becomes a zero of its sign.
//! * Overflow gives infinity. Every result that is no number is [`Float::NAN`].
//! * A sum of opposite numbers is +0; -0 comes only of -0 + -0.
//!
//! Apart from subnormals and the payload of NaN this is IEEE 754.

use std::fmt;

/// Bias of the exponent.
const BIAS: i32 = 127;
/// Exponent field of infinity and NaN.
const TOP: u32 = 255;
/// Bits below the last of the larger addend: guard, round and sticky bit.
const EXTRA: u32 = 3;

/// A floating-point number with 8 exponent bits and `FRACTION` fraction bits, at most 23.
///
/// Equality is that of bits: NaN equals itself, and the two zeros differ.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Float<const FRACTION: u32>(u32);

/// Sign, 8 exponent bits, 7 fraction bits.
pub type Bf16 = Float<7>;

/// Sign, 8 exponent bits, 23 fraction bits.
pub type Fp32 = Float<23>;

/// What the bits of an operand mean.
#[derive(Debug, Clone, Copy)]
enum Value {
    Zero,
    Infinite,
    NotANumber,
    Finite {
        /// Weight of the last bit of the significand is 2^`exponent`.
        exponent: i32,
        /// With its leading one.
        significand: u64,
    },
}

impl<const FRACTION: u32> Float<FRACTION> {
    /// +0.
    pub const ZERO: Self = Self(0);
    /// 1.
    pub const ONE: Self = Self((BIAS as u32) << FRACTION);
    /// Below every number.
    pub const NEGATIVE_INFINITY: Self = Self((1 << (FRACTION + 8)) | (TOP << FRACTION));
    /// Every result that is no number.
    pub const NAN: Self = Self((TOP << FRACTION) | (1 << (FRACTION - 1)));

    /// The number with these bits, of which those above the sign are ignored.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & (u32::MAX >> (23 - FRACTION)))
    }

    /// Its bits; the sign is bit `FRACTION` + 8.
    pub const fn to_bits(self) -> u32 {
        self.0
    }

    /// The nearest number to an FP32 number of the host.
    pub fn from_f32(value: f32) -> Self {
        Fp32::from_bits(value.to_bits()).round()
    }

    /// The nearest number to an FP64 number of the host.
    pub fn from_f64(value: f64) -> Self {
        let (bits, negative) = (value.to_bits(), value.is_sign_negative());
        // Below 2^-1000 nothing reaches the range of a normal number.
        match ((bits >> 52) & 0x7ff) as i32 {
            0x7ff if value.is_nan() => Self::NAN,
            0x7ff => Self::infinity(negative),
            field if field < 23 => Self::zero(negative),
            field => {
                let significand = (bits & ((1 << 52) - 1)) | (1 << 52);
                Self::pack(negative, field - 1023 - 52, significand)
            }
        }
    }

    /// The same number as FP32 of the host, exactly.
    pub fn to_f32(self) -> f32 {
        f32::from_bits(self.0 << (23 - FRACTION))
    }

    /// The same number as FP64 of the host, exactly.
    pub fn to_f64(self) -> f64 {
        f64::from(self.to_f32())
    }

    /// The nearest number of another format; exact where that has as many fraction bits.
    pub fn round<const TARGET: u32>(self) -> Float<TARGET> {
        let negative = self.is_negative();
        match self.value() {
            Value::Zero => Float::zero(negative),
            Value::Infinite => Float::infinity(negative),
            Value::NotANumber => Float::NAN,
            Value::Finite { exponent, significand } => Float::pack(negative, exponent, significand),
        }
    }

    /// Whether the sign bit is set.
    pub fn is_negative(self) -> bool {
        (self.0 >> (FRACTION + 8)) & 1 == 1
    }

    /// Whether it is no number.
    pub fn is_nan(self) -> bool {
        matches!(self.value(), Value::NotANumber)
    }

    /// The number with the opposite sign.
    #[must_use]
    pub fn negate(self) -> Self {
        Self(self.0 ^ (1 << (FRACTION + 8)))
    }

    fn zero(negative: bool) -> Self {
        Self(u32::from(negative) << (FRACTION + 8))
    }

    fn infinity(negative: bool) -> Self {
        Self(Self::zero(negative).0 | (TOP << FRACTION))
    }

    fn value(self) -> Value {
        let fraction = self.0 & ((1 << FRACTION) - 1);
        match (self.0 >> FRACTION) & TOP {
            0 => Value::Zero,
            TOP if fraction == 0 => Value::Infinite,
            TOP => Value::NotANumber,
            field => Value::Finite {
                exponent: field as i32 - BIAS - FRACTION as i32,
                significand: u64::from(fraction | (1 << FRACTION)),
            },
        }
    }

    /// The nearest number to `significand` times 2^`exponent`, both zero and not.
    fn pack(negative: bool, exponent: i32, significand: u64) -> Self {
        if significand == 0 {
            return Self::zero(negative);
        }
        let mut leading = 63 - significand.leading_zeros();
        let mut kept = if leading <= FRACTION {
            significand << (FRACTION - leading)
        } else {
            let drop = leading - FRACTION;
            let (kept, rest) = (significand >> drop, significand & ((1 << drop) - 1));
            let half = 1 << (drop - 1);
            kept + u64::from(rest > half || (rest == half && kept & 1 == 1))
        };
        // Rounding up reached the next power of two.
        if kept >> (FRACTION + 1) == 1 {
            kept >>= 1;
            leading += 1;
        }
        let field = exponent + leading as i32 + BIAS;
        if field >= TOP as i32 {
            Self::infinity(negative)
        } else if field < 1 {
            Self::zero(negative)
        } else {
            let fraction = kept as u32 & ((1 << FRACTION) - 1);
            Self(Self::zero(negative).0 | ((field as u32) << FRACTION) | fraction)
        }
    }
}

impl Bf16 {
    /// The same number as FP32.
    pub fn widen(self) -> Fp32 {
        self.round()
    }
}

impl Fp32 {
    /// The nearest BF16 number.
    pub fn narrow(self) -> Bf16 {
        self.round()
    }
}

impl<const FRACTION: u32> fmt::Debug for Float<FRACTION> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#x})", self.to_f32(), self.0)
    }
}

/// The product of two numbers, rounded to another format.
///
/// Of two BF16 numbers the FP32 product is exact, unless it leaves the range.
pub fn multiply<const FRACTION: u32, const TARGET: u32>(
    a: Float<FRACTION>,
    b: Float<FRACTION>,
) -> Float<TARGET> {
    let negative = a.is_negative() != b.is_negative();
    match (a.value(), b.value()) {
        (Value::NotANumber, _)
        | (_, Value::NotANumber)
        | (Value::Zero, Value::Infinite)
        | (Value::Infinite, Value::Zero) => Float::NAN,
        (Value::Infinite, _) | (_, Value::Infinite) => Float::infinity(negative),
        (Value::Zero, _) | (_, Value::Zero) => Float::zero(negative),
        (
            Value::Finite { exponent: a, significand: m },
            Value::Finite { exponent: b, significand: n },
        ) => Float::pack(negative, a + b, m * n),
    }
}

/// The sum of two numbers of one format.
pub fn add<const FRACTION: u32>(a: Float<FRACTION>, b: Float<FRACTION>) -> Float<FRACTION> {
    // The larger magnitude first: below the sign, bits order as magnitudes do.
    let magnitude = |x: Float<FRACTION>| x.0 & ((1 << (FRACTION + 8)) - 1);
    let (large, small) = if magnitude(a) < magnitude(b) { (b, a) } else { (a, b) };
    let (negative, subtract) = (large.is_negative(), large.is_negative() != small.is_negative());
    match (large.value(), small.value()) {
        (Value::NotANumber, _) | (_, Value::NotANumber) => Float::NAN,
        (Value::Infinite, Value::Infinite) if subtract => Float::NAN,
        (Value::Infinite, _) => Float::infinity(negative),
        (Value::Zero, _) => Float::zero(a.is_negative() && b.is_negative()),
        (_, Value::Zero | Value::Infinite) => large,
        (
            Value::Finite { exponent, significand },
            Value::Finite { exponent: lower, significand: addend },
        ) => {
            let (wide, addend) = (significand << EXTRA, addend << EXTRA);
            // All that is shifted out only matters as being more than nothing.
            let distance = (exponent - lower).unsigned_abs().min(63);
            let (aligned, lost) = (addend >> distance, addend & ((1 << distance) - 1));
            let aligned = aligned | u64::from(lost != 0);
            let sum = if subtract { wide - aligned } else { wide + aligned };
            Float::pack(negative && sum != 0, exponent - EXTRA as i32, sum)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Subnormal numbers as zeros.
    fn flushed(value: f64) -> f64 {
        if value.abs() < f64::from(f32::MIN_POSITIVE) { 0.0f64.copysign(value) } else { value }
    }

    /// An exact number rounded to BF16 by comparing it with its two neighbours; nothing of the bit
    /// algorithm enters.
    fn nearest(exact: f64) -> Bf16 {
        if exact.is_nan() {
            return Bf16::NAN;
        }
        let magnitude = exact.abs();
        let sign = u32::from(exact.is_sign_negative()) << 15;
        let number = |bits: u32| f64::from(f32::from_bits(bits << 16));
        // The neighbours of infinity are the largest number and 2^128.
        let upper = |bits: u32| if bits == 0x7f80 { 2f64.powi(128) } else { number(bits) };
        if magnitude < number(0x80) {
            // Between zero and the smallest normal number there is none; what would round to the latter
            // if there were does.
            let rounds_up = magnitude >= number(0x80) * (1.0 - 2f64.powi(-9));
            return Bf16::from_bits(sign | if rounds_up { 0x80 } else { 0 });
        }
        if magnitude >= 2f64.powi(128) {
            return Bf16::from_bits(sign | 0x7f80);
        }
        let (mut low, mut beyond) = (0x80, 0x7f80);
        while beyond - low > 1 {
            let middle = (low + beyond) / 2;
            if number(middle) <= magnitude { low = middle } else { beyond = middle }
        }
        let (down, up) = (magnitude - number(low), upper(low + 1) - magnitude);
        let odd = low & 1 == 1;
        let bits = if down < up || (down == up && !odd) { low } else { low + 1 };
        Bf16::from_bits(sign | bits)
    }

    /// Every sign and exponent field that matters with fractions at the ends and in the middle.
    fn samples() -> Vec<u32> {
        let exponents = [
            0, 1, 2, 8, 9, 63, 64, 100, 118, 119, 120, 126, 127, 128, 135, 136, 190, 253, 254, 255,
        ];
        let fractions = [0, 1, 2, 63, 64, 65, 85, 126, 127];
        let words = exponents
            .iter()
            .flat_map(|exponent| fractions.iter().map(move |fraction| exponent << 7 | fraction));
        words.flat_map(|word| [word, word | 0x8000]).collect()
    }

    fn exact(bits: u32) -> f64 {
        flushed(f64::from(f32::from_bits(bits << 16)))
    }

    /// 129,600 pairs. Products of two BF16 numbers are exact in FP64.
    #[test]
    fn products_are_exact_numbers_rounded_once() {
        let samples = samples();
        for &a in &samples {
            for &b in &samples {
                let product = exact(a) * exact(b);
                let (x, y) = (Bf16::from_bits(a), Bf16::from_bits(b));
                assert_eq!(multiply::<7, 7>(x, y), nearest(product), "{x:?} * {y:?}");
                let wide = multiply::<7, 23>(x, y);
                if product.is_nan() {
                    assert_eq!(wide, Fp32::NAN);
                } else if product.is_infinite() || product.abs() >= 2f64.powi(-126) {
                    assert_eq!(
                        wide.to_f32().to_bits(),
                        (product as f32).to_bits(),
                        "{x:?} * {y:?}"
                    );
                }
            }
        }
    }

    /// The same pairs. Sums are exact in FP64 where the exponents are less than 45 apart; farther
    /// apart, the smaller one cannot move the larger, whose neighbours are 2^-8 away.
    #[test]
    fn sums_are_exact_numbers_rounded_once() {
        let samples = samples();
        for &a in &samples {
            for &b in &samples {
                let (x, y) = (Bf16::from_bits(a), Bf16::from_bits(b));
                assert_eq!(add(x, y), nearest(exact(a) + exact(b)), "{x:?} + {y:?}");
            }
        }
    }

    #[test]
    fn zeros_infinities_and_nan_follow_ieee_754() {
        let [inf, nan] = [f32::INFINITY, f32::NAN].map(Bf16::from_f32);
        let [zero, one] = [Bf16::ZERO, Bf16::ONE];
        assert_eq!(add(inf, inf.negate()), Bf16::NAN);
        assert_eq!(add(zero.negate(), zero), zero);
        assert_eq!(add(zero.negate(), zero.negate()), zero.negate());
        assert_eq!(add(one.negate(), one), zero);
        assert_eq!(multiply::<7, 7>(inf, zero), Bf16::NAN);
        assert_eq!(multiply::<7, 7>(inf, one.negate()), inf.negate());
        assert_eq!(multiply::<7, 23>(nan, one), Fp32::NAN);
        assert_eq!((Bf16::NAN.to_bits(), Bf16::ONE.to_bits()), (0x7fc0, 0x3f80));
    }

    #[test]
    fn subnormal_numbers_are_zeros() {
        let smallest = Bf16::from_bits(0x0080);
        assert_eq!(add(Bf16::from_bits(0x007f), Bf16::ZERO), Bf16::ZERO);
        assert_eq!(multiply::<7, 7>(smallest, Bf16::from_f32(0.5)), Bf16::ZERO);
        assert_eq!(multiply::<7, 7>(smallest.negate(), Bf16::from_f32(0.5)), Bf16::ZERO.negate());
        assert_eq!(Bf16::from_f32(1e-40), Bf16::ZERO);
        // 1.0000001b * 2^-126 less 2^-126 is 2^-133.
        assert_eq!(add(Bf16::from_bits(0x0081), smallest.negate()), Bf16::ZERO);
    }

    fn word() -> impl Strategy<Value = u32> {
        // Neighbouring exponents, where sums cancel and round, as often as anything.
        prop_oneof![
            any::<u32>(),
            (0u32..1 << 23, 120u32..136, any::<bool>()).prop_map(
                |(fraction, exponent, negative)| u32::from(negative) << 31
                    | exponent << 23
                    | fraction
            )
        ]
    }

    fn same(found: Fp32, expected: f32) -> bool {
        if expected.is_nan() {
            return found == Fp32::NAN;
        }
        expected.is_subnormal() || found.to_f32().to_bits() == expected.to_bits()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// FP32 against the processor's.
        #[test]
        fn fp32_is_that_of_the_processor(a in word(), b in word()) {
            let (x, y) = (f32::from_bits(a), f32::from_bits(b));
            prop_assume!(!x.is_subnormal() && !y.is_subnormal());
            let (p, q) = (Fp32::from_bits(a), Fp32::from_bits(b));
            prop_assert!(same(add(p, q), x + y), "{p:?} + {q:?} = {:?}", add(p, q));
            let product = multiply::<23, 23>(p, q);
            prop_assert!(same(product, x * y), "{p:?} * {q:?} = {product:?}");
        }

        #[test]
        fn conversions_round_to_the_nearest(bits in any::<u32>(), rest in any::<u32>()) {
            let value = f32::from_bits(bits);
            prop_assert_eq!(Bf16::from_f32(value), nearest(flushed(f64::from(value))));
            let double = f64::from(value) * (1.0 + f64::from(rest) * 2f64.powi(-60));
            if !(double as f32).is_subnormal() {
                prop_assert!(same(Fp32::from_f64(double), double as f32));
            }
        }
    }
}
