//! Patch embedding of a vision transformer.

use ndarray::{Array2, ArrayView1, ArrayView3, ArrayView4};

use super::error::{OperandError, expect_shape, expect_value};

/// Convolution whose stride is its kernel size: every pixel belongs to exactly one patch
/// (Dosovitskiy et al., arXiv 2010.11929).
///
/// Shapes: `image` (channels, height, width), `weight` (features, channels, patch height,
/// patch width), `bias` (features). The result is (patches, features), patches in raster order:
/// left to right, then top to bottom.
///
/// # Errors
/// Shapes that do not fit together, or an image that does not divide into patches.
pub fn patch_embedding(
    image: ArrayView3<'_, f64>,
    weight: ArrayView4<'_, f64>,
    bias: ArrayView1<'_, f64>,
) -> Result<Array2<f64>, OperandError> {
    let (channels, height, width) = image.dim();
    let (features, _, patch_height, patch_width) = weight.dim();
    expect_shape("weight", weight.shape(), &[features, channels, patch_height, patch_width])?;
    expect_shape("bias", bias.shape(), &[features])?;
    for (operand, size, patch) in
        [("height of the image", height, patch_height), ("width of the image", width, patch_width)]
    {
        let divides = patch > 0 && size.is_multiple_of(patch);
        expect_value(divides, operand, size, format!("a multiple of the patch, {patch} pixels"))?;
    }
    let columns = width / patch_width;
    let patches = height / patch_height * columns;
    let mut embedding = Array2::zeros((patches, features));
    for patch in 0..patches {
        let top = patch / columns * patch_height;
        let left = patch % columns * patch_width;
        for feature in 0..features {
            let mut sum = bias[feature];
            for channel in 0..channels {
                for y in 0..patch_height {
                    for x in 0..patch_width {
                        sum +=
                            image[[channel, top + y, left + x]] * weight[[feature, channel, y, x]];
                    }
                }
            }
            embedding[[patch, feature]] = sum;
        }
    }
    Ok(embedding)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Array4, Axis, array};

    use super::*;

    /// Pixels are their own coordinates; the first feature picks the lower left pixel of a patch,
    /// the second sums the other channel.
    #[test]
    fn patches_follow_each_other_in_raster_order() {
        let image = Array3::from_shape_fn((2, 4, 6), |(channel, y, x)| match channel {
            0 => (10 * y + x) as f64,
            _ => 1.0,
        });
        let mut weight = Array4::zeros((2, 2, 2, 3));
        weight[[0, 0, 1, 0]] = 1.0;
        weight.index_axis_mut(Axis(0), 1).index_axis_mut(Axis(0), 1).fill(1.0);
        let embedding =
            patch_embedding(image.view(), weight.view(), array![0.0, 0.5].view()).unwrap();
        assert_eq!(embedding, array![[10.0, 6.5], [13.0, 6.5], [30.0, 6.5], [33.0, 6.5]]);
    }

    #[test]
    fn an_image_that_does_not_divide_is_refused() {
        let image = Array3::zeros((1, 4, 5));
        let embed = |weight: Array4<f64>| {
            patch_embedding(image.view(), weight.view(), array![0.0].view())
                .unwrap_err()
                .to_string()
        };
        let message = "`width of the image` is 5: expected a multiple of the patch, 2 pixels";
        assert_eq!(embed(Array4::zeros((1, 1, 2, 2))), message);
        assert!(embed(Array4::zeros((1, 1, 0, 1))).starts_with("`height of the image`"));
        assert!(embed(Array4::zeros((1, 3, 2, 5))).starts_with("`weight`"));
    }
}
