//! And-inverter graphs: logic bit by bit, equal gates found once.

use std::collections::BTreeSet;

use indexmap::IndexMap;

/// A signal of one bit: a gate or input, perhaps inverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bit(u32);

impl Bit {
    /// Constant 0.
    pub const ZERO: Self = Self(0);
    /// Constant 1.
    pub const ONE: Self = Self(1);

    /// The gate or input behind it.
    pub fn gate(self) -> usize {
        self.0 as usize / 2
    }

    /// Whether it shows the inverse of its gate.
    pub fn is_inverted(self) -> bool {
        self.0 % 2 == 1
    }

    /// Whether it is a constant.
    pub fn is_constant(self) -> bool {
        self.0 < 2
    }

    /// The gate or input behind it, not inverted.
    fn upright(self) -> Self {
        Self(self.0 & !1)
    }

    /// A constant.
    pub fn constant(value: bool) -> Self {
        if value { Self::ONE } else { Self::ZERO }
    }
}

impl std::ops::Not for Bit {
    type Output = Self;

    fn not(self) -> Self {
        Self(self.0 ^ 1)
    }
}

/// A conjunction of two bits, or `None` for the constant and for inputs.
pub type Gate = Option<[Bit; 2]>;

/// The graph; each gate comes after its operands.
#[derive(Debug)]
pub struct Gates {
    gates: Vec<Gate>,
    known: IndexMap<[Bit; 2], Bit>,
}

impl Default for Gates {
    fn default() -> Self {
        Self { gates: vec![None], known: IndexMap::new() }
    }
}

impl Gates {
    /// All gates; the first is the constant.
    pub fn all(&self) -> &[Gate] {
        &self.gates
    }

    /// A bit from outside.
    pub fn input(&mut self) -> Bit {
        self.push(None)
    }

    fn push(&mut self, gate: Gate) -> Bit {
        // More than 2^31 gates do not fit a device a thousand times larger than the largest.
        let bit = Bit(2 * self.gates.len() as u32);
        self.gates.push(gate);
        bit
    }

    /// Conjunction.
    pub fn and(&mut self, a: Bit, b: Bit) -> Bit {
        let (a, b) = (a.min(b), a.max(b));
        match (a, b) {
            (Bit::ZERO, _) => return Bit::ZERO,
            (Bit::ONE, _) => return b,
            _ if a == b => return a,
            _ if a == !b => return Bit::ZERO,
            _ => {}
        }
        if let Some(simple) = self.absorbed(a, b).or_else(|| self.absorbed(b, a)) {
            return simple;
        }
        if let Some(known) = self.known.get(&[a, b]) {
            return *known;
        }
        let bit = self.push(Some([a, b]));
        self.known.insert([a, b], bit);
        bit
    }

    /// `a & b` where `b` is itself a conjunction that holds `a` or its inverse.
    fn absorbed(&self, a: Bit, b: Bit) -> Option<Bit> {
        let [c, d] = self.gates[b.gate()]?;
        match b.is_inverted() {
            false if a == c || a == d => Some(b),
            false if a == !c || a == !d => Some(Bit::ZERO),
            // a & !(!a & d) = a
            true if a == !c || a == !d => Some(a),
            _ => None,
        }
    }

    /// Disjunction.
    pub fn or(&mut self, a: Bit, b: Bit) -> Bit {
        !self.and(!a, !b)
    }

    /// Exclusive disjunction.
    pub fn xor(&mut self, a: Bit, b: Bit) -> Bit {
        let inverted = a.is_inverted() ^ b.is_inverted();
        let (a, b) = (a.upright(), b.upright());
        let (only_a, only_b) = (self.and(a, !b), self.and(!a, b));
        let differ = self.or(only_a, only_b);
        if inverted { !differ } else { differ }
    }

    /// `when_one` if `select`, else `when_zero`.
    pub fn mux(&mut self, select: Bit, when_one: Bit, when_zero: Bit) -> Bit {
        if when_one == when_zero {
            return when_one;
        }
        if when_one == !when_zero {
            return self.xor(select, when_zero);
        }
        let (one, zero) = (self.and(select, when_one), self.and(!select, when_zero));
        self.or(one, zero)
    }

    /// Select and both values of a bit that is a multiplexer.
    pub fn as_mux(&self, bit: Bit) -> Option<(Bit, Bit, Bit)> {
        let [a, b] = self.gates[bit.gate()]?;
        let ([c, d], [e, f]) = (self.gates[a.gate()]?, self.gates[b.gate()]?);
        // !(!(s & x) & !(!s & y)); without the outer inversion both values are inverted.
        if !a.is_inverted() || !b.is_inverted() {
            return None;
        }
        let (select, one, zero) = match () {
            () if c == !e => (c, d, f),
            () if c == !f => (c, d, e),
            () if d == !e => (d, c, f),
            () if d == !f => (d, c, e),
            () => return None,
        };
        Some(if bit.is_inverted() { (select, one, zero) } else { (select, !one, !zero) })
    }

    /// Whether a register bit that is 0 stays 0: its next value is 0, or a conjunction with what it holds.
    pub fn stays_zero(&self, next: Bit, held: Bit) -> bool {
        let mut open = vec![next];
        let mut seen = BTreeSet::new();
        while let Some(bit) = open.pop() {
            if bit == Bit::ZERO || bit == held {
                return true;
            }
            if !bit.is_inverted() && seen.insert(bit) {
                open.extend(self.gates[bit.gate()].iter().flatten());
            }
        }
        false
    }

    /// A balanced tree over many bits.
    pub fn tree(&mut self, bits: &[Bit], of: fn(&mut Self, Bit, Bit) -> Bit, empty: Bit) -> Bit {
        let mut level = bits.to_vec();
        while level.len() > 1 {
            level = level
                .chunks(2)
                .map(|pair| match *pair {
                    [a, b] => of(self, a, b),
                    [a, ..] => a,
                    [] => empty,
                })
                .collect();
        }
        level.first().copied().unwrap_or(empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_and_trivial_gates_are_found() {
        let mut gates = Gates::default();
        let (a, b) = (gates.input(), gates.input());
        let both = gates.and(a, b);
        assert_eq!(gates.and(b, a), both);
        assert_eq!(gates.and(a, both), both);
        assert_eq!(gates.and(!a, both), Bit::ZERO);
        let neither = !gates.or(a, b);
        assert_eq!(gates.and(neither, !a), neither);
        assert_eq!(gates.xor(a, Bit::ONE), !a);
        assert_eq!(gates.mux(a, b, !b), !gates.xor(a, b));
        assert_eq!(gates.tree(&[], Gates::and, Bit::ONE), Bit::ONE);
    }

    #[test]
    fn what_only_holds_or_clears_stays_zero() {
        let mut gates = Gates::default();
        let (held, enable, reset, other) =
            (gates.input(), gates.input(), gates.input(), gates.input());
        let cleared = gates.mux(enable, Bit::ZERO, held);
        let cleared = gates.and(!reset, cleared);
        assert!(gates.stays_zero(cleared, held) && gates.stays_zero(Bit::ZERO, held));
        let loaded = gates.mux(enable, other, held);
        assert!(!gates.stays_zero(loaded, held) && !gates.stays_zero(!cleared, held));
    }
}
