//! The interpreter of constraint tables: when may a command issue, and what follows from it.
//!
//! Every node of the hierarchy (channel, ranks, bank groups, banks) keeps, per command, the first
//! cycle at which that command is allowed. Issuing a command raises those cycles according to the
//! table; asking is a maximum over the levels above the target. Cycles only ever rise, so a value
//! read once stays a valid lower bound: the policies build on that.

mod leap;

use std::sync::Arc;

use crate::command::{CommandId, CommandSet, Effect, Level};
use crate::constraint::Constraint;
use crate::error::{IllegalCommand, TableError};
use crate::organization::Organization;
use crate::residency::Residency;
use crate::rules::{Consequences, History, Rule, raise_windowed};

/// Row index of a closed bank.
const CLOSED: u32 = u32::MAX;

/// First allowed cycles of one command, by node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Earliest<'a> {
    /// Channel, ranks, bank groups.
    outer: &'a [u64],
}

impl Earliest<'_> {
    /// The part that comes from the channel.
    #[inline]
    pub fn channel(&self) -> u64 {
        self.outer[0]
    }

    /// The part that comes from channel and rank.
    #[inline]
    pub fn rank(&self, rank: usize) -> u64 {
        self.outer[0].max(self.outer[1 + rank])
    }

    /// The part that comes from one bank group, given by its node.
    #[inline]
    pub fn group(&self, node: u32) -> u64 {
        self.outer[node as usize]
    }
}

/// State of one channel: earliest cycles and open rows. Copies share what never changes.
#[derive(Debug, Clone)]
pub struct Engine {
    commands: Arc<CommandSet>,
    organization: Organization,
    /// Nodes of all levels.
    nodes: usize,
    /// First node of each level.
    first_node: [usize; 4],
    /// First allowed cycle, `[command][node]`.
    ready: Vec<u64>,
    rules: Arc<Vec<Consequences>>,
    histories: Vec<History>,
    /// Nodes from the channel down to each bank.
    paths: Arc<Vec<[u32; 4]>>,
    open_row: Vec<u32>,
    column_commands: Vec<u32>,
    open_in_rank: Vec<u32>,
    residency: Residency,
    counts: Vec<u64>,
}

impl Engine {
    /// Compiles a constraint table for one channel.
    ///
    /// # Errors
    /// The organisation is out of range.
    pub fn new(
        organization: &Organization,
        commands: &CommandSet,
        table: &[Constraint],
    ) -> Result<Engine, TableError> {
        organization.check()?;
        let banks = organization.banks_per_channel() as usize;
        let ranks = organization.ranks as usize;
        let groups = ranks * organization.bankgroups as usize;
        let first_node = [0, 1, 1 + ranks, 1 + ranks + groups];
        let nodes = first_node[3] + banks;
        // Counts are checked: all nodes of a channel fit 32 bits.
        let paths: Vec<[u32; 4]> = (0..banks)
            .map(|bank| {
                let (rank, group, _) = organization.split_bank(bank);
                let group = 1 + organization.ranks + rank * organization.bankgroups + group;
                [0, 1 + rank, group, (first_node[3] + bank) as u32]
            })
            .collect();
        let mut engine = Engine {
            commands: Arc::new(commands.clone()),
            organization: organization.clone(),
            nodes,
            first_node,
            ready: vec![0; commands.len() * nodes],
            rules: Arc::new(vec![Consequences::default(); commands.len()]),
            histories: Vec::new(),
            paths: Arc::new(paths),
            open_row: vec![CLOSED; banks],
            column_commands: vec![0; banks],
            open_in_rank: vec![0; ranks],
            residency: Residency::new(ranks),
            counts: vec![0; commands.len()],
        };
        for constraint in table {
            engine.add(constraint, [1, ranks, groups, banks]);
        }
        Ok(engine)
    }

    /// Forgets rules about commands that will never be issued, and rules that another one on the
    /// same pair of bank commands and a wider level implies. The earliest cycles of unused commands
    /// are meaningless afterwards.
    pub(crate) fn restrict(&mut self, used: impl Fn(CommandId) -> bool) {
        for rules in Arc::make_mut(&mut self.rules) {
            let wide = rules.own.clone();
            rules.own.retain(|rule| {
                let implies = |other: &Rule| {
                    other.level < rule.level
                        && other.following == rule.following
                        && other.distance >= rule.distance
                };
                !wide.iter().any(implies)
            });
            rules.own.retain(|rule| used(CommandId(rule.following)));
            rules.windowed.retain(|rule| used(CommandId(rule.following)));
            rules.sibling.retain(|rule| used(CommandId(rule.following)));
        }
    }

