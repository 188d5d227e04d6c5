//! What a memory did, for people and for programs.

use std::{collections::BTreeMap, fmt::Write as _};

use attelier_dram::{
    Channel, Device, Op,
    case::{CaseParams, CaseResult, Served},
    energy::{self, Account, Activity, Geometry},
    stats::Statistics,
};
use serde::Serialize;

use crate::table::{Align, table};

/// What the memory did.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    last_cycle: u64,
    requests: u64,
    /// Bytes of one request.
    request_bytes: u32,
    /// Address bits from the lowest, as `--mapping` takes them.
    mapping: String,
    commands: u64,
    reads: u64,
    writes: u64,
    row_hits: u64,
    row_misses: u64,
    row_conflicts: u64,
    refreshes: u64,
    /// Arrival in the trace to the end of the data, reads only; `None` without reads.
    read_latency: Option<Latency>,
    /// The same from acceptance by the controller, without the wait in front of a full queue.
    read_latency_accepted: Option<Latency>,
    residency: Residency,
    /// What needs the clock and the currents of a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    physical: Option<Physical>,
}

/// Latencies of reads [cycles].
#[derive(Debug, Serialize)]
struct Latency {
    mean: f64,
    p50: u64,
    p90: u64,
    p99: u64,
    max: u64,
}

impl Latency {
    /// Exact quantiles of all values.
    fn of(mut values: Vec<u64>) -> Option<Self> {
        values.sort_unstable();
        let max = *values.last()?;
        let count = values.len();
        let quantile = |percent: usize| values[(count * percent).div_ceil(100) - 1];
        let sum: u128 = values.iter().map(|&value| u128::from(value)).sum();
        Some(Self {
            mean: sum as f64 / count as f64,
            p50: quantile(50),
            p90: quantile(90),
            p99: quantile(99),
            max,
        })
    }

    fn write(&self, name: &str, text: &mut String) {
        let Self { mean, p50, p90, p99, max } = self;
        *text += &format!(
            "{name} {mean:.1} cycles on average, median {p50}, 90 % {p90}, 99 % {p99}, longest \
             {max}\n"
        );
    }
}

/// Time of all ranks in each state [cycles].
#[derive(Debug, Serialize)]
struct Residency {
    active: u64,
    precharged: u64,
    bank_active: u64,
}

#[derive(Debug, Serialize)]
struct Physical {
    seconds: f64,
    bandwidth_bytes_per_s: f64,
    peak_share: f64,
    /// Energy per model and term [J]; the models are alternatives.
    energy_j: BTreeMap<&'static str, BTreeMap<&'static str, f64>>,
}

impl Summary {
    /// Sums up a run; `device` where there is one beside the parameters.
    pub fn of(device: Option<&Device>, params: &CaseParams, result: &CaseResult) -> Self {
        let mut all = Statistics::default();
        let mut activity = Activity::default();
        let end = result.last_cycle + 1;
        for channel in &result.channels {
            all.merge(channel.statistics());
            activity.add(&Activity::of(channel, end));
        }
        let reads = result.served.iter().filter(|request| request.op == Op::Read);
        let since = |from: fn(&Served) -> u64| -> Vec<u64> {
            reads.clone().map(|read| read.complete.saturating_sub(from(read))).collect()
        };
        Self {
            device: device.map(|device| device.name.clone()),
            last_cycle: result.last_cycle,
            requests: result.served.len() as u64,
            commands: result.channels.iter().flat_map(Channel::command_counts).sum(),
            reads: all.reads,
            writes: all.writes,
            row_hits: all.row_hits,
            row_misses: all.row_misses,
            row_conflicts: all.row_conflicts,
            refreshes: activity.refreshes_all_bank + activity.refreshes_per_bank,
            read_latency: Latency::of(since(|read| read.arrival)),
            read_latency_accepted: Latency::of(since(|read| read.accept)),
            request_bytes: params.organization.tx_bytes,
            mapping: params.mapping.to_string(),
            residency: Residency {
                active: activity.active_cycles,
                precharged: activity.precharged_cycles,
                bank_active: activity.bank_active_cycles,
            },
            physical: device.map(|device| Physical::of(device, params, &all, &activity, end)),
        }
    }

