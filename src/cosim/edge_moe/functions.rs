//! Exponential, quotient and root: any operand, the corners and small ones frequent.

use std::collections::VecDeque;
use std::sync::Arc;

use attelier_rtl::ir::Module;
use attelier_rtl::mutate::{Change, Mutation};
use attelier_rtl::units::edge_moe as rtl;
use attelier_rtl::witness::{Frame, Pins, Vectors};
use attelier_rtl::{Design, Error};
use attelier_sim::datapath::fixed::Fixed;
use attelier_sim::datapath::fixed_functions::{divide, exp_negative, square_root};

use super::operands::number;
use crate::cosim::{Pace, Plan, Random, Unit};

/// Width of a feature \[bits\].
const FEATURE: u32 = 32;
/// Tables, three products \[cycles\].
const EXPONENTIAL: usize = 4;
/// A bit of the quotient each, and the one that begins \[cycles\].
const DIVISION: u64 = 54;
/// Two bits of the radicand each, and the one that begins \[cycles\].
const ROOT: u64 = 28;

/// A function, with what it takes and how its hardware is called.
struct Function {
    name: &'static str,
    module: fn() -> Result<Arc<Module>, Error>,
    vectors: fn(&Pins, Plan) -> Box<dyn Vectors>,
    faults: &'static [(&'static str, &'static str, Change)],
}

/// All functions.
pub fn units() -> Vec<Box<dyn Unit>> {
    let exponential = Function {
        name: "exponential",
        module: rtl::exponential,
        vectors: exponential,
        faults: &[
            ("exponential", "near", Change::Inverted),
            ("exponential", "high", Change::Undelayed),
            ("exponential", "rest_2", Change::Undelayed),
            ("exponential", "one_less_rest", Change::Zero),
            ("exponential", "result", Change::Undelayed),
        ],
    };
    let divider = Function {
        name: "divider",
        module: rtl::divider,
        vectors: |pins, plan| iterative(pins, plan, Iterative::Division),
        faults: &[
            ("divider", "fits", Change::Inverted),
            ("divider", "is_positive", Change::Inverted),
            ("divider", "is_last", Change::Delayed),
            ("divider", "rest", Change::Zero),
            ("divider", "left", Change::Zero),
        ],
    };
    let root = Function {
        name: "square_root",
        module: rtl::square_root,
        vectors: |pins, plan| iterative(pins, plan, Iterative::Root),
        faults: &[
            ("square_root", "fits", Change::Inverted),
            ("square_root", "trial", Change::Delayed),
            ("square_root", "is_last", Change::Delayed),
            ("square_root", "left", Change::Exchanged),
        ],
    };
    vec![Box::new(exponential), Box::new(divider), Box::new(root)]
}

impl Unit for Function {
    fn name(&self) -> &'static str {
        self.name
    }

    fn parameters(&self) -> String {
        "one feature".to_owned()
    }

    fn design(&self) -> Result<Design, Error> {
        Design::new([&(self.module)()?])
    }

    fn vectors(&self, pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
        (self.vectors)(pins, plan)
    }

    fn mutations(&self) -> Vec<Mutation<'static>> {
        let fault = |&(module, signal, change)| Mutation { module, signal, change };
        self.faults.iter().map(fault).collect()
    }
}

fn exponential(pins: &Pins, plan: Plan) -> Box<dyn Vectors> {
    let (distance, y) = (pins.input("distance"), pins.output("y"));
    let mut random = Random::new(plan.seed, 1);
    let mut later: VecDeque<i32> = VecDeque::new();
    Box::new(move |frame: &mut Frame| {
        if frame.beats() >= plan.beats + EXPONENTIAL as u64 {
            return false;
        }
        // Most distances are below 16, from where on the exponential is 0.
        let x = match random.below(4) {
            0 => number(&mut random, FEATURE) as u32,
            1 => (random.bits(10) << 16 | random.bits(2)) as u32,
            _ => random.bits(26) as u32,
        };
        frame.drive(distance, x.into());
        frame.count_beat();
        if later.len() == EXPONENTIAL {
            frame.expect(y, later.pop_front().unwrap_or_default() as u64);
        }
        later.push_back(exp_negative(x));
        true
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Iterative {
    Division,
    Root,
}

fn iterative(pins: &Pins, plan: Plan, kind: Iterative) -> Box<dyn Vectors> {
    let (start, busy) = (pins.input("start"), pins.output("busy"));
    let (operands, result, cycles) = match kind {
        Iterative::Division => {
            (vec![pins.input("numerator"), pins.input("denominator")], "quotient", DIVISION)
        }
        Iterative::Root => (vec![pins.input("x")], "root", ROOT),
    };
    let result = pins.output(result);
    let (mut random, mut gives) = (Random::new(plan.seed, 1), Pace::new(plan.seed, 2));
    let mut under_way: Option<(u64, i32)> = None;
    let mut cycle = 0;
    Box::new(move |frame: &mut Frame| {
        let is_busy = under_way.is_some_and(|(until, _)| cycle < until);
        if frame.beats() >= plan.beats && !is_busy {
            return false;
        }
        frame.expect(busy, u64::from(is_busy));
        if let Some((_, value)) = under_way.filter(|_| !is_busy) {
            frame.expect(result, value as u32 as u64);
        }
        let starts = gives.willing();
        frame.drive(start, u64::from(starts));
        let values: Vec<i32> = operands
            .iter()
            .map(|pin| {
                let value = number(&mut random, FEATURE) as i32;
                let value = if random.chance(3, 4) { value.saturating_abs() } else { value };
                frame.drive(*pin, value as u32 as u64);
                value
            })
            .collect();
        if starts && !is_busy {
            frame.count_beat();
            let value = match values[..] {
                [numerator, denominator] => divide(Fixed::default(), numerator, denominator),
                [x] => square_root(x),
                _ => 0,
            };
            under_way = Some((cycle + cycles, value));
        }
        cycle += 1;
        true
    })
}