    fn add(&mut self, constraint: &Constraint, nodes: [usize; 4]) {
        for &preceding in &constraint.preceding {
            for &following in &constraint.following {
                // A command that covers a rank asks the rank, not its banks: such a row acts at
                // the level of the wider command.
                let scope = constraint.scope.min(self.commands.spec(following).scope);
                let level = scope.index();
                let history = if constraint.window == 1 {
                    0
                } else {
                    self.history(preceding, level, nodes[level], constraint.window)
                };
                let rule = Rule {
                    level: level as u8,
                    following: following.0,
                    row: (following.index() * self.nodes) as u32,
                    history,
                    window: constraint.window,
                    distance: constraint.distance,
                };
                let rules = &mut Arc::make_mut(&mut self.rules)[preceding.index()];
                let list = match (constraint.sibling, constraint.window) {
                    (true, _) => &mut rules.sibling,
                    (false, 1) => &mut rules.own,
                    (false, _) => &mut rules.windowed,
                };
                let key = |rule: &Rule| (rule.level, rule.following, rule.window);
                let twin = list.iter_mut().find(|known| key(known) == key(&rule));
                match twin {
                    Some(known) => known.distance = known.distance.max(rule.distance),
                    None => list.push(rule),
                }
            }
        }
    }

    fn history(&mut self, command: CommandId, level: usize, nodes: usize, window: u8) -> u16 {
        let depth = usize::from(window);
        let known = &mut Arc::make_mut(&mut self.rules)[command.index()].histories;
        let same = known.iter().find(|&&(at, id)| {
            usize::from(at) == level && self.histories[usize::from(id)].depth == depth
        });
        if let Some(&(_, id)) = same {
            return id;
        }
        let id = self.histories.len() as u16;
        known.push((level as u8, id));
        let (cycles, heads) = (vec![0; depth * nodes], vec![0; nodes]);
        self.histories.push(History { depth, cycles, heads });
        id
    }

    /// The commands this channel knows.
    #[must_use]
    pub fn commands(&self) -> &CommandSet {
        &self.commands
    }

    /// The organisation of this channel.
    #[must_use]
    pub fn organization(&self) -> &Organization {
        &self.organization
    }

    /// Number of banks of the channel.
    #[must_use]
    pub fn banks(&self) -> usize {
        self.open_row.len()
    }

    /// The open row of a bank.
    #[must_use]
    #[inline]
    pub fn open_row(&self, bank: usize) -> Option<u32> {
        let row = self.open_row[bank];
        (row != CLOSED).then_some(row)
    }

    /// Column commands of a bank since its row was opened.
    #[must_use]
    #[inline]
    pub fn column_commands(&self, bank: usize) -> u32 {
        self.column_commands[bank]
    }

    /// Open banks of a rank.
    #[must_use]
    #[inline]
    pub fn open_in_rank(&self, rank: usize) -> u32 {
        self.open_in_rank[rank]
    }

    /// How often each command was issued, in the order of the command set.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Time spent in each state up to `cycle`.
    #[must_use]
    pub fn residency(&self, cycle: u64) -> Residency {
        self.residency.at(cycle)
    }

