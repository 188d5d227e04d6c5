//! PIM-GPT's units, run natively, against the host's FP32 in the same order and its FP64 functions.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use attelier_hw::pim_gpt::Mac;
use attelier_rtl::{Design, Simulator, bits::Bits, units::pim_gpt};
use rand::RngExt;

/// Sixteen BF16 numbers side by side.
fn packed(numbers: &[f32]) -> Bits {
    let mut bits = Bits::zero(256);
    for (at, number) in (0..).zip(numbers) {
        bits.place(at * 16, &Bits::new((number.to_bits() >> 16).into(), 16));
    }
    bits
}

#[test]
fn dot_products_are_those_of_the_host_in_the_same_order() {
    let params = Mac { multipliers: 16, clock_hz: 1, columns: 1, interval: 1 };
    let design = Design::new([&pim_gpt::mac_unit(&params).unwrap()]).unwrap();
    let mut simulator = Simulator::new(&design, "mac_unit").unwrap();
    let mut random = common::random(11);
    for _ in 0..200 {
        let mut sum = 0.0f32;
        for _ in 0..random.random_range(1..6) {
            let mut vector = || -> Vec<f32> {
                let bf16 = |number: f32| f32::from_bits(number.to_bits() & 0xffff_0000);
                (0..16).map(|_| bf16(random.random_range(-4.0f32..4.0))).collect()
            };
            let (weights, inputs) = (vector(), vector());
            let mut level: Vec<f32> = weights.iter().zip(&inputs).map(|(w, x)| w * x).collect();
            while level.len() > 1 {
                level = level.chunks(2).map(|pair| pair[0] + pair[1]).collect();
            }
            sum += level[0];
            simulator.set_bits("weights", &packed(&weights)).unwrap();
            simulator.set_bits("inputs", &packed(&inputs)).unwrap();
            simulator.set("mac_valid", 1).unwrap();
            simulator.step();
        }
        simulator.set("mac_valid", 0).unwrap();
        simulator.set("read_valid", 1).unwrap();
        for _ in 0..pim_gpt::mac_unit_latency(&params) {
            assert_eq!(simulator.get("result_valid").unwrap(), 0);
            simulator.step();
            simulator.set("read_valid", 0).unwrap();
        }
        assert_eq!(simulator.get("result_valid").unwrap(), 1);
        let found = f32::from_bits((simulator.get("result").unwrap() as u32) << 16);
        // Half a unit in the last of eight bits.
        assert!((found - sum).abs() <= sum.abs() / 256.0, "{found} for {sum}");
        simulator.step();
    }
}

/// Relative errors of the methods: `docs/designs/pim-gpt.md` and the simulator's functions.
#[test]
fn functions_hold_their_bounds() {
    type Build = fn() -> Result<pim_gpt::FunctionUnit, attelier_rtl::Error>;
    /// Hardware, mathematics, first and last argument, relative error.
    type Case = (Build, fn(f64) -> f64, f64, f64, f64);
    let cases: [Case; 5] = [
        (pim_gpt::reciprocal, |x| 1.0 / x, 0.01, 90.0, 3e-7),
        (pim_gpt::inverse_square_root, |x| 1.0 / x.sqrt(), 0.01, 90.0, 0.001_753),
        (pim_gpt::exponential, f64::exp, -80.0, 80.0, 4e-6),
        (pim_gpt::tanh, f64::tanh, -5.0, 5.0, 4e-6),
        (
            pim_gpt::gelu,
            |x| 0.5 * x * (1.0 + (0.797_884_560_802_865_4 * (x + 0.044_715 * x * x * x)).tanh()),
            0.01,
            8.0,
            5e-6,
        ),
    ];
    for (build, exact, from, to, bound) in cases {
        let (module, latency) = build().unwrap();
        let design = Design::new([&module]).unwrap();
        let mut simulator = Simulator::new(&design, module.name()).unwrap();
        let arguments: Vec<f32> =
            (0..2000).map(|at| (from + (to - from) * f64::from(at) / 1999.7) as f32).collect();
        for cycle in 0..arguments.len() + latency as usize {
            if let Some(x) = arguments.get(cycle) {
                simulator.set("x", x.to_bits().into()).unwrap();
            }
            if let Some(at) = cycle.checked_sub(latency as usize) {
                let found = f64::from(f32::from_bits(simulator.get("y").unwrap() as u32));
                let expected = exact(f64::from(arguments[at]));
                let error = ((found - expected) / expected).abs();
                assert!(error <= bound, "{}({}) = {found}", module.name(), arguments[at]);
            }
            simulator.step();
        }
    }
}
