//! Fetch commands: which vectors, from where, to where.

use std::sync::Arc;

use crate::kernel::snapshot::Snapshot;
use crate::units::bitwidth_converter::Target;

/// What a command reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamKind {
    /// Query vectors.
    #[default]
    Query,
    /// Key vectors, the part that is always read.
    Key,
    /// Key LSBs.
    KeyLsb,
    /// Value vectors.
    Value,
}

impl StreamKind {
    /// Number of streams.
    pub const COUNT: usize = 4;

    /// Name for observers.
    pub fn label(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Key => "keys",
            Self::KeyLsb => "key LSBs",
            Self::Value => "values",
        }
    }
}

/// Which vectors a command reads.
#[derive(Debug, Clone)]
pub enum Indices {
    /// Consecutive vectors from this one on.
    From(u32),
    /// These vectors; padding reads the first of them again.
    List(Arc<[u32]>),
}

impl Indices {
    /// Number of the vector at `position`.
    ///
    /// Padding behind a list is as spread over the channels as the list itself: one vector read several
    /// times would wait for its bank each time, longer than the rest of a short list takes.
    pub fn at(&self, position: u32) -> u32 {
        match self {
            Self::From(first) => first + position,
            Self::List(list) => {
                let (at, last) = (position as usize, list.len() - 1);
                let place = if at > last { (at - list.len()).min(last) } else { at };
                list[place]
            }
        }
    }
}

/// One fetch command.
#[derive(Debug, Clone)]
pub struct Command {
    /// Job, for observers.
    pub job: u32,
    /// Stream.
    pub kind: StreamKind,
    /// Where the data go.
    pub target: Target,
    /// Address of vector 0 of the plane [B], a multiple of the transaction size.
    pub base: u64,
    /// Stored size of one vector [B], a multiple of the transaction size.
    pub vector_bytes: u32,
    /// Vectors, padding included.
    pub vectors: u32,
    /// Vectors of one group.
    pub vectors_per_group: u32,
    /// Lines of one group.
    pub lines_per_group: u32,
    /// Which vectors.
    pub indices: Indices,
}

impl Command {
    /// Writes what timing depends on: of the addresses only the channel of the first one.
    pub fn snapshot(
        &self,
        (transaction_bytes, channels): (u32, u32),
        to: &mut Snapshot,
        target: &impl Fn(Target, &mut Snapshot),
    ) {
        let Self { job, kind, target: to_where, base: _, indices, .. } = self;
        if !matches!(indices, Indices::From(_)) {
            to.irregular();
            return;
        }
        to.job(*job);
        to.put(*kind as u64);
        target(*to_where, to);
        let start = self.address(0, transaction_bytes) / u64::from(transaction_bytes);
        to.put(start % u64::from(channels));
        to.put(self.vector_bytes);
        to.put(self.vectors);
        to.put(self.vectors_per_group);
        to.put(self.lines_per_group);
    }

    /// Transactions of the whole command.
    pub fn transactions(&self, transaction_bytes: u32) -> u64 {
        u64::from(self.vectors) * u64::from(self.vector_bytes / transaction_bytes)
    }

    /// Byte address of transaction `t`.
    pub fn address(&self, t: u64, transaction_bytes: u32) -> u64 {
        let per_vector = u64::from(self.vector_bytes / transaction_bytes);
        let at = u32::try_from(t / per_vector).expect("vectors are counted in u32");
        self.base
            + u64::from(self.indices.at(at)) * u64::from(self.vector_bytes)
            + t % per_vector * u64::from(transaction_bytes)
    }

    /// Channels of the transactions from `first` on, one per lane.
    pub fn channels(&self, first: u64, transaction_bytes: u32, channels: u32, lanes: &mut [u8]) {
        let per_vector = u64::from(self.vector_bytes / transaction_bytes);
        let shift = transaction_bytes.trailing_zeros();
        let mask = u64::from(channels - 1);
        let mut sub = first % per_vector;
        let mut start = self.address(first - sub, transaction_bytes) >> shift;
        let mut vector = first / per_vector;
        for lane in lanes {
            *lane = ((start + sub) & mask) as u8;
            sub += 1;
            if sub == per_vector {
                sub = 0;
                vector += 1;
                start = self.address(vector * per_vector, transaction_bytes) >> shift;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_reads_the_first_vectors_of_a_list_again() {
        let numbers = |indices: Indices| (0..6).map(|at| indices.at(at)).collect::<Vec<_>>();
        assert_eq!(numbers(Indices::List([3, 5, 9, 11].into())), [3, 5, 9, 11, 3, 5]);
        // A list shorter than its padding ends with its last vector.
        assert_eq!(numbers(Indices::List([3, 5].into())), [3, 5, 3, 5, 5, 5]);
        assert_eq!(numbers(Indices::From(7)), [7, 8, 9, 10, 11, 12]);
    }

    /// Ten vectors of two transactions and six of padding on eight channels: vectors 0, 4, 8 and again 0
    /// and 4 want the first two. Six copies of the last one would make it nine for its channels.
    #[test]
    fn padding_is_spread_over_the_channels() {
        let command = Command {
            job: 0,
            kind: StreamKind::Key,
            target: Target::Key(0, crate::units::line_sram::Plane::Msb),
            base: 0,
            vector_bytes: 64,
            vectors: 16,
            vectors_per_group: 8,
            lines_per_group: 1,
            indices: Indices::List((0..10).collect()),
        };
        let mut lanes = [0u8; 32];
        command.channels(0, 32, 8, &mut lanes);
        let wanted = |channel| lanes.iter().filter(|&&lane| lane == channel).count();
        let most = (0..8).map(wanted).max();
        assert_eq!(most, Some(5), "{lanes:?}");
    }
}
