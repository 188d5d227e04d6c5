//! How many of everything: channels, ranks, bank groups, banks, rows and columns.

use serde::Deserialize;

use crate::error::TableError;

/// Meaning of the rank level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RankMeaning {
    /// Ranks share the data bus of the channel.
    #[default]
    Rank,
    /// Pseudo-channels share the command bus but have data buses of their own (HBM).
    PseudoChannel,
}

/// Counts per parent, except `channels`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// Independent channels.
    pub channels: u32,
    /// Ranks or pseudo-channels per channel.
    pub ranks: u32,
    /// Bank groups per rank.
    pub bankgroups: u32,
    /// Banks per bank group.
    pub banks_per_group: u32,
    /// Rows per bank.
    pub rows: u32,
    /// Columns per row, in transactions.
    pub columns: u32,
    /// Bytes one column command moves [B].
    pub tx_bytes: u32,
    /// What a rank is.
    #[serde(default)]
    pub rank_means: RankMeaning,
    /// Data pins of one rank or pseudo-channel [bit].
    pub channel_width_bits: u32,
    /// Data pins of one device [bit].
    pub device_dq: u32,
}

impl Organization {
    /// Checks every count.
    ///
    /// # Errors
    /// A count is zero or larger than the engine can index.
    pub fn check(&self) -> Result<(), TableError> {
        let checks = [
            ("channels", self.channels, 1 << 12),
            ("ranks", self.ranks, 64),
            ("bankgroups", self.bankgroups, 64),
            ("banks_per_group", self.banks_per_group, 256),
            ("rows", self.rows, 1 << 30),
            ("columns", self.columns, 1 << 20),
            ("tx_bytes", self.tx_bytes, 1 << 12),
            ("channel_width_bits", self.channel_width_bits, 1 << 12),
            ("device_dq", self.device_dq, 1 << 12),
        ];
        for (field, value, limit) in checks {
            if value == 0 || value > limit {
                let (value, limit) = (u64::from(value), u64::from(limit));
                return Err(TableError::Organization { field, value, limit });
            }
        }
        let banks = u64::from(self.ranks) * u64::from(self.banks_per_rank());
        if banks > 4096 {
            return Err(TableError::Organization {
                field: "banks per channel",
                value: banks,
                limit: 4096,
            });
        }
        Ok(())
    }

    /// Whether bursts of several ranks meet on one data bus.
    #[must_use]
    pub fn ranks_share_data_bus(&self) -> bool {
        self.ranks > 1 && self.rank_means == RankMeaning::Rank
    }

    /// Banks of one rank.
    #[must_use]
    pub fn banks_per_rank(&self) -> u32 {
        self.bankgroups * self.banks_per_group
    }

    /// Banks of one channel.
    #[must_use]
    pub fn banks_per_channel(&self) -> u32 {
        self.ranks * self.banks_per_rank()
    }

    /// Devices that together give the width of one rank; a device may be wider than the rank when
    /// ranks are pseudo-channels of it.
    #[must_use]
    pub fn devices_per_rank(&self) -> u32 {
        (self.channel_width_bits / self.device_dq).max(1)
    }

    /// Index of a bank among all banks of its channel.
    #[must_use]
    pub fn flat_bank(&self, rank: u32, bankgroup: u32, bank: u32) -> usize {
        ((rank * self.bankgroups + bankgroup) * self.banks_per_group + bank) as usize
    }

    /// Rank, bank group and bank of a flat bank index.
    #[must_use]
    pub fn split_bank(&self, flat: usize) -> (u32, u32, u32) {
        let flat = u32::try_from(flat).unwrap_or(u32::MAX);
        let group = flat / self.banks_per_group;
        (group / self.bankgroups, group % self.bankgroups, flat % self.banks_per_group)
    }

    /// Bytes of the whole memory [B].
    #[must_use]
    pub fn capacity_bytes(&self) -> u64 {
        u64::from(self.channels)
            * u64::from(self.banks_per_channel())
            * u64::from(self.rows)
            * u64::from(self.columns)
            * u64::from(self.tx_bytes)
    }
}
