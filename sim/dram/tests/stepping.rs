//! Jumping over empty cycles changes nothing, and every request is served exactly once.

use std::collections::BTreeMap;

use attelier_dram::engine::Engine;
use attelier_dram::policy::{
    ActiveListConfig, BankQueuesConfig, CommandSlots, ControllerConfig, PagePolicy, PerBankOrder,
    Policy, Refresh, Scheduler, Stepping,
};
use attelier_dram::stats::Statistics;
use attelier_dram::trace::Issued;
use attelier_dram::{Channel, Completion, Device, Op};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Request {
    gap: u64,
    op: Op,
    address: u64,
}

/// Few rows, columns and banks, so that hits, conflicts and repeated addresses are common.
fn requests(device: &Device) -> impl Strategy<Value = Vec<Request>> + use<> {
    let bytes = device.mapping.capacity_bytes();
    let tx = u64::from(device.organization.tx_bytes);
    let address = prop_oneof![
        (0..64u64).prop_map(move |index| index * tx),
        (0..64u64, 0..4u64).prop_map(move |(low, high)| low * tx + high * (bytes / 8)),
        (0..bytes / tx).prop_map(move |index| index * tx),
    ];
    let gap = prop_oneof![8 => Just(0u64), 2 => 1..20u64, 1 => 200..5000u64];
    let op = prop_oneof![3 => Just(Op::Read), 2 => Just(Op::Write)];
    let one = (gap, op, address).prop_map(|(gap, op, address)| Request { gap, op, address });
    proptest::collection::vec(one, 1..250)
}

fn controller(device: &Device) -> impl Strategy<Value = ControllerConfig> + use<> {
    let active = (any::<bool>(), 1..40usize, 1..40usize).prop_map(|(hit, read, write)| {
        Policy::ActiveList(ActiveListConfig {
            scheduler: if hit { Scheduler::FrFcfsRowHit } else { Scheduler::FrFcfs },
            read_queue: read,
            write_queue: write,
            ..ActiveListConfig::default()
        })
    });
    let banks = (any::<bool>(), 1..40usize, 1..9usize, 1..6u32).prop_map(|(unified, t, c, cap)| {
        Policy::BankQueues(BankQueuesConfig {
            transaction_queue: t,
            unified_queue: unified,
            command_queue: c,
            row_hit_cap: cap,
            ..BankQueuesConfig::default()
        })
    });
    let order = prop_oneof![Just(PerBankOrder::InTurn), Just(PerBankOrder::IdleFirst)];
    let per_bank = device.timing.find("tREFIpb");
    let refresh = (0..3u8, order).prop_map(move |(kind, order)| match (kind, per_bank) {
        (0, _) => Refresh::Off,
        (1, Some(interval)) => Refresh::PerBank { interval, order },
        // Shorter than tREFI, so that short traces meet refreshes.
        _ => Refresh::AllBank { interval: 900 },
    });
    let page = prop_oneof![3 => Just(PagePolicy::Open), 1 => Just(PagePolicy::Closed)];
    let slots = device.slots;
    (prop_oneof![active, banks], refresh, page, any::<bool>()).prop_map(
        move |(policy, refresh, page, one)| ControllerConfig {
            policy,
            slots: if one { CommandSlots::One } else { slots },
            page,
            refresh,
            stepping: Stepping::Jump,
        },
    )
}

/// Commands and completions in order; every cycle is visited when the channel asks for that.
fn run(
    device: &Device,
    controller: &ControllerConfig,
    requests: &[Request],
) -> (Vec<Issued>, Vec<Completion>, Statistics) {
    let every = controller.stepping == Stepping::EveryCycle;
    let (o, c, t) = (&device.organization, &device.commands, &device.table);
    let latency = device.timing.read_latency();
    let mut channel = Channel::new(0, o, c, t, latency, controller).expect("legal");
    let (mut issued, mut done) = (Vec::new(), Vec::new());
    let (mut now, mut next, mut arrival) = (0u64, 0usize, requests[0].gap);
    let end = 300_000;
    while now < end {
        if next < requests.len() && arrival <= now {
            let request = &requests[next];
            let at = device.mapping.decode(request.address).expect("inside");
            if channel.accept(request.op, &at, next as u64, now) {
                next += 1;
                arrival = now + requests.get(next).map_or(0, |request| request.gap);
            }
        }
        channel.tick(now, &mut issued);
        while let Some(completion) = channel.pop_completion(u64::MAX) {
            done.push(completion);
        }
        if next == requests.len() && channel.pending() == 0 {
            break;
        }
        let offer = requests.get(next).map_or(u64::MAX, |request| {
            if channel.can_accept(request.op) { arrival } else { u64::MAX }
        });
        now = if every { now + 1 } else { offer.min(channel.next_event()).max(now + 1) };
        // A posted-write controller may keep a few writes back for ever.
        if next == requests.len() && done.len() == requests.len() && now > arrival + 20_000 {
            break;
        }
    }
    (issued, done, channel.statistics().clone())
}

