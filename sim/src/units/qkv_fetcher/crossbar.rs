//! Address crossbar: which waiting lane heads of a row get a channel.
//!
//! Lanes and channels are bit sets: bit `k` of `heads` is lane `k`, bit `c` of `free` channel `c`.
//! Every grant takes its channel out of `free`, so no channel gets two transactions in a cycle.

/// Grants of a row whose lanes want consecutive channels, a whole block of channels at a time.
pub fn grant_sequential(heads: u64, offset: u32, lanes: u32, channels: u32, free: &mut u64) -> u64 {
    let all = u64::MAX >> (64 - channels);
    if heads == 0 {
        return 0;
    }
    // A whole block wants every channel once, wherever it starts.
    let first = heads.trailing_zeros() & !(channels - 1);
    if *free == all && heads >> first & all == all {
        *free = 0;
        return all << first;
    }
    let rotate = |bits: u64, by: u32| {
        if by == 0 { bits } else { (bits << by | bits >> (channels - by)) & all }
    };
    let mut granted = 0;
    let mut block = 0;
    while block < lanes && *free != 0 {
        // A block's wishes and the free channels meet in channel order, then turn back to lanes.
        let by = (offset + block) % channels;
        let wishes = rotate(heads >> block & all, by) & *free;
        *free &= !wishes;
        granted |= rotate(wishes, (channels - by) % channels) << block;
        block += channels;
    }
    granted
}

/// Grants of a row whose lanes want arbitrary channels, lowest lane first.
pub fn grant_scattered(heads: u64, channels: &[u8; 64], free: &mut u64) -> u64 {
    let (mut left, mut granted) = (heads, 0);
    while left != 0 && *free != 0 {
        let lane = left.trailing_zeros();
        left &= left - 1;
        let channel = 1u64 << channels[lane as usize];
        if *free & channel != 0 {
            *free &= !channel;
            granted |= 1 << lane;
        }
    }
    granted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a lane wants, lane by lane, oldest (lowest) first.
    fn one_by_one(heads: u64, wants: impl Fn(u32) -> u32, free: &mut u64) -> u64 {
        let mut granted = 0;
        for lane in (0..64).filter(|lane| heads >> lane & 1 == 1) {
            let channel = 1u64 << wants(lane);
            if *free & channel != 0 {
                *free &= !channel;
                granted |= 1 << lane;
            }
        }
        granted
    }

    proptest! {
        #[test]
        fn sequential_rows_are_granted_lane_by_lane(
            heads: u64, free: u64, offset in 0u32..64, log_channels in 0u32..=6, log_lanes in 0u32..=6,
            whole: bool,
        ) {
            let (channels, lanes) = (1 << log_channels, 1u32 << log_lanes);
            let mask = |n: u32| u64::MAX >> (64 - n);
            let offset = offset % channels;
            let heads = if whole { mask(lanes) } else { heads & mask(lanes) };
            let before = if whole { mask(channels) } else { free & mask(channels) };
            let (mut fast, mut slow) = (before, before);
            let granted = grant_sequential(heads, offset, lanes, channels, &mut fast);
            let expected = one_by_one(heads, |lane| (lane + offset) % channels, &mut slow);
            prop_assert_eq!((granted, fast), (expected, slow));
        }

        #[test]
        fn scattered_rows_are_granted_without_conflict(
            heads: u64, before: u64, wants in prop::collection::vec(0u8..64, 64),
        ) {
            let channels: [u8; 64] = wants.try_into().expect("64 lanes");
            let mut free = before;
            let granted = grant_scattered(heads, &channels, &mut free);
            let mut taken = 0u64;
            for lane in (0..64).filter(|lane| granted >> lane & 1 == 1) {
                prop_assert!(heads >> lane & 1 == 1, "only waiting lanes are granted");
                let channel = 1u64 << channels[lane];
                prop_assert!(taken & channel == 0, "channel {} twice", channels[lane]);
                taken |= channel;
            }
            prop_assert_eq!(free, before & !taken);
            prop_assert!(before & taken == taken, "only free channels are granted");
            // Nobody waits for a channel that stayed free.
            for lane in (0..64).filter(|lane| (heads & !granted) >> lane & 1 == 1) {
                prop_assert!(free >> channels[lane] & 1 == 0);
            }
        }
    }
}
