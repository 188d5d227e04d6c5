//! The memory of the machine as a device of the DRAM simulator.

use attelier_dram::command::{ACT, CommandId, PRE, PREA, WR};
use attelier_dram::error::TableError;
use attelier_dram::{Device, Sequencer};
use attelier_hw::pim_gpt::{Activation, PimGpt};

/// Device whose commands and rules are used.
const BASE: &str = "gddr6-aim";

/// Commands of the machine.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names are those of the device table")]
pub struct Commands {
    pub act: CommandId,
    pub pre: CommandId,
    pub prea: CommandId,
    pub wr: CommandId,
    pub actab: CommandId,
    pub act4: CommandId,
    pub wrab: CommandId,
    pub macab: CommandId,
    pub wrgb: CommandId,
    pub rdmac: CommandId,
}

/// One channel with the timings of the machine.
///
/// # Errors
/// Timings from which no memory can be built.
pub fn device(machine: &PimGpt) -> Result<Device, TableError> {
    let t = &machine.timing;
    let memory = &machine.memory;
    let mut changes = vec![
        ("tCL", t.n_cl),
        ("tCWL", t.n_cwl),
        ("tRCDRD", t.n_rcd_rd),
        ("tRCDWR", t.n_rcd_wr),
        ("tRCDMAC", t.n_rcd_mac),
        ("tRP", t.n_rp),
        ("tRAS", t.n_ras),
        ("tRC", t.n_ras + t.n_rp),
        ("tWR", t.n_wr),
        ("tRTP", t.n_rtp),
        ("tCCD_S", t.n_ccd),
        ("tCCD_L", t.n_ccd),
        ("tCCDMAC", machine.mac.interval),
        ("tBL", t.n_bl),
        ("tWTR_S", t.n_wtr),
        ("tWTR_L", t.n_wtr),
        ("tRTW", t.n_rtw),
        ("tMACRD", t.n_mac_rd),
        ("tRDMAC", t.n_rd_mac),
        ("tRRD_S", t.n_rrd),
        ("tRRD_L", t.n_rrd),
        ("tRFC", t.n_rfc),
        ("tREFI", t.n_refi),
    ];
    if memory.activation == Activation::BankGroup {
        changes.push(("tFAW", t.n_faw));
    }
    let changes: Vec<(&str, u64)> =
        changes.into_iter().map(|(name, cycles)| (name, u64::from(cycles))).collect();
    let mut device = Device::builtin(BASE)?.with_timing(t.tck_ps.into(), &changes)?;
    let o = &mut device.organization;
    o.channels = memory.channels;
    o.banks_per_group = memory.banks / o.bankgroups;
    o.rows = memory.rows;
    o.columns = (memory.row_bytes / memory.burst_bytes).max(1);
    o.tx_bytes = memory.burst_bytes;
    o.check()?;
    Ok(device)
}

/// A sequencer for one channel of the device, refreshed if the machine is.
///
/// # Errors
/// An organisation that the simulator cannot hold.
pub fn sequencer(machine: &PimGpt, device: &Device) -> Result<Sequencer, TableError> {
    let interval = machine.memory.refresh.then(|| u64::from(machine.timing.n_refi));
    Sequencer::new(device, 0, interval)
}

/// The commands of the device.
///
/// # Errors
/// A device that lacks one.
pub fn commands(device: &Device) -> Result<Commands, TableError> {
    let find = |name: &str| {
        device.commands.find(name).ok_or_else(|| TableError::CommandName { name: name.to_owned() })
    };
    Ok(Commands {
        act: ACT,
        pre: PRE,
        prea: PREA,
        wr: WR,
        actab: find("ACTAB")?,
        act4: find("ACT4")?,
        wrab: find("WRAB")?,
        macab: find("MACAB")?,
        wrgb: find("WRGB")?,
        rdmac: find("RDMAC")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The preset of public values is the device table, but for tRC, which is tRAS + tRP here.
    #[test]
    fn the_public_preset_has_the_timings_of_the_public_table() {
        let machine = PimGpt::preset("pim-gpt-aim").unwrap();
        let ours = device(&machine).unwrap();
        let table = Device::builtin(BASE).unwrap();
        for (name, cycles) in table.timing.iter() {
            match name {
                "tRC" => assert_eq!((ours.timing.get(name), cycles), (86, 89)),
                "tWTR_S" => assert_eq!((ours.timing.get(name), cycles), (11, 9)),
                _ => assert_eq!(ours.timing.get(name), cycles, "{name}"),
            }
        }
        let o = &ours.organization;
        assert_eq!((o.channels, o.banks_per_rank(), o.columns, o.rows), (8, 16, 64, 16384));
        assert_eq!(o.capacity_bytes(), machine.memory.capacity_bytes);
    }

    #[test]
    fn four_activations_share_a_window_only_by_bank_group() {
        let mut machine = PimGpt::preset("pim-gpt").unwrap();
        assert_eq!(device(&machine).unwrap().timing.find("tFAW"), None);
        machine.memory.activation = Activation::BankGroup;
        assert_eq!(device(&machine).unwrap().timing.find("tFAW"), Some(32));
    }
}
