//! Several channels behind a core clock: what a streaming accelerator talks to.
//!
//! The core runs at its own clock; `ratio` gives memory cycles per core cycle as an exact fraction.
//! Each channel takes one request per core cycle. Per core cycle: offer requests, call
//! [`Memory::advance_to`] with the next cycle, collect completions.

use crate::channel::Channel;
use crate::command::CommandSet;
use crate::device::Device;
use crate::energy::Activity;
use crate::error::{AddressError, SubmitError, TableError};
use crate::mapping::{AddressMapping, Field, Location};
use crate::organization::Organization;
use crate::policy::ControllerConfig;
use crate::request::{Completion, Op};
use crate::stats::Statistics;
use crate::trace::CommandSink;

/// Memory cycles per core cycle, as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockRatio {
    memory: u64,
    core: u64,
}

impl ClockRatio {
    /// `memory` cycles pass in `core` core cycles.
    ///
    /// # Errors
    /// One of them is zero.
    pub fn new(memory: u64, core: u64) -> Result<ClockRatio, TableError> {
        if memory == 0 || core == 0 {
            return Err(TableError::Controller {
                field: "clock ratio",
                value: format!("{memory}:{core}"),
                expected: "two positive numbers",
            });
        }
        let (mut common, mut rest) = (memory, core);
        while rest != 0 {
            (common, rest) = (rest, common % rest);
        }
        Ok(ClockRatio { memory: memory / common, core: core / common })
    }

    /// A memory with this clock period [ps] beside a core with this clock [Hz].
    ///
    /// # Errors
    /// One of them is zero, or their product is not below 2^64.
    pub fn of_clocks(tck_ps: u64, core_hz: u64) -> Result<ClockRatio, TableError> {
        ClockRatio::new(1_000_000_000_000, tck_ps.checked_mul(core_hz).unwrap_or(0))
    }

    /// Memory cycle that has begun when core cycle `core` begins.
    #[must_use]
    pub fn memory_cycle(self, core: u64) -> u64 {
        if self.memory == self.core {
            return core;
        }
        let cycle = u128::from(core) * u128::from(self.memory) / u128::from(self.core);
        u64::try_from(cycle).unwrap_or(u64::MAX)
    }

    /// First core cycle at whose begin memory cycle `memory` has begun.
    #[must_use]
    pub fn core_cycle(self, memory: u64) -> u64 {
        if self.memory == self.core {
            return memory;
        }
        let cycle = (u128::from(memory) * u128::from(self.core)).div_ceil(u128::from(self.memory));
        u64::try_from(cycle).unwrap_or(u64::MAX)
    }
}

/// What must be known of a channel in every cycle, kept apart so that channels at rest are not
/// touched.
#[derive(Debug, Clone, Copy)]
struct Outlook {
    /// First memory cycle whose tick can do anything.
    event: u64,
    /// Memory cycle of the first completion; `u64::MAX` for none.
    completion: u64,
    /// Core cycle plus one of the last request.
    last_submit: u64,
    takes_read: bool,
    takes_write: bool,
}

impl Outlook {
    fn update(&mut self, channel: &Channel) {
        self.event = channel.next_event();
        self.completion = channel.next_completion().unwrap_or(u64::MAX);
        self.takes_read = channel.can_accept(Op::Read);
        self.takes_write = channel.can_accept(Op::Write);
    }
}

/// All channels of a memory.
#[derive(Debug, Clone)]
pub struct Memory {
    channels: Vec<Channel>,
    /// One per channel.
    outlooks: Vec<Outlook>,
    /// No channel has an event before this memory cycle.
    first_event: u64,
    organization: Organization,
    commands: CommandSet,
    mapping: AddressMapping,
    /// The same mapping without channel bits.
    local: AddressMapping,
    ratio: ClockRatio,
    now: u64,
    /// First memory cycle not yet run.
    next_memory: u64,
}

