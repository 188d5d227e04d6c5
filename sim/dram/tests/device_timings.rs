//! Distances between pairs of commands, tight on both sides, against the JEDEC names of the tables.

use attelier_dram::Device;
use attelier_dram::command::{ACT, CommandId, PRE, PREA, RD, REFA, REFPB, WR};
use attelier_dram::engine::Engine;

struct Probe {
    device: Device,
    engine: Engine,
}

impl Probe {
    fn new(name: &str) -> Probe {
        Probe::of(Device::builtin(name).expect("built in"))
    }

    fn of(device: Device) -> Probe {
        let (o, c, t) = (&device.organization, &device.commands, &device.table);
        let engine = Engine::new(o, c, t).expect("legal device");
        Probe { device, engine }
    }

    fn t(&self, name: &str) -> u64 {
        self.device.timing.find(name).expect("the device gives this timing")
    }

    /// Flat index of a bank.
    fn bank(&self, rank: u32, group: u32, bank: u32) -> usize {
        self.device.organization.flat_bank(rank, group, bank)
    }

    fn issue(&mut self, command: CommandId, bank: usize, cycle: u64) {
        self.engine.issue_checked(command, bank, 1, cycle).expect("legal");
    }

    /// Blocked at `cycle - 1`, allowed at `cycle`, which is then used.
    fn earliest(&mut self, command: CommandId, bank: usize, cycle: u64) {
        let name = &self.device.name;
        assert_eq!(self.engine.earliest(command, bank), cycle, "{name}: {command:?}");
        assert!(self.engine.issue_checked(command, bank, 1, cycle - 1).is_err(), "{name}");
        self.issue(command, bank, cycle);
    }
}

/// Cycles of an ACT beyond the first.
fn extra(probe: &Probe) -> u64 {
    probe.device.timing.find("act_cycles").unwrap_or(1) - 1
}

#[test]
fn one_bank_keeps_its_row_cycle() {
    for name in Device::names() {
        let mut p = Probe::new(name);
        let x = extra(&p);
        p.issue(ACT, 0, 0);
        let read = p.t("tRCDRD") + x;
        p.earliest(RD, 0, read);
        let close = (p.t("tRAS") + x).max(read + p.t("tRTP"));
        p.earliest(PRE, 0, close);
        let open = p.t("tRC").max(close + p.t("tRP") - x);
        p.earliest(ACT, 0, open);
        let write = (open + p.t("tRCDWR") + x).max(read + p.t("tRTW"));
        p.earliest(WR, 0, write);
        let close = write + p.t("tCWL") + p.t("tBL") + p.t("tWR");
        p.earliest(PRE, 0, close.max(open + p.t("tRAS") + x));
    }
}

#[test]
fn columns_keep_their_distance_within_and_across_bank_groups() {
    for name in ["hbm2-2000", "hbm3-6400", "gddr6-14000", "ddr4-2400", "ddr5-3200", "lpddr5-6400"] {
        let mut p = Probe::new(name);
        let (a, b, c) = (p.bank(0, 0, 0), p.bank(0, 0, 1), p.bank(0, 1, 0));
        for (index, bank) in [a, b, c].into_iter().enumerate() {
            p.issue(ACT, bank, index as u64 * 200);
        }
        p.issue(RD, a, 1000);
        p.earliest(RD, c, 1000 + p.t("tCCD_S"));
        let same_group = 1000 + p.t("tCCD_L");
        p.earliest(RD, b, same_group.max(1000 + 2 * p.t("tCCD_S")));
        p.issue(WR, a, 2000);
        let data = 2000 + p.t("tCWL") + p.t("tBL");
        p.earliest(RD, c, data + p.t("tWTR_S"));
        p.issue(WR, a, 3000);
        let data = 3000 + p.t("tCWL") + p.t("tBL");
        p.earliest(RD, b, data + p.t("tWTR_L"));
    }
}

#[test]
fn five_activations_wait_for_the_window() {
    for name in ["hbm2-2000", "gddr6-14000", "ddr4-2400", "ddr5-3200"] {
        let mut p = Probe::new(name);
        let groups = p.device.organization.bankgroups;
        let mut cycle = 0;
        for index in 0..4 {
            let bank = p.bank(0, index % groups, index / groups);
            cycle = p.engine.earliest(ACT, bank).max(cycle);
            p.issue(ACT, bank, cycle);
        }
        let fifth = p.bank(0, 0, 1);
        let expected = p.t("tFAW").max(cycle + p.t("tRRD_S"));
        let expected = expected.max(p.t("tRRD_L"));
        assert_eq!(p.engine.earliest(ACT, fifth), expected, "{name}");
    }
}

#[test]
fn refreshes_keep_banks_busy_for_their_time() {
    for name in ["hbm2-2000", "hbm3-6400", "gddr6-14000", "lpddr5-6400", "ddr4-2400"] {
        let mut p = Probe::new(name);
        let x = extra(&p);
        p.issue(ACT, 0, 0);
        p.issue(PREA, 0, 500);
        let all = p.device.timing.find("tRPab").unwrap_or_else(|| p.t("tRP"));
        p.earliest(REFA, 0, 500 + all);
        p.earliest(ACT, 3, 500 + all + p.t("tRFC") - x);
        if p.device.timing.find("tRFCpb").is_none() {
            continue;
        }
        let mut p = Probe::new(name);
        p.issue(REFPB, 0, 10);
        assert_eq!(p.engine.earliest(ACT, 0), 10 + p.t("tRFCpb") - x);
        let or = |name| p.device.timing.find(name).unwrap_or_else(|| p.t("tRREFD"));
        assert_eq!(p.engine.earliest(ACT, 1), 10 + or("tPBR2ACT") - x);
        assert_eq!(p.engine.earliest(REFPB, 1), 10 + or("tPBR2PBR"));
        assert!(p.engine.issue_checked(REFA, 0, 0, 10 + p.t("tRFCpb") - 1).is_err());
        p.issue(ACT, 2, 1000);
        assert!(p.engine.issue_checked(REFPB, 2, 0, 2000).is_err(), "an open bank");
    }
}

