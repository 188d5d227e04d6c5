//! What a streaming accelerator may rely on: bandwidth, order of time, exact clock ratios.

use attelier_dram::policy::{ControllerConfig, Refresh};
use attelier_dram::{ClockRatio, Device, Memory, Op};

/// Streams `count` sequential 32 B reads through every channel; returns core cycles.
fn stream(memory: &mut Memory, count: u64) -> u64 {
    let channels = memory.channels();
    let mut next = vec![0; channels];
    let mut done = vec![0; channels];
    while done.iter().any(|&done| done < count) {
        for (channel, next) in next.iter_mut().enumerate() {
            if *next < count && memory.can_accept(channel, Op::Read) {
                memory.submit_to(channel, Op::Read, *next * 32, *next).expect("has room");
                *next += 1;
            }
        }
        memory.advance_to(memory.now() + 1, &mut ());
        for (channel, done) in done.iter_mut().enumerate() {
            while memory.pop_completion(channel).is_some() {
                *done += 1;
            }
        }
    }
    memory.now()
}

#[test]
fn spatten_hbm2_streams_above_ninety_percent_of_its_peak() {
    let device = Device::builtin("spatten-hbm2").expect("built in");
    assert!((device.peak_bandwidth() - 32e9).abs() < 1.0, "32 GB/s per channel");
    let ratio = ClockRatio::new(1, 1).expect("positive");
    let mut memory = Memory::new(&device, &device.default_controller(), ratio).expect("legal");
    let count = 50_000;
    let cycles = stream(&mut memory, count);
    let rate = count as f64 / cycles as f64;
    eprintln!("sequential reads: {:.1} % of peak over {cycles} cycles", rate * 100.0);
    assert!(rate > 0.9, "{rate} of peak");
    let counts = memory.channel(0).command_counts();
    let refreshes = device.commands.find("REFPB").expect("JEDEC");
    assert!(counts[refreshes.index()] > 2 * 200, "refresh must be on: {counts:?}");
}

#[test]
fn all_bank_refresh_costs_what_its_share_of_time_says() {
    let device = Device::builtin("spatten-hbm2").expect("built in");
    let all_bank = Refresh::AllBank { interval: device.timing.get("tREFI") };
    let controller = ControllerConfig { refresh: all_bank, ..device.default_controller() };
    let ratio = ClockRatio::new(1, 1).expect("positive");
    let mut memory = Memory::new(&device, &controller, ratio).expect("legal");
    let count = 50_000;
    let rate = count as f64 / stream(&mut memory, count) as f64;
    let ceiling = 1.0 - device.timing.get("tRFC") as f64 / device.timing.get("tREFI") as f64;
    assert!(rate < ceiling && rate > ceiling - 0.06, "{rate} of peak, ceiling {ceiling}");
}

#[test]
fn a_slower_core_sees_the_same_memory_time() {
    let device = Device::builtin("spatten-hbm2").expect("built in");
    for (fast, slow) in [(1, 1), (2, 1), (3, 2), (7, 3)] {
        let ratio = ClockRatio::new(fast, slow).expect("positive");
        let mut memory = Memory::new(&device, &device.default_controller(), ratio).expect("legal");
        memory.submit(Op::Read, 0, 42).expect("empty memory");
        let mut ready = None;
        while ready.is_none() {
            let event = memory.next_event().expect("one request is under way");
            memory.advance_to(event, &mut ());
            ready = memory.pop_completion(0).map(|done| (memory.now(), done.tag));
        }
        // ACT at 0, its second cycle, tRCD, tCL, tBL: 31 memory cycles.
        let t = |name: &str| device.timing.get(name);
        let latency = 1 + t("tRCDRD") + t("tCL") + t("tBL");
        assert_eq!(ready, Some(((latency * slow).div_ceil(fast), 42)));
    }
}

#[test]
fn one_request_per_channel_and_core_cycle() {
    let device = Device::builtin("spatten-hbm2").expect("built in");
    let ratio = ClockRatio::new(1, 1).expect("positive");
    let mut memory = Memory::new(&device, &device.default_controller(), ratio).expect("legal");
    memory.submit_to(3, Op::Read, 0, 0).expect("empty");
    assert!(!memory.can_accept(3, Op::Read));
    assert!(memory.can_accept(4, Op::Read));
    assert!(memory.submit_to(3, Op::Read, 32, 1).is_err());
    assert!(memory.submit_to(4, Op::Read, 33, 1).is_err(), "unaligned");
    assert!(memory.submit(Op::Read, u64::MAX - 31, 1).is_err(), "out of range");
    memory.advance_to(1, &mut ());
    assert!(memory.can_accept(3, Op::Read));
}
