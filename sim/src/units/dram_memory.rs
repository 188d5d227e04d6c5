//! HBM2 behind the fetcher, command by command.
//!
//! [`attelier_dram`] times every request; its device `spatten-hbm2` is one HBM2 channel of two
//! pseudo-channels and 32 GB/s, as often as the machine has channels. A transaction enters the
//! queue of its channel in the cycle of its issue; its data arrive `front_end` cycles after the
//! last beat left the DRAM, which stands for controller and PHY on both ways.
//!
//! Ignored: power-down, and the contents of the memory: addresses beyond its capacity wrap around.

use attelier_dram::{ClockRatio, Device, Memory as Dram, Op};
use attelier_hw::spatten::Spatten;

use super::memory::{Grant, Memory};
use crate::kernel::{FOREVER, clock::Cycle};
use crate::result::DramCounts;

/// Name of the device in the device tables.
pub const DEVICE: &str = "spatten-hbm2";

/// Lanes that a tag distinguishes.
const LANES: u64 = 64;

/// HBM2 channels.
#[derive(Debug, Clone)]
pub struct DramMemory {
    dram: Dram,
    ratio: ClockRatio,
    front_end: u64,
    transaction_bytes: u64,
    channel_bytes: u64,
    /// Transactions whose data have not arrived.
    outstanding: u64,
    /// Channels whose arrivals of this cycle have all been handed over.
    scanned: usize,
    /// Completions up to this memory cycle have arrived.
    arrived: Option<u64>,
}

impl DramMemory {
    /// The memory of the machine `params`.
    pub fn new(params: &Spatten) -> Self {
        let memory = &params.memory;
        Self::with(memory.channels, params.clock_hz, memory.front_end_cycles)
    }

    /// `channels` channels behind a core at `clock_hz` and a front end of `front_end` core cycles.
    pub fn with(channels: u32, clock_hz: u64, front_end: u32) -> Self {
        assert!((1..=64).contains(&channels), "1 to 64 channels");
        let mut device = device();
        device.organization.channels = channels;
        let ratio = ClockRatio::of_clocks(device.tck_ps, clock_hz);
        let ratio = ratio.expect("checked machines and built-in devices have clocks");
        let dram = Dram::new(&device, &device.default_controller(), ratio);
        let dram = dram.expect("the built-in device has a legal controller");
        Self {
            ratio,
            front_end: u64::from(front_end.max(1)),
            transaction_bytes: u64::from(device.organization.tx_bytes),
            channel_bytes: dram.channel_bytes(),
            outstanding: 0,
            scanned: 0,
            arrived: None,
            dram,
        }
    }

    /// Core cycle in which the next data of a channel arrive, of those under way from the DRAM.
    fn due(&self, channel: usize) -> Option<u64> {
        let memory = self.dram.next_completion(channel)?;
        Some(self.ratio.core_cycle(memory) + self.front_end)
    }
}

fn device() -> Device {
    Device::builtin(DEVICE).expect("the tables of this crate's own device are legal")
}

/// Data rate of `channels` channels whose data buses never rest [B/s].
pub fn peak_bytes_per_s(channels: u32) -> f64 {
    f64::from(channels) * device().peak_bandwidth()
}

impl Memory for DramMemory {
    fn ready(&self, now: Cycle) -> u64 {
        debug_assert_eq!(self.dram.now(), now.0, "arrivals are taken first in every cycle");
        let channels = 0..self.dram.channels();
        channels
            .filter(|&channel| self.dram.can_accept(channel, Op::Read))
            .fold(0, |ready, channel| ready | 1 << channel)
    }

    fn issue(&mut self, _now: Cycle, grant: Grant, address: &dyn Fn(u32) -> u64) {
        let channels = self.dram.channels() as u64;
        let mut left = grant.lanes;
        while left != 0 {
            let lane = left.trailing_zeros();
            left &= left - 1;
            let transaction = address(lane) / self.transaction_bytes;
            let channel = (transaction % channels) as usize;
            let local = transaction / channels * self.transaction_bytes % self.channel_bytes;
            let tag = grant.row * LANES + u64::from(lane);
            let taken = self.dram.submit_to(channel, Op::Read, local, tag);
            taken.expect("only ready channels are granted, and addresses wrap");
            self.outstanding += 1;
        }
    }

    fn arrival(&mut self, now: Cycle) -> Option<Grant> {
        if self.dram.now() < now.0 {
            self.dram.advance_to(now.0, &mut ());
            self.scanned = 0;
            let left_dram = now.0.checked_sub(self.front_end);
            self.arrived = left_dram.map(|cycle| self.ratio.memory_cycle(cycle));
        }
        let arrived = self.arrived?;
        while self.scanned < self.dram.channels() {
            if self.dram.next_completion(self.scanned).is_some_and(|done| done <= arrived) {
                let done = self.dram.pop_completion(self.scanned)?;
                self.outstanding -= 1;
                return Some(Grant { row: done.tag / LANES, lanes: 1 << (done.tag % LANES) });
            }
            self.scanned += 1;
        }
        None
    }

