//! Multipliers, adders and the rounding stage: a pair of numbers per cycle, the corners frequent.

use std::sync::Arc;

use attelier_rtl::ir::Module;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::units::pim_gpt as rtl;
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error};
use attelier_sim::datapath::bf16::{Bf16, Float, Fp32, add, multiply};

use super::operands::{near, number};
use crate::cosim::{Plan, Random, Unit};

/// A module without registers and what it computes, on bits.
struct Arithmetic {
    name: &'static str,
    format: &'static str,
    module: fn() -> Result<Arc<Module>, Error>,
    vectors: fn(&Pins, Plan) -> Box<dyn Vectors>,
    faults: &'static [(&'static str, Change)],
}

const MULTIPLY: &[(&str, Change)] = &[
    ("rounds_up", Change::Zero),
    ("significand", Change::Exchanged),
    ("underflows", Change::Zero),
    ("overflows", Change::Zero),
    ("nan", Change::Zero),
    ("sign", Change::Inverted),
];

const ADD: &[(&str, Change)] = &[
    ("rounds_up", Change::Zero),
    ("swap", Change::Exchanged),
    ("lost", Change::Zero),
    ("far", Change::Zero),
    ("cancels", Change::Zero),
    ("opposite", Change::Zero),
    ("passes", Change::Zero),
    ("top_1_empty", Change::Zero),
];

/// A product is exact, so nothing is rounded up.
const PRODUCT: &[(&str, Change)] = &[
    ("high", Change::Zero),
    ("underflows", Change::Zero),
    ("overflows", Change::Zero),
    ("nan", Change::Zero),
];

/// Overflow needs no logic of its own here: what is rounded up to an exponent of 255 has no fraction.
const NARROW: &[(&str, Change)] =
    &[("rounds_up", Change::Zero), ("rounds_up", Change::Inverted), ("a_nan", Change::Zero)];

/// All modules without registers.
pub fn units() -> Vec<Box<dyn Unit>> {
    let unit = |name, format, module, vectors, faults| {
        Box::new(Arithmetic { name, format, module, vectors, faults }) as Box<dyn Unit>
    };
    vec![
        unit("bf16_multiply", "BF16", rtl::bf16_multiply, of_two::<7, 7, Multiply>, MULTIPLY),
        unit("bf16_add", "BF16", rtl::bf16_add, of_two::<7, 7, Add>, ADD),
        unit("bf16_product", "BF16 to FP32", rtl::bf16_product, of_two::<7, 23, Multiply>, PRODUCT),
        unit("fp32_multiply", "FP32", rtl::fp32_multiply, of_two::<23, 23, Multiply>, MULTIPLY),
        unit("fp32_add", "FP32", rtl::fp32_add, of_two::<23, 23, Add>, ADD),
        unit("fp32_to_bf16", "FP32 to BF16", rtl::fp32_to_bf16, narrow, NARROW),
    ]
}

impl Unit for Arithmetic {
    fn name(&self) -> &'static str {
        self.name
    }

    fn parameters(&self) -> String {
        self.format.to_owned()
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&(self.module)()?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        (self.vectors)(pins, plan)
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let module = self.name;
        let fault = |&(signal, change)| Mutation { module, signal, change };
        self.faults.iter().map(fault).collect()
    }
}

/// An operation on two numbers.
trait Operation<const FROM: u32, const TO: u32> {
    fn of(a: Float<FROM>, b: Float<FROM>) -> Float<TO>;
}

struct Multiply;
struct Add;

impl<const FROM: u32, const TO: u32> Operation<FROM, TO> for Multiply {
    fn of(a: Float<FROM>, b: Float<FROM>) -> Float<TO> {
        multiply(a, b)
    }
}

impl<const BITS: u32> Operation<BITS, BITS> for Add {
    fn of(a: Float<BITS>, b: Float<BITS>) -> Float<BITS> {
        add(a, b)
    }
}

fn of_two<const FROM: u32, const TO: u32, O: Operation<FROM, TO>>(
    pins: &Pins,
    plan: Plan,
) -> Box<dyn Vectors> {
    let (a_pin, b_pin, result) = (pins.input("a"), pins.input("b"), pins.output("result"));
    let mut random = Random::new(plan.seed, 1);
    Box::new(move |frame: &mut Frame| {
        if frame.beats() == plan.beats {
            return false;
        }
        frame.count_beat();
        let a = number::<FROM>(&mut random);
        let b = if random.chance(1, 4) { near(&mut random, a) } else { number(&mut random) };
        frame.drive(a_pin, a.to_bits().into());
        frame.drive(b_pin, b.to_bits().into());
        frame.expect(result, O::of(a, b).to_bits().into());
        true
    })
}

fn narrow(pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
    let (a_pin, result) = (pins.input("a"), pins.output("result"));
    let mut random = Random::new(plan.seed, 1);
    Box::new(move |frame: &mut Frame| {
        if frame.beats() == plan.beats {
            return false;
        }
        frame.count_beat();
        let mut a: Fp32 = number(&mut random);
        if random.chance(1, 4) {
            // A tie, or the largest number.
            a = Fp32::from_bits(a.to_bits() & !0x7fff | 0x8000);
        } else if random.chance(1, 16) {
            a = Fp32::from_bits(0x7f7f_0000 | random.bits(16) as u32);
        }
        frame.drive(a_pin, a.to_bits().into());
        let expected: Bf16 = a.narrow();
        frame.expect(result, expected.to_bits().into());
        true
    })
}
