//! The hash module: three small products instead of one with a large matrix, and the signs of the last one.

use std::sync::Arc;

use attelier_hw::elsa::Elsa;

use crate::{Error, ModuleBuilder, Signal, bits::index_width, ir::Module};

/// Factors of the projection.
const FACTORS: u32 = 3;

/// The module `elsa_hash`.
///
/// # Errors
/// Multipliers that are not a whole number of rows of a factor times the elements of a vector, where the
/// rows divide those of a factor.
pub fn elsa_hash(params: &Elsa) -> Result<Arc<Module>, Error> {
    let name = "elsa_hash";
    let (dim, factor, multipliers) = (params.head_dim, params.hash.factor, params.hash.multipliers);
    // Rows of a factor that are multiplied in one cycle.
    let rows = multipliers / dim;
    if !multipliers.is_multiple_of(dim) || rows == 0 || !factor.is_multiple_of(rows) {
        let expected = "`head_dim` times a number that divides its cube root";
        return Err(Error::parameter(name, "multipliers", multipliers, expected));
    }
    let (groups, passes) = (dim / factor, factor / rows);
    let steps = FACTORS * passes;
    let step_bits = index_width(steps.into());
    let element_bits = 1 + params.hash.factor_fraction_bits;
    // A product is wider by an element, a sum of them by the bits of their number.
    let growth = element_bits + index_width(factor.into());
    let vector_bits = params.format.element_bits;
    let value_bits = vector_bits + 2 * growth;
    let lane = hash_lane(factor, value_bits, element_bits, value_bits + growth)?;

    let m = ModuleBuilder::new(name);
    m.doc("Hash of a vector: the signs of its product with a large orthogonal matrix, the Kronecker product of");
    m.doc("three small factors. The vector is a cube; each factor is multiplied along its last edge, which then");
    m.doc("becomes the first one. A bit is 1 where the projection is not negative.");
    m.parameter("ELEMENTS", dim);
    m.parameter("FACTOR_ROWS", factor);
    m.parameter("MULTIPLIERS", multipliers);
    m.latency(format!("{} cycles; a vector every {steps} cycles", steps + 1));
    let factor_write = m.input("factor_write", 1);
    let elements = FACTORS * factor * factor;
    let factor_address = m
        .input("factor_address", index_width(elements.into()))
        .comment("Factor after factor, row by row; the last factor is multiplied first.");
    let factor_data = m.input("factor_data", element_bits);
    let valid = m.input("s_axis_tvalid", 1);
    let data = m.input("s_axis_tdata", dim * vector_bits);

    m.section("elements of the factors");
    let elements: Vec<Signal> = (0..elements)
        .map(|at| {
            let is_this = &factor_write & factor_address.eq(u64::from(at));
            let is_this = m.wire(format!("writes_{at}"), &is_this);
            m.pipe_when(format!("element_{at}"), &is_this, &factor_data)
        })
        .collect();

    m.section("steps");
    let busy = m.register("busy", 1);
    let step = m.register("step", step_bits);
    let is_last = m.wire("is_last", &step.eq(u64::from(steps - 1)));
    let finishes = m.wire("finishes", &(&busy & &is_last));
    let ready = m.wire("ready", &(!&busy | &is_last));
    let takes = m.wire("takes", &(&valid & &ready));
    m.update(&busy, &takes | (&busy & !&is_last));
    m.update_when(&step, &busy, (!&is_last).gate(&(&step + 1)));
    let ends: Vec<Signal> =
        (1..=FACTORS).map(|factor| step.eq(u64::from(factor * passes - 1))).collect();
    // With one step for each factor every step is the last one.
    let ends = if passes == 1 { busy.clone() } else { &busy & m.any_of(&ends) };
    let factor_ends = m.wire("factor_ends", &ends);

    m.section("rows of the factor at hand");
    let at = |step: u32, row: u32, column: u32| {
        let which = FACTORS - 1 - step / passes;
        let row = step % passes * rows + row;
        elements[((which * factor + row) * factor + column) as usize].clone()
    };
    let now: Vec<Vec<Signal>> = (0..rows)
        .map(|row| {
            let element = |column| {
                let choices: Vec<Signal> = (0..steps).map(|step| at(step, row, column)).collect();
                m.wire(format!("row_{row}_{column}"), &m.select(&step, &choices))
            };
            (0..factor).map(element).collect()
        })
        .collect();

    m.section("products");
    let values: Vec<Signal> =
        (0..dim).map(|at| m.register_without_reset(format!("value_{at}"), value_bits)).collect();
    let mut products = Vec::new();
    for (row, elements) in now.iter().enumerate() {
        for (group, values) in values.chunks(factor as usize).enumerate() {
            let instance = m.instance(format!("lane_{row}_{group}"), &lane);
            for (at, (value, element)) in values.iter().zip(elements).enumerate() {
                instance.input(&format!("value_{at}"), value);
                instance.input(&format!("element_{at}"), element);
            }
            products.push(instance.output("sum"));
        }
    }

    m.section("the vector, its products, and the signs of the last ones");
    let mut complete: Vec<Signal> = Vec::new();
    for pass in 1..passes {
        complete.extend(
            (0..rows * groups).map(|at| {
                m.register_without_reset(format!("pass_{pass}_{at}"), value_bits + growth)
            }),
        );
    }
    complete.extend(products);
    // Products of earlier passes move down by those of a pass.
    for at in 0..((passes - 1) * rows * groups) as usize {
        m.update_when(&complete[at], &busy, &complete[at + (rows * groups) as usize]);
    }
    let moves = m.wire("moves", &(&takes | &factor_ends));
    for ((value, product), element) in values.iter().zip(&complete).zip(data.lanes(dim)) {
        let entering = element.as_signed().extend(value_bits).as_unsigned();
        m.update_when(value, &moves, takes.mux(&entering, product.bits(0..value_bits)));
        m.discard(product);
    }
    let signs: Vec<Signal> = complete.iter().map(|product| !product.msb()).collect();
    let hash = m.pipe_when("hash", &finishes, &m.pack(&signs));
    let hash_valid = m.pipe_reset("hash_valid", &finishes);
    m.output("s_axis_tready", &ready);
    m.output("m_axis_tvalid", &hash_valid);
    m.output("m_axis_tdata", &hash);
    m.finish()
}

/// A row of a factor times as many values.
fn hash_lane(
    factor: u32,
    value_bits: u32,
    element_bits: u32,
    sum_bits: u32,
) -> Result<Arc<Module>, Error> {
    let m = ModuleBuilder::new("elsa_hash_lane");
    m.doc("A row of a factor times neighbouring values, without overflow.");
    let values = m.inputs("value", factor, value_bits);
    let elements = m.inputs("element", factor, element_bits);
    let products = values.iter().zip(&elements);
    let products: Vec<Signal> = products
        .map(|(value, element)| value.as_signed().mul(&element.as_signed()).extend(sum_bits))
        .collect();
    let products = m.wires("product", &products);
    let sum = products[1..].iter().fold(products[0].clone(), |sum, product| sum + product);
    m.output("sum", &m.wire("total", &sum).as_unsigned());
    m.finish()
}
