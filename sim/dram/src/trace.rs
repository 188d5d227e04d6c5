//! Issued commands: the hook that receives them and the csv writer.

use std::io;

use crate::command::{CommandId, CommandSet, Level};
use crate::organization::Organization;

/// One command on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Issued {
    /// Cycle of issue.
    pub cycle: u64,
    /// Channel.
    pub channel: u32,
    /// Which command.
    pub command: CommandId,
    /// Flat index of the bank, or of the first bank covered.
    pub bank: usize,
    /// Row, for commands that carry or use one.
    pub row: Option<u32>,
    /// Column, for column commands.
    pub column: Option<u32>,
}

/// Receives every command in issue order.
pub trait CommandSink {
    /// Takes one command.
    fn command(&mut self, issued: &Issued);
}

/// Drops everything.
impl CommandSink for () {
    #[inline]
    fn command(&mut self, _: &Issued) {}
}

/// Keeps everything.
impl CommandSink for Vec<Issued> {
    fn command(&mut self, issued: &Issued) {
        self.push(*issued);
    }
}

/// Passes everything on where there is somebody.
impl<S: CommandSink> CommandSink for Option<S> {
    #[inline]
    fn command(&mut self, issued: &Issued) {
        if let Some(sink) = self {
            sink.command(issued);
        }
    }
}

/// Both receive every command.
impl<A: CommandSink, B: CommandSink> CommandSink for (A, B) {
    fn command(&mut self, issued: &Issued) {
        self.0.command(issued);
        self.1.command(issued);
    }
}

impl<S: CommandSink> CommandSink for &mut S {
    #[inline]
    fn command(&mut self, issued: &Issued) {
        (**self).command(issued);
    }
}

/// Header of a command trace.
pub const HEADER: &str = "cycle,cmd,channel,rank,bankgroup,bank,row,column";

/// Writes a command trace: one line per command, -1 where a field does not apply.
///
/// Sort the commands of several channels by cycle first; within one channel the order given is the
/// issue order and must be kept (`sort_by_key` is stable).
///
/// # Errors
/// Writing fails.
pub fn write_csv<W: io::Write>(
    mut out: W,
    issued: &[Issued],
    commands: &CommandSet,
    organization: &Organization,
) -> io::Result<()> {
    writeln!(out, "{HEADER}")?;
    for one in issued {
        let spec = commands.spec(one.command);
        let (rank, group, bank) = organization.split_bank(one.bank);
        let shown = |level: Level, value: u32| {
            if level <= spec.scope { i64::from(value) } else { -1 }
        };
        let optional = |value: Option<u32>| value.map_or(-1, i64::from);
        writeln!(
            out,
            "{},{},{},{},{},{},{},{}",
            one.cycle,
            spec.name,
            one.channel,
            shown(Level::Rank, rank),
            shown(Level::BankGroup, group),
            shown(Level::Bank, bank),
            optional(one.row),
            optional(one.column),
        )?;
    }
    Ok(())
}
