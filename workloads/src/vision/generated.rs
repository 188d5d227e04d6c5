//! Networks out of a seed: every number is a function of the seed, the name of its tensor and its place.

use std::convert::Infallible;

use super::ImageShape;
use super::network::{Network, Spread, TensorSpec};
use crate::draw::{split_mix, uniform};

/// Numbers of a tensor, evenly distributed over what is likely in it.
pub fn draw(spec: &TensorSpec, seed: u64) -> Vec<f32> {
    let elements = spec.shape.iter().fold(1usize, |product, &size| product.saturating_mul(size));
    // The name is absorbed byte by byte, so that tensors of equal shape differ.
    let key = spec.name.bytes().fold(seed, |key, byte| split_mix(key ^ u64::from(byte)));
    let number = |at: usize| {
        let [high, low] = [at >> 32, at & 0xffff_ffff].map(|half| half as u32);
        let draw = uniform(key, 0, high, low);
        match spec.spread {
            Spread::Pixels => (draw * 256.0).floor() as f32 / 256.0,
            Spread::Around { mean, deviation } => {
                // An even distribution from -1 to 1 has the deviation 1 / sqrt(3).
                mean + deviation * 3f32.sqrt() * (2.0 * draw - 1.0) as f32
            }
        }
    };
    (0..elements).map(number).collect()
}

impl Network {
    /// A network of drawn numbers.
    pub fn generated(shape: &ImageShape, tasks: usize, seed: u64) -> Self {
        let Ok(network) = Self::build(shape, tasks, |spec| Ok::<_, Infallible>(draw(spec, seed)));
        network
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, spread: Spread) -> TensorSpec {
        TensorSpec { name: name.to_owned(), shape: vec![100, 100], spread }
    }

    #[test]
    fn drawn_numbers_have_the_mean_and_deviation_asked_for() {
        let drawn = draw(&spec("a", Spread::Around { mean: 1.0, deviation: 0.5 }), 3);
        let mean = drawn.iter().sum::<f32>() / 1e4;
        let variance = drawn.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / 1e4;
        // Five standard deviations of the mean of 10,000 draws, and of their variance.
        assert!((mean - 1.0).abs() < 0.025, "{mean}");
        assert!((variance - 0.25).abs() < 0.012, "{variance}");
        let pixels = draw(&spec("a", Spread::Pixels), 3);
        assert!(pixels.iter().all(|x| (x * 256.0).fract() == 0.0 && (0.0..1.0).contains(x)));
    }

    #[test]
    fn tensors_differ_by_name_and_seed_and_repeat() {
        let around = Spread::Around { mean: 0.0, deviation: 1.0 };
        let base = draw(&spec("a", around), 3);
        assert_eq!(base, draw(&spec("a", around), 3));
        assert_ne!(base, draw(&spec("b", around), 3));
        assert_ne!(base, draw(&spec("a", around), 4));
    }
}