#[test]
fn a_two_cycle_activation_blocks_the_row_bus_of_both_pseudo_channels() {
    let mut p = Probe::new("hbm2-2000");
    let other = p.bank(1, 0, 0);
    p.issue(ACT, 0, 100);
    p.earliest(ACT, other, 102);
}

/// A built-in device with two ranks instead of one.
fn two_ranks(name: &str) -> Device {
    let text = match name {
        "ddr4-2400" => include_str!("../devices/ddr4-2400.toml"),
        "ddr5-3200" => include_str!("../devices/ddr5-3200.toml"),
        "lpddr5-6400" => include_str!("../devices/lpddr5-6400.toml"),
        other => panic!("no table of {other} here"),
    };
    let text = text.replace("ranks = 1", "ranks = 2").replace(" bankgroup:", " rank:1 bankgroup:");
    Device::from_toml(&text, "two ranks").expect("legal device")
}

/// The bursts of two ranks on one bus must leave tCS between them, whatever the commands.
#[test]
fn other_ranks_wait_for_the_data_bus() {
    for name in ["ddr4-2400", "ddr5-3200", "lpddr5-6400"] {
        for (first, second) in [(RD, RD), (RD, WR), (WR, RD), (WR, WR)] {
            let mut p = Probe::of(two_ranks(name));
            let other = p.bank(1, 0, 0);
            p.issue(ACT, 0, 0);
            p.issue(ACT, other, 100);
            p.issue(first, 0, 1000);
            let to_data = |command| if command == RD { p.t("tCL") } else { p.t("tCWL") };
            let free = 1000 + to_data(first) + p.t("tBL") + p.t("tCS");
            // A read's data come so late that one right after a write may be no conflict.
            let expected = free - to_data(second);
            if expected > 1000 {
                p.earliest(second, other, expected);
            } else {
                p.issue(second, other, 1001);
            }
        }
    }
}

#[test]
fn ranks_on_one_bus_need_a_turn_around() {
    let text = include_str!("../devices/ddr4-2400.toml")
        .replace("ranks = 1", "ranks = 2")
        .replace(" bankgroup:", " rank:1 bankgroup:")
        .replace("tCS =", "# tCS =");
    let error = Device::from_toml(&text, "x.toml").expect_err("bursts would overlap");
    assert!(error.to_string().contains("tCS"), "{error}");
}

/// JESD79-5 and the cited table: ACT and column commands take two slots of the command bus.
#[test]
fn ddr5_commands_of_two_cycles_hold_the_command_bus() {
    let mut p = Probe::new("ddr5-3200");
    let (a, b) = (p.bank(0, 0, 0), p.bank(0, 1, 0));
    p.issue(ACT, a, 0);
    p.issue(ACT, b, 100);
    p.earliest(PRE, a, 102);
    p.issue(RD, b, 1000);
    p.earliest(ACT, a, 1002);
    p.issue(WR, b, 2000);
    p.earliest(PRE, a, 2002);
}

/// Ramulator's LPDDR5: 90 ns between per-bank refreshes, 8 ns to an ACT elsewhere, 488 ns apart.
#[test]
fn lpddr5_spaces_refreshes_of_different_banks_wider_than_activations() {
    let mut p = Probe::new("lpddr5-6400");
    p.issue(REFPB, 0, 10);
    assert_eq!(p.engine.earliest(REFPB, 1), 10 + 72);
    assert_eq!(p.engine.earliest(ACT, 1), 10 + 7);
    assert_eq!(p.t("tREFIpb"), 391);
    // PREA takes 17 cycles instead of 15 until the next ACT.
    let mut p = Probe::new("lpddr5-6400");
    p.issue(ACT, 0, 0);
    p.issue(PREA, 0, 500);
    p.earliest(ACT, 3, 517);
}

/// What the units of `gddr6-aim` write must be in the array before they compute with it, and a bank
/// keeps its row cycle whichever command opened the row.
#[test]
fn gddr6_aim_keeps_row_cycles_and_waits_for_written_data() {
    let find = |p: &Probe, name: &str| p.device.commands.find(name).expect("the device has it");
    for opener in ["ACTAB", "ACT4"] {
        let mut p = Probe::new("gddr6-aim");
        let open = find(&p, opener);
        p.issue(open, 0, 0);
        p.issue(PREA, 0, p.t("tRAS"));
        p.earliest(ACT, 0, p.t("tRC"));
    }
    for writer in ["WR", "WRA", "WRAB"] {
        let mut p = Probe::new("gddr6-aim");
        let (open, write, compute) = (find(&p, "ACTAB"), find(&p, writer), find(&p, "MACAB"));
        p.issue(open, 0, 0);
        p.issue(write, 0, 1000);
        let data = 1000 + p.t("tCWL") + p.t("tBL") + p.t("tWTR_L");
        assert_eq!(p.engine.earliest(compute, 0), data, "{writer}");
    }
}
