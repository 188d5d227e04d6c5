//! Rows of transactions between address generation and data crossbar.

use std::ops::Range;

use super::command::StreamKind;
use crate::kernel::snapshot::Snapshot;
use crate::units::memory::Grant;

/// One transaction per lane.
#[derive(Debug, Clone, Copy, Default)]
pub struct Row {
    /// Lanes that have a transaction.
    pub enabled: u64,
    /// Lanes whose transaction has not been issued.
    pub pending: u64,
    /// Lanes whose data have come.
    pub arrived: u64,
    /// Number of its command, counted from reset.
    pub command: u64,
    /// Its stream.
    pub kind: StreamKind,
    /// Transaction of lane 0.
    pub first: u64,
    /// Transactions.
    pub count: u32,
    /// Channel of lane 0 if lanes want consecutive channels, else the block with all channels.
    pub channels: u32,
    /// Whether `channels` is a block.
    pub scattered: bool,
    /// Whether it is the command's last row.
    pub last: bool,
}

/// The rows in use, a ring indexed by row number.
#[derive(Debug, Clone)]
pub struct Rows {
    ring: Vec<Row>,
    /// Oldest row that has not left.
    oldest: u64,
    /// Oldest row with something to issue, or `next`.
    issue: u64,
    /// Number of the next row.
    next: u64,
}

impl Rows {
    /// Rows for lane FIFOs of `depth` places: as many can wait for issue, as many for data.
    pub fn new(depth: u32) -> Self {
        let capacity = (2 * depth as usize + 2).next_power_of_two();
        Self { ring: vec![Row::default(); capacity], oldest: 0, issue: 0, next: 0 }
    }

    fn index(&self, number: u64) -> usize {
        number as usize & (self.ring.len() - 1)
    }

    /// Whether no row is in use.
    pub fn is_empty(&self) -> bool {
        self.oldest == self.next
    }

    /// Whether some transaction has not been issued.
    pub fn wait_for_issue(&self) -> bool {
        self.issue != self.next
    }

    /// Rows from the oldest with something to issue on: entries of the fullest address FIFO.
    pub fn waiting(&self) -> u64 {
        self.next - self.issue
    }

    /// Row `number`.
    pub fn get_mut(&mut self, number: u64) -> &mut Row {
        debug_assert!((self.oldest..self.next).contains(&number), "row {number} is in use");
        let at = self.index(number);
        &mut self.ring[at]
    }

    /// Adds a row.
    pub fn push(&mut self, row: Row) {
        let at = self.index(self.next);
        self.ring[at] = row;
        self.next += 1;
    }

    /// Rows whose transactions may be issued when at most `depth` rows wait for data.
    pub fn issuable(&self, depth: u64) -> Range<u64> {
        self.issue..self.next.min(self.oldest + depth)
    }

    /// Moves on to the oldest row with something to issue.
    pub fn skip_issued(&mut self) {
        while self.issue != self.next && self.ring[self.index(self.issue)].pending == 0 {
            self.issue += 1;
        }
    }

    /// Data have come.
    pub fn arrive(&mut self, grant: Grant) {
        self.get_mut(grant.row).arrived |= grant.lanes;
    }

    /// Whether all data of the oldest row have come.
    pub fn oldest_is_complete(&self) -> bool {
        let row = &self.ring[self.index(self.oldest)];
        self.oldest != self.next && row.arrived == row.enabled
    }

    /// Number of the oldest row.
    pub fn oldest(&self) -> u64 {
        self.oldest
    }

    /// Writes the rows in use; commands count from `first_command`.
    pub fn snapshot(&self, first_command: u64, to: &mut Snapshot) {
        to.put(self.next - self.oldest);
        to.put(self.issue - self.oldest);
        for number in self.oldest..self.next {
            let row = &self.ring[self.index(number)];
            if row.scattered {
                to.irregular();
            }
            to.put(row.pending);
            to.put(row.arrived);
            to.put(row.command - first_command);
            to.put(row.first);
            to.put(row.channels);
        }
    }

    /// Takes the oldest row.
    pub fn retire(&mut self) -> Row {
        let row = *self.get_mut(self.oldest);
        self.oldest += 1;
        row
    }
}