    /// The same for people.
    pub fn text(&self) -> String {
        let Self { last_cycle, requests, commands, row_hits, row_misses, row_conflicts, .. } = self;
        let mut text = format!(
            "{requests} requests of {} bytes ({} reads, {} writes), {commands} commands, last cycle \
             {last_cycle}\naddress bits from the lowest: {}\n{row_hits} row hits, {row_misses} misses, \
             {row_conflicts} conflicts; {} refreshes\n",
            self.request_bytes, self.reads, self.writes, self.mapping, self.refreshes
        );
        if let Some(latency) = &self.read_latency {
            latency.write("read latency", &mut text);
        }
        if let Some(latency) = &self.read_latency_accepted {
            latency.write("after acceptance", &mut text);
        }
        let Residency { active, precharged, bank_active } = self.residency;
        let banks = if active == 0 { 0.0 } else { bank_active as f64 / active as f64 };
        text += &format!(
            "ranks active for {active} cycles with {banks:.1} open banks, precharged for \
             {precharged}\n"
        );
        if let Some(physical) = &self.physical {
            physical.write(&mut text);
        }
        text
    }
}

impl Physical {
    fn of(
        device: &Device,
        params: &CaseParams,
        all: &Statistics,
        activity: &Activity,
        cycles: u64,
    ) -> Self {
        let organization = &params.organization;
        let bandwidth = all.bandwidth(cycles, organization.tx_bytes, device.clock_hz());
        let peak = device.peak_bandwidth() * f64::from(organization.channels);
        let geometry = Geometry::of(device);
        let terms =
            |account: Account| account.terms.iter().map(|term| (term.name, term.joules)).collect();
        let mut energy_j = BTreeMap::new();
        if let Some(idd) = &device.idd {
            energy_j.insert("micron", terms(energy::micron::energy(activity, idd, &geometry)));
            let parameters = energy::drampower::Parameters::default();
            let account = energy::drampower::energy(activity, idd, &geometry, &parameters);
            energy_j.insert("drampower", terms(account));
        }
        if let Some(table) = &device.per_bit {
            energy_j.insert("per_bit", terms(energy::per_bit::energy(activity, table, &geometry)));
        }
        Self {
            seconds: cycles as f64 / device.clock_hz(),
            bandwidth_bytes_per_s: bandwidth,
            peak_share: bandwidth / peak,
            energy_j,
        }
    }

    fn write(&self, text: &mut String) {
        let line = writeln!(
            text,
            "{:.3} µs, {:.3} GB/s, {:.1} % of the peak",
            self.seconds * 1e6,
            self.bandwidth_bytes_per_s * 1e-9,
            100.0 * self.peak_share
        );
        line.expect("a String takes every write");
        match self.energy_j.len() {
            0 => *text += "no energy: the device has neither currents nor energies per bit\n",
            1 => {}
            models => {
                *text += &format!(
                    "\nThe same energy by {models} models; they are alternatives, not parts.\n"
                );
            }
        }
        for (model, terms) in &self.energy_j {
            let total: f64 = terms.values().sum();
            let rows = terms.iter().filter(|(_, joules)| **joules != 0.0);
            let rows = rows.chain([(&"total", &total)]);
            let cell = |joules: &f64| format!("{:.3}", joules * 1e6);
            let cells = rows.map(|(name, joules)| vec![(*name).to_owned(), cell(joules)]);
            let title = match *model {
                "drampower" => "energy from currents, DRAMPower's equations",
                "micron" => "energy from currents, Micron's equations (as DRAMsim3)",
                _ => "energy per activation and bit",
            };
            *text += "\n";
            *text += &table(&[(title, Align::Left), ("µJ", Align::Right)], cells);
        }
    }
}
