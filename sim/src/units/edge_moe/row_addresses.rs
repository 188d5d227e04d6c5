//! Addresses of the rows of a tensor: counted ones, or those that a list names (the readers and writers of
//! `src/linear.cpp`, `src/attention.cpp` and `src/conv.cpp` of the released code).

/// Rows that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rows {
    /// Address of row 0 \[B\].
    pub base: u32,
    /// How many rows.
    pub rows: u32,
    /// Beats of a row.
    pub row_beats: u32,
    /// Numbers after which the count begins again.
    pub period: u32,
    /// From one number to the next.
    pub stride: u32,
    /// The count begins one higher each time.
    pub advances: bool,
    /// Numbers come from a list.
    pub listed: bool,
}

impl Rows {
    /// Number of the `at`th row, counted.
    fn number(&self, at: u32) -> u32 {
        let (round, place) = (at / self.period.max(1), at % self.period.max(1));
        (place * self.stride).wrapping_add(if self.advances { round } else { 0 }) & 0xffff
    }
}

/// The unit.
#[derive(Debug, Clone)]
pub struct RowAddresses {
    beat_bytes: u32,
    rows: Rows,
    /// Rows whose address was found.
    found: u32,
    /// The address that is offered.
    offered: Option<u32>,
}

impl RowAddresses {
    /// Nothing to ask for, in beats of so many bytes.
    pub fn new(beat_bytes: u32) -> Self {
        Self { beat_bytes, rows: Rows::default(), found: 0, offered: None }
    }

    /// Whether rows are still to be asked for; only if not, others may start.
    pub fn is_busy(&self) -> bool {
        self.found < self.rows.rows || self.offered.is_some()
    }

    /// The address that is offered.
    pub fn offered(&self) -> Option<u32> {
        self.offered
    }

    /// Whether a number of the list is taken, while what is offered is `taken` or not.
    pub fn takes(&self, taken: bool) -> bool {
        self.rows.listed && self.found < self.rows.rows && (self.offered.is_none() || taken)
    }

    /// One cycle: rows start, or a number of the list is there; what is offered is `taken` or not.
    pub fn tick(&mut self, start: Option<Rows>, listed: Option<u32>, taken: bool) {
        if self.offered.is_none() || taken {
            let number = if self.rows.listed { listed } else { Some(self.rows.number(self.found)) };
            self.offered = number.filter(|_| self.found < self.rows.rows).map(|number| {
                let beats = number.wrapping_mul(self.rows.row_beats);
                self.rows.base.wrapping_add(beats.wrapping_mul(self.beat_bytes))
            });
            self.found += u32::from(self.offered.is_some());
        }
        if let Some(rows) = start {
            (self.rows, self.found) = (rows, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses of all rows, each taken at once.
    fn addresses(rows: Rows, list: &[u32]) -> Vec<u32> {
        let mut unit = RowAddresses::new(16);
        unit.tick(Some(rows), None, true);
        let mut list = list.iter().copied();
        let mut found = Vec::new();
        while unit.is_busy() {
            found.extend(unit.offered());
            let listed = if unit.takes(true) { list.next() } else { None };
            unit.tick(None, listed, true);
        }
        found
    }

    /// By hand: keys that pass twice, patch rows of three colours, and rows of a queue.
    #[test]
    fn rows_are_counted_as_the_loops_of_the_units_ask_for_them() {
        let keys =
            Rows { base: 256, rows: 5, row_beats: 2, period: 3, stride: 1, ..Rows::default() };
        assert_eq!(addresses(keys, &[]), [256, 288, 320, 256, 288]);
        let image = Rows { rows: 6, row_beats: 1, period: 3, stride: 2, advances: true, ..keys };
        assert_eq!(addresses(image, &[]), [0, 2, 4, 1, 3, 5].map(|row| 256 + 16 * row));
        let queue = Rows { rows: 3, listed: true, ..keys };
        assert_eq!(addresses(queue, &[7, 0, 4]), [256 + 7 * 32, 256, 256 + 4 * 32]);
    }
}
