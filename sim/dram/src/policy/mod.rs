//! Scheduling policies: which of the pending commands goes next.
//!
//! Policies own their queues; timing and bank states stay in the one [`Engine`]. Both published
//! controllers are here: [`active_list`] behaves as Ramulator 2's, [`bank_queues`] as DRAMsim3's.

use std::collections::VecDeque;

use crate::command::{self, CommandId};
use crate::engine::Engine;
use crate::error::TableError;
use crate::request::{Completion, Op, Pool};
use crate::stats::{RowHistory, Statistics};
use crate::trace::{CommandSink, Issued};

pub mod active_list;
pub mod bank_queues;
mod queue;
mod refresh;

pub use active_list::{ActiveListConfig, Scheduler};
pub use bank_queues::BankQueuesConfig;
pub use refresh::{PerBankOrder, Refresh};

/// Which policy schedules a channel.
#[derive(Debug, Clone, PartialEq)]
pub enum Policy {
    /// Read and write queues, an active list and a priority queue (Ramulator 2).
    ActiveList(ActiveListConfig),
    /// One command queue per bank, served in turn (DRAMsim3).
    BankQueues(BankQueuesConfig),
}

impl Policy {
    /// Names of ready-made policies, and what each is.
    pub const NAMES: [(&str, &str); 4] = [
        ("frfcfs", "first ready, first come, as Ramulator 2"),
        ("frfcfs-row-hit", "the same, but a row stays open while an older request hits it"),
        ("bank-queues", "a queue per bank served in turn, reads and writes apart, as DRAMsim3"),
        ("bank-queues-unified", "the same with one queue for reads and writes"),
    ];

    /// The policy of a name in [`Policy::NAMES`], with its usual queue sizes.
    #[must_use]
    pub fn named(name: &str) -> Option<Policy> {
        let active = |scheduler| ActiveListConfig { scheduler, ..ActiveListConfig::default() };
        let banks =
            |unified_queue| BankQueuesConfig { unified_queue, ..BankQueuesConfig::default() };
        Some(match name {
            "frfcfs" => Policy::ActiveList(active(Scheduler::FrFcfs)),
            "frfcfs-row-hit" => Policy::ActiveList(active(Scheduler::FrFcfsRowHit)),
            "bank-queues" => Policy::BankQueues(banks(false)),
            "bank-queues-unified" => Policy::BankQueues(banks(true)),
            _ => return None,
        })
    }
}

/// Commands one channel can send in a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandSlots {
    /// One of any kind.
    One,
    /// One column command and one row command (HBM).
    Two,
}

/// When a row is closed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PagePolicy {
    /// Only for another row or a refresh.
    Open,
    /// With the last queued request for it, by auto-precharge.
    Closed,
}

/// Whether provably empty cycles are skipped; both give the same commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepping {
    /// Look only at cycles in which something can issue.
    Jump,
    /// Look at every cycle and every queue: the reference for [`Stepping::Jump`].
    EveryCycle,
}

/// A complete controller.
#[derive(Debug, Clone, PartialEq)]
pub struct ControllerConfig {
    /// Queues and arbitration.
    pub policy: Policy,
    /// Command bus.
    pub slots: CommandSlots,
    /// Row policy.
    pub page: PagePolicy,
    /// Refresh.
    pub refresh: Refresh,
    /// Time stepping.
    pub stepping: Stepping,
}

impl ControllerConfig {
    /// Whether this controller can ever send a command.
    pub(crate) fn uses(&self, command: CommandId) -> bool {
        use command::{ACT, PRE, PREA, RD, RDA, REFA, REFPB, WR, WRA};
        match command {
            ACT | PRE | RD | WR => true,
            RDA | WRA => self.page == PagePolicy::Closed,
            PREA | REFA => matches!(self.refresh, Refresh::AllBank { .. }),
            REFPB => matches!(self.refresh, Refresh::PerBank { .. }),
            _ => false,
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// A queue has no entry, a watermark is no share, or a refresh interval is zero.
    pub fn check(&self) -> Result<(), TableError> {
        self.refresh.check()?;
        match &self.policy {
            Policy::ActiveList(config) => config.check(),
            Policy::BankQueues(config) => config.check(),
        }
    }
}

pub(crate) fn check_capacity(field: &'static str, value: usize) -> Result<(), TableError> {
    if (1..=1 << 20).contains(&value) {
        return Ok(());
    }
    let expected = "1 to 1048576 entries";
    Err(TableError::Controller { field, value: value.to_string(), expected })
}

/// What every policy works on.
#[derive(Debug, Clone)]
pub(crate) struct Core {
    pub engine: Engine,
    pub pool: Pool,
    pub stats: Statistics,
    /// How each bank's row came to be open, for the row statistics.
    pub rows: Vec<RowHistory>,
    pub reads_done: VecDeque<Completion>,
    pub writes_done: VecDeque<Completion>,
    pub channel: u32,
    pub read_latency: u64,
    pub page: PagePolicy,
    pub exhaustive: bool,
}

impl Core {
    /// Sends a command that moves no data.
    pub fn issue_row<S: CommandSink>(
        &mut self,
        command: CommandId,
        bank: usize,
        row: u32,
        now: u64,
        sink: &mut S,
    ) {
        self.engine.issue(command, bank, row, now);
        for bank in self.engine.covered(command, bank) {
            self.rows[bank].row_command(command);
        }
        let row = (command == command::ACT).then_some(row);
        sink.command(&Issued {
            cycle: now,
            command,
            channel: self.channel,
            bank,
            row,
            column: None,
        });
    }

    /// Sends ACT or PRE on behalf of a request.
    pub fn issue_for<S: CommandSink>(
        &mut self,
        command: CommandId,
        slot: u32,
        now: u64,
        sink: &mut S,
    ) {
        let pending = self.pool.get(slot);
        let (bank, row) = (pending.bank as usize, pending.row);
        self.issue_row(command, bank, row, now, sink);
    }

    /// Sends the column command of a request, which is then served.
    pub fn issue_column<S: CommandSink>(
        &mut self,
        command: CommandId,
        slot: u32,
        now: u64,
        write_done: Option<u64>,
        sink: &mut S,
    ) {
        let pending = self.pool.remove(slot);
        let (bank, row) = (pending.bank as usize, pending.row);
        self.engine.issue(command, bank, row, now);
        let column = Some(pending.column);
        let channel = self.channel;
        sink.command(&Issued { cycle: now, command, channel, bank, row: Some(row), column });
        let outcome = self.rows[bank].column_command(command);
        self.stats.served(pending.op, outcome);
        match pending.op {
            Op::Read => {
                let cycle = now + self.read_latency;
                self.stats.read_latency.add(cycle - pending.arrival);
                self.reads_done.push_back(Completion { tag: pending.tag, op: Op::Read, cycle });
            }
            Op::Write => {
                if let Some(cycle) = write_done {
                    let done = Completion { tag: pending.tag, op: Op::Write, cycle };
                    self.writes_done.push_back(done);
                }
            }
        }
    }

    /// Column command for a request: with auto-precharge when a closed-page controller has no
    /// other request for the row.
    pub fn column_command(&self, op: Op, row_needed_again: impl FnOnce() -> bool) -> CommandId {
        let close = self.page == PagePolicy::Closed && !row_needed_again();
        match (op, close) {
            (Op::Read, false) => command::RD,
            (Op::Read, true) => command::RDA,
            (Op::Write, false) => command::WR,
            (Op::Write, true) => command::WRA,
        }
    }
}
