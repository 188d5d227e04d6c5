//! What each operator makes of sizes (ONNX operators of the default domain, up to opset 21).
//!
//! An operator without a rule, or whose inputs are not known enough, makes outputs of which nothing is known.

use super::message::Node;
use super::sizes::{Known, MOST_NUMBERS, product};

/// Operators that keep the shape of their first input.
const SAME: &[&str] = &[
    "Abs",
    "Ceil",
    "Clip",
    "Cos",
    "CumSum",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "IsInf",
    "IsNaN",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "Neg",
    "Not",
    "Reciprocal",
    "Relu",
    "Round",
    "ScatterElements",
    "ScatterND",
    "Sigmoid",
    "Sign",
    "SimplifiedLayerNormalization",
    "Sin",
    "Softmax",
    "Softplus",
    "Sqrt",
    "Tanh",
];

/// Operators that join their inputs element by element.
const JOINING: &[&str] = &[
    "Add",
    "And",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Or",
    "PRelu",
    "Pow",
    "Sub",
    "Where",
];

/// What is known of the outputs of an operator.
pub fn follow(node: &Node, inputs: &[Known]) -> Vec<Known> {
    let outputs = match node.op_type.as_str() {
        "Split" => split(node, inputs),
        "Constant" => constant(node).map(|known| vec![known]),
        "Cast" | "Dropout" | "Identity" => inputs.first().map(|input| vec![input.clone()]),
        "Trilu" => shape(inputs, 0).map(|shape| {
            let causal = node.int("upper") == Some(0);
            vec![Known { causal, ..Known::shape(shape.to_vec()) }]
        }),
        "Shape" => {
            shape(inputs, 0).and_then(|shape| part_of_shape(node, shape)).map(|known| vec![known])
        }
        "Reshape" => reshape(node, inputs).map(|known| vec![known]),
        "Squeeze" | "Unsqueeze" => axes_changed(node, inputs).map(|known| vec![known]),
        "Concat" => concat(node, inputs).map(|known| vec![known]),
        "Slice" => slice(node, inputs).map(|known| vec![known]),
        "Gather" => gather(node, inputs).map(|known| vec![known]),
        "ConstantOfShape" => filled(node, inputs).map(|known| vec![known]),
        "Range" => range(inputs).map(|known| vec![known]),
        operator if JOINING.contains(&operator) => {
            joined(operator, inputs).map(|known| vec![known])
        }
        operator => shape_of(operator, node, inputs).map(|shape| vec![Known::shape(shape)]),
    };
    let mut outputs = outputs.unwrap_or_default();
    outputs.resize(node.output.len().max(outputs.len()), Known::default());
    outputs
}

/// Operators of which only the shape of one output is followed.
fn shape_of(operator: &str, node: &Node, inputs: &[Known]) -> Option<Vec<i64>> {
    match operator {
        "MatMul" => product_of_matrices(shape(inputs, 0)?, shape(inputs, 1)?),
        "Gemm" => gemm(node, shape(inputs, 0)?, shape(inputs, 1)?),
        "Transpose" => transpose(node, shape(inputs, 0)?),
        "Flatten" => flatten(node, shape(inputs, 0)?),
        "Expand" => broadcast(shape(inputs, 0)?, numbers(inputs, 1)?),
        "Tile" => tile(shape(inputs, 0)?, numbers(inputs, 1)?),
        "GatherElements" => shape(inputs, 1).map(<[i64]>::to_vec),
        "Conv" => convolution(node, shape(inputs, 0)?, shape(inputs, 1)?),
        _ if operator.starts_with("Reduce") || operator.starts_with("Arg") => reduced(node, inputs),
        _ if SAME.contains(&operator) => shape(inputs, 0).map(<[i64]>::to_vec),
        _ => None,
    }
}

fn shape(inputs: &[Known], at: usize) -> Option<&[i64]> {
    inputs.get(at)?.shape.as_deref()
}

fn numbers(inputs: &[Known], at: usize) -> Option<&[i64]> {
    inputs.get(at)?.numbers.as_deref()
}

/// An axis counted from the end if it is negative.
fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let at = if axis < 0 { axis.checked_add(rank)? } else { axis };
    usize::try_from(at).ok().filter(|_| at < rank)
}

/// The axes of an operator, of its attribute or its second input.
fn axes(node: &Node, inputs: &[Known]) -> Option<Vec<i64>> {
    node.ints("axes").map(<[i64]>::to_vec).or_else(|| numbers(inputs, 1).map(<[i64]>::to_vec))
}

