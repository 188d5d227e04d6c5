//! Neighbourhood attention over the patches of an image.

use serde::{Deserialize, Serialize};

use super::{Head, Pattern};
use crate::limits;
use crate::reference::{OperandError, expect_value};

/// The `kernel` x `kernel` patches around a query on a grid of `rows` x `columns` in raster order.
/// At the border the square is pushed inside, so that every query has kernel^2 of them (Hassani et
/// al., arXiv 2204.07143).
///
/// `prefix` tokens before the grid, such as the class token of a vision transformer, attend to all
/// and are attended to by all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbourhood {
    /// Height of the grid \[patches\].
    pub rows: u32,
    /// Width of the grid \[patches\].
    pub columns: u32,
    /// Side of the square, odd \[patches\].
    pub kernel: u32,
    /// Tokens before the first patch.
    #[serde(default)]
    pub prefix: u32,
}

impl Neighbourhood {
    pub(super) fn check(&self) -> Result<(), OperandError> {
        let Self { rows, columns, kernel, prefix } = *self;
        let most = limits::TOKENS;
        let tokens = rows.saturating_mul(columns).saturating_add(prefix);
        let expected = format!("at most {most} tokens together with `columns` and `prefix`");
        expect_value(tokens <= most, "rows", rows, expected)?;
        let side = rows.min(columns);
        let expected = format!("an odd number from 1 to {side}, the shorter side of the grid");
        expect_value(kernel % 2 == 1 && kernel <= side, "kernel", kernel, expected)
    }

    fn tokens(&self) -> usize {
        self.prefix as usize + self.rows as usize * self.columns as usize
    }
}

impl Pattern for Neighbourhood {
    fn fits(&self, head: &Head<'_>) -> Result<(), OperandError> {
        let Self { rows, columns, prefix, .. } = self;
        let expected = format!("{}: {prefix} and a grid of {rows} x {columns}", self.tokens());
        expect_value(head.keys == self.tokens(), "keys", head.keys, expected)
    }

    fn allows(&self, position: usize, key: usize) -> bool {
        let prefix = self.prefix as usize;
        let (Some(query), Some(key)) = (position.checked_sub(prefix), key.checked_sub(prefix))
        else {
            return true;
        };
        let (rows, columns) = (self.rows as usize, self.columns as usize);
        let near = |query: usize, key: usize, length: usize| {
            let kernel = self.kernel as usize;
            let first = query.saturating_sub(kernel / 2).min(length - kernel);
            (first..first + kernel).contains(&key)
        };
        near(query / columns, key / columns, rows) && near(query % columns, key % columns, columns)
    }
}
