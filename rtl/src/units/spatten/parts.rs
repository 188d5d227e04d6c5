//! Small pieces that several units are made of.

use std::ops::Range;

use crate::{Error, ModuleBuilder, Signal, bits::index_width};

/// Refuses a parameter outside `range`; returns it otherwise.
pub(in crate::units) fn within(
    module: &str,
    parameter: &'static str,
    value: u32,
    range: Range<u32>,
    expected: &'static str,
) -> Result<u32, Error> {
    match range.contains(&value) {
        true => Ok(value),
        false => Err(Error::parameter(module, parameter, value, expected)),
    }
}

/// Refuses a parameter that is no power of two; returns it otherwise.
pub(in crate::units) fn power_of_two(
    module: &str,
    parameter: &'static str,
    value: u32,
) -> Result<u32, Error> {
    match value.is_power_of_two() {
        true => Ok(value),
        false => Err(Error::parameter(module, parameter, value, "a power of two")),
    }
}

/// `value` as it was `cycles` cycles ago, through registers `name_1`, `name_2`, ...
pub(in crate::units) fn delay(
    m: &ModuleBuilder,
    name: &str,
    value: &Signal,
    cycles: u32,
) -> Signal {
    (1..=cycles).fold(value.clone(), |value, at| m.pipe(format!("{name}_{at}"), &value))
}

/// A one-bit `value` now and in each of the last `cycles` cycles; registers `name_1`, `name_2`, ...
/// are zero after a reset.
pub(in crate::units) fn history(
    m: &ModuleBuilder,
    name: &str,
    value: &Signal,
    cycles: u32,
) -> Vec<Signal> {
    let mut stages = vec![value.clone()];
    for at in 1..=cycles {
        let stage = m.pipe_reset(format!("{name}_{at}"), &stages[at as usize - 1]);
        stages.push(stage);
    }
    stages
}

/// Joins neighbours until one is left: a register per level, `name_level1_0` and so on. A power of
/// two of `terms`.
pub(in crate::units) fn tree(
    m: &ModuleBuilder,
    name: &str,
    terms: Vec<Signal>,
    join: impl Fn(&Signal, &Signal) -> Signal,
) -> Signal {
    let mut terms = terms;
    let mut level = 0;
    while terms.len() > 1 {
        level += 1;
        let pairs = terms.chunks(2).enumerate();
        let joined = pairs.map(|(at, pair)| {
            let sum = pair[1..].iter().fold(pair[0].clone(), |left, right| join(&left, right));
            m.pipe(format!("{name}_level{level}_{at}"), &sum)
        });
        terms = joined.collect();
    }
    terms.swap_remove(0)
}

/// Adds by pairs, without overflow.
pub(in crate::units) fn adder_tree(m: &ModuleBuilder, name: &str, terms: Vec<Signal>) -> Signal {
    tree(m, name, terms, Signal::add_full)
}

/// A count of reserved places: up with `enter`, down with `leave`, both may happen at once.
pub(in crate::units) fn reservations(
    m: &ModuleBuilder,
    name: &str,
    depth: u32,
    enter: &Signal,
    leave: &Signal,
) -> Signal {
    let width = index_width(u64::from(depth) + 1);
    let count = m.register(name, width);
    m.update(&count, &count + enter.extend(width) - leave.extend(width));
    count
}