impl Memory {
    /// Builds all channels of a device with its default mapping.
    ///
    /// # Errors
    /// The controller settings are out of range, or the device lacks a timing of the refresh.
    pub fn new(
        device: &Device,
        controller: &ControllerConfig,
        ratio: ClockRatio,
    ) -> Result<Memory, TableError> {
        let organization = device.organization.clone();
        controller.refresh.check_timing(&device.timing, &organization)?;
        let channels = (0..organization.channels)
            .map(|index| {
                let latency = device.timing.read_latency();
                let (commands, table) = (&device.commands, &device.table);
                Channel::new(index, &organization, commands, table, latency, controller)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let local_organization = Organization { channels: 1, ..organization.clone() };
        let local = device.mapping.without(Field::Channel, &local_organization)?;
        let outlook = |channel: &Channel| {
            let (takes_read, takes_write) = (false, false);
            let (event, completion, last_submit) = (0, u64::MAX, 0);
            let mut new = Outlook { event, completion, last_submit, takes_read, takes_write };
            new.update(channel);
            new
        };
        Ok(Memory {
            outlooks: channels.iter().map(outlook).collect(),
            first_event: 0,
            channels,
            organization,
            commands: device.commands.clone(),
            mapping: device.mapping.clone(),
            local,
            ratio,
            now: 0,
            next_memory: 0,
        })
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// One channel.
    #[must_use]
    pub fn channel(&self, index: usize) -> &Channel {
        &self.channels[index]
    }

    /// Commands the trace may contain.
    #[must_use]
    pub fn commands(&self) -> &CommandSet {
        &self.commands
    }

    /// Organisation of the memory.
    #[must_use]
    pub fn organization(&self) -> &Organization {
        &self.organization
    }

    /// Bytes reachable through one channel [B].
    #[must_use]
    pub fn channel_bytes(&self) -> u64 {
        self.local.capacity_bytes()
    }

    /// Current core cycle.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Where an address lies.
    ///
    /// # Errors
    /// The memory has no such address.
    pub fn locate(&self, address: u64) -> Result<Location, AddressError> {
        self.mapping.decode(address)
    }

    /// Whether a channel takes a request in this core cycle.
    #[must_use]
    #[inline]
    pub fn can_accept(&self, channel: usize, op: Op) -> bool {
        let outlook = &self.outlooks[channel];
        let room = if op == Op::Read { outlook.takes_read } else { outlook.takes_write };
        room && outlook.last_submit <= self.now
    }

    /// Offers a request at a global address; `tag` comes back with its completion.
    ///
    /// # Errors
    /// The channel is full or has taken a request in this core cycle, or the address does not exist.
    pub fn submit(&mut self, op: Op, address: u64, tag: u64) -> Result<(), SubmitError> {
        let location = self.mapping.decode(address)?;
        self.offer(location.channel as usize, op, &location, tag)
    }

    /// Offers a request at an address inside one channel.
    ///
    /// # Errors
    /// As [`Memory::submit`].
    #[inline]
    pub fn submit_to(
        &mut self,
        channel: usize,
        op: Op,
        address: u64,
        tag: u64,
    ) -> Result<(), SubmitError> {
        let location = self.local.decode(address)?;
        self.offer(channel, op, &location, tag)
    }

    fn offer(
        &mut self,
        channel: usize,
        op: Op,
        location: &Location,
        tag: u64,
    ) -> Result<(), SubmitError> {
        if !self.can_accept(channel, op) {
            return Err(SubmitError::Full);
        }
        self.channels[channel].accept(op, location, tag, self.next_memory);
        let outlook = &mut self.outlooks[channel];
        outlook.last_submit = self.now + 1;
        outlook.update(&self.channels[channel]);
        self.first_event = self.first_event.min(outlook.event);
        Ok(())
    }

    /// Lets time pass until core cycle `core` begins. Commands of one channel reach `sink` in issue
    /// order; sort by cycle to merge channels.
    pub fn advance_to<S: CommandSink>(&mut self, core: u64, sink: &mut S) {
        let end = self.ratio.memory_cycle(core);
        if self.first_event < end {
            self.first_event = u64::MAX;
            for (channel, outlook) in self.channels.iter_mut().zip(&mut self.outlooks) {
                if outlook.event < end {
                    let mut cycle = outlook.event.max(self.next_memory);
                    while cycle < end {
                        channel.tick(cycle, sink);
                        cycle = channel.next_event().max(cycle + 1);
                    }
                    outlook.update(channel);
                }
                self.first_event = self.first_event.min(outlook.event);
            }
        }
        self.next_memory = self.next_memory.max(end);
        self.now = self.now.max(core);
    }

    /// Takes the next request of a channel whose data is there when the current core cycle begins.
    #[inline]
    pub fn pop_completion(&mut self, channel: usize) -> Option<Completion> {
        let memory = self.ratio.memory_cycle(self.now);
        let done = self.channels[channel].pop_completion(memory);
        self.outlooks[channel].update(&self.channels[channel]);
        done
    }

    /// Memory cycle of the first completion of a channel that has not been taken.
    #[must_use]
    #[inline]
    pub fn next_completion(&self, channel: usize) -> Option<u64> {
        let cycle = self.outlooks[channel].completion;
        (cycle != u64::MAX).then_some(cycle)
    }

    /// Next core cycle, after the current one, at which a completion or a free queue entry can
    /// appear if nothing more is offered; `None` when nothing is under way.
    #[must_use]
    pub fn next_event(&self) -> Option<u64> {
        let of = |channel: &Channel| {
            let done = channel.next_completion();
            // Refreshes of an idle channel are nobody's business.
            let command = (channel.pending() > 0)
                .then(|| channel.next_event().max(self.next_memory).saturating_add(1));
            done.into_iter().chain(command).min()
        };
        let memory = self.channels.iter().filter_map(of).min()?;
        Some(self.ratio.core_cycle(memory).max(self.now + 1))
    }

    /// Requests accepted whose completion has not been collected yet, except posted writes.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.channels.iter().map(Channel::pending).sum()
    }

    /// Counters of all channels.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let mut total = Statistics::default();
        for channel in &self.channels {
            total.merge(channel.statistics());
        }
        total
    }

    /// What the energy models need, over all channels and up to now.
    #[must_use]
    pub fn activity(&self) -> Activity {
        let mut total = Activity::default();
        for channel in &self.channels {
            total.add(&Activity::of(channel, self.next_memory));
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_cycle_is_the_first_at_which_the_memory_cycle_has_begun() {
        for (memory, core) in [(1, 1), (2, 1), (1, 2), (3, 2), (7, 3), (3, 7)] {
            let ratio = ClockRatio::new(memory, core).expect("positive");
            for cycle in 1..200 {
                let first = ratio.core_cycle(cycle);
                assert!(ratio.memory_cycle(first) >= cycle);
                assert!(ratio.memory_cycle(first - 1) < cycle);
            }
        }
        assert!(ClockRatio::new(0, 1).is_err());
    }
}