    /// First allowed cycles of one command.
    #[inline]
    pub(crate) fn earliest_of(&self, command: CommandId) -> Earliest<'_> {
        let first = command.index() * self.nodes;
        Earliest { outer: &self.ready[first..first + self.first_node[3]] }
    }

    /// Node of the bank group of a bank.
    pub(crate) fn group_node(&self, bank: usize) -> u32 {
        self.paths[bank][2]
    }

    /// First cycle at which a bank command is allowed by the constraint table.
    #[must_use]
    #[inline]
    pub fn earliest_bank(&self, command: CommandId, bank: usize) -> u64 {
        let first = command.index() * self.nodes;
        let at = |node: u32| self.ready[first + node as usize];
        let [channel, rank, group, bank] = self.paths[bank];
        at(channel).max(at(rank)).max(at(group)).max(at(bank))
    }

    /// The part of a bank command's earliest cycle that comes from the bank alone.
    #[inline]
    pub(crate) fn earliest_own(&self, command: CommandId, bank: usize) -> u64 {
        self.ready[command.index() * self.nodes + self.first_node[3] + bank]
    }

    /// [`Engine::earliest_bank`], or less where that is later than `now`: most commands wait for
    /// their own bank, and the other levels matter only once it is ready.
    #[inline]
    pub(crate) fn ready_at(&self, command: CommandId, bank: usize, now: u64) -> u64 {
        let own = self.earliest_own(command, bank);
        if own > now { own } else { self.earliest_bank(command, bank) }
    }

    /// First cycle at which a rank command is allowed by the constraint table.
    #[must_use]
    #[inline]
    pub fn earliest_rank(&self, command: CommandId, rank: usize) -> u64 {
        self.earliest_of(command).rank(rank)
    }

    /// First cycle at which `command` may go to `bank` or, for wider commands, to what contains it.
    #[must_use]
    pub fn earliest(&self, command: CommandId, bank: usize) -> u64 {
        match self.commands.spec(command).scope {
            Level::Bank => self.earliest_bank(command, bank),
            Level::Rank => self.earliest_rank(command, self.rank_of(bank)),
            Level::Channel => self.earliest_of(command).channel(),
            Level::BankGroup => {
                let earliest = self.earliest_of(command);
                earliest.rank(self.rank_of(bank)).max(earliest.group(self.group_node(bank)))
            }
        }
    }

    /// Rank of a bank.
    #[inline]
    pub(crate) fn rank_of(&self, bank: usize) -> usize {
        self.paths[bank][1] as usize - 1
    }

    /// Banks covered by `command` when it is sent to `bank`.
    pub(crate) fn covered(&self, command: CommandId, bank: usize) -> std::ops::Range<usize> {
        let per_group = self.organization.banks_per_group as usize;
        let per_rank = self.organization.banks_per_rank() as usize;
        let size = match self.commands.spec(command).scope {
            Level::Bank => return bank..bank + 1,
            Level::BankGroup => per_group,
            Level::Rank => per_rank,
            Level::Channel => self.banks(),
        };
        let first = bank / size * size;
        first..first + size
    }

    /// Issues a command after checking the table and the states of all covered banks.
    ///
    /// # Errors
    /// The command is too early, a bank is in the wrong state, or the target does not exist.
    pub fn issue_checked(
        &mut self,
        command: CommandId,
        bank: usize,
        row: u32,
        cycle: u64,
    ) -> Result<(), IllegalCommand> {
        let spec = self.commands.spec(command);
        let name = || spec.name.clone();
        if bank >= self.banks() {
            let value = bank as u64;
            return Err(IllegalCommand::Target { command: name(), what: "bank", value });
        }
        if spec.effect == Effect::Open && row >= self.organization.rows {
            let value = u64::from(row);
            return Err(IllegalCommand::Target { command: name(), what: "row", value });
        }
        let earliest = self.earliest(command, bank);
        if cycle < earliest {
            return Err(IllegalCommand::TooEarly { command: name(), cycle, earliest });
        }
        for bank in self.covered(command, bank) {
            let open = self.open_row(bank).is_some();
            let state = match spec.effect {
                Effect::Open | Effect::Refresh if open => "is open",
                Effect::Access { .. } | Effect::Compute if !open => "is closed",
                _ => continue,
            };
            return Err(IllegalCommand::BankState { command: name(), cycle, bank, state });
        }
        self.issue(command, bank, row, cycle);
        Ok(())
    }

    /// Issues a command that the caller has found legal.
    #[inline]
    pub(crate) fn issue(&mut self, command: CommandId, bank: usize, row: u32, cycle: u64) {
        debug_assert!(cycle >= self.earliest(command, bank), "command before its earliest cycle");
        self.counts[command.index()] += 1;
        let path = self.paths[bank];
        let scope = self.commands.spec(command).scope;
        if scope == Level::Bank {
            self.apply_path(command, &path, cycle);
        } else {
            self.apply_wide(command, scope, bank, &path, cycle);
        }
        if !self.rules[command.index()].sibling.is_empty() {
            self.apply_siblings(command, &path, cycle);
        }
        self.change_banks(command, bank, row, cycle);
    }

    /// Nodes of `level` inside the `scope` node that contains `bank`.
    fn below(&self, scope: Level, bank: usize, level: usize) -> std::ops::Range<usize> {
        let o = &self.organization;
        let per_level = |banks: u32| match level {
            1 => banks / o.banks_per_rank(),
            2 => banks / o.banks_per_group,
            _ => banks,
        } as usize;
        let size = per_level(match scope {
            Level::Channel => o.banks_per_channel(),
            Level::Rank => o.banks_per_rank(),
            Level::BankGroup => o.banks_per_group,
            Level::Bank => 1,
        });
        let bank = u32::try_from(bank).unwrap_or(u32::MAX);
        let first = self.first_node[level] + per_level(bank) / size * size;
        first..first + size
    }

    /// Applies the rules of a bank command: one node per level.
    #[inline]
    fn apply_path(&mut self, command: CommandId, path: &[u32; 4], cycle: u64) {
        let rules = &self.rules[command.index()];
        for rule in &rules.own {
            let entry = &mut self.ready[(rule.row + path[usize::from(rule.level & 3)]) as usize];
            *entry = (*entry).max(cycle + rule.distance);
        }
        for &(level, id) in &rules.histories {
            let level = usize::from(level);
            let local = path[level] as usize - self.first_node[level];
            self.histories[usize::from(id)].push(local, cycle);
        }
        for rule in &rules.windowed {
            let node = path[usize::from(rule.level)] as usize;
            raise_windowed(&mut self.ready, &self.histories, &self.first_node, rule, node);
        }
    }

    /// Applies the rules of a wider command: below its scope, to every node it covers.
    fn apply_wide(
        &mut self,
        command: CommandId,
        scope: Level,
        bank: usize,
        path: &[u32; 4],
        cycle: u64,
    ) {
        let nodes = |engine: &Engine, level: u8| {
            let level = usize::from(level);
            if level <= scope.index() {
                path[level] as usize..path[level] as usize + 1
            } else {
                engine.below(scope, bank, level)
            }
        };
        for index in 0..self.rules[command.index()].histories.len() {
            let (level, id) = self.rules[command.index()].histories[index];
            for node in nodes(self, level) {
                let local = node - self.first_node[usize::from(level)];
                self.histories[usize::from(id)].push(local, cycle);
            }
        }
        for index in 0..self.rules[command.index()].own.len() {
            let rule = self.rules[command.index()].own[index];
            for node in nodes(self, rule.level) {
                let entry = &mut self.ready[rule.row as usize + node];
                *entry = (*entry).max(cycle + rule.distance);
            }
        }
        for index in 0..self.rules[command.index()].windowed.len() {
            let rule = self.rules[command.index()].windowed[index];
            for node in nodes(self, rule.level) {
                raise_windowed(&mut self.ready, &self.histories, &self.first_node, &rule, node);
            }
        }
    }

    fn apply_siblings(&mut self, command: CommandId, path: &[u32; 4], cycle: u64) {
        let o = &self.organization;
        for rule in &self.rules[command.index()].sibling {
            let level = usize::from(rule.level);
            let family = [1, o.ranks, o.bankgroups, o.banks_per_group][level] as usize;
            let first = self.first_node[level];
            let node = path[level] as usize;
            let start = first + (node - first) / family * family;
            for other in (start..start + family).filter(|&other| other != node) {
                let entry = &mut self.ready[rule.row as usize + other];
                *entry = (*entry).max(cycle + rule.distance);
            }
        }
    }

    #[inline]
    fn change_banks(&mut self, command: CommandId, bank: usize, row: u32, cycle: u64) {
        let spec = self.commands.spec(command);
        let single = spec.scope == Level::Bank;
        match spec.effect {
            Effect::Open if single => self.open(bank, row, cycle),
            Effect::Open => {
                for bank in self.covered(command, bank) {
                    self.open(bank, row, cycle);
                }
            }
            Effect::Close if single => self.close(bank, cycle),
            Effect::Close => {
                for bank in self.covered(command, bank) {
                    self.close(bank, cycle);
                }
            }
            Effect::Access { auto_precharge, .. } => {
                for bank in self.covered(command, bank) {
                    self.column_commands[bank] += 1;
                    if auto_precharge {
                        self.close(bank, cycle);
                    }
                }
            }
            Effect::Refresh | Effect::Compute | Effect::Transfer { .. } => {}
        }
    }

    fn open(&mut self, bank: usize, row: u32, cycle: u64) {
        let rank = self.rank_of(bank);
        if self.open_row[bank] == CLOSED {
            self.open_in_rank[rank] += 1;
            self.residency.bank_opened(rank, self.open_in_rank[rank], cycle);
        }
        self.open_row[bank] = row;
        self.column_commands[bank] = 0;
    }

    fn close(&mut self, bank: usize, cycle: u64) {
        let rank = self.rank_of(bank);
        if self.open_row[bank] != CLOSED {
            self.open_in_rank[rank] -= 1;
            self.residency.bank_closed(rank, self.open_in_rank[rank], cycle);
        }
        self.open_row[bank] = CLOSED;
    }
}