/// Hits, misses and conflicts told from the commands: the first column command of a row is a
/// conflict where the last thing that happened to the closed bank was a PRE.
fn recount(device: &Device, issued: &[Issued]) -> [u64; 3] {
    let banks = device.organization.banks_per_rank() as usize;
    let mut before = BTreeMap::new();
    let mut fresh = BTreeMap::new();
    let mut counts = [0; 3];
    for one in issued {
        let name = device.commands.spec(one.command).name.as_str();
        match name {
            "ACT" => {
                let outcome = if before.get(&one.bank) == Some(&"PRE") { 2 } else { 1 };
                fresh.insert(one.bank, outcome);
            }
            "RD" | "WR" | "RDA" | "WRA" => counts[fresh.remove(&one.bank).unwrap_or(0)] += 1,
            "PREA" | "REFA" => {
                before.extend((one.bank..one.bank + banks).map(|bank| (bank, name)));
                continue;
            }
            _ => {}
        }
        before.insert(one.bank, name);
    }
    counts
}

fn check(device: &Device, controller: &ControllerConfig, requests: &[Request]) {
    let mut jump = run(device, controller, requests);
    let stepping = Stepping::EveryCycle;
    let mut step = run(device, &ControllerConfig { stepping, ..controller.clone() }, requests);
    let Statistics { row_hits, row_misses, row_conflicts, .. } = jump.2;
    assert_eq!([row_hits, row_misses, row_conflicts], recount(device, &jump.0));
    // The runs may stop at slightly different cycles while only refreshes are left.
    let last = jump.0.last().map_or(0, |i| i.cycle).min(step.0.last().map_or(0, |i| i.cycle));
    jump.0.retain(|issued| issued.cycle <= last);
    step.0.retain(|issued| issued.cycle <= last);
    let same = jump.0.iter().zip(&step.0).take_while(|(a, b)| a == b).count();
    let around = |all: &[Issued]| all.iter().skip(same).take(3).copied().collect::<Vec<_>>();
    let (ours, slow) = (around(&jump.0), around(&step.0));
    assert_eq!(ours, slow, "after {same} equal commands");
    assert_eq!(jump.1, step.1);
    let mut tags: Vec<u64> = jump.1.iter().map(|done| done.tag).collect();
    tags.sort_unstable();
    assert_eq!(tags, (0..requests.len() as u64).collect::<Vec<_>>());
    let (o, c, t) = (&device.organization, &device.commands, &device.table);
    let mut engine = Engine::new(o, c, t).expect("legal");
    for issued in &jump.0 {
        engine
            .issue_checked(issued.command, issued.bank, issued.row.unwrap_or(0), issued.cycle)
            .expect("every command is legal");
    }
    in_order_where_a_write_is_involved(device, requests, &jump.0);
    let columns = jump.0.iter().filter(|issued| issued.column.is_some()).count();
    let posted = matches!(controller.policy, Policy::BankQueues(_));
    assert!(columns == requests.len() || (posted && columns + 8 >= requests.len()));
}

/// Directions per transaction as issued must be those of the requests, in their order.
fn in_order_where_a_write_is_involved(device: &Device, requests: &[Request], issued: &[Issued]) {
    let writes = ["WR", "WRA"].map(|name| device.commands.find(name).expect("JEDEC"));
    let mut asked: BTreeMap<_, Vec<bool>> = BTreeMap::new();
    for request in requests {
        let at = device.mapping.decode(request.address).expect("inside");
        let bank = device.organization.flat_bank(at.rank, at.bankgroup, at.bank);
        asked.entry((bank, at.row, at.column)).or_default().push(request.op == Op::Write);
    }
    let mut sent: BTreeMap<_, Vec<bool>> = BTreeMap::new();
    for one in issued {
        if let (Some(row), Some(column)) = (one.row, one.column) {
            let write = writes.contains(&one.command);
            sent.entry((one.bank, row, column)).or_default().push(write);
        }
    }
    for (place, directions) in sent {
        assert!(asked[&place].starts_with(&directions), "{place:?} out of order");
    }
}

fn with_requests() -> impl Strategy<Value = (Device, ControllerConfig, Vec<Request>)> {
    let names = vec!["hbm2-2000", "gddr6-14000", "ddr4-2400", "ddr5-3200", "lpddr5-6400"];
    proptest::sample::select(names).prop_flat_map(|name| {
        let device = Device::builtin(name).expect("built in");
        (Just(device.clone()), controller(&device), requests(&device))
    })
}

/// A write behind a read of its own place enters the queue in the cycle after that read's command,
/// although by then no queue has anything left to do.
#[test]
fn a_request_that_had_to_wait_for_its_twin_goes_on_at_once() {
    let device = Device::builtin("hbm2-2000").expect("built in");
    let policy = Policy::ActiveList(ActiveListConfig {
        read_queue: 2,
        write_queue: 1,
        ..ActiveListConfig::default()
    });
    let refresh = Refresh::AllBank { interval: 900 };
    let controller = ControllerConfig { policy, refresh, ..device.default_controller() };
    let request = |(op, address)| Request { gap: 0, op, address };
    let reads = [96, 576, 32, 1952, 1952].map(|address| (Op::Read, address));
    let requests: Vec<Request> =
        reads.into_iter().chain([(Op::Write, 1952)]).map(request).collect();
    check(&device, &controller, &requests);
    // Five reads and a turn-around take less than 100 cycles.
    assert!(run(&device, &controller, &requests).0.last().is_some_and(|last| last.cycle < 100));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn jumping_equals_visiting_every_cycle((device, controller, requests) in with_requests()) {
        check(&device, &controller, &requests);
    }
}
