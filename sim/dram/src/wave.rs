//! The command buses as a VCD waveform.
//!
//! Per channel and bus: `cmd` (mnemonic, empty when idle), `rank`, `bank` (flat, inside the rank),
//! `row`, `column`. One command is visible for one command clock.

use std::io;

use vcd::{IdCode, TimescaleUnit, Value, VarType, Writer};

use crate::command::{Bus, CommandSet};
use crate::organization::Organization;
use crate::trace::Issued;

struct Signals {
    cmd: IdCode,
    rank: IdCode,
    bank: IdCode,
    row: IdCode,
    column: IdCode,
}

/// Writes commands, in ascending cycle order, as a VCD file.
///
/// # Errors
/// Writing fails.
pub fn write_vcd<W: io::Write>(
    out: W,
    issued: &[Issued],
    commands: &CommandSet,
    organization: &Organization,
    tck_ps: u64,
) -> io::Result<()> {
    let mut writer = Writer::new(out);
    writer.timescale(1, TimescaleUnit::PS)?;
    writer.add_module("dram")?;
    let mut channels = Vec::new();
    for channel in 0..organization.channels {
        writer.add_module(&format!("channel{channel}"))?;
        let row = add_bus(&mut writer, "row_bus")?;
        let column = add_bus(&mut writer, "column_bus")?;
        writer.upscope()?;
        channels.push([row, column]);
    }
    writer.upscope()?;
    writer.enddefinitions()?;
    writer.timestamp(0)?;
    for signals in channels.iter().flatten() {
        idle(&mut writer, signals)?;
    }
    // Buses to return to idle, with the cycle at which.
    let mut busy: Vec<(u64, usize, usize)> = Vec::new();
    let mut time = None;
    for one in issued {
        settle(&mut writer, &mut busy, &channels, one.cycle, tck_ps, &mut time)?;
        step(&mut writer, one.cycle, tck_ps, &mut time)?;
        let spec = commands.spec(one.command);
        let (rank, group, bank) = organization.split_bank(one.bank);
        let bus = usize::from(spec.bus == Bus::Column);
        let signals = &channels[one.channel as usize][bus];
        writer.change_string(signals.cmd, &spec.name)?;
        vector(&mut writer, signals.rank, 8, Some(rank))?;
        vector(&mut writer, signals.bank, 16, Some(group * organization.banks_per_group + bank))?;
        vector(&mut writer, signals.row, 32, one.row)?;
        vector(&mut writer, signals.column, 32, one.column)?;
        let place = (one.channel as usize, bus);
        busy.retain(|&(_, channel, bus)| (channel, bus) != place);
        busy.push((one.cycle + 1, place.0, place.1));
    }
    settle(&mut writer, &mut busy, &channels, u64::MAX, tck_ps, &mut time)?;
    Ok(())
}

fn add_bus<W: io::Write>(writer: &mut Writer<W>, name: &str) -> io::Result<Signals> {
    writer.add_module(name)?;
    let signals = Signals {
        cmd: writer.add_var(VarType::String, 1, "cmd", None)?,
        rank: writer.add_wire(8, "rank")?,
        bank: writer.add_wire(16, "bank")?,
        row: writer.add_wire(32, "row")?,
        column: writer.add_wire(32, "column")?,
    };
    writer.upscope()?;
    Ok(signals)
}

/// Returns buses to idle whose command is over before `cycle`, each at its own time.
fn settle<W: io::Write>(
    writer: &mut Writer<W>,
    busy: &mut Vec<(u64, usize, usize)>,
    channels: &[[Signals; 2]],
    cycle: u64,
    tck_ps: u64,
    time: &mut Option<u64>,
) -> io::Result<()> {
    busy.sort_unstable();
    let over = busy.partition_point(|&(end, _, _)| end <= cycle);
    for (end, channel, bus) in busy.drain(..over) {
        step(writer, end, tck_ps, time)?;
        idle(writer, &channels[channel][bus])?;
    }
    Ok(())
}

fn step<W: io::Write>(
    writer: &mut Writer<W>,
    cycle: u64,
    tck_ps: u64,
    time: &mut Option<u64>,
) -> io::Result<()> {
    if *time != Some(cycle) {
        *time = Some(cycle);
        writer.timestamp(cycle.saturating_mul(tck_ps))?;
    }
    Ok(())
}

fn idle<W: io::Write>(writer: &mut Writer<W>, signals: &Signals) -> io::Result<()> {
    writer.change_string(signals.cmd, "-")?;
    for (signal, width) in
        [(signals.rank, 8), (signals.bank, 16), (signals.row, 32), (signals.column, 32)]
    {
        vector(writer, signal, width, None)?;
    }
    Ok(())
}

/// Most significant bit first; unknown when there is no value.
fn vector<W: io::Write>(
    writer: &mut Writer<W>,
    signal: IdCode,
    width: u32,
    value: Option<u32>,
) -> io::Result<()> {
    let bit = |index: u32| match value {
        Some(value) if value >> index & 1 == 1 => Value::V1,
        Some(_) => Value::V0,
        None => Value::X,
    };
    writer.change_vector(signal, (0..width).rev().map(bit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{ACT, RD};
    use crate::device::Device;

    #[test]
    fn every_command_appears_at_its_time_and_leaves_one_clock_later() {
        let device = Device::builtin("hbm2-2000").expect("built in");
        let at = |cycle, command, column| Issued {
            cycle,
            channel: 0,
            command,
            bank: 17,
            row: Some(5),
            column,
        };
        let issued = [at(3, ACT, None), at(18, RD, Some(9))];
        let mut text = Vec::new();
        write_vcd(&mut text, &issued, &device.commands, &device.organization, 1000)
            .expect("writes to memory");
        let commands: Vec<_> = vcd::Parser::new(text.as_slice())
            .skip_while(|item| !matches!(item, Ok(vcd::Command::Enddefinitions)))
            .map(|item| item.expect("valid VCD"))
            .collect();
        let mut time = 0;
        let mut seen = Vec::new();
        for command in commands {
            match command {
                vcd::Command::Timestamp(at) => time = at,
                vcd::Command::ChangeString(_, name) if time > 0 => seen.push((time, name)),
                _ => {}
            }
        }
        let expected = [(3000, "ACT"), (4000, "-"), (18000, "RD"), (19000, "-")];
        assert_eq!(seen, expected.map(|(time, name)| (time, name.to_owned())));
    }
}