fn constant(node: &Node) -> Option<Known> {
    if let Some(tensor) = node.tensor("value") {
        return Some(Known::constant(tensor));
    }
    if let Some(numbers) = node.ints("value_ints") {
        return Some(Known::numbers(vec![numbers.len() as i64], numbers.to_vec()));
    }
    let number = node.int("value_int")?;
    Some(Known::numbers(Vec::new(), vec![number]))
}

fn part_of_shape(node: &Node, shape: &[i64]) -> Option<Known> {
    let rank = shape.len() as i64;
    let bound = |name, absent: i64| {
        let at = node.int(name).unwrap_or(absent);
        (if at < 0 { at.saturating_add(rank) } else { at }).clamp(0, rank) as usize
    };
    let part = shape.get(bound("start", 0)..bound("end", rank))?;
    Some(Known::numbers(vec![part.len() as i64], part.to_vec()))
}

/// The shape that two inputs have together.
fn broadcast(one: &[i64], other: &[i64]) -> Option<Vec<i64>> {
    let rank = one.len().max(other.len());
    let size =
        |shape: &[i64], at: usize| (at + shape.len()).checked_sub(rank).map_or(1, |at| shape[at]);
    (0..rank)
        .map(|at| match (size(one, at), size(other, at)) {
            (a, b) if a == b => Some(a),
            (1, b) => Some(b),
            (a, 1) => Some(a),
            _ => None,
        })
        .collect()
}

fn joined(operator: &str, inputs: &[Known]) -> Option<Known> {
    let shapes = inputs.iter().map(|input| input.shape.as_deref());
    let mut all = Vec::new();
    for shape in shapes {
        all = broadcast(&all, shape?)?;
    }
    let numbers = joined_numbers(operator, inputs, product(&all)?);
    Some(Known { shape: Some(all), numbers, causal: false })
}

fn joined_numbers(operator: &str, inputs: &[Known], count: i64) -> Option<Vec<i64>> {
    let count = usize::try_from(count).ok().filter(|count| *count <= MOST_NUMBERS)?;
    let at = |input: usize, at: usize| {
        let numbers = numbers(inputs, input)?;
        // Other ways to repeat numbers do not occur in shapes.
        if numbers.len() == 1 { Some(numbers[0]) } else { numbers.get(at).copied() }
    };
    let fits = |input: &Known| {
        input.numbers.as_ref().is_some_and(|numbers| numbers.len() == 1 || numbers.len() == count)
    };
    if !inputs.iter().all(fits) {
        return None;
    }
    let number = |index: usize| {
        let (a, b) = (at(0, index)?, at(1, index)?);
        match operator {
            "Add" => a.checked_add(b),
            "Sub" => a.checked_sub(b),
            "Mul" => a.checked_mul(b),
            "Div" => a.checked_div(b),
            "Mod" => a.checked_rem_euclid(b),
            "Max" => Some(a.max(b)),
            "Min" => Some(a.min(b)),
            "Equal" => Some(i64::from(a == b)),
            "Where" => Some(if a != 0 { b } else { at(2, index)? }),
            _ => None,
        }
    };
    (0..count).map(number).collect()
}

fn product_of_matrices(left: &[i64], right: &[i64]) -> Option<Vec<i64>> {
    match (left, right) {
        ([outer_left @ .., rows, inner], [outer_right @ .., also_inner, columns])
            if inner == also_inner =>
        {
            let mut shape = broadcast(outer_left, outer_right)?;
            shape.extend([*rows, *columns]);
            Some(shape)
        }
        _ => None,
    }
}

fn gemm(node: &Node, left: &[i64], right: &[i64]) -> Option<Vec<i64>> {
    let ([a, b], [c, d]) = (left, right) else { return None };
    let turned = |name| node.int(name).is_some_and(|flag| flag != 0);
    let rows = if turned("transA") { *b } else { *a };
    let columns = if turned("transB") { *c } else { *d };
    Some(vec![rows, columns])
}

fn transpose(node: &Node, shape: &[i64]) -> Option<Vec<i64>> {
    match node.ints("perm") {
        None => Some(shape.iter().rev().copied().collect()),
        Some(order) if order.len() == shape.len() => {
            order.iter().map(|at| shape.get(usize::try_from(*at).ok()?).copied()).collect()
        }
        Some(_) => None,
    }
}

