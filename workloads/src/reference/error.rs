//! Operands that do not fit together.

use std::fmt::Display;

/// Which operand is wrong, what it is and what would fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{operand}` is {found}: expected {expected}")]
pub struct OperandError {
    /// Its name in the signature of the kernel.
    pub operand: &'static str,
    /// Its shape or value.
    pub found: String,
    /// What the other operands ask for.
    pub expected: String,
}

/// Checks that `operand` has exactly the shape that the others ask for.
pub(crate) fn expect_shape(
    operand: &'static str,
    found: &[usize],
    expected: &[usize],
) -> Result<(), OperandError> {
    if found == expected {
        return Ok(());
    }
    Err(OperandError {
        operand,
        found: shape("of shape", found),
        expected: shape("shape", expected),
    })
}

/// Checks a condition on the value of `operand`. Inner loops pass `format_args!`, which is made
/// into text only if the condition does not hold.
pub(crate) fn expect_value(
    holds: bool,
    operand: &'static str,
    found: impl Display,
    expected: impl Display,
) -> Result<(), OperandError> {
    if holds {
        return Ok(());
    }
    Err(OperandError { operand, found: found.to_string(), expected: expected.to_string() })
}

fn shape(word: &str, sizes: &[usize]) -> String {
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    format!("{word} ({})", sizes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_names_operand_shape_and_remedy() {
        let error = expect_shape("weight", &[3, 4], &[3, 5]).unwrap_err();
        assert_eq!(error.to_string(), "`weight` is of shape (3, 4): expected shape (3, 5)");
    }
}
