//! Candidate search of A3 (Ham et al., HPCA 2020, arXiv 2002.10941).

use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use super::{Head, Needs, Sparsity};
use crate::reference::{OperandError, expect_value, top_k};

/// Greedy search for the keys whose dot product with the query is large, without computing it, and
/// a selection by score among those found.
///
/// Each column of the keys is sorted once. For a query, the columns then hand out their products
/// query_c * key_rc from both ends. In each iteration the largest product left, if positive, is
/// added to the greedy score of its row, and so is the smallest, if negative; the latter is passed
/// over while the sum of all that was taken is negative. Rows of positive greedy score are
/// candidates. A candidate is kept if its softmax weight is at least `weight_percent` % of the
/// largest: if its score lacks no more than ln(100 / `weight_percent`).
///
/// The published settings are 0.5 iterations per key and 5 % (conservative), 0.125 and 10 %
/// (aggressive). What happens when no row has a positive score is not stated; the row of the
/// largest one is taken here. Causal models are not treated there; here keys that are not visible
/// are passed over, as if the columns had been sorted without them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct A3 {
    /// Iterations of the search for each visible key.
    pub iterations_per_key: f64,
    /// Least softmax weight in percent of the largest.
    pub weight_percent: f64,
}

impl A3 {
    pub(super) fn check(&self) -> Result<(), OperandError> {
        let Self { iterations_per_key: iterations, weight_percent: percent } = *self;
        let in_range = iterations > 0.0 && iterations <= MOST_ITERATIONS;
        let expected = format!("more than 0, at most {MOST_ITERATIONS}");
        expect_value(in_range, "iterations_per_key", iterations, expected)?;
        let in_range = percent > 0.0 && percent <= 100.0;
        expect_value(in_range, "weight_percent", percent, "more than 0, at most 100")
    }

    pub(super) fn state(&self) -> State {
        State { parameters: self.clone(), sorted: Vec::new() }
    }
}

/// More than any head dimension in use: by then the columns have nothing left.
const MOST_ITERATIONS: f64 = 1024.0;

/// The policy with the sorted columns of the current head.
pub(super) struct State {
    parameters: A3,
    /// For each column, the rows in ascending order of its key elements.
    sorted: Vec<Vec<usize>>,
}

/// A column that hands out its products with one query element, from one end to the other.
struct Column<'a> {
    rows: Box<dyn Iterator<Item = usize> + 'a>,
    /// Row and product at the pointer.
    front: Option<(usize, f64)>,
}

impl State {
    /// Rows in order of their products with `query`, the largest first, or the smallest first.
    fn columns<'a>(
        &'a self,
        query: &'a [f64],
        visible: usize,
        largest_first: bool,
    ) -> Vec<Column<'a>> {
        let column = |(rows, &element): (&'a Vec<usize>, &f64)| {
            let visible = rows.iter().copied().filter(move |&row| row < visible);
            let descending = (element > 0.0) == largest_first;
            let rows: Box<dyn Iterator<Item = usize> + 'a> =
                if descending { Box::new(visible.rev()) } else { Box::new(visible) };
            Column { rows, front: None }
        };
        self.sorted.iter().zip(query).map(column).collect()
    }

    /// Greedy score of every visible row.
    fn greedy_scores(&self, head: &Head<'_>, query: usize) -> Result<Vec<f64>, OperandError> {
        let (queries, keys) = head.vectors()?;
        let in_range = query < queries.nrows();
        expect_value(in_range, "query", query, format!("below {}", queries.nrows()))?;
        let vector = queries.row(query).to_vec();
        let visible = head.visible(query);
        let advance = |columns: &mut [Column<'_>], at: usize| {
            let row = columns[at].rows.next();
            columns[at].front = row.map(|row| (row, vector[at] * keys[[row, at]]));
        };
        let mut largest = self.columns(&vector, visible, true);
        let mut smallest = self.columns(&vector, visible, false);
        for at in 0..largest.len() {
            advance(&mut largest, at);
            advance(&mut smallest, at);
        }

        let mut greedy = vec![0.0; visible];
        let mut taken = 0.0;
        let iterations = (self.parameters.iterations_per_key * visible as f64) as usize;
        for _ in 0..iterations.max(1) {
            let mut found = false;
            let best = first_extreme(&largest, |product, best| product > best);
            if let Some((at, row, product)) = best
                && product > 0.0
            {
                greedy[row] += product;
                taken += product;
                advance(&mut largest, at);
                found = true;
            }
            let worst = first_extreme(&smallest, |product, worst| product < worst);
            if let Some((at, row, product)) = worst
                && product < 0.0
                && taken >= 0.0
            {
                greedy[row] += product;
                taken += product;
                advance(&mut smallest, at);
                found = true;
            }
            if !found {
                break;
            }
        }
        Ok(greedy)
    }
}

