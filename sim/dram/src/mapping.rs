//! Address mappings: lists of bit fields from the lowest address bit to the highest.
//!
//! A field may appear in several segments (for instance two column pieces around the bank bits);
//! its segments are joined with the lowest segment as the low bits.

use std::fmt;

use crate::error::{AddressError, TableError};
use crate::organization::Organization;

/// What a bit field of an address selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Byte inside a transaction.
    Offset,
    /// Channel.
    Channel,
    /// Rank or pseudo-channel.
    Rank,
    /// Bank group.
    BankGroup,
    /// Bank inside its group.
    Bank,
    /// Row.
    Row,
    /// Column.
    Column,
}

impl Field {
    const ALL: [Field; 7] = [
        Field::Offset,
        Field::Channel,
        Field::Rank,
        Field::BankGroup,
        Field::Bank,
        Field::Row,
        Field::Column,
    ];

    /// Name used in mapping tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Field::Offset => "offset",
            Field::Channel => "channel",
            Field::Rank => "rank",
            Field::BankGroup => "bankgroup",
            Field::Bank => "bank",
            Field::Row => "row",
            Field::Column => "column",
        }
    }

    /// Reads a field name.
    ///
    /// # Errors
    /// The name is not one of the seven.
    pub fn from_name(name: &str) -> Result<Field, TableError> {
        Field::ALL.into_iter().find(|field| field.name() == name).ok_or_else(|| {
            TableError::Mapping {
                reason: format!(
                    "unknown field `{name}`, expected offset, channel, rank, bankgroup, bank, row \
                     or column"
                ),
            }
        })
    }
}

/// Where a transaction lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Location {
    /// Channel.
    pub channel: u32,
    /// Rank or pseudo-channel.
    pub rank: u32,
    /// Bank group.
    pub bankgroup: u32,
    /// Bank inside its group.
    pub bank: u32,
    /// Row.
    pub row: u32,
    /// Column, in transactions.
    pub column: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Segment {
    lsb: u32,
    /// Position inside the field.
    shift: u32,
    mask: u64,
}

/// A checked mapping between byte addresses and locations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressMapping {
    /// Fields and bits, from the lowest address bit.
    fields: Vec<(Field, u32)>,
    segments: [Vec<Segment>; 7],
    bits: u32,
    tx_bytes: u64,
}

/// The text that [`AddressMapping::parse`] reads.
impl fmt::Display for AddressMapping {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (field, bits)) in self.fields.iter().enumerate() {
            let space = if at > 0 { " " } else { "" };
            write!(to, "{space}{}:{bits}", field.name())?;
        }
        Ok(())
    }
}

impl AddressMapping {
    /// Builds a mapping from `(field, bits)` pairs, lowest bits first.
    ///
    /// # Errors
    /// A field does not have as many values as `organization` needs, or the address is wider than
    /// 63 bits.
    pub fn new(
        fields: &[(Field, u32)],
        organization: &Organization,
    ) -> Result<AddressMapping, TableError> {
        let mut segments: [Vec<Segment>; 7] = Default::default();
        let mut widths = [0u32; 7];
        let mut lsb = 0u32;
        for &(field, bits) in fields {
            if bits == 0 {
                continue;
            }
            let end = lsb.checked_add(bits).filter(|&end| end <= 63).ok_or_else(|| {
                TableError::Mapping { reason: "more than 63 address bits".to_owned() }
            })?;
            let width = &mut widths[field as usize];
            segments[field as usize].push(Segment { lsb, shift: *width, mask: (1 << bits) - 1 });
            *width += bits;
            lsb = end;
        }
        let o = organization;
        let counts = [o.tx_bytes, o.channels, o.ranks, o.bankgroups, o.banks_per_group, o.rows];
        let counts = counts.into_iter().chain([o.columns]).map(u64::from);
        for ((field, bits), count) in Field::ALL.into_iter().zip(widths).zip(counts) {
            if 1u64.checked_shl(bits) != Some(count) {
                return Err(TableError::MappingWidth { field: field.name(), bits, count });
            }
        }
        if lsb > 0 && segments[0].iter().any(|segment| segment.lsb != 0) {
            let reason = "the offset must be the lowest field, in one piece".to_owned();
            return Err(TableError::Mapping { reason });
        }
        let fields = fields.iter().copied().filter(|(_, bits)| *bits > 0).collect();
        Ok(AddressMapping { fields, segments, bits: lsb, tx_bytes: u64::from(o.tx_bytes) })
    }

    /// Builds a mapping from a compact text such as `"offset:5 rank:1 bankgroup:2 column:5 ..."`,
    /// lowest bits first.
    ///
    /// # Errors
    /// The text cannot be read or [`AddressMapping::new`] refuses it.
    pub fn parse(text: &str, organization: &Organization) -> Result<AddressMapping, TableError> {
        let mut fields = Vec::new();
        for word in text.split_whitespace() {
            let parsed =
                word.split_once(':').and_then(|(name, bits)| Some((name, bits.parse().ok()?)));
            let Some((name, bits)) = parsed else {
                let reason = format!("`{word}` is not of the form field:bits");
                return Err(TableError::Mapping { reason });
            };
            fields.push((Field::from_name(name)?, bits));
        }
        AddressMapping::new(&fields, organization)
    }

