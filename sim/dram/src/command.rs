//! Commands as data: what a command addresses, which bus it uses and what it does to the banks.
//!
//! The nine JEDEC commands of [`CommandSet::jedec`] come first and keep fixed identifiers; a design
//! that computes inside the memory appends its own with [`CommandSet::add`] and gets the same
//! constraint tables, legality checks and traces for them.

use crate::error::TableError;

/// Level of the DRAM hierarchy, outermost first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The whole channel.
    Channel,
    /// A rank or, where the organisation says so, a pseudo-channel.
    Rank,
    /// A bank group of one rank.
    BankGroup,
    /// One bank.
    Bank,
}

impl Level {
    /// All levels, outermost first.
    pub const ALL: [Level; 4] = [Level::Channel, Level::Rank, Level::BankGroup, Level::Bank];

    /// Position from the outermost level.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Reads a level name as tables write it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Level> {
        match name {
            "Channel" => Some(Level::Channel),
            "Rank" | "PseudoChannel" => Some(Level::Rank),
            "BankGroup" => Some(Level::BankGroup),
            "Bank" => Some(Level::Bank),
            _ => None,
        }
    }
}

/// Index of a command in its [`CommandSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub(crate) u8);

impl CommandId {
    /// Position in the set.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Activate a row of one bank.
pub const ACT: CommandId = CommandId(0);
/// Precharge one bank.
pub const PRE: CommandId = CommandId(1);
/// Precharge all banks of a rank.
pub const PREA: CommandId = CommandId(2);
/// Column read.
pub const RD: CommandId = CommandId(3);
/// Column write.
pub const WR: CommandId = CommandId(4);
/// Column read with auto-precharge.
pub const RDA: CommandId = CommandId(5);
/// Column write with auto-precharge.
pub const WRA: CommandId = CommandId(6);
/// Refresh all banks of a rank.
pub const REFA: CommandId = CommandId(7);
/// Refresh one bank.
pub const REFPB: CommandId = CommandId(8);

/// Which command bus carries a command on devices with two (HBM).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bus {
    /// Row commands.
    Row,
    /// Column commands.
    Column,
}

/// What a command does to the banks it covers, and so which bank states it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Opens a row; every covered bank must be closed.
    Open,
    /// Closes every covered bank, open or not.
    Close,
    /// Moves data; every covered bank must have the row open.
    Access {
        /// Direction as seen from the controller.
        write: bool,
        /// The bank closes by itself afterwards.
        auto_precharge: bool,
    },
    /// Restores cells; every covered bank must be closed.
    Refresh,
    /// Works on open rows inside the device, no data on the pins.
    Compute,
    /// Moves data between pins and a buffer outside the banks; bank states do not matter.
    Transfer {
        /// Direction as seen from the controller.
        write: bool,
    },
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSpec {
    /// Mnemonic used in tables and traces.
    pub name: String,
    /// What one command covers.
    pub scope: Level,
    /// Bus it travels on.
    pub bus: Bus,
    /// Effect on banks.
    pub effect: Effect,
}

/// The commands a device knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSet {
    specs: Vec<CommandSpec>,
}

/// Most commands one set can hold.
pub const MAX_COMMANDS: usize = 32;

impl CommandSet {
    /// The JEDEC commands, in the order of the constants of this module.
    #[must_use]
    pub fn jedec() -> CommandSet {
        let access = |write, auto_precharge| Effect::Access { write, auto_precharge };
        let rows = [
            ("ACT", Level::Bank, Bus::Row, Effect::Open),
            ("PRE", Level::Bank, Bus::Row, Effect::Close),
            ("PREA", Level::Rank, Bus::Row, Effect::Close),
            ("RD", Level::Bank, Bus::Column, access(false, false)),
            ("WR", Level::Bank, Bus::Column, access(true, false)),
            ("RDA", Level::Bank, Bus::Column, access(false, true)),
            ("WRA", Level::Bank, Bus::Column, access(true, true)),
            ("REFA", Level::Rank, Bus::Row, Effect::Refresh),
            ("REFPB", Level::Bank, Bus::Row, Effect::Refresh),
        ];
        let specs = rows
            .into_iter()
            .map(|(name, scope, bus, effect)| CommandSpec {
                name: name.to_owned(),
                scope,
                bus,
                effect,
            })
            .collect();
        CommandSet { specs }
    }

    /// Appends a command, for instance one of an in-memory unit.
    ///
    /// # Errors
    /// The name is taken or empty, or the set is full.
    pub fn add(&mut self, spec: CommandSpec) -> Result<CommandId, TableError> {
        if spec.name.is_empty() || self.find(&spec.name).is_some() {
            return Err(TableError::CommandName { name: spec.name });
        }
        if self.specs.len() >= MAX_COMMANDS {
            return Err(TableError::TooManyCommands { limit: MAX_COMMANDS });
        }
        let id = CommandId(
            u8::try_from(self.specs.len())
                .map_err(|_| TableError::TooManyCommands { limit: MAX_COMMANDS })?,
        );
        self.specs.push(spec);
        Ok(id)
    }

    /// Finds a command by mnemonic; the long JEDEC spellings (`PREab`, `REFpb`, ...) are accepted.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<CommandId> {
        let name = match name {
            "PREpb" => "PRE",
            "PREab" => "PREA",
            "REFab" => "REFA",
            "REFpb" => "REFPB",
            other => other,
        };
        let index = self.specs.iter().position(|spec| spec.name == name)?;
        u8::try_from(index).ok().map(CommandId)
    }

    /// The description of one command.
    #[must_use]
    pub fn spec(&self, id: CommandId) -> &CommandSpec {
        &self.specs[id.index()]
    }

    /// All commands with their identifiers.
    pub fn iter(&self) -> impl Iterator<Item = (CommandId, &CommandSpec)> {
        (0u8..).map(CommandId).zip(&self.specs)
    }

    /// Number of commands.
    #[must_use]
    pub fn len(&self) -> usize {
        self.specs.len()
    }

    /// Whether the set is empty; it never is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_name_the_commands_they_say() {
        let set = CommandSet::jedec();
        let ids = [ACT, PRE, PREA, RD, WR, RDA, WRA, REFA, REFPB];
        let names = ["ACT", "PRE", "PREA", "RD", "WR", "RDA", "WRA", "REFA", "REFPB"];
        for (id, name) in ids.into_iter().zip(names) {
            assert_eq!(set.spec(id).name, name);
            assert_eq!(set.find(name), Some(id));
        }
        assert_eq!(set.len(), ids.len());
    }

    #[test]
    fn a_second_command_of_the_same_name_is_refused() {
        let mut set = CommandSet::jedec();
        let spec = CommandSpec { scope: Level::Rank, ..set.spec(ACT).clone() };
        assert!(matches!(set.add(spec), Err(TableError::CommandName { .. })));
    }
}
