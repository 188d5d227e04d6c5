//! Command traces of PIM-GPT against a checker that knows nothing of the engine: pairwise distances and
//! bank states, written again from the timings.
#![allow(clippy::unwrap_used, clippy::type_complexity, reason = "a test may stop here")]

use attelier_dram::command::CommandSet;
use attelier_dram::trace::Issued;
use attelier_hw::config;
use attelier_hw::pim_gpt::{PimGpt, Timing};
use attelier_sim::designs::pim_gpt::compile::{Compiler, expand};
use attelier_sim::designs::pim_gpt::placement::Placement;
use attelier_sim::designs::pim_gpt::{Machine, device};
use attelier_workloads::decoding::DecoderShape;

const BANKS: usize = 16;

fn machine(preset: &str, set: &[&str]) -> PimGpt {
    let sets: Vec<String> = set.iter().map(ToString::to_string).collect();
    PimGpt::check(&config::load(preset, None, &sets).unwrap()).unwrap()
}

/// Commands of two tokens of a small model, with names.
fn trace(machine: &PimGpt) -> Vec<(String, Issued)> {
    let shape = DecoderShape::gpt(2, 1280, 20).unwrap();
    let placement = Placement::new(machine, &shape, 1100, false).unwrap();
    let compiler = Compiler::new(machine, &shape, &placement);
    let mut run = Machine::new(machine, Vec::new()).unwrap();
    for context in [130, 1100] {
        let program = compiler.layer(context);
        for layer in 0..shape.layers {
            let first = compiler.first_row(layer);
            for instruction in expand(&program, machine.mac.columns, first) {
                run.execute(&instruction).unwrap();
            }
        }
    }
    let commands: CommandSet = device::device(machine).unwrap().commands;
    let named = |issued: Issued| (commands.spec(issued.command).name.clone(), issued);
    run.into_sink().into_iter().map(named).collect()
}

/// When something last happened; never at first.
type Last = Option<u64>;

/// Bank and bus states, and every violation found.
#[derive(Default)]
struct Checker {
    open: [bool; BANKS],
    activated: [Last; BANKS],
    precharged: [Last; BANKS],
    read: [Last; BANKS],
    written: [Last; BANKS],
    column_read: Last,
    column_write: Last,
    mac: Last,
    refreshed: Last,
    windows: Vec<u64>,
    last: Last,
    refreshes: u64,
    faults: Vec<String>,
}

impl Checker {
    fn need(&mut self, rule: &str, now: u64, since: Last, distance: u32) {
        if let Some(since) = since
            && now < since + u64::from(distance)
        {
            self.faults.push(format!("{rule} at {now}: {} < {distance}", now - since));
        }
    }

    fn activate(&mut self, banks: std::ops::Range<usize>, now: u64, t: &Timing) {
        for bank in banks {
            if std::mem::replace(&mut self.open[bank], true) {
                self.faults.push(format!("bank {bank} is open already at {now}"));
            }
            self.need("nRP", now, self.precharged[bank], t.n_rp);
            self.need("nRC", now, self.activated[bank], t.n_ras + t.n_rp);
            self.activated[bank] = Some(now);
            (self.read[bank], self.written[bank]) = (None, None);
        }
    }

    fn precharge(&mut self, banks: std::ops::Range<usize>, now: u64, t: &Timing) {
        for bank in banks {
            if !std::mem::replace(&mut self.open[bank], false) {
                continue;
            }
            self.need("nRAS", now, self.activated[bank], t.n_ras);
            self.need("nRTP", now, self.read[bank], t.n_rtp);
            self.need("nWR", now, self.written[bank], t.n_cwl + t.n_bl + t.n_wr);
            self.precharged[bank] = Some(now);
        }
    }

    fn access(&mut self, banks: std::ops::Range<usize>, now: u64, rcd: u32, write: bool) {
        for bank in banks {
            if !self.open[bank] {
                self.faults.push(format!("bank {bank} is closed at {now}"));
            }
            self.need("nRCD", now, self.activated[bank], rcd);
            if write { self.written[bank] = Some(now) } else { self.read[bank] = Some(now) }
        }
    }

    /// Data over the pins.
    fn transfer(&mut self, now: u64, write: bool, t: &Timing) {
        if write {
            self.need("nCCD", now, self.column_write, t.n_ccd);
            self.need("nRTW", now, self.column_read, t.n_rtw);
            self.column_write = Some(now);
        } else {
            self.need("nCCD", now, self.column_read, t.n_ccd);
            self.need("nWTR", now, self.column_write, t.n_cwl + t.n_bl + t.n_wtr);
            self.column_read = Some(now);
        }
    }

