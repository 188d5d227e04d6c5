//! Many equal commands at once, and what later commands see of the state.

use crate::command::{CommandId, Effect};
use crate::engine::{CLOSED, Engine};

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

    /// Everything that decides about later commands, with cycles counted from `now`, the cycle of the
    /// last command; what holds by then is 0. `None` where windows of several commands are remembered.
    pub(crate) fn relative(&self, now: u64) -> Option<Vec<u64>> {
        if !self.histories.is_empty() {
            return None;
        }
        let ready = self.ready.iter().map(|entry| entry.saturating_sub(now));
        let open = self.open_row.iter().map(|&row| u64::from(row != CLOSED));
        Some(ready.chain(open).collect())
    }
}
