//! Sizes that the units around the data path agree on, derived from the record of the machine.

use attelier_hw::spatten::Spatten;

use super::{bitwidth_converter::formats, parts::power_of_two};
use crate::{Error, bits::index_width};

/// Bits of a byte address.
pub const ADDRESS_BITS: u32 = 32;

/// Bits of the identifier that a job gets from its sender.
pub const ID_BITS: u32 = 16;

/// Vectors are fetched in multiples of this: rows of the released storage format.
pub(super) const VECTOR_GRANULE: u32 = 8;

/// Sizes of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Keys of a line, scores of a row.
    pub lanes: u32,
    /// Places of jobs; an index of one is what a pass is known by.
    pub jobs: u32,
    /// Most jobs whose keys are held; the key buffer gives its lines back in order.
    pub key_slots: u32,
    /// Most jobs whose values are held.
    pub value_slots: u32,
    /// Most keys of a job.
    pub keys: u32,
    /// Most transactions of one stored vector.
    pub vector_units: u32,
    /// Width of a job index \[bits\].
    pub job_bits: u32,
    /// Width of a number of keys, padding included \[bits\].
    pub count_bits: u32,
    /// Width of the number of transactions of a vector \[bits\].
    pub units_bits: u32,
    /// Width of a format \[bits\].
    pub format_bits: u32,
    /// Width of the number of a transaction in memory \[bits\].
    pub unit_address_bits: u32,
}

impl Sizes {
    /// Sizes of the machine `params`.
    ///
    /// A job holds its key lines until it is decided, and at most `jobs_in_flight` jobs are not. They
    /// come back in order, so decided jobs wait behind one that is computed a second time; four times
    /// as many places are more than can happen. A job holds value lines from the end of its selection
    /// until its last row is read, and a row in the queue of the array belongs to one job at least.
    ///
    /// # Errors
    /// Transactions that are no power of two.
    pub fn of(params: &Spatten) -> Result<Self, Error> {
        let bytes = params.memory.transaction_bytes;
        power_of_two("qkv_fetcher", "memory.transaction_bytes", bytes)?;
        let lanes = params.softmax.lanes;
        let key_slots = (4 * params.controller.jobs_in_flight).next_power_of_two();
        let value_slots = (params.pv_array.fifo_depth + 8).next_power_of_two();
        let jobs = 2 * key_slots.max(value_slots);
        let keys = params.softmax.fifo_depth * lanes;
        let formats = formats(params);
        let units = formats.iter().map(|format| format.vector_units(params)).max().unwrap_or(1);
        Ok(Self {
            lanes,
            jobs,
            key_slots,
            value_slots,
            keys,
            vector_units: units,
            job_bits: index_width(jobs.into()),
            count_bits: index_width(u64::from(keys.next_multiple_of(VECTOR_GRANULE)) + 1),
            units_bits: index_width(u64::from(units) + 1),
            format_bits: index_width(formats.len() as u64),
            unit_address_bits: ADDRESS_BITS - bytes.trailing_zeros(),
        })
    }
}
