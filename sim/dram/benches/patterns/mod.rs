//! Request patterns on one HBM2 channel, and a driver that keeps the queue full.

use attelier_dram::{Channel, Device, Location, Op};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// What the addresses do.
#[derive(Debug, Clone, Copy)]
pub enum Pattern {
    /// Ascending.
    Sequential,
    /// Uniform over the channel.
    Random,
    /// One bank, another row each time.
    Conflict,
}

/// All patterns.
pub const ALL: [Pattern; 3] = [Pattern::Sequential, Pattern::Random, Pattern::Conflict];

/// Decoded addresses of a pattern.
pub fn locations(pattern: Pattern, requests: usize) -> Vec<Location> {
    let device = Device::builtin("hbm2-2000").expect("built in");
    let mut rng = Pcg64Mcg::seed_from_u64(1);
    let slots = device.mapping.capacity_bytes() / 32;
    let address = |index: usize, rng: &mut Pcg64Mcg| match pattern {
        Pattern::Sequential => index as u64 % slots * 32,
        Pattern::Random => rng.random_range(0..slots) * 32,
        Pattern::Conflict => (index as u64 % u64::from(device.organization.rows)) << 15,
    };
    (0..requests)
        .map(|index| device.mapping.decode(address(index, &mut rng)).expect("inside the channel"))
        .collect()
}

/// Serves all requests as fast as the channel takes them; returns cycles and requests completed.
pub fn serve(locations: &[Location]) -> (u64, usize) {
    let device = Device::builtin("hbm2-2000").expect("built in");
    let controller = device.default_controller();
    let latency = device.timing.read_latency();
    let (organization, commands, table) = (&device.organization, &device.commands, &device.table);
    let mut channel = Channel::new(0, organization, commands, table, latency, &controller)
        .expect("legal controller");
    let (mut now, mut next, mut served) = (0, 0, 0);
    while served < locations.len() {
        if next < locations.len() && channel.accept(Op::Read, &locations[next], next as u64, now) {
            next += 1;
        }
        channel.tick(now, &mut ());
        while channel.pop_completion(now).is_some() {
            served += 1;
        }
        let idle = next == locations.len() || !channel.can_accept(Op::Read);
        now += 1;
        if idle {
            let done = channel.next_completion().unwrap_or(u64::MAX);
            now = now.max(channel.next_event().min(done));
        }
    }
    (now, served)
}