    fn quiet(&self, now: Cycle) -> u64 {
        if self.is_idle() {
            return FOREVER;
        }
        let begun = self.ratio.memory_cycle(self.dram.now());
        let earliest = |index: usize| {
            let channel = self.dram.channel(index);
            // Data follow their command by one memory cycle at least.
            let waiting = (channel.pending() > 0).then(|| {
                let data = channel.next_event().max(begun).saturating_add(1);
                self.ratio.core_cycle(data).saturating_add(self.front_end)
            });
            self.due(index).into_iter().chain(waiting).min()
        };
        let first = (0..self.dram.channels()).filter_map(earliest).min();
        first.map_or(0, |first| first.saturating_sub(now.0 + 1))
    }

    fn is_idle(&self) -> bool {
        self.outstanding == 0
    }

    fn finish(&mut self, end: Cycle) -> Option<DramCounts> {
        self.dram.advance_to(end.0, &mut ());
        let (activity, statistics) = (self.dram.activity(), self.dram.statistics());
        Some(DramCounts {
            activates: activity.activates,
            precharges: activity.precharges,
            refreshes: activity.refreshes_all_bank + activity.refreshes_per_bank,
            row_hits: statistics.row_hits,
            requests: statistics.reads + statistics.writes,
            activity,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offers rows of one transaction per channel at addresses from `next`, with gaps, and returns
    /// the cycles taken.
    fn stream(memory: &mut DramMemory, rows: u64, gap: u64, next: impl Fn(u64) -> u64) -> u64 {
        let channels = memory.dram.channels() as u32;
        let lanes = u64::MAX >> (64 - channels);
        let mut answered = vec![0u64; rows as usize];
        let (mut row, mut left, mut now) = (0, lanes, 0);
        loop {
            let cycle = Cycle(now);
            while let Some(grant) = memory.arrival(cycle) {
                assert_eq!(answered[grant.row as usize] & grant.lanes, 0, "answered twice");
                answered[grant.row as usize] |= grant.lanes;
            }
            if row < rows && now % gap == 0 {
                let granted = left & memory.ready(cycle);
                let address = |lane: u32| (next(row) + u64::from(lane)) * 32;
                memory.issue(cycle, Grant { row, lanes: granted }, &address);
                left &= !granted;
                if left == 0 {
                    (row, left) = (row + 1, lanes);
                }
            }
            if row == rows && memory.is_idle() {
                assert!(answered.iter().all(|&lane| lane == lanes), "not all answered");
                return now + 1;
            }
            now += 1;
        }
    }

    #[test]
    fn a_sequential_stream_reaches_nine_tenths_of_the_peak() {
        let mut memory = DramMemory::with(16, 1_000_000_000, 20);
        let rows = 20_000;
        let cycles = stream(&mut memory, rows, 1, |row| row * 16);
        assert!((peak_bytes_per_s(16) - 512e9).abs() < 1.0);
        let share = rows as f64 / cycles as f64;
        eprintln!("{:.1} % of 512 GB/s", 100.0 * share);
        assert!(share >= 0.9, "{share}");
        let counts = memory.finish(Cycle(cycles)).unwrap();
        assert_eq!(counts.requests, rows * 16);
        assert!(counts.row_hits > counts.requests * 9 / 10 && counts.refreshes > 0);
    }

    #[test]
    fn every_request_is_answered_once_at_any_clock() {
        for clock in [400_000_000, 1_000_000_000, 1_700_000_000] {
            let mut memory = DramMemory::with(4, clock, 7);
            stream(&mut memory, 500, 3, |row| row * 7919 % (1 << 20) * 4);
        }
    }

    #[test]
    fn one_read_takes_the_dram_latency_and_the_front_end() {
        let mut memory = DramMemory::with(16, 1_000_000_000, 20);
        assert!(memory.arrival(Cycle(0)).is_none());
        memory.issue(Cycle(0), Grant { row: 3, lanes: 4 }, &|_| 64);
        let quiet = memory.quiet(Cycle(0));
        let mut now = 1;
        let grant = loop {
            match memory.arrival(Cycle(now)) {
                Some(grant) => break grant,
                None => now += 1,
            }
        };
        assert_eq!(grant, Grant { row: 3, lanes: 4 });
        // tRCD 14, tCL 14, tBL 2, two cycles of the ACT command, and the front end.
        assert!((50..=53).contains(&now), "{now}");
        assert!(quiet < now && quiet >= 20, "{quiet}");
    }
}