    fn check(mut self, trace: &[(String, Issued)], t: &Timing, mac: u32, faw: Option<u32>) -> Self {
        for (name, issued) in trace {
            let (now, bank) = (issued.cycle, issued.bank);
            if self.last.is_some_and(|last| now <= last) {
                self.faults.push(format!("{name} at {now}: the command bus is busy"));
            }
            self.last = Some(now);
            self.need("nRFC", now, self.refreshed, t.n_rfc);
            match name.as_str() {
                "ACT" => self.activate(bank..bank + 1, now, t),
                "ACTAB" => self.activate(0..BANKS, now, t),
                "ACT4" => {
                    if let Some(faw) = faw {
                        self.need("nFAW", now, self.windows.last().copied(), faw);
                    }
                    self.windows.push(now);
                    self.activate(bank..bank + 4, now, t);
                }
                "PRE" => self.precharge(bank..bank + 1, now, t),
                "PREA" => self.precharge(0..BANKS, now, t),
                "MACAB" => {
                    self.access(0..BANKS, now, t.n_rcd_mac, false);
                    self.need("nMAC", now, self.mac, mac);
                    self.mac = Some(now);
                }
                "WR" | "WRAB" => {
                    let banks = if name == "WR" { bank..bank + 1 } else { 0..BANKS };
                    self.access(banks, now, t.n_rcd_wr, true);
                    self.transfer(now, true, t);
                }
                "WRGB" => self.transfer(now, true, t),
                "RDMAC" => {
                    self.need("MAC to read-out", now, self.mac, 1);
                    self.transfer(now, false, t);
                }
                "REFA" => {
                    if self.open.contains(&true) {
                        self.faults.push(format!("refresh of open banks at {now}"));
                    }
                    for bank in 0..BANKS {
                        self.need("nRP", now, self.precharged[bank], t.n_rp);
                    }
                    self.refreshed = Some(now);
                    self.refreshes += 1;
                    // At most eight may be late.
                    let due = now / u64::from(t.n_refi);
                    if due > self.refreshes + 8 || self.refreshes > due + 8 {
                        self.faults.push(format!("{} of {due} refreshes at {now}", self.refreshes));
                    }
                }
                other => self.faults.push(format!("unknown command {other}")),
            }
        }
        self
    }
}

const MACHINES: [(&str, &[&str]); 5] = [
    ("pim-gpt", &[]),
    ("pim-gpt-aim", &[]),
    ("pim-gpt-aim", &["memory.activation=bank-group"]),
    ("pim-gpt", &["memory.double_buffer=false", "overlap.stream_results=false"]),
    ("pim-gpt", &["mac.multipliers=8", "asic.clock_hz=100_000_000"]),
];

fn faw(machine: &PimGpt) -> Option<u32> {
    let limited = machine.memory.activation == attelier_hw::pim_gpt::Activation::BankGroup;
    limited.then_some(machine.timing.n_faw)
}

#[test]
fn every_command_is_legal() {
    for (preset, set) in MACHINES {
        let machine = machine(preset, set);
        let trace = trace(&machine);
        let t = &machine.timing;
        let checker = Checker::default().check(&trace, t, machine.mac.interval, faw(&machine));
        let faults = &checker.faults;
        assert!(faults.is_empty(), "{preset} {set:?}: {} faults, {:?}", faults.len(), faults[0]);
        assert!(trace.len() > 10_000 && checker.refreshes > 5, "{preset} {set:?}");
        for name in ["MACAB", "WRGB", "RDMAC", "WR", "WRAB", "PREA", "REFA"] {
            assert!(trace.iter().any(|(command, _)| command == name), "no {name}");
        }
    }
}

/// The checker finds what is one cycle too early, for every distance that the traces are tight in.
#[test]
fn the_checker_notices_a_distance_that_is_not_kept() {
    let machine = machine("pim-gpt-aim", &["memory.activation=bank-group"]);
    let trace = trace(&machine);
    let tighter: [(&str, fn(&mut Timing)); 8] = [
        ("nRCD", |t| t.n_rcd_mac += 1),
        ("nRCD", |t| t.n_rcd_wr += 1),
        ("nRP", |t| t.n_rp += 1),
        ("nRTP", |t| t.n_rtp += 1),
        ("nWR", |t| t.n_wr += 1),
        ("nCCD", |t| t.n_ccd += 1),
        ("nRFC", |t| t.n_rfc += 1),
        ("nFAW", |t| t.n_faw += 1),
    ];
    for (rule, change) in tighter {
        let mut timing = machine.timing.clone();
        change(&mut timing);
        let faw = Some(timing.n_faw);
        let checker = Checker::default().check(&trace, &timing, machine.mac.interval, faw);
        assert!(checker.faults.iter().any(|fault| fault.starts_with(rule)), "{rule}");
    }
    let mut broken = trace.clone();
    let first = broken.iter().position(|(name, _)| name == "PREA").unwrap();
    broken.remove(first);
    let t = &machine.timing;
    let checker = Checker::default().check(&broken, t, machine.mac.interval, faw(&machine));
    assert!(checker.faults.iter().any(|fault| fault.contains("open already")));
}
