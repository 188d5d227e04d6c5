//! Sizes of the tensors of a graph: shapes, and the small tensors of whole numbers that shapes are computed with.

use std::collections::BTreeMap;

use super::OnnxError;
use super::message::{Graph, Size, Tensor, data_type};
use super::operators;

/// Most elements of a tensor whose numbers are followed; a shape has a handful.
pub const MOST_NUMBERS: usize = 256;

/// What is known of a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// Sizes.
    pub shape: Option<Vec<i64>>,
    /// Its numbers, row by row, if they are whole and few.
    pub numbers: Option<Vec<i64>>,
    /// Whether it is a square of which a row shows one element more than the row before: the mask of a decoder.
    pub causal: bool,
}

impl Known {
    /// Only a shape.
    pub fn shape(shape: Vec<i64>) -> Self {
        Self { shape: Some(shape), ..Self::default() }
    }

    /// A shape of one axis, or a single number, and its numbers.
    pub fn numbers(shape: Vec<i64>, numbers: Vec<i64>) -> Self {
        let numbers = (numbers.len() <= MOST_NUMBERS).then_some(numbers);
        Self { shape: Some(shape), numbers, causal: false }
    }

    /// What is known of a constant.
    pub fn constant(tensor: &Tensor) -> Self {
        let causal = is_causal(tensor);
        let shape = tensor.dims.clone();
        if !shape.iter().all(|size| *size >= 0) {
            return Self::default();
        }
        let count = product(&shape).unwrap_or(i64::MAX);
        let numbers = (count <= MOST_NUMBERS as i64).then(|| whole(tensor)).flatten();
        let numbers = numbers.filter(|numbers| numbers.len() as i64 == count);
        Self { shape: Some(shape), numbers, causal }
    }
}

/// Product of sizes; `None` beyond 64 bits.
pub fn product(sizes: &[i64]) -> Option<i64> {
    sizes.iter().try_fold(1i64, |product, size| product.checked_mul(*size))
}

/// The numbers of a tensor of whole numbers.
fn whole(tensor: &Tensor) -> Option<Vec<i64>> {
    let raw = &tensor.raw_data;
    match tensor.data_type {
        data_type::INT64 if !tensor.int64_data.is_empty() => Some(tensor.int64_data.clone()),
        data_type::INT64 => {
            let words = raw.chunks_exact(8).map(|word| word.try_into().map(i64::from_le_bytes));
            words.collect::<Result<_, _>>().ok()
        }
        data_type::INT32 if !tensor.int32_data.is_empty() => {
            Some(tensor.int32_data.iter().copied().map(i64::from).collect())
        }
        data_type::INT32 => {
            let words = raw.chunks_exact(4).map(|word| word.try_into().map(i32::from_le_bytes));
            words.map(|word| word.map(i64::from)).collect::<Result<_, _>>().ok()
        }
        data_type::BOOL | data_type::UINT8 => Some(raw.iter().copied().map(i64::from).collect()),
        _ => None,
    }
}

/// Whether a constant of bits is a square in its last two axes, and row i of it shows elements 0 to i.
fn is_causal(tensor: &Tensor) -> bool {
    let [leading @ .., rows, columns] = tensor.dims.as_slice() else { return false };
    let side = usize::try_from(*rows).unwrap_or(0);
    let is_square = rows == columns && side > 1 && leading.iter().all(|size| *size == 1);
    let is_bits = matches!(tensor.data_type, data_type::BOOL | data_type::UINT8);
    let raw = &tensor.raw_data;
    if !is_square || !is_bits || side.checked_mul(side) != Some(raw.len()) {
        return false;
    }
    let row = |(at, row): (usize, &[u8])| {
        row.iter().enumerate().all(|(column, bit)| (*bit != 0) == (column <= at))
    };
    raw.chunks_exact(side).enumerate().all(row)
}

/// What is known of every tensor of a graph.
#[derive(Debug)]
pub struct Tensors<'g> {
    known: BTreeMap<&'g str, Known>,
    /// Tokens where the graph leaves them open.
    pub context: u32,
    /// The first operator that no rule follows.
    pub lost: Option<String>,
}

impl<'g> Tensors<'g> {
    /// Follows sizes through a graph. A size of an input that has a name is one sentence where it is the first, and
    /// `context` tokens where it is the second.
    pub fn of(graph: &'g Graph, context: u32) -> Result<Self, OnnxError> {
        let mut known: BTreeMap<&str, Known> = graph
            .initializer
            .iter()
            .map(|tensor| (tensor.name.as_str(), Known::constant(tensor)))
            .collect();
        for input in &graph.input {
            let tensor_type = input.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
            let Some(shape) = tensor_type.and_then(|of| of.shape.as_ref()) else { continue };
            let sizes = shape.dim.iter().enumerate().map(|(axis, dimension)| {
                let unknown = |name: &str| {
                    Err(OnnxError::Symbol {
                        input: input.name.clone(),
                        axis,
                        symbol: name.to_owned(),
                    })
                };
                match (&dimension.value, axis) {
                    (Some(Size::Value(size)), _) => Ok(*size),
                    (_, 0) => Ok(1),
                    (_, 1) => Ok(i64::from(context)),
                    (Some(Size::Name(name)), _) => unknown(name),
                    (None, _) => unknown("?"),
                }
            });
            let shape = sizes.collect::<Result<Vec<i64>, _>>()?;
            known.entry(&input.name).or_insert_with(|| Known::shape(shape));
        }
        let mut tensors = Self { known, context, lost: None };
        for node in &graph.node {
            let inputs: Vec<Known> = node.input.iter().map(|name| tensors.get(name)).collect();
            let outputs = operators::follow(node, &inputs);
            let lost = outputs.iter().all(|output| output.shape.is_none());
            let followed = inputs.iter().any(|input| input.shape.is_some());
            if lost && followed && tensors.lost.is_none() {
                tensors.lost = Some(node.shown());
            }
            for (name, output) in node.output.iter().zip(outputs) {
                tensors.known.insert(name, output);
            }
        }
        Ok(tensors)
    }

    /// What is known of a tensor; nothing of one that does not exist.
    pub fn get(&self, name: &str) -> Known {
        self.known.get(name).cloned().unwrap_or_default()
    }
}
