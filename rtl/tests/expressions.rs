//! Random expressions: native execution against plain `u128` arithmetic, and both simulators
//! against native execution.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::sync::Arc;

use attelier_rtl::{
    Design, ModuleBuilder, Signal, Simulator,
    bench::{Bench, Case, Tool, run_native},
    bits::Bits,
    ir::{Module, Type},
};
use proptest::prelude::*;
use rand::RngExt;
use rand_pcg::Pcg64Mcg;

/// A value beside its type, computed without the crate.
#[derive(Clone, Copy, Debug)]
struct Plain {
    bits: u128,
    width: u32,
    signed: bool,
}

impl Plain {
    fn new(bits: u128, width: u32, signed: bool) -> Self {
        Self { bits: bits & (u128::MAX >> (128 - width)), width, signed }
    }

    /// As an integer, in its own signedness.
    fn value(self) -> i128 {
        let drop = 128 - self.width;
        if self.signed { ((self.bits << drop) as i128) >> drop } else { self.bits as i128 }
    }

    fn less(self, other: Self) -> bool {
        if self.signed { self.value() < other.value() } else { self.bits < other.bits }
    }
}

/// One step of a recipe; operands are picked by number among what exists.
#[derive(Clone, Copy, Debug)]
struct Step {
    kind: u8,
    a: usize,
    b: usize,
    c: usize,
    parameter: u32,
    named: bool,
}

const KINDS: u8 = 26;
const WIDEST: u32 = 120;

fn recipe(random: &mut Pcg64Mcg, length: usize) -> Vec<Step> {
    (0..length)
        .map(|_| Step {
            kind: random.random_range(0..KINDS),
            a: random.random_range(0..1 << 20),
            b: random.random_range(0..1 << 20),
            c: random.random_range(0..1 << 20),
            parameter: random.random_range(0..1 << 20),
            named: random.random_range(0..4) == 0,
        })
        .collect()
}

/// Input types of every recipe.
const INPUTS: [(u32, bool); 6] =
    [(1, false), (7, false), (12, true), (33, false), (64, true), (90, false)];

