//! Command decoder of a PIM-GPT channel: one command per cycle to all banks.
//!
//! MAC commands since the last read-out count the bursts of the vector, so a dot product may run on
//! across rows. A command that its banks cannot take has no effect and is remembered.

use attelier_hw::pim_gpt::PimGpt;

/// A command of one cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Opens a row in all banks.
    Activate {
        /// The row.
        row: u32,
    },
    /// Multiplies one column of all banks with the next burst of the vector.
    Mac {
        /// Half of the vector buffer.
        half: u32,
        /// Column of the open row, in bursts.
        column: u32,
    },
    /// Reads and clears the accumulators.
    Read,
    /// Closes all banks.
    Precharge,
    /// Refreshes all banks, which must be closed.
    Refresh,
    /// Writes one burst of a vector.
    WriteVector {
        /// Half of the vector buffer.
        half: u32,
        /// Burst in it.
        line: u32,
    },
}

/// What the decoder asks for in one cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Strobes {
    /// Opens this row.
    pub activate: Option<u32>,
    /// Closes the row.
    pub precharge: bool,
    /// Refreshes all banks.
    pub refresh: bool,
    /// Reads this column of the arrays and this line of the vector buffer.
    pub access: Option<(u32, u32)>,
    /// Writes this line of the vector buffer.
    pub write: Option<u32>,
    /// What was read in the last cycle is multiplied.
    pub mac: bool,
    /// The accumulators are read.
    pub read: bool,
    /// Some command before was illegal.
    pub illegal: bool,
}

/// The decoder.
#[derive(Debug, Clone)]
pub struct PimDecoder {
    /// Bursts of one half of the vector buffer.
    lines: u32,
    halves: u32,
    open: bool,
    position: u32,
    illegal: bool,
    /// Of the command before.
    decoded: Strobes,
    /// Whether the command before was a read-out.
    reads: bool,
}

impl PimDecoder {
    /// A decoder with all banks closed.
    pub fn new(params: &PimGpt) -> Self {
        let memory = &params.memory;
        Self {
            lines: memory.buffer_bytes / memory.burst_bytes,
            halves: if memory.double_buffer { 2 } else { 1 },
            open: false,
            position: 0,
            illegal: false,
            decoded: Strobes::default(),
            reads: false,
        }
    }

    /// One cycle: takes a command, returns what shows in this cycle.
    pub fn tick(&mut self, command: Option<Command>) -> Strobes {
        let shown = Strobes { illegal: self.illegal, ..self.decoded };
        let mut next =
            Strobes { mac: shown.access.is_some(), read: self.reads, ..Strobes::default() };
        self.reads = false;
        let legal = match command {
            None => true,
            Some(Command::Activate { row }) => {
                next.activate = (!self.open).then_some(row);
                !std::mem::replace(&mut self.open, true)
            }
            Some(Command::Mac { half, column }) if self.open && self.position < self.lines => {
                next.access = Some((column, self.line(half, self.position)));
                self.position += 1;
                true
            }
            Some(Command::Mac { .. }) => false,
            Some(Command::Read) => {
                self.position = 0;
                self.reads = true;
                true
            }
            Some(Command::Precharge) => {
                next.precharge = self.open;
                std::mem::replace(&mut self.open, false)
            }
            Some(Command::Refresh) => {
                next.refresh = !self.open;
                !self.open
            }
            Some(Command::WriteVector { half, line }) => {
                next.write = Some(self.line(half, line % self.lines));
                true
            }
        };
        self.illegal |= !legal;
        self.decoded = next;
        shown
    }

    fn line(&self, half: u32, line: u32) -> u32 {
        half % self.halves * self.lines + line
    }
}

#[cfg(test)]
mod tests {
    use attelier_hw::config;

    use super::*;

    fn decoder() -> PimDecoder {
        PimDecoder::new(&PimGpt::check(&config::load("pim-gpt", None, &[]).unwrap()).unwrap())
    }

    /// Two rows of one dot product: lines of the vector go on where columns begin again.
    #[test]
    fn lines_follow_the_macs_since_the_last_read_out() {
        let mut decoder = decoder();
        let mac = |column| Some(Command::Mac { half: 1, column });
        let commands = [
            Some(Command::Activate { row: 5 }),
            mac(63),
            Some(Command::Precharge),
            Some(Command::Activate { row: 6 }),
            mac(0),
            Some(Command::Read),
            mac(1),
            None,
            None,
        ];
        let shown: Vec<Strobes> =
            commands.into_iter().map(|command| decoder.tick(command)).collect();
        // A half has 2,048 / 32 = 64 lines.
        let accesses: Vec<_> = shown.iter().filter_map(|strobes| strobes.access).collect();
        assert_eq!(accesses, [(63, 64), (0, 65), (1, 64)]);
        let at = |is: fn(&Strobes) -> bool| shown.iter().position(is);
        assert_eq!(at(|strobes| strobes.activate == Some(5)), Some(1));
        assert_eq!(at(|strobes| strobes.mac), Some(3));
        assert_eq!(at(|strobes| strobes.read), Some(7));
        assert!(shown.iter().all(|strobes| !strobes.illegal));
    }

    #[test]
    fn commands_that_banks_cannot_take_have_no_effect() {
        let mac = Command::Mac { half: 0, column: 0 };
        let open = Command::Activate { row: 1 };
        for commands in
            [vec![mac], vec![Command::Precharge], vec![open, open], vec![open, Command::Refresh]]
        {
            let mut decoder = decoder();
            let last = commands.len();
            commands.into_iter().for_each(|command| {
                decoder.tick(Some(command));
            });
            assert_eq!(
                decoder.tick(None),
                Strobes { illegal: true, ..Strobes::default() },
                "{last}"
            );
        }
    }
}