/// Column, row and product of the extreme of all that the columns point at; ties go to the first.
fn first_extreme(
    columns: &[Column<'_>],
    beats: impl Fn(f64, f64) -> bool,
) -> Option<(usize, usize, f64)> {
    let mut extreme: Option<(usize, usize, f64)> = None;
    for (at, column) in columns.iter().enumerate() {
        if let Some((row, product)) = column.front
            && extreme.is_none_or(|(_, _, best)| beats(product, best))
        {
            extreme = Some((at, row, product));
        }
    }
    extreme
}

impl Sparsity for State {
    fn needs(&self) -> Needs {
        Needs::Vectors
    }

    fn begin(&mut self, head: &Head<'_>) -> Result<(), OperandError> {
        head.check(self.needs())?;
        let (_, keys) = head.vectors()?;
        let sorted = |column: ArrayView1<'_, f64>| {
            let mut rows: Vec<usize> = (0..column.len()).collect();
            rows.sort_by(|&a, &b| column[a].total_cmp(&column[b]));
            rows
        };
        self.sorted = keys.columns().into_iter().map(sorted).collect();
        Ok(())
    }

    fn select(
        &mut self,
        head: &Head<'_>,
        query: usize,
        keys: &mut Vec<usize>,
    ) -> Result<(), OperandError> {
        let greedy = self.greedy_scores(head, query)?;
        keys.clear();
        keys.extend((0..greedy.len()).filter(|&row| greedy[row] > 0.0));
        if keys.is_empty() {
            keys.extend(top_k(&greedy, 1));
        }
        let mut scores = Vec::with_capacity(keys.len());
        for &key in keys.iter() {
            scores.push(head.score(query, key)?);
        }
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let reach = (100.0 / self.parameters.weight_percent).ln();
        let mut scores = scores.into_iter();
        // A score that is not a number stays: only what is known to be small is dropped.
        let is_small = |score: f64| largest - score > reach;
        keys.retain(|_| scores.next().is_none_or(|score| !is_small(score)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ArrayView2, array};
    use proptest::prelude::*;

    use super::*;
    use crate::sparsity::tests::{matrix, rows_of, vectors};

    /// The same search without sorted columns: all products in one list, scanned from both ends.
    fn by_scanning_all_products(
        query: ArrayView1<'_, f64>,
        keys: ArrayView2<'_, f64>,
        scale: f64,
        parameters: &A3,
    ) -> Vec<usize> {
        let mut products: Vec<(f64, usize)> = Vec::new();
        for (row, key) in keys.rows().into_iter().enumerate() {
            products.extend(key.iter().zip(query).map(|(k, q)| (k * q, row)));
        }
        products.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut greedy = vec![0.0; keys.nrows()];
        let (mut top, mut bottom, mut sum) = (0, products.len(), 0.0);
        let iterations = (parameters.iterations_per_key * keys.nrows() as f64).floor().max(1.0);
        for _ in 0..iterations as usize {
            if top < products.len() && products[top].0 > 0.0 {
                greedy[products[top].1] += products[top].0;
                sum += products[top].0;
                top += 1;
            }
            if sum >= 0.0 && bottom > 0 && products[bottom - 1].0 < 0.0 {
                bottom -= 1;
                greedy[products[bottom].1] += products[bottom].0;
                sum += products[bottom].0;
            }
        }
        let mut candidates: Vec<usize> = (0..greedy.len()).filter(|&r| greedy[r] > 0.0).collect();
        if candidates.is_empty() {
            let mut best = 0;
            for row in 1..greedy.len() {
                best = if greedy[row] > greedy[best] { row } else { best };
            }
            candidates.push(best);
        }
        let weight = |row: usize| (scale * query.dot(&keys.row(row))).exp();
        let largest = candidates.iter().map(|&row| weight(row)).fold(0.0, f64::max);
        let share = parameters.weight_percent / 100.0;
        candidates
            .into_iter()
            .filter(|&row| weight(row) >= share * largest * 0.999_999_999)
            .collect()
    }

    fn operands() -> impl Strategy<Value = (Array2<f64>, Array2<f64>)> {
        (1..6usize, 0..20usize, 1..8usize).prop_flat_map(|(queries, more, head_dim)| {
            (matrix(queries, head_dim), matrix(queries + more, head_dim))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn sorted_columns_find_what_a_scan_of_all_products_finds(
            (queries, keys) in operands(),
            iterations_per_key in 0.05..6.0f64,
            weight_percent in 0.5..100.0f64,
            causal: bool,
        ) {
            let parameters = A3 { iterations_per_key, weight_percent };
            let head = vectors(&queries, &keys, causal);
            let rows = rows_of(&mut parameters.state(), &head);
            for (query, row) in rows.iter().enumerate() {
                let seen = keys.slice_axis(
                    ndarray::Axis(0),
                    ndarray::Slice::from(0..head.visible(query)),
                );
                let expected =
                    by_scanning_all_products(queries.row(query), seen, 1.0, &parameters);
                prop_assert_eq!(row, &expected);
            }
        }
    }

    /// Worked by hand: products of the query (2, -1) with the rows are (2, -3), (-2, 4), (6, 1),
    /// (0, -1). Three iterations take 6 and -3; 4 and -2; 2 and -1.
    #[test]
    fn three_iterations_worked_by_hand() {
        let keys = array![[1.0, 3.0], [-1.0, -4.0], [3.0, -1.0], [0.0, 1.0]];
        let queries = array![[2.0, -1.0]];
        let parameters = A3 { iterations_per_key: 0.75, weight_percent: 100.0 };
        let mut state = parameters.state();
        let head = vectors(&queries, &keys, false);
        state.begin(&head).unwrap();
        assert_eq!(state.greedy_scores(&head, 0).unwrap(), [-1.0, 2.0, 6.0, -1.0]);
        // Candidates 1 and 2 have scores 2 and 7; only the best has all of its own weight.
        assert_eq!(rows_of(&mut state, &head), [vec![2]]);
        let mild = A3 { weight_percent: 0.5, ..parameters };
        // exp(-5) is 0.67 %.
        assert_eq!(rows_of(&mut mild.state(), &head), [vec![1, 2]]);
    }

    #[test]
    fn without_a_positive_product_one_row_is_left() {
        let keys = array![[-1.0], [-1.0]];
        let queries = array![[1.0]];
        let parameters = A3 { iterations_per_key: 0.5, weight_percent: 5.0 };
        let head = vectors(&queries, &keys, false);
        let rows = rows_of(&mut parameters.state(), &head);
        assert_eq!(rows[0].len(), 1);
    }

    #[test]
    fn scores_alone_are_not_enough() {
        let scores = Array2::zeros((1, 2));
        let head = crate::sparsity::tests::scored(&scores, false);
        let parameters = A3 { iterations_per_key: 0.5, weight_percent: 5.0 };
        let error = parameters.state().begin(&head).unwrap_err();
        assert_eq!(error.to_string(), "`evidence` is scores: expected query and key vectors");
    }
}