/// Runs a recipe on hardware and on plain values at once.
///
/// The plain values decide nothing about the hardware: only types steer the recipe.
fn cook(m: &ModuleBuilder, steps: &[Step], inputs: &[u128]) -> (Vec<Signal>, Vec<Plain>) {
    let mut signals: Vec<Signal> = Vec::new();
    let mut plains: Vec<Plain> = Vec::new();
    for (at, (width, signed)) in INPUTS.into_iter().enumerate() {
        let input = m.input(format!("in_{at}"), Type { width, signed });
        m.discard(&input);
        signals.push(input);
        plains.push(Plain::new(inputs[at], width, signed));
    }
    for (number, step) in steps.iter().enumerate() {
        let pick = |at: usize| at % signals.len();
        // Of two equal operands linters know the result and say so.
        let (ia, ib, ic) = (pick(step.a), pick(step.b), pick(step.c));
        let ib = if ia == ib { pick(ib + 1) } else { ib };
        let (a, pa) = (&signals[ia], plains[ia]);
        // The second operand in the type of the first.
        let fit = |at: usize| {
            let (s, p) = (&signals[at], plains[at]);
            let s = if pa.signed { s.as_signed() } else { s.as_unsigned() };
            let p = Plain { signed: pa.signed, ..p };
            if p.width > pa.width {
                let cut = s.bits(0..pa.width);
                let cut = if pa.signed { cut.as_signed() } else { cut };
                (cut, Plain::new(p.bits, pa.width, pa.signed))
            } else {
                (s.extend(pa.width), Plain::new(p.value() as u128, pa.width, pa.signed))
            }
        };
        let (b, pb) = fit(ib);
        let (c, pc) = fit(ic);
        let bit = |value: bool| Plain::new(u128::from(value), 1, false);
        let like = |bits: u128| Plain::new(bits, pa.width, pa.signed);
        let (select, ps) = (signals[ic].bit(0), plains[ic].bits & 1 == 1);
        let (amount, pn) = {
            let width = plains[ib].width.min(8);
            (signals[ib].bits(0..width), plains[ib].bits & ((1 << width) - 1))
        };
        let constant = step.parameter % (1 << pa.width.min(20));
        let (signal, plain) = match step.kind {
            0 => (a + &b, like(pa.bits.wrapping_add(pb.bits))),
            1 => (a - &b, like(pa.bits.wrapping_sub(pb.bits))),
            2 => (a & &b, like(pa.bits & pb.bits)),
            3 => (a | &b, like(pa.bits | pb.bits)),
            4 => (a ^ &b, like(pa.bits ^ pb.bits)),
            5 => (!a, like(!pa.bits)),
            6 => (a.eq(&b), bit(pa.bits == pb.bits)),
            7 => (a.ne(&b), bit(pa.bits != pb.bits)),
            8 => (a.lt(&b), bit(pa.less(pb))),
            9 => (a.le(&b), bit(!pb.less(pa))),
            10 => (a.gt(&b), bit(pb.less(pa))),
            11 => (a.ge(&b), bit(!pa.less(pb))),
            12 => (a.any(), bit(pa.bits != 0)),
            13 => (a.all(), bit(pa.bits == u128::MAX >> (128 - pa.width))),
            14 => (a.parity(), bit(pa.bits.count_ones() % 2 == 1)),
            15 => (select.mux(&b, &c), if ps { pb } else { pc }),
            16 => {
                let low = step.parameter % pa.width;
                let width = 1 + step.parameter / 7 % (pa.width - low);
                (a.bits(low..low + width), Plain::new(pa.bits >> low, width, false))
            }
            17 if pa.width < WIDEST => {
                let width = pa.width + 1 + step.parameter % (WIDEST - pa.width);
                (a.extend(width), Plain::new(pa.value() as u128, width, pa.signed))
            }
            18 if pa.width + plains[ib].width <= WIDEST => {
                let (low, pl) = (&signals[ib], plains[ib]);
                let joined = Plain::new(pa.bits << pl.width | pl.bits, pa.width + pl.width, false);
                (m.concat([a, low]), joined)
            }
            19 if 2 * pa.width <= WIDEST => {
                let product = pa.value().wrapping_mul(pb.value()) as u128;
                (a.mul(&b), Plain::new(product, 2 * pa.width, pa.signed))
            }
            20 => {
                let shifted = if pn < 128 { pa.bits << pn } else { 0 };
                (a << &amount, like(shifted))
            }
            21 => (a >> &amount, like((pa.value() >> pn.min(127)) as u128)),
            22 => (a.as_signed(), Plain { signed: true, ..pa }),
            23 => (a.as_unsigned(), Plain { signed: false, ..pa }),
            24 => (a + u64::from(constant), like(pa.bits.wrapping_add(constant.into()))),
            _ => {
                let index = plains[ic].bits & 3;
                let select = signals[ic].extend(plains[ic].width.max(2)).bits(0..2);
                let index = if plains[ic].width == 1 {
                    let wide = Plain::new(plains[ic].value() as u128, 2, false);
                    wide.bits
                } else {
                    index
                };
                let chosen = m.case(&select, [(0, &b), (2, a)], &c);
                (chosen, [pb, pc, pa, pc][index as usize])
            }
        };
        assert_eq!((signal.width(), signal.ty().signed), (plain.width, plain.signed), "{step:?}");
        let signal = if step.named { m.wire(format!("wire_{number}"), &signal) } else { signal };
        if step.named {
            m.discard(&signal);
        }
        signals.push(signal);
        plains.push(plain);
    }
    (signals, plains)
}

/// The module of a recipe. Every signal that is taken bits of needs a discard, which the builder
/// gives only by name: so all values are outputs.
fn module(name: &str, steps: &[Step]) -> Arc<Module> {
    let m = ModuleBuilder::new(name);
    let (signals, _) = cook(&m, steps, &[0; 6]);
    for (at, signal) in signals.iter().enumerate().skip(INPUTS.len()) {
        m.output(format!("out_{at}"), signal);
    }
    m.finish().unwrap()
}

