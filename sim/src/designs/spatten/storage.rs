//! How vectors lie in DRAM: widths, planes, addresses.
//!
//! Storage follows the released RTL: vectors of 4, 6 or 8 bits, a multiple of 32 bytes each; 6-bit
//! vectors of two heads lie together; a 6-bit vector that is stored alone takes as many whole
//! transactions as it needs. Wider keys are stored as 8 MSBs and 4 LSBs, wider values as 8 bits, or
//! as 12 with `controller.truncate_wide_values=false`.

use attelier_hw::spatten::Spatten;
use attelier_workloads::request::{Request, Widths};

use super::error::ValueError;

/// Width of the LSB plane of keys that do not fit one plane \[bits\].
const WIDE_LSB_BITS: u32 = 4;

/// Where vectors lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plane {
    /// Address of vector 0 [B].
    pub base: u64,
    /// Width of an element \[bits\].
    pub bits: u32,
    /// Size of one vector, of all fused heads [B].
    pub vector_bytes: u32,
    /// Heads whose vectors lie together.
    pub fused: u32,
}

/// Stored form of a vector of some width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// Stored width of an element in the first plane \[bits\].
    pub bits: u32,
    /// Heads that can share a vector.
    pub fused: u32,
    /// Bits that do not fit and are stored in a second plane.
    pub wide: bool,
}

impl Profile {
    /// The stored form of keys of `width` bits, `None` if the data path is narrower. Unquantised
    /// vectors come at the width of the data path.
    pub fn of_key(params: &Spatten, width: Option<u32>) -> Option<Self> {
        let datapath = params.datapath_bits;
        let (bits, fused, wide) = match width.unwrap_or(datapath) {
            width if width > datapath => return None,
            0 => return None,
            1..=4 => (4, 1, false),
            5..=6 => (6, 2, false),
            7..=8 => (8, 1, false),
            _ => (8, 1, true),
        };
        Some(Self { bits, fused, wide })
    }

    /// As [`Profile::of_key`] for values, which have one plane.
    pub fn of_value(params: &Spatten, width: Option<u32>) -> Option<Self> {
        let profile = Self::of_key(params, width)?;
        let whole = profile.wide && !params.controller.truncate_wide_values;
        let bits = if whole { params.datapath_bits } else { profile.bits };
        Some(Self { bits, wide: false, ..profile })
    }

    /// Width of the key plane below this one \[bits\]; 0 if there is none.
    pub fn lsb_bits(&self, widths: &Widths) -> u32 {
        if self.wide { WIDE_LSB_BITS } else { widths.key_lsb }
    }

    /// Stored size of one vector, of all `heads` heads that share it \[B\].
    pub fn vector_bytes(&self, params: &Spatten, head_dim: u32, heads: u8) -> u32 {
        stored_bytes(params, head_dim * self.bits * u32::from(heads))
    }
}

/// Bytes of `bits` bits, rounded up to whole transactions.
pub fn stored_bytes(params: &Spatten, bits: u32) -> u32 {
    bits.div_ceil(8).next_multiple_of(params.memory.transaction_bytes)
}

/// Address map: a region of keys, key LSBs and values per layer and head, then one of queries.
/// Every plane is a whole number of rows over all channels, so it starts at channel 0.
pub struct Layout {
    layers: u64,
    heads: u64,
    plane_bytes: u64,
}

impl Layout {
    /// A map with room for all `requests`.
    pub fn new(params: &Spatten, requests: &[Request]) -> Self {
        let most = |count: fn(&Request) -> u32| requests.iter().map(count).max().unwrap_or(1);
        let tokens = u64::from(most(|request| request.sentence_length.max(request.queries)));
        let tokens = tokens.next_multiple_of(u64::from(params.memory.channels.max(64)));
        let widths = |r: &Request| r.widths.query.unwrap_or(0).max(r.widths.key_lsb);
        // The widest stored vector: a query or LSB width, 12 bits for 6 of two heads, or 8.
        let bits = most(widths).max(params.datapath_bits).max(16);
        let vector_bytes = u64::from(stored_bytes(params, params.head_dim * bits));
        Self {
            layers: u64::from(most(|request| request.layer)) + 1,
            heads: (u64::from(most(|request| request.head)) + 1).next_multiple_of(2),
            plane_bytes: tokens * vector_bytes,
        }
    }

    fn region(&self, layer: u32, head: u32) -> u64 {
        u64::from(layer) * self.heads + u64::from(head)
    }

    /// Base addresses of key, key LSB and value planes of a head; fused heads use the first's.
    pub fn planes(&self, layer: u32, head: u32) -> [u64; 3] {
        let region = self.region(layer, head) * 3;
        [0, 1, 2].map(|plane| (region + plane) * self.plane_bytes)
    }

    /// Base address of the queries of a head.
    pub fn queries(&self, layer: u32, head: u32) -> u64 {
        (self.layers * self.heads * 3 + self.region(layer, head)) * self.plane_bytes
    }
}

/// Widths of codes: as quantised, and as stored, where they may be wider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeBits {
    /// Query as quantised, at most a word \[bits\].
    pub query: u32,
    /// Query as stored \[bits\].
    pub query_stored: u32,
    /// Key as quantised, LSBs included \[bits\].
    pub key: u32,
    /// Key as stored in both planes \[bits\].
    pub key_stored: u32,
    /// Key bits in the lower plane \[bits\].
    pub key_lsb: u32,
    /// Value as quantised \[bits\].
    pub value: u32,
    /// Value as stored \[bits\].
    pub value_stored: u32,
}

impl CodeBits {
    /// Widths of a workload without requests.
    pub const NONE: CodeBits = CodeBits {
        query: 0,
        query_stored: 0,
        key: 0,
        key_stored: 0,
        key_lsb: 0,
        value: 0,
        value_stored: 0,
    };

    /// Widths of the codes of a request.
    ///
    /// # Errors
    /// [`ValueError::Widths`] if the planes do not fit into a word, or if an LSB plane would not
    /// lie directly below its MSBs.
    pub fn of(params: &Spatten, widths: &Widths) -> Result<Self, ValueError> {
        let word = params.datapath_bits;
        let bits = |width: Option<u32>| width.unwrap_or(word);
        let (query_stored, key, value) = (bits(widths.query), bits(widths.key), bits(widths.value));
        let refuse = |operand| ValueError::Widths { operand, widths: *widths, word };
        let key_profile = Profile::of_key(params, widths.key).ok_or(refuse("key"))?;
        let value_profile = Profile::of_value(params, widths.value).ok_or(refuse("value"))?;
        let key_lsb = key_profile.lsb_bits(widths);
        let own_lsb = if key_profile.wide { 0 } else { key_lsb };
        let key_stored = key_profile.bits + key_lsb;
        let gap = own_lsb > 0 && key != key_profile.bits;
        if gap || key_stored > word || key > key_stored {
            return Err(refuse("key"));
        }
        if !(2..=word).contains(&value_profile.bits) || !(2..=16).contains(&query_stored) {
            return Err(refuse(if value_profile.bits > word { "value" } else { "query" }));
        }
        Ok(Self {
            query: query_stored.min(word),
            query_stored,
            key: key + own_lsb,
            key_stored,
            key_lsb,
            value: value.min(value_profile.bits),
            value_stored: value_profile.bits,
        })
    }
}
