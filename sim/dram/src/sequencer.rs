//! In-order commands without a scheduler: what an in-memory engine sends.
//!
//! A design that computes inside the memory knows its command sequence. The sequencer gives each
//! command its earliest legal cycle under the same tables, bus rules and bank states as everything
//! else, and refuses illegal ones. Refreshes go between operations, never inside one: call
//! [`Sequencer::refresh_if_due`] where rows may be closed.

use crate::command::{Bus, CommandId, PREA, REFA};
use crate::device::Device;
use crate::engine::Engine;
use crate::error::{IllegalCommand, TableError};
use crate::policy::CommandSlots;
use crate::trace::{CommandSink, Issued};

/// In-order command issue on one channel.
#[derive(Debug, Clone)]
pub struct Sequencer {
    engine: Engine,
    slots: CommandSlots,
    channel: u32,
    /// First free cycle of row and column bus.
    free: [u64; 2],
    last: u64,
    refresh_interval: Option<u64>,
    next_refresh: u64,
}

impl Sequencer {
    /// Commands for channel `channel` of a device; `refresh_interval` [cycles] is `None` for no
    /// refresh.
    ///
    /// # Errors
    /// The device is out of range.
    pub fn new(
        device: &Device,
        channel: u32,
        refresh_interval: Option<u64>,
    ) -> Result<Sequencer, TableError> {
        Ok(Sequencer {
            engine: Engine::new(&device.organization, &device.commands, &device.table)?,
            slots: device.slots,
            channel,
            free: [0; 2],
            last: 0,
            refresh_interval,
            next_refresh: refresh_interval.unwrap_or(u64::MAX),
        })
    }

    /// Issues a command as early as tables, buses and order allow, not before `not_before`;
    /// returns its cycle. `bank` is the flat bank index, any covered bank for wide commands.
    ///
    /// # Errors
    /// A bank is in the wrong state or the target does not exist.
    pub fn issue<S: CommandSink>(
        &mut self,
        command: CommandId,
        bank: usize,
        row: Option<u32>,
        column: Option<u32>,
        not_before: u64,
        sink: &mut S,
    ) -> Result<u64, IllegalCommand> {
        if bank >= self.engine.banks() {
            let command = self.engine.commands().spec(command).name.clone();
            return Err(IllegalCommand::Target { command, what: "bank", value: bank as u64 });
        }
        let bus = match (self.slots, self.engine.commands().spec(command).bus) {
            (CommandSlots::Two, Bus::Column) => 1,
            _ => 0,
        };
        let cycle =
            not_before.max(self.last).max(self.free[bus]).max(self.engine.earliest(command, bank));
        self.engine.issue_checked(command, bank, row.unwrap_or(0), cycle)?;
        sink.command(&Issued { cycle, channel: self.channel, command, bank, row, column });
        self.free[bus] = cycle + 1;
        self.last = cycle;
        Ok(cycle)
    }

    /// Closes all banks and refreshes every rank for each interval that has passed at `now`;
    /// returns the number of refreshes per rank.
    ///
    /// # Errors
    /// As [`Sequencer::issue`].
    pub fn refresh_if_due<S: CommandSink>(
        &mut self,
        now: u64,
        sink: &mut S,
    ) -> Result<u32, IllegalCommand> {
        let Some(interval) = self.refresh_interval else { return Ok(0) };
        let mut count = 0;
        while self.next_refresh <= now.max(self.last) {
            let banks = self.engine.organization().banks_per_rank() as usize;
            for rank in 0..self.engine.organization().ranks as usize {
                if self.engine.open_in_rank(rank) > 0 {
                    self.issue(PREA, rank * banks, None, None, now, sink)?;
                }
                self.issue(REFA, rank * banks, None, None, now, sink)?;
            }
            self.next_refresh = self.next_refresh.saturating_add(interval);
            count += 1;
        }
        Ok(count)
    }

    /// Cycle of the last command.
    #[must_use]
    pub fn last_cycle(&self) -> u64 {
        self.last
    }

    /// Bank states, earliest cycles and command counts.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aim() -> (Device, Sequencer) {
        let device = Device::builtin("gddr6-aim").expect("built in");
        let sequencer = Sequencer::new(&device, 0, None).expect("legal device");
        (device, sequencer)
    }

    /// One row of every bank: tRCD before the first MAC, one tCCD per further MAC, tRTP, tRP.
    #[test]
    fn a_row_of_all_bank_multiply_accumulate_takes_the_closed_form_time() {
        let (device, mut sequencer) = aim();
        let find = |name: &str| device.commands.find(name).expect("in the table");
        let (act, mac, rdmac) = (find("ACTAB"), find("MACAB"), find("RDMAC"));
        let mut trace = Vec::new();
        let mut send = |command, row, column| {
            sequencer.issue(command, 0, row, column, 0, &mut trace).expect("legal")
        };
        let first = send(act, Some(7), None);
        for column in 0..64 {
            send(mac, None, Some(column));
        }
        let close = send(PREA, None, None);
        let again = send(act, Some(8), None);
        let t = |name: &str| device.timing.get(name);
        let macs = t("tRCDMAC") + 63 * t("tCCDMAC");
        assert_eq!(close, first + macs + t("tRTP"));
        assert_eq!(again, close + t("tRP"));
        let read = sequencer.issue(rdmac, 0, None, None, 0, &mut trace).expect("legal");
        assert!(read >= first + macs + t("tMACRD"));
        assert_eq!(sequencer.engine().open_in_rank(0), 16);
    }

    #[test]
    fn compute_on_closed_banks_and_double_activation_are_refused() {
        let (device, mut sequencer) = aim();
        let find = |name: &str| device.commands.find(name).expect("in the table");
        let error = sequencer.issue(find("MACAB"), 0, None, None, 0, &mut ()).expect_err("closed");
        assert!(matches!(error, IllegalCommand::BankState { state: "is closed", .. }));
        sequencer.issue(find("ACT"), 3, Some(1), None, 0, &mut ()).expect("legal");
        let error = sequencer.issue(find("ACTAB"), 0, Some(1), None, 0, &mut ());
        assert!(matches!(error, Err(IllegalCommand::BankState { bank: 3, .. })));
        let error = sequencer.issue(find("ACT"), 99, Some(1), None, 0, &mut ());
        assert!(matches!(error, Err(IllegalCommand::Target { what: "bank", value: 99, .. })));
    }

    #[test]
    fn refresh_goes_between_operations_and_closes_banks_first() {
        let device = Device::builtin("gddr6-aim").expect("built in");
        let mut sequencer = Sequencer::new(&device, 0, Some(3333)).expect("legal device");
        let act = device.commands.find("ACTAB").expect("in the table");
        sequencer.issue(act, 0, Some(0), None, 3300, &mut ()).expect("legal");
        let mut trace = Vec::new();
        assert_eq!(sequencer.refresh_if_due(6666, &mut trace).expect("legal"), 2);
        let sent: Vec<_> = trace.iter().map(|issued: &Issued| issued.command).collect();
        assert_eq!(sent, [PREA, REFA, REFA]);
        assert_eq!(trace[2].cycle - trace[1].cycle, device.timing.get("tRFC"));
    }
}