fn vectors(module: &Module, seed: u64, count: usize) -> Vec<Vec<Bits>> {
    let mut vectors = common::random_vectors(module, count, seed);
    // Corners are rare among random values.
    for (vector, corner) in vectors.iter_mut().zip([Bits::zero, Bits::ones]) {
        vector.iter_mut().for_each(|value| *value = corner(value.width()));
    }
    vectors
}

fn wide(bits: &Bits) -> u128 {
    let word = |at: usize| u128::from(bits.words().get(at).copied().unwrap_or(0));
    word(0) | word(1) << 64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn native_execution_equals_plain_arithmetic(seed: u64) {
        let steps = recipe(&mut common::random(seed), 40);
        let module = module("expressions", &steps);
        let vectors = vectors(&module, seed ^ 1, 6);
        let rows = run_native(&module, &vectors).unwrap();
        for (vector, row) in vectors.iter().zip(&rows) {
            let inputs: Vec<u128> = vector.iter().map(wide).collect();
            let (_, plains) = cook(&ModuleBuilder::new("plain"), &steps, &inputs);
            for (at, (found, plain)) in row.iter().zip(&plains[INPUTS.len()..]).enumerate() {
                prop_assert_eq!(wide(found), plain.bits, "step {}: {:?}", at, steps[at]);
            }
        }
    }
}

/// A bit of a wide value chooses, straight and inverted, between two values and between one and zero:
/// each is one instruction, and what folding leaves behind is none.
#[test]
fn a_choice_by_any_bit_is_one_instruction() {
    let m = ModuleBuilder::new("choices");
    let (wide, one, zero) = (m.input("wide", 100), m.input("one", 9), m.input("zero", 9));
    m.discard(&wide);
    for bit in [0, 63, 64, 99] {
        m.output(format!("straight_{bit}"), &wide.bit(bit).mux(&one, &zero));
        m.output(format!("inverted_{bit}"), &(!wide.bit(bit)).mux(&one, &zero));
        m.output(format!("gated_{bit}"), &wide.bit(bit).gate(&one));
    }
    let design = Design::new([&m.finish().unwrap()]).unwrap();
    let mut simulator = Simulator::new(&design, "choices").unwrap();
    assert_eq!(simulator.instructions(), 12);
    simulator.set("one", 0x155).unwrap();
    simulator.set("zero", 0x0f3).unwrap();
    for set in 0..100 {
        let mut value = Bits::zero(100);
        value.place(set, &Bits::new(1, 1));
        simulator.set_bits("wide", &value).unwrap();
        for bit in [0, 63, 64, 99] {
            let mut get = |kind: &str| simulator.get(&format!("{kind}_{bit}")).unwrap();
            let expected = if bit == set { [0x155, 0x0f3, 0x155] } else { [0x0f3, 0x155, 0] };
            assert_eq!(["straight", "inverted", "gated"].map(&mut get), expected, "{set} {bit}");
        }
    }
}

#[test]
fn simulators_agree_with_native_execution_and_the_linter_finds_nothing() {
    // Verilator takes seconds for each recipe, Icarus Verilog does not.
    let (mut bench, mut small) = (Bench::default(), Bench::default());
    for seed in 0..24 {
        let steps = recipe(&mut common::random(seed), 60);
        let module = module(&format!("expressions_{seed}"), &steps);
        let vectors = vectors(&module, seed, 60);
        let case = Case::native(&module, vectors).unwrap();
        if seed < 5 {
            small.add(case.clone());
        }
        bench.add(case);
    }
    // Random expressions compare a value with itself in ways that only a linter sees through.
    common::lint_except(&bench, &["UNSIGNED", "CMPCONST"]);
    common::compare(&bench, Tool::Icarus, 24 * 60);
    common::compare(&small, Tool::Verilator, 5 * 60);
}