fn reshape(node: &Node, inputs: &[Known]) -> Option<Known> {
    let (from, to) = (shape(inputs, 0)?, numbers(inputs, 1)?);
    let keeps_zero = node.int("allowzero").is_some_and(|flag| flag != 0);
    let mut sizes = to
        .iter()
        .enumerate()
        .map(|(at, size)| match size {
            0 if !keeps_zero => from.get(at).copied(),
            size => Some(*size),
        })
        .collect::<Option<Vec<i64>>>()?;
    let all = product(from)?;
    if let Some(open) = sizes.iter().position(|size| *size == -1) {
        sizes[open] = 1;
        let others = product(&sizes)?;
        if others == 0 || all % others != 0 {
            return None;
        }
        sizes[open] = all / others;
    }
    (product(&sizes)? == all && sizes.iter().all(|size| *size >= 0)).then_some(())?;
    Some(Known { shape: Some(sizes), numbers: inputs[0].numbers.clone(), causal: inputs[0].causal })
}

fn axes_changed(node: &Node, inputs: &[Known]) -> Option<Known> {
    let from = shape(inputs, 0)?;
    let axes = axes(node, inputs);
    let sizes: Vec<i64> = if node.op_type == "Squeeze" {
        let gone: Option<Vec<usize>> = match axes {
            Some(axes) => axes.into_iter().map(|at| axis(at, from.len())).collect(),
            None => Some((0..from.len()).filter(|at| from[*at] == 1).collect()),
        };
        let gone = gone?;
        let kept = from.iter().enumerate().filter(|(at, _)| !gone.contains(at));
        kept.map(|(_, size)| *size).collect()
    } else {
        let axes = axes?;
        let rank = from.len().checked_add(axes.len()).filter(|rank| *rank <= MOST_NUMBERS)?;
        let new: Vec<usize> = axes.into_iter().map(|at| axis(at, rank)).collect::<Option<_>>()?;
        let mut old = from.iter().copied();
        (0..rank)
            .map(|at| if new.contains(&at) { Some(1) } else { old.next() })
            .collect::<Option<_>>()?
    };
    Some(Known { shape: Some(sizes), numbers: inputs[0].numbers.clone(), causal: inputs[0].causal })
}

fn concat(node: &Node, inputs: &[Known]) -> Option<Known> {
    let mut sizes = shape(inputs, 0)?.to_vec();
    let at = axis(node.int("axis")?, sizes.len())?;
    sizes[at] = 0;
    for input in 0..inputs.len() {
        sizes[at] = sizes[at].checked_add(*shape(inputs, input)?.get(at)?)?;
    }
    if sizes.len() > 1 {
        return Some(Known::shape(sizes));
    }
    let all: Option<Vec<&[i64]>> = (0..inputs.len()).map(|input| numbers(inputs, input)).collect();
    Some(match all {
        Some(all) => Known::numbers(sizes, all.concat()),
        None => Known::shape(sizes),
    })
}

fn slice(node: &Node, inputs: &[Known]) -> Option<Known> {
    let mut sizes = shape(inputs, 0)?.to_vec();
    let list = |at: usize, name: &str| {
        numbers(inputs, at).map(<[i64]>::to_vec).or_else(|| node.ints(name).map(<[i64]>::to_vec))
    };
    let (starts, ends) = (list(1, "starts")?, list(2, "ends")?);
    let axes = list(3, "axes").unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(4, "steps").unwrap_or_else(|| vec![1; starts.len()]);
    let mut kept = inputs[0].numbers.clone();
    for (index, at) in axes.iter().enumerate() {
        let at = axis(*at, sizes.len())?;
        let size = sizes[at];
        let step = *steps.get(index)?;
        if step < 1 {
            return None;
        }
        let bound =
            |from: i64| (if from < 0 { from.saturating_add(size) } else { from }).clamp(0, size);
        let (start, end) = (bound(*starts.get(index)?), bound(*ends.get(index)?));
        sizes[at] = ((end - start).max(0) as u64).div_ceil(step as u64) as i64;
        kept = kept.filter(|_| sizes.len() == 1).map(|numbers| {
            let part = numbers.get(start as usize..end.max(start) as usize).unwrap_or_default();
            part.iter().step_by(step as usize).copied().collect()
        });
    }
    Some(Known { shape: Some(sizes), numbers: kept, causal: inputs[0].causal })
}

fn gather(node: &Node, inputs: &[Known]) -> Option<Known> {
    let (from, indices) = (shape(inputs, 0)?, shape(inputs, 1)?);
    let at = axis(node.int("axis").unwrap_or(0), from.len())?;
    let sizes = [&from[..at], indices, &from[at + 1..]].concat();
    if from.len() == 1
        && let (Some(data), Some(chosen)) = (numbers(inputs, 0), numbers(inputs, 1))
    {
        let chosen = chosen.iter().map(|index| data.get(axis(*index, data.len())?).copied());
        return Some(Known::numbers(sizes, chosen.collect::<Option<_>>()?));
    }
    Some(Known::shape(sizes))
}

