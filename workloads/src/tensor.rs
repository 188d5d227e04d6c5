//! A dense tensor of 32-bit floats as a trace carries it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Fault;

/// Elements one tensor may have; 64 MiB of values.
pub const MAX_ELEMENTS: u64 = 1 << 24;
/// Dimensions one tensor may have.
pub const MAX_RANK: usize = 4;

/// Values in row-major order, the last dimension fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<u32>,
    data: Vec<f32>,
}

impl Tensor {
    /// A tensor of `shape` from its values.
    ///
    /// # Errors
    /// A shape outside the bounds, a number of values that is not the product of the shape, or a
    /// value that is not finite.
    pub fn new(shape: Vec<u32>, data: Vec<f32>) -> Result<Tensor, Fault> {
        let elements = elements(&shape)?;
        if data.len() as u64 != elements {
            return Err(Fault {
                field: "data",
                found: format!("{} values", data.len()),
                expected: format!("{elements} values for shape {shape:?}"),
            });
        }
        if let Some(at) = data.iter().position(|value| !value.is_finite()) {
            return Err(Fault {
                field: "data",
                found: format!("{} at element {at}", data[at]),
                expected: "finite values".to_owned(),
            });
        }
        Ok(Tensor { shape, data })
    }

    /// Size of each dimension.
    pub fn shape(&self) -> &[u32] {
        &self.shape
    }

    /// Values, row-major.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// Little-endian values in base64.
    pub(crate) fn encode(&self) -> String {
        let bytes: Vec<u8> = self.data.iter().flat_map(|value| value.to_le_bytes()).collect();
        STANDARD.encode(bytes)
    }

    /// The inverse of [`Tensor::encode`]. Compares lengths before it decodes, so that a shape that
    /// promises too much costs nothing.
    pub(crate) fn decode(shape: Vec<u32>, text: &str) -> Result<Tensor, Fault> {
        let elements = elements(&shape)?;
        let characters = (elements * 4).div_ceil(3) * 4;
        let fault = |found: String| Fault {
            field: "data",
            found,
            expected: format!("{characters} base64 characters for shape {shape:?}"),
        };
        if text.len() as u64 != characters {
            return Err(fault(format!("{} characters long", text.len())));
        }
        let bytes = STANDARD.decode(text).map_err(|error| fault(format!("not base64: {error}")))?;
        let data =
            bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect();
        Tensor::new(shape, data)
    }
}

fn elements(shape: &[u32]) -> Result<u64, Fault> {
    let product = shape.iter().try_fold(1u64, |n, size| n.checked_mul(u64::from(*size)));
    match product {
        Some(n) if (1..=MAX_ELEMENTS).contains(&n) && (1..=MAX_RANK).contains(&shape.len()) => {
            Ok(n)
        }
        _ => Err(Fault {
            field: "shape",
            found: format!("{shape:?}"),
            expected: format!(
                "1 to {MAX_RANK} sizes above 0 whose product is at most {MAX_ELEMENTS}"
            ),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_are_little_endian() {
        let tensor = Tensor::new(vec![1], vec![1.0]).unwrap();
        assert_eq!(tensor.encode(), "AACAPw==");
    }

    #[test]
    fn absurd_shapes_and_values_are_refused() {
        let shape = |shape: &[u32]| Tensor::decode(shape.to_vec(), "").unwrap_err().field;
        assert_eq!(shape(&[u32::MAX, u32::MAX, u32::MAX]), "shape");
        assert_eq!(shape(&[0]), "shape");
        assert_eq!(shape(&[]), "shape");
        assert_eq!(shape(&[1; 5]), "shape");
        assert_eq!(shape(&[4096, 4096]), "data");
        assert_eq!(Tensor::decode(vec![1], "AACA!w==").unwrap_err().field, "data");
        let nan = Tensor::new(vec![2], vec![0.0, f32::NAN]).unwrap_err();
        assert_eq!(nan.found, "NaN at element 1");
    }

    proptest! {
        #[test]
        fn decode_inverts_encode(values in prop::collection::vec(-1e30f32..1e30, 1..50)) {
            let tensor = Tensor::new(vec![values.len() as u32], values).unwrap();
            prop_assert_eq!(Tensor::decode(tensor.shape.clone(), &tensor.encode()), Ok(tensor));
        }
    }
}
