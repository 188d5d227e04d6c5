//! The fetcher in front of a memory that stalls and reorders: every transaction is issued once,
//! answered once, without channel conflict, and everything is delivered in order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use attelier_hw::spatten::{
    BitwidthConverter as ConverterParams, Memory as MemoryParams, MemoryKind, QkvFetcher as Params,
};
use attelier_sim::kernel::activity::EventLog;
use attelier_sim::kernel::clock::Cycle;
use attelier_sim::units::bitwidth_converter::{BitwidthConverter, Target};
use attelier_sim::units::line_sram::Plane;
use attelier_sim::units::memory::{Grant, Memory};
use attelier_sim::units::qkv_fetcher::{Command, Indices, QkvFetcher, StreamKind};
use proptest::prelude::*;

const TRANSACTION: u32 = 32;

/// Answers after a latency that depends on the address; takes nothing on some channels at times.
#[derive(Debug, Clone)]
struct Unruly {
    channels: u32,
    seed: u64,
    in_flight: Vec<(u64, Grant)>,
    /// (cycle, channel) of everything issued, and how often each address was.
    taken: BTreeSet<(u64, u64)>,
    addresses: BTreeMap<u64, u32>,
    conflicts: u32,
}

impl Unruly {
    fn hash(&self, word: u64) -> u64 {
        (word ^ self.seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
    }
}

impl Memory for Unruly {
    fn ready(&self, now: Cycle) -> u64 {
        (0..self.channels)
            .filter(|&c| !self.hash(now.0 * 64 + u64::from(c)).is_multiple_of(4))
            .fold(0, |m, c| m | 1 << c)
    }
    fn issue(&mut self, now: Cycle, grant: Grant, address: &dyn Fn(u32) -> u64) {
        for lane in (0..64).filter(|lane| grant.lanes >> lane & 1 == 1) {
            let address = address(lane);
            let channel = address / u64::from(TRANSACTION) % u64::from(self.channels);
            let ready = self.ready(now) >> channel & 1 == 1;
            self.conflicts += u32::from(!self.taken.insert((now.0, channel)) || !ready);
            *self.addresses.entry(address).or_default() += 1;
            let due = now.0 + 1 + self.hash(address) % 40;
            self.in_flight.push((due, Grant { row: grant.row, lanes: 1 << lane }));
        }
    }
    fn arrival(&mut self, now: Cycle) -> Option<Grant> {
        let at = self.in_flight.iter().position(|&(due, _)| due <= now.0)?;
        Some(self.in_flight.swap_remove(at).1)
    }
    fn quiet(&self, _now: Cycle) -> u64 {
        0
    }
    fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let command = (
        0usize..4,
        prop::sample::select(vec![32u32, 64, 96]),
        1u32..40,
        any::<bool>(),
        any::<u64>(),
    );
    prop::collection::vec(command, 1..6).prop_map(|commands| {
        let kinds = [StreamKind::Query, StreamKind::Key, StreamKind::KeyLsb, StreamKind::Value];
        let make = |(number, (kind, vector_bytes, vectors, list, seed)): (
            usize,
            (usize, u32, u32, bool, u64),
        )| {
            let picks: Arc<[u32]> =
                (0..vectors).map(|i| i * 3 + (seed >> (i % 60)) as u32 % 3).collect();
            Command {
                job: number as u32,
                kind: kinds[kind],
                target: Target::Key(number as u64, Plane::Msb),
                base: (number as u64) << 20,
                vector_bytes,
                vectors,
                vectors_per_group: 8,
                lines_per_group: 1,
                indices: if list { Indices::List(picks) } else { Indices::From(seed as u32 % 50) },
            }
        };
        commands.into_iter().enumerate().map(make).collect()
    })
}

proptest! {
    #[test]
    fn everything_is_fetched_once(
        commands in commands(),
        log_channels in 0u32..=4,
        wider in 0u32..=1,
        fifo_depth in 1u32..20,
        seed: u64,
    ) {
        let (channels, lanes) = (1 << log_channels, 1u32 << (log_channels + wider));
        let memory = Unruly {
            channels, seed, in_flight: vec![], taken: BTreeSet::new(), addresses: BTreeMap::new(), conflicts: 0,
        };
        let converter = BitwidthConverter::new(&ConverterParams {
            lines_per_cycle: 2, buffer_bytes: 8 * 96 + lanes * TRANSACTION,
        });
        let memory_params = MemoryParams {
            kind: MemoryKind::Ideal,
            channels,
            transaction_bytes: TRANSACTION,
            latency_cycles: 1,
            front_end_cycles: 1,
        };
        let mut fetcher = QkvFetcher::new(&Params { lanes, fifo_depth }, &memory_params, converter, memory);
        for command in &commands {
            fetcher.command(command.clone());
        }
        fetcher.commit();
        let (mut groups, mut cycle, mut log) = (BTreeMap::<u64, u32>::new(), 0, EventLog::default());
        while !fetcher.is_idle() {
            prop_assert!(cycle < 200_000, "the fetcher ends");
            if let Some(delivery) = fetcher.tick(Cycle(cycle), &mut log, |_, _| {}) {
                let Target::Key(slot, _) = delivery.target else { panic!("only keys were asked for") };
                *groups.entry(slot).or_default() += delivery.groups;
            }
            fetcher.commit();
            cycle += 1;
        }
        let mut expected = BTreeMap::<u64, u32>::new();
        let mut transactions = 0u64;
        for (number, command) in commands.iter().enumerate() {
            prop_assert_eq!(groups[&(number as u64)], command.vectors.div_ceil(8));
            for v in 0..command.vectors {
                let vector = match &command.indices {
                    Indices::From(first) => first + v,
                    Indices::List(list) => list[v as usize],
                };
                for sub in 0..command.vector_bytes / TRANSACTION {
                    let at = vector * command.vector_bytes + sub * TRANSACTION;
                    *expected.entry(command.base + u64::from(at)).or_default() += 1;
                    transactions += 1;
                }
            }
        }
        prop_assert_eq!(fetcher.traffic.reads, transactions);
        let memory = fetcher.memory();
        prop_assert_eq!(memory.conflicts, 0);
        prop_assert_eq!(&memory.addresses, &expected);
    }
}