    /// The same order of fields with one of them left out.
    ///
    /// # Errors
    /// `organization` still has more than one of that field.
    pub fn without(
        &self,
        field: Field,
        organization: &Organization,
    ) -> Result<AddressMapping, TableError> {
        let mut pieces: Vec<(u32, Field, u32)> = Vec::new();
        for (kind, segments) in Field::ALL.into_iter().zip(&self.segments) {
            let bits =
                segments.iter().map(|segment| (segment.lsb, kind, segment.mask.count_ones()));
            pieces.extend(bits.filter(|&(_, kind, _)| kind != field));
        }
        pieces.sort_by_key(|&(lsb, _, _)| lsb);
        let fields: Vec<_> = pieces.into_iter().map(|(_, kind, bits)| (kind, bits)).collect();
        AddressMapping::new(&fields, organization)
    }

    /// Size of the address space [B].
    #[must_use]
    pub fn capacity_bytes(&self) -> u64 {
        1 << self.bits
    }

    /// Location of the transaction at `address`.
    ///
    /// # Errors
    /// The address is unaligned or outside the memory.
    #[inline]
    pub fn decode(&self, address: u64) -> Result<Location, AddressError> {
        if address >> self.bits != 0 {
            return Err(AddressError::OutOfRange { address, capacity: self.capacity_bytes() });
        }
        if address & (self.tx_bytes - 1) != 0 {
            return Err(AddressError::Unaligned { address, tx_bytes: self.tx_bytes });
        }
        Ok(Location {
            channel: self.extract(Field::Channel, address),
            rank: self.extract(Field::Rank, address),
            bankgroup: self.extract(Field::BankGroup, address),
            bank: self.extract(Field::Bank, address),
            row: self.extract(Field::Row, address),
            column: self.extract(Field::Column, address),
        })
    }

    /// Address of the first byte at `location`; bits beyond a field's width are dropped.
    #[must_use]
    pub fn encode(&self, location: &Location) -> u64 {
        let place = |field: Field, value: u32| {
            self.segments[field as usize].iter().fold(0, |address, segment| {
                address | (((u64::from(value) >> segment.shift) & segment.mask) << segment.lsb)
            })
        };
        place(Field::Channel, location.channel)
            | place(Field::Rank, location.rank)
            | place(Field::BankGroup, location.bankgroup)
            | place(Field::Bank, location.bank)
            | place(Field::Row, location.row)
            | place(Field::Column, location.column)
    }

    #[inline]
    fn extract(&self, field: Field, address: u64) -> u32 {
        let mut value = 0;
        for segment in &self.segments[field as usize] {
            value |= ((address >> segment.lsb) & segment.mask) << segment.shift;
        }
        // Field widths equal the organisation's counts, all of which fit 32 bits.
        value as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::organization::RankMeaning;

    fn organization() -> Organization {
        Organization {
            channels: 2,
            ranks: 2,
            bankgroups: 4,
            banks_per_group: 4,
            rows: 1024,
            columns: 32,
            tx_bytes: 32,
            rank_means: RankMeaning::PseudoChannel,
            channel_width_bits: 64,
            device_dq: 64,
        }
    }

    const SPLIT: &str = "offset:5 rank:1 column:2 bankgroup:2 column:3 bank:2 channel:1 row:10";

    #[test]
    fn encode_inverts_decode_even_when_a_field_is_split() {
        let mapping = AddressMapping::parse(SPLIT, &organization()).expect("legal mapping");
        let step = 32 * 1237;
        for address in (0..mapping.capacity_bytes()).step_by(step) {
            let location = mapping.decode(address).expect("aligned and inside");
            assert_eq!(mapping.encode(&location), address);
        }
        let location = mapping.decode((0b11 << 6) | (0b101 << 10)).expect("aligned and inside");
        assert_eq!(location.column, 0b10111);
    }

    #[test]
    fn unaligned_and_far_addresses_are_refused() {
        let mapping = AddressMapping::parse(SPLIT, &organization()).expect("legal mapping");
        assert!(matches!(mapping.decode(33), Err(AddressError::Unaligned { .. })));
        let end = mapping.capacity_bytes();
        assert!(matches!(mapping.decode(end), Err(AddressError::OutOfRange { .. })));
    }

    #[test]
    fn a_field_of_the_wrong_width_is_refused() {
        let text = SPLIT.replace("row:10", "row:9");
        let error = AddressMapping::parse(&text, &organization()).expect_err("rows do not fit");
        assert_eq!(error, TableError::MappingWidth { field: "row", bits: 9, count: 1024 });
    }
}
