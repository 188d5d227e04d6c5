//! Dot products of every bank that follow each other without gaps, row after row.

use std::ops::Range;

use super::isa::Instruction;

/// `results` dot products of `macs` MAC commands each, from the start of `row` on, with the vector in
/// one half of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stream {
    /// First row.
    pub row: u32,
    /// Dot products.
    pub results: u32,
    /// MAC commands of each.
    pub macs: u32,
    /// Half of the buffer.
    pub half: u32,
}

/// Consecutive MAC commands of one row, and whether a dot product ends with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// First column.
    pub column: u32,
    /// MAC commands.
    pub count: u32,
    /// Whether the accumulators are read afterwards.
    pub read: bool,
}

impl Stream {
    /// All MAC commands.
    fn total(&self) -> u64 {
        u64::from(self.results) * u64::from(self.macs)
    }

    /// Rows that it visits, of `columns` MAC commands each.
    pub fn rows(&self, columns: u32) -> u32 {
        u32::try_from(self.total().div_ceil(columns.into())).unwrap_or(u32::MAX)
    }

    /// Rows that look alike repeat after so many.
    pub fn period(&self, columns: u32) -> u32 {
        self.macs / gcd(self.macs, columns).max(1)
    }

    /// Rows, from the first, that are filled to their end.
    pub fn full_rows(&self, columns: u32) -> u32 {
        u32::try_from(self.total() / u64::from(columns)).unwrap_or(u32::MAX)
    }

    /// What happens in its `index`-th row.
    pub fn segments(&self, index: u32, columns: u32) -> impl Iterator<Item = Segment> + use<> {
        let macs = u64::from(self.macs);
        let start = u64::from(index) * u64::from(columns);
        let end = (start + u64::from(columns)).min(self.total());
        let mut at = start;
        std::iter::from_fn(move || {
            let next = (at / macs + 1) * macs;
            (at < end).then(|| {
                let stop = next.min(end);
                // Both lie within one row, whose columns fit 32 bits.
                let (column, count) = ((at - start) as u32, (stop - at) as u32);
                at = stop;
                Segment { column, count, read: stop == next }
            })
        })
    }

    /// The instructions of one row.
    ///
    /// What ends with the row is read after the precharge, which it needs not delay.
    pub fn row(&self, index: u32, columns: u32) -> impl Iterator<Item = Instruction> + use<> {
        let half = self.half;
        let open = [Instruction::Refresh, Instruction::Activate { row: self.row + index }];
        let segments: Vec<Segment> = self.segments(index, columns).collect();
        let count = segments.len();
        let inner = segments.into_iter().enumerate().flat_map(move |(number, segment)| {
            let Segment { column, count: macs, read } = segment;
            let mac = Instruction::Mac { half, column, count: macs };
            let last = number + 1 == count;
            let close = last.then_some(Instruction::Precharge);
            let reads = [read && !last, read && last];
            let reads = reads.map(|read| read.then_some(Instruction::ReadAccumulators));
            [Some(mac), reads[0], close, reads[1]].into_iter().flatten()
        });
        open.into_iter().chain(inner)
    }

    /// Columns of a row that hold numbers.
    pub fn used(&self, index: u32, columns: u32) -> Range<u32> {
        let start = u64::from(index) * u64::from(columns);
        0..self.total().saturating_sub(start).min(columns.into()) as u32
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(stream: Stream, columns: u32) -> Vec<String> {
        let rows = 0..stream.rows(columns);
        let lines = rows.flat_map(|row| stream.row(row, columns).collect::<Vec<_>>());
        lines.map(|instruction| instruction.to_string()).collect()
    }

    #[test]
    fn a_result_per_row_is_read_after_the_precharge() {
        let stream = Stream { row: 7, results: 2, macs: 64, half: 1 };
        let row = |row| ["REF", row, "MACAB 1 0 64", "PREAB", "RDACC"];
        assert_eq!(text(stream, 64), [row("ACTAB 7"), row("ACTAB 8")].concat());
        assert_eq!((stream.period(64), stream.full_rows(64)), (1, 2));
    }

    #[test]
    fn results_go_on_in_the_next_row() {
        let stream = Stream { row: 0, results: 3, macs: 6, half: 0 };
        let expected = [
            "REF",
            "ACTAB 0",
            "MACAB 0 0 6",
            "RDACC",
            "MACAB 0 6 2",
            "PREAB", //
            "REF",
            "ACTAB 1",
            "MACAB 0 0 4",
            "RDACC",
            "MACAB 0 4 4",
            "PREAB", //
            "REF",
            "ACTAB 2",
            "MACAB 0 0 2",
            "PREAB",
            "RDACC",
        ];
        assert_eq!(text(stream, 8), expected);
        assert_eq!((stream.rows(8), stream.full_rows(8), stream.period(8)), (3, 2, 3));
        assert_eq!((stream.used(1, 8), stream.used(2, 8)), (0..8, 0..2));
    }

    #[test]
    fn rows_repeat_with_their_period() {
        for macs in [4, 6, 8, 36, 48, 64, 96] {
            let stream = Stream { row: 0, results: 100, macs, half: 0 };
            let shape = |row| stream.segments(row, 64).collect::<Vec<_>>();
            let period = stream.period(64);
            for row in 0..stream.full_rows(64).saturating_sub(period) {
                assert_eq!(shape(row), shape(row + period), "{macs} per result, row {row}");
            }
        }
    }
}
