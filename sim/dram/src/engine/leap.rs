//! Many equal commands, or many equal rounds of commands, at once.
//!
//! Distances are constants, so what has repeated itself once with every command in it repeats
//! itself forever: constraints from before the round were kept when its commands were issued the
//! first time, and constraints inside the round move with it. The state after n rounds is then
//! that after one, moved in time.

use crate::command::{CommandId, Effect};
use crate::engine::Engine;

impl Engine {
    /// Whether only the last of several equal commands matters to what follows.
    pub(crate) fn repeatable(&self, command: CommandId) -> bool {
        let rules = &self.rules[command.index()];
        let effect = self.commands.spec(command).effect;
        let harmless = matches!(
            effect,
            Effect::Compute
                | Effect::Transfer { .. }
                | Effect::Access { auto_precharge: false, .. }
        );
        harmless && rules.histories.is_empty() && rules.sibling.is_empty()
    }

    /// Issues `count` further commands of a kind that is [`Engine::repeatable`], the last of them at
    /// `last`. The caller has found all of them legal.
    pub(crate) fn issue_more(&mut self, command: CommandId, bank: usize, last: u64, count: u64) {
        if count == 0 {
            return;
        }
        debug_assert!(self.repeatable(command), "earlier commands would have to be remembered");
        self.issue(command, bank, 0, last);
        self.counts[command.index()] += count - 1;
        let extra = u32::try_from(count - 1).unwrap_or(u32::MAX);
        if matches!(self.commands.spec(command).effect, Effect::Access { .. }) {
            for bank in self.covered(command, bank) {
                self.column_commands[bank] = self.column_commands[bank].saturating_add(extra);
            }
        }
    }

    /// If this state is `before`, one round of `period` cycles later, moves on by `rounds` more of
    /// them; otherwise changes nothing and returns false. `now` is the cycle of the last command.
    pub(crate) fn leap(&mut self, before: &Engine, now: u64, period: u64, rounds: u64) -> bool {
        let moved = |entry: u64, earlier: u64| entry == earlier + period;
        let spent = |entry: u64, earlier: u64| entry == earlier && entry <= now;
        let pairs = || self.ready.iter().zip(&before.ready);
        let steady =
            pairs().all(|(&entry, &earlier)| moved(entry, earlier) || spent(entry, earlier));
        let same_past = self.histories.iter().zip(&before.histories).all(|(a, b)| a == b);
        let closed = self.open_in_rank.iter().all(|&open| open == 0);
        if !steady || !same_past || !closed || self.open_in_rank != before.open_in_rank {
            return false;
        }
        let by = period * rounds;
        for (entry, earlier) in self.ready.iter_mut().zip(&before.ready) {
            if *entry != *earlier {
                *entry += by;
            }
        }
        for (count, earlier) in self.counts.iter_mut().zip(&before.counts) {
            *count += rounds * (*count - earlier);
        }
        self.residency.leap(&before.residency, by, rounds);
        true
    }
}
