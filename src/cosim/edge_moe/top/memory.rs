//! A memory behind the AXI4 ports of the machine: it refuses and answers when it likes, in order. What is written
//! can be read once the write is answered.

use std::collections::VecDeque;

use attelier_rtl::bits::Bits;

use super::wires::Wires;
use crate::cosim::{Pace, Random};

/// Longest time from an address or the last data to an answer \[cycles\].
const LATENCY: u64 = 24;
/// AXI4 response of success.
const OKAY: u64 = 0;

/// One direction of a port: when it is willing, and what it answers next.
struct Channel {
    prefix: String,
    asks: Pace,
    gives: Pace,
    /// Bursts: first cycle of an answer, next address, beats left.
    bursts: VecDeque<(u64, u64, u64)>,
    /// The answer at hand is offered until it is taken.
    offers: bool,
}

impl Channel {
    fn new(name: &str, seed: u64, purpose: u64) -> Self {
        Self {
            prefix: format!("m_axi_{name}"),
            asks: Pace::new(seed, purpose),
            gives: Pace::new(seed, purpose + 1),
            bursts: VecDeque::new(),
            offers: false,
        }
    }

    fn port(&self, signal: &str) -> String {
        format!("{}_{signal}", self.prefix)
    }

    /// Whether an answer is offered now.
    fn answers(&mut self, now: u64) -> bool {
        let is_due = self.bursts.front().is_some_and(|(due, ..)| *due <= now);
        self.offers = is_due && (self.offers || self.gives.willing());
        self.offers
    }
}

/// The memory with its ports.
pub struct AxiMemory {
    /// What lies in it.
    pub bytes: Vec<u8>,
    beat_bytes: usize,
    reads: Vec<Channel>,
    writes: Vec<Writes>,
    random: Random,
}

/// Writes of a port.
struct Writes {
    channel: Channel,
    data: Pace,
    /// Bursts whose data have not all come: next address and beats left.
    open: VecDeque<(u64, u64)>,
    /// Data that came, up to the last one of each burst: they are written when the burst is answered.
    pending: VecDeque<Vec<(u64, Vec<u8>)>>,
    burst: Vec<(u64, Vec<u8>)>,
}

/// A beat that was written.
pub struct Written {
    /// Where to \[B\].
    pub address: u64,
    /// The port whose data these are.
    pub data_port: String,
}

impl AxiMemory {
    /// A memory with these bytes behind ports of these names; the first one is only read.
    pub fn new(bytes: Vec<u8>, beat_bytes: u32, ports: &[&str], seed: u64) -> Self {
        let purpose = |at: usize| 100 + 10 * at as u64;
        let reads = ports.iter().enumerate();
        let reads = reads.map(|(at, name)| Channel::new(name, seed, purpose(at))).collect();
        let writes = ports.iter().enumerate().skip(1).map(|(at, name)| Writes {
            channel: Channel::new(name, seed, purpose(at) + 4),
            data: Pace::new(seed, purpose(at) + 6),
            open: VecDeque::new(),
            pending: VecDeque::new(),
            burst: Vec::new(),
        });
        let writes = writes.collect();
        Self {
            bytes,
            beat_bytes: beat_bytes as usize,
            reads,
            writes,
            random: Random::new(seed, 99),
        }
    }

    fn beat(&self, address: u64) -> Bits {
        let from = address as usize;
        let bytes = self.bytes.get(from..from + self.beat_bytes).unwrap_or(&[]);
        super::bits(bytes, self.beat_bytes)
    }

    /// Drives what the memory shows in a cycle.
    pub fn drive(&mut self, wires: &mut Wires<'_>, now: u64) {
        for at in 0..self.reads.len() {
            let answers = self.reads[at].answers(now);
            let address = self.reads[at].bursts.front().map(|burst| burst.1);
            let data = address.filter(|_| answers).map(|address| self.beat(address));
            let channel = &mut self.reads[at];
            let ready = channel.asks.willing();
            wires.drive(&channel.port("arready"), ready.into());
            wires.drive(&channel.port("rvalid"), answers.into());
            wires.drive(&channel.port("rresp"), OKAY);
            if let Some(data) = data {
                wires.drive_bits(&channel.port("rdata"), &data);
            }
        }
        for writes in &mut self.writes {
            let channel = &mut writes.channel;
            let ready = channel.asks.willing();
            wires.drive(&channel.port("awready"), ready.into());
            wires.drive(&channel.port("wready"), writes.data.willing().into());
            let answers = channel.answers(now);
            wires.drive(&channel.port("bvalid"), answers.into());
            wires.drive(&channel.port("bresp"), OKAY);
        }
    }

    /// What happens at the end of the cycle: beats read, and beats written.
    pub fn take(&mut self, wires: &mut Wires<'_>, now: u64) -> (u64, Vec<Written>) {
        let bytes = self.beat_bytes as u64;
        let (mut beats, mut written) = (0, Vec::new());
        for channel in &mut self.reads {
            if channel.offers && wires.shows(&channel.port("rready")) {
                beats += 1;
                channel.offers = false;
                if let Some((_, address, left)) = channel.bursts.front_mut() {
                    (*address, *left) = (*address + bytes, *left - 1);
                    if *left == 0 {
                        channel.bursts.pop_front();
                    }
                }
            }
            if wires.moves(&channel.port("arvalid"), &channel.port("arready")) {
                let address = wires.value(&channel.port("araddr"));
                let length = wires.value(&channel.port("arlen")) + 1;
                let due = now + 1 + self.random.below(LATENCY);
                channel.bursts.push_back((due, address, length));
            }
        }
        for writes in &mut self.writes {
            let channel = &mut writes.channel;
            if channel.offers {
                // The machine always takes an answer.
                channel.offers = false;
                channel.bursts.pop_front();
                for (address, data) in writes.pending.pop_front().into_iter().flatten() {
                    let from = address as usize;
                    if let Some(place) = self.bytes.get_mut(from..from + data.len()) {
                        place.copy_from_slice(&data);
                    }
                }
            }
            if wires.moves(&channel.port("wvalid"), &channel.port("wready"))
                && let Some((address, left)) = writes.open.front_mut()
            {
                let data_port = channel.port("wdata");
                let data = super::bytes(&wires.bits(&data_port), self.beat_bytes);
                written.push(Written { address: *address, data_port });
                writes.burst.push((*address, data));
                (*address, *left) = (*address + bytes, *left - 1);
                if *left == 0 {
                    writes.open.pop_front();
                    writes.pending.push_back(std::mem::take(&mut writes.burst));
                    let due = now + 1 + self.random.below(LATENCY);
                    channel.bursts.push_back((due, 0, 1));
                }
            }
            if wires.moves(&channel.port("awvalid"), &channel.port("awready")) {
                let address = wires.value(&channel.port("awaddr"));
                writes.open.push_back((address, wires.value(&channel.port("awlen")) + 1));
            }
        }
        (beats, written)
    }
}
