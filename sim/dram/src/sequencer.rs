//! In-order commands without a scheduler: what an in-memory engine sends.
//!
//! A design that computes inside the memory knows its command sequence. The sequencer gives each
//! command its earliest legal cycle under the same tables, bus rules and bank states as everything
//! else, and refuses illegal ones. Refreshes go between operations, never inside one: call
//! [`Sequencer::refresh_if_due`] where rows may be closed.

use std::ops::Range;

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
        let bus = self.bus(command);
        let cycle =
            not_before.max(self.last).max(self.free[bus]).max(self.engine.earliest(command, bank));
        self.engine.issue_checked(command, bank, row.unwrap_or(0), cycle)?;
        sink.command(&Issued { cycle, channel: self.channel, command, bank, row, column });
        self.free[bus] = cycle + 1;
        self.last = cycle;
        Ok(cycle)
    }

    /// Issues a command once per column of `columns`, the first not before `not_before`; returns the
    /// cycles of the first and the last.
    ///
    /// Where distances let the commands follow each other evenly, only the first two and the last
    /// are computed.
    ///
    /// # Errors
    /// As [`Sequencer::issue`].
    pub fn issue_run<S: CommandSink>(
        &mut self,
        command: CommandId,
        bank: usize,
        columns: Range<u32>,
        not_before: u64,
        sink: &mut S,
    ) -> Result<(u64, u64), IllegalCommand> {
        let Range { start, end } = columns;
        let first = self.issue(command, bank, None, Some(start), not_before, sink)?;
        if end.saturating_sub(start) < 2 {
            return Ok((first, first));
        }
        let second = self.issue(command, bank, None, Some(start + 1), 0, sink)?;
        let mut last = second;
        if self.engine.repeatable(command) {
            let spacing = second - first;
            for column in start + 2..end {
                last += spacing;
                self.tell(command, bank, column, last, sink);
            }
            self.skip(command, bank, last, u64::from(end - start) - 2);
        } else {
            for column in start + 2..end {
                last = self.issue(command, bank, None, Some(column), 0, sink)?;
            }
        }
        Ok((first, last))
    }

    /// Issues two commands in turn, `first.0` then `second.0`, `count` times, from the columns
    /// `first.1` and `second.1` on, not before `not_before`; returns the cycles of the last of each.
    ///
    /// As in [`Sequencer::issue_run`], what is even is not computed one by one: from the second pair
    /// on, only the distances within and between the pairs matter.
    ///
    /// # Errors
    /// As [`Sequencer::issue`]. One pair is issued even for a `count` of 0.
    pub fn issue_pairs<S: CommandSink>(
        &mut self,
        first: (CommandId, u32),
        second: (CommandId, u32),
        bank: usize,
        count: u32,
        not_before: u64,
        sink: &mut S,
    ) -> Result<[u64; 2], IllegalCommand> {
        let pair = |sequencer: &mut Self, index: u32, sink: &mut S| {
            let column = Some(first.1 + index);
            let one = sequencer.issue(first.0, bank, None, column, not_before, sink)?;
            let two = sequencer.issue(second.0, bank, None, Some(second.1 + index), 0, sink)?;
            Ok::<_, IllegalCommand>([one, two])
        };
        let mut last = pair(self, 0, sink)?;
        let mut index = 1;
        while index < count {
            let now = pair(self, index, sink)?;
            index += 1;
            let period = now[0] - last[0];
            let even = now[1] - last[1] == period;
            last = now;
            let leaps = [first.0, second.0].map(|command| self.engine.repeatable(command));
            if even && leaps == [true; 2] {
                for rest in index..count {
                    last = last.map(|cycle| cycle + period);
                    self.tell(first.0, bank, first.1 + rest, last[0], sink);
                    self.tell(second.0, bank, second.1 + rest, last[1], sink);
                }
                let left = u64::from(count - index);
                self.skip(first.0, bank, last[0], left);
                self.skip(second.0, bank, last[1], left);
                break;
            }
        }
        Ok(last)
    }

    /// Everything that decides about later commands but refresh, with cycles counted from that of the
    /// last command: two sequencers for which this is equal answer the same commands equally, only at
    /// another time. `None` where the device has windows of several commands, such as tFAW.
    #[must_use]
    pub fn relative(&self) -> Option<Vec<u64>> {
        let mut state = self.engine.relative(self.last)?;
        state.extend(self.free.map(|free| free.saturating_sub(self.last)));
        Some(state)
    }

    /// Nothing is sent before `cycle`.
    pub fn wait_until(&mut self, cycle: u64) {
        self.last = self.last.max(cycle);
    }

    /// Sets the cycle of the next refresh.
    pub fn set_next_refresh(&mut self, cycle: u64) {
        self.next_refresh = cycle;
    }

    /// Cycle of the next refresh; never where refresh is off.
    #[must_use]
    pub fn next_refresh(&self) -> u64 {
        self.next_refresh
    }

    /// Tells `sink` of a command that [`Sequencer::skip`] issues.
    fn tell<S: CommandSink>(
        &self,
        command: CommandId,
        bank: usize,
        column: u32,
        cycle: u64,
        sink: &mut S,
    ) {
        let (row, column) = (None, Some(column));
        sink.command(&Issued { cycle, channel: self.channel, command, bank, row, column });
    }

    /// Issues `count` commands that are known to be legal, the last of them at `last`.
    fn skip(&mut self, command: CommandId, bank: usize, last: u64, count: u64) {
        if count > 0 {
            self.engine.issue_more(command, bank, last, count);
            let bus = self.bus(command);
            self.free[bus] = last + 1;
            self.last = last;
        }
    }

    fn bus(&self, command: CommandId) -> usize {
        match (self.slots, self.engine.commands().spec(command).bus) {
            (CommandSlots::Two, Bus::Column) => 1,
            _ => 0,
        }
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

    /// A row of MACs, vector writes in their shadow, read-out: runs end in the state, the counts and the
    /// residency of one command after the other.
    #[test]
    fn runs_are_the_same_as_one_command_after_the_other() {
        let (device, start) = aim();
        let find = |name: &str| device.commands.find(name).expect("in the table");
        let (act, mac, write) = (find("ACTAB"), find("MACAB"), find("WRGB"));
        let read = find("RDMAC");
        let row = |sequencer: &mut Sequencer, fast: bool, shadow: u32, trace: &mut Vec<Issued>| {
            sequencer.issue(act, 0, Some(1), None, 0, trace).expect("legal");
            if fast {
                if shadow > 0 {
                    sequencer
                        .issue_pairs((mac, 0), (write, 0), 0, shadow, 0, trace)
                        .expect("legal");
                }
                sequencer.issue_run(mac, 0, shadow..64, 0, trace).expect("legal");
            } else {
                for column in 0..64 {
                    sequencer.issue(mac, 0, None, Some(column), 0, trace).expect("legal");
                    if column < shadow {
                        sequencer.issue(write, 0, None, Some(column), 0, trace).expect("legal");
                    }
                }
            }
            sequencer.issue(PREA, 0, None, None, 0, trace).expect("legal");
            sequencer.issue(read, 0, None, None, 0, trace).expect("legal");
        };
        for shadow in [0, 1, 2, 40] {
            let (mut slow, mut fast) = (start.clone(), start.clone());
            let (mut one, mut other) = (Vec::new(), Vec::new());
            for _ in 0..3 {
                row(&mut slow, false, shadow, &mut one);
                row(&mut fast, true, shadow, &mut other);
            }
            assert_eq!(one, other, "shadow of {shadow}");
            assert_eq!(slow.relative(), fast.relative());
            assert_eq!(slow.engine.counts(), fast.engine.counts());
            let end = slow.last + 5;
            assert_eq!(slow.engine.residency(end), fast.engine.residency(end));
        }
    }

    /// A thousand cycles later, in another row: the state looks the same, and so does all that follows.
    #[test]
    fn equal_relative_states_answer_equally() {
        let (device, start) = aim();
        let find = |name: &str| device.commands.find(name).expect("in the table");
        let (act, mac) = (find("ACTAB"), find("MACAB"));
        let row = |sequencer: &mut Sequencer, row: u32, trace: &mut Vec<Issued>| {
            sequencer.issue(act, 0, Some(row), None, 0, trace).expect("legal");
            sequencer.issue_run(mac, 0, 0..64, 0, trace).expect("legal");
            sequencer.issue(PREA, 0, None, None, 0, trace).expect("legal");
        };
        let (mut early, mut late) = (start.clone(), start);
        late.wait_until(1000);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        row(&mut early, 1, &mut one);
        row(&mut late, 2, &mut other);
        assert_eq!(early.relative(), late.relative());
        row(&mut early, 3, &mut one);
        row(&mut late, 4, &mut other);
        let later: Vec<u64> = one.iter().map(|issued| issued.cycle + 1000).collect();
        assert!(later.iter().eq(other.iter().map(|issued| &issued.cycle)));
        // A bank that is open, and a distance that still runs, are seen.
        late.issue(act, 0, Some(5), None, 0, &mut other).expect("legal");
        assert_ne!(early.relative(), late.relative());
        let windows = device.with_timing(500, &[("tFAW", 40)]).expect("legal");
        assert_eq!(Sequencer::new(&windows, 0, None).expect("legal").relative(), None);
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