fn split(node: &Node, inputs: &[Known]) -> Option<Vec<Known>> {
    let from = shape(inputs, 0)?;
    let at = axis(node.int("axis").unwrap_or(0), from.len())?;
    let count = node.output.len() as i64;
    let parts = node.ints("split").or_else(|| numbers(inputs, 1)).map(<[i64]>::to_vec);
    let parts = match parts {
        Some(parts) => parts,
        None if count > 0 => {
            let most = (from[at] as u64).div_ceil(count as u64) as i64;
            (0..count).map(|part| (from[at] - part * most).clamp(0, most)).collect()
        }
        None => return None,
    };
    let output = |part: i64| {
        let mut sizes = from.to_vec();
        sizes[at] = part;
        Known::shape(sizes)
    };
    Some(parts.into_iter().map(output).collect())
}

fn filled(node: &Node, inputs: &[Known]) -> Option<Known> {
    let sizes = numbers(inputs, 0)?.to_vec();
    let count = product(&sizes)?;
    let of = node.tensor("value").map(Known::constant);
    let number = match of {
        None => Some(0),
        Some(known) => known.numbers.and_then(|numbers| numbers.first().copied()),
    };
    let few = (0..=MOST_NUMBERS as i64).contains(&count);
    Some(match number.filter(|_| few) {
        Some(number) => Known::numbers(sizes, vec![number; count as usize]),
        None => Known::shape(sizes),
    })
}

fn range(inputs: &[Known]) -> Option<Known> {
    let number = |at| numbers(inputs, at).and_then(|numbers| numbers.first().copied());
    let (start, end, step) = (number(0)?, number(1)?, number(2)?);
    if step < 1 {
        return None;
    }
    let count = (end.checked_sub(start)?.max(0) as u64).div_ceil(step as u64) as i64;
    if count > MOST_NUMBERS as i64 {
        return Some(Known::shape(vec![count]));
    }
    let all =
        (0..count).map(|at| start.checked_add(at.checked_mul(step)?)).collect::<Option<_>>()?;
    Some(Known::numbers(vec![count], all))
}

fn flatten(node: &Node, from: &[i64]) -> Option<Vec<i64>> {
    let at = match node.int("axis").unwrap_or(1) {
        all if all == from.len() as i64 => from.len(),
        at => axis(at, from.len())?,
    };
    Some(vec![product(&from[..at])?, product(&from[at..])?])
}

fn tile(from: &[i64], times: &[i64]) -> Option<Vec<i64>> {
    if from.len() != times.len() {
        return None;
    }
    from.iter().zip(times).map(|(size, times)| size.checked_mul(*times)).collect()
}

fn reduced(node: &Node, inputs: &[Known]) -> Option<Vec<i64>> {
    let from = shape(inputs, 0)?;
    let gone: Vec<usize> = match (node.int("axis"), axes(node, inputs)) {
        (Some(at), _) => vec![axis(at, from.len())?],
        (None, Some(axes)) => {
            axes.into_iter().map(|at| axis(at, from.len())).collect::<Option<_>>()?
        }
        (None, None) => (0..from.len()).collect(),
    };
    let keeps = node.int("keepdims").unwrap_or(1) != 0;
    let size = |(at, size): (usize, &i64)| match (gone.contains(&at), keeps) {
        (true, true) => Some(1),
        (true, false) => None,
        (false, _) => Some(*size),
    };
    Some(from.iter().enumerate().filter_map(size).collect())
}

fn convolution(node: &Node, from: &[i64], weights: &[i64]) -> Option<Vec<i64>> {
    let ([batch, _, image @ ..], [channels, _, kernel @ ..]) = (from, weights) else { return None };
    if image.len() != kernel.len() {
        return None;
    }
    let of = |name, at: usize, absent| {
        node.ints(name).map_or(Some(absent), |list| list.get(at).copied())
    };
    let mut sizes = vec![*batch, *channels];
    for (at, (size, kernel)) in image.iter().zip(kernel).enumerate() {
        let (stride, dilation) = (of("strides", at, 1)?, of("dilations", at, 1)?);
        let padding = of("pads", at, 0)?.checked_add(of("pads", at + image.len(), 0)?)?;
        let reach = kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
        let room = size.checked_add(padding)?.checked_sub(reach)?;
        if stride < 1 || room < 0 {
            return None;
        }
        sizes.push(room / stride + 1);
    }
    Some(sizes)
}
