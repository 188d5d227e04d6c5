//! The pivot generator: a 16-bit Fibonacci linear-feedback shift register.

/// Taps 16, 15, 13, 4: a maximal-length polynomial, so all 65,535 non-zero states occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lfsr {
    state: u16,
}

impl Lfsr {
    /// Starts at `seed`; the forbidden state 0 becomes 1.
    pub fn new(seed: u16) -> Self {
        Self { state: seed.max(1) }
    }

    /// Advances one step and returns the new state.
    pub fn step(&mut self) -> u16 {
        let s = self.state;
        let bit = (s ^ (s >> 1) ^ (s >> 3) ^ (s >> 12)) & 1;
        self.state = (s >> 1) | (bit << 15);
        self.state
    }

    /// A position in `0..n`: the state scaled by `n`, upper half of the product.
    pub fn position(&mut self, n: usize) -> usize {
        (usize::from(self.step()) * n) >> 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_visits_every_state_once() {
        let mut lfsr = Lfsr::new(1);
        let mut seen = vec![false; 1 << 16];
        for _ in 0..65_535 {
            let state = usize::from(lfsr.step());
            assert!(state != 0 && !seen[state]);
            seen[state] = true;
        }
    }
}
