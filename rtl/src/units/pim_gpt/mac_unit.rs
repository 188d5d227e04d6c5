//! The multiply-accumulate unit of a bank.
//!
//! A register behind every multiplication and addition but the accumulator's own, whose sum is the
//! next one's addend: a MAC command per cycle leaves it one cycle.

use std::sync::Arc;

use attelier_hw::pim_gpt::Mac;

use super::{
    arithmetic::{bf16_product, fp32_add, fp32_to_bf16},
    float::{BF16, FP32},
};
use crate::{Error, ModuleBuilder, Signal, ir::Module};

/// Multipliers whose operands fit a port.
const MOST_MULTIPLIERS: u32 = 256;

/// Cycles from a read-out to its result: products, levels of the tree, and the result where a MAC has
/// the accumulator.
pub fn mac_unit_latency(params: &Mac) -> u32 {
    2 + params.multipliers.ilog2()
}

/// The module `mac_unit`.
///
/// # Errors
/// Multipliers that are no power of two, or more than 256.
pub fn mac_unit(params: &Mac) -> Result<Arc<Module>, Error> {
    let (name, multipliers) = ("mac_unit", params.multipliers);
    if !multipliers.is_power_of_two() || multipliers > MOST_MULTIPLIERS {
        let expected = "a power of two up to 256";
        return Err(Error::parameter(name, "mac.multipliers", multipliers, expected));
    }
    let (product, add, narrow) = (bf16_product()?, fp32_add()?, fp32_to_bf16()?);
    let levels = multipliers.ilog2();

    let m = ModuleBuilder::new(name);
    m.doc("Multiplies BF16 numbers of a row with numbers of the vector, adds the exact products in a tree");
    m.doc(
        "and to the accumulator, in FP32. A read-out follows the MACs before it down the pipeline,",
    );
    m.doc("shows the accumulator rounded to BF16 and clears it. One command per cycle, MAC or read-out.");
    m.parameter("MULTIPLIERS", multipliers);
    m.latency(format!(
        "{} cycles from `read_valid` to `result_valid`: products, {levels} tree levels, result",
        mac_unit_latency(params)
    ));
    let mac = m.input("mac_valid", 1);
    let read = m.input("read_valid", 1);
    let weights = m.input("weights", multipliers * BF16.width());
    let inputs = m.input("inputs", multipliers * BF16.width());

    m.section("commands beside the data");
    let (mut mac, mut read) = (mac, read);
    for stage in 0..=levels {
        mac = m.pipe_reset(format!("mac_{stage}"), &mac);
        read = m.pipe_reset(format!("read_{stage}"), &read);
    }

    m.section("multiply");
    let pairs = weights.lanes(multipliers).into_iter().zip(inputs.lanes(multipliers)).enumerate();
    let mut terms: Vec<Signal> = pairs
        .map(|(lane, (weight, input))| {
            let instance = m.instance(format!("multiplier_{lane}"), &product);
            instance.input("a", &weight).input("b", &input);
            m.pipe(format!("product_{lane}"), &instance.output("result"))
        })
        .collect();

    let sum = |name: String, a: &Signal, b: &Signal| {
        let instance = m.instance(name, &add);
        instance.input("a", a).input("b", b);
        instance.output("result")
    };
    for level in 1..=levels {
        m.section(format!("adder tree, level {level}"));
        let pairs = terms.chunks(2).enumerate();
        let sums = pairs.map(|(at, pair)| {
            let of_pair = sum(format!("adder_{level}_{at}"), &pair[0], &pair[pair.len() - 1]);
            m.pipe(format!("sum_{level}_{at}"), &of_pair)
        });
        terms = sums.collect();
    }

    m.section("accumulator");
    let accumulator = m.register("accumulator", FP32.width());
    let accumulated = sum("accumulate".to_owned(), &accumulator, &terms[0]);
    let next = m.wire("next_accumulator", &(!&read).gate(&accumulated));
    let changes = m.wire("changes", &(&mac | &read));
    m.update_when(&accumulator, &changes, next);

    m.section("read-out");
    let rounding = m.instance("narrow", &narrow);
    rounding.input("a", &accumulator);
    let result = m.pipe("result_register", &rounding.output("result"));
    let valid = m.pipe_reset("result_valid_register", &read);

    m.output("result_valid", &valid);
    m.output("result", &result);
    m.finish()
}
