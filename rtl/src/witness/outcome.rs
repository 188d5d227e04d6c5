//! What a comparison found.

/// An output that was not what it had to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Cycle after the reset.
    pub cycle: u64,
    /// Name of the output.
    pub output: String,
    /// What it had to show, hexadecimal.
    pub expected: String,
    /// What it showed, hexadecimal.
    pub found: String,
}

/// Counts of one witness.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// Cycles after the reset.
    pub cycles: u64,
    /// Beats in them.
    pub beats: u64,
    /// How often each output was compared, in the order of the ports.
    pub compared: Vec<u64>,
    /// Comparisons that failed.
    pub mismatches: u64,
    /// The first of them.
    pub first: Option<Mismatch>,
    /// Outputs with an undefined bit in some cycle after the reset; only Icarus can tell.
    pub undefined: u64,
    /// Speed of the bare design on recorded inputs \[cycles/s\], where it was measured.
    pub cycles_per_second: Option<f64>,
}

impl Outcome {
    /// Whether every output was compared and nothing differed.
    pub fn agrees(&self) -> bool {
        let vacuous = self.cycles == 0 || self.compared.is_empty() || self.compared.contains(&0);
        self.mismatches == 0 && self.undefined == 0 && self.beats > 0 && !vacuous
    }

    /// Notes a failed comparison.
    pub(super) fn mismatch(&mut self, found: impl FnOnce() -> Mismatch) {
        self.mismatches += 1;
        if self.first.is_none() {
            self.first = Some(found());
        }
    }
}

/// Words as a hexadecimal number, the lowest word first.
pub(super) fn hexadecimal(words: &[u64], width: u32) -> String {
    let digits = width.div_ceil(4) as usize;
    let text: String = words.iter().rev().map(|word| format!("{word:016x}")).collect();
    text[text.len().saturating_sub(digits)..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_was_never_compared_is_no_agreement() {
        let all = Outcome { cycles: 9, beats: 2, compared: vec![9, 3], ..Outcome::default() };
        assert!(all.agrees());
        assert!(!Outcome { compared: vec![9, 0], ..all.clone() }.agrees());
        assert!(!Outcome { compared: vec![], ..all.clone() }.agrees());
        assert!(!Outcome { beats: 0, ..all.clone() }.agrees());
        assert!(!Outcome { undefined: 1, ..all.clone() }.agrees());
        assert!(!Outcome { mismatches: 1, ..all }.agrees());
    }

    #[test]
    fn hexadecimal_has_the_digits_of_the_width() {
        assert_eq!(hexadecimal(&[0xab], 12), "0ab");
        assert_eq!(hexadecimal(&[0xab, 1], 68), "100000000000000ab");
        assert_eq!(hexadecimal(&[1], 1), "1");
    }
}
