//! Candidate search (section IV of the paper): rows whose dot product may be large, found without
//! computing it.

use ndarray::{Array2, ArrayView1};

/// Columns of the keys of one head, each with its rows in ascending order of their elements.
#[derive(Debug, Clone)]
pub struct SortedKeys {
    columns: Vec<Vec<(i64, u32)>>,
    rows: usize,
}

/// One end of a column, on its way to the other end.
#[derive(Debug, Clone, Copy)]
struct Pointer {
    /// Place of the element it points at; outside the column when all are taken.
    place: i64,
    step: i64,
    /// Product there.
    product: Option<(i64, u32)>,
}

impl SortedKeys {
    /// Sorts the columns of `keys` [rows, elements]. Equal elements stay in the order of their rows.
    pub fn new(keys: &Array2<i64>) -> Self {
        let sort = |column: ArrayView1<'_, i64>| {
            let mut column: Vec<(i64, u32)> = column.iter().copied().zip(0..).collect();
            column.sort_unstable();
            column
        };
        Self { columns: keys.columns().into_iter().map(sort).collect(), rows: keys.nrows() }
    }

    /// Greedy score of each of the first `visible` rows after `iterations` iterations.
    ///
    /// Each iteration adds the largest product left, if positive, to its row, and the smallest, if
    /// negative, unless the sum of all that was added is negative. Of equal products the one of the first
    /// column is taken, as a tree of comparators does.
    fn greedy_scores(&self, query: &[i64], visible: usize, iterations: u64) -> Vec<i64> {
        let mut scores = vec![0; visible.min(self.rows)];
        let mut largest = self.pointers(query, visible, true);
        let mut smallest = self.pointers(query, visible, false);
        let mut sum: i64 = 0;
        for _ in 0..iterations {
            let mut found = false;
            for (pointers, sign) in [(&mut largest, 1), (&mut smallest, -1)] {
                if sign < 0 && sum < 0 {
                    continue;
                }
                let Some(at) = extreme(pointers, sign) else { continue };
                let Some((product, row)) = pointers[at].product else { continue };
                scores[row as usize] += product;
                sum += product;
                self.advance(&mut pointers[at], at, query, visible);
                found = true;
            }
            if !found {
                break;
            }
        }
        scores
    }

    /// Pointers at the ends of all columns from which the largest, or the smallest, products come.
    fn pointers(&self, query: &[i64], visible: usize, largest: bool) -> Vec<Pointer> {
        let start = |at: usize| {
            let from_top = (query[at] > 0) == largest;
            let length = self.columns[at].len() as i64;
            let (place, step) = if from_top { (length, -1) } else { (-1, 1) };
            let mut pointer = Pointer { place, step, product: None };
            self.advance(&mut pointer, at, query, visible);
            pointer
        };
        (0..self.columns.len()).map(start).collect()
    }

    /// Goes on to the next visible element of column `at`.
    fn advance(&self, pointer: &mut Pointer, at: usize, query: &[i64], visible: usize) {
        loop {
            pointer.place += pointer.step;
            let element = usize::try_from(pointer.place).ok();
            let element = element.and_then(|place| self.columns[at].get(place));
            let Some(&(key, row)) = element else {
                pointer.product = None;
                return;
            };
            if (row as usize) < visible {
                pointer.product = Some((key * query[at], row));
                return;
            }
        }
    }

    /// Rows of positive greedy score, ascending; the row of the largest one if there is none.
    pub fn candidates(&self, query: &[i64], visible: usize, iterations: u64) -> Vec<usize> {
        let scores = self.greedy_scores(query, visible, iterations);
        let positive: Vec<usize> = (0..scores.len()).filter(|&row| scores[row] > 0).collect();
        if !positive.is_empty() {
            return positive;
        }
        let mut best = 0;
        for row in 1..scores.len() {
            if scores[row] > scores[best] {
                best = row;
            }
        }
        if scores.is_empty() { Vec::new() } else { vec![best] }
    }
}

/// Column of the extreme product of that sign; the first of equal ones.
fn extreme(pointers: &[Pointer], sign: i64) -> Option<usize> {
    let mut best: Option<(usize, i64)> = None;
    for (at, pointer) in pointers.iter().enumerate() {
        if let Some((product, _)) = pointer.product
            && sign * product > best.map_or(0, |(_, size)| size)
        {
            best = Some((at, sign * product));
        }
    }
    best.map(|(at, _)| at)
}
