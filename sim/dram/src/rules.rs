//! Compiled rules: what issuing one command means for the others.

#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// Level at which the rule acts.
    pub level: u8,
    pub following: u8,
    /// Position of the following command's cycles in `ready`.
    pub row: u32,
    pub window: u8,
    /// History to look back in, for windowed rules.
    pub history: u16,
    pub distance: u64,
}

/// Cycles of the last few commands of one kind, per node of one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct History {
    pub depth: usize,
    /// `depth` entries per node, a ring; 0 = never, otherwise cycle + 1.
    pub cycles: Vec<u64>,
    pub heads: Vec<u8>,
}

impl History {
    pub fn push(&mut self, node: usize, cycle: u64) {
        let next = usize::from(self.heads[node]) + 1;
        let head = if next == self.depth { 0 } else { next };
        // Windows are at most 64, so the position fits.
        self.heads[node] = head as u8;
        self.cycles[node * self.depth + head] = cycle + 1;
    }

    /// Cycle of the n-th last command, if there were that many.
    pub fn past(&self, node: usize, window: u8) -> Option<u64> {
        let (head, back) = (usize::from(self.heads[node]), usize::from(window) - 1);
        let slot = if head >= back { head - back } else { head + self.depth - back };
        self.cycles[node * self.depth + slot].checked_sub(1)
    }
}

/// What follows from issuing one command.
#[derive(Debug, Clone, Default)]
pub(crate) struct Consequences {
    /// Distances from this command.
    pub own: Vec<Rule>,
    /// Distances from an earlier one of its kind.
    pub windowed: Vec<Rule>,
    pub sibling: Vec<Rule>,
    /// Level and index of the histories to extend.
    pub histories: Vec<(u8, u16)>,
}

/// Raises the first allowed cycle that a rule with a window speaks of.
#[inline]
pub(crate) fn raise_windowed(
    ready: &mut [u64],
    histories: &[History],
    first_node: &[usize; 4],
    rule: &Rule,
    node: usize,
) {
    let local = node - first_node[usize::from(rule.level)];
    if let Some(past) = histories[usize::from(rule.history)].past(local, rule.window) {
        let entry = &mut ready[rule.row as usize + node];
        *entry = (*entry).max(past + rule.distance);
    }
}
