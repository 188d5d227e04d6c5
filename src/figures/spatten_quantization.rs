//! SpAtten, figure 7: what quantization does to probabilities, over the largest of them.

use anyhow::Result;
use attelier_sim::{designs::heads::HeadOperands, observe::Observer};
use attelier_workloads::reference::Quantized;

use super::{
    Outcome, Row,
    attending::{passage, weights},
    measure::rank_correlation,
};
use crate::published::SPATTEN;

/// Tokens of the passage.
const KEYS: usize = 320;

/// Ranges of the largest probability, of equal width.
const RANGES: usize = 5;

/// Bits of queries and keys: the MSBs that the figure shows, and with four LSBs below them.
const BITS: [u32; 2] = [4, 8];

/// A row of probabilities: its largest, and how far quantization moves it.
#[derive(Clone, Copy)]
struct Moved {
    largest: f64,
    /// Half of the sum of all changes: the probability that goes to other keys.
    error: f64,
}

/// Error of quantised probabilities of real attention, by their maximum.
pub fn fig7(_seed: u64, _observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
    let heads = passage(KEYS)?;
    let mut rows = Vec::new();
    for bits in BITS {
        let moved = errors(&heads, bits)?;
        for (range, (mean, count)) in ranges(&moved).into_iter().enumerate() {
            let [low, high] = [range, range + 1].map(|edge| edge as f64 / RANGES as f64);
            let item = format!(
                "fig7, {bits} bits, largest probability {low:.1} to {high:.1}: probability that moves"
            );
            let row = Row::alone(SPATTEN, item, 100.0 * mean, "%");
            rows.push(row.with_note(format!("{count} rows")));
        }
        let largest: Vec<f64> =
            moved.iter().map(|row| row.largest.max(1.0 - row.largest)).collect();
        let error: Vec<f64> = moved.iter().map(|row| row.error).collect();
        let item = format!(
            "fig7, {bits} bits: rank correlation of error with distance of the maximum from 1/2"
        );
        let note = "negative where certain rows move less; an error d of one score moves 2 p (1 - p) d \
                    (section III-D)";
        let row = Row::alone(SPATTEN, item, rank_correlation(&largest, &error), "1");
        rows.push(row.with_note(note).summing_up());
    }
    Ok(Outcome::of(rows, vec![
        "one head of each layer of all-MiniLM-L6-v2, 64 queries over 320 keys; queries and keys are quantised \
         with one scale per head"
            .to_owned(),
        "of the published scatter only the trend can be read: about 5 % at a maximum of 0.2, falling to 0 at 1, in \
         a measure that is not named; ours too is smallest where the maximum is near 1, but rises towards the \
         middle first, as the bound of the paper does"
            .to_owned(),
    ]))
}

/// Every row of the heads with queries and keys of `bits` bits.
fn errors(heads: &[HeadOperands], bits: u32) -> Result<Vec<Moved>> {
    let mut moved = Vec::new();
    for head in heads {
        let rounded = HeadOperands {
            queries: Quantized::new(head.queries.view(), bits)?.dequantize(),
            keys: Quantized::new(head.keys.view(), bits)?.dequantize(),
            ..head.clone()
        };
        for query in 0..head.queries.nrows() {
            let (exact, found) = (weights(head, query), weights(&rounded, query));
            let apart: f64 = exact.iter().zip(&found).map(|(a, b)| (a - b).abs()).sum();
            let largest = exact.iter().copied().fold(0.0, f64::max);
            moved.push(Moved { largest, error: apart / 2.0 });
        }
    }
    Ok(moved)
}

/// Mean error and number of the rows in each range.
fn ranges(moved: &[Moved]) -> [(f64, usize); RANGES] {
    std::array::from_fn(|range| {
        let of = |row: &&Moved| (row.largest * RANGES as f64) as usize == range;
        let of: Vec<f64> = moved.iter().filter(of).map(|row| row.error).collect();
        (of.iter().sum::<f64>() / of.len().max(1) as f64, of.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The trend that progressive quantization rests on: rows with a dominant probability move least, and
    /// four more bits move every kind of row less.
    #[test]
    fn dominated_rows_move_least_and_more_bits_move_all_rows_less() {
        let heads = passage(KEYS).unwrap();
        let [four, eight] = BITS.map(|bits| ranges(&errors(&heads, bits).unwrap()));
        for range in 0..RANGES {
            assert!(four[range].1 >= 20, "{} rows", four[range].1);
            assert!(eight[range].0 < four[range].0 / 4.0);
            if range + 1 < RANGES {
                assert!(four[RANGES - 1].0 < four[range].0 / 2.0);
                assert!(eight[RANGES - 1].0 < eight[range].0 / 2.0);
            }
        }
    }

    /// Two keys whose scores differ by ln 3 have 3/4 and 1/4. In 2 bits (-1, 0, 1) keys ln 3 and 0.4 ln 3
    /// become ln 3 and 0, so that 1 / (1 + 3^-0.6) = 0.659 becomes 0.75: 0.091 moves.
    #[test]
    fn the_error_is_the_probability_that_moves() {
        let head = HeadOperands {
            queries: ndarray::array![[1.0]],
            keys: ndarray::array![[3f64.ln()], [0.4 * 3f64.ln()]],
            values: ndarray::Array2::zeros((2, 1)),
            visible: vec![2],
        };
        let moved = errors(&[head], 2).unwrap()[0];
        let exact = 1.0 / (1.0 + 3f64.powf(-0.6));
        assert!((moved.largest - exact).abs() < 1e-12);
        assert!((moved.error - (0.75 - exact)).abs() < 1e-12, "{}", moved.error);
    }
}
