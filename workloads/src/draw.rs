//! Seeded draws that do not depend on the order in which they are made.

/// A number from 0 (included) to 1 (excluded) that is a pure function of the seed and the place.
///
/// Each coordinate is absorbed by one step of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
pub fn uniform(seed: u64, iteration: u32, layer: u32, head: u32) -> f64 {
    let mut state = split_mix(seed);
    for coordinate in [iteration, layer, head] {
        state = split_mix(state ^ u64::from(coordinate));
    }
    // The upper 53 bits fill the mantissa exactly.
    (state >> 11) as f64 / (1u64 << 53) as f64
}

/// One step of SplitMix64: spreads keys that differ in few bits.
pub fn split_mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_output_of_split_mix_64_is_the_published_one() {
        assert_eq!(split_mix(0), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn draws_spread_evenly_over_every_coordinate() {
        for place in [|i| (i, 0, 0), |i| (0, i, 0), |i| (0, 0, i), |i| (i, i, i)] {
            let mut tenths = [0u32; 10];
            for i in 0..10_000 {
                let (iteration, layer, head) = place(i);
                tenths[(uniform(7, iteration, layer, head) * 10.0) as usize] += 1;
            }
            // 1000 expected, standard deviation 30: five of them.
            assert!(tenths.iter().all(|n| n.abs_diff(1000) < 150), "{tenths:?}");
        }
        assert_ne!(uniform(1, 2, 3, 4), uniform(2, 2, 3, 4));
    }
}
