//! Streams one mebibyte from SpAtten's sixteen HBM2 channels and prints time, hits and energy.
//!
//! `cargo run --release -p attelier-dram --example stream [-- WAVEFORM.vcd]`

use std::error::Error;
use std::io::{self, BufWriter, Write};

use attelier_dram::energy::{Geometry, micron, per_bit};
use attelier_dram::trace::Issued;
use attelier_dram::wave::write_vcd;
use attelier_dram::{ClockRatio, Device, Memory, Op};

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::builtin("spatten-hbm2")?;
    let ratio = ClockRatio::new(1, 1)?;
    let mut memory = Memory::new(&device, &device.default_controller(), ratio)?;
    let requests = (1u64 << 20) / u64::from(device.organization.tx_bytes);
    let per_channel = requests / memory.channels() as u64;
    let mut next = vec![0; memory.channels()];
    let (mut done, mut commands) = (0, Vec::<Issued>::new());
    while done < requests {
        for (channel, next) in next.iter_mut().enumerate() {
            if *next < per_channel && memory.can_accept(channel, Op::Read) {
                memory.submit_to(channel, Op::Read, *next * 32, *next)?;
                *next += 1;
            }
        }
        let offering = next.iter().any(|&next| next < per_channel);
        let step = memory.now() + 1;
        let core = if offering { step } else { memory.next_event().unwrap_or(step) };
        memory.advance_to(core, &mut commands);
        for channel in 0..memory.channels() {
            while memory.pop_completion(channel).is_some() {
                done += 1;
            }
        }
    }
    let stats = memory.statistics();
    let mut out = io::stdout().lock();
    writeln!(out, "{}: {}", device.name, device.description)?;
    let cycles = memory.now();
    let rate = stats.bandwidth(cycles, device.organization.tx_bytes, device.clock_hz()) / 1e9;
    let latency = &stats.read_latency;
    writeln!(out, "{requests} reads in {cycles} cycles, {rate:.1} GB/s")?;
    writeln!(out, "row hits {:.2} %", 100.0 * stats.row_hit_rate())?;
    writeln!(out, "latency mean {:.1}, 99 % from {} on", latency.mean(), latency.quantile(0.99))?;
    let (activity, geometry) = (memory.activity(), Geometry::of(&device));
    if let Some(idd) = &device.idd {
        print_account(&mut out, "IDD model", &micron::energy(&activity, idd, &geometry))?;
    }
    if let Some(table) = &device.per_bit {
        print_account(&mut out, "per bit", &per_bit::energy(&activity, table, &geometry))?;
    }
    if let Some(path) = std::env::args().nth(1) {
        commands.sort_by_key(|issued| issued.cycle);
        let file = BufWriter::new(std::fs::File::create(&path)?);
        write_vcd(file, &commands, memory.commands(), memory.organization(), device.tck_ps)?;
        writeln!(out, "{} commands written to {path}", commands.len())?;
    }
    Ok(())
}

fn print_account(
    out: &mut impl Write,
    name: &str,
    account: &attelier_dram::energy::Account,
) -> io::Result<()> {
    writeln!(out, "{name}: {:.3} uJ", account.total() * 1e6)?;
    for term in account.terms.iter().filter(|term| term.joules > 0.0) {
        writeln!(out, "  {} {:.3} uJ", term.name, term.joules * 1e6)?;
    }
    Ok(())
}
